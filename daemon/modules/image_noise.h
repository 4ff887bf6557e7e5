/* SPDX-License-Identifier: MIT */
/*
 * Noise in the manner of scikit-image's random_noise: samples are numbers from 0 to 1, every colour of every
 * pixel gets noise of its own, alpha gets none. The same seed gives the same samples on any machine.
 */
#ifndef DAEMON_MODULES_IMAGE_NOISE_H
#define DAEMON_MODULES_IMAGE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/modules/image_png.h"

enum noise_mode {
        NOISE_GAUSSIAN, /* + n(mean, var) */
        NOISE_LOCALVAR, /* + n(0, the pixel's variance) */
        NOISE_SALT,     /* the share `amount` becomes 1 */
        NOISE_PEPPER,   /* the share `amount` becomes 0 */
        NOISE_SALT_AND_PEPPER,
        NOISE_SPECKLE, /* + value * n(mean, var) */
};

struct noise {
        int mode; /* enum noise_mode */
        uint64_t seed;
        double mean, var;
        double amount, salt_vs_pepper;
        bool clip;
        float *local_vars; /* one a pixel, or one a colour of each pixel */
        size_t n_local_vars;
};

struct noise_range {
        double low, high; /* the numbers that the samples 0 and the largest stand for */
};

/* Adds the noise. With clip what leaves 0...1 is cut off; without, the range is widened to hold all values,
 * and `ret` tells it. Not 0: what run() is to return. */
int noise_apply(struct ganger_task *task, const struct noise *noise, struct image *image,
                struct noise_range *ret);

#endif
