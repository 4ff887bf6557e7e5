/* SPDX-License-Identifier: MIT */
#include "client/cli/top/table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "client/cli/look.h"

/* The next character of a text as it may be shown: its bytes and columns; what cannot be is a '?'. Returns
 * how many bytes of the text it took. */
static size_t next_character(struct look_text text, size_t at, const char **ret, size_t *ret_bytes,
                             int *ret_columns)
{
        mbstate_t state = {0};
        wchar_t c = 0;
        size_t n = mbrtowc(&c, text.data + at, text.size_bytes - at, &state);
        bool is_whole = n != 0 && n != (size_t)-1 && n != (size_t)-2;
        int columns = is_whole ? wcwidth(c) : 0;

        *ret = columns > 0 ? text.data + at : "?";
        *ret_bytes = columns > 0 ? n : 1;
        *ret_columns = columns > 0 ? columns : 1;
        return is_whole ? n : 1;
}

/* How many columns the whole text takes, or more than `most`. */
static int text_columns(struct look_text text, int most)
{
        int sum = 0;

        for (size_t at = 0; at < text.size_bytes && sum <= most;) {
                const char *bytes;
                size_t n_bytes;
                int columns;
                at += next_character(text, at, &bytes, &n_bytes, &columns);
                sum += columns;
        }
        return sum;
}

int text_fit(struct look_text text, int width, char *ret, size_t size_bytes)
{
        int most = abs(width), used = 0;
        bool is_cut = text_columns(text, most) > most;
        size_t end = 0;

        for (size_t at = 0; at < text.size_bytes;) {
                const char *bytes;
                size_t n_bytes;
                int columns;
                at += next_character(text, at, &bytes, &n_bytes, &columns);
                if (used + columns > most - is_cut || end + n_bytes + 2 > size_bytes)
                        break;
                memcpy(ret + end, bytes, n_bytes);
                end += n_bytes;
                used += columns;
        }
        if (is_cut && used < most && end + 2 <= size_bytes) {
                ret[end++] = '~';
                used++;
        }
        while (width < 0 && used < most && end + 2 <= size_bytes) {
                ret[end++] = ' ';
                used++;
        }
        ret[end] = '\0';
        return used;
}

/* ---- columns ---- */

static int least_width(const struct table *table, int importance)
{
        int sum = 0;

        for (size_t i = 0; i < table->n_columns; i++)
                if (table->columns[i].importance <= importance)
                        sum += table->columns[i].width + (sum > 0);
        return sum;
}

void table_fit(const struct table *table, int width, struct fit *ret)
{
        int importance = 0;

        for (size_t i = 0; i < table->n_columns; i++)
                if (table->columns[i].importance > importance)
                        importance = table->columns[i].importance;
        while (importance > 0 && least_width(table, importance) > width)
                importance--;
        int rest = width - least_width(table, importance);

        *ret = (struct fit){0};
        for (size_t i = 0; i < table->n_columns; i++) {
                const struct column *column = &table->columns[i];
                if (column->importance > importance)
                        continue;
                int more = column->width_most - column->width;
                more = more > rest ? rest : more;
                more = more < 0 ? 0 : more;
                ret->widths[i] = column->width + more;
                rest -= rest > 0 ? more : 0;
        }
}

/* Appends a text to the line, to the left or the right of its column's width. */
static void put(char *line, size_t size_bytes, const char *text, int width, bool is_right)
{
        size_t end = strlen(line);
        int pad = is_right ? width - (int)strlen(text) : 0;

        if (end > 0 && end + 2 < size_bytes)
                line[end++] = ' ';
        for (; pad > 0 && end + 2 < size_bytes; pad--, width--)
                line[end++] = ' ';
        line[end] = '\0';
        text_fit((struct look_text){text, strlen(text)}, -width, line + end, size_bytes - end);
}

void table_head(const struct table *table, const struct fit *fit, size_t sort, bool downward, char *ret,
                size_t size_bytes)
{
        *ret = '\0';
        for (size_t i = 0; i < table->n_columns; i++) {
                const struct column *column = &table->columns[i];
                char title[40];
                bool is_marked = i == sort && (int)strlen(column->title) < fit->widths[i];

                snprintf(title, sizeof title, "%s%s", is_marked ? downward ? "v" : "^" : "", column->title);
                if (fit->widths[i] > 0)
                        put(ret, size_bytes, title, fit->widths[i], column->kind != CELL_TEXT);
        }
}

static void number_text(enum cell_kind kind, const struct cell *cell, char *ret, size_t size_bytes)
{
        if (isnan(cell->number)) {
                snprintf(ret, size_bytes, "-");
                return;
        }
        switch (kind) {
        case CELL_TEXT:
                assert(false);
                break;
        case CELL_COUNT:
                snprintf(ret, size_bytes, "%.0f", cell->number);
                break;
        case CELL_OF:
                snprintf(ret, size_bytes, "%.0f/%.0f", cell->number, cell->of);
                break;
        case CELL_RATE:
                snprintf(ret, size_bytes, cell->number < 1000 ? "%.1f" : "%.0f", cell->number);
                break;
        case CELL_PERCENT:
                snprintf(ret, size_bytes, "%.0f", cell->number * 100);
                break;
        case CELL_SECONDS:
                look_duration(cell->number, ret, size_bytes);
                break;
        case CELL_BYTES:
                look_size(cell->number > 0 ? (uint64_t)cell->number : 0, ret, size_bytes);
                break;
        }
}

void table_line(const struct table *table, const struct fit *fit, size_t row, char *ret, size_t size_bytes)
{
        assert(row < table->n_rows);
        *ret = '\0';
        for (size_t i = 0; i < table->n_columns; i++) {
                const struct cell *cell = &table->rows[row].cells[i];
                char text[TABLE_LINE_BYTES];

                if (fit->widths[i] == 0)
                        continue;
                if (table->columns[i].kind == CELL_TEXT)
                        text_fit(cell->text, fit->widths[i], text, sizeof text);
                else
                        number_text(table->columns[i].kind, cell, text, sizeof text);
                put(ret, size_bytes, text, fit->widths[i], table->columns[i].kind != CELL_TEXT);
        }
}

/* ---- rows ---- */

struct order {
        size_t column;
        bool is_text, downward;
};

static int compare_numbers(double a, double b)
{
        return (a > b) - (a < b);
}

static int compare_texts(struct look_text a, struct look_text b)
{
        int r = memcmp(a.data, b.data, a.size_bytes < b.size_bytes ? a.size_bytes : b.size_bytes);

        return r != 0 ? r : (a.size_bytes > b.size_bytes) - (a.size_bytes < b.size_bytes);
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
        const struct row *row_a = a, *row_b = b;
        const struct order *order = userdata;
        const struct cell *cell_a = &row_a->cells[order->column], *cell_b = &row_b->cells[order->column];
        int r;

        if (order->is_text) {
                /* a text that is empty is one that is not known */
                r = (cell_a->text.size_bytes == 0) - (cell_b->text.size_bytes == 0);
                if (r != 0)
                        return r;
                r = compare_texts(cell_a->text, cell_b->text);
        } else {
                r = (isnan(cell_a->number) != 0) - (isnan(cell_b->number) != 0);
                if (r != 0)
                        return r;
                r = compare_numbers(cell_a->number, cell_b->number);
        }
        if (r != 0)
                return order->downward ? -r : r;
        return (row_a->order > row_b->order) - (row_a->order < row_b->order);
}

void table_sort(struct table *table, size_t column, bool downward)
{
        struct order order = {
                .column = column, .is_text = table->columns[column].kind == CELL_TEXT, .downward = downward};

        assert(column < table->n_columns);
        if (table->n_rows > 1)
                qsort_r(table->rows, table->n_rows, sizeof *table->rows, compare_rows, &order);
}

size_t table_key(const struct table *table, size_t row, char ret[TABLE_KEY_BYTES])
{
        size_t end = 0;

        assert(row < table->n_rows);
        for (size_t i = 0; i < table->n_columns; i++) {
                const struct cell *cell = &table->rows[row].cells[i];
                int n = 0;

                if (table->columns[i].is_key && table->columns[i].kind == CELL_TEXT)
                        n = snprintf(ret + end, TABLE_KEY_BYTES - end, "%.*s/", LOOK(cell->text));
                else if (table->columns[i].is_key)
                        n = snprintf(ret + end, TABLE_KEY_BYTES - end, "%.0f/", cell->number);
                end += (size_t)n;
        }
        assert(end < TABLE_KEY_BYTES);
        return end;
}
