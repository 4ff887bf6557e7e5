/* SPDX-License-Identifier: MIT */
/* A command as exec's arguments: its words, and the surroundings that it is to find: this directory,
 * this umask, and what --env names. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <sys/types.h>

#include "client/cli/cli.h"
#include "proto/pack.h"

struct command {
        struct buffer env; /* names and values, packed */
        unsigned n_env;
        char *cwd;
        mode_t umask;
};

/* --env NAME=VALUE, or NAME for the caller's own value. */
int command_env(const struct cli *, struct command *, const char *text);
/* One word. Arguments and paths are bytes; those that are no UTF-8 travel as bin. */
void command_pack_word(struct packer *, const char *word, size_t size_bytes);
/* The array of words, ended by NULL. */
void command_pack_argv(struct packer *, char **argv);
/* Takes note of the directory and the umask; 0, or what the verb returns. */
int command_here(struct command *);
/* The map of options, with room for n_more pairs that the caller packs next. */
void command_pack_options(const struct command *, struct packer *, unsigned n_more);
void command_deinit(struct command *);

#endif
