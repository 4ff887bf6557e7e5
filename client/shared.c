/* SPDX-License-Identifier: MIT */
/* A value or array, opened and mapped. What is done with it then is in ganger_shared.h and asks nobody. */
#include <errno.h>

#include "client/connection.h"
#include "client/reply.h"
#include "proto/shared_open.h"

static int shared_ask(struct ganger *g, struct ganger_reply **ret, const char *name,
                      const struct ganger_shared_options *options)
{
        struct buffer packed = BUFFER_INIT;
        struct packer p;
        int r;

        pack_begin(&p, &packed);
        shared_options_pack(&p, options);
        r = pack_end(&p);
        if (r == 0)
                r = ganger_request(g, ret, "shared.open", "[sm]", name, buffer_at(&packed),
                                   buffer_size(&packed));
        buffer_deinit(&packed);
        return r;
}

int ganger_shared_open(struct ganger *g, struct ganger_shared *ret, const char *name,
                       const struct ganger_shared_options *options_in)
{
        struct ganger_shared_options options;
        struct ganger_reply *reply = NULL;
        int fd, r = shared_options_import(&options, options_in);

        *ret = (struct ganger_shared){0};
        if (r == 0)
                r = shared_ask(g, &reply, name, &options);
        if (r > 0) {
                connection_keep_error(g, reply);
                return r;
        }
        if (r == 0 && ganger_read_key(reply, "object", "h", &fd) < 0)
                r = -EPROTO;
        if (r == 0)
                r = shared_answer_map(ret, &options, reply_reader(reply), fd);
        ganger_reply_free(reply);
        return r;
}
