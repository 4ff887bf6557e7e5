/* SPDX-License-Identifier: MIT */
/*
 * The closer. A user's queue is a list threaded through a table that is indexed by descriptor: putting one in
 * cannot fail for want of memory, because its place was made when it was adopted. A descriptor that nobody
 * adopted (a worker's) belongs to OWNER_NONE, which has a thread like every user.
 *
 * Sockets of connections are an owner of their own for each user. What is unread in one may be descriptors,
 * whose last owner is the one who closes it; they are not flushed then, so what such a close can wait for is
 * a lingering socket, and a signal ends that. A file that never is flushed keeps none of them waiting.
 */
#include "daemon/closer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OWNER_NONE  ((uid_t)-1)
#define QUICK_BYTES (4 << 20) /* of memory, to be freed at once */
#define STACK_BYTES (64 << 10)
#define END         (-1)
#define HURRY       SIGURG /* ends what a thread waits for, if that can be ended */
#define MANY        16     /* sockets of a user that may linger, before those that do are hurried */

enum kind { STRANGERS, SOCKETS };

struct owner {
        uid_t uid;
        enum kind kind;
        uint32_t held;   /* in all */
        int first, last; /* the queue; END: empty */
        bool is_over;    /* more than the limit */
        bool has_thread;
        pthread_t thread; /* while it has one */
        pthread_cond_t work;
        LIST_ENTRY(owner) link; /* owners */
};

struct place {
        struct owner *owner; /* NULL: not ours */
        int next;            /* in its owner's queue */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static LIST_HEAD(owner_list, owner) owners = LIST_HEAD_INITIALIZER(owners);
static struct place *places;
static int n_places;
static uint32_t limit = UINT32_MAX;
static atomic_uint n_over; /* owners that are; read without the mutex */

static void on_hurry(int number)
{
}

void closer_init(uint32_t limit_per_user)
{
        struct sigaction action = {.sa_handler = on_hurry}; /* no SA_RESTART */

        sigaction(HURRY, &action, NULL);
        limit = limit_per_user;
}

static struct owner *owner_find(uid_t uid, enum kind kind)
{
        struct owner *o;

        LIST_FOREACH (o, &owners, link)
                if (o->uid == uid && o->kind == kind)
                        return o;
        return NULL;
}

static struct owner *owner_get(uid_t uid, enum kind kind)
{
        struct owner *o = owner_find(uid, kind);
        pthread_condattr_t attributes;

        if (o != NULL)
                return o;
        o = calloc(1, sizeof *o);
        if (o == NULL)
                return NULL;
        o->uid = uid;
        o->kind = kind;
        o->first = o->last = END;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&o->work, &attributes);
        pthread_condattr_destroy(&attributes);
        LIST_INSERT_HEAD(&owners, o, link);
        return o;
}

static void owner_drop_if_idle(struct owner *o)
{
        if (o->held > 0 || o->has_thread)
                return;
        LIST_REMOVE(o, link);
        pthread_cond_destroy(&o->work);
        free(o);
}

static void owner_hold(struct owner *o)
{
        o->held++;
        if (o->is_over || o->uid == OWNER_NONE || o->kind != STRANGERS || o->held <= limit)
                return;
        o->is_over = true;
        n_over++;
}

/* It has one less; the caller drops it if that was the last. */
static void owner_release(struct owner *o)
{
        assert(o->held > 0);
        o->held--;
        if (o->is_over && o->held <= limit) {
                o->is_over = false;
                n_over--;
        }
}

static int places_reserve(int fd)
{
        struct place *larger;
        int n = n_places == 0 ? 64 : n_places;

        while (n <= fd)
                n *= 2;
        if (n == n_places)
                return 0;
        larger = reallocarray(places, (size_t)n, sizeof *places);
        if (larger == NULL)
                return -ENOMEM;
        memset(larger + n_places, 0, (size_t)(n - n_places) * sizeof *places);
        places = larger;
        n_places = n;
        return 0;
}

/* The place is the owner's no more. */
static void place_clear(int fd)
{
        struct owner *o = places[fd].owner;

        places[fd].owner = NULL;
        if (o == NULL)
                return;
        owner_release(o);
        owner_drop_if_idle(o);
}

static int adopt(int fd, uid_t uid, enum kind kind)
{
        struct owner *o;

        if (places_reserve(fd) < 0)
                return -ENOMEM;
        place_clear(fd); /* it was closed behind our back */
        o = owner_get(uid, kind);
        if (o == NULL)
                return -ENOMEM;
        owner_hold(o);
        places[fd].owner = o;
        return o->is_over ? CLOSER_LIMIT : 0;
}

int closer_adopt(int fd, uid_t uid)
{
        pthread_mutex_lock(&mutex);
        int r = adopt(fd, uid, STRANGERS);
        pthread_mutex_unlock(&mutex);
        return r;
}

int closer_adopt_copy(int copy, int fd)
{
        int r = 0;

        pthread_mutex_lock(&mutex);
        if (fd < n_places && places[fd].owner != NULL)
                r = adopt(copy, places[fd].owner->uid, STRANGERS);
        pthread_mutex_unlock(&mutex);
        return r < 0 ? r : 0;
}

static void *closer_thread(void *argument)
{
        struct owner *o = argument;
        struct timespec until;
        int r = 0;

        pthread_mutex_lock(&mutex);
        while (r != ETIMEDOUT || o->first != END) {
                if (o->first == END) {
                        clock_gettime(CLOCK_MONOTONIC, &until);
                        until.tv_sec += CLOSER_IDLE_S;
                        r = pthread_cond_timedwait(&o->work, &mutex, &until);
                        continue;
                }
                int fd = o->first;
                o->first = places[fd].next;
                places[fd].owner = NULL; /* once closed, the number may be somebody else's at once */
                pthread_mutex_unlock(&mutex);
                close(fd);
                pthread_mutex_lock(&mutex);
                owner_release(o);
                r = 0;
        }
        o->has_thread = false;
        owner_drop_if_idle(o);
        pthread_mutex_unlock(&mutex);
        return NULL;
}

/* Signals are the loop's: the thread is born with all of them blocked but the one that is for it. */
static bool thread_start(struct owner *o)
{
        pthread_attr_t attributes;
        sigset_t all, before;
        int r;

        sigfillset(&all);
        sigdelset(&all, HURRY);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&o->thread, &attributes, closer_thread, o);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return r == 0;
}

/* False: there is nobody to do it; the caller does. */
static bool enqueue(int fd)
{
        struct owner *o;

        if ((fd >= n_places || places[fd].owner == NULL) && adopt(fd, OWNER_NONE, STRANGERS) != 0)
                return false;
        o = places[fd].owner;
        if (!o->has_thread && !(o->has_thread = thread_start(o))) {
                place_clear(fd);
                return false;
        }
        places[fd].next = END;
        if (o->first == END)
                o->first = fd;
        else
                places[o->last].next = fd;
        o->last = fd;
        pthread_cond_signal(&o->work);
        return true;
}

/* Of a memfd nobody else has a say in the close, and neither question blocks; but the last one who closes it
 * frees it, which takes as long as it is large. */
static bool close_is_quick(int fd)
{
        struct stat stat;

        return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &stat) == 0 && stat.st_blocks <= QUICK_BYTES / 512;
}

void closer_close(int fd)
{
        bool here = close_is_quick(fd);

        pthread_mutex_lock(&mutex);
        if (!here)
                here = !enqueue(fd);
        else if (fd < n_places)
                place_clear(fd);
        pthread_mutex_unlock(&mutex);
        if (here)
                close(fd);
}

/* Its last owner's close of a lingering socket may wait; one that comes just now is not there yet, but more
 * will. */
static void hurry_if_many(const struct owner *o)
{
        if (o->held > MANY && o->has_thread)
                pthread_kill(o->thread, HURRY);
}

void closer_close_socket(int fd, uid_t uid)
{
        int unread = 0;
        bool here = true;

        shutdown(fd, SHUT_RDWR); /* so that nothing more comes in */
        if (ioctl(fd, SIOCINQ, &unread) < 0 || unread > 0) {
                pthread_mutex_lock(&mutex);
                if (adopt(fd, uid, SOCKETS) == 0)
                        here = !enqueue(fd);
                if (!here)
                        hurry_if_many(owner_find(uid, SOCKETS));
                pthread_mutex_unlock(&mutex);
        }
        if (here)
                close(fd);
}

bool closer_is_over(uid_t uid)
{
        const struct owner *o;
        bool is_over;

        if (atomic_load_explicit(&n_over, memory_order_relaxed) == 0)
                return false;
        pthread_mutex_lock(&mutex);
        o = owner_find(uid, STRANGERS);
        is_over = o != NULL && o->is_over;
        pthread_mutex_unlock(&mutex);
        return is_over;
}

uint32_t closer_held(uid_t uid)
{
        struct owner *o;
        uint32_t held;

        pthread_mutex_lock(&mutex);
        o = owner_find(uid, STRANGERS);
        held = o == NULL ? 0 : o->held;
        pthread_mutex_unlock(&mutex);
        return held;
}
