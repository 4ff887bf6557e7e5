# SPDX-License-Identifier: MIT
"""A zygote (PROTOCOL.md, part 2) whose first worker cannot be forked: gangerd meets the report of that and the end of the channel at
once."""
import errno
import os
import select
import signal

from foreign_zygote import fork_twice, gangerd, serve, worker_channel

n_spawned = 0


def live(fd):
    select.select([worker_channel(fd)], [], [])  # whatever comes: stop, or the end


def spawn(channel, _):
    global n_spawned
    n_spawned += 1
    if n_spawned > 1:
        return fork_twice(lambda: live(channel))
    os.kill(gangerd, signal.SIGSTOP)
    raise OSError(errno.EAGAIN, "there cannot be one more process")


serve(["echo"], spawn, lambda: os.kill(gangerd, signal.SIGCONT))
