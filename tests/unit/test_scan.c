/* SPDX-License-Identifier: MIT */
/*
 * The scanner: where messages end, in whatever pieces they come; what is refused, and that it is refused as
 * soon as it is declared. Passed bytes are overwritten with a reserved byte while a message is fed in pieces:
 * a scanner that looked at one again would call the message bad.
 */
#include "proto/scan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/descriptors.h"
#include "proto/pack.h"
#include "tests/unit/cmocka_includes.h"

#define LONGEST_HEAD_BYTES 7 /* ext 32, and one byte of a descriptor's payload */

static int scan_whole(struct scan *s, const void *data, size_t size_bytes, size_t max_bytes)
{
        scan_init(s, max_bytes);
        return scan_feed(s, data, size_bytes);
}

static int scan_result_of(const void *data, size_t size_bytes, size_t max_bytes)
{
        struct scan s;
        return scan_whole(&s, data, size_bytes, max_bytes);
}
#define SCAN(bytes, max_bytes) scan_result_of(bytes, sizeof(bytes) - 1, max_bytes)

/* Feeds in steps of 1…most bytes; same result as at once, no byte looked at again once it was passed. */
static void check_in_pieces(const struct scan *whole, int expected, const uint8_t *data, size_t size_bytes,
                            size_t max_bytes, size_t most)
{
        uint8_t *copy = malloc(size_bytes);
        struct scan s;
        size_t there = 0;
        int r = SCAN_MORE;

        scan_init(&s, max_bytes);
        while (r == SCAN_MORE && there < size_bytes) {
                size_t step = 1 + (most > 1 ? (size_t)rand() % most : 0);
                if (step > size_bytes - there)
                        step = size_bytes - there;
                memcpy(copy + there, data + there, step);
                there += step;
                r = scan_feed(&s, copy, there);
                assert_true(s.at <= there);
                if (r == SCAN_MORE)
                        assert_true(there - s.at < LONGEST_HEAD_BYTES);
                memset(copy, 0xc1, s.at);
        }
        assert_int_equal(r, expected);
        assert_int_equal(s.at, whole->at);
        assert_int_equal(s.n_descriptors, whole->n_descriptors);
        free(copy);
}

static void check_every_cut(const uint8_t *data, size_t size_bytes, size_t max_bytes)
{
        struct scan whole, s;

        assert_int_equal(scan_whole(&whole, data, size_bytes, max_bytes), SCAN_DONE);
        assert_int_equal(whole.at, size_bytes);
        for (size_t cut = 0; cut < size_bytes; cut++) {
                assert_int_equal(scan_whole(&s, data, cut, max_bytes), SCAN_MORE);
                assert_int_equal(scan_feed(&s, data, cut), SCAN_MORE); /* nothing new changes nothing */
                assert_int_equal(scan_feed(&s, data, size_bytes), SCAN_DONE);
                assert_int_equal(s.at, size_bytes);
                assert_int_equal(s.n_descriptors, whole.n_descriptors);
                assert_int_equal(scan_feed(&s, data, size_bytes), SCAN_DONE);
        }
        check_in_pieces(&whole, SCAN_DONE, data, size_bytes, max_bytes, 1);
        check_in_pieces(&whole, SCAN_DONE, data, size_bytes, max_bytes, 9);
}

static void pack_random_scalar(struct packer *p)
{
        static const char text[70000];

        switch (rand() % 9) {
        case 0:
                pack_nil(p);
                break;
        case 1:
                pack_bool(p, rand() % 2);
                break;
        case 2:
                pack_uint(p, (uint64_t)rand() << (rand() % 34));
                break;
        case 3:
                pack_int(p, -((int64_t)rand() << (rand() % 32)) >> (rand() % 32));
                break;
        case 4:
                pack_double(p, rand());
                break;
        case 5:
                pack_str_n(p, text, (size_t)rand() % 40);
                break;
        case 6:
                pack_bin(p, text, (size_t)rand() % (rand() % 50 == 0 ? 70000 : 300));
                break;
        case 7:
                pack_fd(p);
                break;
        case 8: {
                static const uint32_t sizes[] = {0, 1, 2, 3, 4, 8, 16, 17, 300};
                uint32_t size = sizes[(size_t)rand() % (sizeof sizes / sizeof sizes[0])];
                msgpack_pack_ext(&p->pk, size, 5);
                msgpack_pack_ext_body(&p->pk, text, size);
                break;
        }
        }
}

static void pack_random(struct packer *p, unsigned depth)
{
        size_t n = (size_t)rand() % (rand() % 20 == 0 ? 20 : 4);

        switch (depth == 0 ? 2 : rand() % 4) {
        case 0:
                pack_array(p, n);
                for (size_t i = 0; i < n; i++)
                        pack_random(p, depth - 1);
                break;
        case 1:
                pack_map(p, n);
                for (size_t i = 0; i < 2 * n; i++)
                        pack_random(p, depth - 1);
                break;
        default:
                pack_random_scalar(p);
        }
}

static void test_random_messages_cut_at_every_byte(void **state)
{
        size_t total = 0;

        srand(1);
        for (int round = 0; round < 2000; round++) {
                struct buffer b = BUFFER_INIT;
                struct packer p;
                pack_begin(&p, &b);
                pack_array(&p, 2);
                pack_random(&p, (unsigned)rand() % 8);
                pack_random(&p, (unsigned)rand() % 8);
                assert_int_equal(pack_end(&p), 0);
                if (buffer_size(&b) < 2000)
                        check_every_cut(buffer_at(&b), buffer_size(&b), LIMIT_MESSAGE_BYTES);
                total += buffer_size(&b);
                /* A message that just fits passes; one byte less, and it never does. */
                assert_int_equal(scan_result_of(buffer_at(&b), buffer_size(&b), buffer_size(&b)), SCAN_DONE);
                assert_int_equal(scan_result_of(buffer_at(&b), buffer_size(&b), buffer_size(&b) - 1),
                                 SCAN_LARGE);
                buffer_deinit(&b);
        }
        assert_true(total > 100000);
}

static void test_each_first_byte(void **state)
{
        for (unsigned first = 0; first < 256; first++) {
                uint8_t bytes[64] = {(uint8_t)first};
                struct scan s;
                int r = scan_whole(&s, bytes, sizeof bytes, 1000);
                if (first == 0xc1) {
                        assert_int_equal(r, SCAN_BAD);
                        continue;
                }
                assert_int_equal(r, SCAN_DONE);
                check_every_cut(bytes, s.at, 1000);
        }
}

static void test_second_message_is_not_looked_at(void **state)
{
        struct scan s;

        assert_int_equal(scan_whole(&s, "\x92\x01\x02\xc1\xc1", 5, 3), SCAN_DONE);
        assert_int_equal(s.at, 3);
        assert_int_equal(scan_whole(&s, "\x01\xc1", 2, 1), SCAN_DONE);
        assert_int_equal(s.at, 1);
}

static void test_reserved_byte_anywhere(void **state)
{
        assert_int_equal(SCAN("\xc1", 100), SCAN_BAD);
        assert_int_equal(SCAN("\x93\x01\xc1", 100), SCAN_BAD);
        assert_int_equal(SCAN("\x81\xa1k\xc1", 100), SCAN_BAD);
        assert_int_equal(SCAN("\x91\xc4\x01\xc1", 100), SCAN_DONE); /* within a payload it is only a byte */
}

static void test_declared_counts_that_cannot_fit(void **state)
{
        assert_int_equal(SCAN("\xdd\xff\xff\xff\xff", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xdf\xff\xff\xff\xff", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xdf\x80\x00\x00\x00", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xdb\xff\xff\xff\xff", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xc6\xff\xff\xff\xff", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xc9\xff\xff\xff\xff", LIMIT_MESSAGE_BYTES), SCAN_LARGE);
        assert_int_equal(SCAN("\xcf", 8), SCAN_LARGE); /* needs nine bytes, whatever they are */

        assert_int_equal(SCAN("\xdc\x00\x61", 100), SCAN_MORE); /* 3 + 97 */
        assert_int_equal(SCAN("\xdc\x00\x62", 100), SCAN_LARGE);
        assert_int_equal(SCAN("\xde\x00\x30", 100), SCAN_MORE); /* 3 + 2·48 */
        assert_int_equal(SCAN("\xde\x00\x31", 100), SCAN_LARGE);
        assert_int_equal(SCAN("\xc5\x00\x61", 100), SCAN_MORE);
        assert_int_equal(SCAN("\xc5\x00\x62", 100), SCAN_LARGE);
}

static void test_open_containers_are_counted(void **state)
{
        /* [[…50…], 40 more]: 3 + 3 + 50 + 40 = 96 */
        assert_int_equal(SCAN("\xdc\x00\x29\xdc\x00\x32", 96), SCAN_MORE);
        assert_int_equal(SCAN("\xdc\x00\x29\xdc\x00\x32", 95), SCAN_LARGE);
        /* what is passed needs no more: one nil off the inner array, one bin of one byte instead */
        assert_int_equal(SCAN("\xdc\x00\x29\xdc\x00\x32\xc0", 96), SCAN_MORE);
        assert_int_equal(SCAN("\xdc\x00\x29\xdc\x00\x32\xc4\x01", 98), SCAN_MORE);
        assert_int_equal(SCAN("\xdc\x00\x29\xdc\x00\x32\xc4\x01", 97), SCAN_LARGE);
        /* each header fits alone; together they do not */
        assert_int_equal(SCAN("\xdc\x00\x40\xdc\x00\x40", 128), SCAN_LARGE);
}

static void test_depth(void **state)
{
        uint8_t deep[2000];

        memset(deep, 0x91, sizeof deep);
        deep[LIMIT_DEPTH] = 0xc0;
        check_every_cut(deep, LIMIT_DEPTH + 1, 1000);
        deep[LIMIT_DEPTH] = 0x90; /* an empty one is deeper too */
        assert_int_equal(scan_result_of(deep, LIMIT_DEPTH + 1, 1000), SCAN_DEEP);
        deep[LIMIT_DEPTH] = 0x91;
        assert_int_equal(scan_result_of(deep, LIMIT_DEPTH, 10000), SCAN_MORE);
        assert_int_equal(scan_result_of(deep, sizeof deep, 10000), SCAN_DEEP);
        memset(deep, 0x81, sizeof deep); /* in keys */
        assert_int_equal(scan_result_of(deep, sizeof deep, 10000), SCAN_DEEP);
}

static void test_depth_is_left_again(void **state)
{
        uint8_t wide[3 + 3 * 1000] = {0xdc, 1000 >> 8, 1000 & 255};

        for (size_t i = 3; i < sizeof wide; i += 3)
                memcpy(wide + i, "\x91\x91\x90", 3);
        assert_int_equal(scan_result_of(wide, sizeof wide, sizeof wide), SCAN_DONE);
}

static void test_descriptors(void **state)
{
        static const char two[] =
                "\x92\xc7\x09\x47\x02\0\0\0\0\0\0\0\0\xc8\x00\x09\x47\x00\0\0\0\0\0\0\0\x05";
        struct scan s;

        assert_int_equal(scan_whole(&s, two, sizeof two - 1, 100), SCAN_DONE);
        assert_int_equal(s.n_descriptors, 2);
        check_every_cut((const uint8_t *)two, sizeof two - 1, 100);
        assert_int_equal(SCAN("\xc7\x09\x47\x03", 100), SCAN_BAD); /* no such kind */
        assert_int_equal(SCAN("\xc7\x09\x47", 100), SCAN_MORE);
        assert_int_equal(SCAN("\xc7\x08\x47", 100), SCAN_BAD); /* wrong size */
        assert_int_equal(SCAN("\xc7\x00\x47", 100), SCAN_BAD);
        assert_int_equal(SCAN("\xd7\x47", 100), SCAN_BAD);
        assert_int_equal(SCAN("\xc9\x00\x00\x00\x0a\x47", 100), SCAN_BAD);
        assert_int_equal(SCAN("\xc7\x09\x46\x03", 100), SCAN_MORE); /* not ours */
}

#define IS_PLAIN(text) scan_is_plain((const uint8_t *)(text), sizeof(text) - 1)

static void test_plain_is_one_whole_value(void **state)
{
        assert_true(IS_PLAIN("\x07"));
        assert_true(IS_PLAIN("\xc0"));
        assert_true(IS_PLAIN("\xcd\x01\x02"));
        assert_true(IS_PLAIN("\xcb\0\0\0\0\0\0\0\0"));
        assert_true(IS_PLAIN("\xa2hi"));
        assert_true(IS_PLAIN("\xc4\x02hi"));
        assert_true(IS_PLAIN("\xdb\0\0\0\0"));
        assert_false(IS_PLAIN(""));
        assert_false(IS_PLAIN("\x07\x07"));
        assert_false(IS_PLAIN("\xcd\x01"));
        assert_false(IS_PLAIN("\xc4"));
        assert_false(IS_PLAIN("\xc4\x02h"));
        assert_false(IS_PLAIN("\xc4\x01hi"));
        assert_false(IS_PLAIN("\xc1"));
        assert_false(IS_PLAIN("\x90"));
        assert_false(IS_PLAIN("\x80"));
        assert_false(IS_PLAIN("\xd4\x01\x02"));
        assert_false(IS_PLAIN("\xc7\x09\x47\0\0\0\0\0\0\0\0\x05"));
}

static void test_messages_name_the_limit(void **state)
{
        assert_string_equal(scan_message(SCAN_DEEP), "deeper than 32");
        assert_string_equal(scan_message(SCAN_LARGE), "larger than max_message");
        assert_non_null(strstr(scan_message(SCAN_BAD), "not MessagePack"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_messages_cut_at_every_byte),
                cmocka_unit_test(test_each_first_byte),
                cmocka_unit_test(test_second_message_is_not_looked_at),
                cmocka_unit_test(test_reserved_byte_anywhere),
                cmocka_unit_test(test_declared_counts_that_cannot_fit),
                cmocka_unit_test(test_open_containers_are_counted),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_depth_is_left_again),
                cmocka_unit_test(test_descriptors),
                cmocka_unit_test(test_plain_is_one_whole_value),
                cmocka_unit_test(test_messages_name_the_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
