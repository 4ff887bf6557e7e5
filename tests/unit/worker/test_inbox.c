/* SPDX-License-Identifier: MIT */
/* The inbox over a socketpair: whole messages in order, their descriptors, looking ahead, bad peers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/worker/inbox.h"
#include "proto/pack.h"
#include "tests/support/open_fds.h"
#include "tests/unit/cmocka_includes.h"

struct fixture {
        struct inbox inbox;
        struct output output;
        int fds[2];
};

static int setup(void **state)
{
        static struct fixture fixture;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture.fds), 0);
        fcntl(fixture.fds[1], F_SETFL, O_NONBLOCK);
        inbox_init(&fixture.inbox, fixture.fds[0]);
        output_init(&fixture.output);
        *state = &fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        inbox_deinit(&f->inbox);
        output_deinit(&f->output);
        close(f->fds[0]);
        if (f->fds[1] >= 0)
                close(f->fds[1]);
        return 0;
}

/* A file that holds the text. */
static int marked_file(const char *text)
{
        int fd = memfd_create("marked", MFD_CLOEXEC);

        assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
        return fd;
}

static void check_marked(int fd, const char *text)
{
        char got[64] = "";

        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
        assert_string_equal(got, text);
}

/* [2, method, [text]], with n descriptors of files that hold the text. */
static void say(struct fixture *f, const char *method, const char *text, uint32_t n)
{
        size_t before = output_size(&f->output);
        int fds[LIMIT_DESCRIPTORS + 1];
        struct packer p;

        pack_begin(&p, &f->output.bytes);
        pack_notification(&p, method, 1 + n);
        pack_str(&p, text);
        for (uint32_t i = 0; i < n; i++) {
                pack_fd(&p);
                fds[i] = marked_file(text);
        }
        assert_int_equal(pack_end(&p), 0);
        assert_int_equal(output_mark(&f->output, output_size(&f->output) - before, fds, n), 0);
        assert_int_equal(output_flush(&f->output, f->fds[1]), 0);
}

static void expect(struct fixture *f, const char *method, const char *text, uint32_t n_fds)
{
        struct message message;
        const char *got;
        size_t size_bytes;

        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        assert_true(envelope_is(&message.envelope, method));
        assert_int_equal(reader_str(&message.envelope.params, &got, &size_bytes), 0);
        assert_int_equal(size_bytes, strlen(text));
        assert_memory_equal(got, text, size_bytes);
        assert_int_equal(message.n_fds, n_fds);
        for (uint32_t i = 0; i < n_fds; i++)
                check_marked(message.fds[i], text);
        int fd = n_fds ? message.fds[0] : -1;
        inbox_done(&f->inbox, &message);
        if (fd >= 0)
                assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_messages_in_order(void **state)
{
        struct fixture *f = *state;

        say(f, "one", "1", 0);
        say(f, "two", "2", 0);
        expect(f, "one", "1", 0);
        say(f, "three", "3", 0);
        expect(f, "two", "2", 0);
        expect(f, "three", "3", 0);
}

static void test_descriptors_belong_to_their_message(void **state)
{
        struct fixture *f = *state;

        say(f, "none", "", 0);
        say(f, "two", "", 2);
        say(f, "none", "", 0);
        say(f, "most", "", LIMIT_DESCRIPTORS);
        expect(f, "none", "", 0);
        expect(f, "two", "", 2);
        expect(f, "none", "", 0);
        expect(f, "most", "", LIMIT_DESCRIPTORS);
}

static void note(void *userdata, const struct envelope *envelope)
{
        char *seen = userdata;

        strncat(seen, envelope->method, envelope->method_size_bytes);
}

static void test_look_ahead_leaves_the_message_at_hand(void **state)
{
        struct fixture *f = *state;
        struct message message;
        const char *text;
        size_t size_bytes;
        char seen[100] = "";

        say(f, "A", "arguments", 1);
        say(f, "B", "b", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        say(f, "C", "c", 1);
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_string_equal(seen, "BC");
        say(f, "D", "d", 0);
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_string_equal(seen, "BCD");
        assert_int_equal(reader_str(&message.envelope.params, &text, &size_bytes), 0);
        assert_memory_equal(text, "arguments", size_bytes);
        inbox_done(&f->inbox, &message);
        expect(f, "B", "b", 0);
        expect(f, "C", "c", 1);
        say(f, "E", "e", 0);
        expect(f, "D", "d", 0);
        expect(f, "E", "e", 0);
}

static void test_look_ahead_at_half_a_message(void **state)
{
        struct fixture *f = *state;
        struct message message;
        char seen[100] = "";

        say(f, "A", "a", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        assert_int_equal(write(f->fds[1], "\x93\x02\xa1", 3), 3);
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_string_equal(seen, "");
        assert_int_equal(write(f->fds[1], "B\x91\xa1x", 4), 4);
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_string_equal(seen, "B");
        inbox_done(&f->inbox, &message);
        expect(f, "B", "x", 0);
}

static void test_end_of_file(void **state)
{
        struct fixture *f = *state;
        struct message message;

        say(f, "last", "", 0);
        close(f->fds[1]);
        f->fds[1] = -1;
        expect(f, "last", "", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), INBOX_END);
        assert_int_equal(inbox_next(&f->inbox, &message), INBOX_END);
}

static void test_end_of_file_seen_while_looking(void **state)
{
        struct fixture *f = *state;
        struct message message;
        char seen[100] = "";

        say(f, "A", "a", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        close(f->fds[1]);
        f->fds[1] = -1;
        assert_int_equal(inbox_look(&f->inbox, note, seen), 0);
        assert_true(f->inbox.ended);
        inbox_done(&f->inbox, &message);
        assert_int_equal(inbox_next(&f->inbox, &message), INBOX_END);
}

static void test_no_message(void **state)
{
        struct fixture *f = *state;
        struct message message;

        assert_int_equal(write(f->fds[1], "\xc1", 1), 1);
        assert_int_equal(inbox_next(&f->inbox, &message), -EBADMSG);
}

static void test_descriptor_missing(void **state)
{
        struct fixture *f = *state;
        struct packer p;
        struct message message;

        pack_begin(&p, &f->output.bytes);
        pack_notification(&p, "spawn", 1);
        pack_fd(&p);
        assert_int_equal(pack_end(&p), 0);
        assert_int_equal(output_flush(&f->output, f->fds[1]), 0);
        assert_int_equal(inbox_next(&f->inbox, &message), -EBADMSG);
}

struct sorter {
        const char *wanted; /* its text; others: "drop", or kept */
        int n_shown;
};

static enum inbox_fate sort(void *userdata, const struct envelope *envelope)
{
        struct sorter *sorter = userdata;
        struct reader params = envelope->params;
        const char *text;
        size_t size_bytes;

        sorter->n_shown++;
        assert_int_equal(reader_str(&params, &text, &size_bytes), 0);
        if (size_bytes == strlen(sorter->wanted) && memcmp(text, sorter->wanted, size_bytes) == 0)
                return INBOX_TAKE;
        return size_bytes == 4 && memcmp(text, "drop", 4) == 0 ? INBOX_DROP : INBOX_KEEP;
}

static void await(struct fixture *f, const char *wanted, uint32_t n_fds)
{
        struct sorter sorter = {.wanted = wanted};
        struct taken got = {0};
        struct envelope envelope;
        const char *text;
        size_t size_bytes;

        assert_int_equal(inbox_await(&f->inbox, NULL, sort, &sorter, &got), 0);
        assert_int_equal(envelope_parse(&envelope, buffer_at(&got.bytes), buffer_size(&got.bytes), NULL), 0);
        assert_int_equal(reader_str(&envelope.params, &text, &size_bytes), 0);
        assert_int_equal(size_bytes, strlen(wanted));
        assert_memory_equal(text, wanted, size_bytes);
        assert_int_equal(got.n_fds, n_fds);
        for (uint32_t i = 0; i < n_fds; i++)
                check_marked(got.fds[i], wanted);
        taken_reset(&got);
        buffer_deinit(&got.bytes);
}

/* What is waited for is taken from between; the message at hand stays where it is, what is kept comes in its
 * order with its own descriptors. */
static void test_await(void **state)
{
        struct fixture *f = *state;
        struct message message;
        const char *text;
        size_t size_bytes;

        say(f, "run", "at hand", 0);
        say(f, "kept", "first", 1);
        say(f, "gone", "drop", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        say(f, "kept", "second", 0);
        say(f, "answer", "one", 0);
        say(f, "gone", "drop", 0);
        say(f, "kept", "third", 2);
        say(f, "answer", "two", 0);
        await(f, "one", 0);
        await(f, "two", 0);
        assert_int_equal(reader_str(&message.envelope.params, &text, &size_bytes), 0);
        assert_memory_equal(text, "at hand", size_bytes);
        inbox_done(&f->inbox, &message);
        say(f, "kept", "fourth", 1);
        expect(f, "kept", "first", 1);
        expect(f, "kept", "second", 0);
        expect(f, "kept", "third", 2);
        expect(f, "kept", "fourth", 1);
}

/* Descriptors of what is taken ahead lie behind those of what is kept; those of what is dropped are closed.
 */
static void test_await_descriptors(void **state)
{
        struct fixture *f = *state;
        struct message message;
        int before = open_fds();

        say(f, "run", "at hand", 1);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        say(f, "kept", "first", 2);
        say(f, "gone", "drop", 3);
        say(f, "answer", "one", 1);
        say(f, "kept", "second", 1);
        say(f, "answer", "two", LIMIT_DESCRIPTORS);
        await(f, "one", 1);
        await(f, "two", LIMIT_DESCRIPTORS);
        assert_int_equal(f->inbox.arrived.n, 3);
        check_marked(message.fds[0], "at hand");
        inbox_done(&f->inbox, &message);
        say(f, "kept", "third", 1);
        expect(f, "kept", "first", 2);
        expect(f, "kept", "second", 1);
        expect(f, "kept", "third", 1);
        assert_int_equal(open_fds(), before);
}

/* A large one that is taken out from behind others must not make the first of them claim what the second
 * brought.
 */
static void test_await_behind_descriptors(void **state)
{
        struct fixture *f = *state;
        struct message message;
        char large[4096];

        memset(large, 'x', sizeof large);
        large[sizeof large - 1] = '\0';
        say(f, "run", "at hand", 0);
        assert_int_equal(inbox_next(&f->inbox, &message), 0);
        say(f, "kept", "first", 0);
        say(f, "kept", "second", 2);
        say(f, "answer", large, 0);
        await(f, large, 0);
        inbox_done(&f->inbox, &message);
        expect(f, "kept", "first", 0);
        say(f, "kept", "third", 1);
        expect(f, "kept", "second", 2);
        expect(f, "kept", "third", 1);
}

static void test_await_ends(void **state)
{
        struct fixture *f = *state;
        struct sorter sorter = {.wanted = "never"};
        struct taken got = {0};

        say(f, "kept", "first", 0);
        shutdown(f->fds[1], SHUT_WR);
        assert_int_equal(inbox_await(&f->inbox, NULL, sort, &sorter, &got), INBOX_END);
        assert_int_equal(sorter.n_shown, 1);
        expect(f, "kept", "first", 0);
        buffer_deinit(&got.bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_messages_in_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_descriptors_belong_to_their_message, setup, teardown),
                cmocka_unit_test_setup_teardown(test_look_ahead_leaves_the_message_at_hand, setup, teardown),
                cmocka_unit_test_setup_teardown(test_look_ahead_at_half_a_message, setup, teardown),
                cmocka_unit_test_setup_teardown(test_await, setup, teardown),
                cmocka_unit_test_setup_teardown(test_await_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_await_behind_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_await_ends, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end_of_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end_of_file_seen_while_looking, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_message, setup, teardown),
                cmocka_unit_test_setup_teardown(test_descriptor_missing, setup, teardown),
        };
        return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
