/* SPDX-License-Identifier: MIT */
/* JSON out, by jansson. In is arguments.c. */
#include "client/cli/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reader.h"

/* Takes the value, which is no array or object. */
static int write_leaf(FILE *file, json_t *leaf, int digits)
{
        if (!leaf)
                return -ENOMEM;
        int error = json_dumpf(leaf, file, JSON_ENCODE_ANY | JSON_REAL_PRECISION((size_t)digits));
        json_decref(leaf);
        return error < 0 ? -EIO : 0;
}

/* The fewest digits that give back this number. */
static int digits_of(double d)
{
        char text[40];

        for (int digits = 15; digits < 17; digits++) {
                snprintf(text, sizeof text, "%.*g", digits, d);
                if (strtod(text, NULL) == d)
                        return digits;
        }
        return 17;
}

static int write_double(FILE *file, double d)
{
        if (isnan(d))
                return write_leaf(file, json_string("NaN"), 0);
        if (isinf(d))
                return write_leaf(file, json_string(d > 0 ? "Infinity" : "-Infinity"), 0);
        return write_leaf(file, json_real(d), digits_of(d));
}

static json_t *from_uint(uint64_t u)
{
        char text[24];

        if (u <= INT64_MAX)
                return json_integer((json_int_t)u);
        snprintf(text, sizeof text, "%llu", (unsigned long long)u);
        return json_string(text);
}

static int write_base64(FILE *file, const uint8_t *data, size_t size_bytes)
{
        unsigned char *text = malloc((size_bytes + 2) / 3 * 4 + 1);

        if (!text)
                return -ENOMEM;
        int n = EVP_EncodeBlock(text, data, (int)size_bytes);
        int r = write_leaf(file, json_stringn((const char *)text, (size_t)n), 0);
        free(text);
        return r;
}

static int write_bytes(FILE *file, const uint8_t *data, size_t size_bytes)
{
        /* jansson takes valid UTF-8 alone, 0 bytes included. */
        json_t *text = json_stringn((const char *)data, size_bytes);

        if (text)
                return write_leaf(file, text, 0);
        fputs("{\"$bin\":", file);
        int r = write_base64(file, data, size_bytes);
        putc('}', file);
        return r;
}

static int write_value(FILE *file, struct reader *r);

static int write_array(FILE *file, struct reader *r, uint32_t n)
{
        int error = 0;

        putc('[', file);
        for (uint32_t i = 0; error == 0 && i < n; i++) {
                if (i > 0)
                        putc(',', file);
                error = write_value(file, r);
        }
        putc(']', file);
        return error;
}

/* JSON's keys are strings: another key is its own JSON text. */
static int write_key(FILE *file, struct reader *r)
{
        struct reader peek = *r;
        struct value value;
        char *text = NULL;
        size_t size_bytes = 0;

        if (reader_next(&peek, &value) == 0 && (value.type == VALUE_STR || value.type == VALUE_BIN) &&
            utf8_valid(value.as.data, value.size))
                return write_value(file, r);
        FILE *own = open_memstream(&text, &size_bytes);
        if (!own)
                return -ENOMEM;
        int error = write_value(own, r);
        if (fclose(own) != 0 && error == 0)
                error = -ENOMEM;
        if (error == 0)
                error = json_write_text(file, text, size_bytes);
        free(text);
        return error;
}

static int write_map(FILE *file, struct reader *r, uint32_t n)
{
        int error = 0;

        putc('{', file);
        for (uint32_t i = 0; error == 0 && i < n; i++) {
                if (i > 0)
                        putc(',', file);
                error = write_key(file, r);
                putc(':', file);
                if (error == 0)
                        error = write_value(file, r);
        }
        putc('}', file);
        return error;
}

static int write_ext(FILE *file, const struct value *value)
{
        fprintf(file, "{\"$ext\":[%d,", value->ext_type);
        int error = write_base64(file, value->as.data, value->size);
        fputs("]}", file);
        return error;
}

static int write_value(FILE *file, struct reader *r)
{
        struct value value;

        if (reader_next(r, &value) < 0)
                return -EINVAL;
        switch (value.type) {
        case VALUE_NIL:
                return write_leaf(file, json_null(), 0);
        case VALUE_BOOL:
                return write_leaf(file, json_boolean(value.as.boolean), 0);
        case VALUE_UINT:
                return write_leaf(file, from_uint(value.as.u), 0);
        case VALUE_INT:
                return write_leaf(file, json_integer(value.as.i), 0);
        case VALUE_DOUBLE:
                return write_double(file, value.as.d);
        case VALUE_STR:
        case VALUE_BIN:
                return write_bytes(file, value.as.data, value.size);
        case VALUE_ARRAY:
                return write_array(file, r, value.size);
        case VALUE_MAP:
                return write_map(file, r, value.size);
        case VALUE_EXT:
                return write_ext(file, &value);
        }
        return -EINVAL;
}

int json_write(FILE *file, const void *data, size_t size_bytes)
{
        struct reader r = reader_over(data, size_bytes);

        return write_value(file, &r);
}

int json_write_text(FILE *file, const char *text, size_t size_bytes)
{
        return write_bytes(file, (const uint8_t *)text, size_bytes);
}

int json_write_raw(FILE *file, const void *data, size_t size_bytes)
{
        struct reader r = reader_over(data, size_bytes);
        struct value value;

        if (reader_next(&r, &value) == 0 && (value.type == VALUE_STR || value.type == VALUE_BIN))
                return fwrite(value.as.data, 1, value.size, file) == value.size ? 0 : -EIO;
        int error = json_write(file, data, size_bytes);
        putc('\n', file);
        return error;
}
