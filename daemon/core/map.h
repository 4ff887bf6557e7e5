/* SPDX-License-Identifier: MIT */
/*
 * A map: one task with many items, of which chunks are sent to workers.
 */
#ifndef CORE_MAP_H
#define CORE_MAP_H

#include "daemon/core/task.h"

struct run;
struct waiter;

struct segment {                   /* the items of the first message, or of one feed */
        TAILQ_ENTRY(segment) link; /* map.segments */
        payload_t payload;
        uint32_t n_descriptors;
        uint64_t first, n_items, n_left, size_bytes;
};
/* What its user is charged. */
static inline uint64_t segment_cost_bytes(uint64_t size_bytes)
{
        return sizeof(struct segment) + SEGMENT_BYTES + size_bytes;
}
struct range {                   /* items that came back */
        TAILQ_ENTRY(range) link; /* map.returned, or map.spare */
        uint64_t first, n;
};
struct again { /* an item that is tried again, alone: in the heap map.waiting or .due, or it stands in a run
                */
        struct again *left, *right;
        uint64_t index;
        uint32_t attempt;
        int64_t due;
};
struct map_chunk { /* what a map would give a worker now */
        uint64_t first;
        uint32_t n_items;
        struct segment *segment;
        struct again *again; /* NULL: none of these items was tried before */
};
struct held_item { /* an item of an ordered map that has ended before its turn */
        bool is_filled, failed;
        payload_t payload;
        uint64_t size_bytes;
        int64_t started, ended;
        pid_t worker_pid;
        uint32_t attempt;
        struct bad_end bad;
};
struct map {
        struct waiter *waiter; /* the request; NULL when it is gone */
        TAILQ_HEAD(, segment) segments;
        struct segment *cursor_segment;                /* the one that holds `cursor`; NULL at the end */
        TAILQ_HEAD(range_list, range) returned, spare; /* spare: at least one for every chunk */
        struct again *waiting, *due; /* the first of those that wait, by due; that may begin, by index */
        TAILQ_HEAD(, run) chunks;
        uint32_t n_chunks, n_spare;
        uint32_t chunk, limit, window;
        bool ordered, fail_fast, fed_all, collect, may_wait;
        enum core_refusal refusal; /* it ended because the answer cannot be given */
        struct map_line *line;     /* in which it stands for room, while it has nothing in */
        TAILQ_ENTRY(map) of_line;
        uint64_t n_fed; /* items; those that count as tasks are … */
        uint64_t n_items, cursor, n_returned, n_waiting, n_due;
        uint64_t n_succeeded, n_failed, n_cancelled;
        uint64_t n_delivered, n_delivered_failed, n_confirmed;
        uint64_t collected_bytes, held_bytes;
        uint64_t failed_at;  /* ordered, fail_fast: nothing beyond it begins; UINT64_MAX: no failure yet */
        uint64_t n_held_max; /* places of held[] */
        struct held_item *held;
        uint64_t cost_bytes;
};
/* What the map would give a worker now; false: nothing. */
bool map_next(const struct core *, const struct task *, struct map_chunk *ret);
int map_reserve_chunk(struct map *);
/* The chunk that map_next() named stands in this run now. */
void map_take(struct core *, struct task *, struct run *);
/* The run's items that have not ended go back, and it is none of the map's any more. */
void map_leave(struct core *, struct task *, struct run *);
void map_put_back(struct core *, struct task *, uint64_t order);
bool map_has_next(const struct core *, const struct task *);
/* Puts the map into its lane or takes it out, ends it if all is done. */
void map_update(struct core *, struct task *);

/* -- map_room.c: items of a map that is fed -- */

/* Those that were fed count as tasks, or wait until there is room. */
void map_find_room(struct core *, struct task *);
/* So many items that counted as tasks have ended. */
void map_release(struct core *, struct task *, uint64_t n);
void map_leave_line(struct core *, struct task *);
/* Lets in what there is room for, not all at once. True: there is more. */
bool maps_find_room(struct core *);

/* The run's next item has ended; bad: badly. */
void map_item_end(struct core *, struct task *, struct run *, payload_t, uint64_t size_bytes,
                  const struct bad_end *bad);
/* The rest is cancelled, running chunks get the verdict. */
void map_verdict(struct core *, struct task *, const struct bad_end *);
/* What has not begun is cancelled; what runs may finish, of a chunk all that is in it. */
void map_cancel_rest(struct core *, struct task *, const struct bad_end *);
void map_free(struct core *, struct task *);
void map_answer(struct core *, const struct task *, struct core_request);
enum task_state map_rest_state(const struct task *);
/* Items that could be given to a worker: never begun, come back, or due to be tried again. */
uint64_t map_n_ready(const struct map *);
/* The run's next item has failed, and is tried again if it may be; false: that was its end. */
bool map_try_again(struct core *, struct task *, struct run *, enum core_cause);
/* The first of those that wait to be tried again is due. */
void map_on_timer(struct core *, struct task *);
/* An item that is tried again comes back as it was; the first of those that may begin is taken. */
void map_again_give_back(struct map *, struct again *);
struct again *map_again_take(struct map *);
void map_drop_again(struct map *);
void map_drop_held(struct core *, struct task *);
void map_drop_segment(struct core *, struct task *, struct segment *);

#endif
