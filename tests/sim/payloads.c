/* SPDX-License-Identifier: MIT */
/*
 * The payload table of the simulator: no bytes, but whose they are and what value they stand for, so that a
 * mix-up shows as a wrong value. A freed number is given again at once, so that a stale one shows too.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

payload_t payloads_new(struct sim *s, const struct payload *payload)
{
        uint32_t number;

        if (s->n_free_payloads > 0) {
                number = s->free_payloads[--s->n_free_payloads];
        } else {
                if (s->n_payloads == 0)
                        s->n_payloads = 1; /* PAYLOAD_NONE */
                if (s->n_payloads >= s->payloads_capacity) {
                        s->payloads_capacity = s->payloads_capacity ? 2 * s->payloads_capacity : 256;
                        s->payloads = realloc(s->payloads, s->payloads_capacity * sizeof(*s->payloads));
                        s->free_payloads =
                                realloc(s->free_payloads, s->payloads_capacity * sizeof(*s->free_payloads));
                        if (!s->payloads || !s->free_payloads)
                                abort();
                }
                number = s->n_payloads++;
        }
        s->payloads[number] = *payload;
        s->payloads[number].used = true;
        return number;
}

void payloads_drop(struct sim *s, payload_t number)
{
        if (number == PAYLOAD_NONE || number >= s->n_payloads || !s->payloads[number].used)
                sim_fail(s, "payload %u is dropped and is none", number);
        s->payloads[number].used = false;
        s->free_payloads[s->n_free_payloads++] = number;
}

const struct payload *payloads_get(struct sim *s, payload_t number)
{
        if (number == PAYLOAD_CURRENT) {
                if (!s->current_valid)
                        sim_fail(s, "the current payload is named, but no event brought one");
                return &s->current;
        }
        if (number == PAYLOAD_NONE || number >= s->n_payloads || !s->payloads[number].used)
                sim_fail(s, "payload %u is named and is none", number);
        return &s->payloads[number];
}

size_t payloads_count(const struct sim *s)
{
        return s->n_payloads ? s->n_payloads - 1 - s->n_free_payloads : 0;
}
