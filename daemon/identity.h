/* SPDX-License-Identifier: MIT */
/*
 * Who is at the other end of an accepted socket, and what he may. Read once, at accept, from the kernel;
 * nothing that a peer says of itself counts. The pid is for people only: it may be another's by now.
 */
#ifndef DAEMON_IDENTITY_H
#define DAEMON_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct identity {
        uid_t uid;
        gid_t gid;
        pid_t pid;
        bool admin;
};

/* By whom admins are known. */
struct identity_rules {
        uid_t own_uid;    /* the daemon's */
        bool shared;      /* others than own_uid may connect */
        bool admin_group; /* there is one: */
        gid_t admin_gid;
};

enum identity_result {
        IDENTITY_REFUSED = 1, /* the daemon's own user where others may connect too: every task has its uid */
};

/* 0, IDENTITY_REFUSED (ret is filled in), or -errno. */
int identity_read(int fd, const struct identity_rules *, struct identity *ret);
/* All groups of the peer as they were when it connected, the primary one first. 0 or -errno; *ret is to be
 * freed. */
int identity_groups(int fd, gid_t primary, gid_t **ret, uint32_t *ret_n);
/* The decision alone; in_admin_group: the kernel named the group. */
int identity_judge(const struct identity_rules *, uid_t uid, bool in_admin_group, bool *ret_admin);

#endif
