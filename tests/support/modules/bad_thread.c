/* SPDX-License-Identifier: MIT */
/* A module whose constructor starts a thread. */
#include <pthread.h>
#include <unistd.h>

#include "daemon/worker/ganger_module.h"

static void *sleep_for_ever(void *unused)
{
        for (;;)
                pause();
        return unused;
}

__attribute__((constructor)) static void start_thread(void)
{
        pthread_t thread;

        pthread_create(&thread, NULL, sleep_for_ever, NULL);
}

GANGER_MODULE(.name = "bad_thread");
