/* SPDX-License-Identifier: MIT */
/*
 * The envelope of MessagePack-RPC: [0, msgid, method, params], [1, msgid, error, result], [2, method,
 * params]. Parsed from a message that the scanner has passed; everything inside stays bytes.
 */
#ifndef PROTO_ENVELOPE_H
#define PROTO_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/reader.h"

enum envelope_type { ENVELOPE_REQUEST = 0, ENVELOPE_RESPONSE = 1, ENVELOPE_NOTIFICATION = 2 };

struct envelope {
        enum envelope_type type;
        uint32_t msgid;     /* request, response */
        const char *method; /* request, notification; not terminated */
        size_t method_size_bytes;
        uint32_t n_params;    /* request, notification */
        struct reader params; /* request, notification: over the elements, behind the array's header */
        struct reader error;  /* response: over the error, one value */
        struct reader result; /* response: over the result, one value */
};

/* 0, or -EBADMSG: no MessagePack-RPC message; *ret_why (may be NULL) then says what is wrong with it. */
int envelope_parse(struct envelope *ret, const uint8_t *data, size_t size_bytes, const char **ret_why);

#endif
