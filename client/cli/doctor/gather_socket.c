/* SPDX-License-Identifier: MIT */
/* The sockets of the search, and whether the caller gets there. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/doctor/doctor.h"

void doctor_user_name(uid_t uid, char ret[DOCTOR_NAME_BYTES])
{
        const struct passwd *entry = getpwuid(uid);

        if (entry != NULL)
                snprintf(ret, DOCTOR_NAME_BYTES, "%s", entry->pw_name);
        else
                snprintf(ret, DOCTOR_NAME_BYTES, "%ld", (long)uid);
}

static bool is_in_session(gid_t gid)
{
        int n = getgroups(0, NULL);
        gid_t *groups = n > 0 ? calloc((size_t)n, sizeof *groups) : NULL;
        bool found = getegid() == gid;

        n = groups != NULL ? getgroups(n, groups) : 0;
        for (int i = 0; i < n; i++)
                found |= groups[i] == gid;
        free(groups);
        return found;
}

void doctor_group_look(struct doctor_group *ret, const struct doctor_caller *caller, gid_t gid)
{
        const struct passwd *user = getpwuid(caller->uid);
        const struct group *group;

        ret->in_session = is_in_session(gid);
        ret->in_files = user != NULL && user->pw_gid == gid;
        group = getgrgid(gid);
        if (group == NULL) {
                snprintf(ret->name, sizeof ret->name, "%ld", (long)gid);
                return;
        }
        snprintf(ret->name, sizeof ret->name, "%s", group->gr_name);
        for (char **member = group->gr_mem; *member != NULL; member++)
                ret->in_files |= strcmp(*member, caller->name) == 0;
}

static void find_closed(struct doctor_socket *s)
{
        char path[sizeof s->path];

        for (const char *slash = s->path; (slash = strchr(slash, '/')) != NULL; slash++) {
                int size = slash == s->path ? 1 : (int)(slash - s->path);
                snprintf(path, sizeof path, "%.*s", size, s->path);
                if (eaccess(path, X_OK) < 0 && errno == EACCES) {
                        snprintf(s->closed, sizeof s->closed, "%s", path);
                        return;
                }
        }
}

static void look(struct doctor_facts *facts, struct doctor_socket *s)
{
        struct stat st;

        find_closed(s);
        if (stat(s->path, &st) < 0)
                return;
        s->exists = true;
        s->is_socket = S_ISSOCK(st.st_mode);
        s->mode = st.st_mode & 07777;
        s->uid = st.st_uid;
        doctor_user_name(st.st_uid, s->owner);
        doctor_group_look(&s->group, &facts->caller, st.st_gid);
}

void doctor_gather_sockets(struct doctor_facts *facts, const struct doctor_options *options, int *ret_fd)
{
        char paths[SEARCH_CANDIDATES][LIMIT_SOCKET_PATH_BYTES + 1];
        const char *environment = getenv("GANGER_SOCKET");
        int n = 1;

        *ret_fd = facts->connected = -1;
        facts->chosen = options->socket != NULL ||
                        (options->scope == SEARCH_USUAL && environment != NULL && *environment);
        if (options->socket == NULL)
                n = search_candidates(options->scope, paths);
        else if (strlen(options->socket) > LIMIT_SOCKET_PATH_BYTES)
                n = -ENAMETOOLONG;
        else
                snprintf(paths[0], sizeof paths[0], "%s", options->socket);
        if (n < 0)
                facts->search_error = -n;
        facts->n_sockets = n < 0 ? 0 : n;
        for (int i = 0; i < facts->n_sockets; i++) {
                struct doctor_socket *s = &facts->sockets[i];
                memcpy(s->path, paths[i], sizeof s->path);
                look(facts, s);
                if (facts->connected >= 0)
                        continue;
                s->error = -search_connect_path(s->path, ret_fd);
                if (s->error == 0)
                        facts->connected = i;
        }
}
