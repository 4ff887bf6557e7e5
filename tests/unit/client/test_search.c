/* SPDX-License-Identifier: MIT */
/* Where the socket is looked for, and connecting: nobody there, a full queue, a path too long. */
#include "client/search.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/ganger.h"
#include "tests/unit/cmocka_includes.h"

static char directory[] = "/tmp/ganger-test-XXXXXX";
static char path[64];

static int setup(void **state)
{
        if (mkdtemp(directory) == NULL)
                return -1;
        snprintf(path, sizeof path, "%s/sock", directory);
        return 0;
}

static int teardown(void **state)
{
        unlink(path);
        return rmdir(directory);
}

static int listen_at(int backlog)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        unlink(path);
        memcpy(address.sun_path, path, strlen(path));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(fd, backlog), 0);
        return fd;
}

static void test_path_too_long(void **state)
{
        char longest[LIMIT_SOCKET_PATH_BYTES + 2] = {0};
        struct ganger *g;

        memset(longest, 'x', LIMIT_SOCKET_PATH_BYTES + 1);
        longest[0] = '/';
        assert_int_equal(ganger_open(&g, longest), -ENAMETOOLONG);
        longest[LIMIT_SOCKET_PATH_BYTES] = '\0';
        assert_int_equal(ganger_open(&g, longest), -ENOENT);
        assert_int_equal(ganger_open(&g, ""), -EINVAL);
        memset(longest, 'x', LIMIT_SOCKET_PATH_BYTES + 1);
        setenv("GANGER_SOCKET", longest, 1);
        assert_int_equal(ganger_open(&g, NULL), -ENAMETOOLONG);
        unsetenv("GANGER_SOCKET");
}

static void test_nobody_listens(void **state)
{
        struct ganger *g;

        assert_int_equal(ganger_open(&g, path), -ENOENT);
        close(listen_at(1));
        assert_int_equal(ganger_open(&g, path), -ECONNREFUSED);
        setenv("GANGER_SOCKET", path, 1);
        assert_int_equal(ganger_open(&g, NULL), -ECONNREFUSED);
        unsetenv("GANGER_SOCKET");
}

static void test_candidates(void **state)
{
        char found[SEARCH_CANDIDATES][LIMIT_SOCKET_PATH_BYTES + 1];

        setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
        unsetenv("GANGER_SOCKET");
        assert_int_equal(search_candidates(SEARCH_SYSTEM, found), 1);
        assert_string_equal(found[0], "/run/ganger/ganger.sock");
        assert_int_equal(search_candidates(SEARCH_USER, found), 1);
        if (geteuid() == 0) {
                assert_string_equal(found[0], "/run/ganger/ganger.sock");
                assert_int_equal(search_candidates(SEARCH_USUAL, found), 1);
        } else {
                assert_string_equal(found[0], "/run/user/7/ganger/ganger.sock");
                assert_int_equal(search_candidates(SEARCH_USUAL, found), 2);
                assert_string_equal(found[1], "/run/ganger/ganger.sock");
                unsetenv("XDG_RUNTIME_DIR");
                assert_int_equal(search_candidates(SEARCH_USER, found), 0);
                assert_int_equal(search_candidates(SEARCH_USUAL, found), 1);
        }
        setenv("GANGER_SOCKET", "/a/b", 1);
        assert_int_equal(search_candidates(SEARCH_USUAL, found), 1);
        assert_string_equal(found[0], "/a/b");
        assert_int_equal(search_candidates(SEARCH_SYSTEM, found), 1); /* chosen against the environment */
        assert_string_equal(found[0], "/run/ganger/ganger.sock");
        unsetenv("GANGER_SOCKET");
}

static void *accept_later(void *userdata)
{
        struct timespec pause = {.tv_nsec = 50000000};

        nanosleep(&pause, NULL);
        close(accept(*(int *)userdata, NULL, NULL));
        return NULL;
}

static void test_full_queue_is_tried_again(void **state)
{
        int listener = listen_at(0), first, second;
        struct timespec before, after;
        pthread_t thread;

        assert_int_equal(search_connect_path(path, &first), 0);
        clock_gettime(CLOCK_MONOTONIC, &before);
        assert_int_equal(pthread_create(&thread, NULL, accept_later, &listener), 0);
        assert_int_equal(search_connect_path(path, &second), 0);
        clock_gettime(CLOCK_MONOTONIC, &after);
        pthread_join(thread, NULL);
        assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec > 40000000);
        assert_int_equal(fcntl(second, F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(second, F_GETFL) & O_NONBLOCK);
        close(first);
        close(second);
        close(listener);
}

static void test_full_queue_is_not_waited_for_forever(void **state)
{
        int listener = listen_at(0), first, second;
        struct timespec before, after;

        assert_int_equal(search_connect_path(path, &first), 0);
        clock_gettime(CLOCK_MONOTONIC, &before);
        assert_int_equal(search_connect_path(path, &second), -EAGAIN);
        clock_gettime(CLOCK_MONOTONIC, &after);
        assert_in_range(after.tv_sec - before.tv_sec, 4, 7);
        close(first);
        close(listener);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_too_long),
                cmocka_unit_test(test_nobody_listens),
                cmocka_unit_test(test_candidates),
                cmocka_unit_test(test_full_queue_is_tried_again),
                cmocka_unit_test(test_full_queue_is_not_waited_for_forever),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
