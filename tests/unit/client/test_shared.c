/* SPDX-License-Identifier: MIT */
/* Values and arrays in shared memory: every type, bounds, waiting, between processes, under hostile writers.
 */
#include <errno.h>
#include <float.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/shared_memory.h"
#include "tests/support/shared_work.h"
#include "tests/unit/cmocka_includes.h"

enum { PATIENCE_MS = SHARED_PATIENCE_MS, PROCESSES = 4 };

static void pause_ms(int ms)
{
        struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

        nanosleep(&pause, NULL);
}

static void view_new(struct ganger_shared *ret, enum ganger_shared_type type, uint64_t length)
{
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, type, length);

        assert_true(fd >= 0);
        assert_int_equal(ganger_shared_map(ret, fd, GANGER_SHARED_ARRAY, type, length), 0);
        close(fd);
}

/* The same memory, as one who may only read it sees it. */
static void view_read_only(struct ganger_shared *ret, struct ganger_shared *writable,
                           enum ganger_shared_type type, uint64_t length)
{
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, type, length), reader = shared_memory_read_only(fd);

        assert_true(reader >= 0);
        assert_int_equal(ganger_shared_map(writable, fd, GANGER_SHARED_ARRAY, type, length), 0);
        assert_int_equal(ganger_shared_map(ret, reader, GANGER_SHARED_ARRAY, type, length), 0);
        assert_false(ret->writable);
        close(fd);
        close(reader);
}

static struct ganger_shared_header *header_of(const struct ganger_shared *s)
{
        return s->address;
}

/* A child that runs the function and exits with what it returns. */
static pid_t start(int (*run)(const struct ganger_shared *, int), const struct ganger_shared *s, int argument)
{
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(run(s, argument));
}

static int status_of(pid_t pid)
{
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* -- layout and mapping -- */

static void test_names_and_sizes(void **state)
{
        static const struct {
                const char *name;
                enum ganger_shared_type type;
                unsigned item_bytes;
        } types[] = {
                {"i8", 0, 1},  {"i16", 1, 2}, {"i32", 2, 4}, {"i64", 3, 8}, {"u8", 4, 1},     {"u16", 5, 2},
                {"u32", 6, 4}, {"u64", 7, 8}, {"f32", 8, 4}, {"f64", 9, 8}, {"bytes", 10, 1},
        };

        assert_int_equal(sizeof types / sizeof *types, GANGER_SHARED_N_TYPES);
        for (int i = 0; i < GANGER_SHARED_N_TYPES; i++) {
                assert_string_equal(ganger_shared_type_name(types[i].type), types[i].name);
                assert_int_equal(ganger_shared_type_from_name(types[i].name, strlen(types[i].name)),
                                 types[i].type);
                assert_int_equal(ganger_shared_item_bytes(types[i].type), types[i].item_bytes);
        }
        assert_null(ganger_shared_type_name(GANGER_SHARED_ANY));
        assert_null(ganger_shared_type_name((enum ganger_shared_type)GANGER_SHARED_N_TYPES));
        assert_int_equal(ganger_shared_item_bytes(GANGER_SHARED_ANY), 0);
        assert_int_equal(ganger_shared_type_from_name("i6", 2), -EINVAL);
        assert_int_equal(ganger_shared_type_from_name("", 0), -EINVAL);
        assert_int_equal(ganger_shared_kind_from_name("value", 5), GANGER_SHARED_VALUE);
        assert_int_equal(ganger_shared_kind_from_name("array", 5), GANGER_SHARED_ARRAY);
        assert_int_equal(ganger_shared_kind_from_name("arrays", 6), -EINVAL);
        assert_null(ganger_shared_kind_name((enum ganger_shared_kind)0));
}

static int try_map(int fd, uint64_t length)
{
        struct ganger_shared s;
        int r = ganger_shared_map(&s, fd, GANGER_SHARED_ARRAY, GANGER_SHARED_I32, length);

        if (r < 0)
                assert_null(s.address);
        ganger_shared_unmap(&s);
        ganger_shared_unmap(&s);
        return r;
}

static void test_only_what_was_said_is_mapped(void **state)
{
        int good = shared_memory_new(GANGER_SHARED_ARRAY, GANGER_SHARED_I32, 10), pipes[2];
        int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        assert_int_equal(try_map(good, 10), 0);
        assert_int_equal(try_map(good, 9), -EPROTO);
        assert_int_equal(try_map(good, 11), -EPROTO);
        assert_int_equal(try_map(good, 0), -EINVAL);
        assert_int_equal(try_map(good, GANGER_SHARED_LENGTH_MAX), -EPROTO);
        assert_int_equal(try_map(good, UINT64_MAX / 4 + 11), -EINVAL);
        assert_int_equal(try_map(-1, 10), -EBADF);
        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(try_map(pipes[0], 10), -EPROTO);
        assert_int_equal(try_map(file, 10), -EPROTO);
        assert_int_equal(ftruncate(unsealed, 128 + 40), 0);
        assert_int_equal(try_map(unsealed, 10), -EPROTO);
        assert_int_equal(fcntl(unsealed, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
        assert_int_equal(try_map(unsealed, 10), -EPROTO); /* no magic */
        assert_int_equal(pwrite(good, "\x02", 1, 8), 1);
        assert_int_equal(try_map(good, 10), -EPROTO); /* a layout of tomorrow */
        close(good);
        close(unsealed);
        close(file);
        close(pipes[0]);
        close(pipes[1]);
}

static void test_a_view_of_nothing(void **state)
{
        struct ganger_shared s = {0};
        int64_t n = 7;

        assert_int_equal(ganger_shared_get_i64(&s, 0, &n), -ERANGE);
        assert_int_equal(ganger_shared_get_i8(&s, 0, &(int8_t){0}), -ERANGE);
        assert_int_equal(ganger_shared_read(&s, 0, 1, &n), -ERANGE);
        assert_int_equal(ganger_shared_write(&s, 0, 1, &n), -ERANGE);
        assert_int_equal(ganger_shared_wait_i64(&s, 0, 0, NULL, 0), -ERANGE);
        assert_int_equal(ganger_shared_lock(&s, 0), -EACCES);
        assert_int_equal(ganger_shared_unlock(&s), -EACCES);
        assert_int_equal(ganger_shared_notify(&s), -EACCES);
        assert_null(ganger_shared_data(&s));
        ganger_shared_unmap(&s);
}

/* -- elements -- */

#define TYPE_TEST(T, C, TYPE, OTHER, LOW, HIGH)                                                              \
        static void test_##T(void **state)                                                                   \
        {                                                                                                    \
                struct ganger_shared s, reader;                                                              \
                C value = 1, expected;                                                                       \
                                                                                                             \
                view_read_only(&reader, &s, TYPE, 3);                                                        \
                assert_int_equal(ganger_shared_get_##T(&s, 2, &value), 0);                                   \
                assert_true(value == 0);                                                                     \
                assert_int_equal(ganger_shared_set_##T(&s, 0, LOW), 0);                                      \
                assert_int_equal(ganger_shared_set_##T(&s, 2, HIGH), 0);                                     \
                assert_int_equal(ganger_shared_get_##T(&s, 0, &value), 0);                                   \
                assert_true(value == LOW);                                                                   \
                assert_int_equal(ganger_shared_get_##T(&s, 1, &value), 0);                                   \
                assert_true(value == 0);                                                                     \
                assert_int_equal(ganger_shared_get_##T(&reader, 2, &value), 0);                              \
                assert_true(value == HIGH);                                                                  \
                assert_int_equal(ganger_shared_add_##T(&s, 1, 5, NULL), 0);                                  \
                assert_int_equal(ganger_shared_add_##T(&s, 1, (C)-2, &value), 0);                            \
                assert_true(value == 3);                                                                     \
                expected = 4;                                                                                \
                assert_int_equal(ganger_shared_cas_##T(&s, 1, &expected, 9), GANGER_SHARED_DIFFERS);         \
                assert_true(expected == 3);                                                                  \
                assert_int_equal(ganger_shared_cas_##T(&s, 1, &expected, 9), 0);                             \
                assert_int_equal(ganger_shared_wait_##T(&s, 1, 3, &value, 0), 0);                            \
                assert_true(value == 9);                                                                     \
                assert_int_equal(ganger_shared_wait_##T(&s, 1, 9, NULL, 1), -ETIMEDOUT);                     \
                assert_int_equal(ganger_shared_wait_##T(&reader, 1, 9, NULL, 1), -ETIMEDOUT);                \
                assert_int_equal(ganger_shared_wait_##T(&s, 1, 9, NULL, -1), -EINVAL);                       \
                                                                                                             \
                assert_int_equal(ganger_shared_get_##T(&s, 3, &value), -ERANGE);                             \
                assert_int_equal(ganger_shared_set_##T(&s, UINT64_MAX, 1), -ERANGE);                         \
                assert_int_equal(ganger_shared_add_##T(&s, UINT64_MAX / 8 + 1, 1, NULL), -ERANGE);           \
                assert_int_equal(ganger_shared_cas_##T(&s, 3, &expected, 1), -ERANGE);                       \
                assert_int_equal(ganger_shared_wait_##T(&s, 3, 1, NULL, 0), -ERANGE);                        \
                assert_int_equal(ganger_shared_get_##OTHER(&s, 0, NULL), -EINVAL);                           \
                assert_int_equal(ganger_shared_set_##OTHER(&s, 0, 1), -EINVAL);                              \
                assert_int_equal(ganger_shared_add_##OTHER(&s, 0, 1, NULL), -EINVAL);                        \
                assert_int_equal(ganger_shared_cas_##OTHER(&s, 0, NULL, 1), -EINVAL);                        \
                assert_int_equal(ganger_shared_wait_##OTHER(&s, 0, 1, NULL, 0), -EINVAL);                    \
                assert_int_equal(ganger_shared_set_##T(&reader, 0, 1), -EACCES);                             \
                assert_int_equal(ganger_shared_add_##T(&reader, 0, 1, NULL), -EACCES);                       \
                assert_int_equal(ganger_shared_cas_##T(&reader, 0, &expected, 1), -EACCES);                  \
                ganger_shared_unmap(&s);                                                                     \
                ganger_shared_unmap(&reader);                                                                \
        }

TYPE_TEST(i8, int8_t, GANGER_SHARED_I8, u8, INT8_MIN, INT8_MAX)
TYPE_TEST(i16, int16_t, GANGER_SHARED_I16, i32, INT16_MIN, INT16_MAX)
TYPE_TEST(i32, int32_t, GANGER_SHARED_I32, f32, INT32_MIN, INT32_MAX)
TYPE_TEST(i64, int64_t, GANGER_SHARED_I64, f64, INT64_MIN, INT64_MAX)
TYPE_TEST(u8, uint8_t, GANGER_SHARED_U8, i8, 1, UINT8_MAX)
TYPE_TEST(u16, uint16_t, GANGER_SHARED_U16, i16, 1, UINT16_MAX)
TYPE_TEST(u32, uint32_t, GANGER_SHARED_U32, i8, 1, UINT32_MAX)
TYPE_TEST(u64, uint64_t, GANGER_SHARED_U64, u32, 1, UINT64_MAX)
TYPE_TEST(f32, float, GANGER_SHARED_F32, f64, -FLT_MAX, FLT_MIN)
TYPE_TEST(f64, double, GANGER_SHARED_F64, i64, -DBL_MAX, DBL_MIN)

static void test_integers_wrap_and_nan_is_itself(void **state)
{
        struct ganger_shared s;
        double nan_value = __builtin_nan(""), value;
        int8_t small;

        view_new(&s, GANGER_SHARED_I8, 1);
        assert_int_equal(ganger_shared_set_i8(&s, 0, INT8_MAX), 0);
        assert_int_equal(ganger_shared_add_i8(&s, 0, 1, &small), 0);
        assert_int_equal(small, INT8_MIN);
        ganger_shared_unmap(&s);
        view_new(&s, GANGER_SHARED_F64, 1);
        assert_int_equal(ganger_shared_set_f64(&s, 0, nan_value), 0);
        assert_int_equal(ganger_shared_wait_f64(&s, 0, nan_value, NULL, 1), -ETIMEDOUT);
        assert_int_equal(ganger_shared_cas_f64(&s, 0, &nan_value, -0.0), 0);
        value = 0.0;
        assert_int_equal(ganger_shared_cas_f64(&s, 0, &value, 1), GANGER_SHARED_DIFFERS);
        ganger_shared_unmap(&s);
}

/* Buffers that lie at odd places, and not a byte beside what was asked for. */
static void test_slices_of_every_size(void **state)
{
        static const enum ganger_shared_type types[] = {GANGER_SHARED_BYTES, GANGER_SHARED_I8,
                                                        GANGER_SHARED_U16, GANGER_SHARED_F32,
                                                        GANGER_SHARED_U64};
        unsigned char in[1 + 16 * 8], out[1 + 16 * 8 + 1];

        for (size_t i = 0; i < sizeof in; i++)
                in[i] = (unsigned char)(i * 37 + 1);
        for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
                size_t item_bytes = ganger_shared_item_bytes(types[t]);
                struct ganger_shared s, reader;

                view_read_only(&reader, &s, types[t], 18);
                assert_int_equal(ganger_shared_write(&s, 1, 16, in + 1), 0);
                memset(out, 0xee, sizeof out);
                assert_int_equal(ganger_shared_read(&reader, 1, 16, out + 1), 0);
                assert_memory_equal(out + 1, in + 1, 16 * item_bytes);
                assert_int_equal(out[0], 0xee);
                assert_int_equal(out[1 + 16 * item_bytes], 0xee);
                assert_memory_equal((char *)ganger_shared_data(&s) + item_bytes, in + 1, 16 * item_bytes);
                assert_int_equal(ganger_shared_read(&s, 17, 1, out), 0);
                assert_memory_equal(out, "\0\0\0\0\0\0\0\0", item_bytes);
                assert_int_equal(ganger_shared_read(&s, 18, 0, out), 0);
                assert_int_equal(ganger_shared_read(&s, 18, 1, out), -ERANGE);
                assert_int_equal(ganger_shared_read(&s, 19, 0, out), -ERANGE);
                assert_int_equal(ganger_shared_read(&s, 1, UINT64_MAX, out), -ERANGE);
                assert_int_equal(ganger_shared_write(&s, 10, 9, in), -ERANGE);
                assert_int_equal(ganger_shared_write(&reader, 0, 1, in), -EACCES);
                assert_int_equal(ganger_shared_wait(&s, 1, 16, in + 1, out, 1), -ETIMEDOUT);
                assert_int_equal(ganger_shared_wait(&s, 1, 16, in, out, 1), 0);
                assert_memory_equal(out, in + 1, 16 * item_bytes);
                ganger_shared_unmap(&s);
                ganger_shared_unmap(&reader);
        }
}

static void test_what_is_too_large_to_compare(void **state)
{
        static char old[4097], now[4097];
        struct ganger_shared s;

        view_new(&s, GANGER_SHARED_BYTES, sizeof old);
        assert_int_equal(ganger_shared_wait(&s, 0, 4096, old, now, 0), -ETIMEDOUT);
        assert_int_equal(ganger_shared_wait(&s, 0, 4097, old, now, 0), -EINVAL);
        assert_int_equal(ganger_shared_wait(&s, 0, 0, old, now, 0), -EINVAL);
        ganger_shared_unmap(&s);
}

/* -- waiting for a change -- */

static int set_when_waited_for(const struct ganger_shared *s, int value)
{
        for (int i = 0; i < PATIENCE_MS && header_of(s)->n_waiting == 0; i++)
                pause_ms(1);
        pause_ms(20);
        return ganger_shared_set_i32(s, 1, value);
}

static void test_who_waits_is_woken(void **state)
{
        struct ganger_shared s;
        int64_t begin;
        int32_t value = 0;
        pid_t pid;

        view_new(&s, GANGER_SHARED_I32, 2);
        pid = start(set_when_waited_for, &s, 42);
        begin = shared_now_ms();
        assert_int_equal(ganger_shared_wait_i32(&s, 1, 0, &value, PATIENCE_MS), 0);
        assert_true(shared_now_ms() - begin < 900); /* by the futex, not by looking again */
        assert_int_equal(value, 42);
        assert_int_equal(status_of(pid), 0);
        assert_int_equal(header_of(&s)->n_waiting, 0);
        assert_int_equal(header_of(&s)->changes, 1);
        ganger_shared_unmap(&s);
}

static int set_later(const struct ganger_shared *s, int value)
{
        pause_ms(20);
        return ganger_shared_set_i32(s, 1, value);
}

static void test_who_may_only_read_sees_it_too(void **state)
{
        struct ganger_shared s, reader;
        int64_t begin = shared_now_ms();
        int32_t value = 0;
        pid_t pid;

        view_read_only(&reader, &s, GANGER_SHARED_I32, 2);
        pid = start(set_later, &s, 42);
        assert_int_equal(ganger_shared_wait_i32(&reader, 1, 0, &value, PATIENCE_MS), 0);
        assert_int_equal(value, 42);
        assert_true(shared_now_ms() - begin < 900);
        assert_int_equal(status_of(pid), 0);
        ganger_shared_unmap(&s);
        ganger_shared_unmap(&reader);
}

static void test_waiting_is_over_in_time(void **state)
{
        struct ganger_shared s;
        int64_t begin = shared_now_ms();

        view_new(&s, GANGER_SHARED_F64, 1);
        assert_int_equal(ganger_shared_wait_f64(&s, 0, 0.0, NULL, 50), -ETIMEDOUT);
        assert_in_range(shared_now_ms() - begin, 50, 1000);
        ganger_shared_unmap(&s);
}

/* -- the lock -- */

static int lock_for(const struct ganger_shared *s, int timeout_ms)
{
        return -ganger_shared_lock(s, timeout_ms);
}

static int unlock(const struct ganger_shared *s, int unused)
{
        return -ganger_shared_unlock(s);
}

static void *lock_in_a_thread(void *view)
{
        return (void *)(intptr_t)ganger_shared_lock(view, 10);
}

static void test_lock_of_one_thread(void **state)
{
        struct ganger_shared s, reader;
        pthread_t thread;
        void *result;

        view_read_only(&reader, &s, GANGER_SHARED_I64, 1);
        assert_int_equal(ganger_shared_unlock(&s), -EPERM);
        assert_int_equal(ganger_shared_lock(&s, 0), 0);
        assert_int_equal(header_of(&s)->lock & GANGER_SHARED_LOCK_TID, gettid());
        assert_int_equal(ganger_shared_lock(&s, 0), -EDEADLK);
        assert_int_equal(ganger_shared_lock(&s, 1000), -EDEADLK);
        assert_int_equal(ganger_shared_lock(&s, -1), -EINVAL);
        assert_int_equal(pthread_create(&thread, NULL, lock_in_a_thread, &s), 0);
        pthread_join(thread, &result);
        assert_int_equal((intptr_t)result, -ETIMEDOUT);
        assert_int_equal(ganger_shared_unlock(&s), 0);
        assert_int_equal(header_of(&s)->lock, 0);
        assert_int_equal(ganger_shared_unlock(&s), -EPERM);
        assert_int_equal(ganger_shared_lock(&reader, 0), -EACCES);
        assert_int_equal(ganger_shared_unlock(&reader), -EACCES);
        ganger_shared_unmap(&s);
        ganger_shared_unmap(&reader);
}

static void test_a_child_is_not_its_parent(void **state)
{
        struct ganger_shared s;

        view_new(&s, GANGER_SHARED_I64, 1);
        assert_int_equal(ganger_shared_lock(&s, 0), 0);
        assert_int_equal(status_of(start(unlock, &s, 0)), EPERM);
        assert_int_equal(status_of(start(lock_for, &s, 0)), ETIMEDOUT);
        assert_int_equal(status_of(start(lock_for, &s, 20)), ETIMEDOUT);
        assert_int_equal(ganger_shared_unlock(&s), 0);
        ganger_shared_unmap(&s);
}

static int hold(const struct ganger_shared *s, int unused)
{
        if (ganger_shared_lock(s, PATIENCE_MS) != 0)
                return 1;
        ganger_shared_set_i64(s, 0, 1);
        for (;;)
                pause();
}

static pid_t start_holder(const struct ganger_shared *s)
{
        pid_t pid = start(hold, s, 0);

        assert_int_equal(ganger_shared_wait_i64(s, 0, 0, NULL, PATIENCE_MS), 0);
        return pid;
}

static int expect_abandoned(const struct ganger_shared *s, int unused)
{
        int r = ganger_shared_lock(s, PATIENCE_MS);

        ganger_shared_unlock(s);
        return r;
}

/* Also before it is reaped; who waits already learns of it as well as who comes then. */
static void test_the_lock_of_a_killed_one(void **state)
{
        struct ganger_shared s;
        pid_t holder, waiter;
        int64_t begin;

        view_new(&s, GANGER_SHARED_I64, 1);
        holder = start_holder(&s);
        waiter = start(expect_abandoned, &s, 0);
        pause_ms(30);
        begin = shared_now_ms();
        assert_int_equal(kill(holder, SIGKILL), 0);
        assert_int_equal(status_of(waiter), GANGER_SHARED_ABANDONED);
        print_message("abandoned: %lld ms after the kill\n", (long long)(shared_now_ms() - begin));
        assert_true(shared_now_ms() - begin < 500);
        assert_int_equal(status_of(holder), -SIGKILL);

        assert_int_equal(ganger_shared_set_i64(&s, 0, 0), 0);
        holder = start_holder(&s);
        assert_int_equal(ganger_shared_lock(&s, 0), -ETIMEDOUT);
        assert_int_equal(kill(holder, SIGKILL), 0);
        assert_int_equal(status_of(holder), -SIGKILL);
        assert_int_equal(ganger_shared_lock(&s, 0), GANGER_SHARED_ABANDONED);
        assert_int_equal(ganger_shared_unlock(&s), 0);
        assert_int_equal(ganger_shared_lock(&s, 0), 0);
        ganger_shared_unmap(&s);
}

static void test_the_lock_of_a_stopped_one(void **state)
{
        struct ganger_shared s;
        int64_t begin;
        pid_t holder;
        int status;

        view_new(&s, GANGER_SHARED_I64, 1);
        holder = start_holder(&s);
        assert_int_equal(kill(holder, SIGSTOP), 0);
        assert_int_equal(waitpid(holder, &status, WUNTRACED), holder);
        begin = shared_now_ms();
        assert_int_equal(ganger_shared_lock(&s, 60), -ETIMEDOUT);
        assert_in_range(shared_now_ms() - begin, 60, 1000);
        kill(holder, SIGKILL);
        status_of(holder);
        ganger_shared_unmap(&s);
}

/* The word names a thread that lives, but it is another one. */
static void test_a_thread_id_that_was_used_again(void **state)
{
        static const uint64_t impossible[] = {1,
                                              UINT64_C(0x3fffffff),
                                              UINT64_C(0xffffffff00000000),
                                              UINT64_C(0x40000000),
                                              GANGER_SHARED_LOCK_WAITERS,
                                              UINT64_MAX};
        struct ganger_shared s;
        uint64_t mine;

        view_new(&s, GANGER_SHARED_I64, 1);
        assert_int_equal(ganger_shared_lock(&s, 0), 0);
        mine = header_of(&s)->lock;
        header_of(&s)->lock = mine - (UINT64_C(1) << GANGER_SHARED_LOCK_START);
        assert_int_equal(ganger_shared_unlock(&s), -EPERM);
        assert_int_equal(ganger_shared_lock(&s, 0), GANGER_SHARED_ABANDONED);
        for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
                header_of(&s)->lock = impossible[i];
                assert_int_equal(ganger_shared_lock(&s, 100), GANGER_SHARED_ABANDONED);
                assert_int_equal(ganger_shared_unlock(&s), 0);
        }
        ganger_shared_unmap(&s);
}

/* -- many at once -- */

enum { ROUNDS = 50000 };

/* The count under the lock is no atomic: without the lock it comes out too small. */
static int count_locked(const struct ganger_shared *s, int unused)
{
        volatile int64_t *count = ganger_shared_data(s);

        for (int i = 0; i < ROUNDS; i++) {
                if (ganger_shared_lock(s, PATIENCE_MS) != 0)
                        return 1;
                *count = *count + 1;
                if (ganger_shared_unlock(s) != 0)
                        return 2;
        }
        return 0;
}

static int count_atomically(const struct ganger_shared *s, int unused)
{
        for (int i = 0; i < ROUNDS; i++)
                if (ganger_shared_add_i64(s, 1, 3, NULL) != 0)
                        return 1;
        return 0;
}

static int count_by_swaps(const struct ganger_shared *s, int unused)
{
        for (int i = 0; i < ROUNDS; i++) {
                int64_t seen;
                int r = ganger_shared_get_i64(s, 2, &seen);

                while (r == 0 && (r = ganger_shared_cas_i64(s, 2, &seen, seen + 1)) == GANGER_SHARED_DIFFERS)
                        r = 0;
                if (r != 0)
                        return 1;
        }
        return 0;
}

static int count_doubles(const struct ganger_shared *s, int unused)
{
        for (int i = 0; i < ROUNDS; i++)
                if (ganger_shared_add_f64(s, 0, 0.5, NULL) != 0)
                        return 1;
        return 0;
}

static void run_together(int (*run)(const struct ganger_shared *, int), const struct ganger_shared *s,
                         const char *what)
{
        pid_t pids[PROCESSES];
        int64_t begin = shared_now_ms();

        for (int i = 0; i < PROCESSES; i++)
                pids[i] = start(run, s, i);
        for (int i = 0; i < PROCESSES; i++)
                assert_int_equal(status_of(pids[i]), 0);
        print_message("%d processes, %d times each, %s: %lld ms\n", PROCESSES, ROUNDS, what,
                      (long long)(shared_now_ms() - begin));
}

static void test_exact_totals(void **state)
{
        struct ganger_shared integers, doubles;
        int64_t total;
        double sum;

        view_new(&integers, GANGER_SHARED_I64, 3);
        view_new(&doubles, GANGER_SHARED_F64, 1);
        run_together(count_locked, &integers, "the lock");
        run_together(count_atomically, &integers, "add_i64");
        run_together(count_by_swaps, &integers, "cas_i64");
        run_together(count_doubles, &doubles, "add_f64");
        assert_int_equal(ganger_shared_get_i64(&integers, 0, &total), 0);
        assert_int_equal(total, PROCESSES * ROUNDS);
        assert_int_equal(ganger_shared_get_i64(&integers, 1, &total), 0);
        assert_int_equal(total, PROCESSES * ROUNDS * 3);
        assert_int_equal(ganger_shared_get_i64(&integers, 2, &total), 0);
        assert_int_equal(total, PROCESSES * ROUNDS);
        assert_int_equal(ganger_shared_get_f64(&doubles, 0, &sum), 0);
        assert_true(sum == PROCESSES * ROUNDS * 0.5);
        ganger_shared_unmap(&integers);
        ganger_shared_unmap(&doubles);
}

static void test_lock_is_cheap_alone(void **state)
{
        enum { TIMES = 100000 };
        struct ganger_shared s;
        struct timespec begin, end;
        double ns;

        view_new(&s, GANGER_SHARED_I64, 1);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (int i = 0; i < TIMES; i++)
                if (ganger_shared_lock(&s, 1000) != 0 || ganger_shared_unlock(&s) != 0)
                        fail();
        clock_gettime(CLOCK_MONOTONIC, &end);
        ns = ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / TIMES;
        print_message("lock and unlock, nobody else: %.1f ns\n", ns);
#ifndef __SANITIZE_THREAD__ /* to which each of them is a call */
        assert_true(ns < 3000);
#endif
        ganger_shared_unmap(&s);
}

/* -- somebody who writes whatever he likes -- */

enum { HOSTILE_MS = 600, CALL_BOUND_MS = 3000 };

static uint64_t random_next(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* All of the memory, or the words that matter, with noise, small numbers, or thread ids that live. */
static int overwrite(const struct ganger_shared *s, int seed)
{
        volatile uint64_t *words = s->address;
        uint64_t random = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        int64_t end = shared_now_ms() + HOSTILE_MS;

        while (shared_now_ms() < end)
                for (int i = 0; i < 1000; i++) {
                        uint64_t word = random_next(&random), what = random_next(&random) % 4;
                        size_t at = word % 3 == 0 ? 8 + word % 2 : word % (s->size_bytes / 8);

                        words[at] = what == 0   ? random_next(&random)
                                    : what == 1 ? word % 3
                                    : what == 2 ? (uint64_t)getppid() | GANGER_SHARED_LOCK_WAITERS
                                                : UINT64_MAX;
                }
        return 0;
}

static int use(const struct ganger_shared *s, int first)
{
        struct shared_use use = shared_use(s, first, HOSTILE_MS);

        return use.wrong != 0 || use.longest_ms < CALL_BOUND_MS ? use.wrong : 100;
}

static void test_overwritten_by_a_hostile_one(void **state)
{
        const char *given = getenv("GANGER_TEST_SEED");
        int seed = given ? atoi(given) : 20240611;
        struct ganger_shared s;
        pid_t pids[PROCESSES];
        volatile uint64_t *words;

        print_message("GANGER_TEST_SEED=%d\n", seed);
        view_new(&s, GANGER_SHARED_I64, 4);
        pids[0] = start(overwrite, &s, seed);
        for (int i = 1; i < PROCESSES; i++)
                pids[i] = start(use, &s, i);
        for (int i = 0; i < PROCESSES; i++)
                assert_int_equal(status_of(pids[i]), 0);
        words = s.address;
        words[8] = 0;
        assert_int_equal(ganger_shared_lock(&s, 0), 0); /* and it is as good as ever */
        assert_int_equal(ganger_shared_unlock(&s), 0);
        ganger_shared_unmap(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_and_sizes),
                cmocka_unit_test(test_only_what_was_said_is_mapped),
                cmocka_unit_test(test_a_view_of_nothing),
                cmocka_unit_test(test_i8),
                cmocka_unit_test(test_i16),
                cmocka_unit_test(test_i32),
                cmocka_unit_test(test_i64),
                cmocka_unit_test(test_u8),
                cmocka_unit_test(test_u16),
                cmocka_unit_test(test_u32),
                cmocka_unit_test(test_u64),
                cmocka_unit_test(test_f32),
                cmocka_unit_test(test_f64),
                cmocka_unit_test(test_integers_wrap_and_nan_is_itself),
                cmocka_unit_test(test_slices_of_every_size),
                cmocka_unit_test(test_what_is_too_large_to_compare),
                cmocka_unit_test(test_who_waits_is_woken),
                cmocka_unit_test(test_who_may_only_read_sees_it_too),
                cmocka_unit_test(test_waiting_is_over_in_time),
                cmocka_unit_test(test_lock_of_one_thread),
                cmocka_unit_test(test_a_child_is_not_its_parent),
                cmocka_unit_test(test_the_lock_of_a_killed_one),
                cmocka_unit_test(test_the_lock_of_a_stopped_one),
                cmocka_unit_test(test_a_thread_id_that_was_used_again),
                cmocka_unit_test(test_exact_totals),
                cmocka_unit_test(test_lock_is_cheap_alone),
                cmocka_unit_test(test_overwritten_by_a_hostile_one),
        };

        return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
