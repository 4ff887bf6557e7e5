/* SPDX-License-Identifier: MIT */
/*
 * Model workers that lie: whose task code has got hold of the channel or of the shared area. They answer for
 * tasks that are not theirs, in any state, overdraw their credit, say what is no message, and write into the
 * slots. Whatever they do may cost them their own tasks, and nobody else anything.
 */
#include "tests/sim/sim.h"

#include "proto/options.h"

#define NO_TASK 77 /* below any id that a core gives */

/* The id of a task that waits for what it asked for. */
static uint64_t pick_waiting(struct sim *s)
{
        uint32_t first = (uint32_t)random_below(&s->random, MAX_WORKERS);

        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                uint32_t connection = MAX_CLIENTS + (first + i) % MAX_WORKERS;
                if (s->connections[connection].open && requests_open(s, connection) > 0)
                        return s->entries[s->connections[connection].entry].id;
        }
        return NO_TASK;
}

/* The id of a task that was sent ahead to some worker, behind another one. */
static uint64_t pick_ahead(struct sim *s)
{
        uint32_t first = (uint32_t)random_below(&s->random, MAX_WORKERS);

        for (uint32_t i = 0; i < MAX_WORKERS; i++) {
                const struct model_worker *w = &s->workers[(first + i) % MAX_WORKERS];
                if (w->life == LIFE_ALIVE && w->n_inbox > 0 && w->busy)
                        return w->inbox[w->n_inbox - 1].task;
        }
        return NO_TASK;
}

/* The id of some task, in whatever state it is; each as likely as any other. */
static uint64_t pick_victim(struct sim *s)
{
        uint64_t wanted = random_below(&s->random, 22);

        if (wanted > 17)
                return pick_ahead(s);
        if (wanted > 15)
                return pick_waiting(s);
        for (unsigned tries = 0; s->n_entries > 0 && tries < 80; tries++) {
                const struct entry *e = &s->entries[random_below(&s->random, s->n_entries)];
                bool fits = wanted == 0                 ? !e->n_ends && e->due > s->now
                            : wanted == 1 || wanted > 7 ? !e->n_ends && e->sent_out && !e->n_begun
                            : wanted == 2               ? !e->n_ends && e->told
                            : wanted == 3               ? !e->n_ends
                                                        : e->n_ends && e->end == TASK_SUCCEEDED + wanted - 4;
                if (fits)
                        return e->id;
        }
        return NO_TASK;
}

static void scribble(struct sim *s, struct model_worker *w)
{
        struct area_slot *slot = &w->area.slots[random_below(&s->random, LIMIT_SLOTS)];

        MEET(s, faults, FAULT_worker_scribbles);
        slot->word = random_chance(&s->random, 500) ? random_next(&s->random)
                                                    : slot_word(slot_word_task(slot->word),
                                                                (enum slot_state)random_below(&s->random, 6));
        slot->begin_ns = (int64_t)random_next(&s->random);
        slot->index = random_next(&s->random) >> random_below(&s->random, 64);
}

/* A worker that lies: in its messages, or in the area. */
void worker_lies(struct sim *s, struct model_worker *w)
{
        struct answer_message message = {
                .bogus = true, .task = pick_victim(s), .attempt = 1, .entry = NO_ENTRY, .size_bytes = 10};

        w->deaf = false;
        switch (random_below(&s->random, 7)) {
        case 0:
                message.kind = ANSWER_RESULT;
                message.slot = (uint32_t)random_below(&s->random, 100);
                MEET(s, faults, FAULT_worker_bad_answer);
                break;
        case 1:
                message.kind = ANSWER_ITEM;
                if (w->busy && random_chance(&s->random, 200))
                        message.task = w->run.task;
                message.index = random_next(&s->random) >> random_below(&s->random, 64);
                message.item_value = true;
                MEET(s, faults, FAULT_worker_bad_item);
                break;
        case 2:
                message.kind = ANSWER_STREAM;
                if (w->busy && random_chance(&s->random, 200))
                        message.task = w->run.task;
                message.stream = STREAM_STDOUT;
                message.size_bytes = LIMIT_STREAM_CREDIT_BYTES + 1;
                MEET(s, faults, FAULT_worker_overdraws);
                break;
        case 3:
                message.kind = ANSWER_GARBAGE;
                MEET(s, faults, FAULT_worker_says_garbage);
                break;
        case 5:
                message.kind = ANSWER_ASK;
                break;
        case 4:
                message.kind = ANSWER_HELLO;
                MEET(s, faults, FAULT_worker_says_hello_twice);
                break;
        default:
                scribble(s, w);
                return;
        }
        worker_says(s, w, &message);
}
