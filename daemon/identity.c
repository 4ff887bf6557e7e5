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

/* 1: a member, 0: none, or -errno. */
static int in_groups(int fd, gid_t gid)
{
        gid_t usual[GROUPS_USUAL], *groups = usual, *larger = NULL;
        socklen_t size = sizeof usual;
        int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);

        if (r < 0 && errno == ERANGE) { /* then size says how much is needed */
                larger = malloc(size);
                if (larger == NULL)
                        return -ENOMEM;
                groups = larger;
                r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
        }
        r = r < 0 ? -errno : 0;
        for (size_t i = 0; r == 0 && i < size / sizeof *groups; i++)
                r = groups[i] == gid;
        free(larger);
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
                member = peer.gid == rules->admin_gid ? 1 : in_groups(fd, rules->admin_gid);
        if (member < 0)
                return member;
        *ret = (struct identity){.uid = peer.uid, .gid = peer.gid, .pid = peer.pid};
        return identity_judge(rules, peer.uid, member == 1, &ret->admin);
}
