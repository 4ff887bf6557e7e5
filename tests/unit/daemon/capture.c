/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/capture.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int saved, captured;
static char text[65536];

void capture_begin(void)
{
        char path[] = "/tmp/ganger-log-XXXXXX";

        saved = dup(STDERR_FILENO);
        captured = mkstemp(path);
        assert(captured >= 0);
        unlink(path);
        dup2(captured, STDERR_FILENO);
}

const char *capture_end(void)
{
        ssize_t n = pread(captured, text, sizeof text - 1, 0);

        dup2(saved, STDERR_FILENO);
        close(saved);
        close(captured);
        text[n > 0 ? n : 0] = 0;
        return text;
}
