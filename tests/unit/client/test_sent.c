/* SPDX-License-Identifier: MIT */
/* The descriptors that the library keeps of large values it sent: how long, how many, and who closes them. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/open_fds.h"
#include "tests/unit/client/fake_daemon.h"
#include "tests/unit/cmocka_includes.h"

#define RESPONSE ((uint64_t)1)

enum { LARGE_BYTES = 256 << 10, N_REQUESTS = 100, KEPT_MOST = 64, N_ROUNDS = 200 };

static char large[LARGE_BYTES];

struct scene {
        struct ganger *g;
        struct fake f;
        int before; /* descriptors */
};

struct told {
        int n;
        struct ganger_reply *reply; /* the last one */
};

static void on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct told *told = userdata;

        (void)r;
        told->n++;
        ganger_reply_free(told->reply);
        told->reply = reply;
}

static void scene_begin(struct scene *s)
{
        struct envelope e;

        fake_open(&s->f, &s->g);
        ganger_flush(s->g);
        assert_true(fake_take(&s->f, &e));
        assert_true(fake_send(&s->f, "[uun{susu}]", RESPONSE, (uint64_t)e.msgid, "protocol", (uint64_t)1,
                              "max_message", (uint64_t)(8 << 20)));
        assert_int_equal(ganger_dispatch(s->g), 0);
        s->before = open_fds();
}

static void scene_end(struct scene *s)
{
        ganger_close(s->g);
        fake_close(&s->f);
}

/* Of large values, beside what the fake daemon has. */
static int n_kept(const struct scene *s)
{
        return open_fds() - s->before - (int)s->f.n_message_fds;
}

static uint64_t ask(struct scene *s, struct told *told)
{
        struct envelope e;

        assert_int_equal(
                ganger_start(s->g, NULL, "f", on_reply, told, "[yu]", large, sizeof large, (uint64_t)1), 0);
        assert_int_equal(ganger_flush(s->g), 0);
        assert_true(fake_take(&s->f, &e));
        assert_int_equal(s->f.n_message_fds, 1);
        return e.msgid;
}

static void answer(struct scene *s, uint64_t msgid)
{
        assert_true(fake_send(&s->f, "[uunu]", RESPONSE, msgid, (uint64_t)3));
        assert_true(ganger_dispatch(s->g) >= 0);
}

static void use_again(struct scene *s)
{
        struct envelope e;

        assert_int_equal(ganger_notify(s->g, "more", "[uu]", (uint64_t)1, (uint64_t)1), 0);
        assert_int_equal(ganger_flush(s->g), 0);
        assert_true(fake_take(&s->f, &e));
}

static void test_until_the_reply_is_freed(void **state)
{
        struct told told = {0};
        struct scene s;

        (void)state;
        scene_begin(&s);
        uint64_t msgid = ask(&s, &told);
        assert_int_equal(n_kept(&s), 1);
        answer(&s, msgid);
        assert_int_equal(told.n, 1);
        assert_int_equal(n_kept(&s), 1);
        ganger_reply_free(told.reply);
        assert_int_equal(n_kept(&s), 0);
        scene_end(&s);
}

static void test_until_the_handle_is_used_again(void **state)
{
        struct told told = {0};
        struct scene s;

        (void)state;
        scene_begin(&s);
        answer(&s, ask(&s, &told));
        assert_int_equal(n_kept(&s), 1);
        use_again(&s);
        assert_int_equal(n_kept(&s), 0);
        int other = dup(0); /* perhaps by the same number: it must not be closed in its place */
        ganger_reply_free(told.reply);
        assert_int_equal(close(other), 0);
        scene_end(&s);
}

static void test_no_more_than_so_many(void **state)
{
        struct told told = {0};
        uint64_t msgids[N_REQUESTS];
        struct scene s;

        (void)state;
        scene_begin(&s);
        for (int i = 0; i < N_REQUESTS; i++)
                msgids[i] = ask(&s, &told);
        assert_int_equal(n_kept(&s), KEPT_MOST);
        for (int i = 0; i < N_REQUESTS; i++)
                answer(&s, msgids[i]);
        assert_int_equal(told.n, N_REQUESTS);
        ganger_reply_free(told.reply);
        told.reply = NULL;
        assert_int_equal(n_kept(&s), 0);
        answer(&s, ask(&s, &told)); /* there is room again */
        assert_int_equal(n_kept(&s), 1);
        ganger_reply_free(told.reply);
        scene_end(&s);
}

static void test_of_what_nobody_waits_for(void **state)
{
        struct told told = {0};
        struct scene s;

        (void)state;
        scene_begin(&s);
        uint64_t msgid = ask(&s, &told);
        request_forget(s.g, (uint32_t)msgid);
        answer(&s, msgid);
        use_again(&s);
        assert_int_equal(n_kept(&s), 0);
        ask(&s, &told);
        assert_int_equal(n_kept(&s), 1);
        int n_fds = open_fds();
        ganger_close(s.g); /* its socket, too */
        assert_int_equal(open_fds(), n_fds - 2);
        assert_true(told.n == 1 && told.reply == NULL);
        fake_close(&s.f);
}

static void *free_reply(void *reply)
{
        return ganger_reply_free(reply);
}

/* The reply is its owner's, on whatever thread. */
static void test_freed_by_another_thread(void **state)
{
        struct told told = {0};
        pthread_t thread;
        struct scene s;

        (void)state;
        scene_begin(&s);
        for (int i = 0; i < N_ROUNDS; i++) {
                answer(&s, ask(&s, &told));
                assert_int_equal(pthread_create(&thread, NULL, free_reply, told.reply), 0);
                told.reply = NULL;
                use_again(&s);
                assert_int_equal(pthread_join(thread, NULL), 0);
                assert_int_equal(n_kept(&s), 0);
        }
        scene_end(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_until_the_reply_is_freed),
                cmocka_unit_test(test_until_the_handle_is_used_again),
                cmocka_unit_test(test_no_more_than_so_many),
                cmocka_unit_test(test_of_what_nobody_waits_for),
                cmocka_unit_test(test_freed_by_another_thread),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
