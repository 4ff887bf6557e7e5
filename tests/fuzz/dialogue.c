/* SPDX-License-Identifier: MIT */
/* Each client is connected from the beginning; the first one is gangerd's own user. */
#include "tests/fuzz/dialogue.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/core/core.h"
#include "proto/area.h"
#include "tests/fuzz/client.h"
#include "tests/fuzz/in_process.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/model_process.h"
#include "tests/fuzz/must.h"

#define N_CLIENTS    4
#define N_USERS      3
#define SETTLE_TURNS 10
#define MILLISECOND  (CORE_SECOND / 1000)

static const char configuration[] = "[daemon]\n"
                                    "stop_timeout = 1\n"
                                    "message_timeout = 2\n"
                                    "client_timeout = 20\n"
                                    "user_connections = 3\n"
                                    "user_memory = 128K\n"
                                    "user_descriptors = 20\n"
                                    "max_message = 64K\n"
                                    "max_requests = 8\n"
                                    "output_limit = 16K\n"
                                    "[pool default]\n"
                                    "workers = 2\n"
                                    "max_workers = 3\n"
                                    "min_workers = 1\n"
                                    "idle_timeout = 1\n"
                                    "max_tasks = 20\n"
                                    "nesting_limit = 2\n";

struct dialogue {
        struct in_process process;
        struct input input;
        bool workers_obey, connected;
        struct client clients[N_CLIENTS];
        bool is_deaf[N_CLIENTS];
        unsigned n_settling;
};

static void connect_client(struct dialogue *d, unsigned i)
{
        client_connect(&d->clients[i], d->process.daemon, i % N_USERS == 0 ? geteuid() : 20000 + i % N_USERS);
}

static void step_send(struct dialogue *d, struct client *c)
{
        size_t n_fds = input_byte(&d->input) % 20, size_bytes;
        const uint8_t *kinds = input_bytes(&d->input, &n_fds), *data;

        size_bytes = input_u16(&d->input);
        data = input_bytes(&d->input, &size_bytes);
        client_send(c, data, size_bytes, kinds, (uint32_t)n_fds);
}

static void step_close(struct client *c, bool half)
{
        if (!half) {
                client_close(c);
        } else if (c->fd >= 0) {
                shutdown(c->fd, SHUT_WR);
                c->is_shut = true;
        }
}

static void step_client(struct dialogue *d, enum dialogue_step what)
{
        unsigned which = input_byte(&d->input), i = which % N_CLIENTS;

        if (what == STEP_SEND)
                step_send(d, &d->clients[i]);
        else if (what == STEP_CONNECT && !d->process.is_stopping)
                connect_client(d, i);
        else if (what == STEP_CLOSE)
                step_close(&d->clients[i], which & 0x80);
        else if (what == STEP_DEAF)
                d->is_deaf[i] = !d->is_deaf[i];
}

static void step_area(struct dialogue *d, struct model_process *w)
{
        struct area_slot *slot = &w->area->slots[input_byte(&d->input) % LIMIT_SLOTS];
        uint64_t task = input_byte(&d->input), state = input_byte(&d->input);

        atomic_store(&slot->word, task << SLOT_STATE_BITS | state);
        atomic_store(&slot->index, input_byte(&d->input));
        atomic_store(&slot->begin_ns, in_process_now() - (int64_t)input_byte(&d->input) * MILLISECOND);
        atomic_store(&w->area->over_limit, input_byte(&d->input));
}

static void step_worker(struct dialogue *d, enum dialogue_step what)
{
        struct model_process *w = model_worker(input_byte(&d->input));
        size_t size_bytes;
        const uint8_t *data;

        if (w == NULL)
                return;
        if (what == STEP_SAY) {
                size_bytes = input_u16(&d->input);
                data = input_bytes(&d->input, &size_bytes);
                model_process_write(w, data, size_bytes);
        } else if (what == STEP_AREA) {
                step_area(d, w);
        } else if (what == STEP_DIE) {
                model_process_die(w, (int)input_u16(&d->input) & 0xff7f); /* no core, and never `stopped` */
        } else {
                model_worker_obey(w);
        }
}

static void next_step(struct dialogue *d)
{
        enum dialogue_step what = input_byte(&d->input) % N_DIALOGUE_STEPS;

        switch (what) {
        case STEP_SEND:
        case STEP_CONNECT:
        case STEP_CLOSE:
        case STEP_DEAF:
                return step_client(d, what);
        case STEP_TIME:
                return in_process_advance(MILLISECOND << input_byte(&d->input) % 16);
        case STEP_RELOAD:
                raise(SIGHUP);
                return;
        case STEP_SAY:
        case STEP_AREA:
        case STEP_DIE:
        case STEP_OBEY:
                return step_worker(d, what);
        case STEP_REST:
        case N_DIALOGUE_STEPS:
                return;
        }
}

static bool step(void *userdata)
{
        struct dialogue *d = userdata;

        for (unsigned i = 0; i < N_CLIENTS && !d->connected; i++)
                connect_client(d, i);
        d->connected = true;
        model_processes_step(d->workers_obey);
        if (!input_at_end(&d->input))
                next_step(d);
        for (unsigned i = 0; i < N_CLIENTS; i++)
                if (!d->is_deaf[i] || d->process.is_stopping)
                        client_read(&d->clients[i]);
        return !input_at_end(&d->input) || d->n_settling++ < SETTLE_TURNS;
}

static void over(void *userdata)
{
        struct dialogue *d = userdata;

        for (unsigned i = 0; i < N_CLIENTS; i++) {
                client_read(&d->clients[i]);
                client_close(&d->clients[i]);
        }
}

void dialogue_run(const uint8_t *data, size_t size_bytes, bool workers_obey, bool has_faults)
{
        static struct dialogue d;

        d = (struct dialogue){
                .process = {.step = step, .over = over, .userdata = &d, .has_faults = has_faults},
                .input = {data, data + size_bytes},
                .workers_obey = workers_obey};
        for (unsigned i = 0; i < N_CLIENTS; i++)
                d.clients[i].fd = -1;
        model_processes_begin(!workers_obey);
        in_process_run(&d.process, configuration);
}
