/* SPDX-License-Identifier: MIT */
/* What keys do. */
#include <curses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/top/top.h"

#define KEY_ESCAPE    27
#define KEY_DELETE    127
#define FURTHEST_ROWS 1000000000L

void top_say(struct top *top, bool is_bad, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        vsnprintf(top->message, sizeof top->message, format, ap);
        va_end(ap);
        top->is_bad = is_bad;
}

static struct pane *focused(struct top *top, struct table **ret)
{
        *ret = &top->model.tables[top->focus];
        return &top->panes[top->focus];
}

static void move_by(struct top *top, long rows)
{
        struct table *table;
        struct pane *pane = focused(top, &table);

        if (top->has_model)
                pane_move(pane, table, rows);
}

static void sort(struct top *top, void (*how)(struct pane *, struct table *))
{
        struct table *table;
        struct pane *pane = focused(top, &table);

        if (top->has_model)
                how(pane, table);
}

static void begin_action(struct top *top, enum action_kind kind)
{
        action_prepare(top, kind);
        if (top->message[0] == '\0')
                top->mode = TOP_ASKS;
}

static void take_answer(struct top *top, int key)
{
        top->mode = TOP_SHOWS;
        if (key == 'y' || key == 'Y')
                action_send(top);
        else
                top_say(top, false, "not done: %s", top->action.what);
}

static void set_delay(struct top *top)
{
        double seconds;

        if (top->typed[0] == '\0')
                return;
        if (!cli_seconds(top->typed, &seconds) || seconds < TOP_DELAY_LEAST_SECONDS ||
            seconds > TOP_DELAY_MOST_SECONDS)
                top_say(top, true, "takes a time from 0.1 s to 1 h, not '%s'", top->typed);
        else
                top_link_set_delay(&top->link, (int64_t)(seconds * 1000));
}

static void take_delay(struct top *top, int key)
{
        size_t n = strlen(top->typed);

        if (key == '\r' || key == '\n' || key == KEY_ENTER) {
                top->mode = TOP_SHOWS;
                set_delay(top);
        } else if (key == KEY_ESCAPE) {
                top->mode = TOP_SHOWS;
        } else if ((key == KEY_BACKSPACE || key == KEY_DELETE || key == '\b') && n > 0) {
                top->typed[n - 1] = '\0';
        } else if (key > ' ' && key < KEY_DELETE && n + 1 < sizeof top->typed) {
                top->typed[n] = (char)key;
                top->typed[n + 1] = '\0';
        }
}

static void take_help_key(struct top *top, int key)
{
        if (key == KEY_DOWN || key == 'j')
                top->help_first += top->help_first + 1 < top_help_lines();
        else if (key == KEY_UP || key == 'k')
                top->help_first -= top->help_first > 0;
        else
                top->mode = TOP_SHOWS;
}

static void take_command(struct top *top, int key)
{
        long page = (long)top->shown[top->focus] - 1;

        switch (key) {
        case 'q':
                top->is_over = true;
                break;
        case '\t':
                top->focus = (top->focus + 1) % N_PANES;
                break;
        case KEY_BTAB:
                top->focus = (top->focus + N_PANES - 1) % N_PANES;
                break;
        case 'j':
        case KEY_DOWN:
                move_by(top, 1);
                break;
        case 'k':
        case KEY_UP:
                move_by(top, -1);
                break;
        case KEY_NPAGE:
                move_by(top, page);
                break;
        case KEY_PPAGE:
                move_by(top, -page);
                break;
        case KEY_HOME:
                move_by(top, -FURTHEST_ROWS);
                break;
        case KEY_END:
                move_by(top, FURTHEST_ROWS);
                break;
        case 's':
                sort(top, pane_sort_next);
                break;
        case 'S':
                sort(top, pane_sort_reverse);
                break;
        case 'c':
                begin_action(top, ACTION_CANCEL);
                break;
        case 'p':
                begin_action(top, ACTION_PAUSE);
                break;
        case 'r':
                begin_action(top, ACTION_RESUME);
                break;
        case 'd':
                top->mode = TOP_TAKES_DELAY;
                top->typed[0] = '\0';
                break;
        case 'h':
        case '?':
                top->mode = TOP_HELPS;
                top->help_first = 0;
                break;
        case ' ':
                top_link_look_now(&top->link, top_now_ms());
                break;
        default:
                break;
        }
}

void top_take_key(struct top *top, int key)
{
        if (key == KEY_RESIZE)
                return;
        top->message[0] = '\0';
        switch (top->mode) {
        case TOP_SHOWS:
                take_command(top, key);
                break;
        case TOP_ASKS:
                take_answer(top, key);
                break;
        case TOP_TAKES_DELAY:
                take_delay(top, key);
                break;
        case TOP_HELPS:
                take_help_key(top, key);
                break;
        }
}
