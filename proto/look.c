/* SPDX-License-Identifier: MIT */
/* Looking into values. */
#include "proto/look.h"

#include <stdio.h>
#include <string.h>

uint32_t look_array(struct reader *r)
{
        uint32_t n;

        return reader_array(r, &n) == 0 ? n : 0;
}

uint32_t look_map(struct reader *r)
{
        uint32_t n;

        return reader_map(r, &n) == 0 ? n : 0;
}

bool look_next(struct reader *r, struct reader *ret)
{
        const uint8_t *at;
        size_t size_bytes;

        if (reader_skip(r, &at, &size_bytes, NULL) < 0)
                return false;
        *ret = reader_over(at, size_bytes);
        return true;
}

bool look_key(struct reader map, const char *key, struct reader *ret)
{
        struct reader name;

        for (uint32_t n = look_map(&map); n > 0; n--) {
                if (!look_next(&map, &name) || !look_next(&map, ret))
                        return false;
                struct look_text text = look_whole_text(name);
                if (text.size_bytes == strlen(key) && memcmp(text.data, key, text.size_bytes) == 0)
                        return true;
        }
        return false;
}

struct look_text look_whole_text(struct reader value)
{
        struct look_text ret = {"", 0};

        if (reader_str(&value, &ret.data, &ret.size_bytes) < 0)
                ret = (struct look_text){"", 0};
        return ret;
}

struct look_text look_text(struct reader map, const char *key)
{
        struct reader value;

        return look_key(map, key, &value) ? look_whole_text(value) : (struct look_text){"", 0};
}

struct look_text look_bytes(struct reader map, const char *key)
{
        struct reader reader;
        struct value value;

        if (!look_key(map, key, &reader) || reader_next(&reader, &value) < 0 ||
            (value.type != VALUE_BIN && value.type != VALUE_STR))
                return (struct look_text){"", 0};
        return (struct look_text){(const char *)value.as.data, value.size};
}

uint64_t look_uint(struct reader map, const char *key, uint64_t otherwise)
{
        struct reader value;
        uint64_t u;

        return look_key(map, key, &value) && reader_uint(&value, &u) == 0 ? u : otherwise;
}

double look_double(struct reader map, const char *key, double otherwise)
{
        struct reader value;
        double d;

        return look_key(map, key, &value) && reader_double(&value, &d) == 0 ? d : otherwise;
}

bool look_true(struct reader map, const char *key)
{
        struct reader value;
        bool b;

        return look_key(map, key, &value) && reader_bool(&value, &b) == 0 && b;
}

bool look_is_nil(struct reader value)
{
        return reader_nil(&value);
}

bool look_line(struct look_text *rest, struct look_text *ret)
{
        if (rest->size_bytes == 0)
                return false;
        const char *end = memchr(rest->data, '\n', rest->size_bytes);
        size_t n = end ? (size_t)(end - rest->data) : rest->size_bytes;
        *ret = (struct look_text){rest->data, n};
        n += end != NULL;
        *rest = (struct look_text){rest->data + n, rest->size_bytes - n};
        return true;
}

bool look_is_control(char c)
{
        return ((unsigned char)c < 0x20 || c == 0x7f) && c != '\t';
}

bool look_is_clean(struct look_text text)
{
        for (size_t i = 0; i < text.size_bytes; i++)
                if (look_is_control(text.data[i]))
                        return false;
        return true;
}

void look_duration(double seconds, char *ret, size_t size_bytes)
{
        if (seconds < 0)
                snprintf(ret, size_bytes, "-");
        else if (seconds > 0 && seconds < 1e-3)
                snprintf(ret, size_bytes, "%.0f us", seconds * 1e6);
        else if (seconds < 1)
                snprintf(ret, size_bytes, "%.1f ms", seconds * 1e3);
        else if (seconds < 120)
                snprintf(ret, size_bytes, "%.1f s", seconds);
        else if (seconds < 7200)
                snprintf(ret, size_bytes, "%.0f min", seconds / 60);
        else if (seconds < 172800)
                snprintf(ret, size_bytes, "%.1f h", seconds / 3600);
        else
                snprintf(ret, size_bytes, "%.1f d", seconds / 86400);
}
