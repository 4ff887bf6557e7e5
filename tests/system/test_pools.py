# SPDX-License-Identifier: MIT
"""Admins change a pool while it works: how many workers it has, whether anything begins there."""
import os
import pathlib
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import ZYGOTE, Gangerd, children, eventually, kinds_of_descriptors, main, sums_hold  # noqa: E402

STEPS = (8, 1, 5, 0, 3, 16, 2)


def pool(client):
    return client.ask("status")["pools"][0]


class Pools(unittest.TestCase):
    def test_scale_under_load(self):
        """Up, down and to nothing while calls come: none fails, and there are never more at once than workers"""
        with Gangerd() as g, g.connect() as client, g.connect() as admin:
            g.all_idle()
            descriptors = kinds_of_descriptors(g.pid)
            for n in STEPS:
                msgids = [client.start("call", "sleep", [0.02], {}) for _ in range(60)]
                began = time.monotonic()
                self.assertIsNone(admin.ask("pool.scale", "default", n))
                eventually(lambda: (w := pool(admin)["workers"])["idle"] + w["busy"] == n and w["starting"] == 0)
                print(f"{n} workers after {(time.monotonic() - began) * 1e3:.0f} ms", end="; ")
                if n == 0:
                    eventually(lambda: pool(admin)["running"] == 0)
                    eventually(lambda: len(children(g.pid)) == 1)
                    self.assertGreater(pool(admin)["queued"]["ready"], 0)
                    admin.ask("pool.scale", "default", 1)
                self.assertEqual([client.finish(msgid) for msgid in msgids], [None] * 60)
            print()
            eventually(lambda: len(children(g.pid)) == STEPS[-1] + 1)
            status = g.all_idle()
            self.assertEqual((status["totals"]["failed"], status["totals"]["workers_lost"]), (0, 0))
            self.assertEqual(status["totals"]["succeeded"], 60 * len(STEPS))
            self.assertTrue(sums_hold(status))
            eventually(lambda: kinds_of_descriptors(g.pid)["socket"] <= descriptors["socket"] + 2)  # this test's own
            self.assertEqual(kinds_of_descriptors(g.pid)["anon_inode"], descriptors["anon_inode"])

    def test_scaled_to_fewer_while_all_are_busy(self):
        """Nobody is interrupted; no more run than there may be as soon as they have finished"""
        with Gangerd(pool={"workers": 6}) as g, g.connect() as client, g.connect() as admin:
            g.all_idle()
            first = [client.start("call", "sleep", [0.3], {}) for _ in range(6)]
            eventually(lambda: pool(admin)["running"] == 6)
            admin.ask("pool.scale", "default", 2)
            more = [client.start("call", "sleep", [0.1], {}) for _ in range(6)]
            self.assertEqual([client.finish(msgid) for msgid in first], [None] * 6)
            most = 0
            while client.open:
                most = max(most, pool(admin)["running"])
                client.receive()
            self.assertLessEqual(most, 2)
            self.assertEqual([client.finish(msgid) for msgid in more], [None] * 6)

    def test_what_cannot_be_had(self):
        """More workers than there are descriptors for"""
        import resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        less = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1100), 1100))  # noqa: E731
        with Gangerd({"user_descriptors": 16, "max_connections": 64}, prepare=less) as g, g.connect() as client:
            error, _ = client.outcome(client.start("pool.scale", "default", 4096))
            self.assertEqual(error["code"], "invalid_params", error)
            self.assertIn("RLIMIT_NOFILE", error["message"])
            self.assertEqual(pool(client)["workers"]["target"], 2)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (soft, hard))

    def test_drain(self):
        """With its time and without; what waits begins only after resume; a map stops between its chunks"""
        with Gangerd() as g, g.connect() as client, g.connect() as admin:
            g.all_idle()  # both begin at once: what is to be running at the drain's end is not over before its beginning
            running = client.start("call", "sleep", [1], {})
            items = client.start("map", "sleep", [[0.02]] * 200, {"chunk": 1})
            eventually(lambda: pool(admin)["running"] == 2)
            began = time.monotonic()
            error, _ = admin.outcome(admin.start("pool.drain", "default", {"timeout": 0.1}))
            took = time.monotonic() - began
            self.assertEqual(error["code"], "not_ready", error)
            self.assertTrue(0.1 <= took < 1, took)
            self.assertTrue(pool(admin)["paused"])
            self.assertIsNone(admin.ask("pool.drain", "default"))
            self.assertEqual(pool(admin)["running"], 0)
            self.assertIsNone(client.finish(running))
            done = len(client.streamed(items, "items"))
            self.assertLess(done, 200)
            waiting = client.start("call", "echo", ["waited"], {})
            self.assertIsNone(admin.ask("pool.drain", "default", {"timeout": 0}))
            self.assertEqual(g.ganger("status", "-q").returncode, 1)
            self.assertIn(b"paused", g.ganger("status").stdout)
            self.assertNotIn(waiting, client.answers)
            admin.ask("pool.resume", "default")
            self.assertEqual(client.finish(waiting), "waited")
            self.assertEqual(client.finish(items), {"count": 200, "succeeded": 200, "failed": 0})

    def test_drain_and_those_who_go(self):
        """Who waits for a drain goes away, or the daemon stops: the pool stays paused, everybody is told"""
        with Gangerd({"stop_timeout": 5}) as g, g.connect() as client, g.connect() as admin:
            running = client.start("call", "exec", [["sh", "-c", "echo begun; exec sleep 60"]], {"stream": ["stdout"]})
            client.until(lambda: client.streams[running])
            with g.connect() as gone:
                gone.start("pool.drain", "default")
                gone.ask("ping")
            eventually(lambda: pool(admin)["paused"])
            worker = next(w["pid"] for w in admin.ask("status")["workers"] if w["function"] == "exec")
            drain = admin.start("pool.drain", "default")
            os.kill(worker, signal.SIGKILL)  # what ran is over, in whatever way
            self.assertEqual(client.outcome(running)[0]["code"], "worker_lost")
            self.assertIsNone(admin.finish(drain))
            waiting = client.start("call", "echo", [1], {})
            client.ask("ping")
            g.process.terminate()
            self.assertEqual(client.outcome(waiting)[0]["code"], "cancelled")
            self.assertEqual(g.process.wait(10), 0)


class Zygote(unittest.TestCase):
    def test_that_cannot_start_again(self):
        """The pool is shown as degraded, its queue is kept, and all is well when the zygote can start again"""
        with tempfile.TemporaryDirectory() as directory:
            broken, program = pathlib.Path(directory, "broken"), pathlib.Path(directory, "zygote")
            program.write_text(f'#!/bin/sh\n[ ! -e {broken} ] || exit 1\nexec {ZYGOTE} "$@"\n', encoding="ascii")
            program.chmod(0o755)
            with Gangerd(pool={"zygote": program, "workers": 1}) as g, g.connect() as client:
                g.all_idle()
                broken.touch()
                for pid in children(g.pid):
                    os.kill(pid, signal.SIGKILL)
                eventually(lambda: pool(client)["degraded"], 20)
                waiting = client.start("call", "echo", ["kept"], {})
                self.assertEqual(g.ganger("status", "-q").returncode, 1)
                broken.unlink()
                self.assertEqual(client.finish(waiting, 30), "kept")
                eventually(lambda: not pool(client)["degraded"])


if __name__ == "__main__":
    main()
