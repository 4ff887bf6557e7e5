/* SPDX-License-Identifier: MIT */
/* systemd's units against what runs and what is installed. Without units there is nothing to say. */
#include <stdio.h>
#include <string.h>

#include "client/cli/doctor/doctor.h"

#define EXIT_CONFIGURATION 78 /* gangerd's */

struct manager {
        char systemctl[32], journalctl[32]; /* as to be typed */
};

static struct manager manager_of(const struct doctor_facts *facts)
{
        const char *sudo = facts->is_root || facts->units.of_user ? "" : "sudo ";
        const char *user = facts->units.of_user ? " --user" : "";
        struct manager manager;

        snprintf(manager.systemctl, sizeof manager.systemctl, "%ssystemctl%s", sudo, user);
        snprintf(manager.journalctl, sizeof manager.journalctl, "%sjournalctl%s", sudo, user);
        return manager;
}

static void judge_service(const struct doctor_facts *facts, const struct manager *manager,
                          struct doctor_findings *ret)
{
        const struct doctor_units *units = &facts->units;
        const struct doctor_unit *service = &units->service;

        if (!units->program_is_there && *units->program) {
                doctor_find(ret, "units", DOCTOR_PROBLEM, "%s starts %s, which is not there",
                            service->fragment, units->program);
                doctor_remedy(ret, "install gangerd there, or remove the unit of another installation");
        }
        if (strcmp(service->active, "failed") == 0 && units->exit_status == EXIT_CONFIGURATION) {
                doctor_find(ret, "units", DOCTOR_PROBLEM,
                            "%s has failed: it ended with status 78, its configuration is wrong",
                            service->name);
                doctor_remedy(ret, "%s -u %s says what; when it is mended: %s start %s", manager->journalctl,
                              service->name, manager->systemctl, service->name);
        } else if (strcmp(service->active, "failed") == 0) {
                doctor_find(ret, "units", DOCTOR_PROBLEM, "%s has failed: %s", service->name,
                            service->result);
                doctor_remedy(ret, "%s -u %s says why", manager->journalctl, service->name);
        }
        if (units->needs_reload) {
                doctor_find(ret, "units", DOCTOR_WARNING, "%s has changed since systemd read it",
                            service->name);
                doctor_remedy(ret, "%s daemon-reload && %s restart %s", manager->systemctl,
                              manager->systemctl, service->name);
        }
}

static void judge_running(const struct doctor_facts *facts, const struct manager *manager,
                          struct doctor_findings *ret)
{
        const struct doctor_units *units = &facts->units;
        const struct doctor_process *process = &facts->process;

        if (process->pid == 0)
                return;
        if (units->main_pid != process->pid) {
                doctor_find(ret, "units", DOCTOR_WARNING,
                            "gangerd (pid %d) was not started by %s, so nobody starts it again",
                            (int)process->pid, units->service.name);
                doctor_remedy(ret, "kill %d, then %s enable --now %s", (int)process->pid, manager->systemctl,
                              units->socket.name);
        } else if (*process->program && *units->program && !units->program_runs &&
                   strcmp(process->program, units->program) != 0) {
                doctor_find(ret, "units", DOCTOR_WARNING, "%s runs, and %s would start %s", process->program,
                            units->service.fragment, units->program);
                doctor_remedy(ret, "remove the other installation, then %s daemon-reload && %s restart %s",
                              manager->systemctl, manager->systemctl, units->service.name);
        }
}

static void judge_socket(const struct doctor_facts *facts, const struct manager *manager,
                         struct doctor_findings *ret)
{
        const struct doctor_unit *socket = &facts->units.socket;
        bool active = strcmp(socket->active, "active") == 0;

        if (!*socket->name)
                return;
        if (!active && facts->connected < 0) {
                doctor_find(ret, "units", DOCTOR_PROBLEM, "%s is %s", socket->name, socket->active);
                doctor_remedy(ret, "%s enable --now %s", manager->systemctl, socket->name);
        } else if (active && strcmp(socket->file_state, "disabled") == 0) {
                doctor_find(ret, "units", DOCTOR_WARNING, "%s is active, but not after the next boot",
                            socket->name);
                doctor_remedy(ret, "%s enable %s", manager->systemctl, socket->name);
        }
}

void doctor_judge_units(const struct doctor_facts *facts, struct doctor_findings *ret)
{
        const struct doctor_units *units = &facts->units;
        const struct manager manager = manager_of(facts);
        size_t n = ret->n;

        if (!*units->service.name)
                return;
        judge_service(facts, &manager, ret);
        judge_running(facts, &manager, ret);
        judge_socket(facts, &manager, ret);
        if (ret->n == n)
                doctor_find(ret, "units", DOCTOR_OK, "%s is %s%s%s", units->service.name,
                            units->service.active, *units->drop_ins ? ", with " : "", units->drop_ins);
}
