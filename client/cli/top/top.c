/* SPDX-License-Identifier: MIT */
/* The verb top: its options, and the loop in which keys, the terminal's signals and the daemon's answers
 * come. */
#include "client/cli/top/top.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <unistd.h>

#include "client/cli/look.h"
#include "client/cli/top/screen.h"

#define DELAY_MS 1000

static void top_init(struct top *top, struct cli *cli, int64_t delay_ms)
{
        *top = (struct top){0};
        top_link_init(&top->link, cli, delay_ms);
        top->focus = PANE_WORKERS;
        /* pools by name; what is called most; what has run longest */
        top->panes[PANE_FUNCTIONS] = (struct pane){.sort = FUNCTION_RATE, .downward = true};
        top->panes[PANE_WORKERS] = (struct pane){.sort = WORKER_TIME, .downward = true};
}

static void top_deinit(struct top *top)
{
        top_link_deinit(&top->link);
        cli_request_deinit(&top->action.request);
        model_deinit(&top->model);
        rates_deinit(&top->rates);
        users_deinit(&top->users);
}

/* A new look has come. 0 or -ENOMEM. */
static int take_look(struct top *top)
{
        struct reader tasks = top->link.tasks ? look_reader(top->link.tasks) : (struct reader){NULL, NULL};

        model_deinit(&top->model);
        int r = model_init(&top->model, look_reader(top->link.status), tasks, &top->rates, &top->users,
                           look_now());
        top->has_model = r == 0;
        for (size_t i = 0; i < N_PANES && r == 0; i++)
                pane_update(&top->panes[i], &top->model.tables[i]);
        return r;
}

static void take_keys(struct top *top)
{
        int key;

        while (!top->is_over && (key = getch()) != ERR)
                top_take_key(top, key);
}

/* 0: go on; else -errno, or the signal that ends it. */
static int turn(struct top *top)
{
        struct ganger *g = top->link.cli->g;
        struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = screen_signals_fd(), .events = POLLIN},
                             {.fd = g ? ganger_fd(g) : -1, .events = g ? (short)ganger_events(g) : 0}};
        int r = cli_poll(p, sizeof p / sizeof *p, top_link_timeout_ms(&top->link, top_now_ms()));
        int number = cli_signal_seen();

        if (r < 0 || number != 0)
                return r < 0 ? r : number;
        if (p[1].revents)
                screen_take_signals();
        if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
                return -EIO; /* the terminal is gone */
        if (p[0].revents)
                take_keys(top);
        r = top_link_turn(&top->link, top_now_ms()) ? take_look(top) : 0;
        action_take(top);
        return r;
}

static int show(struct top *top)
{
        int r = 0;

        while (r == 0 && !top->is_over) {
                top_paint(top, top_now_ms());
                r = turn(top);
        }
        return r;
}

static int top_run(struct cli *cli, int64_t delay_ms)
{
        struct top top;

        top_init(&top, cli, delay_ms);
        int r = show(&top);
        screen_end();
        bool is_lost = top.link.is_lost;
        if (is_lost)
                cli_say("the daemon is lost: %s", top.link.why);
        else if (r < 0)
                cli_say("top: %s", cli_lost_text(cli, r));
        top_deinit(&top);
        return r > 0 ? EXIT_SIGNAL + r : r < 0 || is_lost ? EXIT_GANGER : EXIT_DONE;
}

int verb_top(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {{"delay", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
        double delay_s = DELAY_MS / 1000.0;
        int c;

        while ((c = getopt_long(argc, argv, "d:", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                if (!cli_seconds(optarg, &delay_s) || delay_s < TOP_DELAY_LEAST_SECONDS ||
                    delay_s > TOP_DELAY_MOST_SECONDS)
                        return cli_usage_error(cli, "--delay takes a time from 0.1 s to 1 h, not '%s'",
                                               optarg);
        }
        if (optind != argc)
                return cli_usage_error(cli, "takes no arguments, not '%s'", argv[optind]);
        if (cli->json || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return cli_usage_error(cli, "%s; `ganger%s status` prints what is shown, once",
                                       cli->json ? "shows a screen, not JSON"
                                                 : "needs a terminal to show its screen on",
                                       cli->json ? " --json" : "");
        setlocale(LC_CTYPE, "");
        cli_connect(cli);
        if (!screen_begin())
                return cli_usage_error(cli, "cannot use this terminal (TERM); `ganger status` prints what is "
                                            "shown, once");
        return top_run(cli, (int64_t)(delay_s * 1000));
}
