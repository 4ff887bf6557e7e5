/* SPDX-License-Identifier: MIT */
/*
 * Where to listen, in the configuration: 127.0.0.1:9464, [::1]:9464, the absolute path of a Unix socket, or
 * none. Never a host's name: nobody is asked what it means.
 */
#ifndef DAEMON_CONFIG_ADDRESS_H
#define DAEMON_CONFIG_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

struct config_address {
        socklen_t size;
        union {
                struct sockaddr any; /* AF_UNSPEC: none */
                struct sockaddr_in ip4;
                struct sockaddr_in6 ip6;
                struct sockaddr_un path;
        } name;
};

/* 0, -ENOMEM, or 1: `why` says what is wrong. */
int config_address_read(const char *text, struct config_address **ret, char *why, size_t why_bytes);
/* As config_address_read() would read it. */
void config_address_print(const struct config_address *, FILE *);
bool config_address_is_none(const struct config_address *);
/* Whether nobody but this machine's own programs can connect. */
bool config_address_is_local(const struct config_address *);

#endif
