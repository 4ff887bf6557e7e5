/* SPDX-License-Identifier: MIT */
/*
 * Building gangerd up and taking it down, in one order and its reverse. Whatever fails has been logged, and
 * the exit status says whether a new try could help (systemd does not try again after EXIT_CONFIGURATION).
 */
#ifndef DAEMON_START_H
#define DAEMON_START_H

struct configuration;
struct configuration_problem;
struct daemon;

/* What main() has from the command line. */
struct start_options {
        const char *config_path, *socket, *log_level; /* NULL: not said */
        struct configuration *config;                 /* the daemon's from daemon_begin() on */
};

/* Reads the configuration as the command line says. As configuration_load(). */
int start_load(const struct start_options *, struct configuration **ret, struct configuration_problem *);
/* Whether this one could come into force in place of the present one; settles it. As configuration_load(). */
int start_succeed(struct daemon *, struct configuration *, struct configuration_problem *);

/* 0, or the status to exit with. daemon_end() is called either way, the options last until then. */
int daemon_begin(struct daemon *, const struct start_options *);
void daemon_end(struct daemon *);

#endif
