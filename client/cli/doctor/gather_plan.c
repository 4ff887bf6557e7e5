/* SPDX-License-Identifier: MIT */
/*
 * What gangerd says of its configuration: `gangerd --check --json`, which also loads the modules, run as the
 * user that the daemon is, or would be. So the configuration is read in one place only, and nothing of what
 * modules do while they load is done as root who only wants to know.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/doctor/doctor.h"

#define OUTPUT_MAX_BYTES (16u << 20)
#define EXIT_NO_PROGRAM  127

/* -- running programs -- */

static bool become(uid_t uid)
{
        const struct passwd *entry = getpwuid(uid);
        gid_t gid = entry != NULL ? entry->pw_gid : uid;
        int r = entry != NULL ? initgroups(entry->pw_name, gid) : setgroups(0, NULL);

        return r == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
}

_Noreturn static void execute(const struct doctor_run *run, int output)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
            dup2(output, STDOUT_FILENO) < 0)
                _exit(EXIT_NO_PROGRAM);
        if (run->drops) {
                setpriority(PRIO_PROCESS, 0, run->nice);
                if (!become(run->uid))
                        _exit(EXIT_NO_PROGRAM);
        }
        execvp(run->argv[0], run->argv);
        _exit(EXIT_NO_PROGRAM);
}

static int read_all(int fd, char **ret)
{
        char *text = malloc(1), *more;
        size_t n = 0;

        for (;;) {
                more = n < OUTPUT_MAX_BYTES ? realloc(text, n + 4097) : NULL;
                if (text == NULL || more == NULL) {
                        free(text);
                        return -ENOMEM;
                }
                text = more;
                ssize_t r = read(fd, text + n, 4096);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0)
                        break;
                n += (size_t)r;
        }
        text[n] = 0;
        *ret = text;
        return 0;
}

int doctor_run(const struct doctor_run *run, char **ret, int *ret_status)
{
        int pair[2], r;
        pid_t pid;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                execute(run, pair[1]);
        r = pid < 0 ? -errno : 0;
        close(pair[1]);
        if (r == 0)
                r = read_all(pair[0], ret);
        close(pair[0]);
        while (pid > 0 && waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
                ;
        return r;
}

/* -- what to run, and as whom -- */

static void choose_program(struct doctor_facts *facts, const struct doctor_options *options)
{
        char *ret = facts->plan.program, *slash;
        const size_t size_bytes = sizeof facts->plan.program;
        ssize_t size;

        if (options->gangerd != NULL) {
                snprintf(ret, size_bytes, "%s", options->gangerd);
        } else if (access(facts->process.program, X_OK) == 0) {
                snprintf(ret, size_bytes, "%s", facts->process.program);
        } else if (access(facts->units.program, X_OK) == 0) {
                snprintf(ret, size_bytes, "%s", facts->units.program);
        } else {
                size = readlink("/proc/self/exe", ret, size_bytes - sizeof "gangerd");
                ret[size < 0 ? 0 : size] = 0;
                slash = strrchr(ret, '/');
                snprintf(slash != NULL ? slash + 1 : ret, sizeof "gangerd", "gangerd");
                if (access(ret, X_OK) < 0)
                        snprintf(ret, size_bytes, "gangerd"); /* by PATH */
        }
}

static void choose_config(struct doctor_facts *facts, const struct doctor_options *options)
{
        const char *config = options->config;

        if (config == NULL)
                config = facts->process.pid != 0 ? facts->process.config : facts->units.config;
        snprintf(facts->plan.config, sizeof facts->plan.config, "%s", config);
}

/* The user that gangerd is, or would be. */
static uid_t daemons_user(const struct doctor_facts *facts)
{
        const char *name = facts->units.user;
        const struct passwd *entry;

        if (facts->process.pid != 0)
                return facts->process.uid;
        entry = *facts->units.service.name && *name ? getpwnam(name) : NULL;
        return entry != NULL ? entry->pw_uid : facts->caller.uid;
}

/* -- its answer -- */

static uint64_t count(json_t *object, const char *key)
{
        json_int_t n = json_integer_value(json_object_get(object, key));
        return n > 0 ? (uint64_t)n : 0;
}

static void take_admins(struct doctor_facts *facts, const char *name)
{
        const struct group *group = name != NULL && strcmp(name, "none") != 0 ? getgrnam(name) : NULL;

        if (group != NULL)
                doctor_group_look(&facts->admin_group, &facts->caller, group->gr_gid);
}

static void take_pools(struct doctor_plan *plan, json_t *pools)
{
        plan->pools = calloc(json_array_size(pools) + 1, sizeof *plan->pools);
        for (size_t i = 0; plan->pools != NULL && i < json_array_size(pools); i++) {
                json_t *pool = json_array_get(pools, i);
                const char *name = json_string_value(json_object_get(pool, "name"));
                if (name == NULL)
                        continue;
                plan->pools[plan->n_pools++] =
                        (struct doctor_pool_plan){.name = name,
                                                  .max_workers = count(pool, "max_workers"),
                                                  .queue_limit = count(pool, "queue_limit"),
                                                  .memory_limit = count(pool, "memory_limit")};
        }
}

static void take_complaints(struct doctor_plan *plan, json_t *problems)
{
        plan->complaints = calloc(json_array_size(problems) + 1, sizeof *plan->complaints);
        for (size_t i = 0; plan->complaints != NULL && i < json_array_size(problems); i++) {
                json_t *problem = json_array_get(problems, i);
                struct doctor_complaint complaint = {
                        .about = json_string_value(json_object_get(problem, "about")),
                        .pool = json_string_value(json_object_get(problem, "pool")),
                        .message = json_string_value(json_object_get(problem, "message"))};
                if (complaint.about != NULL && complaint.message != NULL)
                        plan->complaints[plan->n_complaints++] = complaint;
        }
}

static void take(struct doctor_facts *facts, json_t *answer)
{
        struct doctor_plan *plan = &facts->plan;
        json_t *daemon = json_object_get(answer, "daemon"), *needs = json_object_get(answer, "needs");

        plan->owner = answer;
        plan->version = json_string_value(json_object_get(answer, "version"));
        take_complaints(plan, json_object_get(answer, "problems"));
        take_pools(plan, json_object_get(answer, "pools"));
        plan->is_read = needs != NULL;
        plan->socket = json_string_value(json_object_get(daemon, "socket"));
        plan->memory_limit = count(daemon, "memory_limit");
        plan->descriptors = count(needs, "descriptors");
        plan->least_descriptors = count(needs, "least_descriptors");
        plan->processes = count(needs, "processes");
        plan->least_processes = count(needs, "least_processes");
        take_admins(facts, json_string_value(json_object_get(daemon, "admin_group")));
}

static void not_run(struct doctor_plan *plan, int r, int status)
{
        if (r < 0)
                snprintf(plan->failure, sizeof plan->failure, "%s", strerror(-r));
        else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM)
                snprintf(plan->failure, sizeof plan->failure, "%.200s cannot be run", plan->program);
        else
                snprintf(plan->failure, sizeof plan->failure, "%.200s --check --json does not answer",
                         plan->program);
}

void doctor_gather_plan(struct doctor_facts *facts, const struct doctor_options *options)
{
        struct doctor_plan *plan = &facts->plan;
        uid_t uid = daemons_user(facts);
        char check[] = "--check", json[] = "--json", config_word[] = "--config", socket_word[] = "--socket";
        char *words[8] = {plan->program, check, json}, *text = NULL;
        char socket[LIMIT_SOCKET_PATH_BYTES + 1];
        struct doctor_run run = {.argv = words, .drops = facts->is_root && uid != 0, .uid = uid};
        int n = 3, status = 0, r;

        choose_program(facts, options);
        choose_config(facts, options);
        if (*plan->config) {
                words[n++] = config_word;
                words[n++] = plan->config;
        }
        if (facts->n_sockets > 0 && (facts->connected >= 0 || *facts->units.service.name)) {
                snprintf(
                        socket, sizeof socket, "%s",
                        facts->sockets[facts->connected >= 0 ? facts->connected : facts->n_sockets - 1].path);
                words[n++] = socket_word;
                words[n++] = socket;
        }
        plan->by_daemons_user = facts->is_root || uid == facts->caller.uid;
        doctor_user_name(run.drops ? uid : facts->caller.uid, plan->user);
        if (facts->process.pid != 0)
                run.nice = getpriority(PRIO_PROCESS, (id_t)facts->process.pid);
        r = doctor_run(&run, &text, &status);
        json_t *answer = r == 0 ? json_loads(text, 0, NULL) : NULL;
        free(text);
        if (json_is_object(answer))
                take(facts, answer);
        else
                not_run(plan, r, status);
}

void doctor_facts_deinit(struct doctor_facts *facts)
{
        free(facts->daemon.pools);
        free(facts->plan.complaints);
        free(facts->plan.pools);
        json_decref(facts->plan.owner);
}
