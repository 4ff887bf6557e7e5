# SPDX-License-Identifier: MIT
"""A queue whose consumers die: killed 1,000 times at every step between get and task_done, and nothing is lost."""
import collections
import os
import random
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, main, sanitized  # noqa: E402
from wire import Client  # noqa: E402

KILLS = 200 if sanitized() else 1000
ITEMS = 3 * KILLS
STEPS = ("connected", "get sent", "item received", "half handled", "handled", "task_done sent", "task_done answered")
MAX = 3  # items of one get


def consumer(_, path, handled, done, seed):
    """Takes items, handles each by a line in a file, says so; and kills itself at a step that was drawn."""
    dice = random.Random(seed)
    step = dice.choice(STEPS)
    turn = dice.randrange(3)  # which time it comes by there

    def at(this):
        nonlocal turn
        if this == step:
            if turn == 0:
                os.write(done, f"step {step}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)
            turn -= 1

    with Client(path) as client:
        consume(client, handled, done, dice, at)


def consume(client, handled, done, dice, at):
    while True:
        at("connected")
        msgid = client.start("queue.get", "work", {"ack": True, "max": dice.randint(1, MAX), "timeout": 0.2})
        at("get sent")
        error, items = client.outcome(msgid)
        if error is not None:
            return
        at("item received")
        for token, item in items:
            at("half handled")
            os.write(handled, f"{item}\n".encode())
            at("handled")
            msgid = client.start("queue.task_done", "work", token)
            at("task_done sent")
            assert client.finish(msgid) == 1
            os.write(done, f"{item}\n".encode())
            at("task_done answered")


class Consumers(unittest.TestCase):
    def test_killed_at_every_step(self):
        seed = random.randrange(1 << 30)
        print(f"seed {seed}", flush=True)
        dice = random.Random(seed)
        with Gangerd() as g, g.connect() as client:
            handled, done = (os.open(g.directory / name, os.O_RDWR | os.O_CREAT | os.O_APPEND) for name in ("handled", "done"))
            client.ask("queue.put", "work", list(range(ITEMS)))
            joined = client.start("queue.join", "work")
            began, killed = time.monotonic(), 0
            while killed < KILLS:
                child = Child(consumer, g.socket, handled, done, dice.random())
                status = child.end()[0]
                self.assertIn(status, (0, -signal.SIGKILL))
                killed += status != 0
                if client.ask("queue.size", "work") == 0:
                    client.ask("queue.put", "work", [f"more {killed}"])
            last = Child(self.drain, g.socket, handled, done)
            self.assertEqual(last.end()[0], 0)
            self.assertIsNone(client.finish(joined))
            took = time.monotonic() - began
            lines = [self.lines(g, name) for name in ("handled", "done")]
            self.assertEqual(client.ask("queue.size", "work"), 0)
            with g.connect() as other:
                row, = other.ask("shared.list")
                self.assertEqual([row["size"], row["leased"]], [0, 0])
        self.judge(killed, *lines)
        print(f"{killed} consumers killed in {took:.1f} s", flush=True)

    @staticmethod
    def drain(_, path, handled, done):
        with Client(path) as client:
            while client.ask("queue.size", "work"):
                for token, item in client.ask("queue.get", "work", {"ack": True, "max": 100}):
                    os.write(handled, f"{item}\n".encode())
                    assert client.ask("queue.task_done", "work", token) == 1
                    os.write(done, f"{item}\n".encode())

    @staticmethod
    def lines(g, name):
        return (g.directory / name).read_text(encoding="ascii").splitlines()

    def judge(self, killed, handled, done):
        steps = collections.Counter(line.removeprefix("step ") for line in done if line.startswith("step "))
        print("killed at:", ", ".join(f"{step} {steps[step]}" for step in STEPS), flush=True)
        self.assertEqual(sum(steps.values()), killed)
        for step in STEPS:
            self.assertGreater(steps[step], 0, step)
        times = collections.Counter(handled)
        self.assertTrue(set(times) >= {str(i) for i in range(ITEMS)}, "an item is lost")
        finished_at = {item: i for i, item in enumerate(done) if not item.startswith("step ")}
        self.assertEqual(len(finished_at), sum(not line.startswith("step ") for line in done), "an item was done twice")
        self.assertTrue(set(finished_at) <= set(times))
        again = sum(n - 1 for n in times.values())
        # A second time only after a death between its line in the file and the answer to task_done.
        between = sum(steps[step] for step in ("handled", "task_done sent"))
        print(f"handled a second time: {again}, of {between} killed between handling and answer", flush=True)
        self.assertLessEqual(again, between)

    def test_leases_come_back_first_and_in_order(self):
        with Gangerd() as g, g.connect() as client:
            client.ask("queue.put", "work", list(range(10)))
            with g.connect() as first, g.connect() as second:
                self.assertEqual([item for _, item in first.ask("queue.get", "work", {"ack": True, "max": 3})], [0, 1, 2])
                self.assertEqual([item for _, item in second.ask("queue.get", "work", {"ack": True, "max": 3})], [3, 4, 5])
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
