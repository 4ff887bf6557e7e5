/* SPDX-License-Identifier: MIT */
/*
 * stage IN OUT: takes file names from the queue IN, has each one's SHA-256 computed by a worker of gangerd,
 * and puts [name, digest] into the queue OUT, for whoever is the next stage. Run as many as you like, and
 * kill any: a name is leased until its digest is in OUT, and goes to another one if this one dies. (One that
 * dies in between has it done twice; it is never lost.) Ends when no name has come for a second.
 *
 *      find /usr/include -type f | ganger queue put names
 *      stage names digests & stage names digests & wait
 *      ganger queue get --all-there digests
 */
#include <ganger.h>
#include <stdio.h>
#include <string.h>

/* The answer that was not as hoped for, told. */
static int failed(const char *what, int r, const struct ganger_reply *reply)
{
        fprintf(stderr, "stage: %s: %s\n", what, r > 0 ? ganger_message(reply) : strerror(-r));
        return r;
}

/* A file that is none is told, and done with. */
static int pass_on(struct ganger *g, const char *name, const char *out)
{
        struct ganger_reply *digested = NULL, *put = NULL;
        const char *text;
        int r = ganger_call(g, &digested, NULL, "digest.sha256", "[s]", name);

        if (r != 0)
                failed(name, r, digested);
        if (r == 0)
                r = ganger_read(digested, "s", &text);
        if (r == 0) {
                r = ganger_request(g, &put, "queue.put", "[s[[ss]]]", out, name, text);
                if (r != 0)
                        failed(out, r, put);
        } else if (r > 0) {
                r = 0;
        }
        ganger_reply_free(put);
        ganger_reply_free(digested);
        return r;
}

/* One name. > 0: there was none. */
static int next(struct ganger *g, const char *in, const char *out)
{
        struct ganger_reply *got = NULL, *done = NULL;
        uint64_t token;
        const char *name;
        int r = ganger_request(g, &got, "queue.get", "[s{sbsd}]", in, "ack", 1, "timeout", 1.0);

        if (r < 0 || (r > 0 && r != GANGER_NOT_READY))
                failed(in, r, got);
        if (r == 0)
                r = ganger_read(got, "[[us]]", &token, &name);
        if (r == 0)
                r = pass_on(g, name, out);
        if (r == 0)
                r = ganger_request(g, &done, "queue.task_done", "[su]", in, token);
        ganger_reply_free(done);
        ganger_reply_free(got);
        return r;
}

int main(int argc, char **argv)
{
        struct ganger *g = NULL;
        int r;

        if (argc != 3) {
                fprintf(stderr, "usage: stage IN OUT\n");
                return 2;
        }
        r = ganger_open(&g, NULL);
        if (r < 0)
                failed("gangerd", r, NULL);
        while (r == 0)
                r = next(g, argv[1], argv[2]);
        ganger_close(g);
        return r == GANGER_NOT_READY ? 0 : 1;
}
