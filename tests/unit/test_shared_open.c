/* SPDX-License-Identifier: MIT */
/* What is asked with shared.open, and what of all that may be answered is mapped. */
#include "proto/shared_open.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/shared_memory.h"
#include "tests/unit/cmocka_includes.h"

static void test_options(void **state)
{
        struct ganger_shared_options given = GANGER_SHARED_OPTIONS_INIT, got;
        struct {
                struct ganger_shared_options options;
                uint64_t later;
        } larger = {GANGER_SHARED_OPTIONS_INIT, 0};

        assert_int_equal(shared_options_import(&got, &given), -EINVAL); /* of no kind */
        given.kind = GANGER_SHARED_VALUE;
        assert_int_equal(shared_options_import(&got, &given), 0);
        assert_true(got.kind == GANGER_SHARED_VALUE && got.type == GANGER_SHARED_ANY && got.create == 1);
        given.type = GANGER_SHARED_N_TYPES;
        assert_int_equal(shared_options_import(&got, &given), -EINVAL);
        given.size_bytes = 8;
        assert_int_equal(shared_options_import(&got, &given), -EINVAL);

        larger.options.kind = GANGER_SHARED_ARRAY;
        larger.options.size_bytes = sizeof larger;
        assert_int_equal(shared_options_import(&got, &larger.options), 0);
        assert_int_equal(got.size_bytes, sizeof got);
        larger.later = 1;
        assert_int_equal(shared_options_import(&got, &larger.options), -E2BIG);
}

/* What is left as it is, is not said: it would have to be so in an object that is there. */
static void test_packed(void **state)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
        static const char least[] = "\x83\xa4kind\xa5value\xa6"
                                    "create\xc3\xa9"
                                    "exclusive\xc2";
        static const char most[] = "\x86\xa4kind\xa5"
                                   "array\xa6"
                                   "create\xc2\xa9"
                                   "exclusive\xc3\xa4type\xa2i8\xa6length\x07\xa4mode\xcd\x01\xa4";
        struct buffer b = BUFFER_INIT;
        struct packer p;

        options.kind = GANGER_SHARED_VALUE;
        pack_begin(&p, &b);
        shared_options_pack(&p, &options);
        assert_int_equal(pack_end(&p), 0);
        assert_int_equal(buffer_size(&b), sizeof least - 1);
        assert_memory_equal(buffer_at(&b), least, sizeof least - 1);
        buffer_deinit(&b);

        options.kind = GANGER_SHARED_ARRAY;
        options.type = GANGER_SHARED_I8;
        options.create = 0;
        options.exclusive = 1;
        options.length = 7;
        options.mode = 0644;
        pack_begin(&p, &b);
        shared_options_pack(&p, &options);
        assert_int_equal(pack_end(&p), 0);
        assert_int_equal(buffer_size(&b), sizeof most - 1);
        assert_memory_equal(buffer_at(&b), most, sizeof most - 1);
        buffer_deinit(&b);
}

static int map_answer(const char *bytes, size_t size_bytes, int fd, struct ganger_shared *ret)
{
        struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;

        options.kind = GANGER_SHARED_ARRAY;
        return shared_answer_map(ret, &options, reader_over(bytes, size_bytes), fd);
}

static void test_answers(void **state)
{
        static const struct {
                const char *bytes;
                size_t size_bytes;
                int r;
        } answers[] = {
#define ANSWER(text, r) {text, sizeof(text) - 1, r}
                ANSWER("\x84\xa4kind\xa5"
                       "array"
                       "\xa3xyz\x01\xa4type\xa3i16\xa6length\x05",
                       0),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa6length\x05\xa4type\xa3i16",
                       0),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i16\xa6length\x06",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i32\xa6length\x05",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i17\xa6length\x05",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i16\xa6length\x00",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i16\xa6length\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i16\xa6length\xa1x",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "array"
                       "\xa4type\x03\xa6length\x05",
                       -EPROTO),
                ANSWER("\x82\xa4kind\xa5"
                       "array"
                       "\xa4type\xa3i16",
                       -EPROTO),
                ANSWER("\x82\xa4kind\xa5"
                       "array"
                       "\xa6length\x05",
                       -EPROTO),
                ANSWER("\x83\xa4kind\xa5"
                       "value"
                       "\xa4type\xa3i16\xa6length\x05",
                       -EPROTO),
                ANSWER("\x82\xa4type\xa3i16\xa6length\x05", -EPROTO),
                ANSWER("\x81\x01\x05", -EPROTO),
                ANSWER("\x05", -EPROTO),
#undef ANSWER
        };
        int fd = shared_memory_new(GANGER_SHARED_ARRAY, GANGER_SHARED_I16, 5);
        struct ganger_shared s;
        int16_t n = 0;

        assert_true(fd >= 0);
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
                memset(&s, 0, sizeof s);
                int r = map_answer(answers[i].bytes, answers[i].size_bytes, fd, &s);
                assert_int_equal(r, answers[i].r);
                assert_int_equal(s.address != NULL, r == 0);
                if (r == 0) {
                        assert_int_equal(ganger_shared_add_i16(&s, 4, 1, &n), 0);
                        assert_int_equal(ganger_shared_get_i16(&s, 5, &n), -ERANGE);
                }
                ganger_shared_unmap(&s);
        }
        assert_int_equal(n, 2);
        close(fd);
        assert_int_equal(map_answer(answers[0].bytes, answers[0].size_bytes, fd, &s), -EBADF);
        assert_int_equal(map_answer(answers[0].bytes, answers[0].size_bytes, 0, &s), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_packed),
                cmocka_unit_test(test_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
