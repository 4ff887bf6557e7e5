/* SPDX-License-Identifier: MIT */
/*
 * A value or array that a task opens: an ordinary request, whose answer's descriptor is mapped here. The
 * mapping is the module's and outlives the task; the descriptor goes with the answer.
 */
#include <errno.h>

#include "daemon/worker/worker.h"
#include "proto/shared_open.h"

int shared_open(struct run *run, struct ganger_shared *ret, const char *name,
                const struct ganger_shared_options *options_in)
{
        struct ganger_shared_options options;
        int r = shared_options_import(&options, options_in);

        *ret = (struct ganger_shared){0};
        if (r == 0)
                r = request_begin(run, "shared.open", 2);
        if (r < 0)
                return r;
        pack_str(&run->request, name);
        shared_options_pack(&run->request, &options);
        r = request_end(run);
        if (r == 0 && run->worker->reply.n_fds != 1)
                r = -EPROTO;
        if (r == 0)
                r = shared_answer_map(ret, &options, run->reply, run->worker->reply.fds[0]);
        if (r == 0)
                request_forget(run);
        return r;
}
