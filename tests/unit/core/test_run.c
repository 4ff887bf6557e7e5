/* SPDX-License-Identifier: MIT */
/* What a worker's slot says of a run that is to be taken back, or whose time is over: also nonsense. */
#include "proto/area.h"
#include "tests/unit/core/recorder.h"

static struct recorder *begin_timed(const struct core_slot *slot)
{
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        s.timeout = 2 * CORE_SECOND;
        submit_with(r, 1, s);
        turn(r, 0);
        forget(r);
        r->slot = slot;
        return r;
}

static void test_time_is_counted_from_when_it_truly_began(void **state)
{
        struct core_slot slot = {.task = 1, .state = SLOT_CLAIMED, .index = UINT64_MAX};
        struct recorder *r = begin_timed(&slot);
        slot.begin = r->now + CORE_SECOND;
        turn(r, 2 * CORE_SECOND);
        expect(r, "");
        turn(r, CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        end(r);
}

static void test_who_says_that_it_begins_later_gains_nothing(void **state)
{
        struct core_slot slot = {.task = 1, .state = SLOT_DONE, .index = UINT64_MAX};
        struct recorder *r = begin_timed(&slot);
        slot.begin = r->now + 3 * CORE_SECOND;
        turn(r, 2 * CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        end(r);
}

static void test_slot_of_another_task_counts_as_begun(void **state)
{
        struct core_slot slot = {.task = 99, .state = SLOT_SENT, .index = UINT64_MAX};
        struct recorder *r = begin_timed(&slot);
        turn(r, 2 * CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        end(r);
}

static void test_state_that_there_is_not_counts_as_begun(void **state)
{
        struct core_slot slot = {.task = 1, .state = 12345, .index = UINT64_MAX};
        struct recorder *r = begin_timed(&slot);
        turn(r, 3 * CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        end(r);
}

/* It has answered the one before, and what it does until it is at the next one is not that one's time. */
static void test_time_of_an_item_begins_when_the_worker_is_at_it(void **state)
{
        struct core_slot slot = {.task = 1, .state = SLOT_CLAIMED, .index = 0};
        struct recorder *r = begin(1, 1);
        struct core_spec s = spec(r);
        struct core_map_spec m = {.n_items = 2, .chunk = 2};
        s.timeout = 2 * CORE_SECOND;
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 5}, &s, &m, r->now), 0);
        turn(r, 0);
        item(r, 0, 1, 0);
        forget(r);
        r->slot = &slot;
        turn(r, 2 * CORE_SECOND);
        expect(r, "");
        slot.index = 1;
        slot.begin = r->now;
        turn(r, CORE_SECOND);
        turn(r, CORE_SECOND);
        expect(r, "tell 0 #1\nspawn 1\n");
        end(r);
}

/* The old message would claim the slot: what stands there now is not taken back. */
static void test_only_slot_with_an_unread_message(void **state)
{
        struct recorder *r = begin_with(&ordinary, &ordinary_pool);
        turn(r, 0);
        assert_int_equal(core_worker_hello(r->core, 0, 100, 1, r->now), 0);
        client(r, 1, ALICE);
        call(r, 1, 1);
        turn(r, 0);
        r->claimed = false;
        cancel(r, 1, 1);
        forget(r);
        call(r, 1, 2);
        turn(r, 0);
        cancel(r, 1, 2);
        expect(r, "send 0:0 #2\ntell 0 #2\n");
        end(r);
}

/* A map of which a chunk was sent ahead, at the time when it expires. */
static struct recorder *begin_expiring(bool claimed)
{
        struct recorder *r = begin(1, 2);
        struct core_spec s = spec(r);
        struct core_map_spec m = {.n_items = 1};
        measure(r, 1, 10 * US);
        s.expires = MS / 2;
        call(r, 1, 1);
        r->n_payloads++;
        assert_int_equal(core_map(r->core, (struct core_request){1, 2}, &s, &m, r->now), 0);
        turn(r, 0);
        expect(r, "send 0:0 #2\nsend 0:1 #3 [0+1]\n");
        r->claimed = claimed;
        turn(r, MS / 2);
        return r;
}

/* It does not expire, for of the chunk it turns out that it has begun. */
static void test_map_expires_while_its_chunk_begins(void **state)
{
        struct recorder *r = begin_expiring(true);
        expect(r, "take_back 0:1 #3 lost\n");
        assert_int_equal(state_of(r, 1, 3), TASK_RUNNING);
        answer(r, 0, 0, 2);
        item(r, 0, 3, 0);
        answer(r, 0, 1, 3);
        expect(r, "result 1.1\nitem 1.2 0\nmap 1.2 1: 1 good 0 bad\n");
        end(r);
}

static void test_map_expires_before_its_chunk_begins(void **state)
{
        struct recorder *r = begin_expiring(false);
        expect(r, "take_back 0:1 #3 won\nrecord 1.2 #3 expired\n");
        assert_int_equal(state_of(r, 1, 3), TASK_EXPIRED);
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_time_is_counted_from_when_it_truly_began),
                cmocka_unit_test(test_who_says_that_it_begins_later_gains_nothing),
                cmocka_unit_test(test_slot_of_another_task_counts_as_begun),
                cmocka_unit_test(test_state_that_there_is_not_counts_as_begun),
                cmocka_unit_test(test_time_of_an_item_begins_when_the_worker_is_at_it),
                cmocka_unit_test(test_only_slot_with_an_unread_message),
                cmocka_unit_test(test_map_expires_while_its_chunk_begins),
                cmocka_unit_test(test_map_expires_before_its_chunk_begins),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
