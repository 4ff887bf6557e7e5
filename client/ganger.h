/* SPDX-License-Identifier: MIT */
/*
 * ganger.h - the client library of ganger: run functions in the workers of a gangerd on this machine.
 *
 *      struct ganger *g;
 *      struct ganger_reply *reply = NULL;
 *      const char *text;
 *      int r = ganger_open(&g, NULL);
 *      if (r == 0)
 *              r = ganger_call(g, &reply, NULL, "digest.sha256", "[s]", "/etc/os-release");
 *      if (r == 0 && ganger_read(reply, "s", &text) == 0)
 *              puts(text);
 *      else
 *              fprintf(stderr, "%s\n", r < 0 ? strerror(-r) : ganger_message(reply));
 *      ganger_reply_free(reply);
 *      ganger_close(g);
 *
 * What calls return: 0: success. < 0: -errno: the connection, memory or misuse; there is no reply. > 0: an
 * enum ganger_code: the daemon refused or the task came to a bad end; the reply holds the record. A handle or
 * reply that is not there (< 0) is given back as NULL, so that it may be freed in any case.
 *
 * A handle is used by one thread at a time, and so is a reply: by any, also when its handle is closed. After
 * fork() only the parent may use a handle (the child gets -ECHILD, also where a callback returns in it; it
 * calls ganger_close()). The library prints nothing, touches no signal, starts no thread. A connection that
 * was lost stays lost, unless ganger_set_reconnect() says otherwise: every call then returns the same
 * negative number.
 *
 * Callbacks, next_item and on_ended among them, may start requests on their handle; what waits (-EBUSY),
 * ganger_dispatch() and ganger_close() are not for them.
 */
#ifndef GANGER_H
#define GANGER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && defined(GANGER_BUILDING_LIBRARY)
#define GANGER_API __attribute__((visibility("default")))
#else
#define GANGER_API
#endif

/* One for each error code of the wire; numbers are never reused. */
enum ganger_code {
        GANGER_OK = 0,
        GANGER_PROTOCOL_ERROR = 1,
        GANGER_UNKNOWN_METHOD = 2,
        GANGER_INVALID_PARAMS = 3,
        GANGER_UNKNOWN_FUNCTION = 4,
        GANGER_UNKNOWN_POOL = 5,
        GANGER_UNKNOWN_TASK = 6,
        GANGER_NOT_PERMITTED = 7,
        GANGER_NOT_READY = 8,
        GANGER_QUEUE_FULL = 9,
        GANGER_QUOTA_EXCEEDED = 10,
        GANGER_TOO_LARGE = 11,
        GANGER_SHUTTING_DOWN = 12,
        GANGER_OUT_OF_MEMORY = 13,
        GANGER_DEADLOCK = 14,
        GANGER_KEY_CONFLICT = 15,
        GANGER_NESTING_LIMIT = 16,
        GANGER_UNKNOWN_OBJECT = 17,
        GANGER_BROKEN_BARRIER = 18,
        GANGER_TASK_FAILED = 32,
        GANGER_WORKER_LOST = 33,
        GANGER_TIMED_OUT = 34,
        GANGER_CANCELLED = 35,
        GANGER_EXPIRED = 36,
        GANGER_OTHER = 255 /* a code that this library does not know; ganger_code_name() has it */
};

/* One connection to a daemon. */
struct ganger;
/* One answer: a result, or an error with its record. Everything read from it lives as long as it does. */
struct ganger_reply;

/* Options of a task, read while the call is made. Initialise with GANGER_OPTIONS_INIT; what stays zero is the
 * daemon's default. Times are seconds. Options that are not members (`key`, `retries`, `retry_on`, `backoff`,
 * …) are given as MessagePack in `more`: {.more = "\xa7retries\x03", .more_size_bytes = 9, .n_more = 1}. */
struct ganger_options {
        size_t size_bytes; /* of this struct: set by GANGER_OPTIONS_INIT */
        const char *pool;
        const char *label;
        int priority;
        double delay, expires, timeout, ttl;
        int detached;
        const char *const *stream; /* "progress", "stdout", "stderr", NULL */
        /* map only: */
        uint32_t chunk, limit;
        int ordered, fail_fast;
        /* further pairs of the option map, ready MessagePack: n_more keys and values */
        const void *more;
        size_t more_size_bytes;
        unsigned n_more;
};
#define GANGER_OPTIONS_INIT                                                                                  \
        {                                                                                                    \
                sizeof(struct ganger_options), NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, NULL, 0, 0    \
        }

/* ---- connection ---- */

/* Connects, blocking (at most a few seconds if the daemon's queue of connections is full: -EAGAIN). hello
 * goes out with the first request: what is no ganger shows there, as -EPROTO. `path` NULL: $GANGER_SOCKET,
 * else the first of the user's own and the system's socket on which somebody listens. -ENOENT, -ECONNREFUSED:
 * nobody listens; -EACCES: not for this user; -ENAMETOOLONG: over 107 bytes. */
GANGER_API int ganger_open(struct ganger **ret, const char *path);
/* Ends the connection: its open calls and maps are cancelled by the daemon, what it submitted stays. Open
 * requests are told -ECANCELED (not in the child of a fork). Takes NULL, returns NULL; within a callback of
 * the same handle it does nothing and returns the handle. */
GANGER_API struct ganger *ganger_close(struct ganger *);

/* Off at first. From now on the handle waits for the daemon when the connection to it is lost: at most
 * patience_ms from each loss until a daemon at the same path has answered, then it is lost with -ETIMEDOUT;
 * < 0: as long as it takes; 0: off again. It tries after 10 ms, then after pauses that double up to 1 s. To
 * be called before ganger_fd() is asked for, which is another one then, and stays the same; before, too, what
 * is to be sent again is started. -EOPNOTSUPP: the handle was not connected by a path.
 *
 * Requests that have no answer, and those that are made meanwhile, wait and are sent again:
 *
 * - tasks (ganger_call(), _start(), _submit(), _map(): of a map the items that have not ended) run at least
 *   once then, maybe several times: what is sent again counts it, as its `attempt` in the task's and the
 * failure's record. With the option `key` a daemon that lives on joins what is sent again to the task that is
 * there (and of a call, that was cancelled when its connection was lost, gives that end); a new one runs it
 * again, once, however many send it. Descriptors go along again: what a program has read from one is not
 * there a second time.
 * - what only asks or sets something (_result(), _wait(), _cancel(), …) is asked again. A new daemon knows no
 *   tasks of the one before: GANGER_UNKNOWN_TASK, of _wait() the state "unknown".
 * - times run on meanwhile: a timeout to wait for, `expires` and `delay`. One that is over: -ETIMEDOUT.
 * - a task that the daemon refuses because it is about to end (GANGER_SHUTTING_DOWN) waits for the next one;
 *   one that it had taken and ends itself then (GANGER_CANCELLED, `ended_by` "shutdown") is answered with
 * that.
 *
 * Never sent again:
 *
 * - what has streamed something, `subscribe`, what is fed (`feed`, `more`), methods that this library does
 * not know, and what was sent 100 times: told the loss, -ECONNRESET or the like. What was given up by
 * cancel_request: -ECANCELED. Notifications are sent once at most; made while there is no connection:
 * -ENOTCONN.
 * - requests about shared objects (shared.…, lock.…, condition.…, event.…, barrier.…, queue.…, pipe.…,
 * dict.…, list.…): the objects were the daemon's. Whoever waits gets -ESTALE, and so does each further one on
 * a handle that had made such a request before the loss: open another handle for the new daemon's objects.
 * What ganger_shared_open() mapped stays, but nobody who opens it by name now shares it.
 * - anything, where the connection held a lock or leased items when it was lost: the handle is lost with it,
 *   as without this option, for the program must not go on as if it held them. */
GANGER_API int ganger_set_reconnect(struct ganger *, int64_t patience_ms);

/* ---- blocking calls ----
 *
 * `format` describes the arguments that follow, in the manner of sd_bus_message_append(), a letter a value:
 *
 *      s  const char * (NULL: nil)             i  int64_t      d  double
 *      y  const void *, size_t: bytes          u  uint64_t     b  int: boolean
 *      m  const void *, size_t: one value      n  nil          h  int: an open descriptor, which is
 *         that is MessagePack already                             duplicated; at most 16 a request
 *      […]  an array of what is inside         {s…}  a map: keys (strings) and values in turn
 *      M  const void *, size_t, const int *, size_t: one value that is MessagePack already, and the
 *         descriptors that its ext values of type 71 claim, in their order; they are duplicated
 *
 * For calls of a function it is the array of its arguments: "[si]"; NULL is "[]". Mind the types: a literal
 * for `i` or `u` needs a cast. A format that is none, or not one array where one is due: -EINVAL; a request
 * larger than the daemon takes: -EMSGSIZE; too many descriptors: -E2BIG; within a callback of the same
 * handle: -EBUSY. A signal does not end these calls.
 *
 * Large bytes go beside the message, in memory of their own. A handle has a descriptor of it (at most 64 in
 * all) until the answer is there, and then until its reply is freed or the next request is made. A reply
 * with large bytes has a descriptor for each until it is freed; where none is free for one that comes, the
 * connection is lost: -EMFILE.
 */

/* Runs the function and waits for its end. `ret` may be NULL: what became of it is all that is wanted. */
GANGER_API int ganger_call(struct ganger *, struct ganger_reply **ret, const struct ganger_options *,
                           const char *function, const char *format, ...);
/* Queues it and returns its id (`ret_id` may be NULL); the result is fetched with ganger_result(), also by
 * another program of this user. */
GANGER_API int ganger_submit(struct ganger *, uint64_t *ret_id, const struct ganger_options *,
                             const char *function, const char *format, ...);
/* Takes the result of a submitted task. timeout_ms < 0: as long as it takes; GANGER_NOT_READY when it is
 * over. */
GANGER_API int ganger_result(struct ganger *, struct ganger_reply **ret, uint64_t id, int64_t timeout_ms);
/* Called for each task that ended: state is "succeeded", "failed", "cancelled", "expired" or "unknown". A
 * return other than 0 ends the call that runs it with that value. */
typedef int (*ganger_on_ended)(void *userdata, uint64_t id, const char *state);
/* Waits until `count` (0: all) of the tasks (at most 65,536) have ended, or the time is over (< 0: as long as
 * it takes), which is no error; then tells which have. */
GANGER_API int ganger_wait(struct ganger *, const uint64_t *ids, size_t n_ids, size_t count,
                           int64_t timeout_ms, ganger_on_ended on_ended, void *userdata);
/* Cancels; 0 also if it had ended. A running task is told to stop. */
GANGER_API int ganger_cancel(struct ganger *, uint64_t id);
/* Any method: `format` describes its params array. */
GANGER_API int ganger_request(struct ganger *, struct ganger_reply **ret, const char *method,
                              const char *format, ...);
/* The record of the last refusal that came without a reply of its own: of ganger_submit(), _wait(),
 * _cancel(), _shared_open() and _map(), and the daemon's last words on a connection that it ended. NULL: none
 * yet. It lives until the next one, or the handle's end. */
GANGER_API const struct ganger_reply *ganger_error(const struct ganger *);

/* ---- memory that is shared ---- */

/* Both are in ganger_shared.h, with all that is done with an object once it is mapped. */
struct ganger_shared;
struct ganger_shared_options;
/* Opens a value or array and maps it, a blocking call. The view is the caller's, to be ended with
 * ganger_shared_unmap(); it needs the handle no more. -EINVAL: options that are none; -EPROTO: what came is
 * no such memory; -EMFILE: no descriptor is free for it, the connection is lost. */
GANGER_API int ganger_shared_open(struct ganger *, struct ganger_shared *ret, const char *name,
                                  const struct ganger_shared_options *);

/* ---- map ---- */

/* One value under construction. */
struct ganger_writer;
/* Appends values as `format` says (there `h` is allowed too). */
GANGER_API int ganger_write(struct ganger_writer *, const char *format, ...);

/* Writes the next item: one array of arguments ("[s]"). Returns 1 when it did, 0 when there are no more, < 0
 * to give up with that value. */
typedef int (*ganger_next_item)(void *userdata, struct ganger_writer *);
/* One item has ended: code 0 and its result, or its failure record. The reply lives during the call. A return
 * other than 0 cancels the map and ends ganger_map() with that value. */
typedef int (*ganger_on_item)(void *userdata, uint64_t index, int code, const struct ganger_reply *);
/* Runs the function on every item, any number of them: they are asked for as the daemon takes them, memory
 * does not grow with the input. Results come in the order in which they are ready (options.ordered: in input
 * order), and wait while next_item takes its time. 0 also if items failed: on_item was told. A map that was
 * given up is waited for until all that ran of it is over; by next_item, then on_item is still told of what
 * ended before the daemon knew. */
GANGER_API int ganger_map(struct ganger *, const struct ganger_options *, const char *function,
                          ganger_next_item next_item, ganger_on_item on_item, void *userdata);

/* ---- asynchronous calls, and any event loop ---- */

/* The answer of an asynchronous request. The reply is the callee's to free. r is as ganger_call() would
 * return it (then, if < 0, reply is NULL). */
typedef void (*ganger_on_reply)(void *userdata, int r, struct ganger_reply *reply);
/* A stream message of an open request: kind "stdout", "stderr" (bytes), "progress" ([done, text]), "items",
 * "event". */
typedef void (*ganger_on_stream)(void *userdata, const char *kind, const struct ganger_reply *);

/* Starts a call; on_reply is called from ganger_dispatch() (or from a blocking call on the same handle, or
 * from ganger_close()), exactly once unless this fails. What is started is sent by the next dispatch or
 * flush.
 */
GANGER_API int ganger_start(struct ganger *, const struct ganger_options *, const char *function,
                            ganger_on_reply on_reply, void *userdata, const char *format, ...);
/* Starts any method; on_stream may be NULL. ret_msgid (may be NULL) is for "cancel_request", "feed", "more".
 */
GANGER_API int ganger_start_request(struct ganger *, uint32_t *ret_msgid, const char *method,
                                    ganger_on_stream on_stream, ganger_on_reply on_reply, void *userdata,
                                    const char *format, ...);
/* Sends a notification: a method that answers nothing. */
GANGER_API int ganger_notify(struct ganger *, const char *method, const char *format, ...);
/* The descriptor to poll, the events to poll for (POLLIN, POLLOUT), and after how many ms at the latest to
 * call ganger_dispatch() (-1: only on events). */
GANGER_API int ganger_fd(const struct ganger *);
GANGER_API int ganger_events(const struct ganger *);
GANGER_API int64_t ganger_timeout_ms(const struct ganger *);
/* Sends and receives what can be without blocking, runs callbacks. Returns the number of callbacks run, or <
 * 0: the connection is lost (every open request was told); -EBUSY: from within a callback. */
GANGER_API int ganger_dispatch(struct ganger *);
/* Only sends what can be without blocking; for a program that starts a request and does something else before
 * it polls. 1: some is left; 0: nothing is; < 0: nothing can be sent any more, the next dispatch tells. */
GANGER_API int ganger_flush(struct ganger *);
/* Requests that have no answer yet. */
GANGER_API size_t ganger_pending(const struct ganger *);

/* ---- replies ---- */

/* Reads values of the result (or of the error record, if the call returned > 0) from its beginning: letters
 * as above with pointers:
 *
 *      s  const char ** (of nil: NULL)         i  int64_t *    d  double * (of any number)
 *      y  const void **, size_t *: bytes       u  uint64_t *   b  int *
 *      m  const void **, size_t *: one value,  n  nothing: nil
 *         whole, as MessagePack                h  int *: a descriptor, closed with the reply:
 *      […]  an array of exactly that many         duplicate it to keep it
 *
 * -EINVAL: of another type or shape; nothing is promised about what was written then. Strings end with a 0
 * byte and hold none (such a one is read with y); they, and bytes, live as long as the reply. */
GANGER_API int ganger_read(const struct ganger_reply *, const char *format, ...);
/* Reads one value of a map by its key, as ganger_read() with that value: -ENOENT if there is no such key. */
GANGER_API int ganger_read_key(const struct ganger_reply *, const char *key, const char *format, ...);
/* Elements of an array, or pairs of a map; -EINVAL: it is neither. */
GANGER_API int64_t ganger_count(const struct ganger_reply *);
/* Reads one element of an array, as ganger_read() with that value: -ENOENT behind the last one. */
GANGER_API int ganger_read_item(const struct ganger_reply *, uint64_t index, const char *format, ...);
/* The result, or the error record, whole, as MessagePack. NULL: there is no memory for bytes that lie beside
 * it (which y reads where they are). */
GANGER_API const void *ganger_data(const struct ganger_reply *, size_t *ret_size_bytes);
/* The error's sentence, code, and the code's name as it is on the wire. "", 0 and "" for a success. */
GANGER_API const char *ganger_message(const struct ganger_reply *);
GANGER_API int ganger_code(const struct ganger_reply *);
GANGER_API const char *ganger_code_name(const struct ganger_reply *);
/* Takes NULL, returns NULL. */
GANGER_API struct ganger_reply *ganger_reply_free(struct ganger_reply *);

#ifdef __cplusplus
}
#endif

#endif
