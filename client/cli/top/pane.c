/* SPDX-License-Identifier: MIT */
#include "client/cli/top/pane.h"

#include <string.h>

#define LINES_A_PANE 2 /* the least: its head and one row */

static void pane_remember(struct pane *pane, const struct table *table)
{
        pane->key_size_bytes = table->n_rows > 0 ? table_key(table, pane->selected, pane->key) : 0;
}

void pane_update(struct pane *pane, struct table *table)
{
        char key[TABLE_KEY_BYTES];

        table_sort(table, pane->sort, pane->downward);
        for (size_t i = 0; pane->key_size_bytes > 0 && i < table->n_rows; i++)
                if (table_key(table, i, key) == pane->key_size_bytes &&
                    memcmp(key, pane->key, pane->key_size_bytes) == 0) {
                        pane->selected = i;
                        return;
                }
        if (pane->selected >= table->n_rows)
                pane->selected = table->n_rows > 0 ? table->n_rows - 1 : 0;
        if (pane->key_size_bytes > 0)
                pane_remember(pane, table);
}

void pane_move(struct pane *pane, const struct table *table, long rows)
{
        size_t last = table->n_rows > 0 ? table->n_rows - 1 : 0;

        if (rows < 0)
                pane->selected -= (size_t)-rows < pane->selected ? (size_t)-rows : pane->selected;
        else
                pane->selected = (size_t)rows < last - pane->selected ? pane->selected + (size_t)rows : last;
        pane_remember(pane, table);
}

void pane_sort_next(struct pane *pane, struct table *table)
{
        pane->sort = (pane->sort + 1) % table->n_columns;
        pane->downward = table->columns[pane->sort].is_downward;
        pane_update(pane, table);
}

void pane_sort_reverse(struct pane *pane, struct table *table)
{
        pane->downward = !pane->downward;
        pane_update(pane, table);
}

void pane_scroll(struct pane *pane, const struct table *table, size_t n_shown)
{
        if (n_shown == 0)
                return;
        if (pane->first > pane->selected)
                pane->first = pane->selected;
        if (pane->selected - pane->first >= n_shown)
                pane->first = pane->selected - n_shown + 1;
        if (pane->first + n_shown > table->n_rows)
                pane->first = table->n_rows > n_shown ? table->n_rows - n_shown : 0;
}

void panes_layout(size_t n_panes, const size_t *n_rows, size_t focus, size_t n_lines, size_t *ret)
{
        size_t left = n_lines;

        memset(ret, 0, n_panes * sizeof *ret);
        if (n_lines < n_panes * LINES_A_PANE) {
                ret[focus] = n_lines;
                return;
        }
        for (size_t i = 0; i < n_panes; i++) {
                ret[i] = LINES_A_PANE;
                left -= LINES_A_PANE;
        }
        /* a line at a time to each that still needs one; what nobody needs is the last one's */
        for (bool any = true; any && left > 0;) {
                any = false;
                for (size_t i = 0; i < n_panes && left > 0; i++)
                        if (ret[i] < n_rows[i] + 1) {
                                ret[i]++;
                                left--;
                                any = true;
                        }
        }
        ret[n_panes - 1] += left;
}
