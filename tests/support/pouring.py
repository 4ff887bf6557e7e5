# SPDX-License-Identifier: MIT
"""Clients and tasks that fill the log, and how long another client's `ping` takes meanwhile."""
import time

from gangerd import Child, Client

NAMED_S, MOST_S = 0.05, 0.5


class Worst:
    """Of `n` ping times the largest, in seconds."""

    def __init__(self):
        self.seconds, self.n = 0.0, 0

    def add(self, seconds):
        self.seconds = max(self.seconds, seconds)
        self.n += 1

    def __str__(self):
        return f"the largest of {self.n} ping times {self.seconds * 1e3:.1f} ms (named: {NAMED_S * 1e3:.0f} ms)"


def pour(out, path, seconds):
    """A client whose every call is a line of the log, and whose programs write more of them."""
    with Client(path) as client:
        out.write("\n")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for msgid in [client.start("call", "echo", [1], {}) for _ in range(64)]:
                client.outcome(msgid)
            client.call("exec", ["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo a line of a task; done >&2"])


def largest_ping(path, seconds):
    """Of a foreign client, while others pour."""
    pouring = [Child(pour, path, seconds) for _ in range(2)]
    worst = Worst()
    try:
        with Client(path) as client:
            for child in pouring:
                child.pipe.readline()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                begin = time.monotonic()
                client.ask("ping")
                worst.add(time.monotonic() - begin)
        for child in pouring:
            status, _ = child.end()
            if status != 0:
                raise AssertionError(f"one that pours ended with status {status}")
    finally:
        for child in pouring:
            child.kill()
    return worst
