# SPDX-License-Identifier: MIT
"""Maps with more items than there is room for: they wait for it instead of being refused, whatever is full, and nobody is in the way
of another."""
import os
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Gangerd, environment, eventually, main, sanitized  # noqa: E402
from users import ANN, BOB, connect_as, needs_root, open_to_all  # noqa: E402

N_ITEMS = 5000
LIMIT = 50


class MapRoom(unittest.TestCase):
    def ganger_map(self, g, *arguments, n=N_ITEMS):
        return g.ganger("map", *arguments, stdin=None, input=b"".join(b"%d\n" % i for i in range(n)))

    def start_map(self, g, *arguments):
        return subprocess.Popen([CLI, "--socket", g.socket, "map", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=environment())

    def feed(self, client, msgid, items, last=False):
        client.notify("feed", msgid, [[item] for item in items], last)

    def values(self, client, msgid):
        return {index: value for batch in client.streamed(msgid, "items") for index, _, value in batch}

    def test_small_queue(self):
        """It is never fuller than it may be, and every item has its result, also where they came in one request."""
        most = 0
        with Gangerd(pool={"queue_limit": LIMIT}) as g, g.connect() as client:
            over = threading.Event()

            def watch():
                nonlocal most
                with g.connect() as watcher:
                    while not over.is_set():
                        most = max(most, watcher.ask("status")["pools"][0]["queued"]["ready"])
            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                for n in (N_ITEMS, LIMIT + 1, 1):
                    for options in ((), ("-k",), ("--chunk", "7", "--limit", "3")):
                        ran = self.ganger_map(g, *options, "echo", n=n)
                        self.assertEqual((ran.returncode, ran.stderr), (0, b""))
                        got = [int(line) for line in ran.stdout.split()]
                        self.assertEqual(got if options == ("-k",) else sorted(got), list(range(n)))
            finally:
                over.set()
                watcher.join()
            self.assertLessEqual(most, LIMIT)
            self.assertGreater(most, 0)
            self.assertEqual(client.call("echo", 1), 1)
            g.all_idle()

    def test_many_at_once(self):
        """Of one user, who may have far fewer tasks than they bring."""
        with Gangerd(daemon={"user_tasks": LIMIT}) as g:
            text = b"".join(b"%d\n" % i for i in range(1000))
            maps = [self.start_map(g, "echo") for _ in range(12)]
            feeders = [threading.Thread(target=lambda m=m: outputs.append(m.communicate(text, timeout=60))) for m in maps]
            outputs = []
            for feeder in feeders:
                feeder.start()
            for feeder in feeders:
                feeder.join()
            self.assertEqual([m.returncode for m in maps], [0] * len(maps), [err for _, err in outputs])
            for out, err in outputs:
                self.assertEqual((sorted(int(line) for line in out.split()), err), (list(range(1000)), b""))
            self.assertEqual(g.all_idle()["user"]["user_tasks"][0], 0)

    def test_what_the_record_says(self):
        with Gangerd(pool={"queue_limit": 4, "workers": 1}) as g, g.connect() as client, g.connect() as other:
            msgid = client.start("map", "sleep", [[60]] + [[0]] * 9, {"feed": True, "chunk": 1})
            self.feed(client, msgid, [0] * 5)
            task = eventually(lambda: other.ask("tasks", {"state": "running"}))[0]
            eventually(lambda: other.ask("task", task["id"])["items"] == {"count": 15, "succeeded": 0, "failed": 0, "running": 1})
            self.assertEqual(other.ask("status")["pools"][0]["queued"]["ready"], 3)
            other.submit("echo", 1)
            error, _ = other.outcome(other.start("submit", "echo", [1]))
            self.assertEqual((error["code"], error["used"], error["limit"]), ("queue_full", 4, 4))
            os.kill(task["worker_pid"], signal.SIGKILL)
            self.feed(client, msgid, [], True)
            self.assertEqual(client.finish(msgid), {"count": 15, "succeeded": 14, "failed": 1})

    def test_given_up(self):
        """What waits goes with its map: by Ctrl-C, with its client, by its own failure."""
        with Gangerd(pool={"queue_limit": 4, "modules": "probe"}) as g, g.connect() as client:
            with self.start_map(g, "sleep") as waits:
                waits.stdin.write(b"60\n" * 100)
                waits.stdin.flush()
                eventually(lambda: client.ask("status")["pools"][0]["running"] == 2)
                waits.send_signal(signal.SIGINT)
                self.assertEqual(waits.wait(20), 128 + signal.SIGINT)
            self.assertEqual(g.all_idle()["user"]["user_memory"][0], 0)
            with g.connect() as gone:
                self.feed(gone, gone.start("map", "sleep", [[60]] * 10, {"feed": True}), [60] * 100)
                eventually(lambda: client.ask("status")["pools"][0]["running"] == 2)
            self.assertEqual(g.all_idle()["user"]["user_memory"][0], 0)
            msgid = client.start("map", "probe.fail", [["x"]] * 10, {"feed": True, "fail_fast": True})
            self.feed(client, msgid, ["x"] * 100, True)
            answer = client.finish(msgid)
            self.assertGreater(answer["failed"], 0)
            self.assertEqual(g.all_idle()["user"]["user_memory"][0], 0)

    def test_none_waits_for_one_that_does_not_go_on(self):
        """A map takes all that maps may, and does not go on: by its window, its delay, its limit."""
        for options in ({"window": 1}, {"delay": 3600}, {"limit": 1}):
            with Gangerd(daemon={"user_tasks": 1000}) as g, g.connect() as client, self.subTest(options=options):
                msgid = client.start("map", "sleep", [[60 if "limit" in options else 0]], {"feed": True, "chunk": 1, **options})
                self.feed(client, msgid, [0] * 5000)
                eventually(lambda: g.status()["user"]["user_tasks"][0] >= 750)
                for n in (2, 3, 1000):
                    ran = self.ganger_map(g, "-k", "echo", n=n)
                    self.assertEqual((ran.returncode, len(ran.stdout.split())), (0, n), ran.stderr)
                self.assertEqual(client.call("echo", 1), 1)

    def test_memory_is_the_bound(self):
        """What waits counts in user_memory, beyond which the map ends as ever."""
        with Gangerd(daemon={"max_message": "1M", "user_memory": "4M"}, pool={"queue_limit": 3, "workers": 1}) as g, g.connect() as client:
            before = g.rss()
            msgid = client.start("map", "sleep", [[60]], {"feed": True})
            for _ in range(10):
                self.feed(client, msgid, [b"x" * 1000] * 500)
            error, _ = client.outcome(msgid)
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "user_memory"))
            self.assertEqual(g.all_idle()["user"]["user_memory"][0], 0)
            if not sanitized():
                self.assertLess(g.rss() - before, 16 << 20)

    @needs_root
    def test_one_user_waits_and_another_does_not(self):
        with open_to_all(Gangerd({"socket_mode": "0666", "user_tasks": 10})) as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob:
            msgid = ann.start("map", "sleep", [[0.002]] * 10, {"feed": True, "chunk": 1})
            self.feed(ann, msgid, [0.002] * 990, True)
            self.assertEqual(bob.ask("map", "echo", [[n] for n in range(10)], {})["succeeded"], 10)
            bobs = bob.start("map", "echo", [[n] for n in range(10)], {"feed": True})
            self.feed(bob, bobs, range(10, 500), True)
            self.assertEqual(bob.finish(bobs)["succeeded"], 500)
            self.assertLess(len(self.values(ann, msgid)), 1000)
            self.assertEqual(ann.finish(msgid)["succeeded"], 1000)


if __name__ == "__main__":
    main()
