/* SPDX-License-Identifier: MIT */
/*
 * All objects in the order of their names: a treap, ordered by name, a heap by the names' hashes, which under
 * their secret are as good as dice: so it is as deep as a random tree, whatever the names.
 */
#include "daemon/core/core_private.h"

/* Whether a stands above b. */
static bool is_above(const struct object *a, const struct object *b)
{
        return a->by_name.key > b->by_name.key;
}

/* What is in the tree below and above the name, which is not in it. */
static void split(struct object *tree, const char *name, struct object **ret_lower,
                  struct object **ret_higher)
{
        while (tree) {
                if (strcmp(tree->name, name) < 0) {
                        *ret_lower = tree;
                        ret_lower = &tree->higher;
                        tree = tree->higher;
                } else {
                        *ret_higher = tree;
                        ret_higher = &tree->lower;
                        tree = tree->lower;
                }
        }
        *ret_lower = *ret_higher = NULL;
}

static struct object *join(struct object *lower, struct object *higher)
{
        struct object *tree = NULL, **at = &tree;
        while (lower && higher) {
                if (is_above(lower, higher)) {
                        *at = lower;
                        at = &lower->higher;
                        lower = lower->higher;
                } else {
                        *at = higher;
                        at = &higher->lower;
                        higher = higher->lower;
                }
        }
        *at = lower ? lower : higher;
        return tree;
}

/* Where the object is, or what it would stand above. */
static struct object **place(struct object **root, const struct object *object)
{
        struct object **at = root;
        while (*at && *at != object && is_above(*at, object))
                at = strcmp(object->name, (*at)->name) < 0 ? &(*at)->lower : &(*at)->higher;
        return at;
}

void object_order_add(struct object **root, struct object *object)
{
        struct object **at = place(root, object);
        split(*at, object->name, &object->lower, &object->higher);
        *at = object;
}

void object_order_remove(struct object **root, struct object *object)
{
        struct object **at = place(root, object);
        assert(*at == object);
        *at = join(object->lower, object->higher);
}

/* As strcmp; where one is the other's beginning, 0 if it is the text. */
static int compare_beginning(const char *name, const struct core_text *text)
{
        size_t n = strlen(name);
        int order = memcmp(name, text->data, n < text->size_bytes ? n : text->size_bytes);
        return order != 0 || n >= text->size_bytes ? order : -1;
}

static bool is_after(const char *name, const struct core_text *after)
{
        int order = compare_beginning(name, after);
        return order > 0 || (order == 0 && strlen(name) > after->size_bytes);
}

bool object_order_walk(struct object *tree, const struct core_range *range,
                       bool (*each)(void *userdata, const struct object *), void *userdata)
{
        if (!tree)
                return true;
        int prefix = compare_beginning(tree->name, &range->prefix);
        bool after = is_after(tree->name, &range->after);
        if (prefix >= 0 && after && !object_order_walk(tree->lower, range, each, userdata))
                return false;
        if (prefix == 0 && after && !each(userdata, tree))
                return false;
        return prefix > 0 || object_order_walk(tree->higher, range, each, userdata);
}
