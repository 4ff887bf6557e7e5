/* SPDX-License-Identifier: MIT */
/*
 * A program's life: its output is kept (the last bytes of it) and streamed as far as credit goes; without
 * credit its pipes are not read, so that it blocks as in a pipeline. SIGTERM and SIGCHLD are let in by
 * ppoll() alone, so that none is missed between a look and a wait.
 *
 * The program is not reaped before its group has been signalled for the last time: until then the group's
 * number cannot have been reused.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/worker/exec.h"
#include "daemon/worker/strays.h"
#include "proto/process_tree.h"

enum { READ_BYTES = 64 << 10 };

void exec_output_deinit(struct exec_output *output)
{
        if (output->fd >= 0)
                close(output->fd);
        output->fd = -1;
        buffer_deinit(&output->kept);
}

static bool is_streamed(const struct exec *x, const struct exec_output *output)
{
        uint64_t by = RUN_FLAG_STREAMS | (output == &x->output[1] ? RUN_FLAG_STDERR : 0);
        return x->run->flags & by && !x->run->worker->inbox.ended;
}

static bool streams_some(const struct exec *x)
{
        return is_streamed(x, &x->output[0]) || is_streamed(x, &x->output[1]);
}

/* Once it was told to end, it must not be held up by missing credit: what cannot be streamed is kept only. */
static bool is_held_up(const struct exec *x)
{
        return streams_some(x) && x->run->credit_bytes <= 0 && x->kill_at_ns == 0;
}

/* Drops what is before the last output_limit bytes; at half of the buffer, so that moving stays linear. */
static void output_trim(struct exec_output *output, uint64_t limit_bytes, uint64_t slack_bytes)
{
        size_t held = buffer_size(&output->kept);

        if (held <= limit_bytes + slack_bytes)
                return;
        buffer_consume(&output->kept, held - limit_bytes);
        output->truncated = true;
}

/* Reads once. 0; -errno: memory or the channel. At the end of file the descriptor is closed. */
static int output_read(struct exec *x, struct exec_output *output, bool *ret_got)
{
        bool streamed = is_streamed(x, output) && x->run->credit_bytes > 0;
        size_t most = READ_BYTES;
        ssize_t n;
        int r;

        *ret_got = false;
        if (streamed && (uint64_t)x->run->credit_bytes < most)
                most = (size_t)x->run->credit_bytes;
        r = buffer_reserve(&output->kept, most);
        if (r < 0)
                return r;
        n = read(output->fd, output->kept.data + output->kept.end, most);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                close(output->fd);
                output->fd = -1;
                return 0;
        }
        *ret_got = true;
        if (streamed) {
                x->run->credit_bytes -= n;
                r = stream_send_bin(x->run, output->name, output->kept.data + output->kept.end, (size_t)n);
        }
        output->kept.end += (size_t)n;
        output_trim(output, x->output_limit_bytes, x->output_limit_bytes + READ_BYTES);
        return r;
}

/* Waits for output, credit, a signal, the deadline; reads what there is. */
static int wait_and_read(struct exec *x)
{
        struct pollfd fds[3];
        struct exec_output *outputs[3] = {NULL};
        struct timespec timeout, *until = NULL;
        bool got;
        nfds_t n = 0;

        for (int i = 0; i < 2 && !is_held_up(x); i++)
                if (x->output[i].fd >= 0) {
                        outputs[n] = &x->output[i];
                        fds[n++] = (struct pollfd){.fd = x->output[i].fd, .events = POLLIN};
                }
        if (streams_some(x))
                fds[n++] = (struct pollfd){.fd = x->run->worker->channel, .events = POLLIN};
        if (x->kill_at_ns != 0 && !x->killed) {
                int64_t left = x->kill_at_ns - now_ns();
                if (left < 0)
                        left = 0;
                timeout = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
                until = &timeout;
        }
        if (ppoll(fds, n, until, &x->mask) <= 0)
                return 0;
        for (nfds_t i = 0; i < n; i++) {
                int r = 0;
                if (fds[i].revents == 0)
                        continue;
                if (!outputs[i])
                        r = run_take_credit(x->run);
                else if (!is_held_up(x))
                        r = output_read(x, outputs[i], &got);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* To the program's group, and to the program where it has left that. */
static void signal_program(const struct exec *x, int number)
{
        kill(-x->pid, number);
        if (getpgid(x->pid) != x->pid)
                kill(x->pid, number);
}

/* Forwards the end to the program's group, once; after the grace the group is killed. */
static void tell_or_kill(struct exec *x)
{
        if (x->kill_at_ns == 0 && run_is_cancelled(x->run)) {
                x->kill_at_ns = now_ns() + x->run->worker->pool->kill_grace_ns;
                signal_program(x, SIGTERM);
                signal_program(x, SIGCONT); /* a stopped one would never see the first */
        }
        if (x->kill_at_ns != 0 && !x->killed && now_ns() >= x->kill_at_ns) {
                /* All of it, stopped first, so that nobody forks on while the others die. */
                process_tree_kill(getpid(), NULL, NULL);
                x->killed = true;
        }
}

/* Whether the program is dead; it is not reaped. Strays that are dead are. */
static bool has_ended(struct exec *x)
{
        for (;;) {
                siginfo_t info = {.si_pid = 0};
                if (waitid(P_PID, (id_t)x->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                    info.si_pid == x->pid)
                        return true;
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
                        return false;
                if (info.si_pid != x->pid)
                        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
        }
}

/* Whether a child of ours is left in the program's group; the dead ones among them are reaped. */
static bool group_is_left(const struct exec *x)
{
        for (;;) {
                siginfo_t info = {.si_pid = 0};
                if (waitid(P_PGID, (id_t)x->pid, &info, WEXITED | WNOHANG) < 0)
                        return false;
                if (info.si_pid == 0)
                        return true;
        }
}

/* All who wrote are dead: what is in the pipes is all that will come. Under credit as before. */
static int read_the_rest(struct exec *x)
{
        for (int i = 0; i < 2; i++) {
                struct exec_output *output = &x->output[i];
                bool got = true;
                while (got && output->fd >= 0) {
                        int r = 0;
                        if (x->kill_at_ns == 0 && run_is_cancelled(x->run))
                                x->kill_at_ns = x->ended_ns; /* nobody is left to be told */
                        if (is_held_up(x))
                                r = wait_and_read(x);
                        else
                                r = output_read(x, output, &got);
                        if (r < 0)
                                return r;
                }
                output_trim(output, x->output_limit_bytes, 0);
        }
        return 0;
}

int exec_watch(struct exec *x)
{
        int r = 0;

        while (r == 0 && !has_ended(x)) {
                tell_or_kill(x);
                r = wait_and_read(x);
        }
        x->ended_ns = now_ns();
        if (r < 0 || x->kill_at_ns == 0)
                signal_program(x, SIGKILL);
        while (wait4(x->pid, &x->wait_status, 0, &x->usage) < 0)
                assert(errno == EINTR);
        /* Told to end, what the program started has the same time to do so as the program. */
        while (r == 0 && x->kill_at_ns != 0 && now_ns() < x->kill_at_ns && group_is_left(x))
                r = wait_and_read(x);
        strays_end();
        return r < 0 ? r : read_the_rest(x);
}
