/* SPDX-License-Identifier: MIT */
/* The table of processes, and the calls by which gangerd makes, signals and reaps them. */
#include "tests/fuzz/model_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/zygote_private.h"
#include "proto/area.h"
#include "proto/envelope.h"
#include "proto/pack.h"
#include "proto/process_tree.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/model_worker.h"
#include "tests/fuzz/must.h"

#define FIRST_PID  (1 << 23) /* the kernel's end at 1 << 22 */
#define READ_BYTES 65536

static TAILQ_HEAD(, model_process) processes = TAILQ_HEAD_INITIALIZER(processes);
static pid_t last_pid = FIRST_PID;
static bool are_strangers;

/* pidfds that gangerd has open: which process each is. */
static struct {
        int fd;
        pid_t pid;
} pidfds[1024];
static unsigned n_pidfds;

static const char *const function_names[N_MODEL_FUNCTIONS] = {
        [MODEL_ECHO] = "echo", [MODEL_FAIL] = "fail", [MODEL_HOLD] = "hold",
        [MODEL_DIE] = "die",   [MODEL_TALK] = "talk", [MODEL_ASK] = "ask",
};

int __wrap_waitid(idtype_t, id_t, siginfo_t *, int);
pid_t __wrap_wait4(pid_t, int *, int, struct rusage *);
pid_t __wrap_waitpid(pid_t, int *, int);
int __wrap_pidfd_open(pid_t, unsigned);
int __wrap_pidfd_send_signal(int, int, siginfo_t *, unsigned);
int __wrap_kill(pid_t, int);
unsigned __wrap_process_tree_kill(pid_t, process_tree_spares, void *);

static struct model_process *find(pid_t pid)
{
        struct model_process *p;

        TAILQ_FOREACH (p, &processes, link)
                if (p->pid == pid && !p->reaped)
                        return p;
        return NULL;
}

static struct model_process *process_new(int fd)
{
        struct model_process *p = calloc(1, sizeof *p);

        MUST(p != NULL && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        p->pid = ++last_pid;
        p->fd = fd;
        TAILQ_INIT(&p->runs);
        scan_init(&p->scan, LIMIT_MESSAGE_BYTES);
        TAILQ_INSERT_TAIL(&processes, p, link);
        return p;
}

static void process_free(struct model_process *p)
{
        struct model_run *run;

        while ((run = TAILQ_FIRST(&p->runs)) != NULL)
                model_run_free(p, run);
        if (p->fd >= 0)
                close(p->fd);
        if (p->area != NULL)
                munmap(p->area, AREA_SIZE_BYTES);
        buffer_deinit(&p->input);
        fd_queue_deinit(&p->fds);
        TAILQ_REMOVE(&processes, p, link);
        free(p);
}

void model_processes_begin(bool workers_are_strangers)
{
        are_strangers = workers_are_strangers;
        last_pid = FIRST_PID;
}

void model_processes_end(void)
{
        while (!TAILQ_EMPTY(&processes))
                process_free(TAILQ_FIRST(&processes));
        n_pidfds = 0;
}

struct model_process *model_worker(unsigned n)
{
        struct model_process *p;
        unsigned n_alive = 0;

        TAILQ_FOREACH (p, &processes, link)
                n_alive += !p->is_zygote && !p->dead;
        if (n_alive == 0)
                return NULL;
        n %= n_alive;
        TAILQ_FOREACH (p, &processes, link)
                if (!p->is_zygote && !p->dead && n-- == 0)
                        return p;
        return NULL;
}

void model_process_die(struct model_process *p, int wait_status)
{
        if (p->dead)
                return;
        p->dead = true;
        p->wait_status = wait_status;
        if (p->fd >= 0)
                close(p->fd);
        p->fd = -1;
        raise(SIGCHLD);
}

void model_process_write(struct model_process *p, const void *data, size_t size_bytes)
{
        /* What does not fit is lost, as if it had died in the middle of a message. */
        if (p->fd >= 0 && size_bytes > 0)
                (void)!send(p->fd, data, size_bytes, MSG_NOSIGNAL);
}

/* -- the zygote -- */

static void zygote_say_loaded(struct model_process *zygote)
{
        struct buffer bytes = BUFFER_INIT;
        struct packer p;

        pack_begin(&p, &bytes);
        pack_notification(&p, "hello", 1);
        pack_map(&p, 1);
        pack_str(&p, "protocol");
        pack_uint(&p, ZYGOTE_PROTOCOL_VERSION);
        pack_response(&p, 0); /* to the load that will come */
        pack_map(&p, 1);
        pack_str(&p, "functions");
        pack_array(&p, N_MODEL_FUNCTIONS);
        for (unsigned i = 0; i < N_MODEL_FUNCTIONS; i++) {
                pack_array(&p, 3);
                pack_str(&p, function_names[i]);
                pack_str(&p, "model");
                pack_nil(&p);
        }
        MUST(pack_end(&p) == 0);
        model_process_write(zygote, buffer_at(&bytes), buffer_size(&bytes));
        buffer_deinit(&bytes);
}

const char *zygote_program(const struct pool_configuration *pool)
{
        return pool->zygote;
}

/* In place of zygote_exec.c. */
int zygote_execute(struct zygote *its, pid_t *ret_pid, int *ret_fd)
{
        struct model_process *zygote;
        int pair[2];

        if (in_process_enter)
                in_process_enter();
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
        zygote = process_new(pair[1]);
        zygote->is_zygote = true;
        zygote_say_loaded(zygote);
        if (in_process_leave)
                in_process_leave();
        *ret_pid = zygote->pid;
        *ret_fd = pair[0];
        return 0;
}

static void fork_worker(struct model_process *zygote, struct reader params)
{
        struct buffer bytes = BUFFER_INIT;
        struct model_process *worker;
        struct packer p;
        uint64_t id;
        int fds[2];

        MUST(reader_uint(&params, &id) == 0 && fd_queue_take(&zygote->fds, 2, fds));
        worker = process_new(fds[0]);
        worker->area = mmap(NULL, AREA_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
        MUST(worker->area != MAP_FAILED);
        close(fds[1]);
        in_process_name_socket(worker->fd, geteuid(), worker->pid);
        pack_begin(&p, &bytes);
        pack_notification(&p, "spawned", 2);
        pack_uint(&p, id);
        pack_uint(&p, (uint64_t)worker->pid);
        MUST(pack_end(&p) == 0);
        model_process_write(zygote, buffer_at(&bytes), buffer_size(&bytes));
        buffer_deinit(&bytes);
        worker->is_stranger = are_strangers;
        if (!are_strangers)
                model_worker_say_hello(worker);
}

static void zygote_hear(struct model_process *zygote, const struct envelope *e)
{
        if (e->type != ENVELOPE_NOTIFICATION)
                return;
        if (e->method_size_bytes == 5 && memcmp(e->method, "spawn", 5) == 0)
                fork_worker(zygote, e->params);
        else
                model_process_die(zygote, 0); /* stop */
}

/* -- what all do -- */

static void hear(struct model_process *p)
{
        struct envelope e;

        while (buffer_size(&p->input) > 0 &&
               scan_feed(&p->scan, buffer_at(&p->input), buffer_size(&p->input)) == SCAN_DONE) {
                MUST(envelope_parse(&e, buffer_at(&p->input), p->scan.at, NULL) == 0);
                if (p->is_zygote)
                        zygote_hear(p, &e);
                else
                        model_worker_hear(p, &e, p->scan.n_descriptors);
                buffer_consume(&p->input, p->scan.at);
                scan_init(&p->scan, LIMIT_MESSAGE_BYTES);
        }
}

static void read_all(struct model_process *p)
{
        size_t n;

        while (p->fd >= 0) {
                int r;
                MUST(buffer_reserve(&p->input, READ_BYTES) == 0);
                r = fds_receive(p->fd, &p->input, &p->stream_at, &p->fds, &n, NULL);
                if (r == -EAGAIN)
                        return;
                if (r != 0 || n == 0) /* gangerd closed it */
                        model_process_die(p, 0);
                else
                        hear(p);
        }
}

void model_processes_step(bool workers_obey)
{
        struct model_process *p, *next;

        for (p = TAILQ_FIRST(&processes); p != NULL; p = next) {
                next = TAILQ_NEXT(p, link); /* newborns come behind */
                if (!p->dead)
                        read_all(p);
                if (!p->dead && !p->is_zygote && workers_obey)
                        model_worker_obey(p);
        }
}

/* -- what gangerd does to them -- */

int __wrap_pidfd_open(pid_t pid, unsigned flags)
{
        int fd = find(pid) == NULL ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (fd < 0) {
                errno = ESRCH;
                return -1;
        }
        MUST(n_pidfds < sizeof pidfds / sizeof pidfds[0]);
        pidfds[n_pidfds].fd = fd;
        pidfds[n_pidfds++].pid = pid;
        return fd;
}

/* The last one of a number: earlier ones were closed. */
static pid_t pid_of(int pidfd)
{
        for (unsigned i = n_pidfds; i-- > 0;)
                if (pidfds[i].fd == pidfd)
                        return pidfds[i].pid;
        MUST(!"a pidfd that was opened");
        return 0;
}

int __wrap_kill(pid_t pid, int number)
{
        struct model_process *p = find(pid);

        MUST(pid > FIRST_PID);
        if (p == NULL) {
                errno = ESRCH;
                return -1;
        }
        if (number == SIGKILL)
                model_process_die(p, SIGKILL);
        if (number == SIGTERM)
                p->told = true;
        return 0;
}

int __wrap_pidfd_send_signal(int pidfd, int number, siginfo_t *info, unsigned flags)
{
        return __wrap_kill(pid_of(pidfd), number);
}

unsigned __wrap_process_tree_kill(pid_t root, process_tree_spares spares, void *userdata)
{
        return 0; /* nobody has children */
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
        struct model_process *p;

        info->si_pid = 0;
        if (type == P_PID) {
                if (find((pid_t)id) != NULL)
                        return 0;
                errno = ECHILD;
                return -1;
        }
        if (!(options & WEXITED))
                return 0; /* nobody is stopped */
        TAILQ_FOREACH (p, &processes, link)
                if (p->dead && !p->reaped) {
                        info->si_pid = p->pid;
                        return 0;
                }
        return 0;
}

pid_t __wrap_wait4(pid_t pid, int *ret_status, int options, struct rusage *ret_usage)
{
        struct model_process *p = find(pid);

        if (p == NULL) {
                errno = ECHILD;
                return -1;
        }
        if (in_process_enter)
                in_process_enter();
        if (!p->dead)
                read_all(p); /* it may be over for it by now */
        if (in_process_leave)
                in_process_leave();
        if (!p->dead)
                return 0;
        p->reaped = true;
        if (ret_status != NULL)
                *ret_status = p->wait_status;
        if (ret_usage != NULL)
                *ret_usage = (struct rusage){0};
        return pid;
}

pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options)
{
        return __wrap_wait4(pid, ret_status, options, NULL);
}
