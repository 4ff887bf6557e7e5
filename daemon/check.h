/* SPDX-License-Identifier: MIT */
/*
 * `gangerd --check`: what would be in force, and what of it could not be. The modules are loaded as at a
 * start, by the pools' own zygotes, which fork no worker.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include <stdbool.h>

struct start_options;

/* Prints it on standard output, as a file that would say so, and logs what is wrong; json: all in one object
 * (see print_json() in check.c), for programs. Returns the exit status. */
int check_run(struct start_options *, bool json);

#endif
