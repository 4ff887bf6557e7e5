/* SPDX-License-Identifier: MIT */
/*
 * The thread sleeps on a semaphore, which is posted only if it said that it is about to: so it is awake, or
 * woken, from the moment that an entry is there until all of them are written.
 *
 * What was dropped is told in its place, by the next entry that found room; if there is none, when all before
 * it is written.
 */
#include "daemon/log_thread.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log_ring.h"
#include "daemon/log_sink.h"
#include "daemon/message_ids.h"

#define STACK_BYTES   (128 << 10)
#define CRASH_WAIT_MS 500 /* that the last lines of a process have which crashes */

static struct {
        struct log_ring ring;
        _Atomic uint64_t dropped; /* since it was last told */
        uint64_t n_dropped;       /* in all; of who puts in */
        _Atomic bool sleeps, ends;
        _Atomic pid_t tid;
        sem_t wake;
        pthread_t thread;
} state;

/* -- putting in -- */

struct log_entry *log_thread_reserve(enum log_level level)
{
        size_t fill = level <= LOG_LEVEL_WARNING ? LOG_RING_BYTES : LOG_RING_COMMON_BYTES;
        struct log_entry *e = log_ring_reserve(&state.ring, LOG_BLOCK_BYTES, fill);

        if (e == NULL) {
                atomic_fetch_add(&state.dropped, 1);
                state.n_dropped++;
        }
        return e;
}

uint64_t log_thread_n_dropped(void)
{
        return state.n_dropped;
}

static void wake(void)
{
        if (atomic_exchange(&state.sleeps, false))
                sem_post(&state.wake);
}

void log_thread_commit(struct log_entry *e, size_t size_bytes)
{
        e->dropped = atomic_exchange(&state.dropped, 0);
        log_ring_commit(&state.ring, size_bytes);
        wake();
}

/* -- taking out -- */

static void say_dropped(uint64_t n)
{
        char text[128];
        struct log_entry e = {.level = LOG_LEVEL_WARNING,
                              .origin = LOG_ORIGIN,
                              .message_id = MESSAGE_LOG_DROPPED,
                              .message = text};

        if (n == 0)
                return;
        snprintf(text, sizeof text,
                 "%llu messages were dropped here: they came faster than the log takes them",
                 (unsigned long long)n);
        clock_gettime(CLOCK_REALTIME, &e.time);
        log_sink_write(&e);
}

static void drain(void)
{
        struct log_entry *e;

        while ((e = log_ring_peek(&state.ring)) != NULL) {
                say_dropped(e->dropped);
                log_sink_write(e);
                log_ring_release(&state.ring);
        }
        say_dropped(atomic_exchange(&state.dropped, 0));
}

static void *log_thread(void *argument)
{
        state.tid = gettid();
        for (;;) {
                bool ends = state.ends;
                drain();
                if (ends)
                        return NULL;
                atomic_store(&state.sleeps, true);
                if (!log_ring_is_empty(&state.ring) || state.ends)
                        atomic_store(&state.sleeps, false);
                else
                        while (sem_wait(&state.wake) < 0 && errno == EINTR)
                                ;
        }
}

/* -- a process that crashes -- */

/* The handler is gone with its first call, so the fault is met again on the return. */
static void on_crash(int number, siginfo_t *info, void *context)
{
        const struct timespec pause = {.tv_nsec = 1000000};
        int saved = errno;

        for (int ms = 0; ms < CRASH_WAIT_MS && gettid() != state.tid && !log_ring_is_empty(&state.ring); ms++)
                nanosleep(&pause, NULL);
        errno = saved;
        if (info->si_code <= 0) /* sent by somebody: it is not met again by itself */
                raise(number);
}

/* Who has a handler already (a sanitizer) keeps it. */
static void handle_crashes(void)
{
        static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
        static char stack[16 << 10];
        const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
        struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_RESETHAND}, before;
        stack_t stack_before;

        if (sigaltstack(NULL, &stack_before) == 0 &&
            (!(stack_before.ss_flags & SS_DISABLE) || sigaltstack(&alternate, NULL) == 0))
                action.sa_flags |= SA_ONSTACK;
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
                if (sigaction(numbers[i], NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
                    before.sa_handler == SIG_DFL)
                        sigaction(numbers[i], &action, NULL);
}

/* -- its life -- */

int log_thread_start(void)
{
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        if (sem_init(&state.wake, 0, 0) < 0)
                return -errno;
        state.ends = state.sleeps = false;
        sigfillset(&all);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&state.thread, &attributes, log_thread, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        if (r != 0)
                return -r;
        pthread_setname_np(state.thread, "gangerd-log");
        handle_crashes();
        return 0;
}

bool log_thread_stop(void)
{
        struct timespec until;

        atomic_store(&state.ends, true);
        wake();
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LOG_STOP_MS / 1000;
        if (pthread_timedjoin_np(state.thread, NULL, &until) == 0)
                return true;
        pthread_detach(state.thread);
        return false;
}
