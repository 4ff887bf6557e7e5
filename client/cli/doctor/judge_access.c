/* SPDX-License-Identifier: MIT */
/* Whether the caller gets to the daemon: the socket, its directory, its mode and group. */
#include <errno.h>
#include <string.h>

#include "client/cli/doctor/doctor.h"

#define SYSTEM_SOCKET "/run/ganger/ganger.sock"

static void start_remedy(const struct doctor_facts *facts, const struct doctor_socket *s,
                         struct doctor_findings *ret)
{
        const char *as = facts->is_root ? "" : "sudo ";

        if (strcmp(s->path, SYSTEM_SOCKET) == 0 && !*facts->units.service.name)
                doctor_remedy(ret, "install gangerd's units, then %ssystemctl enable --now ganger.socket",
                              as);
        else if (strcmp(s->path, SYSTEM_SOCKET) == 0)
                doctor_remedy(ret, "%ssystemctl enable --now ganger.socket", as);
        else if (facts->chosen)
                doctor_remedy(ret, "gangerd --socket %s, or leave out --socket and GANGER_SOCKET", s->path);
        else
                doctor_remedy(ret, "systemctl --user enable --now ganger.socket, or gangerd &");
}

static void judge_refused(const struct doctor_facts *facts, const struct doctor_socket *s,
                          enum doctor_state state, struct doctor_findings *ret)
{
        const struct doctor_group *group = &s->group;
        const char *who = facts->caller.name;

        if (*s->closed) {
                doctor_find(ret, "socket", state, "%s: %s may not enter %s", s->path, who, s->closed);
                doctor_remedy(ret, "chmod a+x %s (as its owner)", s->closed);
        } else if (!(s->mode & 020)) {
                doctor_find(ret, "socket", state, "%s: mode %04o, so for its owner %s alone, not for %s",
                            s->path, s->mode, s->owner, who);
                doctor_remedy(ret, "socket_mode = 0660 and socket_group = GROUP in [daemon], then restart "
                                   "gangerd");
        } else if (group->in_files && !group->in_session) {
                doctor_find(ret, "groups", state,
                            "%s: for group %s, to which %s belongs by now, but not in this session", s->path,
                            group->name, who);
                doctor_remedy(ret, "newgrp %s, or log in again", group->name);
        } else {
                doctor_find(ret, "groups", state, "%s: mode %04o, for group %s, to which %s does not belong",
                            s->path, s->mode, group->name, who);
                doctor_remedy(ret, "%susermod -aG %s %s, then log in again", facts->is_root ? "" : "sudo ",
                              group->name, who);
        }
}

/* One that nobody could be reached by. */
static void judge_unreached(const struct doctor_facts *facts, const struct doctor_socket *s,
                            enum doctor_state state, struct doctor_findings *ret)
{
        if (s->error == EACCES) {
                judge_refused(facts, s, state, ret);
        } else if (s->exists && !s->is_socket) {
                doctor_find(ret, "socket", state, "%s is no socket", s->path);
                doctor_remedy(ret, "mv %s aside, then start gangerd", s->path);
        } else if (s->error == ENOENT || s->error == ENOTDIR) {
                doctor_find(ret, "socket", state, "%s: there is no socket", s->path);
                start_remedy(facts, s, ret);
        } else if (s->error == ECONNREFUSED) {
                doctor_find(ret, "socket", state, "%s is stale: whoever listened there has died", s->path);
                if (strcmp(s->path, SYSTEM_SOCKET) == 0 && *facts->units.service.name)
                        doctor_remedy(ret, "%ssystemctl restart ganger.socket",
                                      facts->is_root ? "" : "sudo ");
                start_remedy(facts, s, ret);
        } else if (s->error == EAGAIN) {
                doctor_find(ret, "socket", state, "%s: more wait to be let in than may", s->path);
                doctor_remedy(ret, "see whether gangerd was stopped, and restart it");
        } else if (s->error == EPROTOTYPE) {
                doctor_find(ret, "socket", state, "%s is a socket of another kind, so not gangerd's",
                            s->path);
                doctor_remedy(ret, "--socket names another one");
        } else {
                doctor_find(ret, "socket", state, "%s: %s", s->path, strerror(s->error));
        }
}

static void judge_admin(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_group *group = &facts->admin_group;

        if (!*group->name || facts->is_root || group->in_session || !group->in_files)
                return;
        doctor_find(ret, "groups", DOCTOR_WARNING,
                    "%s belongs to admin_group %s by now, but not in this session: not an admin yet",
                    facts->caller.name, group->name);
        doctor_remedy(ret, "newgrp %s, or log in again", group->name);
}

void doctor_judge_access(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        if (facts->search_error == ENAMETOOLONG) {
                doctor_find(ret, "socket", DOCTOR_PROBLEM, "its path is longer than a socket's can be");
                doctor_remedy(ret, "a path of at most %d bytes", LIMIT_SOCKET_PATH_BYTES);
        } else if (facts->n_sockets == 0) {
                doctor_find(ret, "socket", DOCTOR_PROBLEM,
                            "XDG_RUNTIME_DIR is not set, so there is no socket of one's own");
                doctor_remedy(ret, "--socket PATH, or log in where systemd keeps a session");
        }
        for (int i = 0; i < facts->n_sockets; i++) {
                const struct doctor_socket *s = &facts->sockets[i];
                if (i == facts->connected) {
                        doctor_find(ret, "socket", DOCTOR_OK, "%s: mode %04o, %s:%s; it connects", s->path,
                                    s->mode, s->owner, s->group.name);
                        break;
                }
                /* That there is none where another one answers is as it should be. */
                if (facts->connected < 0)
                        judge_unreached(facts, s, DOCTOR_PROBLEM, ret);
                else if (s->error != ENOENT && s->error != ENOTDIR)
                        judge_unreached(facts, s, DOCTOR_WARNING, ret);
        }
        judge_admin(facts, ret);
}
