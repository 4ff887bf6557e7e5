/* SPDX-License-Identifier: MIT */
/* Who is an admin, who is refused; and what the kernel says of the other end of a socketpair. */
#include "daemon/identity.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/cmocka_includes.h"

static const struct {
        uid_t uid;
        bool own_is_root, shared, in_group;
        bool admin, refused;
} cases[] = {
        {.uid = 0, .admin = true},
        {.uid = 0, .shared = true, .admin = true},
        {.uid = 0, .own_is_root = true, .shared = true, .admin = true},
        {.uid = 500, .admin = true},                   /* the daemon's own, alone */
        {.uid = 500, .shared = true, .refused = true}, /* the same among others */
        {.uid = 500, .shared = true, .in_group = true, .admin = true, .refused = true},
        {.uid = 600, .shared = true},
        {.uid = 600, .shared = true, .in_group = true, .admin = true},
        {.uid = 600, .own_is_root = true, .shared = true},
};

static void test_judgement(void **state)
{
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct identity_rules rules = {.own_uid = cases[i].own_is_root ? 0 : 500,
                                               .shared = cases[i].shared};
                bool admin;
                int r = identity_judge(&rules, cases[i].uid, cases[i].in_group, &admin);
                assert_int_equal(r, cases[i].refused ? IDENTITY_REFUSED : 0);
                if (!cases[i].refused)
                        assert_int_equal(admin, cases[i].admin);
        }
}

static void test_of_a_socket(void **state)
{
        const struct identity_rules rules = {.own_uid = geteuid(), .admin_group = true, .admin_gid = 4000000};
        struct identity who;
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(identity_read(pair[0], &rules, &who), 0);
        assert_int_equal(who.uid, geteuid());
        assert_int_equal(who.gid, getegid());
        assert_int_equal(who.pid, getpid());
        assert_true(who.admin);
        close(pair[0]);
        close(pair[1]);
        assert_true(identity_read(pair[0], &rules, &who) < 0);
}

static void test_groups_of_a_socket(void **state)
{
        gid_t own[256], *groups;
        int n_own = getgroups(256, own), pair[2];
        uint32_t n;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(identity_groups(pair[0], 4000000, &groups, &n), 0);
        assert_int_equal(n, 1 + n_own);
        assert_int_equal(groups[0], 4000000);
        for (int i = 0; i < n_own; i++)
                assert_int_equal(groups[1 + i], own[i]);
        free(groups);
        close(pair[0]);
        close(pair[1]);
        assert_true(identity_groups(pair[0], 0, &groups, &n) < 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_judgement),
                cmocka_unit_test(test_of_a_socket),
                cmocka_unit_test(test_groups_of_a_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
