/* SPDX-License-Identifier: MIT */
/*
 * map [FILE…]: the SHA-256 of each file, or of each file that standard input names, one a line; as many at a
 * time as gangerd has workers. Any number of files: neither end holds more than some of them.
 */
#include <errno.h>
#include <ganger.h>
#include <stdio.h>
#include <string.h>

struct job {
        char **next; /* arguments still to come; NULL: lines of standard input */
        char line[4096];
        int n_failed;
};

static int next_item(void *userdata, struct ganger_writer *writer)
{
        struct job *job = userdata;
        const char *path;
        int r;

        if (job->next != NULL)
                path = *job->next != NULL ? *job->next++ : NULL;
        else
                path = fgets(job->line, sizeof job->line, stdin);
        if (path == NULL)
                return ferror(stdin) ? -EIO : 0;
        if (path == job->line)
                job->line[strcspn(job->line, "\n")] = '\0';
        r = ganger_write(writer, "[s]", path);
        return r < 0 ? r : 1;
}

/* Results come as they are ready; with options.ordered they would come in input order. */
static int on_item(void *userdata, uint64_t index, int code, const struct ganger_reply *reply)
{
        struct job *job = userdata;
        const char *digest;

        if (code == GANGER_OK && ganger_read(reply, "s", &digest) == 0)
                return printf("%llu %s\n", (unsigned long long)index, digest) < 0 ? -EIO : 0;
        fprintf(stderr, "map: item %llu: %s\n", (unsigned long long)index, ganger_message(reply));
        job->n_failed++;
        return 0;
}

int main(int argc, char **argv)
{
        struct job job = {.next = argc > 1 ? argv + 1 : NULL};
        struct ganger *g = NULL;
        int r = ganger_open(&g, NULL);

        if (r == 0)
                r = ganger_map(g, NULL, "digest.sha256", next_item, on_item, &job);
        if (r != 0)
                fprintf(stderr, "map: %s\n", r > 0 ? ganger_message(ganger_error(g)) : strerror(-r));
        ganger_close(g);
        return r == 0 && job.n_failed == 0 ? 0 : 1;
}
