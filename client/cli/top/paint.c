/* SPDX-License-Identifier: MIT */
/* The screen's content. Every line goes through text_fit(): no byte of the daemon's reaches the terminal
 * else. */
#include <curses.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/top/screen.h"
#include "client/cli/top/top.h"

#define HEAD_LINES 2 /* above the panes; the foot is one */
#define LINES_FULL 6 /* with fewer there is only one head */

static const char *const help[] = {
        "ganger top: pools, functions and workers of a daemon, as they change",
        "",
        "  q          quit",
        "  tab        go to the next pane (shift-tab: the one before)",
        "  j k, arrows, page up and down, home, end   select",
        "  s, S       sort by the next column; the other way round",
        "  c          cancel the task of the selected worker",
        "  p, r       pause, resume the selected pool (for admins)",
        "  d          set the time from one look to the next",
        "  space      look now",
        "  h, ?       this help",
        "",
        "What is selected in a pane has a > before it. Rates are of the time from one",
        "look to the next: DONE/S tasks that ended, however; CALLS/S calls of functions,",
        "each item of a map counted. WAIT: from when a task was due until it began. FOR: how",
        "long a worker has been at its task. MEM, CPU%: of the worker's process. What others'",
        "tasks are is shown to admins alone.",
};

size_t top_help_lines(void)
{
        return sizeof help / sizeof *help;
}

static void paint_text(int y, const char *text, attr_t attributes)
{
        char line[TABLE_LINE_BYTES];
        int width = COLS < TABLE_WIDTH_MOST ? COLS : TABLE_WIDTH_MOST;

        text_fit((struct look_text){text, strlen(text)}, -width, line, sizeof line);
        attrset((int)attributes);
        mvaddstr(y, 0, line);
        attrset(A_NORMAL);
}

static attr_t colour(int pair)
{
        return screen_has_colours() ? (attr_t)COLOR_PAIR(pair) : A_NORMAL;
}

static attr_t attributes_of(enum row_mood mood)
{
        switch (mood) {
        case ROW_PLAIN:
                return A_NORMAL;
        case ROW_IDLE:
                return A_DIM;
        case ROW_WARNS:
                return A_BOLD | colour(SCREEN_YELLOW);
        case ROW_BAD:
                return A_BOLD | colour(SCREEN_RED);
        }
        return A_NORMAL;
}

static void paint_head(struct top *top, size_t i, const struct fit *fit, size_t n_shown, int y)
{
        const struct table *table = &top->model.tables[i];
        const struct pane *pane = &top->panes[i];
        char line[TABLE_LINE_BYTES + 1] = " ", range[64];

        table_head(table, fit, pane->sort, pane->downward, line + 1, sizeof line - 1);
        paint_text(y, line, i == top->focus ? A_REVERSE | A_BOLD : A_UNDERLINE | A_BOLD);
        if (table->n_rows <= n_shown || n_shown == 0)
                return;
        snprintf(range, sizeof range, " %zu-%zu/%zu", pane->first + 1, pane->first + n_shown, table->n_rows);
        if ((int)strlen(range) < COLS - 1)
                mvaddstr(y, COLS - (int)strlen(range), range);
}

static void paint_pane(struct top *top, size_t i, int y, size_t n_lines)
{
        const struct table *table = &top->model.tables[i];
        struct pane *pane = &top->panes[i];
        size_t n_shown = n_lines - 1;
        int width = (COLS < TABLE_WIDTH_MOST ? COLS : TABLE_WIDTH_MOST) - 1;
        struct fit fit;

        table_fit(table, width, &fit);
        pane_scroll(pane, table, n_shown);
        paint_head(top, i, &fit, n_shown, y);
        for (size_t row = pane->first; row < table->n_rows && row - pane->first < n_shown; row++) {
                char line[TABLE_LINE_BYTES + 1];
                bool is_selected = row == pane->selected;

                line[0] = is_selected ? '>' : ' ';
                table_line(table, &fit, row, line + 1, sizeof line - 1);
                paint_text(y + 1 + (int)(row - pane->first), line,
                           attributes_of(table->rows[row].mood) |
                                   (is_selected && i == top->focus ? A_REVERSE : A_NORMAL));
        }
}

static void paint_panes(struct top *top, int y, size_t n_lines)
{
        size_t n_rows[N_PANES];

        for (size_t i = 0; i < N_PANES; i++)
                n_rows[i] = top->model.tables[i].n_rows;
        panes_layout(N_PANES, n_rows, top->focus, n_lines, top->shown);
        for (size_t i = 0; i < N_PANES; i++) {
                if (top->shown[i] > 0)
                        paint_pane(top, i, y, top->shown[i]);
                y += (int)top->shown[i];
        }
}

/* How tasks go; or why that is not known. */
static void paint_state(const struct top *top, int y, int64_t now_ms)
{
        int64_t silence_ms = top_link_silence_ms(&top->link, now_ms);
        char line[400];

        if (silence_ms > 0)
                snprintf(line, sizeof line, "NO ANSWER from the daemon for %" PRId64 " s", silence_ms / 1000);
        else if (top->link.is_lost)
                snprintf(line, sizeof line, "DAEMON LOST: %s; trying again every second", top->link.why);
        else if (top->link.why[0])
                snprintf(line, sizeof line, "NO STATUS: %s", top->link.why);
        else {
                paint_text(y, top->has_model ? top->model.work : "waiting for the first answer", A_NORMAL);
                return;
        }
        paint_text(y, line, A_BOLD | colour(SCREEN_RED));
}

static void paint_foot(const struct top *top, int y)
{
        char line[900];

        if (top->mode == TOP_ASKS) {
                snprintf(line, sizeof line, "%s? y/n", top->action.what);
                paint_text(y, line, A_BOLD | colour(SCREEN_YELLOW));
        } else if (top->mode == TOP_TAKES_DELAY) {
                snprintf(line, sizeof line, "time from one look to the next (now %.1f s): %s_",
                         (double)top->link.delay_ms / 1000, top->typed);
                paint_text(y, line, A_BOLD);
        } else if (top->message[0]) {
                paint_text(y, top->message, A_BOLD | (top->is_bad ? colour(SCREEN_RED) : A_NORMAL));
        } else {
                paint_text(y,
                           "q quit  tab pane  j/k select  s sort  c cancel  p/r pause/resume  d delay h help",
                           A_DIM);
        }
}

static void paint_help(struct top *top)
{
        size_t n_lines = top_help_lines(), n_shown = LINES > 1 ? (size_t)LINES - 1 : 1;

        if (top->help_first + n_shown > n_lines)
                top->help_first = n_lines > n_shown ? n_lines - n_shown : 0;
        for (size_t i = 0; i < n_shown && top->help_first + i < n_lines; i++)
                paint_text((int)i, help[top->help_first + i], A_NORMAL);
        if (LINES > 1)
                paint_text(LINES - 1, n_lines > n_shown ? "j/k scroll, any other key: back" : "any key: back",
                           A_DIM);
}

void top_paint(struct top *top, int64_t now_ms)
{
        int y = 0;

        erase();
        if (top->mode == TOP_HELPS) {
                paint_help(top);
                refresh();
                return;
        }
        if (LINES >= LINES_FULL)
                paint_text(y++, top->has_model ? top->model.daemon : "ganger top", A_BOLD);
        paint_state(top, y++, now_ms);
        if (top->has_model && LINES > y + 1)
                paint_panes(top, y, (size_t)(LINES - y - 1));
        if (LINES > 1)
                paint_foot(top, LINES - 1);
        refresh();
}
