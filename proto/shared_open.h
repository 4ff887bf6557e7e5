/* SPDX-License-Identifier: MIT */
/*
 * shared.open of a value or array, as those ask it who map the memory: libganger for programs, the worker for
 * tasks.
 */
#ifndef PROTO_SHARED_OPEN_H
#define PROTO_SHARED_OPEN_H

#include "proto/ganger_shared.h"
#include "proto/pack.h"
#include "proto/reader.h"

/* A caller's options in this build's struct. 0; -EINVAL: no kind or type of ours; -E2BIG: they are a later
 * build's, with something that is not known here. */
int shared_options_import(struct ganger_shared_options *ret, const struct ganger_shared_options *options);
/* The request's second parameter. */
void shared_options_pack(struct packer *, const struct ganger_shared_options *);
/* Maps what was answered to these options; the descriptor stays the caller's. 0; -EPROTO: that is no such
 * object; or -errno of mmap(). */
int shared_answer_map(struct ganger_shared *ret, const struct ganger_shared_options *, struct reader answer,
                      int fd);

#endif
