# SPDX-License-Identifier: MIT
"""Results that nobody reads or takes: of a connection that does not read no further call begins, of a user who holds more than
user_memory no further submitted task does. The daemon's memory stays within that; when they are taken everything goes on."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main, sanitized  # noqa: E402

MIB = 1 << 20
RESULT_BYTES = 1_000_000
N = 60 if sanitized() else 300  # results, of 1 MB each: several times USER_MEMORY
USER_MEMORY = 16 * MIB
WORKERS = 2
ROOM = 3 * RESULT_BYTES * WORKERS + 4 * MIB  # what ran when the bound was met, each copied once on its way; buffers
REST = 0.5  # seconds without a task that ends: nothing begins any more


def big(client, method, **options):
    return client.start(method, "exec", [["head", "-c", str(RESULT_BYTES), "/dev/zero"]], options)


class Results(unittest.TestCase):
    def setUp(self):
        self.g = Gangerd({"user_memory": USER_MEMORY, "max_message": USER_MEMORY}, {"workers": WORKERS})
        self.g.__enter__()
        self.addCleanup(self.g.__exit__, None, None, None)

    def succeeded(self, watcher):
        return watcher.ask("status")["totals"]["succeeded"]

    def comes_to_rest(self, watcher):
        """How many have succeeded when no more do."""
        n, since = self.succeeded(watcher), time.monotonic()
        while time.monotonic() < since + REST:
            time.sleep(0.02)
            now = self.succeeded(watcher)
            if now != n:
                n, since = now, time.monotonic()
        return n

    def check_memory(self, base, bound):
        grown = self.g.rss() - base
        print(f"the daemon has grown by {grown / MIB:.1f} MiB, of at most {bound / MIB:.1f}")
        if not sanitized():
            self.assertLess(grown, bound)

    def test_calls_of_one_who_does_not_read(self):
        with self.g.connect(bound=60) as client, self.g.connect() as watcher:
            base = self.g.rss()
            watcher.ask("pool.pause", "default")  # or the last ones would not be read
            calls = [big(client, "call") for _ in range(N)]
            watcher.ask("ping")
            watcher.ask("pool.resume", "default")
            n = self.comes_to_rest(watcher)
            print(f"{n} of {N} calls have been dealt with")
            self.assertTrue(0 < n < 20, n)
            self.check_memory(base, ROOM)
            self.assertEqual(watcher.call("echo", "still served"), "still served")
            for msgid in calls:
                self.assertEqual(len(client.finish(msgid)["stdout"]), RESULT_BYTES)

    def test_submits_whose_results_nobody_takes(self):
        with self.g.connect(bound=60) as client:
            base = self.g.rss()
            client.ask("pool.pause", "default")  # or the first results would have the last ones refused
            ids = [client.finish(big(client, "submit")) for _ in range(N)]
            client.ask("pool.resume", "default")
            n = self.comes_to_rest(client)
            print(f"{n} of {N} submitted tasks have been dealt with")
            self.assertTrue(USER_MEMORY // RESULT_BYTES <= n < USER_MEMORY // RESULT_BYTES + 2 + WORKERS, n)
            self.check_memory(base, USER_MEMORY + ROOM)
            self.assertIn("user_memory", self.g.log())
            for id in ids:
                self.assertEqual(len(client.ask("result", id, {})["stdout"]), RESULT_BYTES)
            eventually(lambda: self.succeeded(client) == N)

    def test_collected_values_are_an_error_when_they_are_too_many(self):
        with self.g.connect(bound=60) as client, self.g.connect() as watcher:
            ids = [watcher.finish(big(watcher, "submit")) for _ in range(8)]
            watcher.ask("wait", ids, {})
            args = [["head", "-c", str(RESULT_BYTES), "/dev/zero"]]
            msgid = client.start("map", "exec", [[args[0]] for _ in range(15)], {"collect": True})
            error, _ = client.outcome(msgid)
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "user_memory"))
            self.assertEqual(watcher.call("echo", 1), 1)


if __name__ == "__main__":
    main()
