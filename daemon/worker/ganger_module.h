/* SPDX-License-Identifier: MIT */
/*
 * ganger_module.h - write a task module for ganger in C.
 *
 * A module is a shared object NAME.so that exports one descriptor, made with GANGER_MODULE(). The zygote of a
 * pool loads it once; its functions then run in the pool's workers as "NAME.function". Calls go both ways
 * through tables, so a module links against nothing of ganger and keeps working with later daemons of the
 * same ABI.
 *
 *      static int twice(struct ganger_task *task)
 *      {
 *              int64_t n;
 *              if (ganger_get_int(task, &n) < 0)
 *                      return ganger_fail(task, "wants one integer");
 *              return ganger_put_int(task, 2 * n);
 *      }
 *
 *      static const struct ganger_function functions[] = {
 *              {.name = "twice", .run = twice, .summary = "[n] -> 2n"},
 *      };
 *      GANGER_MODULE(.name = "maths", .functions = functions, .n_functions = 1);
 *
 * A task may ask the daemon for something itself and wait for the answer, in the name of its user: that other
 * functions be called, or anything else that a client may ask for but an admin's methods (PROTOCOL.md).
 *
 *      int r = ganger_call(task, "digest.sha256", "s", "/etc/os-release");
 *      return r ? r : ganger_put_reply(task);
 *
 * Rules: load() and the module's constructors must not start threads (workers are forked from that process).
 * run() is called in one thread, one task at a time. Pointers got from the reader live until run() returns.
 * Standard library only; C99 and C++ clean (C++ without designated initialisers fills the struct by
 * position).
 */
#ifndef GANGER_MODULE_H
#define GANGER_MODULE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A zygote loads modules of its own ABI number and refuses others by name. Tables only grow at their end, so
 * both sides look at .size before they use a member that is newer than number 1's first release. */
#define GANGER_MODULE_ABI 1

enum ganger_type {
        GANGER_NIL,
        GANGER_BOOL,
        GANGER_INT,  /* fits an int64_t */
        GANGER_UINT, /* above INT64_MAX */
        GANGER_DOUBLE,
        GANGER_STR,
        GANGER_BIN,
        GANGER_ARRAY, /* .count elements follow */
        GANGER_MAP,   /* .count pairs of key and value follow */
        GANGER_FD,    /* an open file descriptor; closed by ganger when run() returns */
        GANGER_EXT,
};

struct ganger_value {
        enum ganger_type type;
        int8_t ext_type; /* GANGER_EXT */
        uint32_t count;  /* GANGER_ARRAY, GANGER_MAP */
        union {
                int boolean;
                int64_t i;  /* GANGER_INT */
                uint64_t u; /* GANGER_UINT; also set for a GANGER_INT >= 0 */
                double d;
                int fd;
        } as;
        const char *data; /* GANGER_STR, GANGER_BIN, GANGER_EXT: not terminated by a 0 byte */
        size_t size_bytes;
};

enum ganger_level {
        GANGER_ERROR = 3,
        GANGER_WARNING = 4,
        GANGER_INFO = 6,
        GANGER_DEBUG = 7
}; /* as in syslog(3) */

struct ganger_task;
/* Of ganger_shared.h, which a module includes too that wants shared memory. */
struct ganger_shared;
struct ganger_shared_options;

/* What ganger offers to a running task. Every call returns 0 (or what is said) or a negative errno. */
struct ganger_api {
        uint32_t abi;
        uint32_t size_bytes; /* of this table */

        /* The arguments, read in order: the elements of the args array, one after another, headers of arrays
         * and maps before what they hold. -ENODATA: no argument is left. */
        int (*next)(struct ganger_task *, struct ganger_value *ret);
        int (*peek)(struct ganger_task *, struct ganger_value *ret); /* the same, without going on */
        int (*skip)(struct ganger_task *);                           /* over one whole value */

        /* The result: exactly one value, headers of arrays and maps before what they hold. */
        int (*put_nil)(struct ganger_task *);
        int (*put_bool)(struct ganger_task *, int);
        int (*put_int)(struct ganger_task *, int64_t);
        int (*put_uint)(struct ganger_task *, uint64_t);
        int (*put_double)(struct ganger_task *, double);
        int (*put_str)(struct ganger_task *, const char *data, size_t size_bytes);
        int (*put_bin)(struct ganger_task *, const void *data, size_t size_bytes);
        int (*put_array)(struct ganger_task *, uint32_t n);
        int (*put_map)(struct ganger_task *, uint32_t n);
        int (*put_value)(struct ganger_task *); /* copies the next argument, whole, into the result */
        /* Room for a bin of exactly that size, to be filled before run() returns. NULL: no memory. Valid
         * until the next put. */
        void *(*put_buffer)(struct ganger_task *, size_t size_bytes);

        /* Ends the task as failed: run() returns what this returns (a positive number). `code` may be NULL
         * ("task_failed"); `message` is for people and names what was wrong. What was put as a result before
         * becomes the record's `detail` if it is one whole value, else nothing. */
        int (*fail)(struct ganger_task *, const char *code, const char *format, va_list ap);

        /* News for whoever attached: 0...1 done (what is beyond is taken for the nearest, NaN for 0), and a
         * text that may be NULL. */
        void (*progress)(struct ganger_task *, double done, const char *text);
        /* A message in gangerd's log, with the task's fields. */
        void (*log)(struct ganger_task *, enum ganger_level, const char *file, int line, const char *format,
                    va_list ap);

        /* Whether this task was cancelled or timed out: finish soon. Blocking calls meanwhile return EINTR.
         */
        int (*cancelled)(struct ganger_task *);
        uint64_t (*id)(struct ganger_task *);
        uint32_t (*attempt)(struct ganger_task *); /* 1 for the first */

        /* A file argument: opens the path in a str (or bin) for reading, or takes over the descriptor in a
         * GANGER_FD. Returns a descriptor that ganger closes when run() returns, or a negative errno. */
        int (*open_input)(struct ganger_task *, const struct ganger_value *);

        /* What came later; the functions below look at .size_bytes first. */

        /* A request of the running task to the daemon. After begin the put functions write its n parameters,
         * one after another, instead of the result; end sends it and waits for the answer, also for hours.
         * Returns 0: the reply is the result; > 0: the reply is the error, and a run() that returns this
         * number has its task fail in the same way; -ECANCELED: the task was told to end meanwhile; -EINVAL:
         * what was put is not n parameters (nothing was sent); -EPERM: in a child that the task forked, or
         * after fail(). While the task waits its worker's place is another's, so tasks may wait for tasks;
         * what it submitted and did not detach ends with it. It takes no descriptors; the reply may bring
         * some (GANGER_FD), which are closed with it: who keeps one duplicates it. */
        int (*request_begin)(struct ganger_task *, const char *method, uint32_t n_params);
        int (*request_end)(struct ganger_task *);
        /* The reply: one value, read as the arguments are. What is got from it lives until the next request
         * has been answered, or run() returns. -ENODATA: it is read to its end, or there is none. */
        int (*reply_next)(struct ganger_task *, struct ganger_value *ret);
        int (*reply_peek)(struct ganger_task *, struct ganger_value *ret);
        int (*reply_skip)(struct ganger_task *);
        int (*put_reply)(struct ganger_task *); /* copies the reply's next value, whole */
        /* Of a reply that is an error: its code ("unknown_function") and message; else "". */
        const char *(*reply_code)(struct ganger_task *);
        const char *(*reply_message)(struct ganger_task *);

        /* Newer than the requests. */
        int (*shared_open)(struct ganger_task *, struct ganger_shared *ret, const char *name,
                           const struct ganger_shared_options *);
};

/* The part of a running task that a module sees. */
struct ganger_task {
        const struct ganger_api *api;
        void *state; /* what the module's load() returned in *ret_state */
};

struct ganger_function {
        const char *name; /* without the module's: "twice" */
        int (*run)(struct ganger_task
                           *); /* 0, what ganger_fail() returned, or a negative errno (then it failed so) */
        const char *summary;   /* arguments and result, one line: "[n] -> 2n" */
};

/* A key of the configuration's section [module NAME]. */
struct ganger_setting {
        const char *key;
        const char *value;
};

struct ganger_module {
        uint32_t abi;        /* GANGER_MODULE_ABI */
        uint32_t size_bytes; /* sizeof(struct ganger_module) */
        const char *name;    /* letters, digits, '_'; the functions' prefix */
        const char *version; /* for people; may be NULL */
        const struct ganger_function *functions;
        size_t n_functions;
        /* All three may be NULL and return 0 or a negative errno. load: in the zygote, once; what it says in
         * `error` is shown to the administrator. start, stop: in each worker, before its first and after its
         * last task. */
        int (*load)(void **ret_state, const struct ganger_setting *settings, size_t n_settings, char *error,
                    size_t error_size_bytes);
        int (*start)(void *state);
        void (*stop)(void *state);
};

#ifdef __cplusplus
#define GANGER_MODULE_LINKAGE_ extern "C"
#else
#define GANGER_MODULE_LINKAGE_
#endif

/* Defines the exported descriptor; the arguments initialise struct ganger_module from .name on. */
#define GANGER_MODULE(...)                                                                                   \
        GANGER_MODULE_LINKAGE_ __attribute__((visibility("default")))                                        \
        const struct ganger_module ganger_module;                                                            \
        const struct ganger_module ganger_module = {GANGER_MODULE_ABI, sizeof(struct ganger_module),         \
                                                    __VA_ARGS__}

/* The calls, as functions. */
static inline int ganger_next(struct ganger_task *task, struct ganger_value *ret)
{
        return task->api->next(task, ret);
}
static inline int ganger_peek(struct ganger_task *task, struct ganger_value *ret)
{
        return task->api->peek(task, ret);
}
static inline int ganger_skip(struct ganger_task *task)
{
        return task->api->skip(task);
}

/* -ENODATA: no argument is left; -EINVAL: of another type. */
static inline int ganger_get_(struct ganger_task *task, enum ganger_type type, struct ganger_value *ret)
{
        int r = task->api->next(task, ret);
        return r < 0 ? r : ret->type == type ? 0 : -22;
}
static inline int ganger_get_bool(struct ganger_task *task, int *ret)
{
        struct ganger_value value;
        int r = ganger_get_(task, GANGER_BOOL, &value);
        if (r == 0)
                *ret = value.as.boolean;
        return r;
}
static inline int ganger_get_int(struct ganger_task *task, int64_t *ret)
{
        struct ganger_value value;
        int r = ganger_get_(task, GANGER_INT, &value);
        if (r == 0)
                *ret = value.as.i;
        return r;
}
/* Takes integers too. */
static inline int ganger_get_double(struct ganger_task *task, double *ret)
{
        struct ganger_value value;
        int r = task->api->next(task, &value);
        if (r < 0)
                return r;
        if (value.type == GANGER_DOUBLE)
                *ret = value.as.d;
        else if (value.type == GANGER_INT)
                *ret = (double)value.as.i;
        else if (value.type == GANGER_UINT)
                *ret = (double)value.as.u;
        else
                return -22;
        return 0;
}
static inline int ganger_get_str(struct ganger_task *task, const char **ret, size_t *ret_size_bytes)
{
        struct ganger_value value;
        int r = ganger_get_(task, GANGER_STR, &value);
        if (r == 0) {
                *ret = value.data;
                *ret_size_bytes = value.size_bytes;
        }
        return r;
}
static inline int ganger_get_array(struct ganger_task *task, uint32_t *ret_n)
{
        struct ganger_value value;
        int r = ganger_get_(task, GANGER_ARRAY, &value);
        if (r == 0)
                *ret_n = value.count;
        return r;
}
static inline int ganger_get_map(struct ganger_task *task, uint32_t *ret_n)
{
        struct ganger_value value;
        int r = ganger_get_(task, GANGER_MAP, &value);
        if (r == 0)
                *ret_n = value.count;
        return r;
}

static inline int ganger_put_nil(struct ganger_task *task)
{
        return task->api->put_nil(task);
}
static inline int ganger_put_bool(struct ganger_task *task, int value)
{
        return task->api->put_bool(task, value);
}
static inline int ganger_put_int(struct ganger_task *task, int64_t value)
{
        return task->api->put_int(task, value);
}
static inline int ganger_put_uint(struct ganger_task *task, uint64_t value)
{
        return task->api->put_uint(task, value);
}
static inline int ganger_put_double(struct ganger_task *task, double value)
{
        return task->api->put_double(task, value);
}
static inline int ganger_put_str(struct ganger_task *task, const char *data, size_t size_bytes)
{
        return task->api->put_str(task, data, size_bytes);
}
static inline int ganger_put_bin(struct ganger_task *task, const void *data, size_t size_bytes)
{
        return task->api->put_bin(task, data, size_bytes);
}
static inline int ganger_put_array(struct ganger_task *task, uint32_t n)
{
        return task->api->put_array(task, n);
}
static inline int ganger_put_map(struct ganger_task *task, uint32_t n)
{
        return task->api->put_map(task, n);
}
static inline void *ganger_put_buffer(struct ganger_task *task, size_t size_bytes)
{
        return task->api->put_buffer(task, size_bytes);
}
static inline int ganger_cancelled(struct ganger_task *task)
{
        return task->api->cancelled(task);
}
static inline void ganger_progress(struct ganger_task *task, double done, const char *text)
{
        task->api->progress(task, done, text);
}
static inline int ganger_open_input(struct ganger_task *task, const struct ganger_value *value)
{
        return task->api->open_input(task, value);
}

/* Requests. -ENOSYS: the daemon is older than they are. */
static inline int ganger_request_begin(struct ganger_task *task, const char *method, uint32_t n_params)
{
        if (task->api->size_bytes < offsetof(struct ganger_api, reply_message) + sizeof(void *))
                return -38;
        return task->api->request_begin(task, method, n_params);
}
static inline int ganger_request_end(struct ganger_task *task)
{
        return task->api->request_end(task);
}
static inline int ganger_reply_next(struct ganger_task *task, struct ganger_value *ret)
{
        return task->api->reply_next(task, ret);
}
static inline int ganger_reply_peek(struct ganger_task *task, struct ganger_value *ret)
{
        return task->api->reply_peek(task, ret);
}
static inline int ganger_reply_skip(struct ganger_task *task)
{
        return task->api->reply_skip(task);
}
static inline int ganger_put_reply(struct ganger_task *task)
{
        return task->api->put_reply(task);
}
static inline const char *ganger_reply_code(struct ganger_task *task)
{
        return task->api->reply_code(task);
}
static inline const char *ganger_reply_message(struct ganger_task *task)
{
        return task->api->reply_message(task);
}

/* Opens a value or array and maps it: a request, which returns as ganger_request_end() does, or < 0: -EPROTO,
 * or what mmap() says (memory_limit counts it). What is done with the view then is in ganger_shared.h. It is
 * the module's, and may serve its later tasks too, until it is unmapped with ganger_shared_unmap(). The
 * object's own lock is held by the thread, not by the task: who took it gives it back before run() returns.
 */
static inline int ganger_shared_open(struct ganger_task *task, struct ganger_shared *ret, const char *name,
                                     const struct ganger_shared_options *options)
{
        if (task->api->size_bytes < offsetof(struct ganger_api, shared_open) + sizeof(void *))
                return -38;
        return task->api->shared_open(task, ret, name, options);
}

/* Puts values as `format` says, a letter a value; the first error is returned. */
static inline int ganger_put_format_(struct ganger_task *task, const char *format, va_list ap)
{
        const char *text;
        int r = 0;
        for (; *format && r == 0; format++)
                switch (*format) {
                case 's':
                        text = va_arg(ap, const char *);
                        r = task->api->put_str(task, text, __builtin_strlen(text));
                        break;
                case 'i':
                        r = task->api->put_int(task, va_arg(ap, int64_t));
                        break;
                case 'u':
                        r = task->api->put_uint(task, va_arg(ap, uint64_t));
                        break;
                case 'd':
                        r = task->api->put_double(task, va_arg(ap, double));
                        break;
                case 'b':
                        r = task->api->put_bool(task, va_arg(ap, int));
                        break;
                case 'n':
                        r = task->api->put_nil(task);
                        break;
                default:
                        r = -22;
                }
        return r;
}
/* [function, [arguments]]: a request that is begun is always ended. */
static inline int ganger_ask_(struct ganger_task *task, const char *method, const char *function,
                              const char *format, va_list ap)
{
        int r = ganger_request_begin(task, method, 2), ended;
        if (r < 0)
                return r;
        task->api->put_str(task, function, __builtin_strlen(function));
        task->api->put_array(task, (uint32_t)__builtin_strlen(format));
        r = ganger_put_format_(task, format, ap);
        ended = task->api->request_end(task);
        return r < 0 ? r : ended;
}
/* Calls a function and waits for its end; the reply is its result. `format`: of its arguments, a letter each:
 * s const char *, i int64_t, u uint64_t, d double, b int (boolean), n nil; "" for none. Mind the types: a
 * literal for i or u needs a cast. Others, and options, by ganger_request_begin(task, "call", 3). */
static inline int ganger_call(struct ganger_task *task, const char *function, const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        int r = ganger_ask_(task, "call", function, format, ap);
        va_end(ap);
        return r;
}
/* Queues it; *ret_id is for ganger_result(). It is cancelled when this task ends. */
static inline int ganger_submit(struct ganger_task *task, uint64_t *ret_id, const char *function,
                                const char *format, ...)
{
        struct ganger_value value;
        va_list ap;
        va_start(ap, format);
        int r = ganger_ask_(task, "submit", function, format, ap);
        va_end(ap);
        if (r == 0)
                r = task->api->reply_next(task, &value);
        if (r == 0)
                *ret_id = value.as.u;
        return r;
}
/* Waits for the end of a submitted task; the reply is its result. */
static inline int ganger_result(struct ganger_task *task, uint64_t id)
{
        int r = ganger_request_begin(task, "result", 1);
        if (r < 0)
                return r;
        task->api->put_uint(task, id);
        return task->api->request_end(task);
}

__attribute__((format(printf, 2, 3))) static inline int ganger_fail(struct ganger_task *task,
                                                                    const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        int r = task->api->fail(task, NULL, format, ap);
        va_end(ap);
        return r;
}
__attribute__((format(printf, 5, 6))) static inline void ganger_log_(struct ganger_task *task,
                                                                     enum ganger_level level,
                                                                     const char *file, int line,
                                                                     const char *format, ...)
{
        va_list ap;
        va_start(ap, format);
        task->api->log(task, level, file, line, format, ap);
        va_end(ap);
}
#define ganger_log(task, level, ...) ganger_log_((task), (level), __FILE__, __LINE__, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#endif
