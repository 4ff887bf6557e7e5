/* SPDX-License-Identifier: MIT */
/*
 * ganger_shared.h - numbers and arrays in memory that programs and tasks share by name.
 *
 * ganger_shared_open() of ganger.h (in a program) or of ganger_module.h (in a task) maps an object. All that
 * is done with it then is in this file and asks nobody:
 *
 *      struct ganger_shared_options options = GANGER_SHARED_OPTIONS_INIT;
 *      struct ganger_shared hits;
 *      int64_t n;
 *      options.kind = GANGER_SHARED_VALUE;
 *      if (ganger_shared_open(g, &hits, "hits", &options) == 0) {
 *              ganger_shared_add_i64(&hits, 0, 1, &n);
 *              ganger_shared_unmap(&hits);
 *      }
 *
 * What calls return: 0: done. > 0: an enum ganger_shared_result. < 0: -errno, nothing was done: -ERANGE:
 * there is no such element; -EINVAL: the object is of another type, or a wrong argument; -EACCES: it may only
 * be read.
 *
 * Whoever maps an object can write all of it. So nothing here believes what stands in the memory: length and
 * type are the view's, no pointer and no offset comes from there, and nothing waits longer than it was told
 * to, whatever somebody else writes. A view may be used by many threads at once; it is mapped and unmapped by
 * one. Whoever uses one lock lives in one PID namespace. C99 and C++ clean, libc only, 64-bit Linux.
 */
#ifndef GANGER_SHARED_H
#define GANGER_SHARED_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/mman.h> /* MAP_ANONYMOUS, which the C library's keeps from strict C99 */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the memory: PROTOCOL.md, "The memory of a value or array" ---- */

#define GANGER_SHARED_MAGIC      "gngshm1" /* and its 0 byte */
#define GANGER_SHARED_VERSION    1u
#define GANGER_SHARED_LENGTH_MAX (UINT64_C(1) << 40)

enum ganger_shared_kind { GANGER_SHARED_VALUE = 1, GANGER_SHARED_ARRAY = 2 };

enum ganger_shared_type {
        GANGER_SHARED_ANY = -1, /* in options: as it is there, a new one i64 */
        GANGER_SHARED_I8 = 0,
        GANGER_SHARED_I16 = 1,
        GANGER_SHARED_I32 = 2,
        GANGER_SHARED_I64 = 3,
        GANGER_SHARED_U8 = 4,
        GANGER_SHARED_U16 = 5,
        GANGER_SHARED_U32 = 6,
        GANGER_SHARED_U64 = 7,
        GANGER_SHARED_F32 = 8,
        GANGER_SHARED_F64 = 9,
        GANGER_SHARED_BYTES = 10
};
#define GANGER_SHARED_N_TYPES 11

struct ganger_shared_header {
        char magic[8];
        uint32_t version, kind, type, item_bytes;
        uint64_t length, first_offset;
        uint64_t unused[3];
        uint64_t lock;      /* 0, or the holder: GANGER_SHARED_LOCK_… */
        uint32_t changes;   /* a futex: changes that somebody waited for */
        uint32_t n_waiting; /* for a change */
        uint64_t unused_too[6];
};

#define GANGER_SHARED_LOCK_TID     UINT64_C(0x3fffffff) /* the holder's thread id */
#define GANGER_SHARED_LOCK_WAITERS UINT64_C(0x80000000) /* somebody waits */
#define GANGER_SHARED_LOCK_START   32                   /* from this bit on: when that thread started */

#ifdef __cplusplus
#define GANGER_SHARED_ASSERT_(what) static_assert(what, #what)
#else
#define GANGER_SHARED_ASSERT_(what) __extension__ _Static_assert(what, #what)
#endif
GANGER_SHARED_ASSERT_(offsetof(struct ganger_shared_header, length) == 24);
GANGER_SHARED_ASSERT_(offsetof(struct ganger_shared_header, first_offset) == 32);
GANGER_SHARED_ASSERT_(offsetof(struct ganger_shared_header, lock) == 64);
GANGER_SHARED_ASSERT_(offsetof(struct ganger_shared_header, changes) == 72);
GANGER_SHARED_ASSERT_(offsetof(struct ganger_shared_header, n_waiting) == 76);
GANGER_SHARED_ASSERT_(sizeof(struct ganger_shared_header) == 128);

/* "i64"; NULL: no such type. */
static inline const char *ganger_shared_type_name(enum ganger_shared_type type)
{
        static const char names[GANGER_SHARED_N_TYPES][8] = {"i8",  "i16", "i32", "i64", "u8",   "u16",
                                                             "u32", "u64", "f32", "f64", "bytes"};
        int i = (int)type;
        return i >= 0 && i < GANGER_SHARED_N_TYPES ? names[i] : NULL;
}
/* The bytes of an element; 0: no such type. */
static inline uint32_t ganger_shared_item_bytes(enum ganger_shared_type type)
{
        static const uint8_t sizes[GANGER_SHARED_N_TYPES] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1};
        int i = (int)type;
        return i >= 0 && i < GANGER_SHARED_N_TYPES ? sizes[i] : 0;
}
/* "value", "array"; NULL: no such kind. */
static inline const char *ganger_shared_kind_name(enum ganger_shared_kind kind)
{
        return kind == GANGER_SHARED_VALUE ? "value" : kind == GANGER_SHARED_ARRAY ? "array" : NULL;
}
static inline int ganger_shared_is_(const char *known, const char *name, size_t size_bytes)
{
        return strlen(known) == size_bytes && memcmp(known, name, size_bytes) == 0;
}
/* The enum ganger_shared_type, or -EINVAL. */
static inline int ganger_shared_type_from_name(const char *name, size_t size_bytes)
{
        for (int i = 0; i < GANGER_SHARED_N_TYPES; i++)
                if (ganger_shared_is_(ganger_shared_type_name((enum ganger_shared_type)i), name, size_bytes))
                        return i;
        return -EINVAL;
}
/* The enum ganger_shared_kind, or -EINVAL. */
static inline int ganger_shared_kind_from_name(const char *name, size_t size_bytes)
{
        if (ganger_shared_is_("value", name, size_bytes))
                return GANGER_SHARED_VALUE;
        return ganger_shared_is_("array", name, size_bytes) ? GANGER_SHARED_ARRAY : -EINVAL;
}

/* ---- an object that is mapped ---- */

/* What ganger_shared_open() is told. Initialise with GANGER_SHARED_OPTIONS_INIT and set `kind`; what is left
 * as it is stays as it is in an object that is there. */
struct ganger_shared_options {
        size_t size_bytes; /* of this struct: set by the macro */
        enum ganger_shared_kind kind;
        enum ganger_shared_type type;
        uint64_t length; /* elements; of a value of `bytes`: bytes. 0: as it is there */
        int create;      /* make it if there is none; set by the macro */
        int exclusive;   /* refuse one that is there */
        unsigned mode;   /* who may, as of a file; 0: a new one 0600 */
};
#define GANGER_SHARED_OPTIONS_INIT                                                                           \
        {                                                                                                    \
                sizeof(struct ganger_shared_options), (enum ganger_shared_kind)0, GANGER_SHARED_ANY, 0, 1,   \
                        0, 0                                                                                 \
        }

/* A mapped object, a view. To be read, not to be changed. */
struct ganger_shared {
        void *address;     /* of its header */
        size_t size_bytes; /* that are mapped */
        enum ganger_shared_kind kind;
        enum ganger_shared_type type;
        uint32_t item_bytes;
        int writable;
        uint64_t length; /* elements */
        uint64_t reserved[4];
};

enum ganger_shared_result {
        GANGER_SHARED_ABANDONED = 1, /* locked, but who held it is dead: what it guards may be half done */
        GANGER_SHARED_DIFFERS = 2    /* the element was not what it was compared with */
};

#define GANGER_SHARED_F_GET_SEALS_ 1034
#define GANGER_SHARED_SEALS_       (0x1 | 0x2 | 0x4) /* SEAL, SHRINK, GROW: its size is what it is */
#define GANGER_SHARED_READ_ONLY_   (0x8 | 0x10)      /* WRITE, FUTURE_WRITE */

/* Whether the descriptor may be mapped to be written: 0 or 1. -EPROTO: it is not memory of that size. Seals
 * are asked for first: only of a memfd can fstat() not hang. */
static inline int ganger_shared_inspect_(int fd, uint64_t size_bytes)
{
        int seals = fcntl(fd, GANGER_SHARED_F_GET_SEALS_), flags;
        struct stat status;
        if (seals < 0)
                return errno == EBADF ? -EBADF : -EPROTO;
        if ((seals & GANGER_SHARED_SEALS_) != GANGER_SHARED_SEALS_ || fstat(fd, &status) < 0 ||
            status.st_size < 0 || (uint64_t)status.st_size != size_bytes)
                return -EPROTO;
        flags = fcntl(fd, F_GETFL);
        return (flags & O_ACCMODE) == O_RDWR && (seals & GANGER_SHARED_READ_ONLY_) == 0;
}
/* Maps the descriptor of an object that was said to be so; it may be closed then. -EPROTO: it is not so. */
static inline int ganger_shared_map(struct ganger_shared *ret, int fd, enum ganger_shared_kind kind,
                                    enum ganger_shared_type type, uint64_t length)
{
        uint32_t item_bytes = ganger_shared_item_bytes(type);
        const struct ganger_shared_header *header;
        uint64_t size_bytes;
        void *address;
        int writable;
        memset(ret, 0, sizeof *ret);
        if (ganger_shared_kind_name(kind) == NULL || item_bytes == 0 || length == 0 ||
            length > GANGER_SHARED_LENGTH_MAX)
                return -EINVAL;
        size_bytes = sizeof *header + length * item_bytes;
        writable = ganger_shared_inspect_(fd, size_bytes);
        if (writable < 0)
                return writable;
        address = mmap(NULL, (size_t)size_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                       fd, 0);
        if (address == MAP_FAILED)
                return -errno;
        header = (const struct ganger_shared_header *)address;
        if (memcmp(header->magic, GANGER_SHARED_MAGIC, sizeof header->magic) != 0 ||
            __atomic_load_n(&header->version, __ATOMIC_RELAXED) != GANGER_SHARED_VERSION) {
                munmap(address, (size_t)size_bytes);
                return -EPROTO;
        }
        ret->address = address;
        ret->size_bytes = (size_t)size_bytes;
        ret->kind = kind;
        ret->type = type;
        ret->item_bytes = item_bytes;
        ret->writable = writable;
        ret->length = length;
        return 0;
}
/* The object lives on. Takes a view that is zeroed or unmapped too. */
static inline void ganger_shared_unmap(struct ganger_shared *s)
{
        if (s->address != NULL)
                munmap(s->address, s->size_bytes);
        memset(s, 0, sizeof *s);
}

/* ---- the kernel ---- */

/* syscall(2), which <unistd.h> keeps from strict C99. */
extern long ganger_shared_syscall_(long number, ...) __asm__("syscall");

static inline int64_t ganger_shared_now_ns_(void)
{
        struct {
                long seconds, nanoseconds;
        } now = {0, 0};
        ganger_shared_syscall_(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, &now);
        return (int64_t)now.seconds * 1000000000 + now.nanoseconds;
}
/* When a call that may last so long has to be over; as good as never is far enough. */
static inline int64_t ganger_shared_deadline_ns_(int64_t timeout_ms)
{
        return ganger_shared_now_ns_() +
               (timeout_ms < INT64_C(1) << 40 ? timeout_ms : INT64_C(1) << 40) * 1000000;
}
/* Sleeps while *word is `value`, for so long at most; for less after a signal. */
static inline void ganger_shared_sleep_(uint32_t *word, uint32_t value, int64_t ns)
{
        struct {
                long seconds, nanoseconds;
        } timeout;
        timeout.seconds = (long)(ns / 1000000000);
        timeout.nanoseconds = (long)(ns % 1000000000);
        ganger_shared_syscall_(SYS_futex, word, 0 /* FUTEX_WAIT */, value, &timeout, NULL, 0);
}
static inline void ganger_shared_wake_(uint32_t *word, int n)
{
        ganger_shared_syscall_(SYS_futex, word, 1 /* FUTEX_WAKE */, n, NULL, NULL, 0);
}

/* ---- elements ---- */

static inline struct ganger_shared_header *ganger_shared_header_(const struct ganger_shared *s)
{
        return (struct ganger_shared_header *)s->address;
}
/* The elements themselves, `length` of them, for who works on many under a lock. NULL: nothing is mapped. A
 * change that is made so is told by ganger_shared_notify(). */
static inline void *ganger_shared_data(const struct ganger_shared *s)
{
        return s->address != NULL ? (char *)s->address + sizeof(struct ganger_shared_header) : NULL;
}
/* After a change whose store was sequentially consistent. */
static inline void ganger_shared_changed_(const struct ganger_shared *s)
{
        struct ganger_shared_header *header = ganger_shared_header_(s);
        if (__atomic_load_n(&header->n_waiting, __ATOMIC_SEQ_CST) == 0)
                return;
        __atomic_add_fetch(&header->changes, 1, __ATOMIC_SEQ_CST);
        ganger_shared_wake_(&header->changes, INT_MAX);
}
/* Wakes those who wait for a change. set, add, cas and write do it themselves. */
static inline int ganger_shared_notify(const struct ganger_shared *s)
{
        if (!s->writable)
                return -EACCES;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        ganger_shared_changed_(s);
        return 0;
}
static inline int ganger_shared_range_(const struct ganger_shared *s, uint64_t first, uint64_t n)
{
        return n > GANGER_SHARED_LENGTH_MAX || first > s->length || n > s->length - first ? -ERANGE : 0;
}
/* The element, if it is there and of that type. */
static inline int ganger_shared_at_(const struct ganger_shared *s, enum ganger_shared_type type,
                                    uint64_t index, int writes, void **ret)
{
        if (s->type != type)
                return s->address != NULL ? -EINVAL : -ERANGE;
        if (index >= s->length)
                return -ERANGE;
        if (writes && !s->writable)
                return -EACCES;
        *ret = (char *)ganger_shared_data(s) + index * ganger_shared_item_bytes(type);
        return 0;
}

/* Each element is copied by one atomic access. */
#define GANGER_SHARED_COPY_(bits)                                                                            \
        static inline void ganger_shared_load##bits##_(const void *from, void *to, uint64_t n)               \
        {                                                                                                    \
                for (uint64_t i = 0; i < n; i++) {                                                           \
                        uint##bits##_t item =                                                                \
                                __atomic_load_n((const uint##bits##_t *)from + i, __ATOMIC_RELAXED);         \
                        memcpy((char *)to + i * sizeof item, &item, sizeof item);                            \
                }                                                                                            \
        }                                                                                                    \
        static inline void ganger_shared_store##bits##_(void *to, const void *from, uint64_t n)              \
        {                                                                                                    \
                for (uint64_t i = 0; i < n; i++) {                                                           \
                        uint##bits##_t item;                                                                 \
                        memcpy(&item, (const char *)from + i * sizeof item, sizeof item);                    \
                        __atomic_store_n((uint##bits##_t *)to + i, item, __ATOMIC_RELAXED);                  \
                }                                                                                            \
        }
GANGER_SHARED_COPY_(8)
GANGER_SHARED_COPY_(16)
GANGER_SHARED_COPY_(32)
GANGER_SHARED_COPY_(64)
#undef GANGER_SHARED_COPY_

/* Of single bytes, eight by one access where they can be. memcpy() may do the same, but need not: to the
 * compiler, memory that another thread writes meanwhile is none of its business. */
static inline uint64_t ganger_shared_unaligned_(const void *shared, uint64_t n)
{
        uint64_t n_before = (8 - (uintptr_t)shared % 8) % 8;
        return n_before < n ? n_before : n;
}
static inline void ganger_shared_load_bytes_(const char *from, char *to, uint64_t n)
{
        uint64_t head = ganger_shared_unaligned_(from, n), words = (n - head) / 8, tail = head + 8 * words;
        ganger_shared_load8_(from, to, head);
        ganger_shared_load64_(from + head, to + head, words);
        ganger_shared_load8_(from + tail, to + tail, n - tail);
}
static inline void ganger_shared_store_bytes_(char *to, const char *from, uint64_t n)
{
        uint64_t head = ganger_shared_unaligned_(to, n), words = (n - head) / 8, tail = head + 8 * words;
        ganger_shared_store8_(to, from, head);
        ganger_shared_store64_(to + head, from + head, words);
        ganger_shared_store8_(to + tail, from + tail, n - tail);
}

/* Reads n elements into the buffer, which has room for them. Each is whole; all of them together are what
 * they were at one moment only under a lock. */
static inline int ganger_shared_read(const struct ganger_shared *s, uint64_t first, uint64_t n, void *buffer)
{
        const char *from;
        int r = ganger_shared_range_(s, first, n);
        if (r < 0 || n == 0)
                return r;
        from = (const char *)ganger_shared_data(s) + first * s->item_bytes;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (s->item_bytes == 8)
                ganger_shared_load64_(from, buffer, n);
        else if (s->item_bytes == 4)
                ganger_shared_load32_(from, buffer, n);
        else if (s->item_bytes == 2)
                ganger_shared_load16_(from, buffer, n);
        else
                ganger_shared_load_bytes_(from, (char *)buffer, n);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        return 0;
}
/* Writes n elements, as ganger_shared_read() reads them. */
static inline int ganger_shared_write(const struct ganger_shared *s, uint64_t first, uint64_t n,
                                      const void *buffer)
{
        char *to;
        int r = ganger_shared_range_(s, first, n);
        if (r == 0 && !s->writable)
                r = -EACCES;
        if (r < 0 || n == 0)
                return r;
        to = (char *)ganger_shared_data(s) + first * s->item_bytes;
        __atomic_thread_fence(__ATOMIC_RELEASE);
        if (s->item_bytes == 8)
                ganger_shared_store64_(to, buffer, n);
        else if (s->item_bytes == 4)
                ganger_shared_store32_(to, buffer, n);
        else if (s->item_bytes == 2)
                ganger_shared_store16_(to, buffer, n);
        else
                ganger_shared_store_bytes_(to, (const char *)buffer, n);
        return ganger_shared_notify(s);
}

#define GANGER_SHARED_LOOK_NS_      INT64_C(1000000000) /* who waits looks again after so long */
#define GANGER_SHARED_READER_NS_    INT64_C(5000000)    /* who may only read, and so is not told */
#define GANGER_SHARED_COMPARE_MOST_ 4096                /* bytes */

/* ganger_shared_wait() without its checks and without being counted. */
static inline int ganger_shared_await_(const struct ganger_shared *s, uint64_t first, uint64_t n,
                                       const void *old, void *ret, int64_t timeout_ms)
{
        struct ganger_shared_header *header = ganger_shared_header_(s);
        int64_t deadline_ns = ganger_shared_deadline_ns_(timeout_ms), left_ns;
        int64_t pause_ns = s->writable ? GANGER_SHARED_LOOK_NS_ : GANGER_SHARED_READER_NS_;
        for (;;) {
                uint32_t changes = __atomic_load_n(&header->changes, __ATOMIC_SEQ_CST);
                ganger_shared_read(s, first, n, ret);
                if (memcmp(old, ret, (size_t)(n * s->item_bytes)) != 0)
                        return 0;
                left_ns = deadline_ns - ganger_shared_now_ns_();
                if (left_ns <= 0)
                        return -ETIMEDOUT;
                ganger_shared_sleep_(&header->changes, changes, left_ns < pause_ns ? left_ns : pause_ns);
        }
}
/* Waits until the n elements are no longer, byte for byte, those in `old`: 0, and `ret` has what they are.
 * -ETIMEDOUT: they still are. At most 4,096 bytes. Signals do not end it. */
static inline int ganger_shared_wait(const struct ganger_shared *s, uint64_t first, uint64_t n,
                                     const void *old, void *ret, int64_t timeout_ms)
{
        int r = ganger_shared_range_(s, first, n);
        if (r == 0 && (timeout_ms < 0 || n == 0 || n > GANGER_SHARED_COMPARE_MOST_ / s->item_bytes))
                r = -EINVAL;
        if (r < 0)
                return r;
        if (s->writable)
                __atomic_add_fetch(&ganger_shared_header_(s)->n_waiting, 1, __ATOMIC_SEQ_CST);
        r = ganger_shared_await_(s, first, n, old, ret, timeout_ms);
        if (s->writable)
                __atomic_sub_fetch(&ganger_shared_header_(s)->n_waiting, 1, __ATOMIC_SEQ_CST);
        return r;
}

#define GANGER_SHARED_TRIES_ (1 << 20) /* of an addition that somebody undoes again and again */

/* For each type T = i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, of elements C = int8_t … double:
 *
 *      int ganger_shared_get_T(const struct ganger_shared *, uint64_t index, C *ret);
 *      int ganger_shared_set_T(const struct ganger_shared *, uint64_t index, C value);
 *      int ganger_shared_add_T(const struct ganger_shared *, uint64_t index, C value, C *ret);
 *              ret: the sum, may be NULL. Integers wrap around. Of f32, f64 -EAGAIN: after a million tries
 *              somebody else was always first.
 *      int ganger_shared_cas_T(const struct ganger_shared *, uint64_t index, C *expected, C value);
 *              compare and swap: 0: the element was *expected and is `value` now; GANGER_SHARED_DIFFERS:
 *              *expected has what it is. Bit for bit.
 *      int ganger_shared_wait_T(const struct ganger_shared *, uint64_t index, C old, C *ret,
 *                               int64_t timeout_ms);
 *              waits until the element is not `old`, as ganger_shared_wait(). ret may be NULL.
 *
 * All are atomic and sequentially consistent. */
#define GANGER_SHARED_TYPE_(T, C, U, TYPE)                                                                   \
        static inline int ganger_shared_get_##T(const struct ganger_shared *s, uint64_t index, C *ret)       \
        {                                                                                                    \
                void *at;                                                                                    \
                U bits;                                                                                      \
                int r = ganger_shared_at_(s, TYPE, index, 0, &at);                                           \
                if (r < 0)                                                                                   \
                        return r;                                                                            \
                bits = __atomic_load_n((U *)at, __ATOMIC_SEQ_CST);                                           \
                memcpy(ret, &bits, sizeof bits);                                                             \
                return 0;                                                                                    \
        }                                                                                                    \
        static inline int ganger_shared_set_##T(const struct ganger_shared *s, uint64_t index, C value)      \
        {                                                                                                    \
                void *at;                                                                                    \
                U bits;                                                                                      \
                int r = ganger_shared_at_(s, TYPE, index, 1, &at);                                           \
                if (r < 0)                                                                                   \
                        return r;                                                                            \
                memcpy(&bits, &value, sizeof bits);                                                          \
                __atomic_store_n((U *)at, bits, __ATOMIC_SEQ_CST);                                           \
                ganger_shared_changed_(s);                                                                   \
                return 0;                                                                                    \
        }                                                                                                    \
        static inline int ganger_shared_cas_##T(const struct ganger_shared *s, uint64_t index, C *expected,  \
                                                C value)                                                     \
        {                                                                                                    \
                void *at;                                                                                    \
                U bits, before;                                                                              \
                int r = ganger_shared_at_(s, TYPE, index, 1, &at);                                           \
                if (r < 0)                                                                                   \
                        return r;                                                                            \
                memcpy(&bits, &value, sizeof bits);                                                          \
                memcpy(&before, expected, sizeof before);                                                    \
                if (!__atomic_compare_exchange_n((U *)at, &before, bits, 0, __ATOMIC_SEQ_CST,                \
                                                 __ATOMIC_SEQ_CST)) {                                        \
                        memcpy(expected, &before, sizeof before);                                            \
                        return GANGER_SHARED_DIFFERS;                                                        \
                }                                                                                            \
                ganger_shared_changed_(s);                                                                   \
                return 0;                                                                                    \
        }                                                                                                    \
        static inline int ganger_shared_wait_##T(const struct ganger_shared *s, uint64_t index, C old,       \
                                                 C *ret, int64_t timeout_ms)                                 \
        {                                                                                                    \
                union {                                                                                      \
                        C value;                                                                             \
                        char largest[8]; /* of all types: what is copied is as large as s says */            \
                } before, now;                                                                               \
                int r;                                                                                       \
                if (s->address != NULL && s->type != TYPE)                                                   \
                        return -EINVAL;                                                                      \
                before.value = now.value = old;                                                              \
                r = ganger_shared_wait(s, index, 1, &before, &now, timeout_ms);                              \
                if (ret != NULL && (r == 0 || r == -ETIMEDOUT))                                              \
                        *ret = now.value;                                                                    \
                return r;                                                                                    \
        }

#define GANGER_SHARED_ADD_INTEGER_(T, C, U, TYPE)                                                            \
        GANGER_SHARED_TYPE_(T, C, U, TYPE)                                                                   \
        static inline int ganger_shared_add_##T(const struct ganger_shared *s, uint64_t index, C value,      \
                                                C *ret)                                                      \
        {                                                                                                    \
                void *at;                                                                                    \
                U sum;                                                                                       \
                int r = ganger_shared_at_(s, TYPE, index, 1, &at);                                           \
                if (r < 0)                                                                                   \
                        return r;                                                                            \
                sum = __atomic_add_fetch((U *)at, (U)value, __ATOMIC_SEQ_CST);                               \
                if (ret != NULL)                                                                             \
                        memcpy(ret, &sum, sizeof sum);                                                       \
                ganger_shared_changed_(s);                                                                   \
                return 0;                                                                                    \
        }

#define GANGER_SHARED_ADD_FLOAT_(T, C, U, TYPE)                                                              \
        GANGER_SHARED_TYPE_(T, C, U, TYPE)                                                                   \
        static inline int ganger_shared_add_##T(const struct ganger_shared *s, uint64_t index, C value,      \
                                                C *ret)                                                      \
        {                                                                                                    \
                C before, sum;                                                                               \
                int r = ganger_shared_get_##T(s, index, &before);                                            \
                if (r < 0)                                                                                   \
                        return r;                                                                            \
                for (int i = 0; i < GANGER_SHARED_TRIES_; i++) {                                             \
                        sum = before + value;                                                                \
                        r = ganger_shared_cas_##T(s, index, &before, sum);                                   \
                        if (r == 0 && ret != NULL)                                                           \
                                *ret = sum;                                                                  \
                        if (r <= 0)                                                                          \
                                return r;                                                                    \
                }                                                                                            \
                return -EAGAIN;                                                                              \
        }

GANGER_SHARED_ADD_INTEGER_(i8, int8_t, uint8_t, GANGER_SHARED_I8)
GANGER_SHARED_ADD_INTEGER_(i16, int16_t, uint16_t, GANGER_SHARED_I16)
GANGER_SHARED_ADD_INTEGER_(i32, int32_t, uint32_t, GANGER_SHARED_I32)
GANGER_SHARED_ADD_INTEGER_(i64, int64_t, uint64_t, GANGER_SHARED_I64)
GANGER_SHARED_ADD_INTEGER_(u8, uint8_t, uint8_t, GANGER_SHARED_U8)
GANGER_SHARED_ADD_INTEGER_(u16, uint16_t, uint16_t, GANGER_SHARED_U16)
GANGER_SHARED_ADD_INTEGER_(u32, uint32_t, uint32_t, GANGER_SHARED_U32)
GANGER_SHARED_ADD_INTEGER_(u64, uint64_t, uint64_t, GANGER_SHARED_U64)
GANGER_SHARED_ADD_FLOAT_(f32, float, uint32_t, GANGER_SHARED_F32)
GANGER_SHARED_ADD_FLOAT_(f64, double, uint64_t, GANGER_SHARED_F64)
#undef GANGER_SHARED_TYPE_
#undef GANGER_SHARED_ADD_INTEGER_
#undef GANGER_SHARED_ADD_FLOAT_

/* ---- the object's own lock ---- */

#define GANGER_SHARED_SPINS_     30               /* looks at a held lock before sleeping: about 1 us */
#define GANGER_SHARED_PATROL_NS_ INT64_C(5000000) /* how often a waiter looks whether the holder lives */

/* When the thread started, as it stands in a lock's word. -ESRCH: there is no such thread, or it is dead;
 * other errors: it cannot be told (it may be another user's, and hidden). */
static inline int ganger_shared_started_(uint32_t tid, uint32_t *ret)
{
        char path[32], text[1024];
        const char *field;
        ssize_t size_bytes;
        int fd, went;
        if (tid == 0)
                return -ESRCH;
        snprintf(path, sizeof path, "/proc/%u/stat", (unsigned)tid);
#ifdef O_CLOEXEC
        fd = open(path, O_RDONLY | O_CLOEXEC);
#else
        fd = open(path, O_RDONLY | __O_CLOEXEC);
#endif
        if (fd < 0 && ganger_shared_syscall_(SYS_tkill, (long)tid, 0L) < 0 && errno == ESRCH)
                return -ESRCH;
        if (fd < 0)
                return -EACCES;
        size_bytes = read(fd, text, sizeof text - 1);
        went = size_bytes < 0 && errno == ESRCH;
        close(fd);
        if (size_bytes <= 0)
                return went ? -ESRCH : -EACCES;
        text[size_bytes] = '\0';
        field = strrchr(text, ')'); /* the 2nd is a name, which may hold anything */
        if (field == NULL || field[1] == '\0')
                return -EACCES;
        if (field[2] == 'Z' || field[2] == 'X')
                return -ESRCH;
        for (int i = 2; i < 22 && field != NULL; i++)
                field = strchr(field + 1, ' ');
        if (field == NULL)
                return -EACCES;
        *ret = (uint32_t)strtoull(field, NULL, 10);
        return 0;
}
/* A word that the kernel clears in the child of a fork, where nothing holds any more of what threads remember
 * of themselves. NULL: it cannot be had. */
static inline uint64_t *ganger_shared_process_(void)
{
        static uint64_t *process;
        uint64_t *known = __atomic_load_n(&process, __ATOMIC_ACQUIRE);
        const size_t size_bytes = 4096;
        void *page;
        if (known != NULL)
                return known;
        page = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
                return NULL;
        if (ganger_shared_syscall_(SYS_madvise, page, size_bytes, 18 /* MADV_WIPEONFORK */) < 0 ||
            !__atomic_compare_exchange_n(&process, &known, (uint64_t *)page, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE)) {
                munmap(page, size_bytes);
                return known;
        }
        return (uint64_t *)page;
}
/* The calling thread as a lock's holder; 0: /proc does not tell. */
static inline uint64_t ganger_shared_self_(void)
{
        static __thread struct {
                uint64_t word, process;
        } self;
        uint64_t *process = ganger_shared_process_(), none = 0;
        uint32_t tid, start;
        if (process != NULL && self.process != 0 &&
            self.process == __atomic_load_n(process, __ATOMIC_RELAXED))
                return self.word;
        tid = (uint32_t)ganger_shared_syscall_(SYS_gettid);
        if (ganger_shared_started_(tid, &start) < 0)
                return 0;
        self.word = tid | (uint64_t)start << GANGER_SHARED_LOCK_START;
        self.process = 0;
        if (process != NULL) {
                __atomic_compare_exchange_n(process, &none, self.word, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
                self.process = __atomic_load_n(process, __ATOMIC_RELAXED);
        }
        return self.word;
}
/* Whether whoever the word names is dead for certain. */
static inline int ganger_shared_is_dead_(uint64_t word)
{
        uint32_t start;
        int r = ganger_shared_started_((uint32_t)(word & GANGER_SHARED_LOCK_TID), &start);
        return r == -ESRCH || (r == 0 && start != (uint32_t)(word >> GANGER_SHARED_LOCK_START));
}
static inline uint32_t *ganger_shared_lock_futex_(uint64_t *word)
{
        return (uint32_t *)(void *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}
/* A strong one: it does not fail for nothing. */
static inline int ganger_shared_lock_swap_(uint64_t *word, uint64_t before, uint64_t after)
{
        return __atomic_compare_exchange_n(word, &before, after, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
/* Of a lock that is held. Each turn ends in time, whatever the word becomes meanwhile. Who has waited takes
 * the lock with the waiters' bit set: he does not know whether others still sleep. */
static inline int ganger_shared_lock_wait_(uint64_t *word, uint64_t self, int64_t timeout_ms)
{
        const uint64_t waiters = GANGER_SHARED_LOCK_WAITERS;
        int64_t now_ns = ganger_shared_now_ns_(), deadline_ns = ganger_shared_deadline_ns_(timeout_ms);
        int64_t patrol_ns = now_ns + GANGER_SHARED_PATROL_NS_;
        for (;; now_ns = ganger_shared_now_ns_()) {
                uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
                int64_t left_ns = deadline_ns - now_ns;
                if (seen == 0) {
                        if (ganger_shared_lock_swap_(word, 0, self | waiters))
                                return 0;
                } else if ((seen & ~waiters) == self) {
                        return -EDEADLK;
                } else if (left_ns <= 0 || now_ns >= patrol_ns) {
                        patrol_ns = now_ns + GANGER_SHARED_PATROL_NS_;
                        if (ganger_shared_is_dead_(seen) &&
                            ganger_shared_lock_swap_(word, seen, self | waiters))
                                return GANGER_SHARED_ABANDONED;
                } else if ((seen & waiters) != 0 || ganger_shared_lock_swap_(word, seen, seen | waiters)) {
                        if (left_ns > GANGER_SHARED_PATROL_NS_)
                                left_ns = GANGER_SHARED_PATROL_NS_;
                        ganger_shared_sleep_(ganger_shared_lock_futex_(word), (uint32_t)(seen | waiters),
                                             left_ns);
                        continue;
                }
                if (left_ns <= 0)
                        return -ETIMEDOUT;
        }
}
static inline void ganger_shared_relax_(void)
{
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield" ::: "memory");
#else
        __asm__ volatile("" ::: "memory");
#endif
}
/* Takes the object's own lock for the calling thread, waiting for so long at most (0: not at all). 0;
 * GANGER_SHARED_ABANDONED: taken too, from one who died with it; -ETIMEDOUT; -EDEADLK: this thread has it
 * already; -EACCES: the view is read-only; -EIO: /proc does not tell who this thread is. It is not fair, and
 * signals do not end it. */
static inline int ganger_shared_lock(const struct ganger_shared *s, int64_t timeout_ms)
{
        uint64_t *word, self;
        if (timeout_ms < 0)
                return -EINVAL;
        if (!s->writable)
                return -EACCES;
        self = ganger_shared_self_();
        if (self == 0)
                return -EIO;
        word = &ganger_shared_header_(s)->lock;
        if (ganger_shared_lock_swap_(word, 0, self))
                return 0;
        for (int i = 0; i < GANGER_SHARED_SPINS_; i++) {
                ganger_shared_relax_();
                if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0 && ganger_shared_lock_swap_(word, 0, self))
                        return 0;
        }
        return ganger_shared_lock_wait_(word, self, timeout_ms);
}
/* Gives it back. -EPERM: this thread does not have it, or somebody has overwritten it. */
static inline int ganger_shared_unlock(const struct ganger_shared *s)
{
        uint64_t *word, self, before;
        if (!s->writable)
                return -EACCES;
        self = ganger_shared_self_();
        word = &ganger_shared_header_(s)->lock;
        if (self == 0 || (__atomic_load_n(word, __ATOMIC_RELAXED) & ~GANGER_SHARED_LOCK_WAITERS) != self)
                return -EPERM;
        before = __atomic_exchange_n(word, 0, __ATOMIC_RELEASE);
        if ((before & GANGER_SHARED_LOCK_WAITERS) != 0)
                ganger_shared_wake_(ganger_shared_lock_futex_(word), 1);
        return (before & ~GANGER_SHARED_LOCK_WAITERS) == self ? 0 : -EPERM;
}

#ifdef __cplusplus
}
#endif

#endif
