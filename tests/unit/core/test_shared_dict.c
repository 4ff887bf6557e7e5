/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "proto/limits.h"
#include "tests/unit/core/recorder_shared.h"

/* Sets the letters of `set` to payload, deletes those of `deleted`; returns the version, 0: refused, then
 * *ret is why. */
static uint64_t change_if(struct recorder *r, const char *set, const char *deleted, payload_t payload,
                          const struct core_condition *conditions, size_t n_conditions, int *ret)
{
        struct core_open open = a(OBJECT_DICT);
        struct core_pair pairs[8];
        char keys[8][2] = {{0}};
        uint64_t version;
        size_t n = 0, n_deleted;
        for (; *deleted; deleted++, n++) {
                keys[n][0] = *deleted;
                pairs[n] = (struct core_pair){.key = keys[n]};
        }
        size_t n_set = n;
        for (; *set; set++, n++) {
                keys[n][0] = *set;
                pairs[n] = (struct core_pair){.key = keys[n], .value = value(r, payload)};
        }
        *ret = core_dict_change(r->core, 1, "d", &open, pairs, n, conditions, n_conditions, r->now, &version,
                                &n_deleted);
        if (*ret)
                r->n_payloads -= (uint32_t)(n - n_set);
        core_check(r->core);
        return *ret ? 0 : version;
}

static uint64_t change(struct recorder *r, const char *set, const char *deleted, payload_t payload)
{
        int result;
        uint64_t version = change_if(r, set, deleted, payload, NULL, 0, &result);
        assert_int_equal(result, 0);
        return version;
}

/* The value of a key; 0: it is not there. */
static payload_t at_key(struct recorder *r, const char *key, uint64_t *ret_version)
{
        const struct core_entry *entry;
        assert_int_equal(core_dict_get(r->core, 2, "d", key, ACCESS_READ, &entry), 0);
        *ret_version = entry ? entry->version : 0;
        return entry ? entry->value : 0;
}

static int watch(struct recorder *r, uint32_t msgid, uint64_t after, int64_t timeout)
{
        struct core_open open = a(OBJECT_DICT);
        int result = core_dict_watch(r->core, at(2, msgid), "d", &open, after, timeout, r->now);
        core_check(r->core);
        return result;
}

static void test_each_change_has_the_next_version(void **state)
{
        struct recorder *r = begin_shared();
        uint64_t version;
        assert_int_equal(at_key(r, "a", &version), 0);
        assert_int_equal(change(r, "ab", "", 10), 1);
        assert_int_equal(change(r, "b", "", 11), 2);
        assert_int_equal(at_key(r, "a", &version), 10);
        assert_int_equal(version, 1);
        assert_int_equal(at_key(r, "b", &version), 11);
        assert_int_equal(version, 2);
        assert_int_equal(look(r, "d").size, 2);
        assert_int_equal(r->n_payloads, 2);
        end(r);
}

static void test_deletion_is_a_change_if_something_was_there(void **state)
{
        struct recorder *r = begin_shared();
        uint64_t version;
        change(r, "a", "", 10);
        assert_int_equal(change(r, "", "x", 0), 1);
        assert_int_equal(change(r, "", "a", 0), 2);
        assert_int_equal(at_key(r, "a", &version), 0);
        assert_int_equal(version, 0);
        assert_int_equal(change(r, "", "a", 0), 2);
        assert_int_equal(change(r, "a", "", 11), 3);
        assert_int_equal(look(r, "d").size, 1);
        end(r);
}

static void test_one_key_that_is_otherwise_leaves_all_as_they_are(void **state)
{
        const struct core_condition right[] = {{"a", 1}, {"b", 2}, {"c", 0}}, wrong[] = {{"a", 1}, {"b", 1}};
        struct recorder *r = begin_shared();
        uint64_t version;
        int result;
        change(r, "a", "", 10);
        change(r, "b", "", 11);
        change_if(r, "abc", "", 12, wrong, 2, &result);
        assert_int_equal(result, CORE_VERSION);
        assert_string_equal(core_refused_clash(r->core).key, "b");
        assert_int_equal(core_refused_clash(r->core).version, 2);
        assert_int_equal(at_key(r, "a", &version), 10);
        assert_int_equal(at_key(r, "c", &version), 0);
        assert_int_equal(look(r, "d").version, 2);
        assert_int_equal(look(r, "d").size, 2);
        assert_int_equal(change_if(r, "abc", "", 12, right, 3, &result), 3);
        end(r);
}

static void test_key_that_was_deleted_has_version_0(void **state)
{
        const struct core_condition absent = {"a", 0}, old = {"a", 1};
        struct recorder *r = begin_shared();
        int result;
        change(r, "a", "", 10);
        change(r, "", "a", 0);
        change_if(r, "a", "", 11, &old, 1, &result);
        assert_int_equal(result, CORE_VERSION);
        assert_int_equal(change_if(r, "a", "", 11, &absent, 1, &result), 3);
        end(r);
}

static void test_change_that_there_is_no_room_for_leaves_all_as_it_is(void **state)
{
        struct core_config config = ordinary;
        struct recorder *r = begin_shared();
        struct core_account before, after;
        int result;
        change(r, "a", "", 10);
        core_account(r->core, ALICE, &before);
        config.user_memory_bytes = before.bytes + 300;
        core_configure(r->core, &config);
        change_if(r, "abcd", "", 11, NULL, 0, &result);
        assert_int_equal(result, CORE_QUOTA);
        core_account(r->core, ALICE, &after);
        assert_int_equal(before.bytes, after.bytes);
        assert_int_equal(look(r, "d").size, 1);
        assert_int_equal(look(r, "d").version, 1);
        end(r);
}

/* -- watching -- */

static void test_watch_tells_each_key_once_the_oldest_change_first(void **state)
{
        struct recorder *r = begin_shared();
        change(r, "a", "", 10);
        change(r, "b", "", 11);
        change(r, "c", "", 12);
        change(r, "a", "", 13);
        change(r, "", "b", 0);
        watch(r, 1, 1, CORE_NEVER);
        expect(r, "changes 2.1 1 to 5: c=12 at 3 a=13 at 4 b gone at 5\n");
        watch(r, 2, 4, CORE_NEVER);
        expect(r, "changes 2.2 4 to 5: b gone at 5\n");
        end(r);
}

static void test_watch_waits_for_the_next_change(void **state)
{
        struct recorder *r = begin_shared();
        watch(r, 1, UINT64_MAX, CORE_NEVER);
        watch(r, 2, 0, CORE_NEVER);
        change(r, "", "x", 0); /* is none */
        expect(r, "");
        change(r, "ab", "", 10);
        expect(r, "changes 2.1 0 to 1: a=10 at 1 b=10 at 1\nchanges 2.2 0 to 1: a=10 at 1 b=10 at 1\n");
        end(r);
}

static void test_watch_that_sees_no_change_in_time(void **state)
{
        struct recorder *r = begin_shared();
        change(r, "a", "", 10);
        assert_int_equal(watch(r, 1, 1, 0), CORE_NOT_READY);
        watch(r, 2, 1, 10 * MS);
        turn(r, 10 * MS - 1);
        expect(r, "");
        turn(r, 1);
        expect(r, "refusal 2.2 " NOT_READY "\n");
        end(r);
}

/* Sets and deletes one key after another. */
static void delete_many(struct recorder *r, unsigned n)
{
        struct core_open open = a(OBJECT_DICT);
        uint64_t version;
        size_t n_deleted;
        for (unsigned i = 0; i < n; i++) {
                char key[16];
                snprintf(key, sizeof(key), "key %u", i);
                struct core_pair pair = {.key = key, .value = value(r, 9)};
                core_dict_change(r->core, 1, "d", &open, &pair, 1, NULL, 0, r->now, &version, &n_deleted);
                pair.value = (struct core_value){0};
                core_dict_change(r->core, 1, "d", &open, &pair, 1, NULL, 0, r->now, &version, &n_deleted);
                assert_int_equal(n_deleted, 1);
        }
        core_check(r->core);
}

static void test_watch_says_when_deletions_are_forgotten(void **state)
{
        struct recorder *r = begin_shared();
        struct core_changes changes;
        delete_many(r, LIMIT_DELETED);
        assert_int_equal(core_dict_changes(r->core, 2, "d", 0, &changes), 0);
        assert_true(changes.complete);
        change(r, "a", "", 10);
        change(r, "", "a", 0);
        core_dict_changes(r->core, 2, "d", 0, &changes);
        assert_false(changes.complete);
        core_dict_changes(r->core, 2, "d", 1, &changes);
        assert_false(changes.complete);
        core_dict_changes(r->core, 2, "d", 2, &changes); /* the forgotten one's */
        assert_true(changes.complete);
        end(r);
}

/* The deletion comes first, and the deleted key that it would push out is one that is to be set. */
static void test_key_to_be_set_is_not_forgotten_by_a_deletion_before_it(void **state)
{
        struct recorder *r = begin_shared();
        uint64_t version;
        change(r, "ab", "", 10);
        change(r, "", "a", 0);
        delete_many(r, LIMIT_DELETED - 1);
        change(r, "a", "b", 11);
        assert_int_equal(at_key(r, "a", &version), 11);
        assert_int_equal(at_key(r, "b", &version), 0);
        end(r);
}

static void test_what_there_is_not_has_no_changes(void **state)
{
        struct recorder *r = begin_shared();
        struct core_changes changes;
        assert_int_equal(core_dict_changes(r->core, 2, "d", 0, &changes), 0);
        assert_true(changes.complete && !changes.first && changes.version == 0);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_change_has_the_next_version),
                cmocka_unit_test(test_deletion_is_a_change_if_something_was_there),
                cmocka_unit_test(test_one_key_that_is_otherwise_leaves_all_as_they_are),
                cmocka_unit_test(test_key_that_was_deleted_has_version_0),
                cmocka_unit_test(test_change_that_there_is_no_room_for_leaves_all_as_it_is),
                cmocka_unit_test(test_watch_tells_each_key_once_the_oldest_change_first),
                cmocka_unit_test(test_watch_waits_for_the_next_change),
                cmocka_unit_test(test_watch_that_sees_no_change_in_time),
                cmocka_unit_test(test_watch_says_when_deletions_are_forgotten),
                cmocka_unit_test(test_key_to_be_set_is_not_forgotten_by_a_deletion_before_it),
                cmocka_unit_test(test_what_there_is_not_has_no_changes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
