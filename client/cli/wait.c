/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the daemon, with signals, and the requests that are nothing but that.
 *
 * Signals: until there is a connection, SIGINT and its like end the program as they end any other. Then they
 * are noted, and cli_wait() cancels what is waited for. Nothing else is interrupted; but where the program
 * does not come back to cli_wait() soon, because nobody reads what it writes, it ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/clock.h"
#include "client/connection.h"

#define SIGNAL_PATIENCE_SECONDS 2    /* from a signal to cli_wait(), which takes it */
#define ANSWER_PATIENCE_MS      3000 /* from there to a sign of the daemon */

/* Those that are to cancel what is waited for: whoever is gone has no use for it. */
static const int handled_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define N_HANDLED_SIGNALS (sizeof handled_signals / sizeof *handled_signals)

static volatile sig_atomic_t signal_seen;
void (*cli_before_sudden_end)(void);

static void on_signal(int number)
{
        signal_seen = number;
        alarm(SIGNAL_PATIENCE_SECONDS);
}

static void on_alarm(int number)
{
        (void)number;
        if (signal_seen == 0)
                return;
        if (cli_before_sudden_end)
                cli_before_sudden_end();
        _exit(EXIT_SIGNAL + signal_seen);
}

/* What was ignored stays so: whoever started us in the background keeps Ctrl-C from us. */
static void handle(int number, void (*handler)(int))
{
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;

        sigemptyset(&action.sa_mask);
        if (number != SIGALRM && sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
                return;
        sigaction(number, &action, NULL);
}

static void handled_set(sigset_t *ret)
{
        sigemptyset(ret);
        for (size_t i = 0; i < N_HANDLED_SIGNALS; i++)
                sigaddset(ret, handled_signals[i]);
}

void cli_signals_begin(void)
{
        sigset_t set;

        handle(SIGALRM, on_alarm);
        for (size_t i = 0; i < N_HANDLED_SIGNALS; i++)
                handle(handled_signals[i], on_signal);
        handled_set(&set);
        sigaddset(&set, SIGALRM);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static bool awaits_sign(const struct cli_wait *wait)
{
        return wait->signal != 0 && !wait->sign.done;
}

/* The shorter one of a timeout (< 0: none) and the time that is left. */
static int64_t until(int64_t timeout_ms, int64_t at_ms)
{
        int64_t left_ms = at_ms - clock_ms();

        if (left_ms < 0)
                left_ms = 0;
        return timeout_ms < 0 || left_ms < timeout_ms ? left_ms : timeout_ms;
}

/* How long to poll at most; < 0: without end. */
static int64_t poll_timeout_ms(const struct cli *cli, const struct cli_wait *wait)
{
        int64_t timeout_ms = ganger_timeout_ms(cli->g);

        if (awaits_sign(wait))
                timeout_ms = until(timeout_ms, wait->patient_until_ms);
        if (wait->until_ms > 0)
                timeout_ms = until(timeout_ms, wait->until_ms);
        return timeout_ms;
}

int cli_poll(struct pollfd *p, size_t n, int64_t timeout_ms)
{
        struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
        sigset_t handled, before;
        int r = 0;

        handled_set(&handled);
        sigprocmask(SIG_BLOCK, &handled, &before);
        if (signal_seen == 0 && ppoll(p, n, timeout_ms < 0 ? NULL : &timeout, &before) < 0 && errno != EINTR)
                r = -errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

static int poll_with_signals(struct cli *cli, const struct cli_wait *wait, int input)
{
        struct pollfd p[2] = {{.fd = ganger_fd(cli->g), .events = (short)ganger_events(cli->g)},
                              {.fd = input, .events = POLLIN}};

        return cli_poll(p, 2, poll_timeout_ms(cli, wait));
}

/* The daemon takes requests in turn: an answer to this one means that it knows of the cancel before. */
static int ask_for_sign(struct cli *cli, struct cli_wait *wait)
{
        wait->patient_until_ms = clock_ms() + ANSWER_PATIENCE_MS;
        return ganger_start_request(cli->g, &wait->sign.msgid, "ping", NULL, cli_on_reply, &wait->sign, "[]");
}

int cli_signal_seen(void)
{
        int number = signal_seen;

        signal_seen = 0;
        alarm(0);
        return number;
}

/* Whether the wait is to go on: 0; else the signal, or -errno. */
static int take_signal(struct cli *cli, struct cli_wait *wait)
{
        bool first = wait->signal == 0;

        if (signal_seen == 0) {
                if (!awaits_sign(wait) || clock_ms() < wait->patient_until_ms)
                        return 0;
                cli_say("the daemon does not answer; when it goes on, %s",
                        wait->left ? wait->left : "what it was asked for is cancelled");
                return wait->signal;
        }
        wait->signal = cli_signal_seen();
        if (!first || !wait->on_signal)
                return wait->signal;
        wait->on_signal(cli, wait->userdata);
        return ask_for_sign(cli, wait);
}

/* 0: once more. */
static int wait_turn(struct cli *cli, struct cli_wait *wait, const bool *done, int input)
{
        int r = poll_with_signals(cli, wait, input);

        if (r == 0)
                r = take_signal(cli, wait);
        if (r != 0)
                return r;
        r = ganger_dispatch(cli->g);
        if (r > 0)
                wait->patient_until_ms = clock_ms() + ANSWER_PATIENCE_MS; /* it is at work, and comes to it */
        if (*done)
                return 0;
        return r < 0 ? r : wait->until_ms > 0 && clock_ms() >= wait->until_ms ? -ETIMEDOUT : 0;
}

int cli_wait(struct cli *cli, const bool *done, struct cli_wait *wait)
{
        int r = wait->signal != 0 ? ask_for_sign(cli, wait) : 0;

        while (r == 0) {
                int input = wait->prepare ? wait->prepare(cli, wait->userdata) : -1;
                if (*done)
                        break;
                r = wait_turn(cli, wait, done, input);
        }
        if (r > 0)
                cli->g = ganger_close(
                        cli->g); /* open requests are told now, while those whom they tell are there */
        else if (awaits_sign(wait))
                request_forget(cli->g, wait->sign.msgid);
        cli_request_deinit(&wait->sign);
        return r;
}

void cli_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct cli_request *request = userdata;

        request->r = r;
        request->reply = reply;
        request->done = true;
}

void cli_request_deinit(struct cli_request *request)
{
        request->reply = ganger_reply_free(request->reply);
}

static int ask(struct cli *cli, struct ganger_reply **ret, struct cli_wait *wait, const char *method,
               const char *format, va_list ap)
{
        struct cli_request request = {0};
        int r = request_start(cli->g, &request.msgid, method, NULL, cli_on_reply, &request, format, ap);

        if (r == 0)
                r = cli_wait(cli, &request.done, wait);
        if (r > 0)
                exit(EXIT_SIGNAL + r);
        if (r == -ETIMEDOUT && !request.done)
                request_forget(cli->g, request.msgid);
        if (r < 0) {
                cli_request_deinit(&request);
                return r;
        }
        *ret = request.reply;
        return request.r;
}

int cli_request(struct cli *cli, struct ganger_reply **ret, const char *method, const char *format, ...)
{
        struct cli_wait wait = {0};
        va_list ap;

        va_start(ap, format);
        int r = ask(cli, ret, &wait, method, format, ap);
        va_end(ap);
        return r;
}

int cli_request_within(struct cli *cli, struct ganger_reply **ret, double seconds, const char *method,
                       const char *format, ...)
{
        struct cli_wait wait = {.until_ms = seconds < 0 ? 0 : clock_ms() + (int64_t)(seconds * 1000)};
        va_list ap;

        va_start(ap, format);
        int r = ask(cli, ret, &wait, method, format, ap);
        va_end(ap);
        return r;
}
