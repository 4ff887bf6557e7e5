/* SPDX-License-Identifier: MIT */
/*
 * The scanner's one loop. What makes it cheap and bounded is a single number, spare_bytes: of the bytes that
 * the message may have, those that neither were passed nor are needed by what was declared (one for every
 * value still to come, and every byte of payload). A value of one byte leaves it as it is; everything else
 * takes from it, and what would take more than there is, is refused on the spot.
 */
#include "proto/scan.h"

#include <assert.h>

#include "proto/descriptors.h"
#include "proto/head.h"

void scan_init(struct scan *s, size_t max_bytes)
{
        assert(max_bytes > 0);
        s->at = 0;
        s->owed_bytes = 0;
        s->spare_bytes = max_bytes - 1;
        s->depth = 0;
        s->n_descriptors = 0;
        s->left[0] = 1;
}

/* Passes what is there of the owed payload; whether that was all of it. */
static bool scan_payload(struct scan *s, size_t size_bytes)
{
        size_t there = size_bytes - s->at;

        if (s->owed_bytes > there) {
                s->owed_bytes -= there;
                s->at = size_bytes;
                return false;
        }
        s->at += s->owed_bytes;
        s->owed_bytes = 0;
        return true;
}

/* Whether an ext's head is there; one of our own type must be a descriptor that we know. */
static int scan_ext(struct scan *s, const struct first_byte *first, uint32_t length, const uint8_t *at,
                    size_t there_bytes)
{
        const uint8_t *payload;

        if (there_bytes < first->head_bytes)
                return SCAN_MORE;
        payload = at + first->head_bytes;
        if (payload[-1] != EXT_DESCRIPTOR)
                return SCAN_DONE;
        if (length != EXT_DESCRIPTOR_SIZE_BYTES)
                return SCAN_BAD;
        if (there_bytes == first->head_bytes)
                return SCAN_MORE;
        if (*payload > DESCRIPTOR_OPEN)
                return SCAN_BAD;
        s->n_descriptors++;
        return SCAN_DONE;
}

/* Looks at the head that scan_whole() left; SCAN_DONE: passed, its payload is owed. */
static inline int scan_head(struct scan *s, const uint8_t *data, size_t size_bytes)
{
        const uint8_t *at = data + s->at;
        const struct first_byte *first = &first_byte_table[*at];
        uint64_t children, payload, needed;
        uint32_t length;
        bool nested;

        if (first->type == FIRST_BYTE_RESERVED)
                return SCAN_BAD;
#ifdef SEEDED_BUG_SCAN_PAST_END /* the fuzzer must find it */
        if (first->length_bytes > size_bytes - s->at)
                return SCAN_MORE;
#else
        if (1u + first->length_bytes > size_bytes - s->at)
                return SCAN_MORE;
#endif
        length = head_length(first, at);
        nested = first->type == VALUE_ARRAY || first->type == VALUE_MAP;
        children = head_children(first, length);
        payload = nested ? 0 : length;
        needed = first->head_bytes - 1u + payload + children;
        if (needed > s->spare_bytes)
                return SCAN_LARGE;
        if (nested) { /* scan_whole() left it for this alone */
                assert(s->depth == LIMIT_DEPTH);
                return SCAN_DEEP;
        }
        if (first->type == VALUE_EXT) {
                int r = scan_ext(s, first, length, at, size_bytes - s->at);
                if (r != SCAN_DONE)
                        return r;
        }
        s->spare_bytes -= needed;
        s->at += first->head_bytes;
        s->owed_bytes = payload;
        s->left[s->depth]--;
        return SCAN_DONE;
}

/* Passes what is there as a whole, which most is: plain values, and the heads of arrays and maps. What is
 * cut, an ext, or refused is left to scan_head(). The scan's place is in locals: for all that the compiler
 * knows, the bytes could be *s.
 *
 * The table says it all; what every message has is told by comparisons before it, which the processor guesses
 * right: it goes on to the next value without waiting for the size of this one to be loaded. */
static void scan_whole(struct scan *s, const uint8_t *data, size_t size_bytes)
{
        const uint8_t *at = data + s->at, *end = data + size_bytes;
        uint32_t depth = s->depth;
        uint64_t left = s->left[depth], spare_bytes = s->spare_bytes;

        while (at < end) {
                if (left == 0) {
                        if (depth == 0)
                                break;
                        left = s->left[--depth];
                        continue;
                }
                uint8_t byte = *at;
                if (byte < 0x80 || byte == 0xc0) {
                        at++;
                        left--;
                        continue;
                }
                if (head_is_small_array(byte) && depth < LIMIT_DEPTH && (byte & 15u) <= spare_bytes) {
                        spare_bytes -= byte & 15u;
                        at++;
                        s->left[depth++] = left - 1;
                        left = byte & 15u;
                        continue;
                }
                if (byte == 0xce && end - at >= 5 && spare_bytes >= 4) {
                        spare_bytes -= 4;
                        at += 5;
                        left--;
                        continue;
                }
                const struct first_byte *first = &first_byte_table[byte];
                size_t whole = first->whole_bytes;

                if (whole > 0 && whole <= (size_t)(end - at) && whole <= spare_bytes + 1) {
                        spare_bytes -= whole - 1;
                        at += whole;
                        left--;
                        continue;
                }
                size_t there = (size_t)(end - at) - 1, behind = first->head_bytes - 1u;

                if (first->type <= VALUE_BIN) {
                        if (behind > there)
                                break;
                        behind += head_length(first, at);
                        if (behind > there || behind > spare_bytes)
                                break;
                        spare_bytes -= behind;
                        at += 1 + behind;
                        left--;
                        continue;
                }
                if (first->type > VALUE_MAP || behind > there || depth == LIMIT_DEPTH)
                        break;
                uint64_t children = head_children(first, head_length(first, at));
                if (behind + children > spare_bytes)
                        break;
                spare_bytes -= behind + children;
                at += 1 + behind;
                s->left[depth++] = left - 1;
                left = children;
        }
        while (left == 0 && depth > 0)
                left = s->left[--depth];
        s->depth = depth;
        s->left[depth] = left;
        s->spare_bytes = spare_bytes;
        s->at = (size_t)(at - data);
}

int scan_feed(struct scan *s, const uint8_t *data, size_t size_bytes)
{
        assert(size_bytes >= s->at);

        for (;;) {
                if (s->owed_bytes > 0 && !scan_payload(s, size_bytes))
                        return SCAN_MORE;
                scan_whole(s, data, size_bytes);
                if (s->left[s->depth] == 0)
                        return SCAN_DONE;
                if (s->at == size_bytes)
                        return SCAN_MORE;
                int r = scan_head(s, data, size_bytes);
                if (r != SCAN_DONE)
                        return r;
        }
}

bool scan_is_plain(const uint8_t *data, size_t size_bytes)
{
        const struct first_byte *first;

        if (size_bytes == 0)
                return false;
        first = &first_byte_table[*data];
        return first->type <= VALUE_BIN && first->head_bytes <= size_bytes &&
               head_length(first, data) == size_bytes - first->head_bytes;
}

#define TEXT_OF(x)       TEXT_OF_VALUE(x)
#define TEXT_OF_VALUE(x) #x

const char *scan_message(int result)
{
        static const char *const texts[] = {
                [SCAN_DONE] = "well formed",
                [SCAN_MORE] = "not complete",
                [SCAN_BAD] = "not MessagePack, or a bad descriptor value",
                [SCAN_DEEP] = ("deeper than " TEXT_OF(LIMIT_DEPTH)),
                [SCAN_LARGE] = "larger than max_message",
        };

        assert(result >= SCAN_DONE && result <= SCAN_LARGE);
        return texts[result];
}
