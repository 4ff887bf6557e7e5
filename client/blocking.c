/* SPDX-License-Identifier: MIT */
/*
 * The blocking calls, built on nothing but the public asynchronous ones and poll(): whoever has an event loop
 * can do the same. A signal does not end them: who wants that starts a request and polls himself.
 */
#include <errno.h>
#include <poll.h>

#include "client/connection.h"
#include "client/map.h"
#include "client/reply.h"

struct answer {
        bool done;
        int r;
        struct ganger_reply *reply;
};

static void answer_on_reply(void *userdata, int r, struct ganger_reply *reply)
{
        struct answer *answer = userdata;

        *answer = (struct answer){.done = true, .r = r, .reply = reply};
}

/* Within a callback of the same handle nobody would read the answer. */
static int blocking_check(const struct ganger *g)
{
        int r = connection_check(g);

        return r == 0 && g->calling ? -EBUSY : r;
}

/* Waits for something to happen on the handle, and lets it. A lost connection is no failure here: the answer
 * says so. -ECHILD: a callback has forked and returned in the child, where nothing will ever come. */
static int blocking_turn(struct ganger *g)
{
        struct pollfd poller = {.fd = ganger_fd(g), .events = (short)ganger_events(g)};

        if (connection_check(g) == -ECHILD)
                return -ECHILD;
        if (poll(&poller, 1, (int)ganger_timeout_ms(g)) < 0 && errno != EINTR)
                connection_fail(g, -errno);
        return ganger_dispatch(g) == -ECHILD ? -ECHILD : 0;
}

/* r: what starting the request returned. */
static int blocking_wait(struct ganger *g, struct answer *answer, int r)
{
        if (r < 0)
                return r;
        ganger_flush(g);
        while (r == 0 && !answer->done)
                r = blocking_turn(g);
        return r < 0 ? r : answer->r;
}

/* Hands the reply to a caller who wants it; NULL if there is none, so that he may free it in any case. */
static int blocking_return(struct ganger_reply **ret, int r, struct answer *answer)
{
        if (ret != NULL)
                *ret = r < 0 ? NULL : answer->reply;
        else if (r >= 0)
                ganger_reply_free(answer->reply);
        return r;
}

/* For calls without a reply: the record of a refusal is kept for ganger_error(). */
static int blocking_finish(struct ganger *g, int r, struct ganger_reply *reply)
{
        if (r > 0)
                connection_keep_error(g, reply);
        else
                ganger_reply_free(reply);
        return r;
}

int ganger_call(struct ganger *g, struct ganger_reply **ret, const struct ganger_options *options,
                const char *function, const char *format, ...)
{
        struct answer answer = {0};
        int r = blocking_check(g);
        va_list list;

        if (r == 0) {
                va_start(list, format);
                r = request_start_task(g, "call", options, function, answer_on_reply, &answer, format, list);
                va_end(list);
        }
        r = blocking_wait(g, &answer, r);
        return blocking_return(ret, r, &answer);
}

int ganger_request(struct ganger *g, struct ganger_reply **ret, const char *method, const char *format, ...)
{
        struct answer answer = {0};
        int r = blocking_check(g);
        va_list list;

        if (r == 0) {
                va_start(list, format);
                r = request_start(g, NULL, method, NULL, answer_on_reply, &answer, format, list);
                va_end(list);
        }
        r = blocking_wait(g, &answer, r);
        return blocking_return(ret, r, &answer);
}

int ganger_submit(struct ganger *g, uint64_t *ret_id, const struct ganger_options *options,
                  const char *function, const char *format, ...)
{
        struct answer answer = {0};
        uint64_t id = 0;
        int r = blocking_check(g);
        va_list list;

        if (r == 0) {
                va_start(list, format);
                r = request_start_task(g, "submit", options, function, answer_on_reply, &answer, format,
                                       list);
                va_end(list);
        }
        r = blocking_wait(g, &answer, r);
        if (r == 0 && ganger_read(answer.reply, "u", &id) < 0)
                r = -EPROTO;
        if (r == 0 && ret_id != NULL)
                *ret_id = id;
        return blocking_finish(g, r, answer.reply);
}

/* The daemon refuses more than it could ever wait for. */
static double seconds_of(int64_t timeout_ms)
{
        return timeout_ms < LIMIT_SECONDS * 1000 ? (double)timeout_ms / 1000 : LIMIT_SECONDS;
}

int ganger_result(struct ganger *g, struct ganger_reply **ret, uint64_t id, int64_t timeout_ms)
{
        if (timeout_ms < 0)
                return ganger_request(g, ret, "result", "[u]", id);
        return ganger_request(g, ret, "result", "[u{sd}]", id, "timeout", seconds_of(timeout_ms));
}

int ganger_cancel(struct ganger *g, uint64_t id)
{
        struct ganger_reply *reply = NULL;
        int r = ganger_request(g, &reply, "cancel", "[u]", id);

        return blocking_finish(g, r, reply);
}

/* ---- wait ---- */

static int wait_start(struct ganger *g, struct answer *answer, const uint64_t *ids, size_t n_ids,
                      size_t count, int64_t timeout_ms)
{
        struct message m;
        int r = message_begin_request(&m, g, "wait", NULL, answer_on_reply, answer);
        struct packer *packer = &m.writer.packer;
        size_t n_options = (count > 0) + (timeout_ms >= 0);

        if (r < 0)
                return r;
        pack_array(packer, n_options > 0 ? 2 : 1);
        pack_array(packer, n_ids);
        for (size_t i = 0; i < n_ids; i++)
                pack_uint(packer, ids[i]);
        if (n_options > 0)
                pack_map(packer, n_options);
        if (count > 0) {
                pack_str(packer, "count");
                pack_uint(packer, count);
        }
        if (timeout_ms >= 0) {
                pack_str(packer, "timeout");
                pack_double(packer, seconds_of(timeout_ms));
        }
        return message_end(&m, NULL);
}

static int wait_tell(struct ganger *g, const struct ganger_reply *reply, ganger_on_ended on_ended,
                     void *userdata)
{
        int64_t n = ganger_count(reply);
        int r = n < 0 ? -EPROTO : 0;

        for (int64_t i = 0; i < n && r == 0; i++) {
                const char *state = NULL;
                uint64_t id;

                r = ganger_read_item(reply, (uint64_t)i, "[us]", &id, &state);
                if (r < 0 || state == NULL)
                        return r == -ENOMEM ? r : -EPROTO;
                g->calling = true;
                if (on_ended != NULL)
                        r = on_ended(userdata, id, state);
                g->calling = false;
                if (connection_check(g) == -ECHILD)
                        return -ECHILD;
        }
        return r;
}

int ganger_wait(struct ganger *g, const uint64_t *ids, size_t n_ids, size_t count, int64_t timeout_ms,
                ganger_on_ended on_ended, void *userdata)
{
        struct answer answer = {0};
        int r = blocking_check(g);

        if (r == 0 && n_ids > LIMIT_WAIT_IDS)
                r = -E2BIG;
        if (r == 0)
                r = wait_start(g, &answer, ids, n_ids, count, timeout_ms);
        r = blocking_wait(g, &answer, r);
        if (r != 0)
                return blocking_finish(g, r, answer.reply);
        r = wait_tell(g, answer.reply, on_ended, userdata);
        ganger_reply_free(answer.reply);
        return r;
}

/* ---- map ---- */

int ganger_map(struct ganger *g, const struct ganger_options *options, const char *function,
               ganger_next_item next_item, ganger_on_item on_item, void *userdata)
{
        struct map *map = NULL;
        int r = blocking_check(g);

        if (r == 0)
                r = map_new(g, options, function, next_item, on_item, userdata, &map);
        if (r != 0)
                return r;
        while (r == 0 && !map_has_ended(map)) {
                if (map_advance(map) == -EAGAIN)
                        map_cancel(map, -EAGAIN); /* nobody could say when to ask again */
                ganger_flush(g);
                if (!map_has_ended(map))
                        r = blocking_turn(g);
        }
        if (r == 0)
                r = map_result(map);
        if (r > 0)
                connection_keep_error(g, map_take_reply(map));
        map_free(map);
        return r;
}
