# SPDX-License-Identifier: MIT
"""One user queues 100,000 tasks; another's single calls meanwhile wait for no more than the tasks then running."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main  # noqa: E402
from users import ANN, BOB, connect_as, needs_root, open_to_all  # noqa: E402
from wire import REQUEST, pack  # noqa: E402

QUEUED = 100_000
TASK = 0.010  # seconds that each of them runs
WORKERS = 2
CALLS = 200


def percentiles(times):
    times = sorted(times)
    return times[len(times) // 2], times[len(times) * 99 // 100], times[-1]


def line(name, times):
    return f"{name}: p50 {percentiles(times)[0] * 1e3:.2f} ms, p99 {percentiles(times)[1] * 1e3:.2f} ms, max {percentiles(times)[2] * 1e3:.2f} ms"


def fill(client, n):
    """Submits n tasks, a thousand at a time, and hears of each that it was accepted."""
    for first in range(0, n, 1000):
        msgids = range(client.msgid + 1, client.msgid + 1001)
        client.msgid = msgids[-1]
        for msgid in msgids:
            client.open[msgid] = "submit"
        client.send_bytes(b"".join(pack([REQUEST, msgid, "submit", ["sleep", [TASK], {"ttl": 0}]]) for msgid in msgids))
        for msgid in msgids:
            client.finish(msgid)


def ended(client):
    totals = client.ask("status")["totals"]
    return sum(totals[end] for end in ("succeeded", "failed", "cancelled", "expired"))


def calls(client, n):
    """Seconds of each call, and how many tasks ended between before it and after it, itself not counted."""
    times, overtaken = [], []
    for i in range(n):
        before = ended(client)
        began = time.monotonic()
        assert client.call("echo", i) == i
        times.append(time.monotonic() - began)
        overtaken.append(ended(client) - before - 1)
    return times, overtaken


@needs_root
class Fairness(unittest.TestCase):
    def test_single_calls_beside_a_long_queue(self):
        """How many tasks went first is counted: it does not depend on the machine's speed."""
        daemon = {"socket_mode": "0666", "stop_timeout": 1, "user_tasks": 2 * QUEUED}
        with open_to_all(Gangerd(daemon, {"workers": WORKERS, "queue_limit": 2 * QUEUED})) as g, connect_as(g, ANN) as ann, \
                connect_as(g, BOB) as bob:
            alone, _ = calls(bob, CALLS)
            fill(ann, QUEUED)
            beside, overtaken = calls(bob, CALLS)
            queued = g.status()["pools"][0]["queued"]["ready"]
            print(line(f"alone ({CALLS} calls)", alone))
            print(line(f"beside {queued} queued tasks of {TASK * 1e3:.0f} ms of another user", beside))
            overtaken.sort()
            print(f"tasks of the other user that ended meanwhile: p50 {overtaken[CALLS // 2]}, max {overtaken[-1]}")
            self.assertGreater(queued, QUEUED // 2, "the queue did not last")
            # those that ran when the call came, and while it was looked at what had ended
            self.assertLessEqual(overtaken[CALLS * 99 // 100], 2 * WORKERS)
            self.assertLess(percentiles(beside)[0], 10 * TASK)

    def test_connections_of_one_user_take_turns(self):
        with open_to_all(Gangerd({"socket_mode": "0666", "stop_timeout": 1}, {"workers": WORKERS})) as g, connect_as(g, ANN) as first, \
                connect_as(g, ANN) as second:
            fill(first, 20_000)
            beside, overtaken = calls(second, 50)
            overtaken.sort()
            print(line("beside 20000 queued tasks of another connection of the same user", beside))
            self.assertLessEqual(overtaken[-3], 2 * WORKERS)


if __name__ == "__main__":
    main()
