/* SPDX-License-Identifier: MIT */
/*
 * Identity of a peer: SO_PEERCRED names the primary group only, SO_PEERGROUPS the others.
 */
#include "daemon/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define GROUPS_USUAL 64

int identity_judge(const struct identity_rules *rules, uid_t uid, bool in_admin_group, bool *ret_admin)
{
        *ret_admin = uid == 0 || in_admin_group || (uid == rules->own_uid && !rules->shared);
        if (uid == rules->own_uid && uid != 0 && rules->shared)
                return IDENTITY_REFUSED;
        return 0;
}

int identity_groups(int fd, gid_t primary, gid_t **ret, uint32_t *ret_n)
{
        socklen_t size = GROUPS_USUAL * sizeof **ret;
        gid_t *groups = NULL, *larger;

        for (;;) {
                larger = realloc(groups, sizeof *groups + size);
                if (larger == NULL) {
                        free(groups);
                        return -ENOMEM;
                }
                groups = larger;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) == 0)
                        break;
                if (errno != ERANGE) { /* else size says how much is needed */
                        int r = -errno;
                        free(groups);
                        return r;
                }
        }
        groups[0] = primary;
        *ret = groups;
        *ret_n = 1 + size / (uint32_t)sizeof *groups;
        return 0;
}

/* 1: a member, 0: none, or -errno. */
static int in_group(int fd, gid_t primary, gid_t gid)
{
        gid_t *groups = NULL;
        uint32_t n = 0;
        int r = identity_groups(fd, primary, &groups, &n);

        if (r < 0)
                return r;
        for (uint32_t i = 0; r == 0 && i < n; i++)
                r = groups[i] == gid;
        free(groups);
        return r;
}

int identity_read(int fd, const struct identity_rules *rules, struct identity *ret)
{
        struct ucred peer;
        socklen_t size = sizeof peer;
        int member = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (rules->admin_group)
                member = in_group(fd, peer.gid, rules->admin_gid);
        if (member < 0)
                return member;
        *ret = (struct identity){.uid = peer.uid, .gid = peer.gid, .pid = peer.pid};
        return identity_judge(rules, peer.uid, member == 1, &ret->admin);
}
