/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "client/cli/top/top.h"

static void prepare_cancel(struct top *top, const struct row *row)
{
        struct action *action = &top->action;
        struct look_text user = row->cells[WORKER_USER].text;
        double task = row->cells[WORKER_TASK].number;

        if (isnan(task)) {
                top_say(top, true, "no task that you may see runs in the selected worker");
                return;
        }
        action->kind = ACTION_CANCEL;
        action->task = (uint64_t)task;
        snprintf(action->what, sizeof action->what, "cancel task %" PRIu64 " (%.*s%s%.*s)", action->task,
                 LOOK(row->cells[WORKER_FUNCTION].text), user.size_bytes > 0 ? " of " : "", LOOK(user));
}

static void prepare_pool(struct top *top, enum action_kind kind, const struct row *row)
{
        struct action *action = &top->action;

        action->kind = kind;
        snprintf(action->pool, sizeof action->pool, "%.*s", LOOK(row->cells[POOL_NAME].text));
        snprintf(action->what, sizeof action->what, "%s pool %s", kind == ACTION_PAUSE ? "pause" : "resume",
                 action->pool);
}

void action_prepare(struct top *top, enum action_kind kind)
{
        enum model_pane pane = kind == ACTION_CANCEL ? PANE_WORKERS : PANE_POOLS;
        const struct table *table = &top->model.tables[pane];
        size_t selected = top->panes[pane].selected;

        if (top->action.is_sent) {
                top_say(top, true, "the daemon has not answered yet: %s", top->action.what);
                return;
        }
        top->action = (struct action){0};
        if (top->link.is_lost || selected >= table->n_rows)
                top_say(top, true, "%s",
                        top->link.is_lost ? "there is no daemon now" : "nothing is selected");
        else if (kind == ACTION_CANCEL)
                prepare_cancel(top, &table->rows[selected]);
        else
                prepare_pool(top, kind, &table->rows[selected]);
}

void action_send(struct top *top)
{
        struct action *action = &top->action;
        struct ganger *g = top->link.cli->g;
        int r;

        if (!g) {
                top_say(top, true, "%s: there is no daemon now", action->what);
                return;
        }
        action->is_sent = true;
        if (action->kind == ACTION_CANCEL)
                r = ganger_start_request(g, NULL, "cancel", NULL, cli_on_reply, &action->request, "[u]",
                                         action->task);
        else
                r = ganger_start_request(g, NULL, action->kind == ACTION_PAUSE ? "pool.pause" : "pool.resume",
                                         NULL, cli_on_reply, &action->request, "[s]", action->pool);
        if (r == 0)
                ganger_flush(g); /* if it cannot, the next dispatch tells */
        else
                cli_on_reply(&action->request, r, NULL);
        top_say(top, false, "%s: sent", action->what);
}

static void say_cancelled(struct top *top, const struct ganger_reply *reply)
{
        uint64_t n = 0;

        if (ganger_read(reply, "u", &n) == 0 && n > 0)
                top_say(top, false, "cancelled task %" PRIu64, top->action.task);
        else
                top_say(top, false, "task %" PRIu64 " had ended before", top->action.task);
}

void action_take(struct top *top)
{
        struct action *action = &top->action;

        if (!action->is_sent || !action->request.done)
                return;
        action->is_sent = false;
        if (action->request.r < 0)
                top_say(top, true, "%s: no answer, %s", action->what,
                        cli_lost_text(top->link.cli, action->request.r));
        else if (action->request.r > 0)
                top_say(top, true, "%s: %s", action->what, ganger_message(action->request.reply));
        else if (action->kind == ACTION_CANCEL)
                say_cancelled(top, action->request.reply);
        else
                top_say(top, false, "%s pool %s", action->kind == ACTION_PAUSE ? "paused" : "resumed",
                        action->pool);
        cli_request_deinit(&action->request);
        top_link_look_now(&top->link, top_now_ms());
}
