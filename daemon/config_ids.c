/* SPDX-License-Identifier: MIT */
/*
 * Lists of users or groups. Names are looked up once, when the configuration is read; what is kept are ids.
 */
#include "daemon/config_ids.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* All digits are an id, whether the system has a name for it or not; -1 is none (chown takes it for "leave").
 */
static bool id_read(const char *word, bool is_group, uint32_t *ret)
{
        char *end;
        unsigned long number = strtoul(word, &end, 10);

        if (isdigit((unsigned char)word[0]) && *end == 0) {
                *ret = (uint32_t)number;
                return number < UINT32_MAX;
        }
        const struct group *group = is_group ? getgrnam(word) : NULL;
        const struct passwd *user = is_group ? NULL : getpwnam(word);
        if (group != NULL)
                *ret = group->gr_gid;
        if (user != NULL)
                *ret = user->pw_uid;
        return group != NULL || user != NULL;
}

/* Writes the ids of the words into the list, which has room for them. The words are cut apart. */
static int take_words(char *words, struct config_ids *ids, char *why, size_t why_bytes)
{
        char *save = NULL;

        for (char *word = strtok_r(words, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save)) {
                if (id_read(word, ids->are_groups, &ids->ids[ids->n++]))
                        continue;
                snprintf(why, why_bytes, "there is no %s '%s'", ids->are_groups ? "group" : "user", word);
                return 1;
        }
        return 0;
}

int config_ids_read(const char *text, bool are_groups, struct config_ids **ret, char *why, size_t why_bytes)
{
        struct config_ids *ids = calloc(1, sizeof *ids + (strlen(text) / 2 + 1) * sizeof ids->ids[0]);
        char *words = strdup(text);
        int r = 0;

        if (ids == NULL || words == NULL)
                r = -ENOMEM;
        if (r == 0) {
                ids->are_groups = are_groups;
                ids->all = strcmp(text, "all") == 0;
                if (!ids->all && strcmp(text, "none") != 0)
                        r = take_words(words, ids, why, why_bytes);
        }
        free(words);
        if (r == 0)
                *ret = ids;
        else
                free(ids);
        return r;
}

void config_ids_print(const struct config_ids *ids, FILE *f)
{
        if (ids->n == 0)
                fputs(ids->all ? "all" : "none", f);
        for (uint32_t i = 0; i < ids->n; i++) {
                const struct group *group = ids->are_groups ? getgrgid(ids->ids[i]) : NULL;
                const struct passwd *user = ids->are_groups ? NULL : getpwuid(ids->ids[i]);
                if (group != NULL || user != NULL)
                        fprintf(f, "%s%s", i == 0 ? "" : " ", group != NULL ? group->gr_name : user->pw_name);
                else
                        fprintf(f, "%s%" PRIu32, i == 0 ? "" : " ", ids->ids[i]);
        }
}

bool config_ids_has(const struct config_ids *ids, uint32_t id)
{
        for (uint32_t i = 0; i < ids->n; i++)
                if (ids->ids[i] == id)
                        return true;
        return ids->all;
}
