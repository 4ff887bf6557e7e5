# SPDX-License-Identifier: MIT
"""A zygote (PROTOCOL.md, part 2) whose first worker is dead before it is reported; the others do nothing but live."""
import select
import time

from foreign_zygote import fork_twice, serve, worker_channel

n_spawned = 0


def live(fd):
    select.select([worker_channel(fd)], [], [])  # whatever comes: stop, or the end


def spawn(channel, _):
    global n_spawned
    n_spawned += 1
    if n_spawned > 1:
        return fork_twice(lambda: live(channel))
    pid = fork_twice(lambda: None)
    time.sleep(0.3)  # gangerd has looked who died
    return pid


serve(["echo"], spawn)
