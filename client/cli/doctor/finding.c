/* SPDX-License-Identifier: MIT */
/* The list of findings. One for which there is no memory is missed by whoever prints them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/doctor/doctor.h"

void doctor_find(struct doctor_findings *findings, const char *check, enum doctor_state state,
                 const char *format, ...)
{
        struct doctor_finding finding = {.check = check, .state = state}, *at;
        va_list args;
        int n;

        va_start(args, format);
        n = vasprintf(&finding.found, format, args);
        va_end(args);
        at = n < 0 ? NULL : realloc(findings->at, (findings->n + 1) * sizeof *at);
        if (at == NULL) {
                if (n >= 0)
                        free(finding.found);
                findings->incomplete = true;
                return;
        }
        findings->at = at;
        findings->at[findings->n++] = finding;
}

void doctor_remedy(struct doctor_findings *findings, const char *format, ...)
{
        struct doctor_finding *last = findings->n > 0 ? &findings->at[findings->n - 1] : NULL;
        va_list args;

        if (last == NULL || last->remedy != NULL)
                return;
        va_start(args, format);
        if (vasprintf(&last->remedy, format, args) < 0) {
                last->remedy = NULL;
                findings->incomplete = true;
        }
        va_end(args);
}

void doctor_findings_deinit(struct doctor_findings *findings)
{
        for (size_t i = 0; i < findings->n; i++) {
                free(findings->at[i].found);
                free(findings->at[i].remedy);
        }
        free(findings->at);
        *findings = (struct doctor_findings){0};
}
