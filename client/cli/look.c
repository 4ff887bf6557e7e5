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

void look_print(struct look_text text)
{
        for (size_t i = 0; i < text.size_bytes; i++)
                putchar(look_is_control(text.data[i]) ? '?' : text.data[i]);
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
