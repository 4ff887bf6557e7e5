# SPDX-License-Identifier: MIT
"""A client of the library whose daemon is killed and comes back."""
import collections
import errno
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from reconnecting import Program, kill, restart  # noqa: E402

PATIENCE = 30000
UNKNOWN_TASK, TASK_FAILED, CANCELLED = 6, 32, 35
N_KILLS = 20
WINDOW = 16


def runs(path):
    """What ran: a list of (name, the daemon's pid; of what outlived its daemon for a moment, another process')."""
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


class Reconnect(unittest.TestCase):
    def ends(self, program):
        """Of a load that has ended: how often each name was told, and what."""
        *lines, (last, r) = program.lines
        self.assertEqual((last, r), ("ended", "0"))
        return collections.Counter(name for name, _ in lines), collections.Counter(int(r) for _, r in lines)

    def under_load(self, again, n, *words):
        """What was told, and what ran, of a load during which the daemon goes n times."""
        with Gangerd() as g:
            self.daemons = [str(g.pid)]
            file = g.directory / "runs"
            with Program(g.socket, PATIENCE, "load", WINDOW, file, *words) as program:
                longest = 0
                for _ in range(n):
                    program.more(5)
                    began = time.monotonic()
                    again(g)
                    self.daemons.append(str(g.pid))
                    up = time.monotonic()
                    program.more(1)
                    longest = max(longest, time.monotonic() - up)
                    print(f"away {up - began:.3f} s, answered after {time.monotonic() - up:.3f} s", file=sys.stderr)
                self.assertEqual(program.end(), 0)
                told, results = self.ends(program)
            self.assertLess(longest, 20)
            return told, results, runs(file)

    def test_killed_under_load(self):
        """Only later answers: each call is told once, and has run at least once."""
        told, results, ran = self.under_load(restart, N_KILLS, "c", 1)
        self.assertEqual(set(told.values()), {1})
        self.assertEqual(set(results), {0}, results)
        names = collections.Counter(name for name, _ in ran)
        self.assertEqual(set(names), set(told))
        self.assertLessEqual(set(self.daemons), {pid for _, pid in ran})
        print(f"{len(told)} calls, {sum(n > 1 for n in names.values())} ran more than once", file=sys.stderr)

    def test_key_runs_once_a_daemon(self):
        """Two calls of one key, each sent again, are one task of the daemon that they come to."""
        told, results, ran = self.under_load(restart, N_KILLS, "k", 2)
        last = max(told, key=lambda name: int(name[1:]))
        told.pop(last)  # its second call may never have been started
        self.assertEqual(set(told.values()), {2})
        self.assertEqual(set(results), {0}, results)
        self.assertLessEqual(set(told), {name for name, _ in ran})
        self.assertEqual([pair for pair, n in collections.Counter(ran).items() if n > 1 and pair[1] in self.daemons], [])

    def test_stopped_under_load(self):
        """One that ends in peace tells those it had taken; whom it refuses waits for the next."""
        def again(gangerd):
            self.assertEqual(gangerd.stop(), 0)
            gangerd.start()
        told, results, ran = self.under_load(again, 5, "c", 1)
        self.assertEqual(set(told.values()), {1})
        self.assertLessEqual(set(results), {0, CANCELLED}, results)
        self.assertGreaterEqual(len({name for name, _ in ran}), results[0])

    def test_map(self):
        """Each item is told once, and has run at least once."""
        n = 600
        with Gangerd() as g:
            file = g.directory / "runs"
            with Program(g.socket, PATIENCE, "map", n, file) as program:
                for _ in range(8):
                    program.more(10)
                    restart(g)
                self.assertEqual(program.process.wait(60), 0)
                program.read()
                told, results = self.ends(program)
            self.assertEqual(told, collections.Counter(str(i) for i in range(n)))
            self.assertEqual(set(results), {0}, results)
            names = collections.Counter(name for name, _ in runs(file))
            self.assertEqual(set(names), set(told))
            print(f"{n} items, {sum(m > 1 for m in names.values())} ran more than once", file=sys.stderr)

    def test_without_it(self):
        """Everybody is told once that the connection is lost, and so is who starts another one."""
        with Gangerd() as g, Program(g.socket, 0, "load", WINDOW, g.directory / "runs", "c", 1) as program:
            program.more(5)
            restart(g)
            self.assertEqual(program.end(), 0)
            *lines, (_, last) = program.lines
            self.assertEqual(last, str(-errno.ECONNRESET))
            lost = [name for name, r in lines if int(r) == -errno.ECONNRESET]
            self.assertEqual(len(lost), WINDOW)
            self.assertEqual(set(collections.Counter(name for name, _ in lines).values()), {1})

    def test_never_back(self):
        """At the end of its patience it says so, and says it again."""
        with Gangerd() as g, Program(g.socket, 500, "talk") as program:
            self.assertEqual(program.ask("call true")[0], 0)
            kill(g)
            began = time.monotonic()
            self.assertEqual(program.ask("call true")[0], -errno.ETIMEDOUT)
            took = time.monotonic() - began
            print(f"told after {took:.3f} s of 0.5 s", file=sys.stderr)
            self.assertGreaterEqual(took, 0.45)
            self.assertLess(took, 5)
            self.assertEqual(program.ask("call true")[0], -errno.ETIMEDOUT)

    def test_deadline(self):
        """Whoever set a time is told when it is over; the handle waits on."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            _, id = program.ask("submit sleep 60")
            kill(g)
            began = time.monotonic()
            self.assertEqual(program.ask(f"result {id} 300")[0], -errno.ETIMEDOUT)
            self.assertLess(time.monotonic() - began, 3)
            g.start()
            self.assertEqual(program.ask("call echo back"), (0, "back"))

    def test_tasks_of_the_dead(self):
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            _, id = program.ask("submit sleep 60")
            program.tell(f"result {id} -1")
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            restart(g)
            r, text = program.next()
            self.assertEqual(r, UNKNOWN_TASK)
            self.assertIn("the gangerd that had it has ended", text)
            self.assertEqual(program.ask(f"wait {id}"), (0, "unknown"))

    def test_attempt(self):
        """The record and the failure say that it was sent again."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            gate = g.directory / "gate"
            program.tell(f"call while [ ! -e {gate} ]; do sleep 0.02; done; exit 3")
            for attempt in (1, 2, 3):
                with g.connect() as client:
                    record = eventually(lambda: next(iter(client.ask("tasks", {"state": "running"})), None))
                self.assertEqual(record["attempt"], attempt)
                if attempt < 3:
                    restart(g)
            gate.touch()
            r, text = program.next()
            self.assertEqual(r, TASK_FAILED)
            self.assertIn("attempt=3", text)

    def test_descriptor(self):
        """It goes along again."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            gate, file = g.directory / "gate", g.directory / "file"
            file.write_text("what is in it")
            program.tell(f"read {file} while [ ! -e {gate} ]; do sleep 0.02; done; cat")
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            file.unlink()
            restart(g)
            gate.touch()
            self.assertEqual(program.next(), (0, "what is in it"))

    def test_streamed(self):
        """What was given away in part is not begun anew unnoticed."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            self.assertEqual(program.ask("stream echo begun; sleep 60"), (0, "stdout"))
            restart(g)
            self.assertEqual(program.next()[0], -errno.ECONNRESET)
            self.assertEqual(program.ask("call echo on"), (0, "on"))

    def test_objects(self):
        """They died with their daemon, and are not taken for those of the next; all else goes on."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            self.assertEqual(program.ask("shared v")[0], 0)
            program.tell("ask event.wait e")
            with g.connect() as client:
                eventually(lambda: [True for o in client.ask("shared.list", {"kind": "event"}) if o["waiting"]])
            restart(g)
            self.assertEqual(program.next()[0], -errno.ESTALE)
            self.assertEqual(program.ask("shared v")[0], -errno.ESTALE)
            self.assertEqual(program.ask("ask queue.size q")[0], -errno.ESTALE)
            self.assertEqual(program.ask("call echo on"), (0, "on"))

    def test_held_lock(self):
        """Who held one does not go on without it."""
        with Gangerd() as g, Program(g.socket, PATIENCE, "talk") as program:
            self.assertEqual(program.ask("ask lock.acquire l")[0], 0)
            program.tell("call sleep 60")
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            restart(g)
            self.assertEqual(program.next()[0], -errno.ECONNRESET)
            self.assertEqual(program.ask("call true")[0], -errno.ECONNRESET)
            self.assertEqual(g.ganger("lock", "l", "--", "true").returncode, 0)


if __name__ == "__main__":
    main()
