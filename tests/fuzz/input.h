/* SPDX-License-Identifier: MIT */
/* An input, taken apart from its beginning. Behind its end everything is 0. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
        const uint8_t *at, *end;
};

static inline bool input_at_end(const struct input *in)
{
        return in->at == in->end;
}
static inline unsigned input_byte(struct input *in)
{
        return in->at < in->end ? *in->at++ : 0;
}
static inline unsigned input_u16(struct input *in)
{
        unsigned low = input_byte(in);
        return low | input_byte(in) << 8;
}
/* As many as there are, at most *size_bytes. */
static inline const uint8_t *input_bytes(struct input *in, size_t *size_bytes)
{
        const uint8_t *at = in->at;

        if (*size_bytes > (size_t)(in->end - in->at))
                *size_bytes = (size_t)(in->end - in->at);
        in->at += *size_bytes;
        return at;
}

#endif
