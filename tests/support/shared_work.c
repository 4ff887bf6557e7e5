/* SPDX-License-Identifier: MIT */
#include "tests/support/shared_work.h"

#include <stdbool.h>
#include <time.h>

enum { N_USES = 6 };

int64_t shared_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int shared_add_apart(const struct ganger_shared *s)
{
        int64_t n = 0;
        int r = ganger_shared_get_i64(s, 0, &n);

        return r < 0 ? r : ganger_shared_set_i64(s, 0, n + 1);
}

static int wait_to_begin(const struct ganger_shared *s)
{
        return ganger_shared_wait_i64(s, 0, -1, NULL, SHARED_PATIENCE_MS);
}

int64_t shared_add_locked(const struct ganger_shared *s, int64_t n)
{
        int64_t n_abandoned = 0;
        int begun = wait_to_begin(s);

        if (begun < 0)
                return begun;
        for (int64_t i = 0; i < n; i++) {
                int locked = ganger_shared_lock(s, SHARED_PATIENCE_MS);
                int r = locked < 0 ? locked : shared_add_apart(s);

                if (locked >= 0 && r == 0)
                        r = ganger_shared_unlock(s);
                if (r < 0)
                        return r;
                n_abandoned += locked == GANGER_SHARED_ABANDONED;
        }
        return n_abandoned;
}

int shared_add_atomically(const struct ganger_shared *s, int64_t n)
{
        int r = wait_to_begin(s);

        for (int64_t i = 0; r == 0 && i < n; i++)
                r = ganger_shared_add_i64(s, 0, 1, NULL);
        return r;
}

struct shared_take shared_take(const struct ganger_shared *s, int64_t timeout_ms)
{
        int64_t begin = shared_now_ms();
        int r = ganger_shared_lock(s, timeout_ms);
        struct shared_take take = {.r = r, .took_ms = shared_now_ms() - begin};

        if (r >= 0)
                ganger_shared_unlock(s);
        return take;
}

int shared_use_once(const struct ganger_shared *s, int which)
{
        int64_t n = 0, buffer[4] = {0};
        int r;

        switch (which % N_USES) {
        case 0:
                r = ganger_shared_lock(s, SHARED_CALL_MS);
                return r == 0 || r == GANGER_SHARED_ABANDONED || r == -ETIMEDOUT || r == -EDEADLK;
        case 1:
                r = ganger_shared_unlock(s);
                return r == 0 || r == -EPERM;
        case 2:
                r = ganger_shared_wait_i64(s, 1, 0, &n, SHARED_CALL_MS);
                return r == 0 || r == -ETIMEDOUT;
        case 3:
                return ganger_shared_add_i64(s, 2, 1, &n) == 0;
        case 4:
                return ganger_shared_write(s, 0, 4, buffer) == 0 && ganger_shared_notify(s) == 0;
        default:
                return ganger_shared_read(s, 0, 4, buffer) == 0 && ganger_shared_get_i64(s, 4, &n) == -ERANGE;
        }
}

struct shared_use shared_use(const struct ganger_shared *s, int which, int64_t duration_ms)
{
        int64_t end = shared_now_ms() + duration_ms, begin, now = end - duration_ms;
        struct shared_use use = {0};

        while (now < end && use.wrong == 0) {
                begin = now;
                if (!shared_use_once(s, which))
                        use.wrong = 1 + which % N_USES;
                which++;
                use.n++;
                now = shared_now_ms();
                if (now - begin > use.longest_ms)
                        use.longest_ms = now - begin;
        }
        return use;
}
