/* SPDX-License-Identifier: MIT */
/*
 * PNG by libpng. libpng reports errors by longjmp: each setjmp stands in a function of its own whose locals
 * do not change after it, everything that does lives in the struct that the function was given.
 */
#include "daemon/modules/image_png.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_BYTES = 8, ENCODE_BUFFER_BYTES = 64 * 1024 };

/* One picture on its way in or out; libpng's error and io pointer. */
struct codec {
        struct ganger_task *task;
        struct input *input;
        const char *data; /* of the input, not yet taken */
        size_t n_data;
        struct output *output;
        int result;        /* of a read or write that failed, or of ganger_fail(); 0: libpng's own error */
        char message[160]; /* libpng's own error */
};

struct image_origin {
        png_structp png;
        png_infop info;
        struct codec codec;
};

/* What is not carried over is not kept: a compressed text of some bytes may be megabytes long. */
static const png_byte dropped_chunks[] = "tEXt\0zTXt\0iTXt\0sPLT\0eXIf\0hIST\0pCAL\0sCAL\0oFFs\0tIME\0bKGD";

_Noreturn static void codec_on_error(png_structp png, png_const_charp message)
{
        struct codec *codec = png_get_error_ptr(png);

        snprintf(codec->message, sizeof(codec->message), "%s", message);
        png_longjmp(png, 1);
}

static void codec_on_warning(png_structp png, png_const_charp message)
{
        ganger_log(((struct codec *)png_get_error_ptr(png))->task, GANGER_DEBUG, "libpng: %s", message);
}

_Noreturn static void codec_stop(png_structp png, int result)
{
        ((struct codec *)png_get_error_ptr(png))->result = result;
        png_longjmp(png, 1);
}

static void codec_on_read(png_structp png, png_bytep to, size_t size_bytes)
{
        struct codec *codec = png_get_io_ptr(png);

        while (size_bytes > 0) {
                if (codec->n_data == 0) {
                        int r = input_next(codec->task, codec->input, &codec->data, &codec->n_data);
                        if (r != 0)
                                codec_stop(png, r);
                        if (codec->n_data == 0)
                                png_error(png, "it ends in the middle of the picture (cut off?)");
                }
                size_t n = size_bytes < codec->n_data ? size_bytes : codec->n_data;
                memcpy(to, codec->data, n);
                codec->data += n;
                codec->n_data -= n;
                to += n;
                size_bytes -= n;
        }
}

static void codec_on_write(png_structp png, png_bytep from, size_t size_bytes)
{
        struct codec *codec = png_get_io_ptr(png);
        int r = output_write(codec->task, codec->output, from, size_bytes);

        if (r == -ECANCELED)
                codec_stop(png, r);
        if (r < 0)
                codec_stop(png, output_fail(codec->task, codec->output, -r));
}

static void codec_on_flush(png_structp png)
{
}

static void check_cancelled(struct codec *codec, png_structp png)
{
        if (ganger_cancelled(codec->task))
                codec_stop(png, -ECANCELED);
}

static bool is_little_endian(void)
{
        return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
}

static void check_size(struct codec *codec, png_structp png, uint64_t width, uint64_t height)
{
        if (width * height > IMAGE_PIXELS_MAX)
                codec_stop(png, ganger_fail(codec->task,
                                            "%s is too large: %llu x %llu pixels, at most %u are taken",
                                            codec->input->name, (unsigned long long)width,
                                            (unsigned long long)height, IMAGE_PIXELS_MAX));
}

static void decode_header(struct codec *codec, struct image *image)
{
        png_structp png = image->origin->png;
        png_infop info = image->origin->info;

        png_read_info(png, info);
        image->width = png_get_image_width(png, info);
        image->height = png_get_image_height(png, info);
        check_size(codec, png, image->width, image->height);
        png_set_expand(png);
        if (is_little_endian())
                png_set_swap(png);
}

static void decode_rows(struct codec *codec, struct image *image)
{
        png_structp png = image->origin->png;
        png_infop info = image->origin->info;

        int n_passes = png_set_interlace_handling(png);
        png_read_update_info(png, info);
        image->channels = png_get_channels(png, info);
        image->n_colours = image->channels - (image->channels % 2 == 0 ? 1 : 0);
        image->depth = png_get_bit_depth(png, info);
        image->row_bytes = png_get_rowbytes(png, info);
        if (image->row_bytes != (size_t)image->width * image->channels * image->depth / 8)
                png_error(png, "it has a form that is not known here");
        /* zeroed by the kernel: rows that a small file only claims cost nothing until they come */
        image->samples = calloc(image->height, image->row_bytes);
        if (!image->samples)
                codec_stop(png, -ENOMEM);
        for (int pass = 0; pass < n_passes; pass++) {
                for (uint32_t y = 0; y < image->height; y++) {
                        check_cancelled(codec, png);
                        png_read_row(png, image->samples + y * image->row_bytes, NULL);
                }
        }
        png_read_end(png, NULL);
}

static int decode(struct codec *codec, struct image *image)
{
        png_structp png = image->origin->png;

        if (setjmp(png_jmpbuf(png)))
                return codec->result != 0 ? codec->result
                                          : ganger_fail(codec->task, "cannot read %s as a PNG: %s",
                                                        codec->input->name, codec->message);
        png_set_read_fn(png, codec, codec_on_read);
        png_set_sig_bytes(png, SIGNATURE_BYTES);
        png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, dropped_chunks, sizeof(dropped_chunks) / 5);
        /* the sides are judged by check_size(), whose message says what is wrong */
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        decode_header(codec, image);
        decode_rows(codec, image);
        return 0;
}

/* Takes the signature, so that a file that is no PNG at all is told from a damaged one. */
static int read_signature(struct codec *codec)
{
        unsigned char signature[SIGNATURE_BYTES];
        size_t n = 0;

        while (n < SIGNATURE_BYTES) {
                if (codec->n_data == 0) {
                        int r = input_next(codec->task, codec->input, &codec->data, &codec->n_data);
                        if (r != 0)
                                return r;
                        if (codec->n_data == 0)
                                break;
                }
                signature[n++] = (unsigned char)*codec->data++;
                codec->n_data--;
        }
        if (n == 0)
                return ganger_fail(codec->task, "%s is empty; a PNG is wanted", codec->input->name);
        if (n < SIGNATURE_BYTES || png_sig_cmp(signature, 0, SIGNATURE_BYTES) != 0)
                return ganger_fail(codec->task, "%s is no PNG", codec->input->name);
        return 0;
}

static struct image *image_new(struct ganger_task *task, struct input *input)
{
        struct image *image = calloc(1, sizeof(*image));
        struct image_origin *origin = calloc(1, sizeof(*origin));

        if (!image || !origin) {
                free(image);
                free(origin);
                return NULL;
        }
        image->origin = origin;
        origin->codec.task = task;
        origin->codec.input = input;
        origin->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &origin->codec, codec_on_error,
                                             codec_on_warning);
        if (origin->png)
                origin->info = png_create_info_struct(origin->png);
        return origin->info ? image : image_free(image);
}

int image_read(struct ganger_task *task, struct input *input, struct image **ret)
{
        struct image *image = image_new(task, input);

        if (!image)
                return -ENOMEM;
        int r = read_signature(&image->origin->codec);
        if (r == 0)
                r = decode(&image->origin->codec, image);
        *ret = r == 0 ? image : image_free(image);
        return r;
}

struct image *image_free(struct image *image)
{
        if (!image)
                return NULL;
        if (image->origin)
                png_destroy_read_struct(&image->origin->png, &image->origin->info, NULL);
        free(image->origin);
        free(image->samples);
        free(image);
        return NULL;
}

/* How the picture is to be shown is still true of the result. */
static void carry_over(png_structp png, png_infop info, const struct image_origin *from)
{
        png_fixed_point gamma, white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y;
        png_uint_32 per_unit_x, per_unit_y, profile_bytes;
        png_bytep profile;
        png_charp name;
        int intent, unit, compression;

        if (png_get_gAMA_fixed(from->png, from->info, &gamma))
                png_set_gAMA_fixed(png, info, gamma);
        if (png_get_cHRM_fixed(from->png, from->info, &white_x, &white_y, &red_x, &red_y, &green_x, &green_y,
                               &blue_x, &blue_y))
                png_set_cHRM_fixed(png, info, white_x, white_y, red_x, red_y, green_x, green_y, blue_x,
                                   blue_y);
        if (png_get_sRGB(from->png, from->info, &intent))
                png_set_sRGB(png, info, intent);
        if (png_get_iCCP(from->png, from->info, &name, &compression, &profile, &profile_bytes))
                png_set_iCCP(png, info, name, compression, profile, profile_bytes);
        if (png_get_pHYs(from->png, from->info, &per_unit_x, &per_unit_y, &unit))
                png_set_pHYs(png, info, per_unit_x, per_unit_y, unit);
}

static int encode(struct codec *codec, png_structp png, png_infop info, const struct image *image)
{
        static const int colour_types[] = {[1] = PNG_COLOR_TYPE_GRAY,
                                           [2] = PNG_COLOR_TYPE_GRAY_ALPHA,
                                           [3] = PNG_COLOR_TYPE_RGB,
                                           [4] = PNG_COLOR_TYPE_RGB_ALPHA};

        if (setjmp(png_jmpbuf(png)))
                return codec->result != 0 ? codec->result
                                          : ganger_fail(codec->task, "cannot write a PNG to %s: %s",
                                                        codec->output->name, codec->message);
        png_set_write_fn(png, codec, codec_on_write, codec_on_flush);
        png_set_benign_errors(png, 1);
        png_set_compression_buffer_size(png, ENCODE_BUFFER_BYTES);
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_set_IHDR(png, info, image->width, image->height, (int)image->depth, colour_types[image->channels],
                     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        carry_over(png, info, image->origin);
        png_write_info(png, info);
        if (image->depth == 16 && is_little_endian())
                png_set_swap(png);
        for (uint32_t y = 0; y < image->height; y++) {
                check_cancelled(codec, png);
                png_write_row(png, image->samples + y * image->row_bytes);
        }
        png_write_end(png, info);
        return 0;
}

int image_write(struct ganger_task *task, const struct image *image, struct output *output)
{
        struct codec codec = {.task = task, .output = output};
        png_infop info = NULL;

        png_structp png =
                png_create_write_struct(PNG_LIBPNG_VER_STRING, &codec, codec_on_error, codec_on_warning);
        if (png)
                info = png_create_info_struct(png);
        int r = info ? encode(&codec, png, info, image) : -ENOMEM;
        png_destroy_write_struct(&png, &info);
        return r;
}
