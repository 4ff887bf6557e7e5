/* SPDX-License-Identifier: MIT */
/* Objects are listed in the order of their names, from where it is said, however they came and went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/core_private.h"
#include "tests/unit/cmocka_includes.h"

#define N 600

static char names[N][16];
static struct object *objects[N], *root; /* NULL: is not there */

/* What comes, against all names in their order. */
struct listing {
        const struct core_range *range;
        int next, n, max;
};

static bool is_in(const char *name, const struct core_range *range)
{
        char after[16], prefix[16];
        snprintf(after, sizeof(after), "%.*s", (int)range->after.size_bytes, range->after.data);
        snprintf(prefix, sizeof(prefix), "%.*s", (int)range->prefix.size_bytes, range->prefix.data);
        return strcmp(name, after) > 0 && strncmp(name, prefix, strlen(prefix)) == 0;
}

static void pass_over(struct listing *listing)
{
        while (listing->next < N && !(objects[listing->next] && is_in(names[listing->next], listing->range)))
                listing->next++;
}

static bool on_object(void *userdata, const struct object *object)
{
        struct listing *listing = userdata;
        pass_over(listing);
        assert_true(listing->next < N);
        assert_string_equal(object->name, names[listing->next++]);
        return ++listing->n < listing->max;
}

static void list(const char *after, size_t after_bytes, const char *prefix, int max)
{
        const struct core_range range = {.after = {after, after_bytes}, .prefix = {prefix, strlen(prefix)}};
        struct listing listing = {.range = &range, .max = max};
        object_order_walk(root, &range, on_object, &listing);
        pass_over(&listing);
        assert_true(listing.n == max || listing.next == N);
}

static void list_all_ways(void)
{
        list("", 0, "", N + 1);
        list("", 0, "", 7);
        for (int i = 0; i < N; i += 37) {
                list(names[i], strlen(names[i]), "", N + 1);
                list(names[i], 1, names[N - 1 - i], N + 1); /* the beginning of a name */
                list(names[i], strlen(names[i]), names[i], 3);
        }
        list("\xff", 1, "", N + 1);
        list("", 0, "none such", N + 1);
}

static int compare(const void *a, const void *b)
{
        return strcmp(a, b);
}

static uint64_t roll(void)
{
        static uint64_t dice = 1;
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return dice >> 20;
}

static void toggle(int i)
{
        struct object *object = objects[i];
        if (object) {
                object_order_remove(&root, object);
                free(object);
                objects[i] = NULL;
                return;
        }
        objects[i] = object = calloc(1, sizeof(*object) + sizeof(names[i]));
        assert_non_null(object);
        memcpy(object->name, names[i], sizeof(names[i]));
        object->by_name.key = roll();
        object_order_add(&root, object);
}

static int depth(const struct object *tree)
{
        int lower = tree ? depth(tree->lower) : 0, higher = tree ? depth(tree->higher) : 0;
        return tree ? 1 + (lower > higher ? lower : higher) : 0;
}

static void test_order(void **state)
{
        list_all_ways();
        for (int i = 0; i < N; i++) /* some are the beginnings of others, some not ASCII */
                snprintf(names[i], sizeof(names[i]), i % 3 ? "%d" : "%d\xc3\xa4", i * i % 9973);
        qsort(names, N, sizeof(names[0]), compare);
        for (int i = 1; i < N; i++)
                assert_string_not_equal(names[i - 1], names[i]);
        for (int step = 0; step < 4000; step++) {
                toggle((int)(roll() % N));
                if (step % 100 == 0)
                        list_all_ways();
        }
        assert_in_range(depth(root), 1, 40); /* of about 300: 8 at best, 300 at worst */
        for (int i = 0; i < N; i++)
                if (objects[i])
                        toggle(i);
        assert_null(root);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
