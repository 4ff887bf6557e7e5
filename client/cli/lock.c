/* SPDX-License-Identifier: MIT */
/*
 * The verb lock: a command while a lock is held, as flock(1) does. The lock belongs to this process'
 * connection, which the command does not inherit: whatever the command leaves behind does not hold it. While
 * the command runs signals are read from a descriptor, to be handed on; what a terminal sends it has already.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/look.h"
#include "proto/pack.h"

#define MAX_EXIT_STATUS 255
#define MAX_HOLDERS     INT64_C(4294967295)

struct lock_line {
        const char *name;
        char **command;
        const char *shell_command; /* -c */
        double timeout;            /* < 0: none */
        int64_t conflict_status;
        int64_t limit; /* 0: not said */
};

/* The lock that is held, and the command. */
struct holding {
        const char *name;
        uint64_t token;
        sigset_t mask_before;
        int signals; /* signalfd */
        int lost;    /* -errno of the connection */
        pid_t pid;   /* 0: has ended */
        int wait_status;
};

/* -- the command line -- */

static int lock_option(struct cli *cli, struct lock_line *line, int c)
{
        switch (c) {
        case 'n':
                line->timeout = 0;
                return 0;
        case 'w':
                if (!cli_seconds(optarg, &line->timeout))
                        return cli_usage_error(
                                cli, "--timeout takes a time such as 1.5, 200ms, 10s, not '%s'", optarg);
                return 0;
        case 'E':
                if (!cli_integer(optarg, 0, MAX_EXIT_STATUS, &line->conflict_status))
                        return cli_usage_error(cli,
                                               "--conflict-exit-code takes an integer from 0 to %d, not '%s'",
                                               MAX_EXIT_STATUS, optarg);
                return 0;
        case 'l':
                if (!cli_integer(optarg, 1, MAX_HOLDERS, &line->limit))
                        return cli_usage_error(cli, "--limit takes an integer of 1 or more, not '%s'",
                                               optarg);
                return 0;
        case 'c':
                line->shell_command = optarg;
                return 0;
        default:
                return cli_bad_option(cli);
        }
}

/* Options up to the next word. */
static int lock_options(struct cli *cli, struct lock_line *line, int argc, char **argv)
{
        static const struct option options[] = {
                {"nonblock", no_argument, NULL, 'n'},
                {"nb", no_argument, NULL, 'n'},
                {"timeout", required_argument, NULL, 'w'},
                {"wait", required_argument, NULL, 'w'},
                {"limit", required_argument, NULL, 'l'},
                {"command", required_argument, NULL, 'c'},
                {"conflict-exit-code", required_argument, NULL, 'E'},
                {NULL, 0, NULL, 0},
        };
        int c, status = 0;

        while (status == 0 && (c = getopt_long(argc, argv, "+nw:E:c:", options, NULL)) != -1)
                status = lock_option(cli, line, c);
        return status;
}

/* Options may stand on both sides of the name, as flock takes them. */
static int lock_read(struct cli *cli, struct lock_line *line, int argc, char **argv)
{
        int status = lock_options(cli, line, argc, argv);
        bool ended = status == 0 && optind > 1 && strcmp(argv[optind - 1], "--") == 0;

        if (status != 0)
                return status;
        if (optind == argc)
                return cli_usage_error(cli, "which lock?");
        line->name = argv[optind++];
        if (!ended)
                status = lock_options(cli, line, argc, argv);
        if (status != 0)
                return status;
        line->command = argv + optind;
        if (line->shell_command && *line->command)
                return cli_usage_error(cli, "--command takes one STRING, not '%s' besides", *line->command);
        if (!line->shell_command && !*line->command)
                return cli_usage_error(cli, "which command?");
        return 0;
}

/* -- the lock -- */

/* [name, {timeout, limit}] */
static int pack_acquire(const struct lock_line *line, struct buffer *ret)
{
        struct packer p;

        pack_begin(&p, ret);
        pack_array(&p, 2);
        pack_str(&p, line->name);
        pack_map(&p, (line->timeout >= 0) + (line->limit > 0));
        if (line->timeout >= 0) {
                pack_str(&p, "timeout");
                pack_double(&p, line->timeout);
        }
        if (line->limit > 0) {
                pack_str(&p, "limit");
                pack_int(&p, line->limit);
        }
        return pack_end(&p);
}

/* Waits for the lock. -1: it is held; else the exit status. */
static int acquire(struct cli *cli, const struct lock_line *line, struct holding *ret)
{
        struct buffer params = BUFFER_INIT;
        struct ganger_reply *reply = NULL;
        int status = EXIT_DONE;
        int r = pack_acquire(line, &params);

        if (r == 0)
                r = cli_request(cli, &reply, "lock.acquire", "m", buffer_at(&params), buffer_size(&params));
        if (r == GANGER_NOT_READY)
                status = (int)line->conflict_status;
        else if (r != 0)
                status = r < 0 ? cli_lost(cli, "lock", r) : cli_refused(cli, r, reply);
        bool held = r == 0;
        *ret = (struct holding){.name = line->name, .signals = -1};
        if (held)
                ret->token = look_uint(look_reader(reply), "token", 0);
        if (held && look_true(look_reader(reply), "abandoned"))
                cli_say("lock %s: who held it before went without releasing it; what it guards may be half "
                        "done",
                        line->name);
        ganger_reply_free(reply);
        buffer_deinit(&params);
        return held ? -1 : status;
}

/* Gives it back; the request is on its way before a signal can end the wait for its answer. */
static int release(struct cli *cli, const struct holding *h)
{
        struct cli_request request = {0};
        struct cli_wait wait = {0};
        int status = EXIT_DONE;
        int r = ganger_start_request(cli->g, &request.msgid, "lock.release", NULL, cli_on_reply, &request,
                                     "[s{su}]", h->name, "token", h->token);

        if (r == 0)
                ganger_flush(cli->g);
        sigprocmask(SIG_SETMASK, &h->mask_before, NULL);
        if (r == 0)
                r = cli_wait(cli, &request.done, &wait);
        if (r == 0)
                r = request.r < 0 ? request.r : 0;
        if (r < 0) {
                status = cli_lost(cli, "lock", r);
        } else if (r == 0 && request.r > 0) {
                cli_say("lock %s: %s", h->name, ganger_message(request.reply));
                status = EXIT_GANGER;
        }
        cli_request_deinit(&request);
        return status;
}

/* -- the command -- */

/* In the child: the command in our place, with what we found: mask, closed files. */
static void become(const struct cli *cli, const struct lock_line *line, const struct holding *h, pid_t holder)
{
        char *shell[] = {(char *)"sh", (char *)"-c", (char *)line->shell_command, NULL};
        char **command = line->shell_command ? shell : line->command;
        char token[24];

        /* Whoever kills us frees the lock: the command must not go on without it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() != holder)
                _exit(EXIT_GANGER);
        snprintf(token, sizeof token, "%" PRIu64, h->token);
        setenv("GANGER_TOKEN", token, 1);
        sigprocmask(SIG_SETMASK, &h->mask_before, NULL);
        for (int fd = 0; fd < 3; fd++)
                if (cli->closed[fd])
                        close(fd);
        if (line->shell_command)
                execv("/bin/sh", command);
        else
                execvp(command[0], command);
        int error = errno;
        cli_say("%s: %s", command[0], strerror(error));
        _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void handed_on_set(sigset_t *ret)
{
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};

        sigemptyset(ret);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                sigaddset(ret, numbers[i]);
}

/* From here on signals wait to be read. One that came before: its number. */
static int hold_signals(struct holding *h)
{
        sigset_t set;

        signal(SIGCHLD, SIG_DFL); /* whoever started us may ignore it, and then nothing could be waited for */
        handed_on_set(&set);
        sigprocmask(SIG_BLOCK, &set, &h->mask_before);
        h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return cli_signal_seen();
}

static void take_signals(struct holding *h)
{
        struct signalfd_siginfo info;

        while (read(h->signals, &info, sizeof info) == sizeof info) {
                if (info.ssi_signo == SIGCHLD) {
                        if (waitpid(h->pid, &h->wait_status, WNOHANG) == h->pid)
                                h->pid = 0;
                } else if (info.ssi_code != SI_KERNEL && h->pid > 0) {
                        /* of a terminal's it got its own */
                        kill(h->pid, (int)info.ssi_signo);
                }
        }
}

/* Until the command has ended; the connection is looked after meanwhile. */
static void wait_for_command(struct cli *cli, struct holding *h)
{
        while (h->pid > 0) {
                struct pollfd p[2] = {
                        {.fd = h->signals, .events = POLLIN},
                        {.fd = h->lost < 0 ? -1 : ganger_fd(cli->g), .events = (short)ganger_events(cli->g)}};
                int64_t timeout_ms = h->lost < 0 ? -1 : ganger_timeout_ms(cli->g);
                if (poll(p, 2, (int)timeout_ms) < 0 && errno != EINTR)
                        return;
                take_signals(h);
                int r = h->lost < 0 ? 0 : ganger_dispatch(cli->g);
                if (r < 0)
                        h->lost = r;
        }
}

static int run_command(struct cli *cli, const struct lock_line *line, struct holding *h)
{
        cli_flush();
        pid_t holder = getpid();
        h->pid = fork();
        if (h->pid < 0) {
                cli_say("lock: fork: %s", strerror(errno));
                return EXIT_GANGER;
        }
        if (h->pid == 0)
                become(cli, line, h, holder);
        wait_for_command(cli, h);
        return WIFSIGNALED(h->wait_status) ? EXIT_SIGNAL + WTERMSIG(h->wait_status)
                                           : WEXITSTATUS(h->wait_status);
}

static int lost_meanwhile(const struct cli *cli, const struct holding *h)
{
        cli_say("lock %s was lost while the command ran: another may have had it", h->name);
        return cli_lost(cli, "lock", h->lost);
}

int verb_lock(struct cli *cli, int argc, char **argv)
{
        struct lock_line line = {.timeout = -1, .conflict_status = EXIT_NOT_SUCCEEDED};
        struct holding h;
        int status = lock_read(cli, &line, argc, argv);

        if (status != 0)
                return status;
        cli_connect(cli);
        status = acquire(cli, &line, &h);
        if (status >= 0)
                return status;
        int number = hold_signals(&h);
        if (h.signals < 0)
                return cli_lost(cli, "signals", -errno);
        status = number > 0 ? EXIT_SIGNAL + number : run_command(cli, &line, &h);
        int failed = h.lost < 0 ? lost_meanwhile(cli, &h) : release(cli, &h);
        close(h.signals);
        return status == EXIT_DONE ? failed : status;
}
