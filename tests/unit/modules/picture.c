/* SPDX-License-Identifier: MIT */
/*
 * Pictures for tests. libpng's default error handler prints and jumps; without a jump buffer set it aborts,
 * which is what a test wants.
 */
#include "tests/unit/modules/picture.h"

#include <dirent.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_or_abort(const char *path, const char *mode)
{
        FILE *file = fopen(path, mode);

        if (!file) {
                perror(path);
                abort();
        }
        return file;
}

static size_t n_samples(const struct picture *picture)
{
        return (size_t)picture->width * picture->height * picture->channels;
}

void picture_fill(struct picture *picture,
                  unsigned (*value)(unsigned x, unsigned y, unsigned channel, unsigned max))
{
        unsigned *to = picture->samples = calloc(n_samples(picture), sizeof(*to));

        for (unsigned y = 0; y < picture->height; y++)
                for (unsigned x = 0; x < picture->width; x++)
                        for (unsigned c = 0; c < picture->channels; c++)
                                *to++ = value(x, y, c, (1U << picture->depth) - 1);
}

void picture_deinit(struct picture *picture)
{
        free(picture->samples);
        picture->samples = NULL;
}

/* The rows as PNG has them: big-endian. */
static unsigned char *to_rows(const struct picture *picture)
{
        size_t bytes = picture->depth / 8;
        unsigned char *rows = malloc(n_samples(picture) * bytes + 1);

        for (size_t i = 0; i < n_samples(picture); i++) {
                if (bytes == 2)
                        rows[2 * i] = (unsigned char)(picture->samples[i] >> 8);
                rows[bytes * i + bytes - 1] = (unsigned char)picture->samples[i];
        }
        return rows;
}

static void write_with(const struct picture *picture, const char *path, int interlace)
{
        static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                    PNG_COLOR_TYPE_RGB_ALPHA};
        FILE *file = open_or_abort(path, "w");
        png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);
        unsigned char *rows = to_rows(picture);
        size_t row_bytes = (size_t)picture->width * picture->channels * picture->depth / 8;

        png_init_io(png, file);
        png_set_IHDR(png, info, picture->width, picture->height, (int)picture->depth,
                     types[picture->channels], interlace, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        int n_passes = png_set_interlace_handling(png);
        for (int pass = 0; pass < n_passes; pass++)
                for (unsigned y = 0; y < picture->height; y++)
                        png_write_row(png, rows + y * row_bytes);
        png_write_end(png, NULL);
        png_destroy_write_struct(&png, &info);
        free(rows);
        fclose(file);
}

void picture_write(const struct picture *picture, const char *path)
{
        write_with(picture, path, PNG_INTERLACE_NONE);
}

void picture_write_interlaced(const struct picture *picture, const char *path)
{
        write_with(picture, path, PNG_INTERLACE_ADAM7);
}

void picture_read(struct picture *ret, const char *path)
{
        FILE *file = open_or_abort(path, "r");
        png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);

        png_init_io(png, file);
        png_read_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
        *ret = (struct picture){png_get_image_width(png, info), png_get_image_height(png, info),
                                png_get_channels(png, info), png_get_bit_depth(png, info), NULL};
        unsigned *to = ret->samples = calloc(n_samples(ret), sizeof(*to));
        png_bytepp rows = png_get_rows(png, info);
        for (unsigned y = 0; y < ret->height; y++)
                for (size_t i = 0; i < (size_t)ret->width * ret->channels; i++)
                        *to++ = ret->depth == 8 ? rows[y][i]
                                                : (unsigned)rows[y][2 * i] << 8 | rows[y][2 * i + 1];
        png_destroy_read_struct(&png, &info, NULL);
        fclose(file);
}

static void write_one_row(const char *path, unsigned width, int bits, int type, unsigned char row)
{
        png_color palette[] = {{10, 20, 30}, {40, 50, 60}};
        unsigned char alpha[] = {255, 128};
        FILE *file = open_or_abort(path, "w");
        png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);

        png_init_io(png, file);
        png_set_IHDR(png, info, width, 1, bits, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        if (type == PNG_COLOR_TYPE_PALETTE) {
                png_set_PLTE(png, info, palette, 2);
                png_set_tRNS(png, info, alpha, 2, NULL);
        }
        png_write_info(png, info);
        png_write_row(png, &row);
        png_write_end(png, NULL);
        png_destroy_write_struct(&png, &info);
        fclose(file);
}

void picture_write_grey_bits(const char *path, int bits)
{
        write_one_row(path, 1U << bits, bits, PNG_COLOR_TYPE_GRAY, bits == 1 ? 0x40 : 0x1b);
}

void picture_write_palette(const char *path)
{
        write_one_row(path, 2, 1, PNG_COLOR_TYPE_PALETTE, 0x40);
}

void picture_write_claim(const char *path, unsigned width, unsigned height)
{
        FILE *file = open_or_abort(path, "w");
        png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);

        png_init_io(png, file);
        png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
        png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        png_write_chunk(png, (png_const_bytep) "IDAT", (png_const_bytep) "\x78\x9c", 2);
        png_destroy_write_struct(&png, &info);
        fclose(file);
}

char *picture_load(const char *path, size_t *ret_size_bytes)
{
        enum { LARGEST = 1 << 20 };
        FILE *file = open_or_abort(path, "r");
        char *data = malloc(LARGEST);

        *ret_size_bytes = fread(data, 1, LARGEST, file);
        fclose(file);
        return data;
}

int picture_count_files(const char *directory)
{
        DIR *stream = opendir(directory);
        struct dirent *entry;
        int n = 0;

        if (!stream)
                abort();
        while ((entry = readdir(stream)))
                n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        closedir(stream);
        return n;
}
