/* SPDX-License-Identifier: MIT */
/*
 * The core's border for shared objects: what has a name, is owned by a user and outlives who uses it. Locks
 * and leases are held by a connection (a client's, or a task's), by one of its owners, and are over with it.
 *
 * Names are strings of 1 to LIMIT_NAME_BYTES bytes. Functions answer as those of core.h do: 0, an enum
 * core_refusal or -ENOMEM; those that get a request may answer it at once or later, by answer_shared.
 */
#ifndef CORE_CORE_SHARED_H
#define CORE_CORE_SHARED_H

#include "daemon/core/core.h"

enum core_object_kind {
        OBJECT_VALUE,
        OBJECT_ARRAY,
        OBJECT_LOCK,
        OBJECT_EVENT,
        OBJECT_BARRIER,
        OBJECT_QUEUE,
        OBJECT_PIPE,
        OBJECT_DICT,
        OBJECT_LIST,
        N_OBJECT_KINDS
};

/* How an object is; what of it is its maker's to say is set for good. */
enum core_property {
        PROPERTY_TYPE,   /* value, array: enum ganger_shared_type */
        PROPERTY_LENGTH, /* value, array */
        PROPERTY_LIMIT,  /* lock */
        PROPERTY_REENTRANT,
        PROPERTY_PARTIES, /* barrier */
        PROPERTY_MAXSIZE, /* queue */
        N_PROPERTIES
};
struct core_shape {
        uint64_t values[N_PROPERTIES];
        unsigned given; /* 1 << property: what was said */
};
enum core_access { ACCESS_WRITE = 2, ACCESS_READ = 4 };

struct core_object {
        uint64_t id; /* never used again */
        const char *name;
        enum core_object_kind kind;
        uid_t uid;
        gid_t gid; /* (gid_t)-1: none */
        mode_t mode;
        unsigned access; /* the looking connection's: enum core_access */
        bool is_new;     /* core_object_open() has made it */
        int64_t created;
        uint64_t cost_bytes;
        uint32_t n_waiting;
        const uint64_t *values; /* by enum core_property */
        payload_t memory;       /* value, array; PAYLOAD_NONE: being made */
        bool is_set, is_broken;
        uint64_t size, n_leased; /* queue: items; dict, list: size */
        uint64_t version;        /* dict, list */
        const struct hold *holders;
};
struct core_holder {
        pid_t pid;
        uint64_t task; /* 0: a client */
        uint64_t owner, token;
};
/* The holder after this one (at first core_object.holders); NULL: it was the last. */
const struct hold *core_holder_next(const struct hold *, struct core_holder *ret);

/* A value that comes in: the core's from success on, the caller's if refused. */
struct core_value {
        payload_t payload;
        uint64_t size_bytes; /* charged: with the caller's overhead */
};

/* What a request about shared objects is answered with. */
struct core_item {
        payload_t payload;
        uint64_t size_bytes;
        uint64_t token;
        const struct core_item *next;
};
struct core_entry { /* of a dictionary */
        const char *key;
        payload_t value; /* PAYLOAD_NONE: deleted */
        uint64_t version;
};
struct core_changes {
        uint64_t after, version;
        bool complete;
        const struct core_entry *first; /* the oldest change after `after` */
        const struct core_entry *end;   /* the first that one answer has no room for; NULL: all are in */
};
/* NULL after the last one. */
const struct core_entry *core_entry_next(const struct core_entry *);
struct core_shared_answer {
        enum { ANSWER_NIL, ANSWER_FLAG, ANSWER_COUNT, ANSWER_HOLD, ANSWER_ITEMS, ANSWER_CHANGES } kind;
        bool flag;
        uint64_t count;
        uint64_t token; /* ANSWER_HOLD */
        bool abandoned;
        const struct core_item *items; /* ANSWER_ITEMS: `count` of them; flag: with their tokens */
        struct core_changes changes;
};

/* Of the last CORE_CLASH or CORE_VERSION: how it is. */
struct core_clash {
        enum core_object_kind kind;
        int property; /* enum core_property that is otherwise; -1: the kind */
        uint64_t value;
        const char *key; /* CORE_VERSION: NULL: a list */
        uint64_t version;
};
struct core_clash core_refused_clash(const struct core *);
/* Of the last CORE_DEADLOCK: the circle, one sentence. */
const char *core_refused_circle(const struct core *);

/* -- objects -- */

struct core_open {
        enum core_object_kind kind;
        struct core_shape shape;
        bool must_exist, exclusive;
        mode_t mode;
        gid_t gid;             /* of who asks */
        uint64_t memory_bytes; /* value, array: to be charged if it is made */
};
/* Makes what is not there. *ret is valid until the next event. */
int core_object_open(struct core *, uint32_t connection, const char *name, const struct core_open *,
                     int64_t now, struct core_object *ret);
/* Whether the value or array is there and has no memory yet. */
bool core_object_wants_memory(const struct core *, uint64_t id);
/* Its memory, of one that wants it: the core's from now on. */
void core_object_memory(struct core *, uint64_t id, payload_t);
/* It could not be had: the object goes. */
void core_object_failed(struct core *, uint64_t id);
/* One that is there, as this connection sees it, and of this kind (N_OBJECT_KINDS: any). */
int core_object_look(struct core *, uint32_t connection, const char *name, enum core_object_kind,
                     struct core_object *ret);
struct core_text {
        const char *data; /* not terminated */
        size_t size_bytes;
};
struct core_range {
        struct core_text after, prefix; /* of names */
};
/* All in the range that the connection may read or write, in the order of names, until `each` says false. */
void core_objects(struct core *, uint32_t connection, const struct core_range *,
                  bool (*each)(void *userdata, const struct core_object *), void *userdata);
int core_object_unlink(struct core *, uint32_t connection, const char *name, int64_t now);

/* -- locks and conditions -- */

int core_lock_acquire(struct core *, struct core_request, const char *name, const struct core_open *,
                      uint64_t owner, int64_t timeout, int64_t now);
/* token 0: what the owner got last. */
int core_lock_release(struct core *, uint32_t connection, const char *name, uint64_t token, uint64_t owner,
                      int64_t now);
int core_condition_wait(struct core *, struct core_request, const char *name, uint64_t owner, int64_t timeout,
                        int64_t now);
int core_condition_notify(struct core *, uint32_t connection, const char *name, uint64_t owner, uint64_t n,
                          int64_t now, uint64_t *ret_n);

/* -- events and barriers -- */

int core_event_set(struct core *, uint32_t connection, const char *name, const struct core_open *, bool set,
                   int64_t now);
int core_event_wait(struct core *, struct core_request, const char *name, const struct core_open *,
                    int64_t timeout, int64_t now);
int core_barrier_wait(struct core *, struct core_request, const char *name, const struct core_open *,
                      int64_t timeout, int64_t now);
/* As new, or broken. */
int core_barrier_reset(struct core *, uint32_t connection, const char *name, bool broken, int64_t now);

/* -- queues and pipes -- */

int core_queue_put(struct core *, struct core_request, const char *name, const struct core_open *,
                   const struct core_value *values, size_t n, int64_t timeout, int64_t now);
int core_queue_get(struct core *, struct core_request, const char *name, const struct core_open *,
                   uint32_t max, bool ack, int64_t timeout, int64_t now);
int core_queue_done(struct core *, uint32_t connection, const char *name, const uint64_t *tokens, size_t n,
                    int64_t now, size_t *ret_n);
int core_queue_join(struct core *, struct core_request, const char *name, const struct core_open *,
                    int64_t timeout, int64_t now);
/* The end that waits for the second who asks: the caller's then, and the name is free. CORE_UNKNOWN_OBJECT:
 * nobody came yet. */
int core_pipe_take(struct core *, uint32_t connection, const char *name, payload_t *ret);
/* The first one's other end, one descriptor. */
int core_pipe_leave(struct core *, uint32_t connection, const char *name, const struct core_open *, payload_t,
                    int64_t now);

/* -- dictionaries and lists -- */

struct core_pair {
        const char *key;
        struct core_value value; /* payload PAYLOAD_NONE: delete it */
};
struct core_condition {
        const char *key;
        uint64_t version; /* 0: is not there */
};
/* All pairs, if all conditions hold, or nothing. *ret_n: how many of those deleted were there. open NULL: it
 * is not made if it is not there. */
int core_dict_change(struct core *, uint32_t connection, const char *name, const struct core_open *,
                     const struct core_pair *pairs, size_t n, const struct core_condition *conditions,
                     size_t n_conditions, int64_t now, uint64_t *ret_version, size_t *ret_n);
/* The entry of a key; *ret NULL: there is none. */
int core_dict_get(struct core *, uint32_t connection, const char *name, const char *key,
                  enum core_access need, const struct core_entry **ret);
/* What has changed after a version, those that were deleted too. */
int core_dict_changes(struct core *, uint32_t connection, const char *name, uint64_t after,
                      struct core_changes *ret);
/* after UINT64_MAX: what it is now. */
int core_dict_watch(struct core *, struct core_request, const char *name, const struct core_open *,
                    uint64_t after, int64_t timeout, int64_t now);

#define CORE_ANY_VERSION UINT64_MAX
int core_list_push(struct core *, uint32_t connection, const char *name, const struct core_open *,
                   const struct core_value *values, size_t n, bool front, uint64_t if_version, int64_t now,
                   uint64_t *ret_version);
/* Takes the first or last, at most so many: `begin` is told how many, `each` gets them before they go. */
int core_list_pop(struct core *, uint32_t connection, const char *name, bool front, uint64_t max,
                  uint64_t if_version, int64_t now, void (*begin)(void *userdata, uint64_t n),
                  void (*each)(void *userdata, payload_t), void *userdata);
/* CORE_RANGE: there is no such place. */
int core_list_set(struct core *, uint32_t connection, const char *name, uint64_t index,
                  const struct core_value *, uint64_t if_version, int64_t now, uint64_t *ret_version);
/* The value at a place below core_object.size. */
int core_list_get(struct core *, uint32_t connection, const char *name, uint64_t index, payload_t *ret);

#endif
