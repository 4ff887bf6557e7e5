/* SPDX-License-Identifier: MIT */
/* The elements of values and arrays: a row for each type, made from ganger_shared.h's functions of it. */
#include "client/cli/numbers.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"

static bool parse_signed(const char *text, int64_t min, int64_t max, union number *ret)
{
        return cli_integer(text, min, max, &ret->i);
}

static bool parse_unsigned(const char *text, uint64_t max, union number *ret)
{
        char *end;

        if (*text < '0' || *text > '9')
                return false;
        errno = 0;
        ret->u = strtoull(text, &end, 10);
        return errno == 0 && !*end && ret->u <= max;
}

/* The words inf and nan are numbers here; what is only too large for one is not. */
static bool parse_f64(const char *text, union number *ret)
{
        char *end;

        errno = 0;
        ret->d = strtod(text, &end);
        return end != text && !*end && !(errno == ERANGE && isinf(ret->d));
}

static bool parse_f32(const char *text, union number *ret)
{
        return parse_f64(text, ret) && (isinf(ret->d) || !isinf((float)ret->d));
}

static void print_signed(FILE *file, union number n)
{
        fprintf(file, "%" PRId64, n.i);
}

static void print_unsigned(FILE *file, union number n)
{
        fprintf(file, "%" PRIu64, n.u);
}

static void print_f64(FILE *file, union number n)
{
        struct buffer b = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &b);
        pack_double(&p, n.d);
        if (pack_end(&p) == 0)
                json_write(file, buffer_at(&b), buffer_size(&b));
        buffer_deinit(&b);
}

/* With the fewest digits that give back this number: of 0.1 what is nearest to 0.1. */
static void print_f32(FILE *file, union number n)
{
        char text[40];

        for (int digits = 6; digits <= 9; digits++) {
                snprintf(text, sizeof text, "%.*g", digits, n.d);
                if (strtof(text, NULL) == (float)n.d)
                        break;
        }
        n.d = strtod(text, NULL);
        print_f64(file, n);
}

/* T, its C type, and the member of union number that has it, of type W. */
#define FUNCTIONS(T, C, member, W)                                                                           \
        static int get_##T(const struct ganger_shared *s, uint64_t index, union number *ret)                 \
        {                                                                                                    \
                C value = 0;                                                                                 \
                int r = ganger_shared_get_##T(s, index, &value);                                             \
                ret->member = (W)value;                                                                      \
                return r;                                                                                    \
        }                                                                                                    \
        static int set_##T(const struct ganger_shared *s, uint64_t index, union number value)                \
        {                                                                                                    \
                return ganger_shared_set_##T(s, index, (C)value.member);                                     \
        }                                                                                                    \
        static int add_##T(const struct ganger_shared *s, uint64_t index, union number value,                \
                           union number *ret)                                                                \
        {                                                                                                    \
                C sum = 0;                                                                                   \
                int r = ganger_shared_add_##T(s, index, (C)value.member, &sum);                              \
                ret->member = (W)sum;                                                                        \
                return r;                                                                                    \
        }                                                                                                    \
        static int cas_##T(const struct ganger_shared *s, uint64_t index, union number *expected,            \
                           union number value)                                                               \
        {                                                                                                    \
                C before = (C)expected->member;                                                              \
                int r = ganger_shared_cas_##T(s, index, &before, (C)value.member);                           \
                expected->member = (W)before;                                                                \
                return r;                                                                                    \
        }                                                                                                    \
        static int wait_##T(const struct ganger_shared *s, uint64_t index, union number old,                 \
                            union number *ret, int64_t timeout_ms)                                           \
        {                                                                                                    \
                C now = 0;                                                                                   \
                int r = ganger_shared_wait_##T(s, index, (C)old.member, &now, timeout_ms);                   \
                ret->member = (W)now;                                                                        \
                return r;                                                                                    \
        }

#define SIGNED(T, C, min, max)                                                                               \
        FUNCTIONS(T, C, i, int64_t)                                                                          \
        static bool parse_##T(const char *text, union number *ret)                                           \
        {                                                                                                    \
                return parse_signed(text, min, max, ret);                                                    \
        }

#define UNSIGNED(T, C, max)                                                                                  \
        FUNCTIONS(T, C, u, uint64_t)                                                                         \
        static bool parse_##T(const char *text, union number *ret)                                           \
        {                                                                                                    \
                return parse_unsigned(text, max, ret);                                                       \
        }

SIGNED(i8, int8_t, INT8_MIN, INT8_MAX)
SIGNED(i16, int16_t, INT16_MIN, INT16_MAX)
SIGNED(i32, int32_t, INT32_MIN, INT32_MAX)
SIGNED(i64, int64_t, INT64_MIN, INT64_MAX)
UNSIGNED(u8, uint8_t, UINT8_MAX)
UNSIGNED(u16, uint16_t, UINT16_MAX)
UNSIGNED(u32, uint32_t, UINT32_MAX)
UNSIGNED(u64, uint64_t, UINT64_MAX)
FUNCTIONS(f32, float, d, double)
FUNCTIONS(f64, double, d, double)

#define ROW(T, TYPE, takes_, print_)                                                                         \
        [TYPE] = {takes_, parse_##T, get_##T, set_##T, add_##T, cas_##T, wait_##T, print_}

static const struct number_type types[GANGER_SHARED_N_TYPES] = {
        ROW(i8, GANGER_SHARED_I8, "an integer from -128 to 127", print_signed),
        ROW(i16, GANGER_SHARED_I16, "an integer from -32768 to 32767", print_signed),
        ROW(i32, GANGER_SHARED_I32, "an integer of 32 bits", print_signed),
        ROW(i64, GANGER_SHARED_I64, "an integer of 64 bits", print_signed),
        ROW(u8, GANGER_SHARED_U8, "an integer from 0 to 255", print_unsigned),
        ROW(u16, GANGER_SHARED_U16, "an integer from 0 to 65535", print_unsigned),
        ROW(u32, GANGER_SHARED_U32, "an integer of 32 bits, not negative", print_unsigned),
        ROW(u64, GANGER_SHARED_U64, "an integer of 64 bits, not negative", print_unsigned),
        ROW(f32, GANGER_SHARED_F32, "a number", print_f32),
        ROW(f64, GANGER_SHARED_F64, "a number", print_f64),
};

const struct number_type *number_type_of(const struct ganger_shared *s)
{
        return types[s->type].get ? &types[s->type] : NULL;
}
