/* SPDX-License-Identifier: MIT */
/*
 * What a person does to a table on the screen, from one look to the next: the row that he has moved to stays
 * selected wherever it comes to stand (until he moves, the first row is), the order stays, and the rows shown
 * are those around it.
 */
#ifndef CLI_TOP_PANE_H
#define CLI_TOP_PANE_H

#include "client/cli/top/table.h"

struct pane {
        size_t sort; /* a column */
        bool downward;
        size_t selected, first; /* rows; first: the one at the top */
        char key[TABLE_KEY_BYTES];
        size_t key_size_bytes; /* 0: nobody has moved yet */
};

/* The table is new: sorts it and finds what was selected. */
void pane_update(struct pane *, struct table *);
void pane_move(struct pane *, const struct table *, long rows);
/* The next column that has a title, in its own direction; or the other direction. */
void pane_sort_next(struct pane *, struct table *);
void pane_sort_reverse(struct pane *, struct table *);
/* Moves what is shown so that the selected row is among `n_shown`. */
void pane_scroll(struct pane *, const struct table *, size_t n_shown);

/* How many of `n_lines` each of the panes gets, its head among them: what it needs if there is room for all,
 * else no less than its share; if there is hardly any, only `focus` has some. */
void panes_layout(size_t n_panes, const size_t *n_rows, size_t focus, size_t n_lines, size_t *ret);

#endif
