/* SPDX-License-Identifier: MIT */
/* What ganger top shows is made of: rates, texts made safe, columns that find room, order and selection. */
#include <locale.h>
#include <math.h>
#include <string.h>

#include "client/cli/top/model.h"
#include "client/cli/top/pane.h"
#include "tests/unit/cmocka_includes.h"

static struct look_text text(const char *value)
{
        return (struct look_text){value, strlen(value)};
}

static void assert_about(double a, double b)
{
        if (!(fabs(a - b) < 1e-9))
                fail_msg("%.12g is not %.12g", a, b);
}

/* ---- rates ---- */

static double rate_at(struct rates *rates, uint64_t pid, double time, double value, double hold_s)
{
        rates_begin(rates, pid, time);
        double rate = rates_of(rates, 'x', text("name"), text("owner"), value, hold_s);
        rates_end(rates);
        return rate;
}

static void test_a_rate_is_of_the_time_that_passed(void **state)
{
        struct rates rates = {0};

        assert_true(isnan(rate_at(&rates, 1, 10, 100, 0)));
        assert_about(rate_at(&rates, 1, 12.5, 200, 0), 40);
        assert_about(rate_at(&rates, 1, 12.51, 201, 0), 40); /* too near: the next counts from 12.5 */
        assert_about(rate_at(&rates, 1, 13, 210, 0), 20);
        assert_about(rate_at(&rates, 1, 14, 210, 0), 0);
        assert_true(isnan(rate_at(&rates, 1, 15, 5, 0)));
        assert_about(rate_at(&rates, 1, 16, 6, 0), 1);
        rates_deinit(&rates);
}

static void test_another_daemon_has_no_rates_yet(void **state)
{
        struct rates rates = {0};

        rate_at(&rates, 1, 10, 100, 0);
        assert_true(isnan(rate_at(&rates, 2, 11, 200, 0)));
        assert_true(isnan(rate_at(&rates, 2, 1, 300, 0))); /* the same pid again, but it began anew */
        rates_begin(&rates, 2, 2);
        rates_end(&rates);
        assert_true(isnan(rate_at(&rates, 2, 3, 400, 0))); /* it was away for one look */
        assert_about(rate_at(&rates, 2, 4, 500, 0), 100);
        rates_deinit(&rates);
}

static void test_what_is_taken_seldom_is_held(void **state)
{
        struct rates rates = {0};

        rate_at(&rates, 1, 0, 0, 2);
        assert_about(rate_at(&rates, 1, 1, 1, 2), 1);
        assert_about(rate_at(&rates, 1, 1.5, 1, 2), 1);
        assert_about(rate_at(&rates, 1, 2, 2, 2), 1);
        assert_about(rate_at(&rates, 1, 3.9, 2, 2), 1);
        assert_about(rate_at(&rates, 1, 4, 2, 2), 0);
        rates_deinit(&rates);
}

static void test_names_do_not_run_into_each_other(void **state)
{
        struct rates rates = {0};

        for (int i = 0; i < 2; i++) {
                rates_begin(&rates, 1, i);
                double a = rates_of(&rates, 'x', text("ab"), text("c"), 10 * i, 0);
                double b = rates_of(&rates, 'x', text("a"), text("bc"), 20 * i, 0);
                double c = rates_of(&rates, 'y', text("ab"), text("c"), 30 * i, 0);
                rates_end(&rates);
                if (i == 1) {
                        assert_about(a, 10);
                        assert_about(b, 20);
                        assert_about(c, 30);
                }
        }
        rates_deinit(&rates);
}

/* ---- texts ---- */

static void assert_fits(const char *value, size_t size_bytes, int width, const char *expected, int columns)
{
        char got[64];

        assert_int_equal(text_fit((struct look_text){value, size_bytes}, width, got, sizeof got), columns);
        assert_string_equal(got, expected);
}

static void test_no_control_byte_is_left(void **state)
{
        char every[256], got[600];

        assert_fits("a\033[2Jb\n", 7, 20, "a?[2Jb?", 7);
        assert_fits("a\0b", 3, 5, "a?b", 3);
        assert_fits("\xc2\x9b"
                    "1m",
                    4, 9, "?1m", 3); /* CSI as one character */
        assert_fits("\xe2\x80\xae"
                    "x",
                    4, 9, "?x", 2);              /* turns the direction around */
        assert_fits("\xff\xc3", 2, 9, "??", 2);  /* is no UTF-8 */
        assert_fits("e\xcc\x81", 3, 9, "e?", 2); /* takes no column of its own */
        for (int i = 0; i < 256; i++)
                every[i] = (char)i;
        text_fit((struct look_text){every, sizeof every}, 300, got, sizeof got);
        for (size_t i = 0; got[i]; i++)
                assert_true((unsigned char)got[i] >= 0x20 && got[i] != 0x7f);
}

static void test_texts_are_cut_and_padded_by_columns(void **state)
{
        assert_fits("abc", 3, 3, "abc", 3);
        assert_fits("abcd", 4, 3, "ab~", 3);
        assert_fits("abc", 3, -5, "abc  ", 5);
        assert_fits("\xc3\xa4\xc3\xb6\xc3\xbc", 6, -4, "\xc3\xa4\xc3\xb6\xc3\xbc ", 4);
        assert_fits("\xe6\xbc\xa2\xe5\xad\x97", 6, 4, "\xe6\xbc\xa2\xe5\xad\x97", 4); /* two columns each */
        assert_fits("\xe6\xbc\xa2\xe5\xad\x97", 6, -3, "\xe6\xbc\xa2~", 3);
        assert_fits("\xe6\xbc\xa2\xe5\xad\x97", 6, -2, "~ ", 2);
        assert_fits("abc", 3, 0, "", 0);
        char small[4];
        text_fit(text("abcdefgh"), 8, small, sizeof small);
        assert_string_equal(small, "ab");
}

/* ---- columns ---- */

static int sum_of(const struct table *table, const struct fit *fit)
{
        int sum = 0;

        for (size_t i = 0; i < table->n_columns; i++)
                if (fit->widths[i] > 0)
                        sum += fit->widths[i] + (sum > 0);
        return sum;
}

static void fit_all(const struct column *columns, size_t n)
{
        struct table table = {.columns = columns, .n_columns = n};
        struct fit fit;
        char line[TABLE_LINE_BYTES];

        for (int width = 0; width <= TABLE_WIDTH_MOST; width++) {
                table_fit(&table, width, &fit);
                int sum = sum_of(&table, &fit);
                if (width >= 26)
                        assert_true(sum <= width);
                for (size_t i = 0; i < n; i++)
                        if (fit.widths[i] == 0)
                                assert_true(columns[i].importance > 0);
                table_head(&table, &fit, 0, true, line, sizeof line);
                assert_int_equal(strlen(line), sum);
        }
        table_fit(&table, 79, &fit);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(fit.widths[i] > 0,
                                 columns[i].importance <= 8 - (columns == function_columns));
}

static void test_columns_find_room_or_are_left_out(void **state)
{
        fit_all(pool_columns, 11);
        fit_all(function_columns, 10);
        fit_all(worker_columns, 10);
}

/* ---- panes ---- */

static const struct column name_and_number[] = {
        {.title = "NAME", .width = 5, .is_key = true},
        {.title = "N", .kind = CELL_COUNT, .width = 3, .is_downward = true},
};

static void fill(struct table *table, struct row *rows, const char *names, const double *numbers)
{
        *table = (struct table){
                .columns = name_and_number, .n_columns = 2, .rows = rows, .n_rows = strlen(names)};
        for (size_t i = 0; i < table->n_rows; i++)
                rows[i] =
                        (struct row){.cells = {{.text = {names + i, 1}}, {.number = numbers[i]}}, .order = i};
}

static void assert_order(const struct table *table, const char *names)
{
        assert_int_equal(table->n_rows, strlen(names));
        for (size_t i = 0; i < table->n_rows; i++)
                assert_int_equal(table->rows[i].cells[0].text.data[0], names[i]);
}

static void test_rows_are_sorted_and_the_selection_stays(void **state)
{
        struct row rows[8];
        struct table table;
        struct pane pane = {.sort = 1, .downward = true};

        fill(&table, rows, "abcd", (double[]){1, NAN, 3, 1});
        pane_update(&pane, &table);
        assert_order(&table, "cadb");
        assert_int_equal(pane.selected, 0);
        fill(&table, rows, "abcd", (double[]){5, NAN, 3, 1});
        pane_update(&pane, &table);
        assert_order(&table, "acdb");
        assert_int_equal(pane.selected, 0); /* nobody has moved: the first one */
        pane_move(&pane, &table, 1);
        fill(&table, rows, "abcd", (double[]){5, 9, 1, 2});
        pane_update(&pane, &table);
        assert_order(&table, "badc");
        assert_int_equal(pane.selected, 3); /* c */
        pane_sort_reverse(&pane, &table);
        assert_order(&table, "cdab");
        assert_int_equal(pane.selected, 0);
        pane_sort_next(&pane, &table);
        assert_order(&table, "abcd");
        assert_int_equal(pane.selected, 2);
        fill(&table, rows, "ab", (double[]){1, 2}); /* c is gone */
        pane_update(&pane, &table);
        assert_int_equal(pane.selected, 1);
        pane_move(&pane, &table, -100);
        assert_int_equal(pane.selected, 0);
        pane_move(&pane, &table, 100);
        assert_int_equal(pane.selected, 1);
        fill(&table, rows, "", NULL);
        pane_update(&pane, &table);
        pane_move(&pane, &table, 1);
        assert_int_equal(pane.selected, 0);
}

static void test_the_selected_row_is_shown(void **state)
{
        struct row rows[8];
        struct table table;
        struct pane pane = {0};

        fill(&table, rows, "abcdefgh", (double[]){0, 0, 0, 0, 0, 0, 0, 0});
        pane_update(&pane, &table);
        pane_move(&pane, &table, 5);
        pane_scroll(&pane, &table, 3);
        assert_int_equal(pane.first, 3);
        pane_move(&pane, &table, -1);
        pane_scroll(&pane, &table, 3);
        assert_int_equal(pane.first, 3);
        pane_move(&pane, &table, -4);
        pane_scroll(&pane, &table, 3);
        assert_int_equal(pane.first, 0);
        pane_move(&pane, &table, 7);
        pane_scroll(&pane, &table, 1);
        assert_int_equal(pane.first, 7);
        pane_scroll(&pane, &table, 6); /* larger again: no line stays empty */
        assert_int_equal(pane.first, 2);
        pane_scroll(&pane, &table, 20);
        assert_int_equal(pane.first, 0);
        pane_scroll(&pane, &table, 0);
}

static void assert_layout(const size_t n_rows[3], size_t focus, size_t n_lines, const size_t expected[3])
{
        size_t got[3];

        panes_layout(3, n_rows, focus, n_lines, got);
        for (int i = 0; i < 3; i++)
                assert_int_equal(got[i], expected[i]);
}

static void test_panes_share_the_lines(void **state)
{
        assert_layout((size_t[]){1, 2, 4}, 2, 21, (size_t[]){2, 3, 16});
        assert_layout((size_t[]){50, 2, 50}, 2, 21, (size_t[]){9, 3, 9});
        assert_layout((size_t[]){50, 50, 50}, 2, 7, (size_t[]){3, 2, 2});
        assert_layout((size_t[]){50, 50, 50}, 1, 5, (size_t[]){0, 5, 0});
        assert_layout((size_t[]){0, 0, 0}, 0, 6, (size_t[]){2, 2, 2});
        assert_layout((size_t[]){0, 0, 0}, 0, 0, (size_t[]){0, 0, 0});
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_rate_is_of_the_time_that_passed),
                cmocka_unit_test(test_another_daemon_has_no_rates_yet),
                cmocka_unit_test(test_what_is_taken_seldom_is_held),
                cmocka_unit_test(test_names_do_not_run_into_each_other),
                cmocka_unit_test(test_no_control_byte_is_left),
                cmocka_unit_test(test_texts_are_cut_and_padded_by_columns),
                cmocka_unit_test(test_columns_find_room_or_are_left_out),
                cmocka_unit_test(test_rows_are_sorted_and_the_selection_stays),
                cmocka_unit_test(test_the_selected_row_is_shown),
                cmocka_unit_test(test_panes_share_the_lines),
        };

        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
