# SPDX-License-Identifier: MIT
"""What a task leaves behind is gone when its end is told, however it ends: daemonised, in its own session, deaf to SIGTERM, forking
on. Each of them holds the write end of a pipe: its end of file comes when nobody is left."""
import os
import select
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from wire import descriptor  # noqa: E402

GONE_WITHIN = 2.0  # after the end was told; what a killed worker left is ended by gangerd, a moment later
POOL = {"modules": "stray", "kill_grace": "0.2", "workers": 2}
SHELL = "(trap '' TERM HUP; setsid sh -c 'trap \"\" TERM HUP; while :; do (sleep 0.01; sleep 60) & sleep 0.01; done' & ) ; exec sleep 60"


class Watch:
    """A pipe whose write end goes to a task."""

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.reader)
        if self.writer is not None:
            os.close(self.writer)

    def hand_over(self, client, method, function, *args, options=None):
        msgid = client.start(method, function, [descriptor(), *args], options or {}, fds=[self.writer])
        return msgid

    def let_go(self):
        os.close(self.writer)
        self.writer = None

    def is_over(self, seconds):
        return bool(select.select([self.reader], [], [], seconds)[0]) and os.read(self.reader, 1) == b""


class Strays(unittest.TestCase):
    def nobody_left(self, watch):
        began = time.monotonic()
        if watch.writer is not None:
            watch.let_go()
        self.assertTrue(watch.is_over(GONE_WITHIN), "somebody lives on")
        return time.monotonic() - began

    def end_of(self, client, watch, function, end):
        """Starts it, lets it fork for a while, ends it by end(id); its record."""
        id = client.finish(watch.hand_over(client, "submit", f"stray.{function}"))
        watch.let_go()
        eventually(lambda: client.ask("task", id)["state"] == "running")
        self.assertFalse(watch.is_over(0.1))
        end(id)
        error, _ = client.outcome(client.start("result", id, {}))
        return error

    def test_cancel(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            for function in ("polite", "deaf", "polite", "deaf", "deaf"):
                with Watch() as watch:
                    error = self.end_of(client, watch, function, lambda id: client.ask("cancel", id))
                    self.assertEqual(error["code"], "cancelled", error)
                    print(f"stray.{function}: nobody left {self.nobody_left(watch) * 1e3:.1f} ms after the end was told")
            self.assertEqual(g.all_idle()["totals"]["cancelled"], 5)

    def test_timeout(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            for function in ("polite", "deaf"):
                with Watch() as watch:
                    error, _ = client.outcome(watch.hand_over(client, "call", f"stray.{function}", options={"timeout": 0.2}))
                    self.assertEqual(error["code"], "timed_out", error)
                    self.nobody_left(watch)
            g.all_idle()

    def test_caller_vanishes(self):
        with Gangerd(pool=POOL) as g:
            for function in ("polite", "deaf"):
                with Watch() as watch, g.connect(descriptors=True) as client:
                    watch.hand_over(client, "call", f"stray.{function}")
                    watch.let_go()
                    eventually(lambda: g.status()["pools"][0]["running"] == 1)
                    client.close()
                    self.assertTrue(watch.is_over(GONE_WITHIN + 1), "somebody lives on")
            g.all_idle()

    def test_end_in_peace(self):
        """Before the answer is there, everybody is gone: the worker itself sees to it."""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with Watch() as watch:
                client.finish(watch.hand_over(client, "call", "stray.leave"))
                self.assertLess(self.nobody_left(watch), 0.5)
            self.assertEqual(g.all_idle()["totals"]["workers_lost"], 0)

    def test_worker_killed(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with Watch() as watch:
                error = self.end_of(client, watch, "deaf", lambda id: os.kill(client.ask("task", id)["worker_pid"], signal.SIGKILL))
                self.assertEqual((error["code"], error["ended_by"]), ("worker_lost", "outside"), error)
                self.nobody_left(watch)
            g.all_idle()

    def test_program(self):
        """A shell's background job in a session of its own; the worker lives on."""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with Watch() as watch:
                msgid = client.start("submit", "exec", [["sh", "-c", SHELL], {"stdin": descriptor(), "stdout": descriptor()}], {},
                                     fds=[watch.reader, watch.writer])
                id = client.finish(msgid)
                watch.let_go()
                eventually(lambda: client.ask("task", id)["state"] == "running")
                self.assertFalse(watch.is_over(0.2))
                client.ask("cancel", id)
                error, _ = client.outcome(client.start("result", id, {}))
                self.assertEqual(error["code"], "cancelled", error)
                self.nobody_left(watch)
            self.assertEqual(g.all_idle()["totals"]["workers_lost"], 0)

    def test_child_outlives_its_worker(self):
        """It never executed anything, so it holds the worker's channel open; the caller is told at once all the same."""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            for number in (signal.SIGKILL, signal.SIGSEGV):
                self.assertEqual(client.call("echo", 1), 1)
                with Watch() as watch:
                    began = time.monotonic()
                    error, _ = client.outcome(watch.hand_over(client, "call", "stray.outlive", int(number)), 10)
                    told = time.monotonic() - began
                    self.assertEqual((error["code"], error["signal"]), ("worker_lost", number), error)
                    print(f"signal {int(number)}: called, forked, died, told in {told * 1e3:.1f} ms")
                    self.assertLess(told, 1)
                    self.nobody_left(watch)
            g.all_idle()

    def test_anothers_helper(self):
        """While task A's daemonised helper is in use, task B on another worker is cancelled: A ends well."""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with Watch() as a, Watch() as b:
                first = a.hand_over(client, "call", "stray.helper", 1.0)
                second = client.finish(b.hand_over(client, "submit", "stray.deaf"))
                b.let_go()
                eventually(lambda: g.status()["pools"][0]["running"] == 2)
                client.ask("cancel", second)
                self.assertEqual(client.outcome(client.start("result", second, {}))[0]["code"], "cancelled")
                self.nobody_left(b)
                self.assertEqual(client.finish(first), ord("h"))
            g.all_idle()


class Stopped(unittest.TestCase):
    """SIGSTOP from outside is noticed."""

    def test_worker_in_a_task(self):
        with Gangerd(pool=POOL) as g, g.connect() as client, g.connect() as watcher:
            msgid = client.start("call", "sleep", [60], {"timeout": 0.5})
            pid = eventually(lambda: [w["pid"] for w in watcher.ask("status")["workers"] if w["task"]])[0]
            time.sleep(0.05)
            began = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            error, _ = client.outcome(msgid, 10)
            self.assertEqual((error["code"], error["ended_by"]), ("timed_out", "timeout"), error)
            print(f"stopped in a task: told after {time.monotonic() - began:.3f} s (timeout 0.5 s, kill_grace 0.2 s)")
            self.assertNotIn(pid, {w["pid"] for w in g.all_idle()["workers"]})
            self.assertIn("was stopped from outside", g.log())

    def test_made_in_no_time(self):
        """What many short tasks left behind is looked for once: one that makes a process is never so short. The next one, sent ahead, sees it."""
        with Gangerd(pool={**POOL, "workers": 1}) as g, g.connect() as client:
            asked = []
            for _ in range(200):
                client.start("call", "stray.fastest", [], {})
                asked.append(client.start("call", "stray.children", [], {}))
            self.assertEqual({client.finish(msgid) for msgid in asked}, {0})

    def test_idle_worker(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            for _ in range(4):
                client.finish(client.start("map", "sleep", [[0.001]] * 20, {}))  # they have worked: none dies young
                pid = g.all_idle()["workers"][0]["pid"]
                os.kill(pid, signal.SIGSTOP)
                for msgid in [client.start("call", "sleep", [0.01], {}) for _ in range(20)]:
                    client.finish(msgid, 5)
                self.assertNotIn(pid, {w["pid"] for w in g.all_idle()["workers"]})
            self.assertEqual(g.status()["totals"]["failed"], 0)

    def test_continued_in_time(self):
        with Gangerd(pool=POOL) as g, g.connect() as client, g.connect() as watcher:
            msgid = client.start("call", "sleep", [0.3], {})
            pid = eventually(lambda: [w["pid"] for w in watcher.ask("status")["workers"] if w["task"]])[0]
            time.sleep(0.05)
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda: "stands still" in g.log())
            os.kill(pid, signal.SIGCONT)
            self.assertIsNone(client.finish(msgid, 10))
            self.assertIn(pid, {w["pid"] for w in g.all_idle()["workers"]})

    def test_zygote(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            client.call("echo", 1)

            def zygotes():
                with open(f"/proc/{g.pid}/task/{g.pid}/children", encoding="ascii") as children:
                    return [pid for pid in map(int, children.read().split()) if name_of(pid) == "ganger-zygote"]
            workers = {w["pid"] for w in g.all_idle()["workers"]}  # a newborn still bears the zygote's name
            [old] = zygotes()
            os.kill(old, signal.SIGSTOP)
            eventually(lambda: zygotes() and old not in zygotes(), 10)
            self.assertEqual({w["pid"] for w in g.all_idle()["workers"]}, workers)  # none of them noticed
            os.kill(min(workers), signal.SIGKILL)
            self.assertEqual(client.call("echo", "served"), "served")
            eventually(lambda: {w["pid"] for w in g.all_idle()["workers"]} != workers)
            self.assertIn("was stopped from outside and is replaced", g.log())


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            return comm.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


if __name__ == "__main__":
    main()
