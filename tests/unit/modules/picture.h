/* SPDX-License-Identifier: MIT */
/*
 * Pictures for the tests of the module `image`: made, written and read by libpng's simplest means, and by
 * none of the module's code. Each function ends the test if it cannot do what it says.
 */
#ifndef TESTS_UNIT_MODULES_PICTURE_H
#define TESTS_UNIT_MODULES_PICTURE_H

#include <stddef.h>

struct picture {
        unsigned width, height, channels, depth;
        unsigned *samples;
};

void picture_fill(struct picture *picture,
                  unsigned (*value)(unsigned x, unsigned y, unsigned channel, unsigned max));
void picture_write(const struct picture *picture, const char *path);
void picture_write_interlaced(const struct picture *picture, const char *path);
void picture_read(struct picture *ret, const char *path);
void picture_deinit(struct picture *picture);

/* One row of the 2^bits values of a grey of few bits. */
void picture_write_grey_bits(const char *path, int bits);

/* Two pixels by a palette: (10, 20, 30), and (40, 50, 60) with alpha 128. */
void picture_write_palette(const char *path);

/* The beginning of a grey PNG that claims this size, and the begin of its data. */
void picture_write_claim(const char *path, unsigned width, unsigned height);

char *picture_load(const char *path, size_t *ret_size_bytes);
int picture_count_files(const char *directory);

#endif
