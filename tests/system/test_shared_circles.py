# SPDX-License-Identifier: MIT
"""Those who wait for each other's locks: the newest is told, at once and by name; and who only looks as if he did is not."""
import os
import re
import string
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, main  # noqa: E402
from wire import Client  # noqa: E402
from test_shared_locks import waits  # noqa: E402

POOL = {"workers": 3, "modules": "nest"}
AT_ONCE = 1.0  # seconds: what is told at once is told within this
TIMEOUT = 0.03


def party(out, path, first, second, go):
    """A process that has one lock and, when it is told, wants another; says what became of that."""
    with Client(path) as client:
        client.ask("lock.acquire", first)
        print("has it", file=out)
        os.read(go, 1)
        error, _ = client.outcome(client.start("lock.acquire", second))
        print(error["code"] + ": " + error["message"] if error else "has both", file=out)


class Party(Child):
    def __init__(self, gangerd, first, second):
        go, self.go = os.pipe()
        super().__init__(party, gangerd.socket, first, second, go)
        os.close(go)
        assert self.says() == "has it"

    def says(self):
        return self.pipe.readline().rstrip()

    def wants(self):
        os.write(self.go, b"!")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        os.close(self.go)


class Circles(unittest.TestCase):
    def setUp(self):
        self.g = self.enterContext(Gangerd(pool=POOL))
        self.ann, self.bob, self.cat = (self.enterContext(self.g.connect()) for _ in range(3))

    def told(self, client, what, *request):
        """The newest one's request is refused at once; the message."""
        began = time.monotonic()
        error, _ = client.outcome(client.start(*request))
        took = time.monotonic() - began
        self.assertEqual(error and error["code"], "deadlock", error)
        print(f"{what}: told after {took * 1e3:.2f} ms: {error['message']}", flush=True)
        self.assertLess(took, AT_ONCE)
        return error["message"]

    def ring(self, n):
        """n processes that have a lock each and want the next one's: the last one is told, and when it has gone all go on."""
        names = [f"lock {letter}" for letter in string.ascii_lowercase[:n]]
        parties = [self.enterContext(Party(self.g, name, following)) for name, following in zip(names, names[1:] + names[:1])]
        for its, following in zip(parties[:-1], names[1:]):
            its.wants()
            waits(self.ann, following)
        began = time.monotonic()
        parties[-1].wants()
        said = parties[-1].says()
        took = time.monotonic() - began
        print(f"{n} processes in a ring: told after {took * 1e3:.2f} ms: {said}", flush=True)
        self.assertLess(took, AT_ONCE)
        steps = ", which waits".join(f' for the lock "{name}" of process {its.pid}' for name, its in zip(names, parties))
        self.assertEqual(said, f"deadlock: process {parties[-1].pid} would wait{steps}")
        for its in reversed(parties[:-1]):
            self.assertEqual(its.says(), "has both")

    def test_two_crosswise(self):
        self.ring(2)

    def test_three_in_a_ring(self):
        self.ring(3)

    def test_many_in_a_ring(self):
        """Longer than what is named."""
        names = [f"lock {letter}" for letter in string.ascii_lowercase]
        for owner, name in enumerate(names):
            self.ann.ask("lock.acquire", name, {"owner": owner})
        for owner, name in enumerate(names[1:]):
            self.ann.start("lock.acquire", name, {"owner": owner})
            waits(self.bob, name)
        message = self.told(self.ann, f"{len(names)} owners in a ring", "lock.acquire", names[0], {"owner": len(names) - 1})
        self.assertIn("for others", message)

    def test_owners_of_one_connection(self):
        """Each is asked for, waits and is deadlocked as if it was alone."""
        client = self.ann
        client.ask("lock.acquire", "a", {"owner": 1})
        first = client.start("lock.acquire", "a", {"owner": 2})  # no circle: it is another one's
        waits(self.bob, "a")
        client.ask("lock.release", "a", {"owner": 1})
        client.finish(first)
        client.ask("lock.acquire", "b", {"owner": 3})
        second = client.start("lock.acquire", "b", {"owner": 2})
        waits(self.bob, "b")
        self.told(client, "two owners of one connection", "lock.acquire", "a", {"owner": 3})
        self.told(client, "one owner, its own lock", "lock.acquire", "a", {"owner": 2})
        client.ask("lock.acquire", "c", {"owner": 4})  # who has nothing to do with it
        client.ask("lock.release", "b", {"owner": 3})
        client.finish(second)

    def test_not_to_wait_is_no_deadlock(self):
        self.ann.ask("lock.acquire", "a")
        self.bob.ask("lock.acquire", "b")
        waiting = self.ann.start("lock.acquire", "b")
        waits(self.cat, "b")
        self.assertEqual(self.bob.outcome(self.bob.start("lock.acquire", "a", {"timeout": 0}))[0]["code"], "not_ready")
        self.told(self.bob, "one who would wait for a while", "lock.acquire", "a", {"timeout": 60})
        self.bob.ask("lock.release", "b")
        self.ann.finish(waiting)

    def test_semaphore(self):
        """As long as one of its holders can go on it is no circle."""
        ann, bob, cat = self.ann, self.bob, self.cat
        for client in ann, bob:
            client.ask("lock.acquire", "semaphore", {"limit": 2})
        cat.ask("lock.acquire", "lock")
        waiting = [ann.start("lock.acquire", "lock")]
        with self.g.connect() as look:
            waits(look, "lock")
            self.assertEqual(cat.outcome(cat.start("lock.acquire", "semaphore", {"timeout": TIMEOUT}))[0]["code"], "not_ready")
            cats = cat.start("lock.acquire", "semaphore")
            waits(look, "semaphore")
        self.told(bob, "both holders of a semaphore", "lock.acquire", "lock")
        bob.ask("lock.release", "semaphore")
        cat.finish(cats)
        cat.ask("lock.release", "lock")
        ann.finish(waiting[0])

    def test_condition(self):
        """Who waits at a condition can go on only with its lock: whose holder must not wait for what he has beside."""
        ann, bob = self.ann, self.bob
        for name in "condition", "beside":
            ann.ask("lock.acquire", name)
        waiting = ann.start("condition.wait", "condition")
        bob.ask("lock.acquire", "condition")
        self.told(bob, "the lock of one at a condition", "lock.acquire", "beside")
        self.assertEqual(bob.ask("condition.notify", "condition"), 1)
        self.told(bob, "the lock of one who was notified", "lock.acquire", "beside")
        bob.ask("lock.release", "condition")
        self.assertEqual(ann.finish(waiting), True)
        ann.ask("lock.release", "condition")
        waiting = bob.start("lock.acquire", "beside")  # ann could be woken: no circle
        waits(self.cat, "beside")
        ann.ask("lock.acquire", "condition")
        again = ann.start("condition.wait", "condition")
        waits(self.cat, "condition")
        self.cat.ask("lock.acquire", "condition")
        self.assertEqual(self.cat.ask("condition.notify", "condition"), 1)
        self.cat.ask("lock.release", "condition")
        self.assertEqual(ann.finish(again), True)
        ann.ask("lock.release", "beside")
        bob.finish(waiting)

    def begin_task(self, *then):
        """A task that has `its` lock and does that, when `go` is set."""
        task = self.cat.start("call", "nest.steps", [[["lock.acquire", ["its"]], ["event.set", ["ready"]], ["event.wait", ["go"]], *then]], {})
        self.bob.ask("event.wait", "ready")
        holder, = self.bob.ask("shared.list", {"prefix": "its"})[0]["holders"]
        return task, holder["task"]

    def test_client_told_of_a_task(self):
        self.ann.ask("lock.acquire", "mine")
        task, id = self.begin_task(["lock.acquire", ["mine"]])
        self.bob.ask("event.set", "go")
        waits(self.bob, "mine")
        message = self.told(self.ann, "a client and a task, the client last", "lock.acquire", "its")
        self.assertRegex(message, rf'"its" of task {id} .*"mine" of process {os.getpid()}$')
        self.ann.ask("lock.release", "mine")
        self.assertEqual([answer[:2] for answer in self.cat.finish(task)], [[0, ""]] * 4)

    def test_task_told_of_a_client(self):
        self.ann.ask("lock.acquire", "mine")
        task, id = self.begin_task(["lock.acquire", ["mine"]])
        waiting = self.ann.start("lock.acquire", "its")
        waits(self.bob, "its")
        self.bob.ask("event.set", "go")
        *_, (_, code, error) = self.cat.finish(task)
        print(f"a client and a task, the task last: {error['message']}", flush=True)
        self.assertEqual(code, "deadlock")
        self.assertTrue(re.match(rf'task {id} .*"mine" of process {os.getpid()}.*"its" of task {id} ', error["message"]), error)
        self.assertEqual(self.ann.finish(waiting)["abandoned"], True)

    def test_two_tasks(self):
        """One lock each, and the other's wanted: one is told so, and both end."""
        tasks = []
        for first, second in ("p", "q"), ("q", "p"):
            steps = [["lock.acquire", [first]], ["barrier.wait", ["both have one", {"parties": 2}]], ["lock.acquire", [second]]]
            tasks.append(self.ann.start("call", "nest.steps", [steps], {}))
        codes = [[code for _, code, _ in self.ann.finish(task)] for task in tasks]
        self.assertEqual(sorted(codes), [["", "", ""], ["", "", "deadlock"]])

    def test_another_task_is_none(self):
        """A task that waits for what a client has which waits for another task's: its time runs out."""
        self.ann.ask("lock.acquire", "mine")
        task, _ = self.begin_task()
        waiting = self.ann.start("lock.acquire", "its")
        waits(self.bob, "its")
        self.assertEqual(self.bob.call("nest.ask", "lock.acquire", ["mine", {"timeout": TIMEOUT}])[1], "not_ready")
        self.bob.ask("event.set", "go")
        self.cat.finish(task)
        self.assertEqual(self.ann.finish(waiting)["abandoned"], True)


if __name__ == "__main__":
    main()
