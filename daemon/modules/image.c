/* SPDX-License-Identifier: MIT */
/*
 * The module `image`: image.noise [in, out, {…}] and image.gamma [in, out, {gamma, gain}] on PNG pictures, in
 * the manner of scikit-image's random_noise and adjust_gamma.
 *
 * in is a path, bytes or a descriptor, out a path, a descriptor or nil; with nil the result is the PNG
 * itself, as a bin, else a map {width, height, channels, depth} to which image.noise adds {seed, low, high}.
 * Without `seed` one is drawn, below 2^53 so that it survives every language's numbers on its way back.
 *
 * clip: false. A PNG holds no number outside 0...1, so the range is widened to [low, high], which the result
 * names: sample / largest * (high - low) + low is the number. Nothing is cut off, and a picture that stays
 * inside is stored as with clip. (Refusing the option would lose what it is for; wrapping around would store
 * nonsense.)
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "config.h"
#include "daemon/modules/image_noise.h"
#include "daemon/modules/image_png.h"
#include "daemon/modules/input.h"
#include "daemon/modules/options.h"
#include "daemon/modules/output.h"
#include "daemon/modules/text_form.h"
#include "daemon/worker/ganger_module.h"

#define N_OPTIONS(table) (sizeof(table) / sizeof((table)[0]))

/* Noise a million times the picture's range is no noise, but its square still is a number. */
static const double noise_max = 1e6;

struct transform {
        struct ganger_value in, out;
        int (*apply)(struct ganger_task *task, struct image *image, void *parameters);
        /* the n_extra pairs that the function adds to the result map */
        int (*put_extra)(struct ganger_task *task, const void *parameters);
        uint32_t n_extra;
        void *parameters;
};

struct gamma {
        double gamma, gain;
};

struct noise_task {
        struct noise noise;
        struct noise_range range;
};

static int take_in_and_out(struct ganger_task *task, struct transform *transform)
{
        int r = input_argument(task, &transform->in);

        return r != 0 ? r : output_argument(task, &transform->out);
}

static int put_pair(struct ganger_task *task, const char *key, uint64_t value)
{
        int r = ganger_put_str(task, key, strlen(key));
        return r < 0 ? r : ganger_put_uint(task, value);
}

static int put_result(struct ganger_task *task, const struct transform *transform, const struct image *image)
{
        enum { N_COMMON = 4 };
        int r = ganger_put_map(task, N_COMMON + transform->n_extra);

        if (r == 0)
                r = put_pair(task, "width", image->width);
        if (r == 0)
                r = put_pair(task, "height", image->height);
        if (r == 0)
                r = put_pair(task, "channels", image->channels);
        if (r == 0)
                r = put_pair(task, "depth", image->depth);
        if (r == 0 && transform->put_extra)
                r = transform->put_extra(task, transform->parameters);
        return r;
}

static int write_out(struct ganger_task *task, const struct transform *transform, const struct image *image)
{
        struct output output;
        int r = output_open(task, &transform->out, &output);

        if (r == 0)
                r = image_write(task, image, &output);
        if (r == 0)
                r = output_commit(task, &output);
        if (r == 0 && !output.is_result)
                r = put_result(task, transform, image);
        output_close(&output);
        return r;
}

static int run_transform(struct ganger_task *task, const struct transform *transform)
{
        struct image *image = NULL;
        struct input input;
        int r = input_open(task, &transform->in, &input);

        if (r == 0)
                r = image_read(task, &input, &image);
        if (r == 0)
                r = transform->apply(task, image, transform->parameters);
        if (r == 0)
                r = write_out(task, transform, image);
        image_free(image);
        input_close(&input);
        return r;
}

static const struct option gamma_options[] = {
        {.name = "gamma",
         .kind = OPTION_NUMBER,
         .offset = offsetof(struct gamma, gamma),
         .min = 0,
         .max = 1e6},
        {.name = "gain", .kind = OPTION_NUMBER, .offset = offsetof(struct gamma, gain), .min = 0, .max = 1e6},
};

static int apply_gamma(struct ganger_task *task, struct image *image, void *parameters)
{
        const struct gamma *gamma = parameters;
        unsigned max = image_sample_max(image);
        uint16_t *table = malloc((max + 1) * sizeof(*table));

        if (!table)
                return -ENOMEM;
        for (unsigned v = 0; v <= max; v++) {
                double value = nearbyint(max * (gamma->gain * pow((double)v / max, gamma->gamma)));
                table[v] = (uint16_t)(value < max ? value : max);
        }
        size_t n_pixels = (size_t)image->width * image->height;
        for (size_t pixel = 0; pixel < n_pixels; pixel++) {
                if (pixel % image->width == 0 && ganger_cancelled(task)) {
                        free(table);
                        return -ECANCELED;
                }
                for (size_t i = pixel * image->channels; i < pixel * image->channels + image->n_colours; i++)
                        image_set_sample(image, i, table[image_sample(image, i)]);
        }
        free(table);
        return 0;
}

static int run_gamma(struct ganger_task *task)
{
        struct gamma gamma = {.gamma = 1, .gain = 1};
        struct transform transform = {.apply = apply_gamma, .parameters = &gamma};
        uint32_t given;

        int r = take_in_and_out(task, &transform);
        if (r == 0)
                r = options_read(task, gamma_options, N_OPTIONS(gamma_options), &gamma, &given);
        return r != 0 ? r : run_transform(task, &transform);
}

static const char *const mode_names[] = {
        [NOISE_GAUSSIAN] = "gaussian",
        [NOISE_LOCALVAR] = "localvar",
        [NOISE_SALT] = "salt",
        [NOISE_PEPPER] = "pepper",
        [NOISE_SALT_AND_PEPPER] = "s&p",
        [NOISE_SPECKLE] = "speckle",
        NULL,
};

enum noise_option {
        OPT_MODE,
        OPT_SEED,
        OPT_MEAN,
        OPT_VAR,
        OPT_AMOUNT,
        OPT_SALT_VS_PEPPER,
        OPT_LOCAL_VARS,
        OPT_CLIP
};

#define BIT(option) (UINT32_C(1) << (option))

/* As in scikit-image an option that a mode has no use for is a mistake, not ignored. */
static const uint32_t mode_options[] = {
        [NOISE_GAUSSIAN] = BIT(OPT_MEAN) | BIT(OPT_VAR),
        [NOISE_LOCALVAR] = BIT(OPT_LOCAL_VARS),
        [NOISE_SALT] = BIT(OPT_AMOUNT),
        [NOISE_PEPPER] = BIT(OPT_AMOUNT),
        [NOISE_SALT_AND_PEPPER] = BIT(OPT_AMOUNT) | BIT(OPT_SALT_VS_PEPPER),
        [NOISE_SPECKLE] = BIT(OPT_MEAN) | BIT(OPT_VAR),
};

static int push_local_var(struct ganger_task *task, struct noise *noise, const struct ganger_value *value)
{
        double var = value->type == GANGER_DOUBLE ? value->as.d
                     : value->type == GANGER_INT  ? (double)value->as.i
                                                  : -1;

        if (value->type != GANGER_DOUBLE && value->type != GANGER_INT)
                return ganger_fail(task, "local_vars has %s as element %zu; wanted is a number",
                                   type_name(value->type), noise->n_local_vars);
        if (!(var >= 0 && var <= noise_max))
                return ganger_fail(task, "local_vars has %g as element %zu; wanted is a number from 0 to %g",
                                   var, noise->n_local_vars, noise_max);
        noise->local_vars[noise->n_local_vars++] = (float)var;
        return 0;
}

/* A flat array of numbers or nested ones (rows, pixels): only their order counts. */
static int read_local_vars(struct ganger_task *task, void *field)
{
        struct noise *noise = (struct noise *)(void *)((char *)field - offsetof(struct noise, local_vars));
        uint64_t n_to_come = 1, room = 0;
        struct ganger_value value;

        for (bool first = true; n_to_come > 0; first = false) {
                int r = ganger_next(task, &value);
                if (r < 0)
                        return r;
                n_to_come--;
                if (value.type == GANGER_ARRAY) {
                        n_to_come += value.count;
                        room = noise->n_local_vars + n_to_come;
                        float *larger = realloc(noise->local_vars, (room + 1) * sizeof(*larger));
                        if (!larger)
                                return -ENOMEM;
                        noise->local_vars = larger;
                        continue;
                }
                if (first)
                        return ganger_fail(task, "option local_vars is %s; wanted is an array of numbers",
                                           type_name(value.type));
                r = push_local_var(task, noise, &value);
                if (r != 0)
                        return r;
        }
        return 0;
}

#define FIELD(member) .offset = offsetof(struct noise, member)

static const struct option noise_options[] = {
        [OPT_MODE] = {"mode", OPTION_CHOICE, FIELD(mode), .choices = mode_names},
        [OPT_SEED] = {"seed", OPTION_UINT, FIELD(seed)},
        [OPT_MEAN] = {"mean", OPTION_NUMBER, FIELD(mean), .min = -1e6, .max = 1e6},
        [OPT_VAR] = {"var", OPTION_NUMBER, FIELD(var), .min = 0, .max = 1e6},
        [OPT_AMOUNT] = {"amount", OPTION_NUMBER, FIELD(amount), .min = 0, .max = 1},
        [OPT_SALT_VS_PEPPER] = {"salt_vs_pepper", OPTION_NUMBER, FIELD(salt_vs_pepper), .min = 0, .max = 1},
        [OPT_LOCAL_VARS] = {"local_vars", OPTION_OWN, FIELD(local_vars), .read = read_local_vars},
        [OPT_CLIP] = {"clip", OPTION_BOOL, FIELD(clip)},
};

static int check_noise(struct ganger_task *task, struct noise *noise, uint32_t given)
{
        uint32_t fits = mode_options[noise->mode] | BIT(OPT_MODE) | BIT(OPT_SEED) | BIT(OPT_CLIP);

        for (unsigned i = 0; i < N_OPTIONS(noise_options); i++)
                if (given & ~fits & BIT(i))
                        return ganger_fail(task, "option %s has no meaning with the mode %s",
                                           noise_options[i].name, mode_names[noise->mode]);
        if (noise->mode == NOISE_LOCALVAR && !(given & BIT(OPT_LOCAL_VARS)))
                return ganger_fail(task, "the mode localvar wants the option local_vars");
        if (!(given & BIT(OPT_SEED))) {
                if (getrandom(&noise->seed, sizeof(noise->seed), 0) != sizeof(noise->seed))
                        return -errno;
                noise->seed >>= 11;
        }
        return 0;
}

static int apply_noise(struct ganger_task *task, struct image *image, void *parameters)
{
        struct noise_task *job = parameters;
        uint64_t n_pixels = (uint64_t)image->width * image->height;

        if (job->noise.mode == NOISE_LOCALVAR && job->noise.n_local_vars != n_pixels &&
            job->noise.n_local_vars != n_pixels * image->n_colours)
                return ganger_fail(
                        task,
                        "local_vars has %zu numbers; wanted is one for each of the %llu pixels, or one "
                        "for each of their %u colours",
                        job->noise.n_local_vars, (unsigned long long)n_pixels, image->n_colours);
        return noise_apply(task, &job->noise, image, &job->range);
}

static int put_noise(struct ganger_task *task, const void *parameters)
{
        const struct noise_task *job = parameters;
        int r = put_pair(task, "seed", job->noise.seed);

        if (r == 0)
                r = ganger_put_str(task, "low", strlen("low"));
        if (r == 0)
                r = ganger_put_double(task, job->range.low);
        if (r == 0)
                r = ganger_put_str(task, "high", strlen("high"));
        return r != 0 ? r : ganger_put_double(task, job->range.high);
}

static int run_noise(struct ganger_task *task)
{
        struct noise_task job = {
                .noise = {.var = 0.01, .amount = 0.05, .salt_vs_pepper = 0.5, .clip = true},
        };
        struct transform transform = {
                .apply = apply_noise, .put_extra = put_noise, .n_extra = 3, .parameters = &job};
        uint32_t given;

        int r = take_in_and_out(task, &transform);
        if (r == 0)
                r = options_read(task, noise_options, N_OPTIONS(noise_options), &job.noise, &given);
        if (r == 0)
                r = check_noise(task, &job.noise, given);
        if (r == 0)
                r = run_transform(task, &transform);
        free(job.noise.local_vars);
        return r;
}

static const struct ganger_function functions[] = {
        {.name = "noise",
         .run = run_noise,
         .summary = "[in, out, {mode, seed, mean, var, amount, salt_vs_pepper, local_vars, clip}] -> {width, "
                    "height, "
                    "channels, depth, seed, low, high}, or the PNG if out is nil"},
        {.name = "gamma",
         .run = run_gamma,
         .summary = "[in, out, {gamma, gain}] -> {width, height, channels, depth}, or the PNG if out is nil"},
};

GANGER_MODULE(.name = "image", .version = GANGER_VERSION, .functions = functions,
              .n_functions = N_OPTIONS(functions));
