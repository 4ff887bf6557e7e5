/* SPDX-License-Identifier: MIT */
/*
 * An answer: the bytes of one value, a result or an error's record. On the heap it owns its bytes and belongs
 * to whoever it was given to; a borrowed one lies on the stack during a callback, over the connection's
 * input. Strings read from it are copied once more, to end with a 0 byte, and live as long as it does.
 */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include <stdbool.h>

#include "client/ganger.h"
#include "proto/buffer.h"
#include "proto/reader.h"

struct reply_text;
struct reply_fds;
struct reply_map;
struct sent;

struct ganger_reply {
        struct buffer bytes; /* that `data` lies in; empty: it lies behind this, or is borrowed */
        const uint8_t *data; /* one whole, checked value */
        size_t size_bytes;
        int code;                 /* enum ganger_code; 0: a result */
        struct reply_text *texts; /* strings that were read */
        struct reply_map *maps;   /* values in memfds that were read */
        struct reply_fds *fds;    /* that came with it, in the order of their values; NULL: none */
        struct sent *sent;        /* with what it answers; NULL: nothing large */
        struct reader item;       /* where ganger_read_item() is … */
        uint64_t item_index;      /* … before which element; 0: at none yet */
};

/* A copy of the value; `is_error`: it is an error's record. */
int reply_new(struct ganger_reply **ret, struct reader value, bool is_error);
/* The same without a copy, for a value that lies in the buffer: takes the buffer over. */
int reply_new_over(struct ganger_reply **ret, struct buffer *buffer, struct reader value, bool is_error);
/* The descriptors that the value claims belong to the reply now. 0; or -ENOMEM: they are the caller's. */
int reply_take_fds(struct ganger_reply *, const int *fds, uint32_t n);
/* Over bytes that somebody else keeps for as long; reply_deinit() frees what was read from it. */
void reply_borrow(struct ganger_reply *, struct reader value, bool is_error);
void reply_deinit(struct ganger_reply *);
static inline struct reader reply_reader(const struct ganger_reply *reply)
{
        return reader_over(reply->data, reply->size_bytes);
}
/* A copy that lives as long as the reply, with a 0 byte behind it; NULL: no memory. */
const char *reply_keep(const struct ganger_reply *, const void *data, size_t size_bytes);
/* Puts the reader on the value of this key of the map that is next: 0, -ENOENT, -EINVAL if it is no map. */
int reader_find_key(struct reader *, const char *key);

#endif
