# SPDX-License-Identifier: MIT
"""Ten times overload: submits come at ten times the rate at which the workers finish. Memory stays under its bound, what is refused
is refused at once, and afterwards everything is as before. Four seconds; a minute if GANGER_TEST_LONG is set."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Flat, Gangerd, eventually, main, sanitized, sums_hold  # noqa: E402
from wire import REQUEST, TooLate, pack  # noqa: E402

SECONDS = 60 if os.environ.get("GANGER_TEST_LONG") else 4
FACTOR = 10
QUEUE = 2000
A_TASK = 2048  # bytes that a queued task may cost the daemon
UNHEARD = 500  # answers that the client lets wait: with many the daemon would stop reading, and their delay be the client's own
REFUSED_WITHIN = 0.010  # the promise; the test fails beyond ten times it, in the median


def rate_of_the_workers(client):
    """Tasks a second, measured."""
    began = time.monotonic()
    n = 2000
    sum = client.ask("map", "sleep", [[0.001]] * n, {"chunk": 1})
    assert sum["succeeded"] == n
    return n / (time.monotonic() - began)


class Load:
    """Submits in bursts of 5 ms so that the rate holds; hears the answers as they come."""

    def __init__(self, client, rate):
        self.client, self.rate = client, rate
        self.sent_at, self.refused_after = {}, []
        self.n_sent = self.n_accepted = 0
        self.first = client.msgid + 1

    def burst(self, n):
        first = self.client.msgid + 1
        self.client.msgid += n
        now = time.monotonic()
        for msgid in range(first, first + n):
            self.client.open[msgid] = "submit"
            self.sent_at[msgid] = now
        self.client.send_bytes(b"".join(pack([REQUEST, msgid, "submit", ["sleep", [0.001], {"ttl": 0}]]) for msgid in range(first, first + n)))
        self.n_sent += n

    def hear(self, seconds):
        """Takes answers in for so long."""
        end = time.monotonic() + seconds
        while self.client.open and (left := end - time.monotonic()) > 0:
            try:
                self.client.receive(left)
            except TooLate:
                break
            self.judge()

    def judge(self):
        now = time.monotonic()
        for msgid, (error, _) in self.client.answers.items():
            took = now - self.sent_at.pop(msgid)
            if error is None:
                self.n_accepted += 1
            else:
                assert error["code"] == "queue_full" and error["limit"] == QUEUE, error
                self.refused_after.append(took)
        self.client.answers.clear()
        self.client.order.clear()

    def run(self, seconds, each):
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            due = min(int((now - began) * self.rate) - self.n_sent, 1000, UNHEARD - len(self.client.open))
            if due > 0:
                self.burst(due)
            self.hear(0.005)
            each()
        self.hear(20)
        assert not self.client.open, f"{len(self.client.open)} submits were never answered"


@unittest.skipIf(os.geteuid() != 0, "only root may count gangerd's descriptors: it is not dumpable")
class Overload(unittest.TestCase):
    def test_ten_times(self):
        with Gangerd(pool={"queue_limit": QUEUE}) as g, g.connect() as client, g.connect() as other:
            rate = rate_of_the_workers(other)
            before = g.all_idle()
            n_descriptors = len(os.listdir(f"/proc/{g.pid}/fd"))
            flat = Flat(g)
            load = Load(client, FACTOR * rate)
            began = time.monotonic()
            load.run(SECONDS, flat.sample)
            took = time.monotonic() - began
            refused = sorted(load.refused_after)
            n = len(refused)
            print(f"the workers finish {rate:.0f} a second; {load.n_sent} submits in {took:.1f} s ({load.n_sent / took / rate:.1f} times), "
                  f"{load.n_accepted} accepted, {n} refused after p50 {refused[n // 2] * 1e3:.2f} ms, p99 {refused[n * 99 // 100] * 1e3:.2f} ms")
            print(f"the daemon's memory grew by at most {flat.grown() / 1024:.0f} KiB")
            self.assertEqual(load.n_sent, load.n_accepted + n)
            self.assertGreater(n, load.n_accepted, "this was no overload")
            self.assertLess(refused[n // 2], 10 * REFUSED_WITHIN)
            if not sanitized():
                self.assertLess(flat.grown(), QUEUE * A_TASK + (16 << 20))
            after = g.all_idle()
            self.assertTrue(sums_hold(after))
            self.assertEqual(after["totals"]["succeeded"] - before["totals"]["succeeded"], load.n_accepted)
            self.assertEqual([after["totals"][end] for end in ("failed", "cancelled", "expired", "workers_lost")], [0] * 4)
            eventually(lambda: len(os.listdir(f"/proc/{g.pid}/fd")) <= n_descriptors)
            again = rate_of_the_workers(other)
            print(f"afterwards the workers finish {again:.0f} a second")
            self.assertGreater(again, rate / 10)
            level = g.rss()
            load = Load(client, FACTOR * rate)
            load.run(1, flat.sample)  # a second time costs no further memory
            g.all_idle()
            if not sanitized():
                self.assertLess(g.rss() - level, 4 << 20)


if __name__ == "__main__":
    main()
