/* SPDX-License-Identifier: MIT */
/*
 * A picture in memory, from a PNG and to one. Palettes and samples of fewer than 8 bits are expanded, a
 * transparent colour becomes alpha; what says how to show it (gamma, colour space, profile, size) is carried
 * over.
 */
#ifndef DAEMON_MODULES_IMAGE_PNG_H
#define DAEMON_MODULES_IMAGE_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/modules/input.h"
#include "daemon/modules/output.h"
#include "daemon/worker/ganger_module.h"

/* A small file can claim any size: at 8 bytes a pixel this bounds the memory to 512 MiB. */
#define IMAGE_PIXELS_MAX (UINT32_C(1) << 26)

struct image {
        uint32_t width, height;
        unsigned channels;  /* alpha, the last one, included */
        unsigned n_colours; /* channels that are not alpha */
        unsigned depth;     /* 8 or 16 bits a sample, in the machine's byte order */
        size_t row_bytes;
        unsigned char *samples;
        struct image_origin *origin; /* libpng's reader, which holds what is carried over */
};

/* Reads and decodes `input`; frees with image_free(). Not 0: what run() is to return. */
int image_read(struct ganger_task *task, struct input *input, struct image **ret);

/* Encodes into `output`. Not 0: what run() is to return. */
int image_write(struct ganger_task *task, const struct image *image, struct output *output);

struct image *image_free(struct image *image);

static inline unsigned image_sample(const struct image *image, size_t index)
{
        return image->depth == 8 ? image->samples[index]
                                 : ((const uint16_t *)(const void *)image->samples)[index];
}

static inline void image_set_sample(struct image *image, size_t index, unsigned value)
{
        if (image->depth == 8)
                image->samples[index] = (unsigned char)value;
        else
                ((uint16_t *)(void *)image->samples)[index] = (uint16_t)value;
}

static inline unsigned image_sample_max(const struct image *image)
{
        return image->depth == 8 ? UINT8_MAX : UINT16_MAX;
}

#endif
