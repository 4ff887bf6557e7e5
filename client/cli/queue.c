/* SPDX-License-Identifier: MIT */
/*
 * The verb queue, but for get: put, size, join. put sends what there is in batches, one on the way at a time:
 * memory does not grow with the input, and a full queue makes who writes to standard input wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/items.h"
#include "client/cli/look.h"
#include "client/cli/subverb.h"

#define BATCH_ITEMS 65536
#define BATCH_BYTES (1u << 20)

struct putting {
        struct subline *line;
        struct items items;
        struct arguments batch;
        uint64_t n_put;
        bool has_words; /* items come from the command line */
        bool is_ready;  /* the batch is to be sent */
        bool ended;     /* there are no more items */
        int status;     /* of reading: EXIT_DONE, or what ends it when the batch is sent */
};

static const char *place(const struct putting *p)
{
        return p->has_words ? "arguments" : "standard input";
}

/* Of an item: what is wrong with it ends the reading. */
static void add(struct cli *cli, struct putting *p, const char *text, size_t size_bytes)
{
        char why[512];
        size_t before = buffer_size(&p->batch.bytes);
        int r = arguments_add(&p->batch, subline_mode(p->line), text, size_bytes, why, sizeof why);

        if (r == 0 && p->batch.n_fds == 0)
                return;
        if (r == 0)
                snprintf(why, sizeof why, "a queue keeps no files; write @@ for a literal @");
        if (r == 0)
                p->batch.n--;
        buffer_truncate(&p->batch.bytes, before);
        p->status = cli_usage_error(cli, "item %" PRIu64 ": %s", p->items.n_taken, why);
        p->ended = true;
}

static void read_failed(const struct cli *cli, struct putting *p, int r)
{
        p->ended = true;
        if (r == -EMSGSIZE) {
                p->status = cli_usage_error(cli, "item %" PRIu64 " is larger than the daemon takes",
                                            p->items.n_taken + 1);
                return;
        }
        cli_say("%s: %s", place(p), strerror(-r));
        p->status = EXIT_GANGER;
}

/* Fills the batch with what can be had without waiting. What to poll for where that is nothing. */
static int fill(struct cli *cli, void *userdata)
{
        struct putting *p = userdata;
        const char *text;
        size_t size_bytes;
        int r = 1;

        while (r > 0 && !p->ended && p->batch.n < BATCH_ITEMS && buffer_size(&p->batch.bytes) < BATCH_BYTES) {
                r = items_next(&p->items, &text, &size_bytes);
                if (r > 0)
                        add(cli, p, text, size_bytes);
                else if (r == 0)
                        p->ended = true;
                else if (r != -EAGAIN)
                        read_failed(cli, p, r);
        }
        p->is_ready = p->ended || p->batch.n > 0;
        return p->is_ready ? -1 : items_fd(&p->items);
}

/* [name, [item...], {options}] */
static int pack_batch(const struct putting *p, struct buffer *ret)
{
        struct packer packer;

        pack_begin(&packer, ret);
        pack_array(&packer, 3);
        pack_str(&packer, p->line->words[0]);
        pack_array(&packer, p->batch.n);
        pack_raw(&packer, buffer_at(&p->batch.bytes), buffer_size(&p->batch.bytes));
        int r = pack_end(&packer);
        return r < 0 ? r : subline_pack_options(p->line, ret);
}

/* What was put of the batch; fewer than all: time ran out. */
static int took(const struct cli *cli, struct putting *p, const struct ganger_reply *reply)
{
        uint64_t n;

        if (ganger_read(reply, "u", &n) < 0)
                return cli_lost(cli, cli->verb->name, -EPROTO);
        p->n_put += n;
        if (n >= p->batch.n)
                return EXIT_DONE;
        cli_say("time ran out: %" PRIu64 " items were put, the next one has no room", p->n_put);
        return EXIT_TIME;
}

static int send_batch(struct cli *cli, struct putting *p)
{
        struct buffer params = BUFFER_INIT;
        struct ganger_reply *reply = NULL;
        int r = pack_batch(p, &params);

        if (r == 0)
                r = subverb_request(cli, &reply, "queue.put", &params);
        int status = r == 0 ? took(cli, p, reply) : subverb_failed(cli, p->line, r, reply);
        if (r != 0 && p->n_put > 0)
                cli_say("%" PRIu64 " items were put before", p->n_put);
        ganger_reply_free(reply);
        buffer_deinit(&params);
        return status;
}

/* The next batch: read, sent. -1: go on. */
static int put_next(struct cli *cli, struct putting *p)
{
        struct cli_wait wait = {.prepare = fill, .userdata = p};

        p->batch.n = 0;
        buffer_truncate(&p->batch.bytes, 0);
        p->is_ready = false;
        int r = cli_wait(cli, &p->is_ready, &wait);
        if (r > 0)
                return EXIT_SIGNAL + r;
        if (r < 0)
                return cli_lost(cli, cli->verb->name, r);
        int status = p->batch.n > 0 ? send_batch(cli, p) : EXIT_DONE;
        if (status != EXIT_DONE)
                return status;
        return p->ended ? p->status : -1;
}

int queue_put(struct cli *cli, struct subline *line)
{
        struct putting p = {.line = line, .has_words = line->n_words > 1};
        int status = -1;

        if (p.has_words && subline_has(line, SUB_ZERO_BYTES))
                return cli_usage_error(cli, "--null is for items from standard input");
        items_init(&p.items, line->words + 1, NULL, subline_has(line, SUB_ZERO_BYTES) ? '\0' : '\n');
        arguments_init(&p.batch);
        cli_connect(cli);
        while (status < 0)
                status = put_next(cli, &p);
        if (cli->json)
                printf("%" PRIu64 "\n", p.n_put);
        arguments_deinit(&p.batch);
        items_deinit(&p.items);
        return status;
}

const struct subverb queue_verbs[] = {
        {.verb = {.name = "queue put",
                  .arguments = "[OPTIONS] NAME [ITEM...]",
                  .summary = "add items; without ITEM those of standard input, one a line",
                  .help = "Waits while the queue is full. An ITEM that is valid JSON is that value, anything "
                          "else\n"
                          "a string. --timeout is for each batch of input. With --json: how many were "
                          "put.\n"},
         .words = {"queue"},
         .max_words = SUB_ANY_MORE,
         .options = SUB(TIMEOUT) | SUB(MAXSIZE) | SUB(ZERO_BYTES) | SUB_VALUES,
         .run = queue_put},
        {.verb = {.name = "queue get",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "wait for an item, take the oldest, print it; one a line",
                  .help = "--follow with --timeout ends when nothing came for that long. --all-there does "
                          "not "
                          "wait,\n"
                          "unless with --timeout. With --ack an item comes back to the front of the queue "
                          "unless it\n"
                          "was written; without, what is taken and cannot be written is lost.\n"},
         .words = {"queue"},
         .max_words = 1,
         .options = SUB(TIMEOUT) | SUB(MAX) | SUB(ALL_THERE) | SUB(ACK) | SUB(FOLLOW) | SUB(RAW),
         .run = queue_get},
        {.verb = {.name = "queue size",
                  .arguments = "NAME",
                  .summary = "print how many items wait in it, without those that are leased (get --ack)"},
         .words = {"queue"},
         .max_words = 1,
         .run = subverb_ask,
         .method = "queue.size",
         .shape = "s",
         .show = show_value},
        {.verb = {.name = "queue join",
                  .arguments = "[OPTIONS] NAME",
                  .summary = "wait until no item is in it and none is leased"},
         .words = {"queue"},
         .max_words = 1,
         .options = SUB(TIMEOUT),
         .run = subverb_ask,
         .method = "queue.join",
         .shape = "so",
         .show = show_nothing},
        {.verb = {.name = NULL}},
};
