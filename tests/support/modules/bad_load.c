/* SPDX-License-Identifier: MIT */
/* A module whose load() prints to standard output, fails and says why. */
#include <errno.h>
#include <stdio.h>

#include "daemon/worker/ganger_module.h"

static int load(void **ret_state, const struct ganger_setting *settings, size_t n_settings, char *error,
                size_t error_size_bytes)
{
        dprintf(1, "a module prints\n");
        snprintf(error, error_size_bytes, "the moon is not full");
        return -EAGAIN;
}

GANGER_MODULE(.name = "bad_load", .load = load);
