/* SPDX-License-Identifier: MIT */
/*
 * The workers: their channels, the areas shared with them, their processes. Owned by struct daemon; the core
 * hands out the numbers. A worker exists from the core's spawn() until core_worker_lost(), which is said when
 * it has been reaped and its channel read to the end (or when it is certain that it never came to be); it is
 * freed at the loop's end.
 *
 * All that comes from a worker is untrusted. Its pid is what the kernel says (SCM_CREDENTIALS), its process
 * is signalled only while it is not reaped.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/log.h"

struct core_dispatch;
struct core_slot;
struct daemon;
struct workers;

int workers_new(struct daemon *, struct workers **ret);
/* Takes NULL; returns NULL. What still runs is killed. */
struct workers *workers_free(struct workers *);
/* The loop's end: sends what waits for workers and zygotes. */
void workers_flush(struct workers *);
/* Takes what workers have put into their rings. True: there was something. */
bool workers_poll(struct workers *);
/* Whether any worker's ring is being watched: one was sent something, or spoke, a moment ago. */
bool workers_are_watched(const struct workers *);
/* gangerd is about to sleep: from now on workers wake it. False: there is something to take already. */
bool workers_unwatch(struct workers *);
/* The loop's very end: frees what was closed. */
void workers_sweep(struct workers *);
/* SIGCHLD: reaps workers, zygotes and orphans, and ends the orphans that live. */
void workers_reap(struct daemon *);

/* -- what the core has done (see struct core_ops) -- */
int worker_spawn(struct workers *, uint32_t pool, uint32_t index);
int worker_send(struct workers *, uint32_t index, const struct core_dispatch *);
bool worker_take_back(struct workers *, uint32_t index, uint32_t slot, uint64_t task);
void worker_read_slot(struct workers *, uint32_t index, uint32_t slot, struct core_slot *ret);
void worker_tell(struct workers *, uint32_t index, uint64_t task);
void worker_kill(struct workers *, uint32_t index);
void worker_stop(struct workers *, uint32_t index);
void worker_credit(struct workers *, uint32_t index, uint64_t task, uint32_t bytes);

/* -- news from zygotes, about the spawn with this number -- */
void workers_spawned(struct workers *, uint64_t spawn_id, pid_t);
void workers_spawn_failed(struct workers *, uint64_t spawn_id, int error);
/* No more news about spawns will come from the zygote with this serial. */
void workers_zygote_lost(struct workers *, uint64_t zygote);

/* -- looking -- */
/* 0: not known (yet). */
pid_t worker_pid(const struct workers *, uint32_t index);
/* The one line that is written of a worker's end, while its loss is told to the core: what it was running, or
 * 0 and NULL. */
void worker_obituary(struct workers *, uint32_t index, enum log_level, uint64_t task, const char *function);
/* Whether what is wrong with it was logged, or will be when its message has been dealt with. */
bool worker_fault_is_said(const struct workers *, uint32_t index);
struct worker_usage {
        uint64_t rss_bytes;
        double cpu_s;
};
/* Memory and time of a worker's process, at most a second old. False: not known. */
bool worker_usage(struct workers *, uint32_t index, struct worker_usage *ret);
/* The resident memory of a worker's process at this moment, in bytes; 0: not known, or it is gone. Cheap
 * enough to be asked after every task; keeps a descriptor for each worker that was asked about. */
uint64_t worker_rss_now(struct workers *, uint32_t index);
/* Whether the kernel is about to end it, or has, and nobody has reaped it. */
bool process_is_ending(pid_t);
/* The resident memory of a process. */
bool process_rss(pid_t, uint64_t *ret_bytes);

#endif
