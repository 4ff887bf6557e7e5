/* SPDX-License-Identifier: MIT */
/* Kept messages, and the table of what is sent again. */
#include "client/resend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/descriptors.h"
#include "proto/envelope.h"
#include "proto/options.h"

/* What is not named is never sent again: hello is each connection's own; feed, more and cancel_request are
 * about another request of it; who subscribes anew says after which event. */
static const enum resend resend_table[N_METHODS] = {
        [METHOD_PING] = RESEND_SAME,
        [METHOD_CALL] = RESEND_TASK,
        [METHOD_SUBMIT] = RESEND_TASK,
        [METHOD_RESULT] = RESEND_SAME,
        [METHOD_WAIT] = RESEND_SAME,
        [METHOD_ATTACH] = RESEND_SAME,
        [METHOD_CANCEL] = RESEND_SAME,
        [METHOD_MAP] = RESEND_TASK,
        [METHOD_TASK] = RESEND_SAME,
        [METHOD_TASKS] = RESEND_SAME,
        [METHOD_FUNCTIONS] = RESEND_SAME,
        [METHOD_STATUS] = RESEND_SAME,
        [METHOD_METRICS] = RESEND_SAME,
        [METHOD_RELOAD] = RESEND_SAME,
        [METHOD_LOG_LEVEL] = RESEND_SAME,
        [METHOD_POOL_SCALE] = RESEND_SAME,
        [METHOD_POOL_PAUSE] = RESEND_SAME,
        [METHOD_POOL_RESUME] = RESEND_SAME,
        [METHOD_POOL_DRAIN] = RESEND_SAME,
        [METHOD_POOL_RELOAD] = RESEND_SAME,
        [METHOD_SHARED_OPEN] = RESEND_OBJECT,
        [METHOD_SHARED_LIST] = RESEND_SAME,
        [METHOD_SHARED_UNLINK] = RESEND_OBJECT,
        [METHOD_LOCK_ACQUIRE] = RESEND_OBJECT,
        [METHOD_LOCK_RELEASE] = RESEND_OBJECT,
        [METHOD_CONDITION_WAIT] = RESEND_OBJECT,
        [METHOD_CONDITION_NOTIFY] = RESEND_OBJECT,
        [METHOD_EVENT_SET] = RESEND_OBJECT,
        [METHOD_EVENT_CLEAR] = RESEND_OBJECT,
        [METHOD_EVENT_IS_SET] = RESEND_OBJECT,
        [METHOD_EVENT_WAIT] = RESEND_OBJECT,
        [METHOD_BARRIER_WAIT] = RESEND_OBJECT,
        [METHOD_BARRIER_RESET] = RESEND_OBJECT,
        [METHOD_BARRIER_ABORT] = RESEND_OBJECT,
        [METHOD_QUEUE_PUT] = RESEND_OBJECT,
        [METHOD_QUEUE_GET] = RESEND_OBJECT,
        [METHOD_QUEUE_TASK_DONE] = RESEND_OBJECT,
        [METHOD_QUEUE_JOIN] = RESEND_OBJECT,
        [METHOD_QUEUE_SIZE] = RESEND_OBJECT,
        [METHOD_PIPE_OPEN] = RESEND_OBJECT,
        [METHOD_DICT_GET] = RESEND_OBJECT,
        [METHOD_DICT_SET] = RESEND_OBJECT,
        [METHOD_DICT_DELETE] = RESEND_OBJECT,
        [METHOD_DICT_ADD] = RESEND_OBJECT,
        [METHOD_DICT_ITEMS] = RESEND_OBJECT,
        [METHOD_DICT_LEN] = RESEND_OBJECT,
        [METHOD_DICT_WATCH] = RESEND_OBJECT,
        [METHOD_LIST_PUSH] = RESEND_OBJECT,
        [METHOD_LIST_POP] = RESEND_OBJECT,
        [METHOD_LIST_GET] = RESEND_OBJECT,
        [METHOD_LIST_SET] = RESEND_OBJECT,
        [METHOD_LIST_SLICE] = RESEND_OBJECT,
        [METHOD_LIST_LEN] = RESEND_OBJECT,
};

enum resend resend_of(enum method method)
{
        return method < N_METHODS ? resend_table[method] : RESEND_NEVER;
}

/* Of queue.get: with `ack` each item has a token, without it is nil. */
static uint32_t leased(struct reader items)
{
        uint64_t token;
        uint32_t n, n_pair;

        if (reader_array(&items, &n) < 0 || n == 0 || reader_array(&items, &n_pair) < 0 || n_pair == 0)
                return 0;
        return reader_uint(&items, &token) == 0 ? n : 0;
}

int64_t held_by_answer(enum method method, struct reader result)
{
        uint64_t n_done;

        if (method == METHOD_LOCK_ACQUIRE)
                return 1;
        if (method == METHOD_LOCK_RELEASE)
                return -1;
        if (method == METHOD_QUEUE_GET)
                return leased(result);
        if (method == METHOD_QUEUE_TASK_DONE && reader_uint(&result, &n_done) == 0 && n_done <= LIMIT_ITEMS)
                return -(int64_t)n_done;
        return 0;
}

/* ---- the parts of a request ---- */

struct parts {
        struct envelope envelope;
        struct reader positional; /* the parameters before the options */
        uint32_t n_positional;
        struct reader pairs; /* of the options */
        uint32_t n_pairs;
};

/* How many parameters a method has before its options. */
static uint32_t shape_positional(const char *shape)
{
        uint32_t n = 0;

        for (; *shape != '\0' && *shape != 'o'; shape++)
                n += *shape != '|';
        return n;
}

/* What has another shape than its method wants is taken as it is: the daemon will refuse it. */
static int parts_split(struct parts *ret, enum method method, const uint8_t *data, size_t size_bytes)
{
        struct envelope *envelope = &ret->envelope;
        struct reader reader;
        uint32_t n_positional;

        if (envelope_parse(envelope, data, size_bytes, NULL) < 0)
                return -EINVAL;
        reader = envelope->params;
        n_positional = method < N_METHODS ? shape_positional(method_table[method].shape) : UINT32_MAX;
        ret->n_positional = envelope->n_params < n_positional ? envelope->n_params : n_positional;
        for (uint32_t i = 0; i < ret->n_positional; i++)
                if (reader_skip(&reader, NULL, NULL, NULL) < 0)
                        return -EINVAL;
        ret->positional = reader_over(envelope->params.at, (size_t)(reader.at - envelope->params.at));
        ret->n_pairs = 0;
        ret->pairs = reader;
        if (envelope->n_params == ret->n_positional)
                return 0;
        if (envelope->n_params > ret->n_positional + 1 || reader_map(&ret->pairs, &ret->n_pairs) < 0) {
                ret->positional = envelope->params;
                ret->n_positional = envelope->n_params;
        }
        return 0;
}

struct pair {
        struct reader key; /* with the value behind it */
        const char *name;  /* "" if it is no string */
        size_t name_size_bytes;
        struct reader value;
};

static int pair_next(struct reader *pairs, struct pair *ret)
{
        const uint8_t *begin = pairs->at;

        *ret = (struct pair){.name = ""};
        if (reader_str(pairs, &ret->name, &ret->name_size_bytes) < 0 &&
            reader_skip(pairs, NULL, NULL, NULL) < 0)
                return -EINVAL;
        ret->value = *pairs;
        if (reader_skip(pairs, NULL, NULL, NULL) < 0)
                return -EINVAL;
        ret->value.end = pairs->at;
        ret->key = reader_over(begin, (size_t)(pairs->at - begin));
        return 0;
}

static bool pair_is(const struct pair *pair, const char *name)
{
        return pair->name_size_bytes == strlen(name) && memcmp(pair->name, name, strlen(name)) == 0;
}

/* Whether it counts from when the request was made. A task's own timeout counts from when it begins. */
static bool pair_runs_on(enum resend resend, const struct pair *pair)
{
        return resend == RESEND_TASK ? pair_is(pair, "expires") || pair_is(pair, "delay")
                                     : pair_is(pair, "timeout");
}

/* ---- keeping ---- */

static int64_t deadline_of(const struct pair *pair, int64_t now_ms)
{
        struct reader value = pair->value;
        double seconds;

        if (pair_is(pair, "delay") || reader_double(&value, &seconds) < 0 ||
            !(seconds >= 0 && seconds <= LIMIT_SECONDS))
                return INT64_MAX;
        return now_ms + (int64_t)(seconds * 1000);
}

/* A map that is fed goes on by messages that nobody has kept. */
static bool is_told_more(const struct kept *kept, const struct pair *pair)
{
        return kept->method == METHOD_MAP && (pair_is(pair, "feed") || pair_is(pair, "window"));
}

static void kept_inspect(struct kept *kept)
{
        struct parts parts;

        kept->deadline_ms = INT64_MAX;
        if (parts_split(&parts, kept->method, buffer_at(&kept->bytes), buffer_size(&kept->bytes)) < 0)
                return;
        for (uint32_t i = 0; i < parts.n_pairs; i++) {
                struct pair pair;

                if (pair_next(&parts.pairs, &pair) < 0)
                        return;
                if (pair_runs_on(kept->resend, &pair) &&
                    deadline_of(&pair, kept->made_ms) < kept->deadline_ms)
                        kept->deadline_ms = deadline_of(&pair, kept->made_ms);
                if (is_told_more(kept, &pair))
                        kept->resend = RESEND_NEVER;
        }
}

struct kept *kept_free(struct kept *kept)
{
        if (kept == NULL)
                return NULL;
        while (kept->n_fds > 0)
                close(kept->fds[--kept->n_fds]);
        buffer_deinit(&kept->bytes);
        free(kept);
        return NULL;
}

int kept_new(enum method method, const uint8_t *data, size_t size_bytes, const int *fds, uint32_t n_fds,
             int64_t now_ms, struct kept **ret)
{
        struct kept *kept = calloc(1, sizeof *kept + n_fds * sizeof *fds);
        int r;

        if (kept == NULL)
                return -ENOMEM;
        kept->method = method;
        kept->resend = resend_of(method);
        kept->made_ms = now_ms;
        r = buffer_append(&kept->bytes, data, size_bytes);
        if (r == 0)
                r = fds_duplicate(fds, n_fds, kept->fds);
        if (r < 0) {
                kept_free(kept);
                return r;
        }
        kept->n_fds = n_fds;
        kept_inspect(kept);
        *ret = kept;
        return 0;
}

/* ---- writing ---- */

static void write_rest_of_time(struct packer *packer, const struct pair *pair, int64_t elapsed_ms)
{
        struct reader value = pair->value;
        double seconds = 0, elapsed = (double)elapsed_ms / 1000;

        if (reader_double(&value, &seconds) < 0 || !(seconds >= 0)) {
                pack_raw(packer, pair->key.at, (size_t)(pair->key.end - pair->key.at));
                return;
        }
        pack_str_n(packer, pair->name, pair->name_size_bytes);
        pack_double(packer, seconds > elapsed ? seconds - elapsed : 0);
}

/* The attempts that were made before: what the program said itself, and those of this handle. */
static uint64_t attempts_before(const struct kept *kept, struct parts parts, bool *ret_is_said)
{
        uint64_t said = 0;
        struct pair pair;

        *ret_is_said = false;
        for (uint32_t i = 0; i < parts.n_pairs && pair_next(&parts.pairs, &pair) == 0; i++)
                if (pair_is(&pair, "attempts_before"))
                        *ret_is_said = reader_uint(&pair.value, &said) == 0;
        said += kept->n_sent;
        return said < LIMIT_RETRIES ? said : LIMIT_RETRIES;
}

static void write_options(const struct kept *kept, struct parts *parts, int64_t elapsed_ms,
                          struct packer *packer)
{
        bool is_said = false;
        uint64_t before =
                kept->resend == RESEND_TASK && kept->n_sent > 0 ? attempts_before(kept, *parts, &is_said) : 0;
        struct pair pair;

        if (parts->n_pairs + (before > 0) == 0)
                return;
        pack_map(packer, parts->n_pairs + (before > 0 && !is_said));
        for (uint32_t i = 0; i < parts->n_pairs && pair_next(&parts->pairs, &pair) == 0; i++) {
                if (before > 0 && is_said && pair_is(&pair, "attempts_before"))
                        continue;
                if (pair_runs_on(kept->resend, &pair))
                        write_rest_of_time(packer, &pair, elapsed_ms);
                else
                        pack_raw(packer, pair.key.at, (size_t)(pair.key.end - pair.key.at));
        }
        if (before > 0) {
                pack_str(packer, "attempts_before");
                pack_uint(packer, before);
        }
}

static bool has_options(const struct kept *kept, const struct parts *parts)
{
        return parts->n_pairs > 0 || (kept->resend == RESEND_TASK && kept->n_sent > 0);
}

void kept_write(const struct kept *kept, int64_t now_ms, struct ganger_writer *w)
{
        struct packer *packer = &w->packer;
        struct parts parts;

        if (parts_split(&parts, kept->method, buffer_at(&kept->bytes), buffer_size(&kept->bytes)) < 0) {
                w->error = -EINVAL;
                return;
        }
        pack_array(packer, 4);
        pack_uint(packer, ENVELOPE_REQUEST);
        pack_uint(packer, parts.envelope.msgid);
        pack_str_n(packer, parts.envelope.method, parts.envelope.method_size_bytes);
        pack_array(packer, parts.n_positional + has_options(kept, &parts));
        if (parts.n_positional > 0)
                pack_raw(packer, parts.positional.at, (size_t)(parts.positional.end - parts.positional.at));
        write_options(kept, &parts, now_ms - kept->made_ms, packer);
        for (uint32_t i = 0; i < kept->n_fds; i++)
                writer_keep_fd(w, kept->fds[i]);
}
