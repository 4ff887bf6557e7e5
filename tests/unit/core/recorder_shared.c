/* SPDX-License-Identifier: MIT */
/* Shared objects: what is recorded of their answers, and the words of their tests. */
#include <string.h>

#include "tests/unit/core/recorder_shared.h"

#define U(x) ((unsigned)(x))

/* -- recording -- */

static void say_items(struct recorder *r, const struct core_shared_answer *answer)
{
        uint64_t n = 0;
        for (const struct core_item *item = answer->items; item; item = item->next, n++) {
                if (answer->flag)
                        say(r, " %u=%u", U(item->token), U(item->payload));
                else
                        say(r, " %u", U(item->payload));
        }
        assert_int_equal(n, answer->count);
}

static void say_changes(struct recorder *r, const struct core_changes *changes)
{
        say(r, " %u to %u:", U(changes->after), U(changes->version));
        for (const struct core_entry *entry = changes->first; entry; entry = core_entry_next(entry)) {
                if (entry->value == PAYLOAD_NONE)
                        say(r, " %s gone at %u", entry->key, U(entry->version));
                else
                        say(r, " %s=%u at %u", entry->key, U(entry->value), U(entry->version));
        }
        say(r, changes->complete ? "" : " and others");
}

void say_shared(void *ctx, struct core_request q, const struct core_shared_answer *answer)
{
        static const char *const names[] = {"nil", "flag", "count", "hold", "items", "changes"};
        struct recorder *r = ctx;
        say(r, "%s %u.%u", names[answer->kind], q.connection, q.msgid);
        switch (answer->kind) {
        case ANSWER_NIL:
                break;
        case ANSWER_FLAG:
                say(r, answer->flag ? " yes" : " no");
                break;
        case ANSWER_COUNT:
                say(r, " %u", U(answer->count));
                break;
        case ANSWER_HOLD:
                say(r, " %u%s", U(answer->token), answer->abandoned ? " abandoned" : "");
                break;
        case ANSWER_ITEMS:
                say_items(r, answer);
                break;
        case ANSWER_CHANGES:
                say_changes(r, &answer->changes);
                break;
        }
        say(r, "\n");
}

/* -- scenes -- */

struct recorder *begin_shared(void)
{
        struct recorder *r = begin(1, 1);
        client(r, 2, ALICE);
        client(r, BOBS, BOB);
        return r;
}

struct recorder *begin_tasks(uint32_t n)
{
        struct recorder *r = begin(n, 1);
        for (uint32_t i = 1; i <= n; i++) {
                call(r, 1, i);
                turn(r, 0);
                open_task(r, TASK_1 + i - 1, r->sent_to);
        }
        client(r, 2, ALICE);
        forget(r);
        return r;
}

/* -- words -- */

struct core_open a(enum core_object_kind kind)
{
        return (struct core_open){.kind = kind, .mode = 0600, .gid = (gid_t)-1};
}

struct core_open a_with(enum core_object_kind kind, enum core_property property, uint64_t value)
{
        struct core_open open = a(kind);
        open.shape.given = 1U << property;
        open.shape.values[property] = value;
        return open;
}

struct core_value value(struct recorder *r, payload_t payload)
{
        r->n_payloads++;
        return (struct core_value){.payload = payload, .size_bytes = 100};
}

struct core_request at(uint32_t connection, uint32_t msgid)
{
        return (struct core_request){connection, msgid};
}

static int checked(struct recorder *r, int result)
{
        core_check(r->core);
        return result;
}

void leave(struct recorder *r, uint32_t connection)
{
        core_connection_close(r->core, connection, r->now);
        core_check(r->core);
}

void give_up(struct recorder *r, uint32_t connection, uint32_t msgid)
{
        assert_int_equal(core_cancel_request(r->core, at(connection, msgid), r->now), 0);
        core_check(r->core);
}

int unlink_object(struct recorder *r, uint32_t connection, const char *name)
{
        return checked(r, core_object_unlink(r->core, connection, name, r->now));
}

struct core_object look(struct recorder *r, const char *name)
{
        struct core_object object;
        assert_int_equal(core_object_look(r->core, 1, name, N_OBJECT_KINDS, &object), 0);
        return object;
}

/* -- locks -- */

static int lock(struct recorder *r, struct core_request request, const char *name,
                const struct core_open *open, uint64_t owner, int64_t timeout)
{
        return checked(r, core_lock_acquire(r->core, request, name, open, owner, timeout, r->now));
}

int acquire(struct recorder *r, uint32_t connection, uint32_t msgid, const char *name)
{
        return acquire_within(r, connection, msgid, name, CORE_NEVER);
}

int acquire_as(struct recorder *r, uint32_t connection, uint32_t msgid, const char *name, uint64_t owner)
{
        struct core_open open = a(OBJECT_LOCK);
        return lock(r, at(connection, msgid), name, &open, owner, CORE_NEVER);
}

int acquire_within(struct recorder *r, uint32_t connection, uint32_t msgid, const char *name, int64_t timeout)
{
        struct core_open open = a(OBJECT_LOCK);
        return lock(r, at(connection, msgid), name, &open, 0, timeout);
}

int acquire_with(struct recorder *r, uint32_t connection, uint32_t msgid, const char *name,
                 struct core_open open)
{
        return lock(r, at(connection, msgid), name, &open, 0, CORE_NEVER);
}

int release(struct recorder *r, uint32_t connection, const char *name)
{
        return release_as(r, connection, name, 0);
}

int release_as(struct recorder *r, uint32_t connection, const char *name, uint64_t owner)
{
        return checked(r, core_lock_release(r->core, connection, name, 0, owner, r->now));
}

int release_token(struct recorder *r, uint32_t connection, const char *name, uint64_t token)
{
        return checked(r, core_lock_release(r->core, connection, name, token, 0, r->now));
}

int wait_condition(struct recorder *r, uint32_t connection, uint32_t msgid, const char *name, int64_t timeout)
{
        return checked(r, core_condition_wait(r->core, at(connection, msgid), name, 0, timeout, r->now));
}

uint64_t notify(struct recorder *r, uint32_t connection, const char *name, uint64_t n)
{
        uint64_t notified;
        assert_int_equal(core_condition_notify(r->core, connection, name, 0, n, r->now, &notified), 0);
        core_check(r->core);
        return notified;
}

/* -- queues: all of one name -- */

int put(struct recorder *r, uint32_t connection, uint32_t msgid, payload_t first, size_t n, uint64_t maxsize,
        int64_t timeout)
{
        struct core_open open = maxsize ? a_with(OBJECT_QUEUE, PROPERTY_MAXSIZE, maxsize) : a(OBJECT_QUEUE);
        struct core_value values[16];
        assert_true(n <= 16);
        for (size_t i = 0; i < n; i++)
                values[i] = value(r, first + (payload_t)i);
        int result =
                core_queue_put(r->core, at(connection, msgid), "queue", &open, values, n, timeout, r->now);
        if (result)
                r->n_payloads -= (uint32_t)n;
        return checked(r, result);
}

int get(struct recorder *r, uint32_t connection, uint32_t msgid, uint32_t max, bool ack, int64_t timeout)
{
        struct core_open open = a(OBJECT_QUEUE);
        return checked(
                r, core_queue_get(r->core, at(connection, msgid), "queue", &open, max, ack, timeout, r->now));
}

size_t done(struct recorder *r, uint32_t connection, uint64_t token)
{
        size_t n;
        assert_int_equal(core_queue_done(r->core, connection, "queue", &token, 1, r->now, &n), 0);
        core_check(r->core);
        return n;
}

int join(struct recorder *r, uint32_t connection, uint32_t msgid, int64_t timeout)
{
        struct core_open open = a(OBJECT_QUEUE);
        return checked(r, core_queue_join(r->core, at(connection, msgid), "queue", &open, timeout, r->now));
}
