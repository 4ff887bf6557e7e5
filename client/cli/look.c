/* SPDX-License-Identifier: MIT */
/* Looking into answers. */
#include "client/cli/look.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/cli.h"

struct reader look_reader(const struct ganger_reply *reply)
{
        size_t size_bytes;
        const void *data = ganger_data(reply, &size_bytes);

        return reader_over(data, size_bytes);
}

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

static bool is_clean(char c)
{
        return ((unsigned char)c >= 0x20 && c != 0x7f) || c == '\t';
}

bool look_is_clean(struct look_text text)
{
        for (size_t i = 0; i < text.size_bytes; i++)
                if (!is_clean(text.data[i]))
                        return false;
        return true;
}

void look_print(struct look_text text)
{
        for (size_t i = 0; i < text.size_bytes; i++)
                putchar(is_clean(text.data[i]) ? text.data[i] : '?');
}

double look_now(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool look_is_date(struct look_text name)
{
        static const char *const dates[] = {"submitted", "due", "started", "ended", "expires", "since"};

        for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
                if (strlen(dates[i]) == name.size_bytes && memcmp(dates[i], name.data, name.size_bytes) == 0)
                        return true;
        return false;
}

void look_date(double seconds, char *ret, size_t size_bytes)
{
        time_t whole = (time_t)seconds;
        struct tm tm;
        char date[32];

        localtime_r(&whole, &tm);
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
        snprintf(ret, size_bytes, "%s.%03d", date, (int)((seconds - (double)whole) * 1e3));
}

bool look_since(const char *text, double *ret)
{
        static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
                                              "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
        time_t now = time(NULL);
        struct tm tm;
        double ago;

        if (cli_seconds(text, &ago)) {
                *ret = look_now() - ago;
                return true;
        }
        if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
                localtime_r(&now, &tm);
                tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
                tm.tm_mday -= strcmp(text, "yesterday") == 0;
                tm.tm_isdst = -1;
                *ret = (double)mktime(&tm);
                return true;
        }
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
                memset(&tm, 0, sizeof tm);
                const char *end = strptime(text, formats[i], &tm);
                if (!end || *end)
                        continue;
                tm.tm_isdst = -1;
                *ret = (double)mktime(&tm);
                return *ret > 0;
        }
        return false;
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

void look_size(uint64_t bytes, char *ret, size_t size_bytes)
{
        static const char units[] = "BKMGT";
        double size = (double)bytes;
        size_t unit = 0;

        while (size >= 1024 && unit < sizeof units - 2) {
                size /= 1024;
                unit++;
        }
        snprintf(ret, size_bytes, unit == 0 ? "%.0f%c" : "%.1f%c", size, units[unit]);
}
