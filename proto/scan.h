/* SPDX-License-Identifier: MIT */
/*
 * The scanner: finds where a MessagePack value ends in bytes that come from anybody, without allocating and
 * without recursion, keeping its place between reads. It is the only code that touches unchecked bytes;
 * everything behind it (reader, msgpack-c's unpacker) is handed whole, checked messages alone.
 *
 * What it guarantees when it says SCAN_DONE: the message is one well-formed value of `at` ≤ max_bytes
 * bytes, no deeper than LIMIT_DEPTH, no reserved byte (0xc1), every ext of type 71 is 9 bytes of a known
 * kind, and `n_descriptors` of those ext values occur in it. A declared count or length is refused as soon as
 * it cannot fit into max_bytes any more (an array element takes at least one byte, a map's pair two).
 */
#ifndef PROTO_SCAN_H
#define PROTO_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum scan_result {
        SCAN_DONE = 1, /* s->at says where the message ends */
        SCAN_MORE,     /* the end is not there yet; call again with more */
        SCAN_BAD,      /* reserved byte, bad descriptor value */
        SCAN_DEEP,     /* deeper than LIMIT_DEPTH */
        SCAN_LARGE,    /* larger than max_bytes, or declares so */
};

struct scan {
        size_t at;            /* bytes passed; a value's header is passed as a whole */
        uint64_t owed_bytes;  /* of the last value's payload, still to come */
        uint64_t spare_bytes; /* of max_bytes, neither passed nor needed by what was declared */
        uint32_t depth;       /* open arrays and maps */
        uint32_t n_descriptors;
        uint64_t left[LIMIT_DEPTH + 1]; /* values still to come: of the message (1), of each open container */
};

/* Ready for the first byte of a message; max_bytes is at least 1. */
void scan_init(struct scan *s, size_t max_bytes);
/* Looks at data[0..size_bytes): the whole message so far, from its first byte, and perhaps more behind it
 * (what was passed already is not looked at again). Returns an enum scan_result; on SCAN_DONE s->at is the
 * message's size. After SCAN_BAD, SCAN_DEEP, SCAN_LARGE the scan is over: the peer is to be dropped. */
int scan_feed(struct scan *s, const uint8_t *data, size_t size_bytes);
/* Whether the bytes are exactly one value that holds no others and is no ext: then a scan of them, or of
 * arrays around them, has nothing to find. */
bool scan_is_plain(const uint8_t *data, size_t size_bytes);
/* For a message that is passed over and not kept: the caller has dropped its first s->at bytes; what is fed
 * next begins behind them. */
static inline void scan_forget(struct scan *s)
{
        s->at = 0;
}
/* Why a result that ends the connection does so, for people: "deeper than 32", "larger than max_message". */
const char *scan_message(int result);

#endif
