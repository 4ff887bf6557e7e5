/* SPDX-License-Identifier: MIT */
/* The handle against a daemon that the test plays: order, cuts, losses, garbage, descriptors, misuse. */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/open_fds.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

#define RESPONSE ((uint64_t)1)

struct told {
        int n;
        int r;
        uint64_t value;
        char text[64];
        int n_streams;
        struct ganger *g;
};

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;

        told->n++;
        told->r = r;
        assert_true((r < 0) == (reply == NULL));
        if (r == 0)
                ganger_read(reply, "u", &told->value);
        if (r > 0)
                snprintf(told->text, sizeof told->text, "%s", ganger_message(reply));
        ganger_reply_free(reply);
}

static void on_stream(void *userdata, const char *kind, const struct ganger_reply *data)
{
        struct told *told = userdata;
        const char *text;

        told->n_streams++;
        if (ganger_read(data, "s", &text) == 0)
                snprintf(told->text, sizeof told->text, "%s:%s", kind, text);
}

static uint64_t take(struct fake *f, const char *method)
{
        struct envelope e;

        assert_true(fake_take(f, &e));
        assert_int_equal(e.method_size_bytes, strlen(method));
        assert_memory_equal(e.method, method, strlen(method));
        return e.msgid;
}

/* Past hello. */
static void open_quietly(struct fake *f, struct ganger **ret)
{
        fake_open(f, ret);
        assert_int_equal(ganger_dispatch(*ret), 0);
        assert_true(fake_send(f, "[uun{susu}]", RESPONSE, take(f, "hello"), "protocol", (uint64_t)1,
                              "max_message", (uint64_t)(8 << 20)));
        assert_int_equal(ganger_dispatch(*ret), 0);
        assert_int_equal((*ret)->max_message, 8 << 20);
}

static void close_both(struct fake *f, struct ganger *g)
{
        assert_null(ganger_close(g));
        fake_close(f);
}

static void start(struct ganger *g, struct told *told)
{
        *told = (struct told){.g = g};
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, told, "[u]", (uint64_t)1), 0);
}

static void test_hello_leaves_with_the_first_request(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told;
        struct envelope e;
        struct reader params;
        bool descriptors = false;

        fake_open(&f, &g);
        assert_int_equal(ganger_pending(g), 0);
        start(g, &told);
        assert_int_equal(ganger_pending(g), 1);
        assert_int_equal(ganger_events(g), POLLIN | POLLOUT);
        assert_int_equal(ganger_flush(g), 0);
        assert_int_equal(ganger_events(g), POLLIN);
        assert_true(fake_take(&f, &e));
        assert_memory_equal(e.method, "hello", 5);
        params = e.params;
        assert_true(reader_map(&params, &(uint32_t){0}) == 0);
        params = e.params;
        assert_int_equal(reader_skip(&params, NULL, NULL, NULL), 0);
        assert_true(reader_at_end(&params));
        params = e.params;
        while (!reader_at_end(&params) && reader_bool(&params, &descriptors) < 0) {
                struct value value;
                assert_int_equal(reader_next(&params, &value), 0);
        }
        assert_true(descriptors);
        assert_true(fake_send(&f, "[uu{ssss}n]", RESPONSE, (uint64_t)e.msgid, "code", "invalid_params",
                              "message", "another protocol"));
        take(&f, "call");
        assert_int_equal(ganger_dispatch(g), -EPROTO);
        assert_int_equal(told.r, -EPROTO);
        assert_string_equal(ganger_message(ganger_error(g)), "another protocol");
        close_both(&f, g);
}

/* The name under which a program that is called so says hello. */
static void says_hello_as(char *called, const char *name)
{
        char *before = program_invocation_short_name;
        struct ganger *g;
        struct fake f;
        struct told told;
        struct envelope e;
        struct value value = {0};

        program_invocation_short_name = called;
        fake_open(&f, &g);
        program_invocation_short_name = before;
        start(g, &told);
        assert_int_equal(ganger_flush(g), 0);
        assert_true(fake_take(&f, &e));
        for (int i = 0; i < 4; i++) /* {"protocol": 1, "client": … */
                assert_int_equal(reader_next(&e.params, &value), 0);
        assert_int_equal(reader_next(&e.params, &value), 0);
        assert_int_equal(value.type, VALUE_STR);
        assert_int_equal(value.size, strlen(name));
        assert_memory_equal(value.as.data, name, strlen(name));
        close_both(&f, g);
}

static void test_a_program_may_be_called_anything(void **state)
{
        char name[100000], first[65];

        memset(name, 'n', sizeof name);
        name[sizeof name - 1] = '\0';
        snprintf(first, sizeof first, "%.64s", name);
        says_hello_as((char[]){""}, "");
        says_hello_as((char[]){"caf\303\251"}, "caf\303\251");
        says_hello_as((char[]){"caf\351"}, "caf?");
        says_hello_as(name, first);
        memcpy(name + 63, "\303\251", 2); /* cut in the middle */
        first[63] = '?';
        says_hello_as(name, first);
}

static void test_answers_out_of_order(void **state)
{
        enum { N = 300 };
        static struct told told[N];
        uint64_t msgids[N];
        struct buffer bytes = BUFFER_INIT;
        struct ganger *g;
        struct fake f;

        open_quietly(&f, &g);
        for (int i = 0; i < N; i++)
                start(g, &told[i]);
        assert_int_equal(ganger_dispatch(g), 0);
        for (int i = 0; i < N; i++)
                msgids[i] = take(&f, "call");
        for (int i = N - 1; i >= 0; i--)
                fake_pack(&bytes, "[uunu]", RESPONSE, msgids[(i * 7) % N], (uint64_t)((i * 7) % N));
        assert_true(fake_send_bytes(&f, buffer_at(&bytes), buffer_size(&bytes)));
        buffer_deinit(&bytes);
        assert_int_equal(ganger_dispatch(g), N);
        for (int i = 0; i < N; i++)
                assert_true(told[i].n == 1 && told[i].r == 0 && told[i].value == (uint64_t)i);
        assert_int_equal(ganger_pending(g), 0);
        close_both(&f, g);
}

static void test_cut_at_every_byte(void **state)
{
        struct buffer bytes = BUFFER_INIT;
        struct ganger *g;
        struct fake f;
        struct told told[2];
        uint32_t msgid;

        open_quietly(&f, &g);
        for (size_t cut = 1;; cut++) {
                for (int i = 0; i < 2; i++) {
                        told[i] = (struct told){0};
                        assert_int_equal(ganger_start_request(g, &msgid, "attach", on_stream, on_reply,
                                                              &told[i], "[u]", (uint64_t)5),
                                         0);
                        fake_pack(&bytes, "[us[uss]]", (uint64_t)2, "stream", (uint64_t)msgid, "stdout",
                                  "abc");
                        fake_pack(&bytes, "[uunu]", RESPONSE, (uint64_t)msgid, (uint64_t)70000);
                }
                if (cut >= buffer_size(&bytes))
                        break;
                assert_true(fake_send_bytes(&f, buffer_at(&bytes), cut));
                assert_true(ganger_dispatch(g) >= 0);
                assert_true(fake_send_bytes(&f, buffer_at(&bytes) + cut, buffer_size(&bytes) - cut));
                assert_true(ganger_dispatch(g) >= 0);
                for (int i = 0; i < 2; i++) {
                        assert_true(told[i].n == 1 && told[i].n_streams == 1 && told[i].value == 70000);
                        assert_string_equal(told[i].text, "stdout:abc");
                }
                buffer_truncate(&bytes, 0);
        }
        buffer_deinit(&bytes);
        close_both(&f, g);
}

static void test_a_lost_connection_tells_everybody(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told[3], late;

        open_quietly(&f, &g);
        for (int i = 0; i < 3; i++)
                start(g, &told[i]);
        assert_int_equal(ganger_dispatch(g), 0);
        assert_true(fake_send(&f, "[uunu]", RESPONSE, take(&f, "call"), (uint64_t)1));
        assert_true(fake_send_bytes(&f, "\x94\x01", 2)); /* and then it dies */
        fake_close(&f);
        assert_int_equal(ganger_dispatch(g), 1);
        assert_int_equal(ganger_dispatch(g), -ECONNRESET);
        assert_true(told[0].n == 1 && told[0].r == 0);
        for (int i = 1; i < 3; i++)
                assert_true(told[i].n == 1 && told[i].r == -ECONNRESET);
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, &late, NULL), -ECONNRESET);
        assert_int_equal(ganger_call(g, NULL, NULL, "f", NULL), -ECONNRESET);
        assert_int_equal(ganger_dispatch(g), -ECONNRESET);
        assert_int_equal(ganger_events(g), 0);
        close_both(&f, g);
}

/* What the daemon said before it went is heard although nothing can be sent any more. */
static void test_last_words_are_heard(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told;

        open_quietly(&f, &g);
        start(g, &told);
        assert_true(fake_send(&f, "[us[{ssss}]]", (uint64_t)2, "error", "code", "not_permitted", "message",
                              "not you"));
        fake_close(&f);
        assert_int_equal(ganger_dispatch(g), -EACCES);
        assert_int_equal(told.r, -EACCES);
        assert_int_equal(ganger_code(ganger_error(g)), GANGER_NOT_PERMITTED);
        assert_string_equal(ganger_message(ganger_error(g)), "not you");
        close_both(&f, g);
}

static void test_garbage(void **state)
{
        static const struct {
                const char *bytes;
                size_t size_bytes;
        } garbage[] = {
                {"\xc1", 1},                                              /* reserved */
                {"HTTP/1.1 400\r\n", 14},                                 /* a number as a message */
                {"\x94\x00\x01\xa1x\x90", 6},                             /* a request of the daemon */
                {"\x94\x01\x63\xc0\xc0", 5},                              /* an answer to nothing */
                {"\x93\x01\x01\xc0", 4},                                  /* too short */
                {"\x93\x02\xa6stream\x92\x01\xa1x", 13},                  /* a stream without data */
                {"\xdd\xff\xff\xff\xff", 5},                              /* 4 G elements announced */
                {"\x94\x01\x01\xc0\xc7\x09\x47\x02\0\0\0\0\0\0\0\0", 16}, /* a descriptor that is not there */
        };

        for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
                struct ganger *g;
                struct fake f;
                struct told told;

                open_quietly(&f, &g);
                start(g, &told);
                assert_true(fake_send_bytes(&f, garbage[i].bytes, garbage[i].size_bytes));
                assert_int_equal(ganger_dispatch(g), -EPROTO);
                assert_true(told.n == 1 && told.r == -EPROTO);
                close_both(&f, g);
        }
}

static void test_a_descriptor_of_no_message(void **state)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
        struct iovec bytes = {(void *)(uintptr_t) "\x93\x02\xa1x\x90", 5};
        struct msghdr message = {.msg_iov = &bytes,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control.bytes};
        struct ganger *g;
        struct fake f;

        open_quietly(&f, &g);
        memcpy(CMSG_DATA(&control.header), &f.fd, sizeof f.fd);
        assert_int_equal(sendmsg(f.fd, &message, 0), 5);
        assert_int_equal(ganger_dispatch(g), -EPROTO);
        close_both(&f, g);
}

static void test_what_a_later_daemon_adds_is_ignored(void **state)
{
        struct ganger *g;
        struct fake f;

        open_quietly(&f, &g);
        assert_true(fake_send(&f, "[us[]]", (uint64_t)2, "news"));
        assert_true(
                fake_send(&f, "[us[uss]]", (uint64_t)2, "stream", (uint64_t)9, "stdout", "of a closed one"));
        assert_int_equal(ganger_dispatch(g), 0);
        close_both(&f, g);
}

static void test_descriptors_go_with_the_first_byte(void **state)
{
        enum { BIG = 1 << 20 };
        char *big = malloc(BIG + 1);
        struct ganger *g;
        struct fake f;
        struct told told, also;
        struct envelope e;
        int pipe_fds[2];
        char c;

        memset(big, 'b', BIG);
        big[BIG] = 0;
        open_quietly(&f, &g);
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        start(g, &also); /* its bytes must not be sent along with the descriptors */
        told = (struct told){0};
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, &told, "[hsh]", pipe_fds[0], big, pipe_fds[1]),
                         0);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        start(g, &also);
        ganger_flush(g);
        take(&f, "call");
        assert_int_equal(f.n_message_fds, 0);
        for (bool taken = false; !taken;) { /* more than a socket holds: both ends take turns */
                struct pollfd poller = {.fd = f.fd, .events = POLLIN};
                size_t n;

                assert_int_equal(buffer_reserve(&f.input, 1 << 16), 0);
                ganger_flush(g);
                while (poll(&poller, 1, 0) > 0 && buffer_size(&f.input) - f.taken_bytes < BIG + 60) {
                        assert_int_equal(buffer_reserve(&f.input, 1 << 16), 0);
                        assert_int_equal(fds_receive(f.fd, &f.input, &f.stream_at, &f.fds, &n, NULL), 0);
                }
                taken = buffer_size(&f.input) - f.taken_bytes >= BIG + 40;
        }
        assert_true(fake_take(&f, &e));
        assert_int_equal(f.n_message_fds, 2);
        assert_int_equal(write(f.message_fds[1], "x", 1), 1);
        assert_int_equal(read(f.message_fds[0], &c, 1), 1);
        ganger_flush(g);
        take(&f, "call");
        free(big);
        close_both(&f, g);
}

static void on_descriptors(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;
        int first = -1, second = -1, none = -1;
        const char *text;
        char c;

        told->n++;
        assert_int_equal(r, 0);
        assert_int_equal(ganger_read(reply, "[s[h]h]", &text, &second, &first), 0);
        assert_int_equal(ganger_read_item(reply, 2, "h", &first), 0);
        assert_int_equal(ganger_read_item(reply, 1, "[h]", &second), 0);
        assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
        assert_int_equal(write(first, "x", 1), 1);
        assert_int_equal(read(second, &c, 1), 1);
        assert_int_equal(ganger_read_item(reply, 0, "h", &none), -EINVAL);
        ganger_reply_free(reply);
        assert_int_equal(fcntl(first, F_GETFD), -1);
        assert_int_equal(fcntl(second, F_GETFD), -1);
        told->value = (uint64_t)first;
}

/* They live as long as the reply; those of an answer that nobody wants are closed. */
static void test_descriptors_of_answers(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told = {0};
        uint32_t msgid;
        int fds[2], before;

        open_quietly(&f, &g);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(ganger_start_request(g, &msgid, "pipe.open", NULL, on_descriptors, &told, "[]"), 0);
        ganger_flush(g);
        assert_true(fake_send(&f, "[uun[s[h]h]]", RESPONSE, take(&f, "pipe.open"), "ends", fds[0], fds[1]));
        assert_int_equal(ganger_dispatch(g), 1);
        assert_int_equal(told.n, 1);

        before = open_fds();
        assert_int_equal(ganger_start_request(g, &msgid, "pipe.open", NULL, on_descriptors, &told, "[]"), 0);
        request_forget(g, msgid);
        ganger_flush(g);
        assert_true(fake_send(&f, "[uun[s[h]h]]", RESPONSE, take(&f, "pipe.open"), "ends", fds[0], fds[1]));
        assert_int_equal(ganger_dispatch(g), 0);
        assert_int_equal(told.n, 1);
        assert_int_equal(open_fds(), before);
        close(fds[0]);
        close(fds[1]);
        close_both(&f, g);
}

static void on_big(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;
        const void *data;
        size_t size_bytes = 0;

        told->n++;
        told->r = r;
        assert_int_equal(r, 0);
        assert_int_equal(ganger_read(reply, "y", &data, &size_bytes), 0);
        told->value = size_bytes;
        assert_int_equal(((const char *)data)[size_bytes - 1], 'z');
        ganger_reply_free(reply);
}

static void test_big_answers(void **state)
{
        enum { BIG = 3 << 20 };
        char *big = calloc(1, BIG);
        struct buffer bytes = BUFFER_INIT;
        struct told told[3] = {0};
        struct ganger *g;
        struct fake f;

        open_quietly(&f, &g);
        big[BIG - 1] = 'z';
        for (int i = 0; i < 3; i++) {
                uint32_t msgid;
                assert_int_equal(ganger_start_request(g, &msgid, "x", NULL, i == 1 ? on_reply : on_big,
                                                      &told[i], NULL),
                                 0);
                if (i == 1) /* a small one between two large ones, in one read with their ends */
                        fake_pack(&bytes, "[uunu]", RESPONSE, (uint64_t)msgid, (uint64_t)4);
                else
                        fake_pack(&bytes, "[uuny]", RESPONSE, (uint64_t)msgid, big, (size_t)BIG);
        }
        for (size_t at = 0; at < buffer_size(&bytes); at += 100000) {
                size_t left = buffer_size(&bytes) - at;
                assert_true(fake_send_bytes(&f, buffer_at(&bytes) + at, left < 100000 ? left : 100000));
                assert_true(ganger_dispatch(g) >= 0);
        }
        assert_true(told[0].n == 1 && told[1].n == 1 && told[2].n == 1);
        assert_true(told[0].value == BIG && told[1].value == 4 && told[2].value == BIG);
        memset(big, 's', BIG - 1);
        big[BIG - 1] = '\0';
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, told, "[sss]", big, big, big),
                         -EMSGSIZE); /* more than this daemon takes */
        assert_int_equal(ganger_pending(g), 0);
        free(big);
        buffer_deinit(&bytes);
        close_both(&f, g);
}

static void on_reply_misusing(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;

        assert_int_equal(ganger_dispatch(told->g), -EBUSY);
        assert_int_equal(ganger_call(told->g, NULL, NULL, "f", NULL), -EBUSY);
        assert_ptr_equal(ganger_close(told->g), told->g);
        on_reply(userdata, r, reply);
        start(told->g, told); /* which is allowed */
}

static void test_within_a_callback(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told = {0};

        open_quietly(&f, &g);
        told.g = g;
        assert_int_equal(ganger_start(g, NULL, "f", on_reply_misusing, &told, NULL), 0);
        ganger_flush(g);
        assert_true(fake_send(&f, "[uunn]", RESPONSE, take(&f, "call")));
        assert_int_equal(ganger_dispatch(g), 1);
        take(&f, "call"); /* sent by the same dispatch */
        assert_null(ganger_close(g));
        assert_true(told.n == 1 && told.r == -ECANCELED);
        fake_close(&f);
}

static void test_in_the_child_of_a_fork(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told;
        int status;
        pid_t pid;

        open_quietly(&f, &g);
        start(g, &told);
        pid = fork();
        if (pid == 0) {
                bool fine = ganger_dispatch(g) == -ECHILD && ganger_flush(g) == -ECHILD &&
                            ganger_start(g, NULL, "f", on_reply, &told, NULL) == -ECHILD &&
                            ganger_call(g, NULL, NULL, "f", NULL) == -ECHILD && ganger_close(g) == NULL &&
                            told.n == 0;
                _exit(fine ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(ganger_dispatch(g), 0); /* the parent goes on */
        assert_true(fake_send(&f, "[uunu]", RESPONSE, take(&f, "call"), (uint64_t)3));
        assert_int_equal(ganger_dispatch(g), 1);
        assert_true(told.n == 1 && told.value == 3);
        close_both(&f, g);
}

static void test_refusals_leave_nothing(void **state)
{
        struct ganger *g;
        struct fake f;
        struct told told = {0};

        open_quietly(&f, &g);
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, &told, "[s", "x"), -EINVAL);
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, &told, "s", "x"), -EINVAL);
        assert_int_equal(ganger_start(g, NULL, "f", on_reply, &told, "[sh]", "x", -1), -EBADF);
        assert_int_equal(ganger_notify(g, "more", "[uu"), -EINVAL);
        /* Deep enough for the format alone, too deep within its message: the daemon would hang up. */
        assert_int_equal(
                ganger_notify(g, "more", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
                0);
        assert_int_equal(ganger_flush(g), 0);
        assert_int_equal(
                ganger_notify(g, "more", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
                -EINVAL);
        assert_int_equal(ganger_pending(g), 0);
        assert_int_equal(ganger_events(g), POLLIN);
        assert_int_equal(told.n, 0);
        close_both(&f, g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hello_leaves_with_the_first_request),
                cmocka_unit_test(test_a_program_may_be_called_anything),
                cmocka_unit_test(test_answers_out_of_order),
                cmocka_unit_test(test_cut_at_every_byte),
                cmocka_unit_test(test_a_lost_connection_tells_everybody),
                cmocka_unit_test(test_last_words_are_heard),
                cmocka_unit_test(test_garbage),
                cmocka_unit_test(test_a_descriptor_of_no_message),
                cmocka_unit_test(test_what_a_later_daemon_adds_is_ignored),
                cmocka_unit_test(test_descriptors_go_with_the_first_byte),
                cmocka_unit_test(test_descriptors_of_answers),
                cmocka_unit_test(test_big_answers),
                cmocka_unit_test(test_within_a_callback),
                cmocka_unit_test(test_in_the_child_of_a_fork),
                cmocka_unit_test(test_refusals_leave_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
