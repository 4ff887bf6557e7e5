/* SPDX-License-Identifier: MIT */
/*
 * The kernel shows as command line what lies where the arguments lay at exec; behind them, in one piece, lies
 * the environment, so that is room too. Nothing may point there any more when it is overwritten.
 */
#include "daemon/worker/title.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct {
        char *begin;
        size_t size;
        char **environment; /* the copy; kept reachable */
} title;

static int move_environment(void)
{
        size_t n = 0;

        while (environ[n])
                n++;
        title.environment = calloc(n + 1, sizeof(*title.environment));
        if (!title.environment)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                title.environment[i] = strdup(environ[i]);
                if (!title.environment[i])
                        return -ENOMEM;
        }
        environ = title.environment;
        return 0;
}

int title_init(int argc, char **argv)
{
        char **env = environ, *end;

        if (argc < 1)
                return 0;
        title.begin = end = argv[0];
        for (int i = 0; i < argc && argv[i] == end; i++)
                end += strlen(end) + 1;
        for (size_t i = 0; env[i] && env[i] == end; i++)
                end += strlen(end) + 1;
        title.size = (size_t)(end - title.begin);
        return move_environment();
}

void title_set(const char *name, const char *role, const char *pool)
{
        prctl(PR_SET_NAME, name);
        if (title.size == 0)
                return;
        memset(title.begin, 0, title.size);
        snprintf(title.begin, title.size, "ganger: %s %s", role, pool);
}
