/* SPDX-License-Identifier: MIT */
#include "client/cli/top/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_MS   1000  /* from one attempt to connect to the next */
#define MOST_TASKS 10000 /* as the daemon tells at most */

int64_t top_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void top_link_init(struct top_link *link, struct cli *cli, int64_t delay_ms)
{
        *link = (struct top_link){.cli = cli, .delay_ms = delay_ms, .next_ms = top_now_ms()};
}

/* Whatever comes of what is open is nobody's any more. */
static void end_asking(struct top_link *link)
{
        cli_request_deinit(&link->ask_status);
        cli_request_deinit(&link->ask_tasks);
        link->is_asking = false;
}

void top_link_deinit(struct top_link *link)
{
        link->cli->g = ganger_close(link->cli->g);
        end_asking(link);
        link->status = ganger_reply_free(link->status);
        link->tasks = ganger_reply_free(link->tasks);
}

static void lose(struct top_link *link, int r, int64_t now_ms)
{
        snprintf(link->why, sizeof link->why, "%s", cli_lost_text(link->cli, r));
        link->cli->g = ganger_close(link->cli->g);
        end_asking(link);
        link->is_lost = true;
        link->next_ms = now_ms + RETRY_MS;
}

static void ask(struct top_link *link, int64_t now_ms)
{
        struct ganger *g = link->cli->g;

        link->ask_status = (struct cli_request){0};
        link->ask_tasks = (struct cli_request){0};
        int r = ganger_start_request(g, NULL, "status", NULL, cli_on_reply, &link->ask_status, "[]");
        if (r == 0)
                r = ganger_start_request(g, NULL, "tasks", NULL, cli_on_reply, &link->ask_tasks, "[{sssi}]",
                                         "state", "running", "limit", (int64_t)MOST_TASKS);
        link->is_asking = true;
        link->sent_ms = now_ms;
        if (r >= 0)
                r = ganger_flush(g);
        if (r < 0)
                lose(link, r, now_ms);
}

/* The answers are there. Whether they are a look. */
static bool take(struct top_link *link)
{
        bool is_look = link->ask_status.r == 0;

        if (is_look) {
                ganger_reply_free(link->status);
                ganger_reply_free(link->tasks);
                link->status = link->ask_status.reply;
                link->tasks = link->ask_tasks.r == 0 ? link->ask_tasks.reply : NULL;
                link->ask_status.reply = NULL;
                if (link->tasks)
                        link->ask_tasks.reply = NULL;
                link->why[0] = '\0';
                link->is_lost = false;
        } else {
                snprintf(link->why, sizeof link->why, "%s", ganger_message(link->ask_status.reply));
        }
        end_asking(link);
        link->next_ms = link->sent_ms + link->delay_ms;
        return is_look;
}

bool top_link_turn(struct top_link *link, int64_t now_ms)
{
        bool is_new = false;

        if (link->cli->g) {
                int r = ganger_dispatch(link->cli->g);
                bool has_all = link->is_asking && link->ask_status.done && link->ask_tasks.done;
                if (r < 0)
                        lose(link, r, now_ms);
                else if (has_all)
                        is_new = take(link);
        }
        if (link->is_asking || now_ms < link->next_ms)
                return is_new;
        if (!link->cli->g) {
                int r = cli_try_connect(link->cli);
                if (r < 0) {
                        snprintf(link->why, sizeof link->why, "%s",
                                 r == -EAGAIN ? "too many wait to be let in" : strerror(-r));
                        link->next_ms = now_ms + RETRY_MS;
                        return is_new;
                }
        }
        ask(link, now_ms);
        return is_new;
}

void top_link_look_now(struct top_link *link, int64_t now_ms)
{
        if (link->cli->g)
                link->next_ms = now_ms;
}

void top_link_set_delay(struct top_link *link, int64_t delay_ms)
{
        link->delay_ms = delay_ms;
        if (link->cli->g)
                link->next_ms = link->sent_ms + delay_ms;
}

int64_t top_link_timeout_ms(const struct top_link *link, int64_t now_ms)
{
        int64_t waited_ms = now_ms - link->sent_ms, timeout_ms = link->next_ms - now_ms;

        if (link->is_asking) /* until the seconds that are shown change */
                timeout_ms =
                        waited_ms < LINK_PATIENCE_MS ? LINK_PATIENCE_MS - waited_ms : 1000 - waited_ms % 1000;
        int64_t its_ms = link->cli->g ? ganger_timeout_ms(link->cli->g) : -1;
        if (its_ms >= 0 && its_ms < timeout_ms)
                timeout_ms = its_ms;
        return timeout_ms > 0 ? timeout_ms : 0;
}

int64_t top_link_silence_ms(const struct top_link *link, int64_t now_ms)
{
        int64_t waited_ms = link->is_asking ? now_ms - link->sent_ms : 0;

        return waited_ms >= LINK_PATIENCE_MS ? waited_ms : 0;
}
