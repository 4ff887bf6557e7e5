/* SPDX-License-Identifier: MIT */
/* Facts for ganger doctor, well and ill. */
#ifndef TESTS_UNIT_CLIENT_DOCTOR_ILLS_H
#define TESTS_UNIT_CLIENT_DOCTOR_ILLS_H

#include "client/cli/doctor/doctor.h"

extern struct doctor_facts facts;

/* A daemon of the system's units, seen by root. */
void all_well(void);

struct ill {
        const char *name;
        void (*make)(void); /* of what is well */
        const char *check;
        enum doctor_state state;
        const char *found, *remedy; /* parts of what is told */
};
extern const struct ill ills[];
extern const size_t n_ills;

#endif
