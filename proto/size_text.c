/* SPDX-License-Identifier: MIT */
#include "proto/size_text.h"

#include <inttypes.h>
#include <stdio.h>

const char *size_text(uint64_t size_bytes, char ret[SIZE_TEXT_BYTES])
{
        static const char *const units[] = {"", "K", "M", "G"};
        unsigned unit = 0;

        while (unit < 3 && size_bytes != 0 && size_bytes % 1024 == 0) {
                size_bytes /= 1024;
                unit++;
        }
        snprintf(ret, SIZE_TEXT_BYTES, "%" PRIu64 "%s", size_bytes, units[unit]);
        return ret;
}
