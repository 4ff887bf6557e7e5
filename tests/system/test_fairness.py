# SPDX-License-Identifier: MIT
"""One user queues 100,000 tasks; another's single calls meanwhile wait for no more than the tasks then running."""
import os
import sys
import time
import unittest
from bisect import bisect_left, bisect_right

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main, sanitized  # noqa: E402
from users import ANN, BOB, connect_as, needs_root, open_to_all  # noqa: E402
from wire import REQUEST, pack  # noqa: E402

QUEUED = 30_000 if sanitized() else 100_000
TASK = 0.010  # seconds that each of them runs
WORKERS = 2
CALLS = 200
PAGE = 10_000  # records asked for at once
MAY_GO_FIRST = WORKERS + 1  # one that each worker had been given but not begun, and the other's turn


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


def calls(client, n):
    """Seconds of each call."""
    times = []
    for i in range(n):
        began = time.monotonic()
        assert client.call("echo", i) == i
        times.append(time.monotonic() - began)
    return times


def records(client, **options):
    """All that are known, the ended ones too. A page that is not full is the last: what ends meanwhile would be another."""
    found = page = client.ask("tasks", {"limit": PAGE, **options})
    while len(page) == PAGE:
        page = client.ask("tasks", {"limit": PAGE, "after": found[-1]["id"], **options})
        found += page
    return found


def overtaken(calls_of, others_of):
    """Of each call that waited beside others' tasks, how many of those began between its coming and its beginning: what the
    daemon's own records say, so that it does not count how late this process is told."""
    others = sorted(task["started"] for task in records(others_of, function="sleep", state="succeeded"))
    beside = [task for task in records(calls_of, function="echo") if task["submitted"] > others[0]]
    return sorted(bisect_left(others, task["started"]) - bisect_right(others, task["submitted"]) for task in beside)


@needs_root
class Fairness(unittest.TestCase):
    def test_single_calls_beside_a_long_queue(self):
        """How many tasks went first is counted: it does not depend on the machine's speed."""
        daemon = {"socket_mode": "0666", "stop_timeout": 1, "user_tasks": 2 * QUEUED, "history": QUEUED}
        with open_to_all(Gangerd(daemon, {"workers": WORKERS, "queue_limit": 2 * QUEUED})) as g, connect_as(g, ANN) as ann, \
                connect_as(g, BOB) as bob:
            alone = calls(bob, CALLS)
            fill(ann, QUEUED)
            beside = calls(bob, CALLS)
            queued = g.status()["pools"][0]["queued"]["ready"]
            counts = overtaken(bob, ann)
            print(line(f"alone ({CALLS} calls)", alone))
            print(line(f"beside {queued} queued tasks of {TASK * 1e3:.0f} ms of another user", beside))
            print(f"tasks of the other user that began meanwhile: p50 {counts[CALLS // 2]}, max {counts[-1]}")
            self.assertEqual(len(counts), CALLS)
            self.assertGreater(queued, QUEUED // 2, "the queue did not last")
            self.assertLessEqual(counts[-1], MAY_GO_FIRST)
            self.assertLess(percentiles(beside)[0], 10 * TASK)

    def test_connections_of_one_user_take_turns(self):
        daemon = {"socket_mode": "0666", "stop_timeout": 1, "history": QUEUED}
        with open_to_all(Gangerd(daemon, {"workers": WORKERS})) as g, connect_as(g, ANN) as first, connect_as(g, ANN) as second:
            fill(first, 20_000)
            beside = calls(second, 50)
            counts = overtaken(second, first)
            print(line("beside 20000 queued tasks of another connection of the same user", beside))
            print(f"tasks of the other connection that began meanwhile: p50 {counts[25]}, max {counts[-1]}")
            self.assertEqual(len(counts), 50)
            self.assertLessEqual(counts[-1], MAY_GO_FIRST)


if __name__ == "__main__":
    main()
