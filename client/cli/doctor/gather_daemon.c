/* SPDX-License-Identifier: MIT */
/* What the daemon says of itself, if it answers in time; and its process, as far as the caller may see it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/doctor/doctor.h"
#include "client/cli/look.h"
#include "client/connection.h"

#define ANSWER_PATIENCE_MS 5000
#define DELETED            " (deleted)"

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void copy(char *ret, size_t size_bytes, struct look_text text)
{
        snprintf(ret, size_bytes, "%.*s", LOOK(text));
}

static void take_pools(struct doctor_daemon *daemon, struct reader pools)
{
        struct reader pool, inner = {NULL, NULL};
        uint32_t n = look_array(&pools);

        daemon->pools = calloc(n > 0 ? n : 1, sizeof *daemon->pools);
        for (; daemon->pools != NULL && n > 0 && look_next(&pools, &pool); n--) {
                struct doctor_pool *ret = &daemon->pools[daemon->n_pools++];
                copy(ret->name, sizeof ret->name, look_text(pool, "name"));
                ret->degraded = look_true(pool, "degraded");
                ret->paused = look_true(pool, "paused");
                if (look_key(pool, "workers", &inner)) {
                        ret->target = look_uint(inner, "target", 0);
                        ret->starting = look_uint(inner, "starting", 0);
                        ret->there = look_uint(inner, "idle", 0) + look_uint(inner, "busy", 0);
                }
                if (look_key(pool, "queued", &inner))
                        ret->queued = look_uint(inner, "ready", 0) + look_uint(inner, "delayed", 0);
        }
}

static void take_uses(struct doctor_daemon *daemon, struct reader user)
{
        struct reader key, pair;

        for (uint32_t n = look_map(&user); n > 0 && daemon->n_uses < DOCTOR_USES; n--) {
                struct doctor_use *use = &daemon->uses[daemon->n_uses];
                if (!look_next(&user, &key) || !look_next(&user, &pair))
                        return;
                copy(use->what, sizeof use->what, look_whole_text(key));
                if (look_array(&pair) == 2 && reader_uint(&pair, &use->used) == 0 &&
                    reader_uint(&pair, &use->limit) == 0)
                        daemon->n_uses++;
        }
}

static void take_status(struct doctor_daemon *daemon, const struct ganger_reply *reply)
{
        struct reader status = look_reader(reply), pools = {NULL, NULL}, user = {NULL, NULL};

        daemon->answer = ANSWER_GIVEN;
        daemon->pid = (pid_t)look_uint(status, "pid", 0);
        copy(daemon->version, sizeof daemon->version, look_text(status, "version"));
        copy(daemon->state, sizeof daemon->state, look_text(status, "state"));
        daemon->log_dropped = look_uint(status, "log_dropped", 0);
        if (look_key(status, "user", &user))
                take_uses(daemon, user);
        if (look_key(status, "pools", &pools))
                take_pools(daemon, pools);
}

static void refused(struct doctor_daemon *daemon, const struct ganger_reply *words)
{
        daemon->answer = ANSWER_REFUSED;
        snprintf(daemon->words, sizeof daemon->words, "%s", ganger_message(words));
}

/* Runs the connection until it has answered, is lost, or the time is over. */
static int await(struct ganger *g, const struct cli_request *request)
{
        int64_t deadline_ms = now_ms() + ANSWER_PATIENCE_MS, left_ms;
        int r = 0;

        while (r >= 0 && !request->done && (left_ms = deadline_ms - now_ms()) > 0) {
                struct pollfd p = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};
                int64_t own_ms = ganger_timeout_ms(g);
                if (poll(&p, 1, (int)(own_ms >= 0 && own_ms < left_ms ? own_ms : left_ms)) < 0 &&
                    errno != EINTR)
                        return -errno;
                r = ganger_dispatch(g);
        }
        return r;
}

static void ask(struct doctor_daemon *daemon, struct ganger *g)
{
        struct cli_request request = {0};
        int r = ganger_start_request(g, &request.msgid, "status", NULL, cli_on_reply, &request, "[]");

        if (r >= 0)
                r = await(g, &request);
        if (request.done && request.r == 0)
                take_status(daemon, request.reply);
        else if (request.done && request.r > 0)
                refused(daemon, request.reply);
        else if (ganger_error(g) != NULL)
                refused(daemon, ganger_error(g));
        else if (request.done || r < 0)
                daemon->answer = ANSWER_FOREIGN;
        else
                daemon->answer = ANSWER_SILENT;
        if (!request.done)
                request_forget(g, request.msgid);
        cli_request_deinit(&request);
}

/* Whoever called listen(), if that was gangerd and not systemd for it. */
static pid_t listener_pid(int fd)
{
        struct ucred peer = {0};
        socklen_t size = sizeof peer;
        char path[64], name[32] = "";
        FILE *f;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
                return 0;
        snprintf(path, sizeof path, "/proc/%d/comm", (int)peer.pid);
        f = fopen(path, "re");
        if (f != NULL) {
                if (fgets(name, sizeof name, f) == NULL)
                        *name = 0;
                fclose(f);
        }
        return strcmp(name, "gangerd\n") == 0 ? peer.pid : 0;
}

void doctor_gather_daemon(struct doctor_facts *facts, int fd)
{
        struct ganger *g = NULL;
        void (*before)(int);

        if (fd < 0)
                return;
        facts->process.pid = listener_pid(fd);
        facts->daemon.answer = ANSWER_FOREIGN;
        before = signal(SIGPIPE, SIG_IGN);
        int r = connection_new(fd, &g);
        if (r == 0)
                ask(&facts->daemon, g);
        ganger_close(g);
        signal(SIGPIPE, before);
        if (r < 0)
                return;
        if (facts->daemon.pid > 0)
                facts->process.pid = facts->daemon.pid;
}

/* -- the process -- */

static void read_status(struct doctor_process *process, FILE *f)
{
        char line[256], state;
        unsigned uid;

        while (fgets(line, sizeof line, f) != NULL)
                if (sscanf(line, "State: %c", &state) == 1)
                        process->stopped = state == 'T' || state == 't';
                else if (sscanf(line, "Uid: %*u %u", &uid) == 1)
                        process->uid = uid;
}

/* gangerd is not dumpable: only root may see which program it is. */
static void read_program(struct doctor_process *process, const char *path)
{
        ssize_t size = readlink(path, process->program, sizeof process->program - 1);

        if (size < 0)
                return;
        process->program[size] = 0;
        size_t rest = strlen(DELETED);
        if ((size_t)size > rest && strcmp(process->program + size - rest, DELETED) == 0) {
                process->replaced = true;
                process->program[(size_t)size - rest] = 0;
        }
}

void doctor_config_word(const char *words, size_t size_bytes, char *ret, size_t ret_bytes)
{
        const char *end = words + size_bytes;

        *ret = 0;
        for (const char *at = words; at < end; at += strlen(at) + 1) {
                const char *next = at + strlen(at) + 1;
                if (strncmp(at, "--config=", strlen("--config=")) == 0)
                        snprintf(ret, ret_bytes, "%s", at + strlen("--config="));
                else if (strcmp(at, "--config") == 0 && next < end)
                        snprintf(ret, ret_bytes, "%s", next);
        }
}

void doctor_gather_process(struct doctor_facts *facts)
{
        struct doctor_process *process = &facts->process;
        char path[64], words[2 * PATH_MAX];
        size_t n = 0;
        FILE *f;

        if (process->pid == 0)
                return;
        snprintf(path, sizeof path, "/proc/%d/status", (int)process->pid);
        f = fopen(path, "re");
        if (f == NULL) {
                process->pid = 0; /* not of this machine, or hidden */
                return;
        }
        read_status(process, f);
        fclose(f);
        doctor_user_name(process->uid, process->user);
        snprintf(path, sizeof path, "/proc/%d/exe", (int)process->pid);
        read_program(process, path);
        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)process->pid);
        f = fopen(path, "re");
        if (f != NULL) {
                n = fread(words, 1, sizeof words - 1, f);
                fclose(f);
        }
        words[n] = 0;
        doctor_config_word(words, n, process->config, sizeof process->config);
}
