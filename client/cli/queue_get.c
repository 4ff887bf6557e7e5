/* SPDX-License-Identifier: MIT */
/*
 * queue get. With --ack an item is leased until it has been written: the tokens of those that were are given
 * to the daemon before the next are asked for; the others go back when the connection ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "client/cli/look.h"
#include "client/cli/outlet.h"
#include "client/cli/subverb.h"

#define ALL_THERE_AT_ONCE 1000

struct getting {
        struct subline *line;
        struct buffer tokens; /* of what was written and is not acknowledged, packed */
        uint64_t n_tokens;
        uint64_t n_items; /* all that were written */
        bool waits;       /* --timeout was given */
        bool closed;      /* nobody reads standard output any more */
};

static void print_json(struct reader value)
{
        json_write(stdout, value.at, (size_t)(value.end - value.at));
        putchar('\n');
}

/* [token, item]. Whether it was written. */
static bool put_item(const struct cli *cli, struct getting *g, struct reader pair)
{
        struct reader token, item;

        if (look_array(&pair) != 2 || !look_next(&pair, &token) || !look_next(&pair, &item))
                return true;
        if (cli->json)
                print_json(item);
        else
                subverb_put(cli, g->line, item);
        if (!subline_has(g->line, SUB_ACK))
                return !ferror(stdout);
        if (cli_flush() != 0)
                return false;
        g->n_tokens++;
        return buffer_append(&g->tokens, token.at, (size_t)(token.end - token.at)) == 0;
}

static bool put_items(const struct cli *cli, struct getting *g, const struct ganger_reply *reply)
{
        struct reader items = look_reader(reply), pair;
        uint32_t n = look_array(&items);

        for (uint32_t i = 0; i < n && look_next(&items, &pair); i++) {
                if (!put_item(cli, g, pair))
                        return false;
                g->n_items++;
        }
        return cli_flush() == 0;
}

/* [name, [token...]] */
static int pack_done(const struct getting *g, struct buffer *ret)
{
        struct packer p;

        pack_begin(&p, ret);
        pack_array(&p, 2);
        pack_str(&p, g->line->words[0]);
        pack_array(&p, g->n_tokens);
        pack_raw(&p, buffer_at(&g->tokens), buffer_size(&g->tokens));
        return pack_end(&p);
}

/* Sent before signals are looked at: what was written is done. */
static int acknowledge(struct cli *cli, struct getting *g)
{
        struct buffer params = BUFFER_INIT;
        struct cli_request request = {0};
        struct cli_wait wait = {0};
        int r = pack_done(g, &params);

        if (r == 0)
                r = ganger_start_request(cli->g, &request.msgid, "queue.task_done", NULL, cli_on_reply,
                                         &request, "m", buffer_at(&params), buffer_size(&params));
        if (r == 0) {
                ganger_flush(cli->g);
                r = cli_wait(cli, &request.done, &wait);
        }
        buffer_deinit(&params);
        buffer_truncate(&g->tokens, 0);
        g->n_tokens = 0;
        int status = r > 0            ? EXIT_SIGNAL + r
                     : r < 0          ? cli_lost(cli, cli->verb->name, r)
                     : request.r != 0 ? subverb_failed(cli, g->line, request.r, request.reply)
                                      : EXIT_DONE;
        cli_request_deinit(&request);
        return status;
}

/* What is to be said where there was no item. */
static int got_none(const struct cli *cli, struct getting *g, int r, const struct ganger_reply *reply)
{
        if (r == GANGER_NOT_READY && subline_has(g->line, SUB_ALL_THERE) && (!g->waits || g->n_items > 0))
                return EXIT_DONE;
        g->closed = r == -ESHUTDOWN;
        return g->closed ? EXIT_GANGER : subverb_failed(cli, g->line, r, reply);
}

/* Items once. -1: they were written; else the exit status. */
static int get_once(struct cli *cli, struct getting *g)
{
        struct buffer params = BUFFER_INIT;
        struct ganger_reply *reply = NULL;
        int status = -1;
        int r = subline_pack_named(g->line, &params);

        if (r == 0)
                r = outlet_request(cli, &reply, "queue.get", &params);
        if (r != 0)
                status = got_none(cli, g, r, reply);
        else if (!put_items(cli, g, reply))
                status = EXIT_GANGER;
        g->closed = g->closed || cli_flush() == EPIPE;
        ganger_reply_free(reply);
        buffer_deinit(&params);
        int failed = g->n_tokens > 0 ? acknowledge(cli, g) : EXIT_DONE;
        return failed != EXIT_DONE ? failed : status;
}

static int get(struct cli *cli, struct getting *g)
{
        struct subline *line = g->line;
        bool all = subline_has(line, SUB_ALL_THERE);
        int status;

        do {
                if (all && (!g->waits || g->n_items > 0)) {
                        line->given |= SUB(TIMEOUT);
                        line->timeout = 0;
                }
                status = get_once(cli, g);
        } while (status < 0 && (all || subline_has(line, SUB_FOLLOW)));
        return status < 0 ? EXIT_DONE : status;
}

int queue_get(struct cli *cli, struct subline *line)
{
        struct getting g = {.line = line, .waits = subline_has(line, SUB_TIMEOUT)};
        void (*before)(int) = SIG_DFL;

        if (subline_has(line, SUB_ALL_THERE) && subline_has(line, SUB_FOLLOW))
                return cli_usage_error(cli, "--all-there and --follow exclude each other");
        if (subline_has(line, SUB_ALL_THERE) && !subline_has(line, SUB_MAX)) {
                line->given |= SUB(MAX);
                line->integers[SUB_MAX] = ALL_THERE_AT_ONCE;
        }
        cli_connect(cli);
        if (subline_has(line, SUB_ACK)) /* what was written before is to be acknowledged all the same */
                before = signal(SIGPIPE, SIG_IGN);
        int status = get(cli, &g);
        if (subline_has(line, SUB_ACK))
                signal(SIGPIPE, before);
        buffer_deinit(&g.tokens);
        return g.closed ? outlet_closed() : status;
}
