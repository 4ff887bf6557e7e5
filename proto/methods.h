/* SPDX-License-Identifier: MIT */
/*
 * The methods that a client can call, one table: symbol, name, shape of the positional parameters, flags. The
 * daemon holds a handler for each (checked at compile time), PROTOCOL.md a section for each (checked by a
 * test).
 *
 * Shapes, one letter a positional parameter: s string, n unsigned integer, N id or array of ids, A any value,
 * a array, I array of ids, S array of strings, m map, i integer; after '|' they may be left out. `o`: one map
 * of options may follow.
 */
#ifndef PROTO_METHODS_H
#define PROTO_METHODS_H

#include <stddef.h>

enum method_flags {
        METHOD_FLAG_ADMIN = 1 << 0,  /* admins only */
        METHOD_FLAG_TASK = 1 << 1,   /* brings a task: its arguments may carry descriptors */
        METHOD_FLAG_WAITS = 1 << 2,  /* may answer later: counts as open until then */
        METHOD_FLAG_NOTIFY = 1 << 3, /* only as a notification */
        METHOD_FLAG_BRIEF =
                1 << 4, /* without options it costs what its message's size says, whatever gangerd holds */
};

#define METHOD_TABLE(X)                                                                                      \
        X(HELLO, "hello", "|o", 0)                                                                           \
        X(PING, "ping", "", 0)                                                                               \
        X(CALL, "call", "sao", METHOD_FLAG_TASK | METHOD_FLAG_WAITS | METHOD_FLAG_BRIEF)                     \
        X(SUBMIT, "submit", "sao", METHOD_FLAG_TASK | METHOD_FLAG_BRIEF)                                     \
        X(RESULT, "result", "no", METHOD_FLAG_WAITS)                                                         \
        X(WAIT, "wait", "Io", METHOD_FLAG_WAITS)                                                             \
        X(ATTACH, "attach", "no", METHOD_FLAG_WAITS)                                                         \
        X(CANCEL, "cancel", "N", 0)                                                                          \
        X(MAP, "map", "sao", METHOD_FLAG_TASK | METHOD_FLAG_WAITS)                                           \
        X(FEED, "feed", "na|A", METHOD_FLAG_TASK | METHOD_FLAG_NOTIFY)                                       \
        X(MORE, "more", "nn", METHOD_FLAG_NOTIFY)                                                            \
        X(TASK, "task", "n", 0)                                                                              \
        X(TASKS, "tasks", "o", 0)                                                                            \
        X(FUNCTIONS, "functions", "", 0)                                                                     \
        X(STATUS, "status", "", 0)                                                                           \
        X(SUBSCRIBE, "subscribe", "So", METHOD_FLAG_WAITS)                                                   \
        X(METRICS, "metrics", "", 0)                                                                         \
        X(CANCEL_REQUEST, "cancel_request", "n", 0)                                                          \
        X(RELOAD, "reload", "o", METHOD_FLAG_ADMIN | METHOD_FLAG_WAITS)                                      \
        X(LOG_LEVEL, "log_level", "|s", METHOD_FLAG_ADMIN)                                                   \
        X(POOL_SCALE, "pool.scale", "sn", METHOD_FLAG_ADMIN)                                                 \
        X(POOL_PAUSE, "pool.pause", "s", METHOD_FLAG_ADMIN)                                                  \
        X(POOL_RESUME, "pool.resume", "s", METHOD_FLAG_ADMIN)                                                \
        X(POOL_DRAIN, "pool.drain", "so", METHOD_FLAG_ADMIN | METHOD_FLAG_WAITS)                             \
        X(POOL_RELOAD, "pool.reload", "so", METHOD_FLAG_ADMIN | METHOD_FLAG_WAITS)                           \
        X(SHARED_OPEN, "shared.open", "so", METHOD_FLAG_WAITS)                                               \
        X(SHARED_LIST, "shared.list", "o", 0)                                                                \
        X(SHARED_UNLINK, "shared.unlink", "s", 0)                                                            \
        X(LOCK_ACQUIRE, "lock.acquire", "so", METHOD_FLAG_WAITS)                                             \
        X(LOCK_RELEASE, "lock.release", "so", 0)                                                             \
        X(CONDITION_WAIT, "condition.wait", "so", METHOD_FLAG_WAITS)                                         \
        X(CONDITION_NOTIFY, "condition.notify", "so", 0)                                                     \
        X(EVENT_SET, "event.set", "s", 0)                                                                    \
        X(EVENT_CLEAR, "event.clear", "s", 0)                                                                \
        X(EVENT_IS_SET, "event.is_set", "s", 0)                                                              \
        X(EVENT_WAIT, "event.wait", "so", METHOD_FLAG_WAITS)                                                 \
        X(BARRIER_WAIT, "barrier.wait", "so", METHOD_FLAG_WAITS)                                             \
        X(BARRIER_RESET, "barrier.reset", "s", 0)                                                            \
        X(BARRIER_ABORT, "barrier.abort", "s", 0)                                                            \
        X(QUEUE_PUT, "queue.put", "sao", METHOD_FLAG_WAITS)                                                  \
        X(QUEUE_GET, "queue.get", "so", METHOD_FLAG_WAITS)                                                   \
        X(QUEUE_TASK_DONE, "queue.task_done", "sN", 0)                                                       \
        X(QUEUE_JOIN, "queue.join", "so", METHOD_FLAG_WAITS)                                                 \
        X(QUEUE_SIZE, "queue.size", "s", 0)                                                                  \
        X(PIPE_OPEN, "pipe.open", "s", 0)                                                                    \
        X(DICT_GET, "dict.get", "sA", 0)                                                                     \
        X(DICT_SET, "dict.set", "smo", 0)                                                                    \
        X(DICT_DELETE, "dict.delete", "sAo", 0)                                                              \
        X(DICT_ADD, "dict.add", "ssA", 0)                                                                    \
        X(DICT_ITEMS, "dict.items", "so", 0)                                                                 \
        X(DICT_LEN, "dict.len", "s", 0)                                                                      \
        X(DICT_WATCH, "dict.watch", "so", METHOD_FLAG_WAITS)                                                 \
        X(LIST_PUSH, "list.push", "sao", 0)                                                                  \
        X(LIST_POP, "list.pop", "so", 0)                                                                     \
        X(LIST_GET, "list.get", "si", 0)                                                                     \
        X(LIST_SET, "list.set", "siAo", 0)                                                                   \
        X(LIST_SLICE, "list.slice", "sii", 0)                                                                \
        X(LIST_LEN, "list.len", "s", 0)

enum method {
#define X(symbol, name, shape, flags) METHOD_##symbol,
        METHOD_TABLE(X)
#undef X
                N_METHODS
};

struct method_info {
        const char *name;
        size_t name_size_bytes;
        const char *shape;
        unsigned flags;
};

extern const struct method_info method_table[N_METHODS];

/* The method of a name; N_METHODS if there is none. */
enum method method_from_name(const char *name, size_t size_bytes);

#endif
