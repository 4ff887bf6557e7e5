# SPDX-License-Identifier: MIT
"""Mixes of tasks of one function, one of which is long: how late the short ones are."""
import time

LONG_RUN = 0.3


def learn(client):
    """So that the function counts as short, and is sent ahead."""
    for msgid in [client.start("call", "sleep", [0], {}) for _ in range(20)]:
        client.finish(msgid)


def mix(client, choose, long_run=LONG_RUN):
    """One long task somewhere in a batch of short ones. The short ones' latest end, in seconds."""
    n = choose.randrange(2, 40)
    where = choose.randrange(n)
    began = time.monotonic()
    ids = [client.start("call", "sleep", [long_run if i == where else 0], {}) for i in range(n)]
    latest = 0
    for i, msgid in enumerate(ids):
        if i != where:
            client.finish(msgid)
            latest = time.monotonic() - began
    if long_run:
        client.notify("cancel_request", ids[where])
    client.outcome(ids[where])
    return latest
