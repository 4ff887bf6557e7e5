/* SPDX-License-Identifier: MIT */
/*
 * What exec is asked for. Nothing is accepted and ignored: an unknown option, a wrong type, a value out
 * of range each ends the task with a sentence that names it. Strings are copied, to end them with a 0 byte.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/worker/exec.h"

#define API(x)  ((x)->run->task.api)
#define TASK(x) (&(x)->run->task)

static int wants(struct exec *x, const char *name, const char *what)
{
        return run_failf(x->run, NULL, "exec: %s: wanted is %s", name, what);
}

static bool is_text(const struct ganger_value *value)
{
        return value->type == GANGER_STR || value->type == GANGER_BIN;
}

/* A string of the program's world: no 0 byte within. */
static int read_string(struct exec *x, const char *name, char **ret)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (!is_text(&value) || memchr(value.data, '\0', value.size_bytes))
                return wants(x, name, "a string without a 0 byte");
        *ret = strndup(value.data, value.size_bytes);
        return *ret ? 0 : -ENOMEM;
}

static int read_argv(struct exec *x)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r == -ENODATA || (r == 0 && (value.type != GANGER_ARRAY || value.count == 0)))
                return wants(x, "argv", "an array of strings, the program first");
        if (r < 0)
                return r;
        x->argv = calloc((size_t)value.count + 1, sizeof(*x->argv));
        if (!x->argv)
                return -ENOMEM;
        for (; r == 0 && x->n_argv < value.count; x->n_argv += r == 0)
                r = read_string(x, "argv", &x->argv[x->n_argv]);
        return r;
}

static int read_env(struct exec *x)
{
        struct ganger_value map;
        int r = API(x)->next(TASK(x), &map);

        if (r < 0)
                return r;
        if (map.type != GANGER_MAP)
                return wants(x, "env", "a map of names and values");
        x->env = calloc((size_t)map.count + 1, sizeof(*x->env));
        if (!x->env)
                return -ENOMEM;
        for (uint32_t i = 0; r == 0 && i < map.count; i++) {
                char *name = NULL, *value = NULL;
                r = read_string(x, "env", &name);
                assert(r != 0 || name);
                if (r == 0 && (name[0] == '\0' || strchr(name, '=')))
                        r = wants(x, "env", "a map whose names are not empty and hold no '='");
                if (r == 0)
                        r = read_string(x, "env", &value);
                if (r == 0 && asprintf(&x->env[x->n_env], "%s=%s", name, value) < 0)
                        r = -ENOMEM;
                x->n_env += r == 0;
                free(name);
                free(value);
        }
        return r;
}

static int read_cwd(struct exec *x)
{
        free(x->cwd);
        x->cwd = NULL;
        return read_string(x, "cwd", &x->cwd);
}

static int read_stdin(struct exec *x)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (value.type == GANGER_FD)
                x->stdin_fd = value.as.fd;
        else if (is_text(&value)) {
                x->has_stdin_bytes = true;
                x->stdin_bytes = value.data;
                x->stdin_size_bytes = value.size_bytes;
        } else if (value.type != GANGER_NIL)
                return wants(x, "stdin", "a descriptor, bytes or a string");
        return 0;
}

static int read_output(struct exec *x, struct exec_output *output)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (value.type == GANGER_FD)
                output->given_fd = value.as.fd;
        else if (value.type != GANGER_NIL)
                return wants(x, output->name, "a descriptor");
        return 0;
}

static int read_stdout(struct exec *x)
{
        return read_output(x, &x->output[0]);
}

static int read_stderr(struct exec *x)
{
        return read_output(x, &x->output[1]);
}

static int read_check(struct exec *x)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (value.type != GANGER_BOOL)
                return wants(x, "check", "true or false");
        x->check = value.as.boolean;
        return 0;
}

static int read_output_limit(struct exec *x)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (value.type != GANGER_INT || value.as.i < 0 || value.as.u > EXEC_OUTPUT_LIMIT_MOST_BYTES)
                return wants(x, "output_limit", "a number of bytes from 0 to 25165824 (24 MiB)");
        x->output_limit_bytes = value.as.u;
        return 0;
}

static int read_umask(struct exec *x)
{
        struct ganger_value value;
        int r = API(x)->next(TASK(x), &value);

        if (r < 0)
                return r;
        if (value.type != GANGER_INT || value.as.i < 0 || value.as.i > 0777)
                return wants(x, "umask", "an integer from 0 to 511 (octal 777)");
        x->umask = (int)value.as.i;
        return 0;
}

static const struct {
        const char *name;
        int (*read)(struct exec *x);
} options[] = {
        {"env", read_env},
        {"cwd", read_cwd},
        {"stdin", read_stdin},
        {"stdout", read_stdout},
        {"stderr", read_stderr},
        {"check", read_check},
        {"output_limit", read_output_limit},
        {"umask", read_umask},
};

enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

static int read_option(struct exec *x, uint32_t *given)
{
        struct ganger_value name;
        int r = API(x)->next(TASK(x), &name);

        if (r < 0)
                return r;
        if (!is_text(&name))
                return wants(x, "options", "a map whose keys are strings");
        for (size_t i = 0; i < N_OPTIONS; i++) {
                if (strlen(options[i].name) != name.size_bytes ||
                    memcmp(options[i].name, name.data, name.size_bytes) != 0)
                        continue;
                if (*given & UINT32_C(1) << i)
                        return run_failf(x->run, NULL, "exec: the option %s is given twice", options[i].name);
                *given |= UINT32_C(1) << i;
                return options[i].read(x);
        }
        return run_failf(x->run, NULL,
                         "exec: unknown option \"%.*s\"; known are env, cwd, stdin, stdout, stderr, check, "
                         "output_limit, umask",
                         name.size_bytes < 64 ? (int)name.size_bytes : 64, name.data);
}

int exec_options_read(struct exec *x)
{
        struct ganger_value value;
        uint32_t given = 0;
        int r = read_argv(x);

        if (r != 0)
                return r;
        r = API(x)->next(TASK(x), &value);
        if (r == -ENODATA)
                return 0;
        if (r < 0)
                return r;
        if (value.type != GANGER_MAP)
                return wants(x, "the second argument", "a map of options");
        for (uint32_t i = 0; r == 0 && i < value.count; i++)
                r = read_option(x, &given);
        if (r == 0 && API(x)->peek(TASK(x), &value) != -ENODATA)
                r = wants(x, "arguments", "argv and at most one map of options");
        return r;
}

static void strings_free(char **strings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(strings[i]);
        free(strings);
}

void exec_options_deinit(struct exec *x)
{
        strings_free(x->argv, x->n_argv);
        strings_free(x->env, x->n_env);
        free(x->cwd);
}
