/* SPDX-License-Identifier: MIT */
/*
 * The ledger's pages for bodies that begin and finish, and for maps: each item is told exactly once with its
 * own value, begins at most once, ordered ones in their order, never more at once than limit and window
 * allow, nothing after the first failure of a fail_fast map was told.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"

void ledger_feed(struct sim *s, struct entry *e, uint64_t n)
{
        e->items = realloc(e->items, (e->n_items + n + 1) * sizeof(*e->items));
        if (!e->items)
                abort();
        memset(e->items + e->n_items, 0, n * sizeof(*e->items));
        e->n_items += n;
}

static void item_begins(struct sim *s, struct model_worker *w, struct entry *e)
{
        struct item *item = &e->items[w->item];

        if (item->n_begun++ == 0)
                e->n_begun_items++;
        if (e->tainted)
                return;
        if (item->n_begun > item->attempt && !item->excused)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " begins a second time", e->id, w->item);
        if (e->n_ends || item->n_told)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " begins after its end", e->id, w->item);
        if (!item->running) {
                item->running = true;
                e->n_running++;
        }
        item->begin = s->now;
        if (e->map.limit && e->n_running > e->map.limit)
                sim_fail(s, "map %" PRIu64 ": %" PRIu64 " items run, the limit is %u", e->id, e->n_running,
                         e->map.limit);
        if (e->map.window && e->n_begun_items > e->map.window + e->n_confirmed)
                sim_fail(s, "map %" PRIu64 ": %" PRIu64 " items began, %" PRIu64 " are confirmed, window %u",
                         e->id, e->n_begun_items, e->n_confirmed, e->map.window);
        if (e->map.ordered && w->item > e->next_ordered + LIMIT_ORDERED_AHEAD)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " begins too far ahead", e->id, w->item);
}

void ledger_begin(struct sim *s, struct model_worker *w)
{
        struct entry *e = &s->entries[w->run.entry];

        TRACE(s, " begins", w->index, w->run.task, w->item);
        if (w->run.is_chunk) {
                item_begins(s, w, e);
                return;
        }
        if (e->n_begun++ >= e->attempt && !e->tainted)
                sim_fail(s, "task %" PRIu64 " begins a second time", e->id);
        if (e->n_ends && !e->tainted)
                sim_fail(s, "task %" PRIu64 " begins after its end", e->id);
        e->begin = s->now;
}

void ledger_finish(struct sim *s, struct model_worker *w, bool is_item)
{
        struct entry *e = &s->entries[w->run.entry];
        struct item *item = is_item ? &e->items[w->item] : NULL;

        if (!is_item) {
                e->finished = true;
                return;
        }
        item->finished = true;
        if (item->running) {
                item->running = false;
                e->n_running--;
        }
}

static void check_item_failure(struct sim *s, struct entry *e, uint64_t index,
                               const struct core_record *record)
{
        const struct item *item = &e->items[index];

        if (record->id != e->id || record->index != index)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " gets another one's record", e->id, index);
        if (e->tainted || item->excused)
                return;
        if (ledger_must_retry(s, e, record->cause, record->attempt))
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " ends at attempt %u, and was to be tried again",
                         e->id, index, record->attempt);
        switch (record->cause) {
        case CAUSE_FUNCTION:
                if (!item->finished || !entry_fails(s, e, index))
                        sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " failed and did not", e->id, index);
                break;
        case CAUSE_WORKER:
        case CAUSE_OUTSIDE:
                if ((item->n_begun == 0 && !item->lone) || item->finished)
                        sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " was lost with a worker, but %s", e->id,
                                 index, item->finished ? "its answer had left" : "never began");
                break;
        case CAUSE_TIMEOUT:
                if (e->timeout == 0 ||
                    (!item->lone && (item->n_begun == 0 || s->now < item->begin + e->timeout)))
                        sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " timed out too early", e->id, index);
                break;
        case CAUSE_CLIENT:
        case CAUSE_SHUTDOWN:
                if (!e->cancel_asked && !s->stopping && !task_may_be_let_go(s, e))
                        sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " is cancelled by nobody", e->id, index);
                break;
        case CAUSE_EXPIRED:
        case CAUSE_KERNEL:
        case CAUSE_LIMIT:
        case CAUSE_NONE:
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " failed for cause %d", e->id, index,
                         record->cause);
        }
}

static struct item *check_item(struct sim *s, struct entry *e, uint64_t index, payload_t payload,
                               const struct core_record *failed)
{
        struct item *item;

        if (index >= e->n_items)
                sim_fail(s, "map %" PRIu64 " has no item %" PRIu64, e->id, index);
        item = &e->items[index];
        if (failed)
                check_item_failure(s, e, index, failed);
        else if (!item->finished && !e->tainted)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " has a value and did not finish", e->id, index);
        else
                ledger_check_value(s, e, index, payload);
        return item;
}

void ledger_item_told(struct sim *s, struct entry *e, uint64_t index, payload_t payload,
                      const struct core_record *failed)
{
        struct item *item = check_item(s, e, index, payload, failed);

        if (item->n_told++)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " is told twice", e->id, index);
        if (e->map.ordered && index != e->next_ordered)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " is told, %" PRIu64 " is next", e->id, index,
                         e->next_ordered);
        e->next_ordered = index + 1;
        e->n_told++;
        if (item->n_collected == 0)
                e->n_told_failed += failed != NULL;
        e->failed_fast |= failed && e->map.fail_fast;
}

void ledger_item_collected(struct sim *s, struct entry *e, uint64_t index, payload_t payload,
                           const struct core_record *failed)
{
        struct item *item = check_item(s, e, index, payload, failed);

        if (item->n_collected++)
                sim_fail(s, "map %" PRIu64 ": item %" PRIu64 " is collected twice", e->id, index);
        if (item->n_told == 0)
                e->n_told_failed += failed != NULL;
        e->failed_fast |= failed && e->map.fail_fast;
}

void ledger_map_answered(struct sim *s, struct entry *e, const struct core_map_sum *sum)
{
        uint64_t n = 0;

        if (e->tainted)
                return;
        for (uint64_t i = 0; i < e->n_items; i++)
                n += e->items[i].n_told || e->items[i].n_collected;
        if (sum->task != e->id || sum->succeeded + sum->failed != n || sum->failed != e->n_told_failed)
                sim_fail(s,
                         "map %" PRIu64 " is summed up as %" PRIu64 " and %" PRIu64 " of %" PRIu64
                         ", but %" PRIu64 " items were told, %" PRIu64 " of them failed",
                         e->id, sum->succeeded, sum->failed, sum->count, n, e->n_told_failed);
        if (sum->collect != e->map.collect)
                sim_fail(s, "map %" PRIu64 ": whether it collects is wrong", e->id);
        if (!e->failed_fast && !e->cancel_asked && !s->stopping && !task_may_be_let_go(s, e) &&
            (n != e->n_items || sum->count != n))
                sim_fail(s, "map %" PRIu64 " ends with %" PRIu64 " of %" PRIu64 " items told", e->id, n,
                         e->n_items);
}
