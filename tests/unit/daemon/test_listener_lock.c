/* SPDX-License-Identifier: MIT */
/* The lock beside a socket: one holder, named to the second; gone with its holder; never a removed file's. */
#include "daemon/listener_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/cmocka_includes.h"

static char directory[] = "/tmp/ganger-lock-XXXXXX";
static char path[64], lock[128];

static int make_directory(void **state)
{
        if (mkdtemp(directory) == NULL)
                return -1;
        snprintf(path, sizeof path, "%s/socket", directory);
        snprintf(lock, sizeof lock, "%s.lock", path);
        return 0;
}

static int remove_directory(void **state)
{
        return rmdir(directory);
}

static void test_second_is_told_who(void **state)
{
        pid_t pid = 0;
        int fd, second;

        assert_int_equal(listener_lock(path, &fd, &pid), 0);
        assert_int_equal(listener_lock(path, &second, &pid), LOCK_HELD);
        assert_int_equal(pid, getpid());
        listener_unlock(path, fd);
        assert_int_equal(access(lock, F_OK), -1);
}

static void test_dies_with_its_holder(void **state)
{
        pid_t pid, child = fork();
        int fd, status;

        if (child == 0)
                _exit(listener_lock(path, &fd, &pid) == 0 ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(access(lock, F_OK), 0); /* the file is left, and no obstacle */
        assert_int_equal(listener_lock(path, &fd, &pid), 0);
        listener_unlock(path, fd);
}

static void test_a_removed_file_does_not_count(void **state)
{
        pid_t pid;
        int fd, second;

        assert_int_equal(listener_lock(path, &fd, &pid), 0);
        assert_int_equal(unlink(lock), 0);
        assert_int_equal(listener_lock(path, &second, &pid), 0);
        listener_unlock(path, second);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_second_is_told_who),
                cmocka_unit_test(test_dies_with_its_holder),
                cmocka_unit_test(test_a_removed_file_does_not_count),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
