/* SPDX-License-Identifier: MIT */
/*
 * A client as the harnesses have it: the far end of a socketpair that gangerd has accepted. It reads what
 * comes (or does not), and holds gangerd to what it may send: whole messages of MessagePack-RPC, responses to
 * requests, one for each.
 */
#ifndef TESTS_FUZZ_CLIENT_H
#define TESTS_FUZZ_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/descriptors.h"
#include "proto/scan.h"

struct daemon;

struct client {
        int fd; /* -1: closed, by either */
        bool is_shut;
        struct buffer input;
        struct scan scan;
        uint64_t stream_at;
        struct fd_queue fds;
        bool was_told_error; /* by the notification `error`: the connection ends */
        void (*on_response)(void *userdata, uint32_t msgid);
        void *userdata;
};

enum client_descriptor {
        CLIENT_SEALED_MEMFD,
        CLIENT_MEMFD,
        CLIENT_PIPE,
        CLIENT_SOCKET,
        CLIENT_EVENTFD,
        CLIENT_DIRECTORY,
        CLIENT_NULL,
        CLIENT_ITSELF,
        N_CLIENT_DESCRIPTORS
};

void client_connect(struct client *, struct daemon *, uid_t);
/* Sends what fits, with descriptors of these kinds (taken round) on its first byte; whether all of it did. */
bool client_send(struct client *, const void *data, size_t size_bytes, const uint8_t *kinds, uint32_t n_fds);
void client_read(struct client *);
void client_close(struct client *);

#endif
