/* SPDX-License-Identifier: MIT */
/* The log's thread: whoever logs never waits for it, what finds no room is counted, its end is bounded, and a
 * process that breaks down leaves its last lines. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/daemon/capture.h"

/* Standard error is a pipe that is full: the thread stands, whoever logs does not. */
static int fill_pipe(int ends[2])
{
        char block[4096] = {0};

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        int n = 0;
        for (ssize_t written; (written = write(ends[1], block, sizeof block)) > 0;)
                n += (int)written;
        fcntl(ends[1], F_SETFL, 0);
        dup2(ends[1], STDERR_FILENO);
        return n;
}

/* Reads all that comes until the end of file, behind so many bytes. */
static void *read_all(void *argument)
{
        const int *from = argument;
        size_t n = 0, skip = (size_t)from[1];
        char *all = calloc(1, 4 << 20), block[65536];
        ssize_t r;

        while ((r = read(from[0], block, sizeof block)) > 0)
                for (ssize_t i = 0; i < r; i++)
                        if (skip > 0)
                                skip--;
                        else if (n < (4 << 20) - 1)
                                all[n++] = block[i];
        return all;
}

static void test_a_thread_that_stands(void **state)
{
        struct timespec before, after;
        pthread_t thread;
        int ends[2], from[2];
        char *all, last[64];
        unsigned long long dropped = 0;
        unsigned n_lines = 0;

        capture_begin();
        log_init(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
        from[1] = fill_pipe(ends);
        from[0] = ends[0];
        assert_int_equal(log_start(), 0);
        clock_gettime(CLOCK_MONOTONIC, &before);
        for (int i = 0; i < 50000; i++)
                log_debug("line %d", i);
        log_error("urgent");
        clock_gettime(CLOCK_MONOTONIC, &after);
        pthread_create(&thread, NULL, read_all, from);
        assert_true(log_stop());
        capture_end(); /* the pipe's last writers go */
        close(ends[1]);
        pthread_join(thread, (void **)&all);
        close(ends[0]);
        for (const char *at = all; (at = strstr(at, "DEBUG line ")) != NULL; at++) {
                snprintf(last, sizeof last, "DEBUG line %u\n", n_lines++); /* in order, none left out */
                assert_int_equal(strncmp(at, last, strlen(last)), 0);
        }
        const char *told = strstr(all, "WARNING ");
        assert_non_null(told);
        assert_int_equal(sscanf(told, "WARNING %llu messages were dropped here", &dropped), 1);
        assert_int_equal(n_lines + dropped, 50000);
        assert_true(n_lines > 1000 && dropped > 1000);
        assert_non_null(strstr(told, "\nERROR urgent\n")); /* it has room that others have not */
        double took = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
        print_message("50000 messages to a log that stands: %.3f s, %llu dropped\n", took, dropped);
        assert_true(took < 10);
        free(all);
}

static void test_an_end_that_is_bounded(void **state)
{
        struct timespec before, after;
        int ends[2];

        capture_begin();
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        fill_pipe(ends);
        if (fork() == 0) {
                assert_int_equal(log_start(), 0);
                log_info("never read");
                clock_gettime(CLOCK_MONOTONIC, &before);
                bool all = log_stop();
                clock_gettime(CLOCK_MONOTONIC, &after);
                log_info("nobody waits for this");
                int64_t ms =
                        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
                _exit(!all && ms >= LOG_STOP_MS - 1 && ms < 10 * LOG_STOP_MS ? 0 : 1);
        }
        int status;
        wait(&status);
        capture_end();
        close(ends[0]);
        close(ends[1]);
        assert_int_equal(status, 0);
}

/* What was logged before the process broke down is there. */
static void test_last_lines_of_a_crash(void **state)
{
        static const int numbers[] = {SIGABRT, SIGSEGV};

        for (size_t i = 0; i < 2; i++) {
                int status;
                capture_begin();
                log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
                pid_t pid = fork();
                if (pid == 0) {
                        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
                        signal(numbers[i], SIG_DFL); /* cmocka has one */
                        log_start();
                        for (int n = 0; n < 500; n++)
                                log_info("line %d", n);
                        raise(numbers[i]);
                        _exit(0);
                }
                waitpid(pid, &status, 0);
                assert_non_null(strstr(capture_end(), "INFO line 499\n"));
                assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0); /* a sanitizer exits instead */
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_last_lines_of_a_crash),
                cmocka_unit_test(test_an_end_that_is_bounded),
                cmocka_unit_test(test_a_thread_that_stands),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
