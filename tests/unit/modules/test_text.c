/* SPDX-License-Identifier: MIT */
/*
 * The module `text`. The claim that matters most: however a text is cut into parts, the parts' counts merge
 * into the counts of the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/module_host.h"
#include "tests/unit/cmocka_includes.h"

static const char sample[] = "The quick brown fox, the lazy dog; THE END.\n"
                             "Caf\xc3\xa9 caf\xc3\xa9 CAF\xc3\x89 42 x86-64 don't \xff\xfe na\xc3\xafve";

static struct module_host *host;
static char directory[] = "/tmp/ganger-text-XXXXXX";
static char path[64];

static void write_file(const char *data, size_t size_bytes)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size_bytes, file), size_bytes);
        assert_int_equal(fclose(file), 0);
}

static void assert_success(const struct module_run *run)
{
        if (run->status != 0)
                fail_msg("%d: %s", run->status, run->message);
        assert_int_equal(run->result.data.type, MSGPACK_OBJECT_MAP);
}

static void assert_failure(struct module_run *run, const char *part)
{
        assert_int_equal(run->status, 1);
        if (!strstr(run->message, part))
                fail_msg("\"%s\" does not say \"%s\"", run->message, part);
        module_run_deinit(run);
}

static uint64_t count_of(const struct module_run *run, const char *word)
{
        const msgpack_object *count = map_get(&run->result.data, word);

        return count ? count->via.u64 : 0;
}

static uint32_t n_words(const struct module_run *run)
{
        return run->result.data.via.map.size;
}

static void assert_same(const struct module_run *a, const struct module_run *b)
{
        assert_success(a);
        assert_success(b);
        assert_true(msgpack_object_equal(a->result.data, b->result.data));
}

static void test_words(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "count", "y", sample, sizeof(sample) - 1);
        assert_success(&run);
        assert_int_equal(count_of(&run, "the"), 3);
        assert_int_equal(count_of(&run, "The"), 0);
        assert_int_equal(count_of(&run, "caf\xc3\xa9"), 2);
        assert_int_equal(count_of(&run, "caf\xc3\x89"), 1); /* only ASCII is put into lower case */
        assert_int_equal(count_of(&run, "42"), 1);
        assert_int_equal(count_of(&run, "x86"), 1);
        assert_int_equal(count_of(&run, "64"), 1);
        assert_int_equal(count_of(&run, "don"), 1);
        assert_int_equal(count_of(&run, "\xff\xfe"), 1);
        assert_int_equal(n_words(&run), 16);
        module_run_deinit(&run);
}

static void test_sorted_and_bin_where_no_utf8(void **state)
{
        static const char *const expected[] = {"0", "a", "aa", "b", "\xc3\xa9", "\xed\xa0\x80", "\xff"};
        static const char text[] = "\xff b aa \xc3\xa9 a \xed\xa0\x80 0";
        struct module_run run;

        module_host_run(host, &run, "count", "y", text, sizeof(text) - 1);
        assert_success(&run);
        assert_int_equal(n_words(&run), 7);
        for (uint32_t i = 0; i < 7; i++) {
                const msgpack_object *word = &run.result.data.via.map.ptr[i].key;
                assert_int_equal(word->type, i < 5 ? MSGPACK_OBJECT_STR : MSGPACK_OBJECT_BIN);
                assert_int_equal(word->via.str.size, strlen(expected[i]));
                assert_memory_equal(word->via.str.ptr, expected[i], strlen(expected[i]));
        }
        module_run_deinit(&run);
}

static void test_nothing_in_it(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "count", "y", "", (size_t)0);
        assert_success(&run);
        assert_int_equal(n_words(&run), 0);
        module_run_deinit(&run);
        write_file(" \n,.", 4);
        module_host_run(host, &run, "count", "s", path);
        assert_success(&run);
        assert_int_equal(n_words(&run), 0);
        module_run_deinit(&run);
}

/* Runs text.count on a part, by the way of input that `how` names. */
static void count_part(struct module_run *ret, char how, int64_t offset, int64_t length)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        lseek(fd, 3, SEEK_SET); /* an offset is from the beginning all the same */
        if (how == 's')
                module_host_run(host, ret, "count", "s{sisi}", path, "offset", offset, "length", length);
        else if (how == 'y')
                module_host_run(host, ret, "count", "y{sisi}", sample, sizeof(sample) - 1, "offset", offset,
                                "length", length);
        else
                module_host_run(host, ret, "count", "h{sisi}", fd, "offset", offset, "length", length);
        close(fd);
}

/* Passes two results on as arguments, as a caller would. */
static void merge_two(struct module_run *ret, const struct module_run *a, const struct module_run *b)
{
        module_host_run(host, ret, "merge", "mm", &a->result.data, &b->result.data);
}

static void test_parts_add_up_wherever_they_are_cut(void **state)
{
        struct module_run whole, first, second, sum;
        int64_t size = sizeof(sample) - 1;

        write_file(sample, sizeof(sample) - 1);
        module_host_run(host, &whole, "count", "s", path);
        for (const char *how = "syh"; *how; how++) {
                for (int64_t cut = 0; cut <= size; cut++) {
                        count_part(&first, *how, 0, cut);
                        count_part(&second, *how, cut, size - cut);
                        merge_two(&sum, &first, &second);
                        assert_same(&sum, &whole);
                        module_run_deinit(&first);
                        module_run_deinit(&second);
                        module_run_deinit(&sum);
                }
        }
        module_run_deinit(&whole);
}

static void test_single_bytes_add_up(void **state)
{
        struct module_run whole, part, sum, next;

        write_file(sample, sizeof(sample) - 1);
        module_host_run(host, &whole, "count", "s", path);
        module_host_run(host, &sum, "merge", "");
        for (int64_t at = 0; at < (int64_t)sizeof(sample) - 1; at++) {
                count_part(&part, 's', at, 1);
                assert_true(n_words(&part) <= 1);
                merge_two(&next, &sum, &part);
                module_run_deinit(&sum);
                module_run_deinit(&part);
                sum = next;
        }
        assert_same(&sum, &whole);
        module_run_deinit(&sum);
        module_run_deinit(&whole);
}

static void test_words_across_blocks(void **state)
{
        enum { BLOCK = 256 * 1024, WORD = 10, SIZE = 3 * BLOCK };
        char *data = malloc(SIZE);
        struct module_run run;

        for (size_t i = 0; i < SIZE; i++) /* ten letters, one blank: no multiple of a block */
                data[i] = i % (WORD + 1) == WORD ? ' ' : (char)('A' + i % (WORD + 1));
        write_file(data, SIZE);
        module_host_run(host, &run, "count", "s", path);
        assert_success(&run);
        assert_int_equal(count_of(&run, "abcdefghij"), SIZE / (WORD + 1));
        assert_int_equal(n_words(&run), SIZE % (WORD + 1) ? 2 : 1);
        module_run_deinit(&run);
        free(data);
}

static void test_part_beyond_the_end(void **state)
{
        struct module_run run;

        write_file("one two", 7);
        count_part(&run, 's', 1000, 10);
        assert_success(&run);
        assert_int_equal(n_words(&run), 0);
        module_run_deinit(&run);
        count_part(&run, 's', INT64_MAX, INT64_MAX);
        assert_success(&run);
        assert_int_equal(n_words(&run), 0);
        module_run_deinit(&run);
        count_part(&run, 's', 4, INT64_MAX);
        assert_success(&run);
        assert_int_equal(count_of(&run, "two"), 1);
        module_run_deinit(&run);
}

static void test_pipe_with_offset(void **state)
{
        struct module_run run;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(write(fds[1], "one two three", 13), 13);
        close(fds[1]);
        module_host_run(host, &run, "count", "h{sisi}", fds[0], "offset", INT64_C(2), "length", INT64_C(3));
        assert_success(&run);
        assert_int_equal(n_words(&run), 1);
        assert_int_equal(count_of(&run, "two"), 1);
        module_run_deinit(&run);
        close(fds[0]);
}

static void test_descriptor_without_offset(void **state)
{
        struct module_run run;

        write_file("one two", 7);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
        module_host_run(host, &run, "count", "h", fd);
        assert_success(&run);
        assert_int_equal(n_words(&run), 1);
        module_run_deinit(&run);
        close(fd);
}

static void test_endless_word(void **state)
{
        enum { SIZE = 64 * 1024 };
        char *data = malloc(SIZE + 1);
        struct module_run run;

        memset(data, 'x', SIZE + 1);
        module_host_run(host, &run, "count", "y", data, (size_t)SIZE);
        assert_success(&run);
        module_run_deinit(&run);
        module_host_run(host, &run, "count", "y", data, (size_t)SIZE + 1);
        assert_failure(&run, "is no text");
        free(data);
}

static void test_many_words(void **state)
{
        enum { WORDS = 100000, WIDTH = 7 };
        char *data = malloc(WORDS * WIDTH + 1);
        struct module_run run;

        for (int i = 0; i < WORDS; i++)
                snprintf(data + (size_t)i * WIDTH, WIDTH + 1, "w%05d ", i);
        module_host_run(host, &run, "count", "y", data, (size_t)WORDS * WIDTH);
        assert_success(&run);
        assert_int_equal(n_words(&run), WORDS);
        assert_int_equal(count_of(&run, "w99999"), 1);
        module_run_deinit(&run);
        free(data);
}

static void test_cancelled(void **state)
{
        struct module_run run;

        module_host_cancel_after(host, 1);
        module_host_run(host, &run, "count", "y", "a", (size_t)1);
        assert_int_equal(run.status, -ECANCELED);
        module_run_deinit(&run);
        module_host_cancel_after(host, 2);
        module_host_run(host, &run, "merge", "{sisi}", "a", INT64_C(1), "b", INT64_C(1));
        assert_int_equal(run.status, -ECANCELED);
        module_run_deinit(&run);
}

static void test_count_wrong_arguments(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "count", "");
        assert_failure(&run, "there is no input");
        module_host_run(host, &run, "count", "{}");
        assert_failure(&run, "the input is a map");
        module_host_run(host, &run, "count", "s", "/nowhere/at/all");
        assert_failure(&run, "\"/nowhere/at/all\": No such file");
        module_host_run(host, &run, "count", "s", directory);
        assert_failure(&run, "is a directory");
        module_host_run(host, &run, "count", "y{si}", "", (size_t)0, "ofset", INT64_C(1));
        assert_failure(&run, "unknown option \"ofset\"; known are: offset, length");
        module_host_run(host, &run, "count", "y{ii}", "", (size_t)0, INT64_C(1), INT64_C(1));
        assert_failure(&run, "the name of an option is an integer");
        module_host_run(host, &run, "count", "y{ss}", "", (size_t)0, "offset", "1");
        assert_failure(&run, "option offset is a string; wanted is an integer");
        module_host_run(host, &run, "count", "y{si}", "", (size_t)0, "length", INT64_C(-1));
        assert_failure(&run, "option length is -1");
        module_host_run(host, &run, "count", "y{sisi}", "", (size_t)0, "length", INT64_C(1), "length",
                        INT64_C(1));
        assert_failure(&run, "option length is given twice");
        module_host_run(host, &run, "count", "yi", "", (size_t)0, INT64_C(1));
        assert_failure(&run, "the last argument is an integer; wanted is a map of options");
        module_host_run(host, &run, "count", "y{}n", "", (size_t)0);
        assert_failure(&run, "one argument too many: nil");
}

static void test_merge(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "merge", "");
        assert_success(&run);
        assert_int_equal(n_words(&run), 0);
        module_run_deinit(&run);
        module_host_run(host, &run, "merge", "{sisi}{}{siyi}{si}", "b", INT64_C(2), "a", INT64_C(1), "c",
                        INT64_C(0), "b", (size_t)1, INT64_C(3), "a", INT64_MAX);
        assert_success(&run);
        assert_int_equal(n_words(&run), 3);
        assert_int_equal(count_of(&run, "a"), UINT64_C(1) << 63);
        assert_int_equal(count_of(&run, "b"), 5); /* a bin of the same bytes is the same word */
        assert_int_equal(run.result.data.via.map.ptr[0].key.via.str.ptr[0], 'a');
        module_run_deinit(&run);
}

static void test_merge_wrong_arguments(void **state)
{
        struct module_run run;

        module_host_run(host, &run, "merge", "{}i", INT64_C(1));
        assert_failure(&run, "argument 2 is an integer; wanted is a map");
        module_host_run(host, &run, "merge", "{si}{ss}", "a", INT64_C(1), "b", "1");
        assert_failure(&run, "argument 2 has for the word \"b\" a string");
        module_host_run(host, &run, "merge", "{si}", "a", INT64_C(-1));
        assert_failure(&run, "\"a\" a negative number");
        module_host_run(host, &run, "merge", "{ii}", INT64_C(1), INT64_C(1));
        assert_failure(&run, "argument 1 has an integer where a word");
        module_host_run(host, &run, "merge", "{si}{si}{si}", "a", INT64_MAX, "a", INT64_MAX, "a", INT64_C(2));
        assert_failure(&run, "the counts of the word \"a\" do not fit");
}

static int set_up(void **state)
{
        host = module_host_open(MODULE_PATH);
        if (!mkdtemp(directory))
                return -1;
        snprintf(path, sizeof(path), "%s/text", directory);
        return 0;
}

static int tear_down(void **state)
{
        unlink(path);
        host = module_host_close(host);
        return rmdir(directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_sorted_and_bin_where_no_utf8),
                cmocka_unit_test(test_nothing_in_it),
                cmocka_unit_test(test_parts_add_up_wherever_they_are_cut),
                cmocka_unit_test(test_single_bytes_add_up),
                cmocka_unit_test(test_words_across_blocks),
                cmocka_unit_test(test_part_beyond_the_end),
                cmocka_unit_test(test_pipe_with_offset),
                cmocka_unit_test(test_descriptor_without_offset),
                cmocka_unit_test(test_endless_word),
                cmocka_unit_test(test_many_words),
                cmocka_unit_test(test_cancelled),
                cmocka_unit_test(test_count_wrong_arguments),
                cmocka_unit_test(test_merge),
                cmocka_unit_test(test_merge_wrong_arguments),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
