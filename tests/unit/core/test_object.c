/* SPDX-License-Identifier: MIT */
#include "tests/unit/core/recorder_shared.h"

static int open_as(struct recorder *r, uint32_t connection, const char *name, struct core_open open,
                   struct core_object *ret)
{
        int result = core_object_open(r->core, connection, name, &open, r->now, ret);
        core_check(r->core);
        return result;
}

static struct core_object make(struct recorder *r, const char *name, struct core_open open)
{
        struct core_object object;
        assert_int_equal(open_as(r, 1, name, open, &object), 0);
        return object;
}

static struct core_account account_of(struct recorder *r, uid_t uid)
{
        struct core_account account;
        core_account(r->core, uid, &account);
        return account;
}

static void test_first_use_makes_it_as_it_is_said(void **state)
{
        struct recorder *r = begin_shared();
        struct core_object object = make(r, "b", a_with(OBJECT_BARRIER, PROPERTY_PARTIES, 3));
        assert_true(object.is_new && object.uid == ALICE && object.kind == OBJECT_BARRIER);
        assert_int_equal(object.values[PROPERTY_PARTIES], 3);
        assert_int_equal(object.created, r->now);
        object = make(r, "b", a(OBJECT_BARRIER));
        assert_false(object.is_new);
        assert_int_equal(make(r, "l", a(OBJECT_LOCK)).values[PROPERTY_LIMIT], 1);
        end(r);
}

static void test_open_says_what_must_be(void **state)
{
        struct core_open open = a(OBJECT_EVENT);
        struct recorder *r = begin_shared();
        struct core_object object;
        open.must_exist = true;
        assert_int_equal(open_as(r, 1, "e", open, &object), CORE_UNKNOWN_OBJECT);
        open.must_exist = false;
        open.exclusive = true;
        assert_int_equal(open_as(r, 1, "e", open, &object), 0);
        assert_int_equal(open_as(r, 1, "e", open, &object), CORE_EXISTS);
        assert_int_equal(open_as(r, 1, "e", a(OBJECT_LOCK), &object), CORE_CLASH);
        assert_int_equal(core_refused_clash(r->core).kind, OBJECT_EVENT);
        assert_int_equal(core_refused_clash(r->core).property, -1);
        end(r);
}

static void test_mode_is_a_files(void **state)
{
        struct core_open open = a(OBJECT_LOCK);
        struct recorder *r = begin_shared();
        struct core_object object;
        client(r, 5, 0); /* an admin */
        client(r, 6, 3000);
        make(r, "mine", open);
        open.mode = 0640;
        open.gid = GROUP_OF_BOB;
        make(r, "read", open);
        open.mode = 0602;
        make(r, "others", open);
        assert_int_equal(acquire(r, BOBS, 1, "mine"), CORE_NOT_PERMITTED);
        assert_int_equal(core_object_look(r->core, BOBS, "mine", OBJECT_LOCK, &object), CORE_NOT_PERMITTED);
        assert_int_equal(acquire(r, 5, 1, "mine"), 0);
        assert_int_equal(core_object_look(r->core, BOBS, "read", OBJECT_LOCK, &object), 0);
        assert_int_equal(object.access, ACCESS_READ);
        assert_int_equal(acquire(r, BOBS, 2, "read"), CORE_NOT_PERMITTED);
        assert_int_equal(acquire(r, BOBS, 3, "others"), CORE_NOT_PERMITTED); /* he is in the group */
        assert_int_equal(acquire(r, 6, 1, "others"), 0);
        end(r);
}

static void test_maker_and_admins_unlink(void **state)
{
        struct core_open open = a(OBJECT_LOCK);
        struct recorder *r = begin_shared();
        client(r, 5, 0);
        open.mode = 0666;
        make(r, "l", open);
        make(r, "k", open);
        assert_int_equal(unlink_object(r, BOBS, "l"), CORE_NOT_PERMITTED);
        assert_int_equal(unlink_object(r, 2, "l"), 0);
        assert_int_equal(unlink_object(r, 2, "l"), CORE_UNKNOWN_OBJECT);
        assert_int_equal(unlink_object(r, 5, "k"), 0);
        end(r);
}

static void test_unlinked_with_who_waits_and_who_holds(void **state)
{
        struct recorder *r = begin_shared();
        acquire(r, 1, 1, "l");
        wait_condition(r, 1, 2, "l", CORE_NEVER);
        acquire_as(r, 1, 3, "l", 7);
        acquire(r, 2, 1, "l");
        forget(r);
        unlink_object(r, 2, "l");
        expect(r, "refusal 2.1 " UNKNOWN_OBJECT "\nrefusal 1.2 " UNKNOWN_OBJECT "\n");
        assert_int_equal(release_as(r, 1, "l", 7), CORE_UNKNOWN_OBJECT);
        acquire(r, 2, 2, "l"); /* another one of this name, held by nobody */
        expect(r, "hold 2.2 4\n");
        leave(r, 1);
        expect(r, "");
        end(r);
}

static void test_unlinked_barrier_is_unknown_and_not_broken(void **state)
{
        struct core_open open = a_with(OBJECT_BARRIER, PROPERTY_PARTIES, 3);
        struct recorder *r = begin_shared();
        core_barrier_wait(r->core, at(1, 1), "b", &open, CORE_NEVER, r->now);
        core_barrier_wait(r->core, at(1, 2), "b", &open, CORE_NEVER, r->now);
        unlink_object(r, 1, "b");
        expect(r, "refusal 1.1 " UNKNOWN_OBJECT "\nrefusal 1.2 " UNKNOWN_OBJECT "\n");
        end(r);
}

static void test_object_outlives_its_maker(void **state)
{
        struct recorder *r = begin_shared();
        struct core_object object;
        struct core_open open = a(OBJECT_EVENT);
        assert_int_equal(open_as(r, BOBS, "e", open, &object), 0);
        leave(r, BOBS);
        assert_int_equal(account_of(r, BOB).objects, 1);
        client(r, BOBS, BOB);
        assert_int_equal(unlink_object(r, BOBS, "e"), 0);
        assert_int_equal(account_of(r, BOB).bytes, 0);
        end(r);
}

static void test_all_is_its_makers_account_and_zero_afterwards(void **state)
{
        struct core_open open = a(OBJECT_QUEUE);
        struct recorder *r = begin_shared();
        open.mode = 0666;
        make(r, "queue", open);
        put(r, BOBS, 1, 10, 3, 0, CORE_NEVER);
        assert_true(account_of(r, ALICE).bytes > 300);
        assert_int_equal(account_of(r, BOB).bytes, 0);
        struct core_value v = value(r, 10);
        struct core_pair pair = {.key = "a", .value = value(r, 11)};
        struct core_open list = a(OBJECT_LIST), dict = a(OBJECT_DICT), memory = a(OBJECT_VALUE);
        uint64_t version;
        size_t n;
        core_list_push(r->core, 1, "list", &list, &v, 1, false, CORE_ANY_VERSION, r->now, &version);
        core_dict_change(r->core, 1, "dict", &dict, &pair, 1, NULL, 0, r->now, &version, &n);
        memory.memory_bytes = 4096;
        struct core_object object = make(r, "value", memory);
        core_object_memory(r->core, object.id, value(r, 12).payload);
        acquire(r, 1, 2, "lock");
        assert_int_equal(account_of(r, ALICE).objects, 5);
        assert_int_equal(account_of(r, ALICE).descriptors, 1);
        core_check(r->core);
        static const char *const names[] = {"queue", "list", "dict", "value", "lock"};
        for (size_t i = 0; i < 5; i++)
                assert_int_equal(unlink_object(r, 1, names[i]), 0);
        assert_int_equal(account_of(r, ALICE).bytes, 0);
        assert_int_equal(account_of(r, ALICE).objects, 0);
        assert_int_equal(account_of(r, ALICE).descriptors, 0);
        assert_int_equal(r->n_payloads, 0);
        end(r);
}

static void test_user_has_so_many_objects_and_bytes(void **state)
{
        struct core_config config = ordinary;
        struct core_open open = a(OBJECT_ARRAY);
        struct recorder *r = begin_shared();
        struct core_object object;
        config.user_objects = 1;
        core_configure(r->core, &config);
        open.memory_bytes = config.user_memory_bytes;
        assert_int_equal(open_as(r, 1, "a", open, &object), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_memory");
        assert_int_equal(account_of(r, ALICE).objects, 0);
        assert_int_equal(acquire(r, 1, 1, "l"), 0);
        assert_int_equal(acquire(r, 1, 2, "k"), CORE_QUOTA);
        assert_string_equal(core_refused_quota(r->core).what, "user_objects");
        end(r);
}

/* -- memory -- */

static void test_memory_comes_when_it_is_there(void **state)
{
        struct recorder *r = begin_shared();
        uint64_t id = make(r, "v", a(OBJECT_VALUE)).id;
        assert_int_equal(look(r, "v").memory, PAYLOAD_NONE);
        assert_true(core_object_wants_memory(r->core, id));
        core_object_memory(r->core, id, value(r, 10).payload);
        assert_int_equal(look(r, "v").memory, 10);
        assert_false(core_object_wants_memory(r->core, id));
        core_object_failed(r->core, id); /* it has not */
        assert_int_equal(look(r, "v").memory, 10);
        end(r);
}

static void test_memory_that_could_not_be_had_or_is_wanted_no_more(void **state)
{
        struct recorder *r = begin_shared();
        struct core_object object;
        uint64_t id = make(r, "v", a(OBJECT_VALUE)).id;
        core_object_failed(r->core, id);
        core_check(r->core);
        assert_int_equal(core_object_look(r->core, 1, "v", OBJECT_VALUE, &object), CORE_UNKNOWN_OBJECT);
        id = make(r, "v", a(OBJECT_VALUE)).id;
        unlink_object(r, 1, "v");
        make(r, "v", a(OBJECT_VALUE));
        assert_false(core_object_wants_memory(r->core, id));
        assert_int_equal(look(r, "v").memory, PAYLOAD_NONE);
        end(r);
}

/* -- listing -- */

static bool each(void *userdata, const struct core_object *object)
{
        say(userdata, "%s ", object->name);
        return object->name[0] != 'c';
}

static void test_list_is_in_order_and_of_what_one_may_see(void **state)
{
        const struct core_range all = {.after = {"", 0}, .prefix = {"", 0}},
                                some = {.after = {"a", 1}, .prefix = {"", 0}};
        struct core_open open = a(OBJECT_LOCK);
        struct recorder *r = begin_shared();
        make(r, "d", open);
        make(r, "b", open);
        open.mode = 0604;
        make(r, "c", open);
        make(r, "a", open);
        core_objects(r->core, 1, &all, each, r);
        expect(r, "a b c ");
        core_objects(r->core, BOBS, &all, each, r);
        expect(r, "a c ");
        core_objects(r->core, 1, &some, each, r);
        expect(r, "b c ");
        end(r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_use_makes_it_as_it_is_said),
                cmocka_unit_test(test_open_says_what_must_be),
                cmocka_unit_test(test_mode_is_a_files),
                cmocka_unit_test(test_maker_and_admins_unlink),
                cmocka_unit_test(test_unlinked_with_who_waits_and_who_holds),
                cmocka_unit_test(test_unlinked_barrier_is_unknown_and_not_broken),
                cmocka_unit_test(test_object_outlives_its_maker),
                cmocka_unit_test(test_all_is_its_makers_account_and_zero_afterwards),
                cmocka_unit_test(test_user_has_so_many_objects_and_bytes),
                cmocka_unit_test(test_memory_comes_when_it_is_there),
                cmocka_unit_test(test_memory_that_could_not_be_had_or_is_wanted_no_more),
                cmocka_unit_test(test_list_is_in_order_and_of_what_one_may_see),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
