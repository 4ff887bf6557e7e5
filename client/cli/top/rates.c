/* SPDX-License-Identifier: MIT */
#include "client/cli/top/rates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/hash.h"

struct rate {
        double value, time; /* at the look that the next rate is counted from */
        double rate;
        unsigned look; /* the last one that had it */
        UT_hash_handle hh;
        size_t key_size_bytes;
        char key[]; /* kind, the name, a 0 byte, the owner */
};

static void rates_forget(struct rates *rates, unsigned but_look)
{
        struct rate *rate, *next;

        HASH_ITER (hh, rates->table, rate, next)
                if (rate->look != but_look) {
                        HASH_DEL(rates->table, rate);
                        free(rate);
                }
}

void rates_deinit(struct rates *rates)
{
        rates_forget(rates, rates->look + 1);
}

void rates_begin(struct rates *rates, uint64_t daemon, double time)
{
        if (daemon != rates->daemon || time < rates->time)
                rates_forget(rates, rates->look + 1);
        rates->daemon = daemon;
        rates->time = time;
        rates->look++;
}

void rates_end(struct rates *rates)
{
        rates_forget(rates, rates->look);
}

/* A new counter. NULL: no memory, then it has no rate this time either. */
static struct rate *rates_add(struct rates *rates, const char *key, size_t key_size_bytes, double value)
{
        struct rate *rate = calloc(1, sizeof *rate + key_size_bytes);

        if (!rate)
                return NULL;
        rate->value = value;
        rate->time = rates->time;
        rate->rate = NAN;
        rate->look = rates->look;
        rate->key_size_bytes = key_size_bytes;
        memcpy(rate->key, key, key_size_bytes);
        HASH_ADD(hh, rates->table, key, key_size_bytes, rate);
        if (!rate->hh.tbl) {
                free(rate);
                return NULL;
        }
        return rate;
}

static size_t key_of(char kind, struct look_text name, struct look_text owner, char *ret, size_t size_bytes)
{
        size_t n = 0;

        ret[n++] = kind;
        for (size_t i = 0; i < name.size_bytes && n < size_bytes - 1; i++)
                ret[n++] = name.data[i];
        ret[n++] = '\0';
        for (size_t i = 0; i < owner.size_bytes && n < size_bytes; i++)
                ret[n++] = owner.data[i];
        return n;
}

double rates_of(struct rates *rates, char kind, struct look_text name, struct look_text owner, double value,
                double hold_s)
{
        char key[600]; /* two names have at most 255 bytes each */
        size_t key_size_bytes = key_of(kind, name, owner, key, sizeof key);
        struct rate *rate;

        HASH_FIND(hh, rates->table, key, key_size_bytes, rate);
        if (!rate) {
                rates_add(rates, key, key_size_bytes, value);
                return NAN;
        }
        double passed_s = rates->time - rate->time;
        bool same = value - rate->value == 0;

        rate->look = rates->look;
        if (passed_s < RATES_SHORTEST_SECONDS || (same && passed_s < hold_s))
                return rate->rate;
        rate->rate = value < rate->value ? NAN : (value - rate->value) / passed_s;
        rate->value = value;
        rate->time = rates->time;
        return rate->rate;
}
