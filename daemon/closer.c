/* SPDX-License-Identifier: MIT */
/*
 * The closer. A user's queue is a list threaded through a table that is indexed by descriptor: putting one in
 * cannot fail for want of memory, because its place was made when it was adopted. A descriptor that nobody
 * adopted (a worker's) belongs to OWNER_NONE, which has a thread like every user.
 */
#include "daemon/closer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OWNER_NONE  ((uid_t)-1)
#define QUICK_BYTES (4 << 20) /* of memory, to be freed at once */
#define STACK_BYTES (64 << 10)
#define END         (-1)

struct owner {
        uid_t uid;
        uint32_t held;   /* in all */
        int first, last; /* the queue; END: empty */
        bool has_thread;
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

void closer_init(uint32_t limit_per_user)
{
        limit = limit_per_user;
}

static struct owner *owner_find(uid_t uid)
{
        struct owner *o;

        LIST_FOREACH (o, &owners, link)
                if (o->uid == uid)
                        return o;
        return NULL;
}

static struct owner *owner_get(uid_t uid)
{
        struct owner *o = owner_find(uid);
        pthread_condattr_t attributes;

        if (o != NULL)
                return o;
        o = calloc(1, sizeof *o);
        if (o == NULL)
                return NULL;
        o->uid = uid;
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
        assert(o->held > 0);
        o->held--;
        owner_drop_if_idle(o);
}

static int adopt(int fd, uid_t uid)
{
        struct owner *o;

        if (places_reserve(fd) < 0)
                return -ENOMEM;
        place_clear(fd); /* it was closed behind our back */
        o = owner_get(uid);
        if (o == NULL)
                return -ENOMEM;
        o->held++;
        places[fd].owner = o;
        return uid != OWNER_NONE && o->held > limit ? CLOSER_LIMIT : 0;
}

int closer_adopt(int fd, uid_t uid)
{
        pthread_mutex_lock(&mutex);
        int r = adopt(fd, uid);
        pthread_mutex_unlock(&mutex);
        return r;
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
                o->held--;
                r = 0;
        }
        o->has_thread = false;
        owner_drop_if_idle(o);
        pthread_mutex_unlock(&mutex);
        return NULL;
}

/* Signals are the loop's: the thread is born with all of them blocked. */
static bool thread_start(struct owner *o)
{
        pthread_attr_t attributes;
        pthread_t thread;
        sigset_t all, before;
        int r;

        sigfillset(&all);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, closer_thread, o);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return r == 0;
}

/* False: there is nobody to do it; the caller does. */
static bool enqueue(int fd)
{
        struct owner *o;

        if ((fd >= n_places || places[fd].owner == NULL) && adopt(fd, OWNER_NONE) != 0)
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

uint32_t closer_held(uid_t uid)
{
        struct owner *o;
        uint32_t held;

        pthread_mutex_lock(&mutex);
        o = owner_find(uid);
        held = o == NULL ? 0 : o->held;
        pthread_mutex_unlock(&mutex);
        return held;
}
