# SPDX-License-Identifier: MIT
"""Values and arrays between real programs, tasks and a foreign client: exact totals, owners that die, one who overwrites everything.

The foreign client is client/examples/ganger_client.py: socket.recv_fds and mmap, nothing of libganger."""
import contextlib
import os
import pathlib
import random
import resource
import signal
import statistics
import struct
import subprocess
import sys
import time
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from gangerd import BUILD, SOURCE, Child, Flat, Gangerd, environment, eventually, kinds_of_descriptors, main, sanitized  # noqa: E402

sys.path.insert(0, str(SOURCE / "client" / "examples"))
from ganger_client import Error, Ganger  # noqa: E402
from wire import Refused  # noqa: E402

CLIENT = BUILD / "tests" / "system" / "shared_client"
PROCESSES, ROUNDS = 8, 100_000
ACQUIRED_ROUNDS = 300
KILLS = 7
KNOWN_MS = 10  # from an owner's death to the next one
HOSTILE_SECONDS = 2.0
CALL_MOST_MS = 3000  # of a call that is told to last 10 ms, on a machine that is busy
LOCK_WORD, CHANGES, N_WAITING = 64, 72, 76  # in the header
WAITERS = 1 << 31
ABANDONED, ETIMEDOUT = 1, -110
MEGABYTE = 1 << 20


def daemon(workers=PROCESSES):
    return Gangerd(pool={"modules": "shared", "workers": workers})


@contextlib.contextmanager
def client(g, *words):
    """shared_client as a process; what it says is read from its stdout."""
    with subprocess.Popen([CLIENT, g.socket, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def opened(path, *arguments, **options):
    """Memory as the foreign client sees it; the connection is over then."""
    foreign = Ganger(path)
    with foreign.socket:
        return foreign.open_shared(*arguments, **options)


def begin_together(g, view, name, n):
    """Lets n who wait for a number of no less than 0 go on."""
    eventually(lambda: word_at(view, N_WAITING, "=I") == n, 30)
    assert g.ganger("value", "set", name, "0").returncode == 0


def run_clients(g, n, verb, view, name):
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(client(g, verb, name, ROUNDS)) for _ in range(n)]
        begin_together(g, view, name, n)
        said = [process.communicate(timeout=120)[0].decode() for process in processes]
        assert [process.returncode for process in processes] == [0] * n
        return list(map(int, said))


def run_tasks(g, n, function, view, name):
    with g.connect() as c:
        ids = [c.submit(f"shared.{function}", name, ROUNDS) for _ in range(n)]
        begin_together(g, view, name, n)
        return [c.finish(c.start("result", id), bound=120) for id in ids]


def memory_of(view):
    """All of the memory, its header too."""
    return view.obj


def word_at(view, offset, form="=Q"):
    return struct.unpack_from(form, memory_of(view), offset)[0]


def holds(view):
    return eventually(lambda: word_at(view, LOCK_WORD) & (WAITERS - 1), 20)


def is_waited_for(view):
    return eventually(lambda: word_at(view, LOCK_WORD) & WAITERS, 20)


class Totals(unittest.TestCase):
    def add(self, g, run, how):
        """All begin at once; none of what they add is lost."""
        view = opened(g.socket, how)
        view[0] = -1
        sums = run(g, PROCESSES, how, view, how)
        self.assertEqual((view[0], max(sums)), (PROCESSES * ROUNDS,) * 2)
        self.assertEqual((word_at(view, LOCK_WORD), word_at(view, N_WAITING, "=I")), (0, 0))

    def test_programs(self):
        with daemon(1) as g:
            self.add(g, run_clients, "locked")
            self.add(g, run_clients, "atomic")

    def test_tasks(self):
        with daemon() as g:
            self.add(g, run_tasks, "add_locked")
            self.add(g, run_tasks, "add_atomically")

    def test_a_foreign_client_and_tasks(self):
        """All of them read and write apart; what keeps them apart is one lock of the daemon's."""
        with daemon(4) as g, g.connect() as c, contextlib.closing(Ganger(g.socket)) as foreign:
            view = foreign.open_shared("v", type="i64")
            foreign.request("lock.acquire", "v.lock")
            ids = [c.submit("shared.add_acquired", "v", ACQUIRED_ROUNDS, "v.lock") for _ in range(4)]
            eventually(lambda: c.ask("shared.list", {"kind": "lock"})[0]["waiting"] == 4, 20)
            foreign.request("lock.release", "v.lock")  # all begin at once
            seen = n_between = 0
            for _ in range(ACQUIRED_ROUNDS):
                foreign.request("lock.acquire", "v.lock")
                n_between += view[0] > seen
                seen = view[0] = view[0] + 1
                foreign.request("lock.release", "v.lock")
            for id in ids:
                c.ask("result", id)
            self.assertEqual(view[0], 5 * ACQUIRED_ROUNDS)
            self.assertGreater(n_between, 0)

    def test_a_foreign_client_reads_what_tasks_write(self):
        with daemon(4) as g:
            view = opened(g.socket, "a", "array", length=4000)
            self.assertEqual(view.tolist(), [0] * 4000)
            with g.connect() as c:
                for id in [c.submit("shared.fill", "a", first, 1000, first * 10) for first in range(0, 4000, 1000)]:
                    c.ask("result", id)
                self.assertEqual(view.tolist(), [first * 10 + i for first in range(0, 4000, 1000) for i in range(1000)])
                view[3999] = -1
                with self.assertRaisesRegex(Refused, "out of range"):
                    c.call("shared.fill", "a", 3999, 2, 0)
                self.assertEqual(view[3999], -1)


class Opening(unittest.TestCase):
    def test_refused(self):
        with daemon(1) as g, g.connect() as c:
            c.ask("lock.acquire", "l")
            for words in (("locked", "l", 1), ("use", "none", 0, 1)):
                with client(g, *words) as process:
                    self.assertEqual((process.wait(20), process.stdout.read()), (1, b""), words)
            for code, function, arguments in (("key_conflict", "shared.add_locked", ("l", 1)), ("unknown_object", "shared.fill", ("none", 0, 1, 1))):
                with self.assertRaises(Refused) as refused:
                    c.call(function, *arguments)
                self.assertEqual(refused.exception.error["function_code"], code)
            with self.assertRaisesRegex(Error, "key_conflict"):
                opened(g.socket, "l")

    def test_a_worker_keeps_no_descriptor(self):
        with daemon(1) as g, g.connect() as c:
            c.call("shared.add_locked", "v", 1)
            worker = g.status()["workers"][0]["pid"]
            before = kinds_of_descriptors(worker)
            for _ in range(100):
                c.call("shared.add_locked", "v", 1)
            self.assertEqual(kinds_of_descriptors(worker), before)
            self.assertEqual(g.status()["workers"][0]["pid"], worker)

    def test_no_descriptor_is_free(self):
        """It is said so: by a program, which loses its connection, and by a task, which costs its worker."""
        with daemon(1) as g, g.connect() as c:
            opened(g.socket, "v")
            done = g.ganger("value", "get", "v", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)))
            self.assertEqual((done.returncode, done.stdout), (125, b""))
            self.assertIn(b"Too many open files", done.stderr)
            worker = g.all_idle()["workers"][0]["pid"]
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{worker}/fd")),) * 2)
            with self.assertRaisesRegex(Refused, "task_failed: .*Too many open files"):
                c.call("shared.take", "v", 0)
            self.assertEqual(c.call("shared.take", "v", 0)[0], 0)
            self.assertNotIn(worker, [w["pid"] for w in g.all_idle()["workers"]])
            self.assertIn("exits: Too many open files", g.log())

    def test_tasks_talk_over_a_pipe(self):
        """Its ends are descriptors in answers, too."""
        with daemon(2) as g, g.connect() as c:
            ids = [c.submit("shared.talk", "p", words) for words in ("one", "two")]
            self.assertEqual([c.ask("result", id) for id in ids], ["two", "one"])


class Owners(unittest.TestCase):
    """Of the object's own lock."""

    def next_one(self, g, view, end_owner):
        """A program that waits while the owner ends: (what its lock said, ms from the end to its own)."""
        holds(view)
        with client(g, "take", "v", 20000) as waiter:
            is_waited_for(view)
            begin = time.monotonic()
            end_owner()
            result = int(waiter.stdout.readline().split()[0])
            return result, (time.monotonic() - begin) * 1e3

    def show(self, what, times):
        print(f"{what}: abandoned after {', '.join(f'{ms:.1f}' for ms in times)} ms (wanted: {KNOWN_MS})", flush=True)
        self.assertLess(statistics.median(times), 10 * KNOWN_MS)

    def test_a_program_is_killed(self):
        with daemon(1) as g:
            view = opened(g.socket, "v")
            times = []
            for _ in range(KILLS):
                with client(g, "hold", "v") as owner:
                    result, ms = self.next_one(g, view, owner.kill)
                self.assertEqual(result, ABANDONED)
                times.append(ms)
                with client(g, "take", "v", 0) as process:
                    self.assertEqual(process.communicate(timeout=20)[0].split()[0], b"0")
            self.show("a program killed", times)

    def test_a_task_is_killed(self):
        with daemon(KILLS + 2) as g, g.connect() as c:
            view = opened(g.socket, "v")
            times = []
            for _ in range(KILLS):
                task = c.start("call", "shared.hold", ["v", "wait"])
                worker = holds(view) & 0x3FFFFFFF
                self.assertIn(worker, [w["pid"] for w in g.status()["workers"]])
                result, ms = self.next_one(g, view, lambda worker=worker: os.kill(worker, signal.SIGKILL))
                self.assertEqual(result, ABANDONED)
                times.append(ms)
                with self.assertRaises(Refused) as refused:
                    c.finish(task)
                self.assertEqual(refused.exception.code, "worker_lost")
            self.show("a task's worker killed", times)
            with self.assertRaises(Refused) as refused:
                c.call("shared.hold", "v", "crash")
            self.assertEqual(refused.exception.code, "worker_lost")
            self.assertEqual(c.call("shared.take", "v", 0)[0], ABANDONED)
            self.assertEqual(c.call("shared.take", "v", 0)[0], 0)

    def test_a_task_is_cancelled(self):
        """It is told, gives the lock back, and nothing is abandoned."""
        with daemon(1) as g, g.connect() as c:
            view = opened(g.socket, "v")
            task = c.submit("shared.hold", "v", "wait")
            self.assertEqual(self.next_one(g, view, lambda: c.ask("cancel", task))[0], 0)

    def test_the_owner_is_stopped(self):
        """It lives: the lock is its own, and who waits is told when his time is over."""
        with daemon(2) as g, g.connect() as c, client(g, "hold", "v") as owner:
            view = opened(g.socket, "v")
            holds(view)
            os.kill(owner.pid, signal.SIGSTOP)
            with client(g, "take", "v", 300) as waiter:
                result, ms = map(int, waiter.communicate(timeout=20)[0].split())
            print(f"the owner stopped: the next one's 300 ms were over after {ms} ms", flush=True)
            self.assertEqual(result, ETIMEDOUT)
            self.assertTrue(300 <= ms < 3000, ms)
            result, ms = c.call("shared.take", "v", 100)
            self.assertEqual(result, ETIMEDOUT)
            self.assertTrue(100 <= ms < 1000, ms)
            os.kill(owner.pid, signal.SIGCONT)
            self.assertEqual(self.next_one(g, view, owner.stdin.close)[0], 0)
            self.assertEqual(owner.wait(20), 0)


def overwrite(out, path, seed):
    """All of the memory again and again: noise, or words that mean something."""
    view = opened(path, "a", "array")
    memory, chance = memory_of(view), random.Random(seed)
    with open("/proc/self/stat", encoding="ascii") as stat:
        started = int(stat.read().rpartition(")")[2].split()[19]) & 0xFFFFFFFF
    alive = started << 32 | os.getpid()
    locks = (0, 1, alive, alive | WAITERS, alive ^ 1 << 32, os.getppid(), WAITERS, 0x3FFFFFFF, 2**64 - 1, 1 << 30, 2**63)
    words = (0, 1, 2, 127, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
    end = time.monotonic() + HOSTILE_SECONDS
    n = 0
    while time.monotonic() < end:
        for _ in range(200):
            kind = chance.randrange(5)
            if kind == 0:
                memory[:] = chance.randbytes(len(memory))
            elif kind == 1:
                memory[:] = bytes([chance.choice((0, 255))]) * len(memory)
            elif kind == 2:
                struct.pack_into("=Q", memory, LOCK_WORD, chance.choice(locks))
            elif kind == 3:
                struct.pack_into("=II", memory, CHANGES, chance.choice(words) & 0xFFFFFFFF, chance.choice(words) & 0xFFFFFFFF)
            else:
                struct.pack_into("=Q", memory, 8 * chance.randrange(len(memory) // 8), chance.choice(words))
            n += 1
    memory[:8] = bytes(8)
    out.write(str(n))


class Hostile(unittest.TestCase):
    def has_opened(self, pid):
        """Whether it has mapped the memory, and is done with the descriptor: it has looked at the header then."""
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            is_mapped = "memfd:ganger shared" in maps.read()
        return is_mapped and not any("memfd:ganger shared" in kind for kind in kinds_of_descriptors(pid))

    def test_overwrites_everything(self):
        seed = int(os.environ.get("GANGER_TEST_SEED", "20240611"))
        print(f"GANGER_TEST_SEED={seed}", flush=True)
        with daemon(3) as g, g.connect() as c:
            opened(g.socket, "a", "array", length=4)
            eventually(lambda: sum(w["state"] == "idle" for w in c.ask("status")["workers"]) == 3)
            descriptors, flat = kinds_of_descriptors(g.pid), Flat(g)
            duration = int(HOSTILE_SECONDS * 1000) + 1000
            with contextlib.ExitStack() as stack:
                programs = [stack.enter_context(client(g, "use", "a", which, duration)) for which in range(3)]
                tasks = [c.start("call", "shared.use", ["a", which, duration]) for which in range(3, 6)]
                for pid in [process.pid for process in programs] + [w["pid"] for w in g.status()["workers"]]:
                    eventually(lambda pid=pid: self.has_opened(pid), 20)
                attackers = [Child(overwrite, g.socket, seed + i) for i in range(2)]
                for attacker in attackers:
                    stack.callback(attacker.kill)
                used = [list(map(int, process.communicate(timeout=60)[0].split())) for process in programs]
                used += [c.finish(task, bound=60) for task in tasks]
                done = [attacker.end() for attacker in attackers]
            self.assertEqual([status for status, _ in done], [0, 0])
            print(f"{sum(int(n) for _, n in done)} times overwritten; calls of 10 ms: {sum(n for _, n, _ in used)},"
                  f" the longest {max(ms for _, _, ms in used)} ms", flush=True)
            for wrong, n, longest_ms in used:
                self.assertEqual(wrong, 0)
                self.assertGreater(n, 100)
                self.assertLess(longest_ms, CALL_MOST_MS)
            self.after(g, c, descriptors, flat)

    def after(self, g, c, descriptors, flat):
        """Who comes then is told that it is no such memory; the daemon knows nothing of it all."""
        with client(g, "use", "a", 0, 1) as process:
            self.assertEqual((process.wait(20), process.stdout.read()), (1, b""))
        with self.assertRaisesRegex(Refused, "Protocol error"):
            c.call("shared.use", "a", 0, 1)
        self.assertEqual(c.ask("ping"), "pong")
        self.assertEqual(g.status()["totals"]["failed"], 1)
        eventually(lambda: kinds_of_descriptors(g.pid) == descriptors)
        if not sanitized():
            self.assertLess(flat.grown(), MEGABYTE)
        c.ask("shared.unlink", "a")
        opened(g.socket, "a", "array", length=4)
        self.assertEqual(c.call("shared.use", "a", 0, 50)[0], 0)


if __name__ == "__main__":
    main()
