/* SPDX-License-Identifier: MIT */
/* One machine on which all is well, and each thing that can be ill on it, with what is to be told then. */
#include "tests/unit/client/doctor_ills.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct doctor_facts facts;
static struct doctor_pool pools[2];
static struct doctor_pool_plan plans[2];
static struct doctor_complaint complaints[2];

void all_well(void)
{
        facts = (struct doctor_facts){
                .version = "1.0",
                .is_root = true,
                .caller = {.uid = 0, .name = "root"},
                .n_sockets = 1,
                .sockets = {{.path = "/run/ganger/ganger.sock",
                             .exists = true,
                             .is_socket = true,
                             .mode = 0660,
                             .owner = "root",
                             .group = {.name = "ganger"}}},
                .daemon = {.answer = ANSWER_GIVEN,
                           .version = "1.0",
                           .state = "running",
                           .pid = 42,
                           .pools = pools,
                           .n_pools = 2},
                .process = {.pid = 42, .uid = 990, .user = "ganger", .program = "/usr/bin/gangerd"},
                .limits = {.whose = "gangerd (pid 42)",
                           .nofile = 524288,
                           .nproc = 10000,
                           .tasks = 10000,
                           .memory_max = DOCTOR_UNLIMITED,
                           .memory_total = UINT64_C(8) << 30},
                .plan = {.program = "/usr/bin/gangerd",
                         .user = "ganger",
                         .by_daemons_user = true,
                         .version = "1.0",
                         .is_read = true,
                         .socket = "/run/ganger/ganger.sock",
                         .descriptors = 20000,
                         .least_descriptors = 2000,
                         .processes = 400,
                         .least_processes = 20,
                         .memory_limit = 1 << 30,
                         .complaints = complaints,
                         .pools = plans,
                         .n_pools = 2},
                .units = {.service = {.name = "ganger.service",
                                      .active = "active",
                                      .fragment = "/usr/lib/systemd/system/ganger.service"},
                          .socket = {.name = "ganger.socket", .active = "active", .file_state = "enabled"},
                          .main_pid = 42,
                          .program = "/usr/bin/gangerd",
                          .program_is_there = true,
                          .user = "ganger"},
        };
        pools[0] = (struct doctor_pool){.name = "default", .target = 4, .there = 4};
        pools[1] = (struct doctor_pool){.name = "images", .target = 2, .there = 2};
        plans[0] = (struct doctor_pool_plan){.name = "default", .max_workers = 4, .queue_limit = 1000};
        plans[1] = (struct doctor_pool_plan){.name = "images", .max_workers = 2, .queue_limit = 1000};
        memset(complaints, 0, sizeof complaints);
}

/* The caller is an ordinary user and connect() says this. */
static void ordinary(int error)
{
        facts.is_root = false;
        facts.caller = (struct doctor_caller){.uid = 1000, .name = "ann"};
        facts.sockets[0].error = error;
        if (error == 0)
                return;
        facts.connected = -1;
        facts.daemon = (struct doctor_daemon){0};
        facts.process = (struct doctor_process){0};
}

/* -- one thing ill -- */

static void no_socket(void)
{
        ordinary(ENOENT);
        facts.sockets[0].exists = false;
}
static void no_units_either(void)
{
        no_socket();
        facts.units = (struct doctor_units){0};
}
static void own_socket_missing(void)
{
        no_units_either();
        snprintf(facts.sockets[0].path, sizeof facts.sockets[0].path, "/run/user/1000/ganger/ganger.sock");
}
static void chosen_socket_missing(void)
{
        own_socket_missing();
        facts.chosen = true;
}
static void stale(void)
{
        ordinary(ECONNREFUSED);
}
static void stale_before_the_one_that_answers(void)
{
        facts.sockets[1] = facts.sockets[0];
        facts.sockets[0].error = ECONNREFUSED;
        facts.n_sockets = 2;
        facts.connected = 1;
}
static void no_socket_at_all(void)
{
        ordinary(ECONNREFUSED);
        facts.sockets[0].is_socket = false;
}
static void queue_of_connections_full(void)
{
        ordinary(EAGAIN);
}
static void datagram_socket(void)
{
        ordinary(EPROTOTYPE);
}
static void directory_closed(void)
{
        ordinary(EACCES);
        snprintf(facts.sockets[0].closed, sizeof facts.sockets[0].closed, "/run/ganger");
}
static void for_its_owner(void)
{
        ordinary(EACCES);
        facts.sockets[0].mode = 0600;
}
static void not_in_group(void)
{
        ordinary(EACCES);
}
static void not_in_group_yet(void)
{
        ordinary(EACCES);
        facts.sockets[0].group.in_files = true;
}
static void not_an_admin_yet(void)
{
        ordinary(0);
        facts.admin_group = (struct doctor_group){.name = "wheel", .in_files = true};
}
static void runtime_unset(void)
{
        ordinary(ENOENT);
        facts.n_sockets = 0;
}
static void path_too_long(void)
{
        runtime_unset();
        facts.search_error = ENAMETOOLONG;
}
static void silent(void)
{
        facts.daemon.answer = ANSWER_SILENT;
}
static void stopped(void)
{
        silent();
        facts.process.stopped = true;
}
static void refused(void)
{
        facts.daemon.answer = ANSWER_REFUSED;
        snprintf(facts.daemon.words, sizeof facts.daemon.words, "you are the daemon's own user");
}
static void foreign(void)
{
        facts.daemon.answer = ANSWER_FOREIGN;
}
static void stopping(void)
{
        snprintf(facts.daemon.state, sizeof facts.daemon.state, "stopping");
}
static void replaced(void)
{
        facts.process.replaced = true;
}
static void replaced_by_hand(void)
{
        replaced();
        facts.units = (struct doctor_units){0};
}
static void newer_installed(void)
{
        facts.plan.version = facts.version = "1.1";
}
static void older_client(void)
{
        facts.version = "0.9";
}
static void program_not_seen(void)
{
        ordinary(0);
        *facts.process.program = 0;
}
static void degraded(void)
{
        pools[1].degraded = true;
        pools[1].there = 0;
}
static void no_workers(void)
{
        pools[1].there = 0;
}
static void workers_start(void)
{
        pools[1].there = 0;
        pools[1].starting = 2;
}
static void scaled_to_none(void)
{
        pools[1].there = pools[1].target = 0;
}
static void paused(void)
{
        pools[1].paused = true;
        pools[1].queued = 7;
}
static void nearly_full(void)
{
        pools[1].queued = 900;
}
static void many_tasks(void)
{
        facts.daemon.uses[0] = (struct doctor_use){"user_tasks", 90, 100};
        facts.daemon.n_uses = 1;
}
static void log_dropped(void)
{
        facts.daemon.log_dropped = 12;
}
static void wrong_configuration(void)
{
        snprintf(facts.plan.config, sizeof facts.plan.config, "/etc/x.conf");
        complaints[0] = (struct doctor_complaint){"configuration", NULL, "/etc/x.conf:2: sokket"};
        facts.plan.n_complaints = 1;
        facts.plan.is_read = false;
}
static void wrong_module(void)
{
        complaints[0] = (struct doctor_complaint){"modules", "images", "undefined symbol: moon"};
        facts.plan.n_complaints = 1;
}
static void wrong_module_perhaps(void)
{
        ordinary(0);
        wrong_module();
        facts.plan.by_daemons_user = false;
        snprintf(facts.plan.user, sizeof facts.plan.user, "ann");
}
static void no_gangerd(void)
{
        snprintf(facts.plan.failure, sizeof facts.plan.failure, "gangerd cannot be run");
}
static void another_place(void)
{
        no_socket();
        facts.plan.socket = "/srv/g.sock";
}
static void few_descriptors(void)
{
        facts.limits.nofile = 20000 - 1;
}
static void too_few_descriptors(void)
{
        facts.limits.nofile = 2000;
}
static void few_descriptors_by_hand(void)
{
        few_descriptors();
        facts.units = (struct doctor_units){0};
}
static void few_processes(void)
{
        facts.limits.nproc = 399;
}
static void too_few_processes(void)
{
        facts.limits.nproc = 19;
}
static void few_tasks(void)
{
        facts.limits.tasks = 399;
}
static void memory_beyond_group(void)
{
        facts.limits.memory_max = 512 << 20;
}
static void workers_beyond_memory(void)
{
        plans[0].memory_limit = UINT64_C(3) << 30;
}
static void program_of_unit_gone(void)
{
        facts.units.program_is_there = false;
}
static void unit_failed(void)
{
        snprintf(facts.units.service.active, sizeof facts.units.service.active, "failed");
        snprintf(facts.units.service.result, sizeof facts.units.service.result, "watchdog");
}
static void unit_failed_by_configuration(void)
{
        unit_failed();
        facts.units.exit_status = 78;
}
static void unit_changed(void)
{
        facts.units.needs_reload = true;
}
static void unit_changed_of_user(void)
{
        ordinary(0);
        unit_changed();
        facts.units.of_user = true;
}
static void started_by_hand(void)
{
        facts.units.main_pid = 0;
}
static void other_prefix(void)
{
        snprintf(facts.process.program, sizeof facts.process.program, "/usr/local/bin/gangerd");
}
static void socket_unit_off(void)
{
        no_socket();
        snprintf(facts.units.socket.active, sizeof facts.units.socket.active, "inactive");
}
static void socket_unit_not_after_boot(void)
{
        snprintf(facts.units.socket.file_state, sizeof facts.units.socket.file_state, "disabled");
}

#define RESTART "systemctl restart ganger.service"
const struct ill ills[] = {
        {"no socket", no_socket, "socket", DOCTOR_PROBLEM, "there is no socket",
         "sudo systemctl enable --now ganger.socket"},
        {"no units either", no_units_either, "socket", DOCTOR_PROBLEM, "there is no socket", "install"},
        {"own socket", own_socket_missing, "socket", DOCTOR_PROBLEM, "there is no socket", "gangerd &"},
        {"chosen socket", chosen_socket_missing, "socket", DOCTOR_PROBLEM, "there is no socket",
         "gangerd --socket /run/user/1000/ganger/ganger.sock"},
        {"stale", stale, "socket", DOCTOR_PROBLEM, "stale", "sudo systemctl restart ganger.socket"},
        {"stale before", stale_before_the_one_that_answers, "socket", DOCTOR_WARNING, "stale",
         "systemctl restart ganger.socket"},
        {"no socket at all", no_socket_at_all, "socket", DOCTOR_PROBLEM, "is no socket", "mv "},
        {"queue full", queue_of_connections_full, "socket", DOCTOR_PROBLEM, "wait to be let in", "restart"},
        {"datagrams", datagram_socket, "socket", DOCTOR_PROBLEM, "another kind", "--socket"},
        {"closed", directory_closed, "socket", DOCTOR_PROBLEM, "ann may not enter /run/ganger",
         "chmod a+x /run/ganger"},
        {"0600", for_its_owner, "socket", DOCTOR_PROBLEM, "mode 0600", "socket_mode = 0660"},
        {"not in group", not_in_group, "groups", DOCTOR_PROBLEM, "ann does not belong",
         "sudo usermod -aG ganger ann"},
        {"not yet", not_in_group_yet, "groups", DOCTOR_PROBLEM, "not in this session", "newgrp ganger"},
        {"no admin yet", not_an_admin_yet, "groups", DOCTOR_WARNING, "admin_group wheel", "newgrp wheel"},
        {"unset", runtime_unset, "socket", DOCTOR_PROBLEM, "XDG_RUNTIME_DIR", "--socket"},
        {"long", path_too_long, "socket", DOCTOR_PROBLEM, "longer", "107"},
        {"silent", silent, "daemon", DOCTOR_PROBLEM, "does not answer", RESTART},
        {"stopped", stopped, "daemon", DOCTOR_PROBLEM, "is stopped", "kill -CONT 42"},
        {"refused", refused, "daemon", DOCTOR_PROBLEM, "the daemon's own user", "as another user"},
        {"foreign", foreign, "daemon", DOCTOR_PROBLEM, "does not speak", "--socket"},
        {"stopping", stopping, "daemon", DOCTOR_WARNING, "is stopping", "wait"},
        {"replaced", replaced, "program", DOCTOR_WARNING, "was replaced", RESTART},
        {"replaced by hand", replaced_by_hand, "program", DOCTOR_WARNING, "was replaced", "kill 42"},
        {"newer", newer_installed, "program", DOCTOR_WARNING, "gangerd 1.0 runs", RESTART},
        {"older client", older_client, "program", DOCTOR_WARNING, "ganger is version 0.9", "install"},
        {"not seen", program_not_seen, "program", DOCTOR_WARNING, "not looked at as ann",
         "sudo ganger doctor"},
        {"degraded", degraded, "pools", DOCTOR_PROBLEM, "images is degraded", "ganger pool reload images"},
        {"no workers", no_workers, "pools", DOCTOR_PROBLEM, "images has no workers", "pool reload images"},
        {"starting", workers_start, "pools", DOCTOR_WARNING, "images has no workers yet; 2 start", "wait"},
        {"none wanted", scaled_to_none, "pools", DOCTOR_WARNING, "images is to have no", "pool scale images"},
        {"paused", paused, "pools", DOCTOR_PROBLEM, "images is paused: 7", "ganger pool resume images"},
        {"full", nearly_full, "pools", DOCTOR_WARNING, "queue_limit is 1000", "ganger pool scale images"},
        {"quota", many_tasks, "quotas", DOCTOR_WARNING, "root has 90 of what may be 100", "user_tasks"},
        {"log", log_dropped, "log", DOCTOR_WARNING, "12 messages were dropped", "log-level warning"},
        {"configuration", wrong_configuration, "configuration", DOCTOR_PROBLEM, "x.conf:2: sokket",
         "/usr/bin/gangerd --check --config /etc/x.conf"},
        {"module", wrong_module, "modules", DOCTOR_PROBLEM, "[pool images] undefined symbol: moon",
         "--check"},
        {"perhaps", wrong_module_perhaps, "modules", DOCTOR_WARNING, "tried as ann", "sudo ganger doctor"},
        {"no gangerd", no_gangerd, "configuration", DOCTOR_WARNING, "cannot be run", "--gangerd"},
        {"place", another_place, "configuration", DOCTOR_WARNING, "/srv/g.sock",
         "export GANGER_SOCKET=/srv/g.sock"},
        {"descriptors", few_descriptors, "descriptors", DOCTOR_WARNING, "allows 19999", "LimitNOFILE=20001"},
        {"too few", too_few_descriptors, "descriptors", DOCTOR_PROBLEM, "need 2000 at least",
         "systemctl edit ganger.service"},
        {"by hand", few_descriptors_by_hand, "descriptors", DOCTOR_WARNING, "allows 19999",
         "ulimit -Hn 20001"},
        {"processes", few_processes, "processes", DOCTOR_WARNING, "RLIMIT_NPROC", "LimitNPROC=400"},
        {"too few", too_few_processes, "processes", DOCTOR_PROBLEM, "is 19", "LimitNPROC=400"},
        {"tasks", few_tasks, "processes", DOCTOR_WARNING, "pids.max", "TasksMax=400"},
        {"memory", memory_beyond_group, "memory", DOCTOR_WARNING, "memory.max is 512M", "below 512M"},
        {"workers", workers_beyond_memory, "memory", DOCTOR_WARNING, "together 12G", "fewer workers"},
        {"gone", program_of_unit_gone, "units", DOCTOR_PROBLEM, "which is not there", "install"},
        {"failed", unit_failed, "units", DOCTOR_PROBLEM, "watchdog", "journalctl -u ganger.service"},
        {"78", unit_failed_by_configuration, "units", DOCTOR_PROBLEM, "status 78",
         "systemctl start ganger.service"},
        {"changed", unit_changed, "units", DOCTOR_WARNING, "has changed", "systemctl daemon-reload && "},
        {"user's", unit_changed_of_user, "units", DOCTOR_WARNING, "has changed",
         "systemctl --user daemon-reload && systemctl --user " /* no sudo */},
        {"by hand", started_by_hand, "units", DOCTOR_WARNING, "not started by ganger.service",
         "systemctl enable --now ganger.socket"},
        {"prefix", other_prefix, "units", DOCTOR_WARNING, "/usr/local/bin/gangerd runs", "daemon-reload"},
        {"off", socket_unit_off, "units", DOCTOR_PROBLEM, "ganger.socket is inactive",
         "sudo systemctl enable --now ganger.socket"},
        {"boot", socket_unit_not_after_boot, "units", DOCTOR_WARNING, "next boot",
         "systemctl enable ganger.socket"},
};
const size_t n_ills = sizeof ills / sizeof *ills;
