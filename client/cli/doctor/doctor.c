/* SPDX-License-Identifier: MIT */
/* The verb doctor: gathers, judges, prints. */
#include "client/cli/doctor/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/look.h"
#include "config.h"

static const char *const state_names[] = {
        [DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_PROBLEM] = "problem"};

/* -- printing -- */

static void print_text(const char *text)
{
        look_print((struct look_text){text, strlen(text)});
        putchar('\n');
}

static void print_lines(const struct doctor_findings *findings)
{
        for (size_t i = 0; i < findings->n; i++) {
                const struct doctor_finding *finding = &findings->at[i];
                printf("%-8s %-13s ", state_names[finding->state], finding->check);
                print_text(finding->found);
                if (finding->remedy != NULL) {
                        printf("%22s  → ", "");
                        print_text(finding->remedy);
                }
        }
}

static void print_json_text(const char *key, const char *text)
{
        printf(",\"%s\":", key);
        if (text != NULL)
                json_write_text(stdout, text, strlen(text));
        else
                fputs("null", stdout);
}

static void print_json(const struct doctor_findings *findings)
{
        for (size_t i = 0; i < findings->n; i++) {
                const struct doctor_finding *finding = &findings->at[i];
                printf("%s{\"check\":\"%s\",\"state\":\"%s\"", i > 0 ? ",\n " : "[", finding->check,
                       state_names[finding->state]);
                print_json_text("found", finding->found);
                print_json_text("remedy", finding->remedy);
                putchar('}');
        }
        puts(findings->n > 0 ? "]" : "[]");
}

/* -- the verb -- */

static void gather(struct doctor_facts *facts, const struct doctor_options *options)
{
        int fd;

        facts->version = GANGER_VERSION;
        facts->caller.uid = geteuid();
        facts->is_root = facts->caller.uid == 0;
        doctor_user_name(facts->caller.uid, facts->caller.name);
        doctor_gather_sockets(facts, options, &fd);
        doctor_gather_daemon(facts, fd);
        doctor_gather_process(facts);
        doctor_gather_units(facts);
        doctor_gather_limits(facts);
        doctor_gather_plan(facts, options);
}

static int examine(const struct cli *cli, const struct doctor_options *options)
{
        struct doctor_findings findings = {0};
        struct doctor_facts *facts = calloc(1, sizeof *facts); /* paths make it large */
        int status = EXIT_DONE;

        if (facts != NULL) {
                gather(facts, options);
                doctor_judge_access(facts, &findings);
                doctor_judge_daemon(facts, &findings);
                doctor_judge_units(facts, &findings);
                doctor_judge_plan(facts, &findings);
                doctor_facts_deinit(facts);
                free(facts);
        }
        if (cli->json)
                print_json(&findings);
        else
                print_lines(&findings);
        for (size_t i = 0; i < findings.n; i++)
                if (findings.at[i].state == DOCTOR_PROBLEM)
                        status = EXIT_NOT_SUCCEEDED;
        if (facts == NULL || findings.incomplete) {
                cli_say("doctor: there is no memory");
                status = EXIT_GANGER;
        }
        doctor_findings_deinit(&findings);
        return status;
}

int verb_doctor(struct cli *cli, int argc, char **argv)
{
        static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                                {"gangerd", required_argument, NULL, 'g'},
                                                {NULL, 0, NULL, 0}};
        struct doctor_options chosen = {.socket = cli->socket,
                                        .scope = cli->user_only     ? SEARCH_USER
                                                 : cli->system_only ? SEARCH_SYSTEM
                                                                    : SEARCH_USUAL};
        int c;

        while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
                if (c == '?')
                        return cli_bad_option(cli);
                if (c == 'c')
                        chosen.config = optarg;
                else
                        chosen.gangerd = optarg;
        }
        if (optind != argc)
                return cli_usage_error(cli, "takes no arguments, not '%s'", argv[optind]);
        return examine(cli, &chosen);
}
