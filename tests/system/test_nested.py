# SPDX-License-Identifier: MIT
"""Tasks that ask for tasks themselves and wait for them: to any depth on one worker, without ever needing more processes than wait;
what waits in a circle is told; and what a task asked for ends when it ends, however that comes about."""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main, sums_hold  # noqa: E402
from wire import TooLate, descriptor  # noqa: E402

DEPTH = 100
ROOTS = 1000
MANY = 300  # more than nesting_limit
ROOT_WORKERS = 10  # the one that there is, and one for each that waits, mostly one or two: a root may begin before what another waits for
AT_ONCE = 1.0  # seconds: what is told at once is told within this
KILL_GRACE = 0.3
NEST = {"workers": 1, "modules": "nest digest", "kill_grace": KILL_GRACE}


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except FileNotFoundError:
        return []


class Counted:
    """with Counted(g): … must leave as many processes and descriptors of the daemon as there were (which only root may count)."""

    def __init__(self, gangerd):
        self.gangerd = gangerd
        self.before = None

    def count(self):
        n_descriptors = len(os.listdir(f"/proc/{self.gangerd.pid}/fd")) if os.geteuid() == 0 else None
        return n_descriptors, len(children(self.gangerd.pid))

    def __enter__(self):
        self.gangerd.all_idle()
        time.sleep(0.1)  # the connection that asked for that is closed
        self.before = self.count()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.gangerd.all_idle()
            try:
                eventually(lambda: self.count() == self.before, 10)
            except TooLate as error:
                raise AssertionError(f"(descriptors, children) were {self.before}, are {self.count()}") from error


class Nested(unittest.TestCase):
    def timed(self, what, function):
        began = time.monotonic()
        value = function()
        took = time.monotonic() - began
        print(f"{what}: {took * 1e3:.1f} ms")
        return took, value

    def test_deep(self):
        """On one worker; the second time its helpers are there already."""
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            for round_ in "first", "second":
                took, depth = self.timed(f"depth {DEPTH}, one worker, the {round_} time", lambda: client.call("nest.deep", DEPTH))
                self.assertEqual(depth, DEPTH)
                self.assertLess(took, 20)
            self.assertTrue(sums_hold(g.status()))
            self.assertEqual(g.status()["totals"]["succeeded"], 2 * DEPTH)

    def test_many_roots(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, g.connect() as watcher, Counted(g):
            began = time.monotonic()
            open_ = [client.start("call", "nest.deep", [2], {}) for _ in range(ROOTS)]
            most_workers = most_children = looks = 0
            while len(client.answers) < ROOTS:
                most_workers = max(most_workers, len(watcher.ask("status")["workers"]))
                most_children = max(most_children, len(children(g.pid)))
                looks += 1
                client.until(lambda at_least=len(client.answers) + 1: len(client.answers) >= at_least)
            print(f"{ROOTS} roots with a child each, one worker: {time.monotonic() - began:.3f} s, at most {most_workers} workers, "
                  f"{most_children} processes below gangerd, in {looks} looks")
            self.assertEqual([client.finish(msgid) for msgid in open_], [2] * ROOTS)
            self.assertLessEqual(most_workers, ROOT_WORKERS)
            self.assertLessEqual(most_children, ROOT_WORKERS + 2)  # the zygote, and one in the middle of a fork

    def test_fan(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            took, values = self.timed("500 submitted and collected by a task, one worker", lambda: client.call("nest.fan", 500))
            self.assertEqual(values, list(range(500)))
            self.assertLess(took, 20)
            took, answer = self.timed("a map of 20,000 by a task", lambda: client.call("nest.map", 20000))
            self.assertEqual((answer["count"], answer["succeeded"], answer["values"]), (20000, 20000, list(range(20000))))
            items = client.ask("map", "nest.deep", [[3]] * 50, {"collect": True})  # of a chunk each item asks for itself
            self.assertEqual(items["values"], [3] * 50)

    def test_requests(self):
        """What a module can do wrong, and what it can rely on."""
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            perm, inval, nodata = 1, 22, 61
            self.assertEqual(client.call("nest.misuse"), [-perm, -inval, -inval, -nodata, -perm])
            empty = client.call("digest.sha256", "/dev/null")
            self.assertEqual(client.call("nest.keep", "argument", {"whole": [1]}), [empty, "argument", {"whole": [1]}])
            for method, params, code in (("none such", [], "unknown_method"), ("call", [1], "invalid_params"), ("feed", [1, []], "invalid_params"),
                                         ("call", ["none.such", []], "unknown_function"), ("result", [1], "unknown_task"),
                                         ("hello", [{"descriptors": True}], "invalid_params")):
                self.assertEqual(client.call("nest.ask", method, params)[:2], [1, code], (method, params))
            for method, params in (("ping", []), ("hello", [{"protocol": 1}]), ("functions", []), ("status", []), ("tasks", [])):
                self.assertEqual(client.call("nest.ask", method, params)[:2], [0, ""], (method, params))
            error, _ = client.outcome(client.start("call", "nest.ancestor", [5], {}))  # a refusal that run() just returns
            self.assertEqual((error["code"], error["function_code"]), ("task_failed", "unknown_task"))
            big = client.call("nest.ask", "call", ["echo", [b"x" * (20 << 20)]])
            self.assertEqual(len(big[2]), 20 << 20)


class Circles(unittest.TestCase):
    def told_at_once(self, client, function, *args):
        began = time.monotonic()
        error, _ = client.outcome(client.start("call", function, list(args), {}))
        took = time.monotonic() - began
        print(f"{function}: deadlock told after {took * 1e3:.1f} ms")
        self.assertEqual(error["function_code"], "deadlock", error)
        self.assertLess(took, AT_ONCE)

    def test_itself_and_ancestor(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            client.call("nest.deep", 2)  # the second worker is there
            self.told_at_once(client, "nest.self")
            self.told_at_once(client, "nest.ancestor")
            self.assertEqual(client.call("nest.deep", 3), 3)

    def test_cross(self):
        """X waits for Y, then Y would wait for X: Y is told, and X gets what became of Y."""
        with Gangerd(pool={**NEST, "workers": 2}) as g, g.connect(descriptors=True) as client, Counted(g):
            pipes = [os.pipe() for _ in range(2)]
            ids = [client.finish(client.start("submit", "nest.cross", [descriptor()], {}, fds=[reader])) for reader, _ in pipes]
            for n, (_, writer) in enumerate(pipes):
                eventually(lambda n=n: client.ask("task", ids[n])["state"] == "running")
                os.write(writer, str(ids[1 - n]).encode())
            for id in ids:
                error, _ = client.outcome(client.start("result", id, {"keep": True}), 5)  # the other one may ask for it, too
                self.assertEqual(error["function_code"], "deadlock", error)
            for pipe in pipes:
                os.close(pipe[0])
                os.close(pipe[1])

    def test_too_deep(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, g.connect() as other, Counted(g):
            began = time.monotonic()
            msgid = client.start("call", "nest.deep", [200], {})
            error, _ = client.outcome(msgid)
            print(f"depth 200 beyond nesting_limit: told after {time.monotonic() - began:.3f} s")
            self.assertEqual(error["function_code"], "nesting_limit", error)
            self.assertEqual(other.call("echo", 7), 7)
            self.assertEqual(other.call("nest.deep", 50), 50)
            self.assertTrue(sums_hold(g.status()))


class Needed(unittest.TestCase):
    """More wait than there may be workers, and what they wait for stands behind all of them in the queue."""

    def test_by_way_of_another_pool(self):
        more = "[pool other]\nworkers = 1\nmodules = nest\n"
        with Gangerd(pool=NEST, more=more) as g, g.connect() as client, Counted(g):
            back = ["nest.ask", ["call", ["echo", [7], {"pool": "default"}]], {"pool": "other"}]
            took, values = self.timed(client, [("nest.ask", ["call", back], {"pool": "default", "priority": 100})] * MANY)
            print(f"{MANY} from pool to pool and back: {took:.3f} s")
            self.assertEqual(values, [[0, "", [0, "", 7]]] * MANY)

    def test_anothers_task(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            blocker = client.start("call", "sleep", [0.3], {})
            last = client.submit("echo", 7, priority=-100)
            took, values = self.timed(client, [("nest.ask", ["attach", [last]], {})] * MANY)
            print(f"{MANY} that wait for the last in the queue: {took:.3f} s")
            self.assertEqual(values, [[0, "", 7]] * MANY)
            client.finish(blocker)

    def timed(self, client, calls):
        began = time.monotonic()
        open_ = [client.start("call", *call) for call in calls]
        values = [client.finish(msgid, 30) for msgid in open_]
        return time.monotonic() - began, values


class EndsWithIt(unittest.TestCase):
    def begin(self, client, n, detached, what, **options):
        """A parent with n children that sleep; its id, and theirs."""
        parent = client.submit("nest.hold", n, detached, what, **options)
        eventually(lambda: len(self.children(client)) == n and "running" in self.children(client).values())
        return parent, self.children(client)

    def children(self, client):
        return {record["id"]: record["state"] for record in client.ask("tasks", {"label": "child"})}

    def end_of(self, client, parent):
        error, _ = client.outcome(client.start("result", parent, {}))
        return error

    def ended_with(self, client, children, bound=KILL_GRACE + 2):
        eventually(lambda: set(self.children(client).values()) == {"cancelled"}, bound)
        self.assertEqual(set(self.children(client)), set(children))

    def each_way(self, way, code, what="wait", n=3, **options):
        with Gangerd(pool={**NEST, "workers": 2}) as g, g.connect() as client, Counted(g):
            parent, children_ = self.begin(client, n, False, what, **options)
            began = time.monotonic()
            way(client, parent)
            self.assertEqual(self.end_of(client, parent)["code"], code)
            self.ended_with(client, children_)
            print(f"{code} ({what}): parent and {n} children ended {time.monotonic() - began:.3f} s after")
            client.call("nest.deep", 3)
            status = g.all_idle()
            self.assertTrue(sums_hold(status))
            self.assertEqual(status["connections"], 2)

    def kill(self, client, parent):
        os.kill(eventually(lambda: client.ask("task", parent)["worker_pid"]), signal.SIGKILL)

    def test_cancel(self):
        for what in "wait", "deaf":
            self.each_way(lambda client, parent: client.ask("cancel", parent), "cancelled", what)

    def test_cancel_of_many(self):
        self.each_way(lambda client, parent: client.ask("cancel", parent), "cancelled", n=200)

    def test_timeout(self):
        self.each_way(lambda client, parent: None, "timed_out", timeout=0.3)

    def test_killed(self):
        self.each_way(self.kill, "worker_lost")

    def test_crash(self):
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            error = self.end_of(client, client.submit("nest.hold", 3, False, "crash"))
            self.assertEqual((error["code"], error["signal"]), ("worker_lost", signal.SIGABRT), error)
            self.assertIn(b"backtrace", error["stderr"])
            eventually(lambda: set(self.children(client).values()) == {"cancelled"})

    def test_well(self):
        """It ends well and does not wait for them."""
        with Gangerd(pool=NEST) as g, g.connect() as client, Counted(g):
            first = client.call("nest.hold", 3, False, "end")
            eventually(lambda: set(self.children(client).values()) == {"cancelled"})
            self.assertIn(first, self.children(client))

    def test_detached_live_on(self):
        for code, way in ("cancelled", lambda client, parent: client.ask("cancel", parent)), ("worker_lost", self.kill):
            with Gangerd(pool={**NEST, "workers": 2}) as g, g.connect() as client, Counted(g):
                parent, kept = self.begin(client, 2, True, "wait")
                way(client, parent)
                self.assertEqual(self.end_of(client, parent)["code"], code)
                time.sleep(0.1)  # what would end with it would have been told
                self.assertLessEqual(set(self.children(client).values()), {"ready", "running"})
                self.assertEqual(client.ask("cancel", list(kept)), 2)

    def test_caller_vanishes(self):
        """A call's client goes: the task ends, and all below it, at whatever depth."""
        with Gangerd(pool=NEST) as g, Counted(g):
            with g.connect() as client:
                client.start("call", "nest.ask", ["call", ["nest.ask", ["call", ["sleep", [600]]]]], {})
                eventually(lambda: g.status()["pools"][0]["running"] == 3)
            began = time.monotonic()
            status = g.all_idle()
            print(f"three levels: nothing left {time.monotonic() - began:.3f} s after the client had gone")
            self.assertEqual(status["totals"]["cancelled"], 3)

    def test_daemon_stops(self):
        for signals in 1, 3:
            with Gangerd(daemon={"stop_timeout": 1}, pool=NEST) as g, g.connect() as client:
                self.begin(client, 2, False, "wait")
                began = time.monotonic()
                for _ in range(signals):
                    g.process.send_signal(signal.SIGTERM)
                    time.sleep(0.002)
                status = g.process.wait(20)
                g.expects_death = signals > 1  # the last one may come when it is as good as gone
                self.assertIn(status, (0, -signal.SIGTERM) if signals > 1 else (0,))
                print(f"{signals} SIGTERM with tasks that wait: stopped after {time.monotonic() - began:.3f} s")


if __name__ == "__main__":
    main()
