/* SPDX-License-Identifier: MIT */
#include "daemon/answer_value.h"

#include <errno.h>
#include <stdbool.h>

#include "daemon/backend.h"
#include "daemon/closer.h"
#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "proto/descriptors.h"
#include "proto/pack.h"
#include "proto/reader.h"
#include "proto/sealed.h"

struct value_parts {
        const uint8_t *data;
        size_t size_bytes;
        const int *fds;
        uint32_t n_fds;
        uint64_t values_bytes; /* in all memfds */
};

static uint64_t count_values(const struct value_parts *parts)
{
        struct reader reader = reader_over(parts->data, parts->size_bytes);
        uint64_t size, sum = 0;
        struct value value;
        unsigned kind;

        while (reader_next(&reader, &value) == 0)
                if (value_is_descriptor(&value, &kind, &size))
                        sum += size;
        return sum;
}

/* False: nothing was packed. */
static bool relay(struct connection *c, struct packer *packer, const struct value_parts *parts)
{
        int copies[LIMIT_DESCRIPTORS];

        if (!c->takes_descriptors || fds_duplicate(parts->fds, parts->n_fds, copies) < 0)
                return false;
        pack_raw(packer, parts->data, parts->size_bytes);
        c->pinned.bytes += c->channel ? 0 : parts->values_bytes;
        connection_message_end_with(c, packer, copies, parts->n_fds, parts->values_bytes);
        return true;
}

/* The value's bytes in the place of its ext value: read from the memfd as the output drains, or copied where
 * no descriptor can be had for that, or where the output is a worker's. 0 or -errno. */
static int send_in_place(struct connection *c, struct packer *packer, int fd, uint64_t size_bytes)
{
        const void *content;
        int copy = -1, r;

        if (size_bytes == 0 || c->channel || fds_duplicate(&fd, 1, &copy) < 0) {
                r = size_bytes > 0 ? sealed_map(fd, size_bytes, &content) : 0;
                if (r < 0)
                        return r;
                pack_bin(packer, size_bytes > 0 ? content : "", size_bytes);
                if (size_bytes > 0)
                        sealed_unmap(content, size_bytes);
                return packer->error;
        }
        msgpack_pack_bin(&packer->pk, size_bytes);
        r = packer->error < 0 ? packer->error : output_file(&c->output, copy, size_bytes);
        if (r < 0)
                closer_close(copy);
        return r;
}

static int pack_in_place(struct connection *c, struct packer *packer, const struct value_parts *parts)
{
        struct reader reader = reader_over(parts->data, parts->size_bytes);
        const uint8_t *from = reader.at;
        struct value value;
        uint64_t size;
        uint32_t n = 0;
        unsigned kind;
        int r = 0;

        while (r == 0 && !reader_at_end(&reader)) {
                const uint8_t *at = reader.at;
                r = reader_next(&reader, &value);
                if (r < 0 || !value_is_descriptor(&value, &kind, &size))
                        continue;
                pack_raw(packer, from, (size_t)(at - from));
                from = reader.at;
                r = send_in_place(c, packer, parts->fds[n++], size);
        }
        if (r == 0)
                pack_raw(packer, from, (size_t)(reader.at - from));
        return r;
}

/* What a plain client can do about it, and who else can have the result. */
static void refuse(struct connection *c, uint32_t msgid, uint64_t task, const struct value_parts *parts)
{
        struct packer packer;
        char message[256];

        snprintf(message, sizeof(message),
                 "the result has %llu bytes, %s: it is kept as long as that of a submitted task; ask for it "
                 "(result %llu) by a connection that takes descriptors (hello)",
                 (unsigned long long)(parts->size_bytes + parts->values_bytes),
                 c->takes_descriptors ? "no descriptor is free to send it by, and it fits into no message"
                                      : "more than fit into a message",
                 (unsigned long long)task);
        connection_message_begin(c, &packer);
        pack_error_response(&packer, msgid);
        pack_map(&packer, 3);
        pack_str(&packer, "code");
        pack_str(&packer, error_name(ERROR_TOO_LARGE));
        pack_str(&packer, "message");
        pack_str(&packer, message);
        pack_str(&packer, "task");
        pack_uint(&packer, task);
        pack_nil(&packer);
        connection_message_end(c, &packer);
}

bool answer_value(struct daemon *daemon, struct connection *c, uint32_t msgid, uint64_t task,
                  payload_t payload)
{
        struct value_parts parts;
        struct packer packer;

        parts.data = backend_payload(daemon, payload, &parts.size_bytes);
        parts.fds = backend_payload_fds(daemon, payload, &parts.n_fds);
        parts.values_bytes = parts.n_fds > 0 ? count_values(&parts) : 0;
        connection_message_begin(c, &packer);
        pack_response(&packer, msgid);
        if (parts.n_fds == 0) {
                pack_raw(&packer, parts.data, parts.size_bytes);
                connection_message_end(c, &packer);
                return true;
        }
        if (relay(c, &packer, &parts))
                return true;
        if (parts.size_bytes + parts.values_bytes > LIMIT_MESSAGE_BYTES) {
                buffer_truncate(&connection_output(c)->bytes, packer.start);
                refuse(c, msgid, task, &parts);
                return false;
        }
        if (pack_in_place(c, &packer, &parts) < 0)
                connection_break(c);
        else
                connection_message_end(c, &packer);
        return true;
}
