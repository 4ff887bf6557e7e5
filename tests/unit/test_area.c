/* SPDX-License-Identifier: MIT */
/* The shared area: words, and that of claim and take-back exactly one wins, whatever the order. */
#include "proto/area.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/cmocka_includes.h"

#define N_RACES 20000u

static void test_word_holds_task_and_state(void **state)
{
        uint64_t task = LIMIT_TASK_ID - 1;
        uint64_t word = slot_word(task, SLOT_REVOKED);

        assert_int_equal(slot_word_task(word), task);
        assert_int_equal(slot_word_state(word), SLOT_REVOKED);
}

static void test_claim_once(void **state)
{
        struct area a = {0};

        atomic_store(&a.slots[3].word, slot_word(17, SLOT_SENT));
        assert_true(area_claim(&a, 3, 17, 123));
        assert_int_equal(atomic_load(&a.slots[3].begin_ns), 123);
        assert_int_equal(atomic_load(&a.slots[3].word), slot_word(17, SLOT_CLAIMED));
        assert_false(area_claim(&a, 3, 17, 456));
        assert_false(area_take_back(&a, 3, 17));
}

static void test_taken_back_is_not_claimed(void **state)
{
        struct area a = {0};

        atomic_store(&a.slots[0].word, slot_word(17, SLOT_SENT));
        assert_true(area_take_back(&a, 0, 17));
        assert_false(area_claim(&a, 0, 17, 1));
        assert_false(area_take_back(&a, 0, 17));
}

static void test_late_message_does_not_claim_the_next_task(void **state)
{
        struct area a = {0};

        atomic_store(&a.slots[0].word, slot_word(17, SLOT_SENT));
        assert_true(area_take_back(&a, 0, 17));
        atomic_store(&a.slots[0].word, slot_word(18, SLOT_SENT));
        assert_false(area_claim(&a, 0, 17, 1));
        assert_true(area_claim(&a, 0, 18, 2));
}

/* One thread sends a task and takes it back a moment later; the other claims it as soon as it sees it. */
struct race {
        struct area area;
        _Atomic unsigned sent, handled;
        bool claimed[N_RACES];
};

static void *race_worker(void *userdata)
{
        struct race *race = userdata;

        for (unsigned i = 0; i < N_RACES; i++) {
                while (atomic_load(&race->sent) <= i)
                        sched_yield();
                race->claimed[i] = area_claim(&race->area, i % LIMIT_SLOTS, i + 1, 1);
                atomic_store(&race->handled, i + 1);
        }
        return NULL;
}

static void test_exactly_one_wins(void **state)
{
        static struct race race;
        pthread_t worker;
        unsigned n_taken = 0;

        assert_int_equal(pthread_create(&worker, NULL, race_worker, &race), 0);
        for (unsigned i = 0; i < N_RACES; i++) {
                bool taken;
                atomic_store(&race.area.slots[i % LIMIT_SLOTS].word, slot_word(i + 1, SLOT_SENT));
                atomic_store(&race.sent, i + 1);
                for (unsigned moment = 0; moment < i % 64; moment++)
                        atomic_load(&race.sent);
                taken = area_take_back(&race.area, i % LIMIT_SLOTS, i + 1);
                while (atomic_load(&race.handled) <= i)
                        sched_yield();
                assert_int_equal(taken + race.claimed[i], 1);
                n_taken += taken;
        }
        pthread_join(worker, NULL);
        print_message("%u of %u taken back\n", n_taken, N_RACES);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_word_holds_task_and_state),
                cmocka_unit_test(test_claim_once),
                cmocka_unit_test(test_taken_back_is_not_claimed),
                cmocka_unit_test(test_late_message_does_not_claim_the_next_task),
                cmocka_unit_test(test_exactly_one_wins),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
