/* SPDX-License-Identifier: MIT */
/*
 * Forks twice, with glibc's fork() and nothing else (robust mutexes and thread ids depend on it): when the
 * middle process exits, the worker becomes gangerd's child. The middle one reports the worker's number before
 * it exits, so that gangerd knows a newborn before it can find it among its children.
 */
#include "daemon/worker/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/crash.h"
#include "daemon/worker/fds.h"
#include "daemon/worker/title.h"
#include "daemon/worker/words.h"
#include "daemon/worker/worker.h"

enum { CHANNEL_FD = 3, N_SIGNALS = 64, EXIT_WORKER_FAILED = 70 };

#define REPARENTED_BOUND_NS INT64_C(5000000000)

static void on_term(int number)
{
        /* Only interrupts: what is to end says the area's cancel word. */
}

__attribute__((noreturn, format(printf, 2, 3))) static void worker_dies(const struct pool *pool,
                                                                        const char *format, ...)
{
        va_list ap;
        char text[1024];

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        fprintf(stderr, "ganger-zygote: a worker of pool %s exits: %s\n", pool->name, text);
        _exit(EXIT_WORKER_FAILED);
}

static void reset_signals(void)
{
        struct sigaction by_default = {.sa_handler = SIG_DFL}, told = {.sa_handler = on_term};
        sigset_t none;

        for (int i = 1; i <= N_SIGNALS; i++)
                sigaction(i, &by_default, NULL); /* the few that cannot be set are by default anyway */
        sigaction(SIGTERM, &told, NULL);         /* without SA_RESTART: blocking calls return */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static struct area *map_area(int fd)
{
        struct stat st;
        struct area *area;

        if (fstat(fd, &st) < 0 || st.st_size < AREA_SIZE_BYTES)
                return NULL;
        area = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (area == MAP_FAILED)
                return NULL;
        if (area_has_ring(area) && (size_t)st.st_size < AREA_AND_RING_BYTES)
                return NULL;
        return area->magic == AREA_MAGIC && area->n_slots > 0 && area->n_slots <= LIMIT_SLOTS ? area : NULL;
}

/* Keeps 0, 1, 2 and the channel, which becomes 3: the control socket's number, which is so closed. */
static void keep_channel(const struct pool *pool, int channel)
{
        int flags;

        if (dup3(channel, CHANNEL_FD, O_CLOEXEC) < 0)
                worker_dies(pool, "its channel cannot be moved: %s", strerror(errno));
        fds_close_from(CHANNEL_FD + 1);
        flags = fcntl(CHANNEL_FD, F_GETFL);
        if (flags < 0 || fcntl(CHANNEL_FD, F_SETFL, flags & ~O_NONBLOCK) < 0)
                worker_dies(pool, "its channel cannot be used: %s", strerror(errno));
}

/* Until gangerd is the parent, nobody would end this process with it. */
static void wait_for_gangerd(const struct pool *pool, pid_t gangerd)
{
        int64_t bound = now_ns() + REPARENTED_BOUND_NS;
        useconds_t pause_us = 20;

        while (getppid() != gangerd) {
                if (now_ns() > bound)
                        worker_dies(pool,
                                    "process %d, which started this zygote, does not become its parent "
                                    "(PR_SET_CHILD_SUBREAPER)",
                                    (int)gangerd);
                usleep(pause_us);
                if (pause_us < 5000)
                        pause_us *= 2;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != gangerd) /* it died in between: that signal does not come */
                _exit(0);
}

static void start_modules(const struct pool *pool)
{
        for (size_t i = 0; i < pool->n_modules; i++) {
                const struct loaded_module *loaded = &pool->modules[i];
                int r = loaded->module->start ? loaded->module->start(loaded->state) : 0;
                if (r < 0)
                        worker_dies(pool, "the start() of module %s failed: %s", loaded->module->name,
                                    strerror(-r));
        }
}

static void stop_modules(const struct pool *pool)
{
        for (size_t i = pool->n_modules; i-- > 0;)
                if (pool->modules[i].module->stop)
                        pool->modules[i].module->stop(pool->modules[i].state);
}

__attribute__((noreturn)) static void worker_main(const struct pool *pool, pid_t gangerd, int channel,
                                                  int area)
{
        struct worker worker = {.pool = pool, .channel = CHANNEL_FD};
        int r;

        reset_signals();
        worker.pid = getpid();
        worker.area = map_area(area);
        if (!worker.area)
                worker_dies(pool, "its area cannot be mapped");
        keep_channel(pool, channel);
        setsid(); /* a task that signals its own group reaches its worker and nobody else */
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_DUMPABLE, 1); /* a crash may leave a core: workers hold nothing that tasks may not see */
        title_set("ganger-worker", "worker", pool->name);
        wait_for_gangerd(pool, gangerd);
        crash_init(worker.channel, worker.area);
        words_init();
        confine(&pool->confinement, &worker.refusals);
        start_modules(pool);
        inbox_init(&worker.inbox, worker.channel);
        r = hello_send(&worker);
        if (area_has_ring(worker.area))
                worker.ring = area_ring(worker.area);
        if (r == 0)
                r = worker_serve(&worker);
        if (r == -EPIPE || r == -ECONNRESET) /* gangerd is gone */
                r = 0;
        if (r < 0)
                crash_judge(-r);
        if (r < 0)
                worker_dies(pool, r == -EBADMSG ? "gangerd sent what is no message of the protocol" : "%s",
                            strerror(-r));
        stop_modules(pool);
        fflush(NULL);
        _exit(0);
}

static int report(int control, const char *what, uint64_t id, int64_t number)
{
        struct buffer bytes = BUFFER_INIT;
        struct iovec iov;
        struct packer p;
        int r;

        pack_begin(&p, &bytes);
        pack_notification(&p, what, 2);
        pack_uint(&p, id);
        pack_int(&p, number);
        r = pack_end(&p);
        if (r == 0) {
                iov = (struct iovec){buffer_at(&bytes), buffer_size(&bytes)};
                r = send_all(control, &iov, 1, NULL, 0);
        }
        buffer_deinit(&bytes);
        return r;
}

int fork_worker(const struct pool *pool, int control, pid_t gangerd, uint64_t id, int channel, int area)
{
        pid_t middle, worker;

        fflush(NULL); /* what is buffered is written once */
        middle = fork();
        if (middle < 0)
                return report(control, "spawn_failed", id, errno);
        if (middle == 0) {
                worker = fork();
                if (worker == 0)
                        worker_main(pool, gangerd, channel, area);
                if (worker < 0)
                        report(control, "spawn_failed", id, errno);
                else
                        report(control, "spawned", id, worker);
                _exit(0);
        }
        /* If the middle one is killed before it reports, gangerd learns it by the channel: hello, or its end.
         */
        while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}
