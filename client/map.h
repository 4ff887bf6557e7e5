/* SPDX-License-Identifier: MIT */
/*
 * A map over any number of items: one `map` request with the option feed, and `feed`s behind it while not too
 * much of what was sent is unfinished. So neither end's memory grows with the input. Owned by whoever made
 * it, for whom the connection's dispatch does the work; ganger_map() is the blocking way to use it.
 *
 * The invariant: a batch (the items of one request) is held by the daemon until its last item has ended, and
 * the batches held, in bytes and in number, and the unfinished items are each within a limit of map.c.
 */
#ifndef CLIENT_MAP_H
#define CLIENT_MAP_H

#include "client/connection.h"

struct map;

/* Sends nothing yet. on_item runs within ganger_dispatch(), or not at all any more once it returned other
 * than 0. What `options` points to, and `function`, are to live as long as it. -EINVAL, -E2BIG: the options;
 * -ENOMEM.
 */
int map_new(struct ganger *, const struct ganger_options *, const char *function, ganger_next_item,
            ganger_on_item, void *userdata, struct map **ret);
/* Takes NULL, returns NULL. What has not ended is cancelled and nobody is told. */
struct map *map_free(struct map *);
/* Asks for items and sends them, as long as there is room for them. To be called at first, and after each
 * dispatch. next_item may return -EAGAIN: there is none yet; then this does so too (what it gave before has
 * been sent), and is to be called again when there is one. Any other failure has ended the map with it. 0. */
int map_advance(struct map *);
/* Whether it would ask for items now. */
bool map_wants_items(const struct map *);
/* Cancels it; it then ends with this value when the daemon says that all of it is over. on_item is still told
 * of what ended before the daemon knew. */
void map_cancel(struct map *, int value);
bool map_has_ended(const struct map *);
/* Of an ended map: 0; < 0; the refusal's code, whose record can be taken once; or what on_item or next_item
 * gave up with. */
int map_result(const struct map *);
struct ganger_reply *map_take_reply(struct map *);
/* Items that were sent, and that have ended. */
uint64_t map_sent(const struct map *);
uint64_t map_ended(const struct map *);

#endif
