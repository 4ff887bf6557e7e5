/* SPDX-License-Identifier: MIT */
/*
 * Salt and pepper fall on exactly the share that was asked, rounded to whole samples: each sample is taken
 * with the chance (still to take) / (still to come), Knuth's selection sampling. scikit-image tosses a coin
 * for each sample, which in a picture of 512 x 512 misses a share of 5 % by more than 2 % of it once in
 * fifty.
 */
#include "daemon/modules/image_noise.h"

#include <errno.h>
#include <math.h>

#include "daemon/modules/prng.h"

/* The state of one pass over the picture. */
struct noise_pass {
        const struct noise *noise;
        struct prng prng;
        double deviation;
        unsigned samples_a_var;           /* colours that share one of local_vars */
        uint64_t n_left, n_flips, n_salt; /* samples to come; of these to flip; of these to salt */
};

static void pass_init(struct noise_pass *pass, const struct noise *noise, const struct image *image)
{
        uint64_t n_pixels = (uint64_t)image->width * image->height;
        uint64_t n_samples = n_pixels * image->n_colours;

        *pass = (struct noise_pass){.noise = noise, .deviation = sqrt(noise->var), .n_left = n_samples};
        prng_init(&pass->prng, noise->seed);
        pass->samples_a_var = noise->n_local_vars == n_pixels ? image->n_colours : 1;
        double salt_share = noise->mode == NOISE_SALT     ? 1
                            : noise->mode == NOISE_PEPPER ? 0
                                                          : noise->salt_vs_pepper;
        pass->n_flips = (uint64_t)nearbyint((double)n_samples * noise->amount);
        pass->n_salt = (uint64_t)nearbyint((double)pass->n_flips * salt_share);
}

static bool draw(struct prng *prng, uint64_t n_wanted, uint64_t n_left)
{
        return prng_uniform(prng) * (double)n_left < (double)n_wanted;
}

static double flip(struct noise_pass *pass, double value)
{
        if (draw(&pass->prng, pass->n_flips, pass->n_left--)) {
                bool salt = draw(&pass->prng, pass->n_salt, pass->n_flips--);
                pass->n_salt -= salt;
                value = salt;
        }
        return value;
}

static double add_noise(struct noise_pass *pass, double value, size_t index)
{
        const struct noise *noise = pass->noise;

        switch ((enum noise_mode)noise->mode) {
        case NOISE_GAUSSIAN:
                return value + (noise->mean + pass->deviation * prng_normal(&pass->prng));
        case NOISE_LOCALVAR:
                return value + sqrt((double)noise->local_vars[index / pass->samples_a_var]) *
                                       prng_normal(&pass->prng);
        case NOISE_SPECKLE:
                return value + value * (noise->mean + pass->deviation * prng_normal(&pass->prng));
        case NOISE_SALT:
        case NOISE_PEPPER:
        case NOISE_SALT_AND_PEPPER:
                return flip(pass, value);
        }
        return value;
}

static unsigned to_sample(double value, const struct noise_range *range, unsigned max)
{
        double share = (value - range->low) / (range->high - range->low);

        share = share < 0 ? 0 : share > 1 ? 1 : share;
        return (unsigned)(share * max + 0.5);
}

/* `store`: writes the samples within *range; else only widens *range until all values fit. */
static int run_pass(struct ganger_task *task, const struct noise *noise, struct image *image, bool store,
                    struct noise_range *range)
{
        unsigned max = image_sample_max(image);
        struct noise_pass pass;
        size_t n_done = 0;

        pass_init(&pass, noise, image);
        for (uint32_t y = 0; y < image->height; y++) {
                if (ganger_cancelled(task))
                        return -ECANCELED;
                for (uint32_t x = 0; x < image->width; x++) {
                        size_t pixel = ((size_t)y * image->width + x) * image->channels;
                        for (size_t i = pixel; i < pixel + image->n_colours; i++) {
                                double value =
                                        add_noise(&pass, (double)image_sample(image, i) / max, n_done++);
                                if (store)
                                        image_set_sample(image, i, to_sample(value, range, max));
                                range->low = value < range->low && !store ? value : range->low;
                                range->high = value > range->high && !store ? value : range->high;
                        }
                }
        }
        return 0;
}

int noise_apply(struct ganger_task *task, const struct noise *noise, struct image *image,
                struct noise_range *ret)
{
        *ret = (struct noise_range){.low = 0, .high = 1};
        if (!noise->clip) {
                int r = run_pass(task, noise, image, false, ret);
                if (r != 0)
                        return r;
        }
        return run_pass(task, noise, image, true, ret);
}
