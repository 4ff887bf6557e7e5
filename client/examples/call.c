/* SPDX-License-Identifier: MIT */
/* call FILE: the SHA-256 of a file, computed by a worker of gangerd. */
#include <ganger.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        struct ganger *g = NULL;
        struct ganger_reply *reply = NULL;
        const char *digest;
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: call FILE\n");
                return 2;
        }
        r = ganger_open(&g, NULL);
        if (r == 0)
                r = ganger_call(g, &reply, NULL, "digest.sha256", "[s]", argv[1]);
        if (r == 0)
                r = ganger_read(reply, "s", &digest);
        if (r == 0)
                printf("%s  %s\n", digest, argv[1]);
        else
                fprintf(stderr, "call: %s\n", r > 0 ? ganger_message(reply) : strerror(-r));
        ganger_reply_free(reply);
        ganger_close(g);
        return r == 0 ? 0 : 1;
}
