/* SPDX-License-Identifier: MIT */
/*
 * A table on a screen of any width: columns that find room, rows in the order of one of them, lines made of
 * cells. Texts are borrowed; what is made of them holds no control characters and nothing that the locale
 * cannot show.
 */
#ifndef CLI_TOP_TABLE_H
#define CLI_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/look.h"

#define TABLE_COLUMNS    12
#define TABLE_WIDTH_MOST 500                        /* wider screens stay empty at the right */
#define TABLE_LINE_BYTES (TABLE_WIDTH_MOST * 4 + 1) /* a column's character in UTF-8 */
#define TABLE_KEY_BYTES  600

enum cell_kind {
        CELL_TEXT,
        CELL_COUNT,
        CELL_OF,      /* "3/4" */
        CELL_RATE,    /* a second */
        CELL_PERCENT, /* of a number that is 1 for 100 % */
        CELL_SECONDS,
        CELL_BYTES,
};

struct column {
        const char *title;
        enum cell_kind kind;
        int width;
        int width_most;   /* grows up to it where there is room; 0: does not */
        int importance;   /* the greatest go first where there is none; 0: never */
        bool is_key;      /* part of what tells a row from others */
        bool is_downward; /* sorted by it, the greatest come first */
};

struct cell {
        struct look_text text;
        double number, of; /* NAN: not known */
};

enum row_mood {
        ROW_PLAIN,
        ROW_IDLE,
        ROW_WARNS,
        ROW_BAD,
};

struct row {
        struct cell cells[TABLE_COLUMNS];
        enum row_mood mood;
        size_t order; /* as the daemon gave them */
};

struct table {
        const struct column *columns;
        size_t n_columns;
        struct row *rows;
        size_t n_rows;
};

/* The width of each column on a screen; 0: it is left out. */
struct fit {
        int widths[TABLE_COLUMNS];
};

/* At most `width` columns of the text, padded with blanks if `width` < 0 (then -width), a '~' at the end if
 * it is cut. Returns how many columns that is. */
int text_fit(struct look_text, int width, char *ret, size_t size_bytes);
void table_fit(const struct table *, int width, struct fit *ret);
/* The titles; the one that it is sorted by is marked with ^ or v before it, if it has room. */
void table_head(const struct table *, const struct fit *, size_t sort, bool downward, char *ret,
                size_t size_bytes);
void table_line(const struct table *, const struct fit *, size_t row, char *ret, size_t size_bytes);
/* By a column; among equals as the daemon gave them. What is not known comes last. */
void table_sort(struct table *, size_t column, bool downward);
/* What stays the same of a row from one look to the next. Returns its bytes. */
size_t table_key(const struct table *, size_t row, char ret[TABLE_KEY_BYTES]);

#endif
