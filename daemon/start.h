/* SPDX-License-Identifier: MIT */
/*
 * Building gangerd up and taking it down, in one order and its reverse. Whatever fails has been logged, and
 * the exit status says whether a new try could help (systemd does not try again after EXIT_CONFIGURATION).
 */
#ifndef DAEMON_START_H
#define DAEMON_START_H

struct configuration;
struct daemon;

/* What main() has from the command line. */
struct start_options {
        const char *socket;           /* NULL: not said */
        struct configuration *config; /* the daemon's from here on */
};

/* 0, or the status to exit with. daemon_end() is called either way. */
int daemon_begin(struct daemon *, const struct start_options *);
void daemon_end(struct daemon *);

/* `gangerd --check`: prints what would be in force, and says what of it could not be. Returns the exit
 * status.
 */
int start_check(struct configuration *, const char *socket);

#endif
