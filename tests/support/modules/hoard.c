/* SPDX-License-Identifier: MIT */
/*
 * The module `hoard`: takes memory until it gets none, and ends in one of the ways in which programs end
 * then. With the setting `thread = yes` each worker's start() starts a thread, which does nothing; with
 * `hold = N` the zygote holds N MiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

/* Not optimised away. */
static void *volatile last;

static void take_small(void)
{
        while ((last = malloc(1000)))
                memset(last, 1, 1000);
}

static void take_chunks(void)
{
        while ((last = malloc(1 << 20)))
                memset(last, 1, 1 << 20);
}

static void take_large(void)
{
        last = malloc((size_t)1 << 45);
}

static void take_nothing(void)
{
        last = NULL;
}

/* It is refused something, gets over it, and is refused something else. */
static void get_over_it(void)
{
        last = malloc((size_t)1 << 45);
        (void)!open("/nonexistent", O_RDONLY | O_CLOEXEC);
}

static int say(void)
{
        return -ENOMEM;
}

static int fall(void)
{
        *(volatile char *)last = 1;
        return 0;
}

static int end(void)
{
        abort();
}

static int leave(void)
{
        exit(3);
}

static void *fall_in_thread(void *take)
{
        (*(void (**)(void))take)();
        fall();
        return NULL;
}

static const struct {
        const char *name;
        void (*take)(void);
} ways[] = {
        {"small", take_small},     {"chunks", take_chunks},  {"large", take_large},
        {"nothing", take_nothing}, {"recover", get_over_it},
};
static int stay(void)
{
        while (pause() < 0)
                ;
        return 0;
}

static int fine(void)
{
        return 0;
}

static const struct {
        const char *name;
        int (*end)(void);
} ends[] = {{"say", say}, {"crash", fall}, {"abort", end}, {"exit", leave}, {"loop", stay}, {"fine", fine}};

static int text_arg(struct ganger_task *task, char ret[16])
{
        const char *text;
        size_t size_bytes;
        int r = ganger_get_str(task, &text, &size_bytes);

        if (r < 0 || size_bytes > 15)
                return r < 0 ? r : -EINVAL;
        memcpy(ret, text, size_bytes);
        ret[size_bytes] = '\0';
        return 0;
}

/* -> the signal that a child dies of, which does the same. */
static int let_a_child_fall(struct ganger_task *task, void (*taking)(void))
{
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                taking();
                fall();
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return -errno;
        return ganger_put_int(task, WTERMSIG(status));
}

/* [way, end] -> see above; end "thread": crashes in a thread that did the taking; "child": a child does */
static int take(struct ganger_task *task)
{
        char way[16], how[16];
        int r = text_arg(task, way);

        if (r == 0)
                r = text_arg(task, how);
        if (r < 0)
                return r;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                void (*taking)(void) = ways[i].take;
                pthread_t thread;
                if (strcmp(ways[i].name, way) != 0)
                        continue;
                if (strcmp(how, "child") == 0)
                        return let_a_child_fall(task, taking);
                if (strcmp(how, "thread") == 0)
                        return -(pthread_create(&thread, NULL, fall_in_thread, &taking) ||
                                 pthread_join(thread, NULL));
                taking();
                for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++)
                        if (strcmp(ends[k].name, how) == 0) {
                                int end_r = ends[k].end();
                                return end_r < 0 ? end_r : ganger_put_nil(task);
                        }
        }
        return -EINVAL;
}

static void *do_nothing(void *userdata)
{
        pause();
        return NULL;
}

static int load(void **ret_state, const struct ganger_setting *settings, size_t n_settings, char *error,
                size_t error_size_bytes)
{
        static int is_threaded;

        for (size_t i = 0; i < n_settings; i++) {
                size_t size_bytes = (size_t)atoi(settings[i].value) << 20;
                if (strcmp(settings[i].key, "thread") == 0)
                        is_threaded = strcmp(settings[i].value, "yes") == 0;
                else if ((last = malloc(size_bytes)))
                        memset(last, 1, size_bytes);
        }
        *ret_state = &is_threaded;
        return 0;
}

static int start(void *state)
{
        pthread_t thread;

        return *(int *)state ? -pthread_create(&thread, NULL, do_nothing, NULL) : 0;
}

static const struct ganger_function functions[] = {{.name = "take", .run = take, .summary = "[way, end]"}};

GANGER_MODULE(.name = "hoard", .functions = functions, .n_functions = 1, .load = load, .start = start);
