/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629 has it: no overlong form, no surrogate, nothing beyond U+10FFFF. */
#include <string.h>

#include "proto/reader.h"

/* The bytes of the sequence that begins here; 0: there is none. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
        uint8_t least = 0x80, most = 0xbf; /* of the second byte */
        size_t n;

        if (at[0] >= 0xc2 && at[0] <= 0xdf)
                n = 2;
        else if (at[0] >= 0xe0 && at[0] <= 0xef)
                n = 3;
        else if (at[0] >= 0xf0 && at[0] <= 0xf4)
                n = 4;
        else
                return 0;
        if (at[0] == 0xe0)
                least = 0xa0; /* below: overlong */
        else if (at[0] == 0xed)
                most = 0x9f; /* above: surrogates */
        else if (at[0] == 0xf0)
                least = 0x90; /* below: overlong */
        else if (at[0] == 0xf4)
                most = 0x8f; /* above: beyond U+10FFFF */
        if (left < n || at[1] < least || at[1] > most)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((at[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool utf8_valid(const uint8_t *data, size_t size_bytes)
{
        const uint64_t high_bits = UINT64_C(0x8080808080808080);
        size_t i = 0;

        while (i < size_bytes) {
                uint64_t eight;
                size_t n;
                if (size_bytes - i >= sizeof eight) {
                        memcpy(&eight, data + i, sizeof eight);
                        if ((eight & high_bits) == 0) {
                                i += sizeof eight;
                                continue;
                        }
                }
                if (data[i] < 0x80) {
                        i++;
                        continue;
                }
                n = utf8_sequence(data + i, size_bytes - i);
                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}
