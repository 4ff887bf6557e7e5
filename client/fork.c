/* SPDX-License-Identifier: MIT */
/* The page is made once and never given back: handles of several threads look at it. */
#include "client/fork.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic(_Atomic uint64_t *) page; /* 0 in a child that has made no handle of its own */
static _Atomic uint64_t last;            /* a child goes on from there, so that no number comes twice */

static _Atomic uint64_t *get_page(void)
{
        _Atomic uint64_t *ours = atomic_load(&page), *theirs = NULL;
        size_t size_bytes = (size_t)sysconf(_SC_PAGESIZE);

        if (ours != NULL)
                return ours;
        ours = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (ours == MAP_FAILED)
                return NULL;
        if (madvise(ours, size_bytes, MADV_WIPEONFORK) < 0) {
                munmap(ours, size_bytes);
                return NULL;
        }
        if (atomic_compare_exchange_strong(&page, &theirs, ours))
                return ours;
        munmap(ours, size_bytes); /* another thread was first */
        return theirs;
}

uint64_t fork_generation(void)
{
        _Atomic uint64_t *at = get_page();
        uint64_t generation = 0;

        if (at == NULL)
                return 0;
        uint64_t next = atomic_fetch_add(&last, 1) + 1;
        return atomic_compare_exchange_strong(at, &generation, next) ? next : generation;
}

bool fork_is_same(uint64_t generation)
{
        return atomic_load_explicit(atomic_load_explicit(&page, memory_order_relaxed),
                                    memory_order_relaxed) == generation;
}
