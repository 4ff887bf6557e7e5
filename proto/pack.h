/* SPDX-License-Identifier: MIT */
/*
 * Writing MessagePack with msgpack-c's packer into a struct buffer. A packer remembers the first failure;
 * whoever uses it asks once, at the end (pack_end), and then gets the whole message or nothing.
 */
#ifndef PROTO_PACK_H
#define PROTO_PACK_H

#include <msgpack/pack.h>
#include <string.h>

#include "proto/buffer.h"

struct packer {
        msgpack_packer pk; /* for msgpack_pack_…() */
        struct buffer *buffer;
        size_t start; /* buffer_size() at pack_begin */
        int error;    /* 0, -ENOMEM, -EMSGSIZE */
};

/* Begins to append to `b`. */
void pack_begin(struct packer *p, struct buffer *b);
/* 0, or -ENOMEM, or -EMSGSIZE (something does not fit into 32 bits of length): then what was packed since
 * pack_begin is gone from the buffer. */
int pack_end(struct packer *p);

void pack_nil(struct packer *p);
void pack_bool(struct packer *p, bool value);
void pack_int(struct packer *p, int64_t value);
void pack_uint(struct packer *p, uint64_t value);
void pack_double(struct packer *p, double value);
void pack_str_n(struct packer *p, const char *data, size_t size_bytes);
void pack_str(struct packer *p, const char *text); /* NULL: nil */
void pack_bin(struct packer *p, const void *data, size_t size_bytes);
void pack_array(struct packer *p, size_t n);
void pack_map(struct packer *p, size_t n);
/* One whole MessagePack value, as bytes. */
void pack_raw(struct packer *p, const void *data, size_t size_bytes);
/* The ext value of a descriptor that rides with the message: enum descriptor_kind. */
void pack_descriptor(struct packer *p, unsigned kind, uint64_t size_bytes);
void pack_fd(struct packer *p); /* of one of kind 2 */

/* [1, msgid, nil, …: the result is to be packed next. */
void pack_response(struct packer *p, uint32_t msgid);
/* [1, msgid, …: the error is to be packed next, and then nil. */
void pack_error_response(struct packer *p, uint32_t msgid);
/* [0, msgid, method, …: the parameters are to be packed next. */
void pack_request_head(struct packer *p, uint32_t msgid, const char *method);
/* [0, msgid, method, [ … n parameters are to be packed next. */
void pack_request(struct packer *p, uint32_t msgid, const char *method, size_t n_params);
/* [2, method, [ … n parameters are to be packed next. */
void pack_notification(struct packer *p, const char *method, size_t n_params);

#endif
