/* SPDX-License-Identifier: MIT */
/* The configuration: every key and type, what inih would cut, what is refused and how that is said. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/config_name.h"
#include "daemon/config_table.h"
#include "daemon/configuration.h"
#include "tests/unit/cmocka_includes.h"
#include "tests/unit/fault_alloc.h"

static struct configuration_problem problem;

static int parse(const char *text, struct configuration **ret)
{
        int r;

        assert_int_equal(configuration_new(ret, &problem), 0);
        r = configuration_parse(*ret, text, strlen(text), &problem);
        if (r != 0)
                *ret = configuration_free(*ret);
        return r;
}

static struct configuration *parsed(const char *text)
{
        struct configuration *c;

        if (parse(text, &c) != 0)
                fail_msg("line %u: %s", problem.line, problem.text);
        return c;
}

static void refused(const char *text, unsigned line, const char *says)
{
        struct configuration *c;

        problem = (struct configuration_problem){0};
        assert_int_equal(parse(text, &c), CONFIGURATION_BAD);
        assert_int_equal(problem.line, line);
        if (strstr(problem.text, says) == NULL)
                fail_msg("'%s' does not say '%s'", problem.text, says);
}

static void test_defaults(void **state)
{
        struct configuration *c = parsed("[pool a]\n");

        assert_null(c->socket);
        assert_int_equal(c->socket_mode, 0600);
        assert_false(c->socket_group.said);
        assert_int_equal(c->max_connections, 16384);
        assert_false(c->max_connections_said);
        assert_int_equal(c->max_message_bytes, 64 << 20);
        assert_int_equal(c->user_memory_bytes, 256 << 20);
        assert_int_equal(c->client_timeout, INT64_C(600000000000));
        assert_int_equal(c->history, 10000);
        assert_int_equal(c->n_pools, 1);
        assert_string_equal(c->pools[0].name, "a");
        assert_int_equal(c->pools[0].workers, 0);
        assert_int_equal(c->pools[0].min_workers, CONFIG_AS_WORKERS);
        assert_int_equal(c->pools[0].max_workers, CONFIG_AS_WORKERS);
        assert_int_equal(c->pools[0].idle_timeout, INT64_C(60000000000));
        assert_int_equal(c->pools[0].nesting_limit, 128);
        assert_int_equal(c->pools[0].max_tasks, 0);
        assert_int_equal(c->pools[0].max_rss_bytes, 0);
        assert_int_equal(c->pools[0].memory_limit_bytes, 0);
        assert_string_equal(c->pools[0].modules[0], "core");
        assert_null(c->pools[0].modules[1]);
        assert_int_equal(c->pools[0].timeout, 0);
        assert_int_equal(c->pools[0].kill_grace, INT64_C(2000000000));
        assert_null(c->pools[0].env[0]);
        configuration_free(c);
}

/* One value that each type takes, and how it is printed again. */
static const struct {
        const char *in, *out;
} samples[N_CONFIG_TYPES] = {
        [CONFIG_TYPE_PATH] = {"/a/b c", "/a/b c"},
        [CONFIG_TYPE_COUNT] = {"77", "77"},
        [CONFIG_TYPE_COUNT_OR_NONE] = {"none", "none"},
        [CONFIG_TYPE_COUNT64] = {"78", "78"},
        [CONFIG_TYPE_WORKERS] = {"3", "3"},
        [CONFIG_TYPE_BOUND] = {"4", "4"},
        [CONFIG_TYPE_INTEGER] = {"-5", "-5"},
        [CONFIG_TYPE_SIZE] = {"2048K", "2M"},
        [CONFIG_TYPE_SIZE_OR_NONE] = {"17825793", "17825793"},
        [CONFIG_TYPE_TIME] = {"1.5min", "90s"},
        [CONFIG_TYPE_TIME_OR_NONE] = {"none", "none"},
        [CONFIG_TYPE_MODE] = {"0660", "0660"},
        [CONFIG_TYPE_GROUP] = {"12345", "12345"},
        [CONFIG_TYPE_CHOICE] = {"no", "no"},
        [CONFIG_TYPE_LOG_LEVEL] = {"debug", "debug"},
        [CONFIG_TYPE_LOG_FORMAT] = {"json", "json"},
        [CONFIG_TYPE_NAMES] = {"  x  /y/z ", "x /y/z"},
        [CONFIG_TYPE_PATHS] = {"/x /y", "/x /y"},
        [CONFIG_TYPE_VARIABLES] = {"A=1 B=", "A=1 B="},
        [CONFIG_TYPE_USERS] = {"0 70001", "root 70001"},
        [CONFIG_TYPE_GROUPS] = {"70001 root", "70001 root"},
        [CONFIG_TYPE_CPUS] = {"5,0 2-3  4-4", "0 2-5"},
        [CONFIG_TYPE_SCHEDULING] = {"idle", "idle"},
        [CONFIG_TYPE_ADDRESS] = {"[0:0::1]:80", "[::1]:80"},
};

static void test_every_key_is_read_and_printed(void **state)
{
        for (size_t i = 0; i < n_config_table; i++) {
                const struct config_key *key = &config_table[i];
                char text[256], expected[256], *printed;
                size_t size;
                FILE *f;

                assert_non_null(samples[key->type].in);
                assert_true(key->help != NULL && *key->help != 0);
                snprintf(text, sizeof text, "[%s]\n%s = %s\n",
                         key->section == CONFIG_DAEMON ? "daemon" : "pool p", key->name,
                         samples[key->type].in);
                struct configuration *c = parsed(text);
                f = open_memstream(&printed, &size);
                configuration_print(c, f);
                fclose(f);
                snprintf(expected, sizeof expected, "\n%s = %s\n", key->name, samples[key->type].out);
                if (strstr(printed, expected) == NULL)
                        fail_msg("no %s in:\n%s", expected, printed);
                free(printed);
                configuration_free(c);
        }
}

static void test_help_names_every_key(void **state)
{
        char *printed, row[128];
        size_t size;
        FILE *f = open_memstream(&printed, &size);

        config_table_print(f);
        fclose(f);
        for (size_t i = 0; i < n_config_table; i++) {
                const struct config_key *key = &config_table[i];
                bool has_fallback = key->fallback != NULL && *key->fallback != 0;
                snprintf(row, sizeof row, "\n  %s%s%s", key->name, has_fallback ? " = " : "",
                         has_fallback ? key->fallback : "");
                if (strstr(printed, row) == NULL || strstr(printed, key->help) == NULL)
                        fail_msg("no '%s' in:\n%s", row, printed);
        }
        free(printed);
}

static void test_what_is_printed_can_be_read(void **state)
{
        struct configuration *c =
                parsed("[daemon]\nsocket=/s\n[pool a]\nexec=yes\nenv=A=b\n[module m]\nk = v w\n");
        char *first, *second;
        size_t size;
        FILE *f = open_memstream(&first, &size);

        configuration_print(c, f);
        fclose(f);
        configuration_free(c);
        c = parsed(first);
        f = open_memstream(&second, &size);
        configuration_print(c, f);
        fclose(f);
        assert_string_equal(first, second);
        configuration_free(c);
        free(first);
        free(second);
}

static void test_sizes_and_times(void **state)
{
        struct configuration *c = parsed("[daemon]\nmax_message=1G\nuser_memory = 2 G\nstop_timeout=250ms\n"
                                         "start_timeout=0.5h\nclient_timeout=2d\n[pool a]\ntimeout=3\n");

        assert_int_equal(c->max_message_bytes, UINT64_C(1) << 30);
        assert_int_equal(c->user_memory_bytes, UINT64_C(2) << 30);
        assert_int_equal(c->stop_timeout, INT64_C(250000000));
        assert_int_equal(c->start_timeout, INT64_C(1800000000000));
        assert_int_equal(c->client_timeout, INT64_C(172800000000000));
        assert_int_equal(c->pools[0].timeout, INT64_C(3000000000));
        configuration_free(c);
}

static void test_what_inih_would_cut(void **state)
{
        char text[8192] = "[pool a]\nenv = LONG=";
        size_t at = strlen(text);

        memset(text + at, 'x', 4000);
        strcpy(text + at + 4000,
               " B=1;2\n# A comment\n[module aVeryLongNameThatIsLongerThanFiftyCharactersAsInihCuts"
               "Them]\nkey = a ; b\n[daemon]\nnonsense\n");
        refused(text, 7, "KEY = VALUE"); /* and the line is counted right */
        strstr(text, "nonsense")[0] = ';';
        struct configuration *c = parsed(text);
        assert_int_equal(strlen(c->pools[0].env[0]), 4005);
        assert_string_equal(c->pools[0].env[1], "B=1;2");
        const struct module_configuration *m =
                configuration_module(c, "aVeryLongNameThatIsLongerThanFiftyCharactersAsInihCutsThem");
        assert_non_null(m);
        assert_string_equal(m->settings[0].value, "a ; b");
        configuration_free(c);
}

static void check_address(const char *text, const char *printed, bool is_local)
{
        char line[256], *again = NULL;
        size_t size;
        FILE *f = open_memstream(&again, &size);

        snprintf(line, sizeof line, "[daemon]\nmetrics = %s\n", text);
        struct configuration *c = parsed(line);
        config_address_print(c->metrics, f);
        fclose(f);
        assert_string_equal(again, printed);
        assert_int_equal(config_address_is_local(c->metrics), is_local);
        assert_int_equal(config_address_is_none(c->metrics), strcmp(text, "none") == 0);
        free(again);
        configuration_free(c);
}

static void test_addresses(void **state)
{
        static const char *const none[] = {
                "",
                "9464",
                ":9464",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:0",
                "127.0.0.1:65536",
                "127.0.0.1:+1",
                "127.0.0.1: 1",
                "127.0.0.1:80x",
                "127.1:80",
                "256.0.0.1:80",
                "localhost:9464",
                "*:9464",
                "::1:9464",
                "[::1]",
                "[::1]9464",
                "[::1:9464",
                "[127.0.0.1]:80",
                "[]:80",
                "[:]:80",
                "[fe80::1%lo]:80",
                "tcp://127.0.0.1:80",
                "run/x",
                "yes",
                "[0000000000000000000000000000000000000000000000000000000000000000000000001]:1",
        };
        char line[256];

        check_address("none", "none", true);
        check_address("127.0.0.1:9464", "127.0.0.1:9464", true);
        check_address("127.255.255.254:1", "127.255.255.254:1", true);
        check_address("0.0.0.0:65535", "0.0.0.0:65535", false);
        check_address("[::1]:09464", "[::1]:9464", true);
        check_address("[0:0::]:80", "[::]:80", false);
        check_address("/run/ganger/a b:1", "/run/ganger/a b:1", true);
        for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
                snprintf(line, sizeof line, "[daemon]\nmetrics = %s\n", none[i]);
                refused(line, 2, "as 127.0.0.1:9464 or [::1]:9464, an absolute path, or none");
        }
        snprintf(line, sizeof line, "[daemon]\nmetrics = /%0107d\n", 0);
        refused(line, 2, "longer than 107 bytes");
}

static void test_refusals_say_where_and_what(void **state)
{
        static const char *const no_cpus[] = {"",   "x",  "1-",   "-1",    "3-2", "1-2-3",
                                              "+1", "1x", "8192", "0-all", "0x1", "99999999999999999999"};

        refused("[daemon]\n\nsokcet = /a\n", 3, "unknown key 'sokcet' in [daemon]: is socket meant?");
        refused("[daemon]\nxyzzyx = 1\n", 2, "known: socket, socket_mode");
        refused("[deamon]\n", 1, "unknown section [deamon]; known: [daemon], [pool NAME], [module NAME]");
        refused("[pool]\n", 1, "needs one name");
        refused("[pool a b]\n", 1, "needs one name");
        refused("[pool ../x]\n", 1, "needs one name");
        refused("[daemon\n", 1, "closing bracket");
        refused("a = 1\n", 1, "before the first [section]");
        refused("[daemon]\nmax_requests = 0\n", 2, "the least is 1");
        refused("[daemon]\nmax_requests = 0x10\n", 2, "not a whole number");
        refused("[daemon]\nmax_requests = 1.5\n", 2, "not a whole number");
        refused("[daemon]\nmax_requests =\n", 2, "not a whole number");
        refused("[daemon]\nmax_requests = nan\n", 2, "not a whole number");
        refused("[daemon]\nmax_message = 1T\n", 2, "not a size");
        refused("[daemon]\nstop_timeout = 1 week\n", 2, "not a time");
        refused("[daemon]\nstop_timeout = -1\n", 2, "the least is 0");
        refused("[daemon]\nsocket = a/b\n", 2, "not an absolute path");
        refused("[daemon]\nsocket_mode = 888\n", 2, "octal");
        refused("[daemon]\nadmin_group = no-such-group-here\n", 2, "no such group");
        refused("[daemon]\nlog_level = loud\n", 2, "error, warning, info, debug");
        refused("[pool a]\nexec = maybe\n", 2, "yes or no");
        refused("[pool a]\nenv = A=1 B\n", 2, "'B' is not NAME=VALUE");
        refused("[pool a]\nmodules = a/b\n", 2, "'a/b' is not");
        refused("[pool a]\nnice = 20\n", 2, "the most is 19");
        refused("[pool a]\nworkers = 4097\n", 2, "the most is 4096");
        refused("[pool a]\nmax_workers = 0\n", 2, "the least is 1");
        refused("[pool a]\nmin_workers = auto\n", 2, "not a whole number or workers");
        refused("[pool a]\nidle_timeout = none\n", 2, "not a time");
        refused("[pool a]\ntimeout = 0\n", 2, "the least is 0.001");
        refused("[pool a]\ntimeout = never\n", 2, "not a time (seconds, or with ms, s, min, h, d) or none");
        refused("[pool a]\nmax_tasks = 0\n", 2, "the least is 1");
        refused("[pool a]\nmax_tasks = few\n", 2, "not a whole number or none");
        refused("[pool a]\nmax_rss = 1K\n", 2, "the least is 1048576");
        refused("[pool a]\nmemory_limit = 8M\n", 2, "the least is 16777216");
        refused("[pool a]\nmax_rss = much\n", 2, "not a size (bytes, or with K, M, G) or none");
        for (size_t i = 0; i < sizeof no_cpus / sizeof no_cpus[0]; i++) {
                char text[64];
                snprintf(text, sizeof text, "[pool a]\ncpu_affinity = %s\n", no_cpus[i]);
                refused(text, 2, *no_cpus[i] ? "is not a CPU or a range of CPUs below 8192" : "names no CPU");
        }
        refused("[pool a]\nscheduling = fifo\n", 2, "not one of other, batch, idle");
        refused("[pool a]\nnesting_limit = 5000\n", 2, "the most is 4096");
}

static void test_a_zero_byte_is_no_text(void **state)
{
        static const char text[] = "[daemon]\n\0[x]\n";
        struct configuration *c;

        assert_int_equal(configuration_new(&c, &problem), 0);
        assert_int_equal(configuration_parse(c, text, sizeof text - 1, &problem), CONFIGURATION_BAD);
        configuration_free(c);
}

static void test_later_lines_win_and_pools_go_on(void **state)
{
        struct configuration *c = parsed("[pool a]\nworkers=1\n[pool b]\n[pool a]\nworkers=2\n"
                                         "[module m]\nk=1\nk=2\n");

        assert_int_equal(c->n_pools, 2);
        assert_int_equal(c->pools[0].workers, 2);
        assert_int_equal(c->modules[0].n_settings, 1);
        assert_string_equal(c->modules[0].settings[0].value, "2");
        configuration_free(c);
}

static void test_settle(void **state)
{
        struct configuration *c = parsed("[pool a]\nworkers=2\n[pool b]\nexec=yes\n");

        assert_int_equal(configuration_settle(c, true, 100000, &problem), 0);
        assert_false(c->pools[0].exec);
        assert_true(c->pools[1].exec);
        assert_true(c->pools[1].workers >= 1);
        configuration_free(c);
        c = parsed("[pool a]\nworkers=2\n");
        assert_int_equal(configuration_settle(c, false, 4096, &problem), 0);
        assert_true(c->pools[0].exec);
        assert_true(c->max_connections < 4096 && c->max_connections > 2000); /* what there is room for */
        configuration_free(c);
        c = parsed("[daemon]\nmax_connections=5000\n[pool a]\nworkers=2\n");
        assert_int_equal(configuration_settle(c, false, 4096, &problem), CONFIGURATION_BAD);
        assert_non_null(strstr(problem.text, "RLIMIT_NOFILE"));
        configuration_free(c);
}

static void settles(const char *text, uint32_t min, uint32_t workers, uint32_t max)
{
        struct configuration *c = parsed(text);

        if (configuration_settle(c, false, 100000, &problem) != 0)
                fail_msg("%s", problem.text);
        assert_int_equal(c->pools[0].min_workers, min);
        assert_int_equal(c->pools[0].workers, workers);
        assert_int_equal(c->pools[0].max_workers, max);
        configuration_free(c);
}

static void misfits(const char *text, uint64_t max_descriptors, const char *says)
{
        struct configuration *c = parsed(text);

        assert_int_equal(configuration_settle(c, false, max_descriptors, &problem), CONFIGURATION_BAD);
        if (strstr(problem.text, says) == NULL)
                fail_msg("'%s' does not say '%s'", problem.text, says);
        configuration_free(c);
}

static void test_numbers_of_workers(void **state)
{
        settles("[pool a]\nworkers=3\n", 3, 3, 3);
        settles("[pool a]\nworkers=3\nmin_workers=0\nmax_workers=8\n", 0, 3, 8);
        settles("[pool a]\nworkers=3\nmin_workers=workers\nmax_workers=4096\n", 3, 3, 4096);
        settles("[pool a]\nmin_workers=2000\n", 2000, 2000, 2000); /* auto keeps to what is said */
        settles("[pool a]\nmax_workers=1\nmin_workers=0\n", 0, 1, 1);
        misfits("[pool a]\nworkers=3\nmin_workers=4\n", 100000,
                "[pool a] min_workers = 4 is more than workers = 3");
        misfits("[pool a]\nworkers=3\nmax_workers=2\n", 100000,
                "[pool a] max_workers = 2 is less than workers = 3");
        misfits("[pool a]\nmin_workers=4\nmax_workers=2\n", 100000, "[pool a] min_workers = 4");
}

/* Descriptors for workers that may come to be must be there; for those of nesting as far as there are some.
 */
static void test_room_for_workers(void **state)
{
        struct configuration *c = parsed("[pool a]\nworkers=1\nmax_workers=500\n[pool b]\nworkers=1\n");

        assert_int_equal(configuration_settle(c, false, 100000, &problem), 0);
        assert_int_equal(c->pools[0].nesting_limit, 128);
        assert_int_equal(c->max_connections, 16384);
        configuration_free(c);
        misfits("[pool a]\nworkers=1\nmax_workers=500\n", 3000, "RLIMIT_NOFILE allows 3000");
        c = parsed("[daemon]\nuser_descriptors=0\n[pool a]\nworkers=1\n[pool b]\nworkers=1\n"
                   "nesting_limit=1\n[pool c]\nworkers=1\n");
        assert_int_equal(configuration_settle(c, false, 500, &problem), 0);
        assert_true(c->max_connections > 200 && c->max_connections < 300);
        assert_true(c->pools[0].nesting_limit > 10 && c->pools[0].nesting_limit < 128);
        assert_int_equal(c->pools[1].nesting_limit, 1); /* what it does not use is the others' */
        assert_true(c->pools[2].nesting_limit > c->pools[0].nesting_limit);
        configuration_free(c);
        c = parsed("[daemon]\nuser_descriptors=0\nmax_connections=420\n[pool a]\nworkers=1\n");
        assert_int_equal(configuration_settle(c, false, 500, &problem), 0);
        assert_int_equal(c->pools[0].nesting_limit, 2);
        configuration_free(c);
}

/* What the kernel does not let us have is known before anybody is let in. */
static void test_what_workers_cannot_be(void **state)
{
        int nice = getpriority(PRIO_PROCESS, 0), policy = sched_getscheduler(0);
        cpu_set_t own, now;
        char text[128];

        assert_int_equal(sched_getaffinity(0, sizeof own, &own), 0);
        uint32_t cpu = 0;
        while (!CPU_ISSET(cpu, &own))
                cpu++;
        snprintf(text, sizeof text, "[pool a]\ncpu_affinity=%u\nscheduling=idle\nnice=19\n", cpu);
        settles(text, 1, 1, 1); /* auto: of the CPUs that the workers may use */
        misfits("[pool a]\ncpu_affinity=8191\n", 100000,
                "[pool a] cpu_affinity names CPU 8191, which gangerd cannot use; it can use 0");
        snprintf(text, sizeof text, "[pool a]\ncpu_affinity=%u 8000-8001\n", cpu);
        misfits(text, 100000, "names CPU 8000-8001, which");
        /* trying has changed nothing */
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_true(CPU_EQUAL(&own, &now));
        assert_int_equal(sched_getscheduler(0), policy);
        assert_int_equal(getpriority(PRIO_PROCESS, 0), nice);
}

/* As a child that has the right to nothing any more. */
static void test_what_workers_may_not_be(void **state)
{
        const struct rlimit none = {0, 0};
        const struct sched_param zero = {0};
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                setrlimit(RLIMIT_NICE, &none);
                setpriority(PRIO_PROCESS, 0, 15);
                sched_setscheduler(0, SCHED_IDLE, &zero);
                if (setuid(65534) < 0 && geteuid() == 0)
                        _exit(1);
                struct configuration *c = parsed("[pool a]\nworkers=1\n");
                assert_int_equal(configuration_settle(c, false, 100000, &problem), 0);
                assert_int_equal(c->pools[0].nice, 15);
                assert_int_equal(c->pools[0].scheduling, CONFIG_SCHEDULING_IDLE);
                configuration_free(c);
                misfits("[pool a]\nnice=-3\n", 100000, "[pool a] nice = -3: Permission denied");
                misfits("[pool a]\nscheduling=batch\n", 100000,
                        "[pool a] scheduling = batch: Operation not permitted");
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_who_may_use_a_pool(void **state)
{
        struct configuration *c = parsed("[pool a]\nworkers=1\n[pool b]\nworkers=1\nallow_users=root 70001\n"
                                         "[pool c]\nworkers=1\nallow_groups=70002\n"
                                         "[pool d]\nworkers=1\nallow_users=\n");

        assert_int_equal(configuration_settle(c, true, 100000, &problem), 0);
        assert_true(config_ids_has(c->pools[0].allow_users, 70001));
        assert_false(config_ids_has(c->pools[0].allow_groups, 70001));
        assert_true(config_ids_has(c->pools[1].allow_users, 0));
        assert_true(config_ids_has(c->pools[1].allow_users, 70001));
        assert_false(config_ids_has(c->pools[1].allow_users, 70002));
        assert_false(config_ids_has(c->pools[2].allow_users, 70001)); /* a group alone lets nobody else in */
        assert_true(config_ids_has(c->pools[2].allow_groups, 70002));
        assert_false(config_ids_has(c->pools[3].allow_users, 70001)); /* an empty list is nobody */
        configuration_free(c);
}

static void test_files(void **state)
{
        char path[] = "/tmp/ganger-config-XXXXXX";
        struct configuration *c;
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "[daemon]\nhistory = 5\n", 21), 21);
        close(fd);
        assert_int_equal(configuration_load(path, &c, &problem), 0);
        assert_int_equal(c->history, 5);
        assert_int_equal(c->n_pools, 1); /* the one that nobody named */
        assert_string_equal(c->pools[0].name, "default");
        configuration_free(c);
        unlink(path);
        assert_int_equal(configuration_load(path, &c, &problem), CONFIGURATION_BAD);
        assert_string_equal(problem.file, path);
}

static void test_no_memory_at_any_place(void **state)
{
        static const char text[] = "[daemon]\nsocket=/a\n[pool a]\nenv=A=1 B=2\nallow_users=0 "
                                   "1\ncpu_affinity=0\n[module m]\nk=v\nk=w\n";
        bool failed = true;

        for (unsigned n = 1; failed; n++) {
                struct configuration *c = NULL;
                fault_alloc_arm(n);
                int r = configuration_new(&c, &problem);
                if (r == 0)
                        r = configuration_parse(c, text, sizeof text - 1, &problem);
                failed = fault_alloc_disarm() != 0;
                if (failed && r != 0) /* inih tells of a lost allocation of its own in its own way */
                        assert_true(r < 0);
                if (!failed)
                        assert_int_equal(r, 0);
                if (c != NULL)
                        configuration_free(c);
        }
}

static void test_nearest(void **state)
{
        assert_string_equal(config_name_nearest(CONFIG_DAEMON, "socket_mod"), "socket_mode");
        assert_string_equal(config_name_nearest(CONFIG_POOL, "worker"), "workers");
        assert_null(config_name_nearest(CONFIG_POOL, "qqqqqqq"));
        assert_true(config_name_valid("a-b_c.9"));
        assert_false(config_name_valid(".a"));
        assert_false(config_name_valid("a/b"));
}

static void may_follow(const char *now, const char *next, const char *says)
{
        struct configuration *a = parsed(now), *b = parsed(next);
        int r = configuration_may_follow(a, b, &problem);

        assert_int_equal(r, says == NULL ? 0 : CONFIGURATION_BAD);
        if (says != NULL && (strstr(problem.text, says) == NULL || strstr(problem.text, "restart") == NULL))
                fail_msg("'%s' does not say '%s'", problem.text, says);
        configuration_free(a);
        configuration_free(b);
}

static void test_what_cannot_change(void **state)
{
        may_follow("[daemon]\n", "[daemon]\nlog_level = debug\nuser_tasks = 5\n[pool a]\nworkers = 3\n",
                   NULL);
        may_follow("[daemon]\nsocket = /a\n", "[daemon]\nsocket = /a\nsocket_mode = 0600\n", NULL);
        may_follow("[daemon]\n", "[daemon]\nsocket = /a\n", "socket = /a");
        may_follow("[daemon]\nsocket = /a\n", "[daemon]\n", "/a");
        may_follow("[daemon]\n", "[daemon]\nsocket_mode = 0660\n", "socket_mode = 0660");
        may_follow("[daemon]\n", "[daemon]\nsocket_group = root\n", "socket_group");
        may_follow("[daemon]\n", "[daemon]\nhistory = 5\n", "history = 5");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_cannot_change),
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_every_key_is_read_and_printed),
                cmocka_unit_test(test_help_names_every_key),
                cmocka_unit_test(test_what_is_printed_can_be_read),
                cmocka_unit_test(test_sizes_and_times),
                cmocka_unit_test(test_what_inih_would_cut),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_refusals_say_where_and_what),
                cmocka_unit_test(test_a_zero_byte_is_no_text),
                cmocka_unit_test(test_later_lines_win_and_pools_go_on),
                cmocka_unit_test(test_settle),
                cmocka_unit_test(test_numbers_of_workers),
                cmocka_unit_test(test_room_for_workers),
                cmocka_unit_test(test_what_workers_cannot_be),
                cmocka_unit_test(test_what_workers_may_not_be),
                cmocka_unit_test(test_who_may_use_a_pool),
                cmocka_unit_test(test_files),
                cmocka_unit_test(test_no_memory_at_any_place),
                cmocka_unit_test(test_nearest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
