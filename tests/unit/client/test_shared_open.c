/* SPDX-License-Identifier: MIT */
/* Opening a value or array, and descriptors that nobody takes, against a daemon that the test plays. */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/open_fds.h"
#include "tests/support/shared_memory.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

#define RESPONSE ((uint64_t)1)
#define FIRST    ((uint64_t)1) /* the msgid behind hello's */

struct opened {
        struct fake f;
        struct ganger *g;
        struct ganger_reply *reply;
        int pipe[2];
        int n_descriptors; /* of this process, before */
};

static int setup(void **state)
{
        static struct opened o;

        o = (struct opened){.n_descriptors = open_fds()};
        assert_int_equal(pipe2(o.pipe, O_CLOEXEC), 0);
        fake_open(&o.f, &o.g);
        *state = &o;
        return 0;
}

static int teardown(void **state)
{
        struct opened *o = *state;

        ganger_reply_free(o->reply);
        ganger_close(o->g);
        fake_close(&o->f);
        close(o->pipe[0]);
        close(o->pipe[1]);
        assert_int_equal(open_fds(), o->n_descriptors);
        return 0;
}

/* Those of a stream, of an error and of a connection that is lost: none stays open (teardown). */
static void test_descriptors_that_nobody_takes(void **state)
{
        struct opened *o = *state;

        assert_true(fake_send(&o->f, "[us[ush]]", (uint64_t)2, "stream", FIRST, "event", o->pipe[0]));
        assert_true(fake_send(&o->f, "[uu{sssssh}h]", RESPONSE, FIRST, "code", "not_permitted", "message",
                              "no", "detail", o->pipe[0], o->pipe[1]));
        assert_int_equal(ganger_request(o->g, &o->reply, "f", NULL), GANGER_NOT_PERMITTED);
        assert_true(fake_send(&o->f, "[uunh]", RESPONSE, (uint64_t)77, o->pipe[0]));
        assert_int_equal(ganger_request(o->g, NULL, "f", NULL), -EPROTO);
}

static const struct ganger_shared_options array_of_i32 = {
        .size_bytes = sizeof array_of_i32,
        .kind = GANGER_SHARED_ARRAY,
        .type = GANGER_SHARED_I32,
        .length = 10,
};

/* The request that was sent last names just what was asked for. */
static void expect_asked(struct fake *f, const char *options)
{
        struct buffer packed = BUFFER_INIT;
        struct envelope e;
        const char *name;
        const uint8_t *data;
        size_t size_bytes;

        do
                assert_true(fake_take(f, &e));
        while (memcmp(e.method, "hello", 5) == 0);
        assert_memory_equal(e.method, "shared.open", 11);
        assert_int_equal(reader_str(&e.params, &name, &size_bytes), 0);
        assert_memory_equal(name, "numbers", 7);
        assert_int_equal(reader_skip(&e.params, &data, &size_bytes, NULL), 0);
        fake_pack(&packed, options, "kind", "array", "create", false, "exclusive", false, "type", "i32",
                  "length", (uint64_t)10, "mode", (uint64_t)0600);
        assert_int_equal(size_bytes, buffer_size(&packed));
        assert_memory_equal(data, buffer_at(&packed), size_bytes);
        buffer_deinit(&packed);
}

static void test_open(void **state)
{
        struct opened *o = *state;
        struct ganger_shared_options options = array_of_i32;
        struct ganger_shared s;
        int32_t sum;
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, GANGER_SHARED_I32, 10);

        for (uint64_t i = 0; i < 2; i++) {
                options.mode = i == 0 ? 0 : 0600;
                assert_true(fake_send(&o->f, "[uun{sssssssush}]", RESPONSE, FIRST + i, "name", "numbers",
                                      "kind", "array", "type", "i32", "length", (uint64_t)10, "object", fd));
                assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &options), 0);
                expect_asked(&o->f, i == 0 ? "{sssbsbsssu}" : "{sssbsbsssusu}");
                assert_int_equal(ganger_shared_add_i32(&s, 9, 4, &sum), 0);
                assert_int_equal(sum, 4 * (i + 1));
                ganger_shared_unmap(&s);
        }
        close(fd);
}

static void test_open_of_what_it_was_not_told(void **state)
{
        struct opened *o = *state;
        struct ganger_shared s;
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, GANGER_SHARED_I32, 10);
        static const struct {
                const char *kind, *type;
                uint64_t length;
                const char *key;
                bool is_good;
        } cases[] = {
                {"array", "i32", 10, "object", true},  {"value", "i32", 10, "object", false},
                {"lock", "i32", 10, "object", false},  {"array", "u32", 10, "object", false},
                {"array", "i33", 10, "object", false}, {"array", "i32", 11, "object", false},
                {"array", "i32", 0, "object", false},  {"array", "i32", 10, "objects", false},
        };

        for (uint64_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_true(fake_send(&o->f, "[uun{sssssush}]", RESPONSE, FIRST + i, "kind", cases[i].kind,
                                      "type", cases[i].type, "length", cases[i].length, cases[i].key, fd));
                assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &array_of_i32),
                                 cases[i].is_good ? 0 : -EPROTO);
                assert_int_equal(s.address != NULL, cases[i].is_good);
                ganger_shared_unmap(&s);
        }
        close(fd);
        assert_true(fake_send(&o->f, "[uun{sssssush}]", RESPONSE, FIRST + 8, "kind", "array", "type", "i32",
                              "length", (uint64_t)10, "object", o->pipe[0]));
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &array_of_i32), -EPROTO);
        assert_true(fake_send(&o->f, "[uuni]", RESPONSE, FIRST + 9, (int64_t)7));
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &array_of_i32), -EPROTO);
}

/* The answer's descriptor is lost, and with it the place in the stream: the connection is over, and says why.
 */
static void test_no_descriptor_is_free(void **state)
{
        struct opened *o = *state;
        struct ganger_shared s;
        struct rlimit old, low;
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, GANGER_SHARED_I32, 10);

        assert_true(fake_send(&o->f, "[uun{sssssush}]", RESPONSE, FIRST, "kind", "array", "type", "i32",
                              "length", (uint64_t)10, "object", fd));
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = old;
        low.rlim_cur = 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &array_of_i32), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_null(s.address);
        assert_int_equal(ganger_request(o->g, NULL, "ping", NULL), -EMFILE);
        close(fd);
}

static void test_open_is_refused(void **state)
{
        struct opened *o = *state;
        struct ganger_shared s;
        struct {
                struct ganger_shared_options options;
                uint64_t later;
        } newer = {.options = array_of_i32};
        struct ganger_shared_options bad = array_of_i32;

        assert_true(fake_send(&o->f, "[uu{ssss}n]", RESPONSE, FIRST, "code", "key_conflict", "message",
                              "another"));
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &array_of_i32), GANGER_KEY_CONFLICT);
        assert_string_equal(ganger_message(ganger_error(o->g)), "another");
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", NULL), -EINVAL);
        bad.kind = (enum ganger_shared_kind)0;
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &bad), -EINVAL);
        bad = array_of_i32;
        bad.type = (enum ganger_shared_type)11;
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &bad), -EINVAL);
        newer.options.size_bytes = sizeof newer;
        newer.later = 1;
        assert_int_equal(ganger_shared_open(o->g, &s, "numbers", &newer.options), -E2BIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_descriptors_that_nobody_takes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_open, setup, teardown),
                cmocka_unit_test_setup_teardown(test_open_of_what_it_was_not_told, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_descriptor_is_free, setup, teardown),
                cmocka_unit_test_setup_teardown(test_open_is_refused, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
