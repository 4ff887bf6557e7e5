/* SPDX-License-Identifier: MIT */
/* Every request with the first, the second, … allocation failing: a clear refusal, and nothing has changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/options.h"
#include "tests/unit/core/recorder_shared.h"
#include "tests/unit/fault_alloc.h"

#define FAULTS_MAX 50

static int do_submit(struct recorder *r)
{
        struct core_spec s = spec(r);
        uint64_t id;
        s.label = "a label";
        return core_submit(r->core, 1, &s, r->now, &id);
}

static int do_submit_named(struct recorder *r)
{
        struct core_spec s = spec(r);
        uint64_t id;
        s.label = "a label";
        s.key = "a key";
        return core_submit(r->core, 1, &s, r->now, &id);
}

static int do_call(struct recorder *r)
{
        struct core_spec s = spec(r);
        s.priority = 3;
        return core_call(r->core, (struct core_request){1, 1}, &s, r->now);
}

static int do_map(struct recorder *r)
{
        struct core_spec s = spec(r);
        struct core_map_spec m = {.n_items = 3, .ordered = true};
        return core_map(r->core, (struct core_request){1, 1}, &s, &m, r->now);
}

static int do_wait(struct recorder *r)
{
        uint64_t ids[] = {1, 2, 3};
        return core_wait(r->core, (struct core_request){1, 1}, ids, 3, CORE_NEVER, 3, r->now);
}

static int do_result(struct recorder *r)
{
        return core_result(r->core, (struct core_request){1, 1}, 1, CORE_NEVER, false, r->now);
}

static int do_open(struct recorder *r)
{
        return core_connection_open(r->core, 40, BOB, 1, false);
}

static int do_open_task(struct recorder *r)
{
        return core_connection_open_task(r->core, TASK_1, 0, r->now);
}

static void have_task_open(struct recorder *r)
{
        open_task(r, TASK_1, 0);
}

static int do_call_by_task(struct recorder *r)
{
        struct core_spec s = spec(r);
        return core_call(r->core, (struct core_request){TASK_1, 1}, &s, r->now);
}

/* Returns how many allocations it made. */
static unsigned fail_each_after(void (*prepare)(struct recorder *), int (*act)(struct recorder *),
                                uint32_t n_payloads)
{
        for (unsigned n = 1; n < FAULTS_MAX; n++) {
                struct recorder *r = begin(1, 1);
                struct core_account before, after;
                submit(r, 1);
                turn(r, 0);
                if (prepare)
                        prepare(r);
                forget(r);
                core_account(r->core, ALICE, &before);
                fault_alloc_arm(n);
                int result = act(r);
                bool failed = fault_alloc_disarm();
                core_check(r->core);
                if (result < 0) {
                        assert_true(failed);
                        assert_int_equal(result, -ENOMEM);
                        core_account(r->core, ALICE, &after);
                        assert_memory_equal(&before, &after, sizeof(before));
                        assert_int_equal(core_connection_requests(r->core, 1), 0);
                        expect(r, "");
                } else {
                        assert_int_equal(result, 0);
                        r->n_payloads += n_payloads;
                }
                end(r);
                if (!failed)
                        return n - 1;
        }
        fail();
        return 0;
}

static unsigned fail_each(int (*act)(struct recorder *), bool takes_payload)
{
        return fail_each_after(NULL, act, takes_payload);
}

static void test_each_request_without_memory(void **state)
{
        assert_true(fail_each(do_submit, true) >= 1);
        assert_true(fail_each(do_submit_named, true) >= 3);
        assert_true(fail_each(do_call, true) >= 3);
        assert_true(fail_each(do_open_task, false) >= 1);
        assert_true(fail_each_after(have_task_open, do_call_by_task, 1) >= 3);
        assert_true(fail_each(do_map, true) >= 4);
        assert_true(fail_each(do_wait, false) >= 2);
        assert_true(fail_each(do_result, false) >= 1);
        assert_true(fail_each(do_open, false) >= 2);
}

/* Also those that come only now and then, when what is shared by all tasks grows; without memory a table
 * stays as small as it is. */
static void test_each_of_many_tasks_without_memory(void **state)
{
        struct recorder *r = begin(1, 1);
        for (uint64_t tasks = 1; tasks <= 300; tasks++) {
                unsigned n = 0;
                int result;
                do {
                        fault_alloc_arm(++n);
                        result = do_submit(r);
                        bool failed = fault_alloc_disarm();
                        assert_true(result == 0 || (failed && result == -ENOMEM));
                } while (result);
                assert_true(n > 1);
                r->n_payloads++;
                core_check(r->core);
        }
        end(r);
}

/* -- shared objects -- */

static void have_others_lock(struct recorder *r)
{
        client(r, 2, ALICE);
        acquire(r, 2, 1, "l");
}

static void have_lock(struct recorder *r)
{
        acquire(r, 1, 1, "l");
}

static void have_full_queue(struct recorder *r)
{
        put(r, 1, 1, 10, 1, 1, 0);
}

static void have_dict_and_list(struct recorder *r)
{
        struct core_open dict = a(OBJECT_DICT), list = a(OBJECT_LIST);
        struct core_object object;
        core_object_open(r->core, 1, "d", &dict, r->now, &object);
        core_object_open(r->core, 1, "list", &list, r->now, &object);
}

static int do_open_dict(struct recorder *r)
{
        struct core_open open = a(OBJECT_DICT);
        struct core_object object;
        return core_object_open(r->core, 1, "d", &open, r->now, &object);
}

static int do_acquire(struct recorder *r)
{
        struct core_open open = a(OBJECT_LOCK);
        return core_lock_acquire(r->core, at(1, 1), "l", &open, 0, CORE_NEVER, r->now);
}

static int do_wait_condition(struct recorder *r)
{
        return core_condition_wait(r->core, at(1, 2), "l", 0, CORE_NEVER, r->now);
}

static int do_put(struct recorder *r)
{
        const struct core_value values[] = {{.payload = 5, .size_bytes = 10},
                                            {.payload = 6, .size_bytes = 10}};
        struct core_open open = a(OBJECT_QUEUE);
        return core_queue_put(r->core, at(1, 2), "queue", &open, values, 2, CORE_NEVER, r->now);
}

static int do_change_dict(struct recorder *r)
{
        const struct core_pair pairs[] = {{"a", {.payload = 5}}, {"b", {.payload = 6}}};
        struct core_open open = a(OBJECT_DICT);
        uint64_t version;
        size_t n;
        return core_dict_change(r->core, 1, "d", &open, pairs, 2, NULL, 0, r->now, &version, &n);
}

static int do_watch(struct recorder *r)
{
        struct core_open open = a(OBJECT_DICT);
        return core_dict_watch(r->core, at(1, 2), "d", &open, 0, CORE_NEVER, r->now);
}

static int do_push(struct recorder *r)
{
        const struct core_value value = {.payload = 5};
        struct core_open open = a(OBJECT_LIST);
        uint64_t version;
        return core_list_push(r->core, 1, "list", &open, &value, 1, false, CORE_ANY_VERSION, r->now,
                              &version);
}

static void test_each_request_about_an_object_without_memory(void **state)
{
        assert_true(fail_each_after(NULL, do_open_dict, 0) >= 2);
        assert_true(fail_each_after(have_others_lock, do_acquire, 0) >= 2);
        assert_true(fail_each_after(have_lock, do_wait_condition, 0) >= 2);
        assert_true(fail_each_after(have_full_queue, do_put, 2) >= 3);
        assert_true(fail_each_after(have_dict_and_list, do_change_dict, 2) >= 2);
        assert_true(fail_each_after(have_dict_and_list, do_watch, 0) >= 1);
        assert_true(fail_each_after(have_dict_and_list, do_push, 1) >= 1);
}

/* A chunk that cannot be sent for lack of memory goes a little later. */
static void test_chunk_without_memory_waits(void **state)
{
        struct recorder *r = begin(1, 1);
        map(r, 1, 5, (struct core_map_spec){.n_items = 3, .chunk = 3});
        fault_alloc_arm(1);
        turn(r, 0);
        assert_true(fault_alloc_disarm());
        expect(r, "");
        turn(r, MS);
        expect(r, "send 0:0 #1 [0+3]\n");
        end(r);
}

/* It ends as its attempt did. */
static void test_item_that_cannot_wait_for_its_next_attempt(void **state)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        struct core_map_spec m = {.n_items = 1};
        s.retries = 1;
        s.retry_on = RETRY_TASK_FAILED;
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), 0);
        turn(r, 0);
        forget(r);
        fault_alloc_arm(1);
        item_failed(r, 0, 1, 0);
        assert_true(fault_alloc_disarm());
        answer(r, 0, 0, 1);
        expect(r, "item 1.5 0 function\nmap 1.5 1: 0 good 1 bad\n");
        end(r);
}

static void test_spawn_without_memory_waits(void **state)
{
        struct recorder *r = begin_with(&ordinary, &ordinary_pool);
        fault_alloc_arm(1);
        turn(r, 0);
        assert_true(fault_alloc_disarm());
        expect(r, "");
        turn(r, CORE_SECOND / 10);
        expect(r, "spawn 0\n");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_request_without_memory),
                cmocka_unit_test(test_each_of_many_tasks_without_memory),
                cmocka_unit_test(test_each_request_about_an_object_without_memory),
                cmocka_unit_test(test_chunk_without_memory_waits),
                cmocka_unit_test(test_item_that_cannot_wait_for_its_next_attempt),
                cmocka_unit_test(test_spawn_without_memory_waits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
