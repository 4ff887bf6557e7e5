/* SPDX-License-Identifier: MIT */
/*
 * A task's options, from struct ganger_options to the option map of a request. What is zero is not written,
 * so that the daemon's defaults are the only ones.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "client/format.h"

/* The caller's options as this library knows them: a shorter, older struct is filled up with zeros; NULL
 * gives the defaults. -EINVAL: not initialised; -E2BIG: a newer struct that asks for what this library does
 * not know. */
int options_import(struct ganger_options *ret, const struct ganger_options *);
/* Whether the further pairs have a `key`. */
bool options_have_key(const struct ganger_options *);
/* Writes the map of what is set as the last of a request's parameters, `feed` among it if asked for, and
 * attempts that were made before. Nothing is written when nothing is set: options_are_default() tells before,
 * since the array's header counts it. */
bool options_are_default(const struct ganger_options *);
void options_write(struct ganger_writer *, const struct ganger_options *, bool feed,
                   uint64_t attempts_before);

#endif
