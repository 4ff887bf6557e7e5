/* SPDX-License-Identifier: MIT */
#include "daemon/config_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"

#define HOST_BYTES 64 /* of any IP address as text */

static int refuse(char *why, size_t why_bytes, const char *what)
{
        snprintf(why, why_bytes,
                 "%s: write an address with its port, as 127.0.0.1:9464 or [::1]:9464, an absolute path, or "
                 "none",
                 what);
        return 1;
}

static int read_path(const char *text, struct config_address *address, char *why, size_t why_bytes)
{
        size_t size = strlen(text);

        if (size > LIMIT_SOCKET_PATH_BYTES) {
                snprintf(why, why_bytes, "the path is longer than %d bytes, the most that a socket's can be",
                         LIMIT_SOCKET_PATH_BYTES);
                return 1;
        }
        address->name.path.sun_family = AF_UNIX;
        memcpy(address->name.path.sun_path, text, size);
        address->size = sizeof address->name.path;
        return 0;
}

/* Digits only; strtoul alone would take signs and blanks. */
static bool read_port(const char *text, in_port_t *ret)
{
        char *end;
        unsigned long port = strtoul(text, &end, 10);

        *ret = htons((in_port_t)port);
        return isdigit((unsigned char)text[0]) && *end == 0 && port > 0 && port <= UINT16_MAX;
}

/* The part before the port's colon, without the brackets of an IPv6 address; false: it is not there. */
static bool take_host(const char *text, char ret[HOST_BYTES], bool *ret_bracketed, const char **ret_port)
{
        const bool bracketed = text[0] == '[';
        const char *begin = bracketed ? text + 1 : text;
        const char *end = strchr(begin, bracketed ? ']' : ':');

        if (end == NULL || end - begin >= HOST_BYTES || (bracketed && end[1] != ':'))
                return false;
        snprintf(ret, HOST_BYTES, "%.*s", (int)(end - begin), begin);
        *ret_bracketed = bracketed;
        *ret_port = bracketed ? end + 2 : end + 1;
        return true;
}

static int read_ip(const char *text, struct config_address *address, char *why, size_t why_bytes)
{
        char host[HOST_BYTES];
        const char *port_text;
        bool bracketed;
        in_port_t port;

        if (!take_host(text, host, &bracketed, &port_text))
                return refuse(why, why_bytes, "not an address with a port");
        if (!read_port(port_text, &port))
                return refuse(why, why_bytes, "not a port from 1 to 65535");
        if (!bracketed && inet_pton(AF_INET, host, &address->name.ip4.sin_addr) == 1) {
                address->name.ip4.sin_family = AF_INET;
                address->name.ip4.sin_port = port;
                address->size = sizeof address->name.ip4;
        } else if (bracketed && inet_pton(AF_INET6, host, &address->name.ip6.sin6_addr) == 1) {
                address->name.ip6.sin6_family = AF_INET6;
                address->name.ip6.sin6_port = port;
                address->size = sizeof address->name.ip6;
        } else {
                return refuse(why, why_bytes, "not an IP address");
        }
        return 0;
}

int config_address_read(const char *text, struct config_address **ret, char *why, size_t why_bytes)
{
        struct config_address *address = calloc(1, sizeof *address);
        int r = 0;

        if (address == NULL)
                return -ENOMEM;
        if (text[0] == '/')
                r = read_path(text, address, why, why_bytes);
        else if (strcmp(text, "none") != 0)
                r = read_ip(text, address, why, why_bytes);
        if (r == 0)
                *ret = address;
        else
                free(address);
        return r;
}

void config_address_print(const struct config_address *address, FILE *f)
{
        char host[HOST_BYTES] = "";

        switch (address->name.any.sa_family) {
        case AF_UNIX:
                fputs(address->name.path.sun_path, f);
                break;
        case AF_INET:
                inet_ntop(AF_INET, &address->name.ip4.sin_addr, host, sizeof host);
                fprintf(f, "%s:%u", host, ntohs(address->name.ip4.sin_port));
                break;
        case AF_INET6:
                inet_ntop(AF_INET6, &address->name.ip6.sin6_addr, host, sizeof host);
                fprintf(f, "[%s]:%u", host, ntohs(address->name.ip6.sin6_port));
                break;
        default:
                fputs("none", f);
                break;
        }
}

bool config_address_is_none(const struct config_address *address)
{
        return address->name.any.sa_family == AF_UNSPEC;
}

bool config_address_is_local(const struct config_address *address)
{
        if (address->name.any.sa_family == AF_INET)
                return ntohl(address->name.ip4.sin_addr.s_addr) >> 24 == 127;
        return address->name.any.sa_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(&address->name.ip6.sin6_addr);
}
