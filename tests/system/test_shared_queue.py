# SPDX-License-Identifier: MIT
"""A queue whose consumers die: killed 1,000 times, at every step from before get to after task_done, and nothing is lost."""
import collections
import os
import random
import select
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, eventually, main, sanitized  # noqa: E402
from wire import Client  # noqa: E402

KILLS = 200 if sanitized() else 1000
AT_ONCE = 4  # consumers
FULL = 8  # so many items in the queue are enough; often there is none, and they wait
STEPS = ("connected", "get half sent", "get sent", "item received", "half handled", "handled", "task_done half sent", "task_done sent",
         "task_done answered")
OUTSIDE = "any moment"  # drawn by the test, not by the consumer's step
MAX = 3  # items of one get


class Consumer:
    """Takes items, handles each by a line in a file, says so; and kills itself at its step, the n-th time that it comes by there."""

    def __init__(self, path, record, step, turn):
        self.client = Client(path)
        self.record = record
        self.step, self.turn = step, turn

    def note(self, what, of):
        os.write(self.record, f"{what} {of}\n".encode())

    def at(self, step):
        if step == self.step:
            if self.turn == 0:
                self.note("killed", step)
                os.kill(os.getpid(), signal.SIGKILL)
            self.turn -= 1

    def ask(self, name, method, *params):
        msgid, data = self.client.pack_request(method, *params)
        self.client.send_bytes(data[:len(data) // 2])
        self.at(f"{name} half sent")
        self.client.send_bytes(data[len(data) // 2:])
        self.at(f"{name} sent")
        return self.client.outcome(msgid)

    def consume(self, timeout=0.2):
        """Until nothing comes any more."""
        while True:
            self.at("connected")
            error, items = self.ask("get", "queue.get", "work", {"ack": True, "max": MAX, "timeout": timeout})
            if error is not None:
                assert error["code"] == "not_ready", error
                return
            self.at("item received")
            for token, item in items:
                self.at("half handled")
                self.note("handled", item)
                self.at("handled")
                assert self.ask("task_done", "queue.task_done", "work", token) == (None, 1)
                self.note("done", item)
                self.at("task_done answered")


class Consumers(unittest.TestCase):
    def test_killed_at_every_step(self):
        seed = int(os.environ.get("GANGER_SEED", random.randrange(1 << 30)))
        print(f"seed {seed}", flush=True)
        self.dice = random.Random(seed)
        with Gangerd() as g, g.connect() as client:
            self.record = os.open(g.directory / "record", os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self.addCleanup(os.close, self.record)
            began = time.monotonic()
            n_items, outside = self.kill_consumers(g, client)
            took = time.monotonic() - began
            self.let_join_end(g, client)
            with g.connect() as other:
                row, = other.ask("shared.list")
                self.assertEqual([row["size"], row["leased"], row["waiting"]], [0, 0, 0])
            self.judge((g.directory / "record").read_text(encoding="ascii").splitlines(), n_items, outside)
        print(f"{KILLS} consumers killed in {took:.1f} s, {n_items} items", flush=True)

    def start_one(self, g):
        """A consumer, its step, and when the test kills it, if it does."""
        step, turn = self.dice.choice((*STEPS, OUTSIDE)), self.dice.randrange(3)
        child = Child(lambda _: Consumer(g.socket, self.record, step, turn).consume())
        return child, step, time.monotonic() + self.dice.random() / 50 if step == OUTSIDE else float("inf")

    def kill_consumers(self, g, client):
        """(items that were put, consumers that the test itself has killed)"""
        n_items = killed = outside = 0
        alive = {}
        try:
            while killed < KILLS:
                while len(alive) < min(AT_ONCE, KILLS - killed):
                    one = self.start_one(g)
                    alive[one[0].pipe] = one
                if client.ask("queue.size", "work") < FULL and (n := self.dice.randrange(4)):
                    client.ask("queue.put", "work", list(range(n_items, n_items + n)))
                    n_items += n
                for child, _, kill_at in alive.values():
                    if kill_at <= time.monotonic():
                        os.kill(child.pid, signal.SIGKILL)
                for pipe in select.select(list(alive), [], [], 0.001)[0]:
                    child, step, _ = alive.pop(pipe)
                    status = child.end()[0]
                    self.assertIn(status, (0, -signal.SIGKILL))
                    killed += status != 0
                    outside += status != 0 and step == OUTSIDE
        finally:
            for child, _, _ in alive.values():
                child.kill()
        return n_items, outside

    def let_join_end(self, g, client):
        """With the last item, and not before: one is leased all the time."""
        with g.connect() as slow:
            eventually(lambda: slow.ask("shared.list")[0]["leased"] == 0)  # the last one's death is known
            client.ask("queue.put", "work", ["last"])
            joined = client.start("queue.join", "work")
            while True:
                (token, item), = slow.ask("queue.get", "work", {"ack": True})
                if item == "last":
                    break
                os.write(self.record, f"handled {item}\ndone {item}\n".encode())
                self.assertEqual(slow.ask("queue.task_done", "work", token), 1)
            self.assertEqual(client.ask("queue.size", "work"), 0)
            self.assertNotIn(joined, client.answers)
            self.assertEqual(slow.ask("queue.task_done", "work", token), 1)
            self.assertIsNone(client.finish(joined))

    def judge(self, record, n_items, outside):
        steps, handled, done = collections.Counter({OUTSIDE: outside}), collections.Counter(), set()
        for what, of in (line.split(" ", 1) for line in record):
            if what == "killed":
                steps[of] += 1
            elif what == "handled":
                self.assertNotIn(of, done, "an item that was done came again")
                handled[of] += 1
            else:
                self.assertNotIn(of, done, "an item was done twice")
                done.add(of)
        print("killed at:", ", ".join(f"{step} {n}" for step, n in steps.items()), flush=True)
        self.assertEqual(sum(steps.values()), KILLS)
        self.assertEqual(set(steps), {*STEPS, OUTSIDE})
        self.assertEqual(set(handled), {str(i) for i in range(n_items)}, "an item is lost")
        again = handled.total() - len(handled)
        # A second time only after a death between its line in the file and the answer to task_done.
        between = sum(steps[step] for step in ("handled", "task_done half sent", "task_done sent", OUTSIDE))
        print(f"handled a second time: {again}, of {between} killed between handling and answer, or at any moment", flush=True)
        self.assertLessEqual(again, between)

    def test_leases_come_back_first_and_in_order(self):
        with Gangerd() as g, g.connect() as client:
            client.ask("queue.put", "work", list(range(10)))
            with g.connect() as first, g.connect() as second:
                self.assertEqual([item for _, item in first.ask("queue.get", "work", {"ack": True, "max": 3})], [0, 1, 2])
                self.assertEqual([item for _, item in second.ask("queue.get", "work", {"ack": True, "max": 3})], [3, 4, 5])
            eventually(lambda: client.ask("queue.size", "work") == 10)
            got = []
            while len(got) < 10:
                got += [item for _, item in client.ask("queue.get", "work", {"timeout": 5})]
            self.assertEqual(got, list(range(10)))

    def test_a_task_that_ends_gives_its_items_back(self):
        with Gangerd(pool={"modules": "nest"}) as g, g.connect() as client:
            client.ask("queue.put", "work", ["only"])
            self.assertEqual(client.call("nest.ask", "queue.get", ["work", {"ack": True}])[0], 0)
            self.assertEqual(client.ask("queue.get", "work", {"timeout": 5}), [[None, "only"]])


if __name__ == "__main__":
    main()
