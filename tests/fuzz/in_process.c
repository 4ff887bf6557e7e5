/* SPDX-License-Identifier: MIT */
/*
 * Whose end of a socketpair it is cannot be told from a descriptor. So the far end gets a name in the
 * abstract space that says user and process, and the wrapped calls ask the near end for its peer's name.
 */
#include "tests/fuzz/in_process.h"

#include <dirent.h>
#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/configuration.h"
#include "daemon/core/core_look.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/start.h"
#include "tests/fuzz/model_process.h"
#include "tests/fuzz/must.h"

#define TURN_NS        (CORE_SECOND / 10000)
#define STOP_TURN_NS   (CORE_SECOND / 5)
#define STOP_TURNS     2000
#define CLOSE_WAITS_MS 5000
#define NAME_FORMAT    "ganger-fuzz %d %d %d %u"

static char directory[] = "/dev/shm/ganger-fuzz-XXXXXX"; /* in memory: it is written to in each run */
static char config_path[64], socket_path[64];
static bool shows_log;
void (*in_process_enter)(void), (*in_process_leave)(void);
static _Atomic int64_t now_ns; /* closing threads look, too */

/* -- what the linker puts in place of the C library's -- */

int __wrap_clock_gettime(clockid_t, struct timespec *);
ssize_t __wrap_getrandom(void *, size_t, unsigned);
int __real_getsockopt(int, int, int, void *, socklen_t *);
int __wrap_getsockopt(int, int, int, void *, socklen_t *);
ssize_t __real_recvmsg(int, struct msghdr *, int);
ssize_t __wrap_recvmsg(int, struct msghdr *, int);
ssize_t __real_write(int, const void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);
int __wrap_log_start(void);
int __wrap_prctl(int, unsigned long, unsigned long, unsigned long, unsigned long);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
        int64_t now = clock == CLOCK_REALTIME ? 0 : now_ns;

        *ret = (struct timespec){now / CORE_SECOND, now % CORE_SECOND};
        return 0;
}

ssize_t __wrap_getrandom(void *data, size_t size_bytes, unsigned flags)
{
        memset(data, 0x5a, size_bytes);
        return (ssize_t)size_bytes;
}

/* The log is written, but not seen. */
ssize_t __wrap_write(int fd, const void *data, size_t size_bytes)
{
        if (fd == STDERR_FILENO && !shows_log)
                return (ssize_t)size_bytes;
        return __real_write(fd, data, size_bytes);
}

/* Without the log's thread, which one process starts once: what is logged is written at once. */
int __wrap_log_start(void)
{
        return 0;
}

/* gangerd would make its process a subreaper and closed to tracers, as the fuzzer's own is not to be. */
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
        return 0;
}

void in_process_name_socket(int fd, uid_t uid, pid_t pid)
{
        static unsigned n_named;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int n = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, NAME_FORMAT, (int)getpid(), (int)uid,
                         (int)pid, n_named++);

        MUST(bind(fd, (struct sockaddr *)&name,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) == 0);
}

static bool peer_of(int fd, uid_t *ret_uid, pid_t *ret_pid)
{
        struct sockaddr_un name = {0};
        socklen_t size = sizeof name - 1;
        int owner, uid, pid;
        unsigned n;

        if (getpeername(fd, (struct sockaddr *)&name, &size) < 0 || name.sun_family != AF_UNIX ||
            name.sun_path[0] != 0 || sscanf(name.sun_path + 1, NAME_FORMAT, &owner, &uid, &pid, &n) != 4 ||
            owner != getpid())
                return false;
        *ret_uid = (uid_t)uid;
        *ret_pid = pid;
        return true;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
        int r = __real_getsockopt(fd, level, option, value, size);
        struct ucred *ucred = value;
        uid_t uid;
        pid_t pid;

        if (r == 0 && level == SOL_SOCKET && option == SO_PEERCRED && peer_of(fd, &uid, &pid))
                *ucred = (struct ucred){.pid = pid, .uid = uid, .gid = (gid_t)uid};
        return r;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
        ssize_t n = __real_recvmsg(fd, message, flags);
        struct ucred ucred;

        if (n < 0)
                return n;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
                        memcpy(&ucred, CMSG_DATA(c), sizeof ucred);
                        peer_of(fd, &ucred.uid, &ucred.pid);
                        memcpy(CMSG_DATA(c), &ucred, sizeof ucred);
                }
        return n;
}

/* -- the run -- */

void in_process_advance(int64_t duration)
{
        now_ns += duration;
}

int64_t in_process_now(void)
{
        return now_ns;
}

static void remove_directory(void)
{
        unlink(config_path);
        unlink(socket_path);
        rmdir(directory);
}

static void make_directory(const char *configuration)
{
        FILE *file;

        MUST(mkdtemp(directory) != NULL);
        snprintf(config_path, sizeof config_path, "%s/ganger.conf", directory);
        snprintf(socket_path, sizeof socket_path, "%s/socket", directory);
        file = fopen(config_path, "w");
        MUST(file != NULL && fputs(configuration, file) >= 0 && fclose(file) == 0);
        atexit(remove_directory);
        shows_log = getenv("GANGER_FUZZ_LOG") != NULL;
}

static unsigned count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        MUST(dir != NULL);
        while (readdir(dir) != NULL)
                n++;
        closedir(dir);
        return n;
}

/* Those that may block are closed by threads. */
static void check_closed(unsigned n_before)
{
        unsigned n = 0;

        for (unsigned waited_ms = 0; waited_ms < CLOSE_WAITS_MS; waited_ms++) {
                n = count_descriptors();
                if (n <= n_before)
                        return;
                usleep(1000);
        }
        fprintf(stderr, "%u descriptors are open, %u were\n", n, n_before);
        MUST(!"every descriptor is closed");
}

static void on_turn(evutil_socket_t fd, short what, void *userdata)
{
        struct in_process *p = userdata;

        if (in_process_enter)
                in_process_enter();
        in_process_advance(p->is_stopping ? STOP_TURN_NS : TURN_NS);
        daemon_update_now(p->daemon);
        core_check(p->daemon->core);
        if (!p->step(p->userdata) && !p->is_stopping) {
                p->is_stopping = true;
                raise(SIGTERM);
        }
        if (p->is_stopping)
                MUST(++p->n_turns_stopping < STOP_TURNS);
        if (in_process_leave)
                in_process_leave();
}

static void serve(struct in_process *p, struct daemon *daemon)
{
        int fd = eventfd(1, EFD_CLOEXEC); /* never read: each turn finds it readable */
        struct event *turn = event_new(daemon->base, fd, EV_READ | EV_PERSIST, on_turn, p);

        MUST(fd >= 0 && turn != NULL && event_add(turn, NULL) == 0);
        MUST(daemon_run(daemon) == 0);
        event_free(turn);
        close(fd);
}

void in_process_run(struct in_process *p, const char *configuration)
{
        struct start_options options = {.config_path = config_path, .socket = socket_path};
        struct configuration_problem problem;
        struct daemon daemon = {0};
        unsigned n_open;

        if (config_path[0] == 0)
                make_directory(configuration);
        n_open = count_descriptors();
        now_ns = CORE_SECOND;
        log_init(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        p->daemon = &daemon;
        if (start_load(&options, &options.config, &problem) == 0) {
                p->came_up = daemon_begin(&daemon, &options) == 0;
                if (p->came_up)
                        serve(p, &daemon);
                daemon_end(&daemon);
        }
        MUST(p->came_up || p->has_faults);
        model_processes_end();
        p->over(p->userdata);
        check_closed(n_open);
}
