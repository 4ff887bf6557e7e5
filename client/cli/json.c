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

/* The fewest digits, of those that jansson is to print, that give back this number. */
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

static json_t *from_double(double d, int *digits)
{
        if (isnan(d))
                return json_string("NaN");
        if (isinf(d))
                return json_string(d > 0 ? "Infinity" : "-Infinity");
        int n = digits_of(d);
        if (n > *digits)
                *digits = n;
        return json_real(d);
}

static json_t *from_uint(uint64_t u)
{
        char text[24];

        if (u <= INT64_MAX)
                return json_integer((json_int_t)u);
        snprintf(text, sizeof text, "%llu", (unsigned long long)u);
        return json_string(text);
}

static json_t *base64(const uint8_t *data, size_t size_bytes)
{
        unsigned char *text = malloc((size_bytes + 2) / 3 * 4 + 1);

        if (!text)
                return NULL;
        int n = EVP_EncodeBlock(text, data, (int)size_bytes);
        json_t *ret = json_stringn((const char *)text, (size_t)n);
        free(text);
        return ret;
}

static json_t *from_bytes(const struct value *value)
{
        /* jansson takes valid UTF-8 alone, 0 bytes included. */
        json_t *text = json_stringn((const char *)value->as.data, value->size);

        return text ? text : json_pack("{s:o}", "$bin", base64(value->as.data, value->size));
}

static json_t *from_reader(struct reader *r, int *digits);

static json_t *from_array(struct reader *r, uint32_t n, int *digits)
{
        json_t *array = json_array();

        for (uint32_t i = 0; array && i < n; i++) {
                json_t *element = from_reader(r, digits);
                if (!element || json_array_append_new(array, element) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

/* JSON's keys are strings: another key is its own JSON text. */
static char *key_text(struct reader *r, int *digits, size_t *ret_size_bytes)
{
        json_t *key = from_reader(r, digits);
        char *text = NULL;

        if (json_is_string(key)) {
                *ret_size_bytes = json_string_length(key);
                text = malloc(*ret_size_bytes + 1);
                if (text)
                        memcpy(text, json_string_value(key), *ret_size_bytes + 1);
        } else if (key) {
                text = json_dumps(key, JSON_ENCODE_ANY | JSON_COMPACT);
                *ret_size_bytes = text ? strlen(text) : 0;
        }
        json_decref(key);
        return text;
}

static json_t *from_map(struct reader *r, uint32_t n, int *digits)
{
        json_t *object = json_object();

        for (uint32_t i = 0; object && i < n; i++) {
                size_t size_bytes = 0;
                char *key = key_text(r, digits, &size_bytes);
                json_t *element = key ? from_reader(r, digits) : NULL;
                int error = !element || json_object_setn_new(object, key, size_bytes, element) < 0;
                free(key);
                if (error) {
                        json_decref(object);
                        return NULL;
                }
        }
        return object;
}

static json_t *from_reader(struct reader *r, int *digits)
{
        struct value value;

        if (reader_next(r, &value) < 0)
                return NULL;
        switch (value.type) {
        case VALUE_NIL:
                return json_null();
        case VALUE_BOOL:
                return json_boolean(value.as.boolean);
        case VALUE_UINT:
                return from_uint(value.as.u);
        case VALUE_INT:
                return json_integer(value.as.i);
        case VALUE_DOUBLE:
                return from_double(value.as.d, digits);
        case VALUE_STR:
        case VALUE_BIN:
                return from_bytes(&value);
        case VALUE_ARRAY:
                return from_array(r, value.size, digits);
        case VALUE_MAP:
                return from_map(r, value.size, digits);
        case VALUE_EXT:
                return json_pack("{s:[i,o]}", "$ext", value.ext_type, base64(value.as.data, value.size));
        }
        return NULL;
}

int json_write(FILE *file, const void *data, size_t size_bytes)
{
        struct reader r = reader_over(data, size_bytes);
        int digits = 15;
        json_t *json = from_reader(&r, &digits);

        if (!json)
                return -EINVAL;
        int error =
                json_dumpf(json, file, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION((size_t)digits));
        json_decref(json);
        return error < 0 ? -EIO : 0;
}

int json_write_text(FILE *file, const char *text, size_t size_bytes)
{
        struct value value = {
                .type = VALUE_STR, .size = (uint32_t)size_bytes, .as.data = (const uint8_t *)text};
        json_t *json = from_bytes(&value);

        if (!json)
                return -ENOMEM;
        int error = json_dumpf(json, file, JSON_ENCODE_ANY | JSON_COMPACT);
        json_decref(json);
        return error < 0 ? -EIO : 0;
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
