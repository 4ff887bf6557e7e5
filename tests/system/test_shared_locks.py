# SPDX-License-Identifier: MIT
"""Locks, conditions, barriers and leases whose owners die, are stopped, cut off or cancelled: what the next one is told, and when."""
import os
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, eventually, main  # noqa: E402
from wire import Client  # noqa: E402

ROUNDS = 50 if os.environ.get("GANGER_TEST_LONG") else 20  # of each kind; of owners that are tasks or stopped, of all kinds together
FEW = 10  # of those that cost more than half a second each
BOUND = 0.1  # ten times what is wanted; one round in ten may be later: the machine stands still now and then
STALL = 5  # that long it does not
TIMEOUT = 0.03
KILL_GRACE = 0.05
POOL = {"workers": 3, "modules": "nest", "kill_grace": KILL_GRACE}


class Lock:
    """A kind of lock: what its owner asks for to have it, and to give it back; what the next one asks for, and is answered."""
    blocks = False  # the owner's last request is not answered
    n_waiting = 1

    def __init__(self, name, options=None, times=1, fillers=0):
        self.name = name
        self.takes = [["lock.acquire", [name, options or {}]]] * times
        self.gives = [["lock.release", [name]]] * times
        self.fillers = fillers
        self.last = 0

    def prepare(self, client, filler):
        for _ in range(self.fillers):
            filler.ask(*self.takes[0][:1], *self.takes[0][1])

    def ask(self, client, **options):
        return client.start("lock.acquire", self.name, options)

    def judge(self, test, client, filler, answer, abandoned):
        error, got = answer
        test.assertIsNone(error)
        test.assertEqual(got["abandoned"], abandoned)
        test.assertGreater(got["token"], self.last)
        self.last = got["token"]
        client.ask("lock.release", self.name)
        self.told_once(test, client)
        for _ in range(self.fillers):
            filler.ask("lock.release", self.name)

    def told_once(self, test, client, abandoned=False):
        got = client.ask("lock.acquire", self.name, {"timeout": 0})
        test.assertEqual(got["abandoned"], abandoned)
        test.assertGreater(got["token"], self.last)
        self.last = got["token"]
        client.ask("lock.release", self.name)


class Condition(Lock):
    """The owner holds the lock of one who waits and has been notified. Not he is told, but who acquires it next."""

    def __init__(self, name):
        super().__init__(name)
        self.takes = [*self.takes, ["condition.notify", [name]]]
        self.waiting = None

    def prepare(self, client, filler):
        client.ask("lock.acquire", self.name)
        self.waiting = client.start("condition.wait", self.name)

    def ask(self, client, **options):
        return self.waiting

    def judge(self, test, client, filler, answer, abandoned):
        test.assertEqual(answer, (None, True))
        client.ask("lock.release", self.name)
        self.told_once(test, client, abandoned)
        self.told_once(test, client)


class Barrier(Lock):
    """The owner is one of three parties, the next another one."""
    blocks = True
    n_waiting = 2

    def __init__(self, name):
        super().__init__(name)
        self.takes = [["barrier.wait", [name, {"parties": 3}]]]

    def ask(self, client, **options):
        return client.start("barrier.wait", self.name, {"parties": 3, **options})

    def judge(self, test, client, filler, answer, abandoned):
        test.assertEqual(answer[0]["code"], "broken_barrier")
        test.assertEqual(client.outcome(self.ask(client))[0]["code"], "broken_barrier")
        client.ask("barrier.reset", self.name)


class Waiting(Lock):
    """No owner: it waits for a lock of this name."""
    blocks = True


class Lease(Lock):
    """The owner has taken an item that it has not done."""

    def __init__(self, name):
        super().__init__(name)
        self.takes = [["queue.get", [name, {"ack": True}]]]

    def prepare(self, client, filler):
        client.ask("queue.put", self.name, ["item"])

    def ask(self, client, **options):
        return client.start("queue.get", self.name, {"ack": True, **options})

    def judge(self, test, client, filler, answer, abandoned):
        error, got = answer
        test.assertIsNone(error)
        (token, item), = got
        test.assertEqual(item, "item")
        test.assertEqual(client.ask("queue.task_done", self.name, token), 1)
        test.assertEqual(client.ask("queue.size", self.name), 0)


LOCKS = [("lock",), ("reentrant", {"reentrant": True}, 2), ("semaphore", {"limit": 3}, 1, 2)]


def kinds(*others):
    return [Lock(*lock) for lock in LOCKS] + [other(other.__name__.lower()) for other in others]


def owner(_, path, kind, ready, go):
    """A process that has it, gives it back when it is told, and lives on."""
    client = Client(path)
    for method, params in kind.takes:
        msgid = client.start(method, *params)
        if not kind.blocks:
            client.finish(msgid)
    os.write(ready, b"!")
    os.read(go, 1)
    for method, params in kind.gives:
        client.ask(method, *params)
    signal.pause()


class Owner(Child):
    def __init__(self, gangerd, kind):
        (ready, its_ready), (its_go, self.go) = os.pipe(), os.pipe()
        super().__init__(owner, gangerd.socket, kind, its_ready, its_go)
        for fd in its_ready, its_go:
            os.close(fd)
        assert os.read(ready, 1) == b"!"
        os.close(ready)

    def stop(self):
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def die(self):
        """When the kernel has closed all that it had."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        return time.monotonic()

    def give_back(self):
        os.write(self.go, b"!")
        self.go_on()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        os.close(self.go)


def waits(client, name, n=1):
    eventually(lambda: [row["waiting"] for row in client.ask("shared.list", {"prefix": name})] == [n])


class Timed(unittest.TestCase):
    def setUp(self):
        self.g = self.enterContext(Gangerd(pool=POOL))
        self.client, self.other = (self.enterContext(self.g.connect()) for _ in range(2))

    def show(self, what, latencies):
        latencies.sort()
        p50, p90, p99 = (latencies[len(latencies) * percent // 100] for percent in (50, 90, 99))
        print(f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, max {latencies[-1] * 1e3:.2f} ms of {len(latencies)}", flush=True)
        self.assertLess(p90, BOUND, what)
        self.assertLess(latencies[-1], STALL, what)

    def next_one(self, kind, end, abandoned=True):
        """The next one waits, the owner's end comes: how long from end(), which may return a later moment, to the answer."""
        waiting = kind.ask(self.client)
        waits(self.other, kind.name, kind.n_waiting)
        began = time.monotonic()
        known = end() or began
        answer = self.client.outcome(waiting)
        now = time.monotonic()
        kind.judge(self, self.client, self.other, answer, abandoned)
        return now - began, max(0, now - known)


class Processes(Timed):
    def test_killed(self):
        for kind in kinds(Condition, Barrier, Lease):
            latencies = []
            for _ in range(ROUNDS):
                kind.prepare(self.client, self.other)
                with Owner(self.g, kind) as its:
                    latencies.append(self.next_one(kind, its.die))
            self.show(f"{kind.name}, from the owner's SIGKILL", [latency for latency, _ in latencies])
            self.show(f"{kind.name}, since the owner is dead", [latency for _, latency in latencies])

    def stopped(self, kind, its):
        """It is held as before: the next one's time runs out."""
        its.stop()
        if isinstance(kind, (Condition, Barrier)):  # whoever waits there waits on
            return
        began = time.monotonic()
        self.assertEqual(self.other.outcome(kind.ask(self.other, timeout=TIMEOUT))[0]["code"], "not_ready")
        self.assertTrue(TIMEOUT <= time.monotonic() - began < TIMEOUT + 1)

    def test_stopped_and_killed(self):
        latencies = []
        for kind in kinds(Condition, Barrier, Lease):
            for _ in range(ROUNDS // 6 + 1):
                kind.prepare(self.client, self.other)
                with Owner(self.g, kind) as its:
                    self.stopped(kind, its)
                    latencies.append(self.next_one(kind, its.die)[0])
        self.show("all kinds, from a stopped owner's SIGKILL", latencies)

    def test_stopped_and_goes_on(self):
        latencies = []
        for kind in kinds(Condition):
            for _ in range(ROUNDS // 4 + 1):
                kind.prepare(self.client, self.other)
                with Owner(self.g, kind) as its:
                    self.stopped(kind, its)
                    latencies.append(self.next_one(kind, its.give_back, abandoned=False)[0])
        self.show("locks, from SIGCONT of a stopped owner that gives back", latencies)

    def test_cut_off(self):
        cuts = {"closed": lambda its: its.close(), "shut down": lambda its: its.socket.shutdown(socket.SHUT_RDWR),
                "its writing side shut down": Client.shut_down}
        for kind in kinds(Condition, Barrier, Lease):
            latencies = []
            for i in range(ROUNDS):
                cut = list(cuts)[i % (len(cuts) - kind.blocks)]  # who waits for an answer and says no more gets it
                kind.prepare(self.client, self.other)
                with self.g.connect() as its:
                    for method, params in kind.takes:
                        msgid = its.start(method, *params)
                        if not kind.blocks:
                            its.finish(msgid)
                    latencies.append(self.next_one(kind, lambda cut=cuts[cut], its=its: cut(its))[0])
            self.show(f"{kind.name}, connection cut", latencies)

    def test_who_waits_dies(self):
        """Who died while he waited is passed over, whether the owner gives it back or dies, too."""
        for gives_back in True, False:
            for _ in range(ROUNDS // 2):
                kind, waiting = Lock("lock"), Waiting("lock")
                with Owner(self.g, kind) as its, Owner(self.g, waiting) as dead:
                    waits(self.other, kind.name)
                    last = kind.ask(self.client)
                    waits(self.other, kind.name, 2)
                    dead.die()
                    waits(self.other, kind.name)  # the daemon knows, or it would be given to the dead one first
                    (its.give_back if gives_back else its.die)()
                    kind.judge(self, self.client, self.other, self.client.outcome(last), not gives_back)

    def test_condition_waiter_dies(self):
        """Who waits at a condition holds nothing: nothing is abandoned, and nobody is notified."""
        with self.g.connect() as waiter:
            waiter.ask("lock.acquire", "condition")
            waiter.start("condition.wait", "condition")
            waits(self.other, "condition")
        waits(self.other, "condition", 0)
        self.assertEqual(self.client.ask("lock.acquire", "condition", {"timeout": 0})["abandoned"], False)
        self.assertEqual(self.client.ask("condition.notify", "condition"), 0)
        self.assertEqual(self.client.ask("condition.wait", "condition", {"timeout": 0.02}), False)


class Tasks(Timed):
    def begin(self, kind, *then, **options):
        """A task that has it, and does that then; its id."""
        steps = list(kind.takes)
        if not kind.blocks:
            self.client.ask("event.clear", "ready")
            self.client.ask("event.clear", "go")
            steps += [["event.set", ["ready"]], *then]
        kind.prepare(self.client, self.other)
        task = self.other.submit("nest.steps", steps, **options)
        if not kind.blocks:
            self.client.ask("event.wait", "ready")
        return task

    def rounds(self, what, others, then, end, code, rounds=ROUNDS, bound=0.0):
        latencies = []
        all_kinds = kinds(*others)
        for kind in all_kinds:
            for _ in range(rounds // len(all_kinds) + 1):
                self.season()
                task = self.begin(kind, *then)
                latency, _ = self.next_one(kind, lambda task=task: end(task))
                latencies.append(latency - bound)
                error, _ = self.other.outcome(self.other.start("result", task, {}))
                self.assertEqual(error and error["code"], code)
        self.show(f"all kinds, owner is a task that {what}", latencies)

    def season(self):
        """Every worker has done something: one that dies without is not replaced at once."""
        def all_have():
            for msgid in [self.other.start("call", "sleep", [0.001], {}) for _ in range(8)]:
                self.other.finish(msgid)
            workers = self.other.ask("status")["workers"]
            return len(workers) >= POOL["workers"] and all(worker["tasks_done"] for worker in workers)
        eventually(all_have)

    def cancel(self, task):
        self.other.ask("cancel", task)

    def go(self, _):
        self.other.notify("event.set", "go")

    def test_cancelled(self):
        self.rounds("is cancelled", (Condition, Barrier, Lease), ["wait"], self.cancel, "cancelled")

    def test_cancelled_while_it_waits(self):
        self.rounds("is cancelled in a request", (Condition, Barrier, Lease), [["event.wait", ["go"]]], self.cancel, "cancelled")

    def test_cancelled_and_deaf(self):
        self.rounds("is cancelled, deaf and killed (beyond that time)", (Condition, Lease), ["deaf"], self.cancel, "cancelled", FEW, KILL_GRACE + 0.5)

    def test_worker_killed(self):
        def kill(task):
            os.kill(self.other.ask("task", task)["worker_pid"], signal.SIGKILL)
        self.rounds("loses its worker", (Condition, Barrier, Lease), ["wait"], kill, "worker_lost")

    def test_crashes(self):
        self.rounds("crashes", (Condition, Lease), [["event.wait", ["go"]], "crash"], self.go, "worker_lost")

    def test_fails(self):
        self.rounds("fails", (Condition, Lease), [["event.wait", ["go"]], "fail"], self.go, "task_failed")

    def test_ends(self):
        self.rounds("ends well and gives nothing back", (Condition, Lease), [["event.wait", ["go"]]], self.go, None)

    def test_times_out(self):
        for kind in kinds(Condition, Lease):
            self.begin(kind, "wait", timeout=TIMEOUT)
            self.assertLess(self.next_one_after_its_time(kind), STALL)

    def next_one_after_its_time(self, kind):
        began = time.monotonic()
        kind.judge(self, self.client, self.other, self.client.outcome(kind.ask(self.client)), True)
        return time.monotonic() - began


if __name__ == "__main__":
    main()
