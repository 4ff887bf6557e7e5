# SPDX-License-Identifier: MIT
"""The installed service under a real systemd when things go wrong, and when it is restarted, reloaded and stopped under load."""
import os
import signal
import subprocess
import time
import unittest

from machine import INSIDE, main

if INSIDE:
    from service import (BOUND, CONFIG, Client, Closed, Load, SOCKET, UNIT, Refused, answered_since, configure, eventually, figures, fresh, ganger,
                         journal, main_pid, prepare, processes, run, show, started, state, systemctl)
    from reconnecting import Program

KILLS = 20
RESTART_PAUSE = 0.1  # RestartSec of the unit
BACK = 0.5 + RESTART_PAUSE
RESTARTS = 10
MARGIN = 10  # a time fails only beyond so many times what is named
TOLD = {"answered", "cut off", "shutting_down", "cancelled", "worker_lost"}  # what may become of a call when gangerd goes
TWO = "[pool default]\nworkers = 2\n"
DYING = TWO + "modules = digest\n[pool ill]\nworkers = 1\nmodules = probe\n[module probe]\nstart_at = 999\n"


class Failures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        prepare()

    def tearDown(self):
        systemctl("stop", UNIT, "ganger.socket")
        self.assertEqual(processes(), [], "something is left in the cgroup")

    def told(self, seen, *more):
        """All that clients saw is what they may see."""
        self.assertEqual(set(seen) - TOLD - set(more), set(), figures(seen))
        self.assertGreater(seen["answered"], 0)

    # -- ends

    def test_killed_under_load(self):
        """SIGKILL, again and again: it is back, the unit stays, clients are told"""
        started(TWO)
        times = []
        with Load() as load:
            for _ in range(KILLS):
                pid = main_pid()
                began = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: not alive(pid))
                times.append(answered_since(began))
                self.assertNotIn(state(), ("failed", "inactive"))
                eventually(lambda: state() == "active")
                self.assertNotEqual(main_pid(), pid)
            seen = load.end()
        print(f"{KILLS} times SIGKILL: answers again after {spread(times)} (named: {BACK * 1e3:.0f}); {figures(seen)}")
        self.assertEqual(show("NRestarts"), str(KILLS))
        self.assertLess(max(times), BACK * MARGIN)
        self.told(seen)
        self.assertGreater(seen["cut off"], 0)

    def test_killed_under_clients_that_reconnect(self):
        """They are told nothing of it: each call gets its answer, only later"""
        started(TWO + "exec = yes\n")
        with Program(SOCKET, 30000, "load", 8, "/dev/null", "c", 1) as program:
            for _ in range(KILLS):
                program.more(5)
                pid = main_pid()
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: state() == "active" and main_pid() not in (0, pid))
            self.assertEqual(program.end(), 0)
            *told, (last, r) = program.lines
        print(f"{KILLS} times SIGKILL: {len(told)} calls of a client that reconnects, each answered")
        self.assertEqual((last, r), ("ended", "0"))
        self.assertEqual({result for _, result in told}, {"0"})

    def test_stopped_process(self):
        """SIGSTOP: its watchdog has it replaced"""
        started(TWO, "WatchdogSec=1")
        pid, began = main_pid(), time.monotonic()
        children = set(processes()) - {pid}
        os.kill(pid, signal.SIGSTOP)
        took = answered_since(began)
        self.assertNotEqual(main_pid(), pid)
        print(f"SIGSTOP with a watchdog of 1 s: answers again after {took:.1f} s")
        self.assertIn("watchdog", journal().lower())
        self.assertEqual(children & set(processes()), set())

    def test_watchdog_is_fed(self):
        """An idle gangerd, and one under load, live longer than the watchdog's time"""
        started(TWO, "WatchdogSec=1")
        pid = main_pid()
        first = show("WatchdogTimestampMonotonic")
        eventually(lambda: int(show("WatchdogTimestampMonotonic")) > int(first) + 2_000_000)
        with Load() as load:
            loaded = show("WatchdogTimestampMonotonic")
            eventually(lambda: int(show("WatchdogTimestampMonotonic")) > int(loaded) + 2_000_000)
            self.told(load.end())
        self.assertEqual((main_pid(), show("NRestarts")), (pid, "0"))

    # -- starts

    def test_bad_configuration(self):
        """A module that cannot be loaded: status 78, not tried again and again, callers are told; mended, the next call starts it"""
        for text, says in (("[pool default]\nmodules = no_such\n", "no_such"), ("[pool default]\nworkers = many\n", "workers"),
                           ("[pool default]\nmodules = bad_load\n", "the moon is not full")):
            fresh(text)
            self.assertNotEqual(systemctl("start", UNIT, check=False).returncode, 0)
            self.assertEqual((state(), show("ExecMainStatus")), ("failed", "78"))
            began = time.monotonic()
            refused = ganger("call", "echo", "1", user="ann", check=False)
            self.assertEqual(refused.returncode, 125)
            self.assertIn("connection", refused.stderr)
            self.assertLess(time.monotonic() - began, 5)
            eventually(lambda: state() == "failed")
            self.assertEqual((show("NRestarts"), state("ganger.socket")), ("0", "active"))
            starts = journal().count("Starting ganger.service")
            self.assertIn(says, journal())
            self.assertNotEqual(ganger("ping", user="ann", check=False).returncode, 0)
            eventually(lambda: state() == "failed")
            self.assertLessEqual(journal().count("Starting ganger.service") - starts, 3)
            print(f"{says}: {refused.stderr.strip()}")
        configure(TWO)
        self.assertEqual(ganger("call", "echo", "1", user="ann").stdout, "1\n")

    def test_workers_that_die_at_start(self):
        """Their pool is degraded, the others serve; ready after start_timeout, which the status says"""
        fresh("[daemon]\nstart_timeout = 2\n" + DYING, "TimeoutStartSec=1")  # gangerd says that it needs longer
        began = time.monotonic()
        systemctl("start", UNIT)
        took = time.monotonic() - began
        status = eventually(lambda: "degraded: ill" in show("StatusText") and show("StatusText"))
        print(f"ready after {took:.1f} s (start_timeout 2): {status}")
        self.assertTrue(2 <= took < 2 * MARGIN, took)
        self.assertIn("2 of 3 workers in 2 pools", status)
        self.assertIn("without a worker: ill", status)
        self.assertEqual(ganger("call", "echo", "1", user="ann").stdout, "1\n")
        configure(TWO)
        systemctl("reload", UNIT)
        eventually(lambda: show("StatusText").startswith("2 of 2 workers in 1 pool; "))

    def test_status_is_current(self):
        """The line follows what is so"""
        started(TWO)
        with Client(SOCKET) as client:
            ids = [client.submit("sleep", 60) for _ in range(5)]
            eventually(lambda: "tasks: 2 running, 3 waiting" in show("StatusText"))
            client.ask("pool.pause", "default")
            began = time.monotonic()
            eventually(lambda: "; paused: default" in show("StatusText"))
            print(f"STATUS= told of a paused pool after {time.monotonic() - began:.1f} s")
            client.ask("cancel", ids)
            client.ask("pool.resume", "default")
            eventually(lambda: show("StatusText") == "2 of 2 workers in 1 pool; tasks: 0 running, 0 waiting", BOUND)

    # -- restart, reload, stop

    def test_restarted_under_load(self):
        """The socket is systemd's: no connect fails"""
        started(TWO)
        times = []
        with Load() as load:
            for _ in range(RESTARTS):
                began = time.monotonic()
                systemctl("restart", UNIT)
                times.append(time.monotonic() - began)
                self.assertEqual(state(), "active")
            seen = load.end()
        print(f"{RESTARTS} restarts: {spread(times)} each; {figures(seen)}")
        self.told(seen)

    def test_reloaded_under_load(self):
        """Good and bad ones: exit statuses and what is in force; SIGHUP too; and no call fails"""
        started(TWO)
        with Load() as load:
            for n, good in enumerate((True, False, True, False)):
                configure(TWO + "timeout = 5\n" + f"[pool p{n}]\nworkers = 1\n" + ("" if good else "modules = no_such\n"))
                began = time.monotonic()
                done = systemctl("reload", UNIT, check=False)
                took = time.monotonic() - began
                self.assertEqual(done.returncode == 0, good, done.stderr)
                self.assertEqual(state(), "active")
                with Client(SOCKET) as client:
                    self.assertEqual(client.ask("hello", {})["pools"], ["default", f"p{n if good else n - 1}"])
                print(f"systemctl reload, {'good' if good else 'bad'}: status {done.returncode} after {took * 1e3:.0f} ms")
            self.assertIn("no_such", journal())
            pid = main_pid()
            configure(TWO + "[pool last]\nworkers = 1\n")
            os.kill(pid, signal.SIGHUP)
            with Client(SOCKET) as client:
                eventually(lambda: client.ask("hello", {})["pools"] == ["default", "last"])
            eventually(lambda: state() == "active")
            self.assertEqual((main_pid(), show("NRestarts")), (pid, "0"))
            seen = load.end()
        print(figures(seen))
        self.assertEqual(set(seen), {"answered"})

    def test_reload_waits_for_old_workers(self):
        """`systemctl reload` is over when none is left; until then the unit is reloading, and serves"""
        started("[pool default]\nworkers = 1\n")
        with Client(SOCKET) as client:
            task = client.submit("sleep", 60)
            eventually(lambda: client.ask("task", task)["state"] == "running")
            reload = subprocess.Popen(["systemctl", "reload", UNIT])
            eventually(lambda: state() == "reloading")
            self.assertIsNone(reload.poll())
            self.assertEqual(client.ask("ping"), "pong")
            client.ask("cancel", [task])
            self.assertEqual(reload.wait(BOUND), 0)
        self.assertEqual(state(), "active")

    def test_stopped_with_tasks(self):
        """What can end in time does, the rest is ended; every waiter is told; nothing is left"""
        for timeout, task in ((5, 1), (1, 60)):
            started(f"[daemon]\nstop_timeout = {timeout}\n[pool default]\nworkers = 2\nkill_grace = 1\nexec = yes\n")
            with Client(SOCKET) as client:
                calls = [client.start("call", "sleep", [task], {}), client.start("call", "exec", [["/bin/sh", "-c", f"trap '' TERM; sleep {task} & wait"]], {})]
                waits = [client.start("call", "echo", [n], {}) for n in range(50)]
                eventually(lambda: sum(p["running"] for p in client_status()) == 2)
                began = time.monotonic()
                systemctl("stop", UNIT)
                took = time.monotonic() - began
                ends = [code(client.outcome(call)) for call in calls + waits]
                with self.assertRaises(Closed):
                    client.receive()
            print(f"stop with tasks of {task} s and stop_timeout {timeout}: {took:.1f} s; " + ", ".join(f"{ends.count(end)} {end}" for end in sorted(set(ends))))
            self.assertEqual(len(ends), 52)
            self.assertEqual(set(ends[2:]), {"cancelled"})
            self.assertEqual(set(ends[:2]), {"succeeded"} if task < timeout else {"cancelled"})
            self.assertLess(took, (task if task < timeout else timeout + 1) + BOUND)
            self.assertEqual((state(), show("Result")), ("inactive", "success"))
            self.assertEqual(processes(), [])

    def test_stop_may_take_long(self):
        """Longer than the unit's own bound, if the configuration says so"""
        started("[daemon]\nstop_timeout = 60\n[pool default]\nworkers = 1\n", "TimeoutStopSec=2")
        with Client(SOCKET) as client:
            call = client.start("call", "sleep", [5], {})
            eventually(lambda: client_status()[0]["running"] == 1)
            stop = subprocess.Popen(["systemctl", "stop", UNIT], stderr=subprocess.DEVNULL)
            eventually(lambda: state() == "deactivating")
            eventually(lambda: "Stopping: tasks: 1 running" in show("StatusText"))
            self.assertIsNone(client.finish(call))
            self.assertEqual(stop.wait(BOUND), 0)
        self.assertEqual(show("Result"), "success")


def spread(times):
    times = sorted(round(time * 1e3) for time in times)
    return f"{times[0]}, {times[len(times) // 2]}, {times[-1]} ms (least, median, most)"


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def client_status():
    with Client(SOCKET) as client:
        return client.ask("status")["pools"]


def code(outcome):
    return "succeeded" if outcome[0] is None else outcome[0]["code"]


if __name__ == "__main__":
    main()
