# SPDX-License-Identifier: MIT
"""counter.py: a number in shared memory, incremented by this program and by tasks (counter.c) at the same time.

The memory comes as a descriptor and is mapped; only the lock is asked for."""
from ganger_client import Ganger

g = Ganger()
hits = g.open_shared("hits", type="i64")
before = hits[0]
tasks = [g.submit("counter.add", [500]) for _ in range(4)]
for _ in range(500):
    g.request("lock.acquire", "hits.lock")
    hits[0] += 1
    g.request("lock.release", "hits.lock")
for task in tasks:
    g.result(task)
print(hits[0] - before)
