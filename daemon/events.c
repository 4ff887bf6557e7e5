/* SPDX-License-Identifier: MIT */
#include "daemon/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "daemon/connection.h"
#include "daemon/daemon.h"
#include "daemon/encode.h"
#include "daemon/pools.h"
#include "proto/limits.h"
#include "proto/pack.h"

#define EVENTS_A_TURN 256 /* for one subscriber: others are to be served, too */

struct occurrence {
        int64_t at;
        enum event_kind kind;
        enum core_cause cause;
        uint64_t task; /* 0: none; then function, uid are of no meaning */
        uint32_t pool, function;
        uid_t uid;
        pid_t worker_pid;
        int64_t run_time;
};

struct subscriber {
        LIST_ENTRY(subscriber) link; /* events.told, or .behind */
        struct core_ticket ticket;
        uint32_t kinds;
        uint64_t next; /* that it is told */
};

struct events {
        struct daemon *daemon;
        struct occurrence *ring; /* LIMIT_EVENTS of them, by seq */
        uint64_t first, next;    /* of the daemon's life; those from next - LIMIT_EVENTS on are kept */
        uint64_t told_next;      /* those in `told` were told all before it */
        LIST_HEAD(, subscriber) told, behind;
};

/* -- noting -- */

static struct occurrence *note(struct events *events, enum event_kind kind, uint32_t pool)
{
        struct occurrence *event = &events->ring[events->next++ % LIMIT_EVENTS];
        *event = (struct occurrence){.at = events->daemon->now, .kind = kind, .pool = pool};
        return event;
}

static void add_record(struct occurrence *event, const struct core_record *record)
{
        if (!record)
                return;
        event->task = record->id;
        event->function = record->function;
        event->uid = record->uid;
        event->cause = record->cause;
        event->run_time = record->run_time;
        if (!event->worker_pid)
                event->worker_pid = record->worker_pid;
}

void events_note_pool(struct events *events, enum event_kind kind, uint32_t pool)
{
        note(events, kind, pool);
}

void events_note_task(struct events *events, enum event_kind kind, const struct core_record *record)
{
        add_record(note(events, kind, record->pool), record);
}

void events_note_worker(struct events *events, enum event_kind kind, uint32_t pool, pid_t pid,
                        const struct core_record *record)
{
        struct occurrence *event = note(events, kind, pool);

        event->worker_pid = pid;
        add_record(event, record);
}

void events_note_ended(struct events *events, const struct core_record *record)
{
        static const enum event_kind kinds[N_TASK_STATES] = {
                [TASK_SUCCEEDED] = EVENT_KIND_TASK_SUCCEEDED,
                [TASK_FAILED] = EVENT_KIND_TASK_FAILED,
                [TASK_CANCELLED] = EVENT_KIND_TASK_CANCELLED,
                [TASK_EXPIRED] = EVENT_KIND_TASK_EXPIRED,
        };

        events_note_task(events, kinds[record->state], record);
}

/* -- telling -- */

static void begin(struct connection *connection, const struct subscriber *subscriber, struct packer *packer)
{
        connection_message_begin(connection, packer);
        pack_notification(packer, "stream", 3);
        pack_uint(packer, subscriber->ticket.request.msgid);
        pack_str(packer, "event");
}

static void pack_begin_event(struct packer *packer, unsigned n_pairs, uint64_t seq, double time,
                             const char *kind)
{
        pack_map(packer, 3 + n_pairs);
        pack_str(packer, "seq");
        pack_uint(packer, seq);
        pack_str(packer, "time");
        pack_double(packer, time);
        pack_str(packer, "kind");
        pack_str(packer, kind);
}

/* What the stream says of itself. n: NULL, or how many are lost (0: nobody knows). */
static void tell_mark(struct events *events, struct connection *connection,
                      const struct subscriber *subscriber, uint64_t seq, const char *kind, const uint64_t *n)
{
        struct packer packer;

        begin(connection, subscriber, &packer);
        pack_begin_event(&packer, n ? 1 : 0, seq, daemon_wall(events->daemon, events->daemon->now), kind);
        if (n) {
                pack_str(&packer, "n");
                if (*n)
                        pack_uint(&packer, *n);
                else
                        pack_nil(&packer);
        }
        connection_message_end(connection, &packer);
}

static void pack_time(struct packer *packer, int64_t ns)
{
        if (ns)
                pack_double(packer, (double)ns / CORE_SECOND);
        else
                pack_nil(packer);
}

static void pack_positive(struct packer *packer, uint64_t n)
{
        if (n)
                pack_uint(packer, n);
        else
                pack_nil(packer);
}

static void tell(struct events *events, struct connection *connection, const struct subscriber *subscriber,
                 uint64_t seq, const struct occurrence *event, bool sees_task)
{
        const struct daemon *daemon = events->daemon;
        const struct pool_function *function =
                sees_task ? pools_function(daemon->pools, event->pool, event->function) : NULL;
        struct packer packer;

        begin(connection, subscriber, &packer);
        pack_begin_event(&packer, 7, seq, daemon_wall(daemon, event->at), event_table[event->kind].name);
        pack_str(&packer, "pool");
        pack_str(&packer, event->pool == CORE_NO_POOL ? NULL : pools_name(daemon->pools, event->pool));
        pack_str(&packer, "worker_pid");
        pack_positive(&packer, event->worker_pid > 0 ? (uint64_t)event->worker_pid : 0);
        pack_str(&packer, "task");
        pack_positive(&packer, sees_task ? event->task : 0);
        pack_str(&packer, "function");
        pack_str(&packer, function ? function->name : NULL);
        pack_str(&packer, "uid");
        if (sees_task)
                pack_uint(&packer, event->uid);
        else
                pack_nil(&packer);
        pack_str(&packer, "code");
        pack_str(&packer, sees_task && event->cause != CAUSE_NONE ? encode_cause(event->cause) : NULL);
        pack_str(&packer, "run_time");
        pack_time(&packer, sees_task ? event->run_time : 0);
        connection_message_end(connection, &packer);
}

/* A worker is everybody's, but not whose task it ran. */
static bool is_for_all(enum event_kind kind)
{
        return kind > EVENT_KIND_USER_OVER;
}

static void skip_lost(struct events *events, struct connection *connection, struct subscriber *subscriber)
{
        uint64_t oldest =
                events->next - events->first > LIMIT_EVENTS ? events->next - LIMIT_EVENTS : events->first;
        uint64_t n = subscriber->next < events->first ? 0 : oldest - subscriber->next;

        if (subscriber->next >= oldest)
                return;
        tell_mark(events, connection, subscriber, oldest - 1, EVENT_LOST, &n);
        subscriber->next = oldest;
}

/* True: there is more for it. */
static bool advance(struct events *events, struct connection *connection, struct subscriber *subscriber)
{
        struct core *core = events->daemon->core;

        if (core_connection_blocked(core, connection->index))
                return false; /* its output drains first */
        skip_lost(events, connection, subscriber);
        for (unsigned n = 0; subscriber->next < events->next; n++) {
                uint64_t seq = subscriber->next++;
                const struct occurrence *event = &events->ring[seq % LIMIT_EVENTS];
                bool sees_task = event->task && (connection->admin || connection->uid == event->uid);

                if ((subscriber->kinds & 1u << event->kind) && (sees_task || is_for_all(event->kind)))
                        tell(events, connection, subscriber, seq, event, sees_task);
                if (n >= EVENTS_A_TURN)
                        return subscriber->next < events->next;
        }
        return false;
}

static void all_behind(struct events *events)
{
        struct subscriber *subscriber;

        while ((subscriber = LIST_FIRST(&events->told))) {
                LIST_REMOVE(subscriber, link);
                LIST_INSERT_HEAD(&events->behind, subscriber, link);
        }
}

/* Where nothing has happened nobody is looked at but who could not be told yet. */
bool events_turn(struct events *events)
{
        struct subscriber *subscriber, *next;
        bool more = false;

        if (events->told_next != events->next)
                all_behind(events);
        events->told_next = events->next;
        for (subscriber = LIST_FIRST(&events->behind); subscriber; subscriber = next) {
                struct connection *connection = connection_by_index(events->daemon->connections,
                                                                    subscriber->ticket.request.connection);
                next = LIST_NEXT(subscriber, link);
                if (connection && advance(events, connection, subscriber))
                        more = true;
                if (subscriber->next == events->told_next) {
                        LIST_REMOVE(subscriber, link);
                        LIST_INSERT_HEAD(&events->told, subscriber, link);
                }
        }
        return more;
}

/* -- subscribers -- */

int events_subscribe(struct events *events, const struct core_ticket *ticket, uint32_t kinds,
                     const uint64_t *after)
{
        struct connection *connection =
                connection_by_index(events->daemon->connections, ticket->request.connection);
        struct subscriber *subscriber = malloc(sizeof(*subscriber));

        if (!subscriber)
                return -ENOMEM;
        *subscriber = (struct subscriber){.ticket = *ticket, .kinds = kinds, .next = events->next};
        LIST_INSERT_HEAD(&events->behind, subscriber, link);
        if (after && *after < events->next)
                subscriber->next = *after + 1;
        tell_mark(events, connection, subscriber, subscriber->next - 1, EVENT_SUBSCRIBED, NULL);
        return 0;
}

static struct subscriber *subscriber_free(struct subscriber *subscriber)
{
        LIST_REMOVE(subscriber, link);
        free(subscriber);
        return NULL;
}

void events_forget(struct events *events, struct core_request request)
{
        struct subscriber *subscriber;

        all_behind(events);
        LIST_FOREACH (subscriber, &events->behind, link) {
                if (subscriber->ticket.request.connection == request.connection &&
                    subscriber->ticket.request.msgid == request.msgid) {
                        subscriber_free(subscriber);
                        return;
                }
        }
}

void events_forget_connection(struct events *events, uint32_t connection)
{
        struct subscriber *subscriber, *next;

        all_behind(events);
        for (subscriber = LIST_FIRST(&events->behind); subscriber; subscriber = next) {
                next = LIST_NEXT(subscriber, link);
                if (subscriber->ticket.request.connection == connection)
                        subscriber_free(subscriber);
        }
}

void events_end(struct events *events)
{
        struct subscriber *subscriber;

        all_behind(events);
        while ((subscriber = LIST_FIRST(&events->behind))) {
                struct connection *connection = connection_by_index(events->daemon->connections,
                                                                    subscriber->ticket.request.connection);
                struct packer packer;

                while (connection && advance(events, connection, subscriber))
                        ;
                if (connection && core_request_end(events->daemon->core, &subscriber->ticket)) {
                        connection_message_begin(connection, &packer);
                        pack_response(&packer, subscriber->ticket.request.msgid);
                        pack_nil(&packer);
                        connection_message_end(connection, &packer);
                }
                subscriber_free(subscriber);
        }
}

int events_new(struct daemon *daemon, uint64_t seq, struct events **ret)
{
        struct events *events = calloc(1, sizeof(*events));

        if (!events)
                return -ENOMEM;
        events->daemon = daemon;
        events->first = events->next = seq + 1;
        events->told_next = events->next;
        LIST_INIT(&events->told);
        LIST_INIT(&events->behind);
        events->ring = calloc(LIMIT_EVENTS, sizeof(*events->ring));
        if (!events->ring) {
                free(events);
                return -ENOMEM;
        }
        *ret = events;
        return 0;
}

struct events *events_free(struct events *events)
{
        if (!events)
                return NULL;
        all_behind(events);
        while (!LIST_EMPTY(&events->behind))
                subscriber_free(LIST_FIRST(&events->behind));
        free(events->ring);
        free(events);
        return NULL;
}
