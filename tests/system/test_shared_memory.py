# SPDX-License-Identifier: MIT
"""Shared memory in use: exact totals, a client that knows only the protocol's text, owners that die, and one who writes over all."""
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import BUILD, Gangerd, environment, eventually, kinds_of_descriptors, main, sanitized  # noqa: E402

USER = BUILD / "tests" / "system" / "shared_user"
HEADER, LENGTH = 128, 100000
PROCESSES, EACH = 8, 100000
FEW = 4000 if sanitized() else EACH
POOL = {"workers": 4, "modules": "shared"}


class User(subprocess.Popen):
    """A program that has mapped the value and waits for start()."""

    def __init__(self, gangerd, name, what, n):
        super().__init__([USER, gangerd.socket, name, what, str(n)], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         encoding="ascii", bufsize=1)
        assert self.stdout.readline() == "ready\n"

    def start(self):
        self.stdin.write("\n")
        self.stdin.flush()
        return self

    def says(self):
        return self.stdout.readline().split()

    def __exit__(self, *_):
        if self.poll() is None:
            self.kill()
        super().__exit__(None, None, None)


def read_value(client, name):
    result, fd = client.ask_fd("shared.open", name, {"kind": "value", "create": False})
    try:
        assert result["type"] == "i64"
        return struct.unpack_from("=q", os.pread(fd, 8, HEADER))[0]
    finally:
        os.close(fd)


class Totals(unittest.TestCase):
    def race(self, how):
        """Eight programs at once; how many a second they added together."""
        with Gangerd() as g, g.connect(descriptors=True) as client:
            users = [User(g, "hits", how, FEW) for _ in range(PROCESSES)]
            began = time.monotonic()
            for user in users:
                user.start()
            for user in users:
                with user:
                    self.assertEqual(user.says()[0], "done")
                    self.assertEqual(user.wait(60), 0)
            rate = PROCESSES * FEW / (time.monotonic() - began)
            self.assertEqual(read_value(client, "hits"), PROCESSES * FEW)
        print(f"{PROCESSES} processes x {FEW}, {how}: {rate:,.0f} a second", flush=True)

    def test_under_its_own_lock(self):
        self.race("own")

    def test_atomically(self):
        self.race("atomic")

    def test_tasks_and_programs(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with User(g, "hits", "own", 1000) as own, User(g, "hits", "atomic", 0):
                tasks = [client.start("call", "shared.add", ["hits", 1000, "own"], {}) for _ in range(4)]
                own.start()
                self.assertEqual([client.finish(task) for task in tasks], [1000] * 4)
                self.assertEqual(own.says()[0], "done")
            self.assertEqual(read_value(client, "hits"), 5000)


class Foreign(unittest.TestCase):
    """A program of another language: descriptors, mmap and the protocol, nothing of ganger's."""

    def test_adds_under_a_lock_that_tasks_use_too(self):
        n = 300
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client, g.connect() as other:
            _, fd = client.ask_fd("shared.open", "sum", {"kind": "value", "type": "i64"})
            tasks = [other.start("call", "shared.add", ["sum", n, "turn"], {}) for _ in range(3)]
            with mmap.mmap(fd, 0) as memory:
                for _ in range(n):
                    token = client.ask("lock.acquire", "turn")["token"]
                    before, = struct.unpack_from("=q", memory, HEADER)
                    struct.pack_into("=q", memory, HEADER, before + 1)
                    client.ask("lock.release", "turn", {"token": token})
                self.assertEqual([other.finish(task) for task in tasks], [n] * 3)
                self.assertEqual(struct.unpack_from("=q", memory, HEADER)[0], 4 * n)
            os.close(fd)

    def test_reads_what_tasks_write(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            tasks = [client.start("call", "shared.fill", ["table", i * LENGTH // 4, LENGTH // 4], {}) for i in range(4)]
            for task in tasks:
                client.finish(task)
            shape, fd = client.ask_fd("shared.open", "table", {"kind": "array"})
            self.assertEqual([shape["type"], shape["length"]], ["i64", LENGTH])
            with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as memory:
                numbers = struct.unpack_from(f"={LENGTH}q", memory, HEADER)
            os.close(fd)
            self.assertEqual(numbers, tuple(3 * i for i in range(LENGTH)))


class Owners(unittest.TestCase):
    def test_killed(self):
        """The next one has it, and knows"""
        latencies = []
        with Gangerd() as g:
            for _ in range(50):
                with User(g, "own", "lock", 1000) as owner, User(g, "own", "lock", 1000) as heir:
                    self.assertEqual(owner.start().says(), ["held"])
                    heir.start()
                    killed = time.monotonic()
                    owner.kill()
                    owner.wait()
                    self.assertEqual(heir.says(), ["abandoned"])
                    latencies.append(time.monotonic() - killed)
                    heir.start()
                    self.assertEqual(heir.wait(10), 0)
            with User(g, "own", "lock", 1000) as after:
                self.assertEqual(after.start().says(), ["held"])
        latencies.sort()
        print(f"own lock, killer to the next owner: p50 {latencies[25] * 1e3:.2f} ms, max {latencies[-1] * 1e3:.2f} ms of 50", flush=True)
        self.assertLess(latencies[-2], 0.1)

    def test_stopped(self):
        """It is held: the time of the next one runs out"""
        with Gangerd() as g, User(g, "own", "lock", 1000) as owner, User(g, "own", "lock", 50) as next_one:
            self.assertEqual(owner.start().says(), ["held"])
            owner.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            self.assertEqual(next_one.start().says(), ["error", "Connection", "timed", "out"])
            self.assertGreaterEqual(time.monotonic() - began, 0.05)
            with User(g, "own", "lock", 5000) as patient:
                patient.start()
                owner.send_signal(signal.SIGCONT)
                owner.start()
                self.assertEqual(owner.wait(10), 0)
                self.assertEqual(patient.says(), ["held"])


class Hostile(unittest.TestCase):
    def test_who_writes_over_all_of_it_harms_no_process(self):
        n, many = 1000, 3000000
        with Gangerd(pool=POOL) as g, g.connect() as client:
            before_fds, before = kinds_of_descriptors(g.pid) if os.geteuid() == 0 else None, g.rss()
            with User(g, "prey", "hostile", 0) as hostile:
                users = [User(g, "prey", "use", n) for _ in range(3)]
                tasks = [client.start("call", "shared.add", ["prey", many, how], {"timeout": 60}) for how in ("own", "atomic")]
                eventually(lambda: [worker["state"] for worker in g.status()["workers"]].count("busy") == 2)  # they have mapped it, or nearly
                hostile.start()
                for user in users:
                    user.start()
                outcomes = [client.outcome(task, 60) for task in tasks]
                errors = []
                for user in users:
                    with user:
                        errors.append(user.says())
                        self.assertEqual(user.wait(60), 0, "it crashed")
                self.assertEqual([error["code"] for error, _ in outcomes if error], ["task_failed"] * sum(1 for error, _ in outcomes if error))
                self.assertEqual([words[0] for words in errors], ["done"] * 3)
                self.assertIsNone(hostile.poll())
                print("errors of those who used it:", [int(words[2]) for words in errors], "of", 5 * n, "each; tasks:",
                      [error and error["message"] for error, _ in outcomes], flush=True)
            self.assertEqual(g.all_idle()["totals"]["workers_lost"], 0)
            self.assertEqual(client.ask("ping"), "pong")
            client.ask("shared.unlink", "prey")
            if before_fds:
                self.assertEqual(kinds_of_descriptors(g.pid)["/memfd"], before_fds["/memfd"])
            if not sanitized():
                self.assertLess(g.rss() - before, 2 << 20)


if __name__ == "__main__":
    main()
