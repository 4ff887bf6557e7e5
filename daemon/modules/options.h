/* SPDX-License-Identifier: MIT */
/*
 * The one map of options that may follow a function's arguments, read by a table. Nothing is accepted and
 * ignored: an unknown option, one given twice, a wrong type, a value out of range and an argument too many
 * each end the task with a message that names it.
 */
#ifndef DAEMON_MODULES_OPTIONS_H
#define DAEMON_MODULES_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/ganger_module.h"

enum option_kind {
        OPTION_BOOL,   /* bool */
        OPTION_UINT,   /* uint64_t */
        OPTION_NUMBER, /* double, min...max */
        OPTION_CHOICE, /* int: the index in `choices` */
        OPTION_OWN,    /* read() takes the value from the arguments */
};

struct option {
        const char *name;
        enum option_kind kind;
        size_t offset; /* of the field in the struct that is filled */
        double min, max;
        const char *const *choices; /* ended by NULL */
        int (*read)(struct ganger_task *task, void *field);
};

/* Fills `into` with what the rest of the arguments says; bit n of `ret_given` tells that options[n] was
 * there. Not 0: what run() is to return. */
int options_read(struct ganger_task *task, const struct option *options, size_t n_options, void *into,
                 uint32_t *ret_given);

/* The same for a function without options: no argument may be left. */
int options_none(struct ganger_task *task);

#endif
