# SPDX-License-Identifier: MIT
"""Locks whose owners die, are stopped, cut off or cancelled: what the next one is told, and when; and circles of those who wait."""
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, eventually, main  # noqa: E402
from wire import Client, Refused  # noqa: E402

ROUNDS = 30
FEW = 10  # where each costs a worker: replacements come slowly then
BOUND = 0.1  # ten times what is wanted
POOL = {"workers": 3, "modules": "locks nest"}
# Kinds of locks: how they are made, and how many holders fill them.
KINDS = {"lock": ({}, 1), "reentrant": ({"reentrant": True}, 1), "semaphore": ({"limit": 3}, 3)}


def holder(out, path, name, options, ready):
    """A process that holds it, and lives on."""
    client = Client(path)
    client.ask("lock.acquire", name, options)
    os.write(ready, b"!")
    signal.pause()


class Owner:
    """A process of its own that holds a lock."""

    def __init__(self, gangerd, name, options):
        reading, writing = os.pipe()
        self.child = Child(holder, gangerd.socket, name, options, writing)
        os.close(writing)
        assert os.read(reading, 1) == b"!"
        os.close(reading)
        self.pid = self.child.pid

    def end(self):
        self.child.kill()


def waits(client, name, n=1):
    eventually(lambda: client.ask("shared.list", {"prefix": name})[0]["waiting"] == n)


def show(what, latencies):
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))]
    print(f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, max {latencies[-1] * 1e3:.2f} ms of {len(latencies)}", flush=True)
    return p99


class Owners(unittest.TestCase):
    def rounds(self, what, end, abandoned=True):
        """For each kind: it is held by somebody, the next one waits, the holder's end comes: (token before, what the next one got)."""
        with Gangerd(pool=POOL) as g, g.connect() as client, g.connect() as filler:
            for kind, (options, limit) in KINDS.items():
                latencies, last = [], 0
                for _ in range(ROUNDS):
                    for _ in range(limit - 1):
                        filler.ask("lock.acquire", kind, options)
                    finish = end(g, kind, options)
                    waiting = client.start("lock.acquire", kind)
                    waits(filler, kind)
                    began = finish()
                    got = client.finish(waiting)
                    latencies.append(time.monotonic() - began)
                    self.assertEqual(got["abandoned"], abandoned)
                    self.assertGreater(got["token"], last)
                    last = got["token"]
                    client.ask("lock.release", kind)
                    for _ in range(limit - 1):
                        filler.ask("lock.release", kind)
                    self.assertEqual(filler.ask("lock.acquire", kind, {"timeout": 0})["abandoned"], False)
                    filler.ask("lock.release", kind)
                self.assertLess(show(f"{kind}, {what}", latencies), BOUND)

    def test_killed(self):
        def end(g, kind, options):
            owner = Owner(g, kind, options)

            def finish():
                began = time.monotonic()
                os.kill(owner.pid, signal.SIGKILL)
                self.addCleanup(owner.end)
                return began
            return finish
        self.rounds("owner killed", end)

    def test_cut_off(self):
        def end(g, kind, options):
            owner = g.connect()
            owner.ask("lock.acquire", kind, options)

            def finish():
                began = time.monotonic()
                owner.close()
                return began
            return finish
        self.rounds("connection cut", end)

    def test_released(self):
        def end(g, kind, options):
            owner = g.connect()
            owner.ask("lock.acquire", kind, options)

            def finish():
                began = time.monotonic()
                owner.notify("lock.release", kind)
                self.addCleanup(owner.close)
                return began
            return finish
        self.rounds("released", end, abandoned=False)

    def task(self, what, finish_task, rounds=ROUNDS, workers=3):
        with Gangerd(pool={**POOL, "workers": workers}) as g, g.connect() as client, g.connect() as other:
            latencies, last = [], 0
            for _ in range(rounds):
                task = other.submit("locks.hold", "lock", "crash" if what == "crashes" else "end" if what == "ends" else "wait")
                if what not in ("crashes", "ends"):
                    eventually(lambda: (rows := client.ask("shared.list")) and rows[0]["holders"])
                    self.assertEqual(client.ask("shared.list")[0]["holders"][0]["task"], task)
                    waiting = client.start("lock.acquire", "lock")
                    waits(other, "lock")
                    began = time.monotonic()
                    finish_task(g, other, task)
                    got = client.finish(waiting)
                    latencies.append(time.monotonic() - began)
                else:
                    other.ask("wait", [task])
                    got = client.ask("lock.acquire", "lock")
                self.assertEqual(got["abandoned"], True)
                self.assertGreater(got["token"], last)
                last = got["token"]
                client.ask("lock.release", "lock")
            if latencies:
                self.assertLess(show(f"owner is a task that {what}", latencies), BOUND)

    def test_task_is_cancelled(self):
        self.task("is cancelled", lambda g, other, task: other.ask("cancel", task))

    def test_task_loses_its_worker(self):
        self.task("loses its worker", lambda g, other, task: os.kill(other.ask("task", task)["worker_pid"], signal.SIGKILL),
                  rounds=FEW, workers=FEW + 2)

    def test_task_crashes(self):
        self.task("crashes", None, rounds=FEW, workers=FEW + 2)

    def test_task_ends(self):
        self.task("ends", None)

    def test_stopped(self):
        """It is held: the next one's time runs out; it has it when the owner goes on, or dies"""
        with Gangerd() as g, g.connect() as client:
            for kind, (options, limit) in KINDS.items():
                owners = [Owner(g, kind, options) for _ in range(limit)]
                for owner in owners:
                    os.kill(owner.pid, signal.SIGSTOP)
                began = time.monotonic()
                with self.assertRaises(Refused) as refused:
                    client.ask("lock.acquire", kind, {"timeout": 0.1})
                self.assertEqual(refused.exception.code, "not_ready")
                self.assertTrue(0.1 <= time.monotonic() - began < 1.1)
                waiting = client.start("lock.acquire", kind)
                os.kill(owners[0].pid, signal.SIGKILL)
                self.assertTrue(client.finish(waiting)["abandoned"])
                for owner in owners:
                    owner.end()

    def test_condition_and_barrier(self):
        """Who waits for a notification that nobody will send is told by his timeout; a barrier that loses a party breaks"""
        with Gangerd() as g, g.connect() as client, g.connect() as gone:
            gone.ask("lock.acquire", "condition")
            waiting = client.start("lock.acquire", "condition")
            waits(client, "condition")
            gone.close()
            self.assertTrue(client.finish(waiting)["abandoned"])
            with g.connect() as waiter:  # dies while it waits: the lock is not lost with it
                client.ask("lock.release", "condition")
                waiter.ask("lock.acquire", "condition")
                waiter.start("condition.wait", "condition")
                waits(client, "condition")
            self.assertEqual(client.ask("lock.acquire", "condition", {"timeout": 5})["abandoned"], False)
            self.assertEqual(client.ask("condition.wait", "condition", {"timeout": 0.02}), False)
            latencies = []
            for _ in range(ROUNDS):
                waiting = client.start("barrier.wait", "barrier", {"parties": 3})
                with g.connect() as party:
                    party.start("barrier.wait", "barrier")
                    with g.connect() as look:
                        waits(look, "barrier", 2)
                    began = time.monotonic()
                self.assertEqual(client.outcome(waiting)[0]["code"], "broken_barrier")
                latencies.append(time.monotonic() - began)
                client.ask("barrier.reset", "barrier")
            self.assertLess(show("barrier, party cut off", latencies), BOUND)


class Circles(unittest.TestCase):
    def test_two_locks_crosswise(self):
        times = []
        with Gangerd() as g, g.connect() as ann, g.connect() as bob:
            for _ in range(ROUNDS):
                ann.ask("lock.acquire", "x")
                bob.ask("lock.acquire", "y")
                waiting = ann.start("lock.acquire", "y")
                waits(bob, "y")
                began = time.monotonic()
                error, _ = bob.outcome(bob.start("lock.acquire", "x"))
                times.append(time.monotonic() - began)
                self.assertEqual(error["code"], "deadlock")
                for word in ('"x"', '"y"', str(os.getpid())):
                    self.assertIn(word, error["message"])
                bob.ask("lock.release", "y")
                ann.finish(waiting)
                ann.ask("lock.release", "x")
                ann.ask("lock.release", "y")
        print("the circle's words:", error["message"])
        self.assertLess(show("two locks crosswise, named", times), 1)

    def test_three_in_a_ring_and_owners_of_one_connection(self):
        with Gangerd() as g, g.connect() as client, g.connect() as look:
            for owner, name in enumerate("abc"):
                client.ask("lock.acquire", name, {"owner": owner})
            first = client.start("lock.acquire", "b", {"owner": 0})
            second = client.start("lock.acquire", "c", {"owner": 1})
            waits(look, "b")
            waits(look, "c")
            error, _ = client.outcome(client.start("lock.acquire", "a", {"owner": 2}))
            self.assertEqual(error["code"], "deadlock")
            for name in "abc":
                self.assertIn(f'"{name}"', error["message"])
            client.ask("lock.release", "c", {"owner": 2})
            client.finish(second)
            client.ask("lock.release", "b", {"owner": 1})
            client.finish(first)

    def test_a_client_and_a_task(self):
        with Gangerd(pool=POOL) as g, g.connect() as client, g.connect() as look:
            client.ask("lock.acquire", "mine")
            task = look.submit("nest.ask", "lock.acquire", ["its"])
            look.ask("wait", [task])
            task = look.submit("locks.hold", "its", "wait")
            eventually(lambda: any(row["holders"] for row in look.ask("shared.list", {"prefix": "its"})))
            waiting = client.start("lock.acquire", "its")
            waits(look, "its")
            error, _ = look.outcome(look.start("call", "nest.ask", ["lock.acquire", ["mine", {"timeout": 0.1}]], {}))
            self.assertIsNone(error)  # another task: no circle, its time runs out
            look.ask("cancel", task)
            self.assertTrue(client.finish(waiting)["abandoned"])

    def test_a_circle_through_two_tasks(self):
        """Two tasks that hold one lock each and want the other's: one is told so, and both end"""
        with Gangerd(pool=POOL) as g, g.connect() as client:
            tasks = [client.start("call", "locks.cross", names, {"timeout": 20}) for names in (["p", "q"], ["q", "p"])]
            got = sorted(client.finish(task) for task in tasks)
            self.assertEqual(got, ["both", "deadlock"])


if __name__ == "__main__":
    main()
