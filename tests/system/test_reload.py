# SPDX-License-Identifier: MIT
"""A configuration that comes into force while the daemon works: whole or not at all, and nothing that was accepted is lost."""
import os
import select
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import (TEST_MODULES, ZYGOTE, Gangerd, children, configuration, eventually, kinds_of_descriptors, main, name_of,  # noqa: E402
                     sanitized, sums_hold)
from wire import Refused  # noqa: E402

RELOADS = 40 if sanitized() else 100
AHEAD = 120  # calls that the load keeps open
IN_FLIGHT = 50  # the least that the daemon must count whenever it reloads
GROWTH = 320 << 10  # bytes, with the heap in pieces that it is in; 60 to 200 KiB were seen, a configuration that stayed each time is more
PADDING = "[module nobody]\n" + "".join(f"key{n} = value\n" for n in range(100))


def in_flight(status):
    return sum(pool["running"] + pool["queued"]["ready"] for pool in status["pools"])


def zygotes(gangerd):
    return [pid for pid in children(gangerd.pid) if "zygote" in name_of(pid)]


def pool_of(status, name="default"):
    return next(pool for pool in status["pools"] if pool["name"] == name)


def workers_of(status, name="default"):
    return {worker["pid"] for worker in status["workers"] if worker["pool"] == name}


class Load:
    """Calls side by side, each answer held against what it must be."""

    def __init__(self, client):
        self.client = client
        self.expected = {}
        self.n = 0

    def top_up(self):
        while len(self.expected) < AHEAD:
            self.n += 1
            function, args, answer = [("sleep", [0.01], None), ("echo", [self.n], self.n),
                                      ("digest.sha256", [b"abc"], "ba7816bf")][self.n % 3]
            self.expected[self.client.start("call", function, args, {})] = answer

    def go_on(self):
        self.take()
        self.top_up()

    def take(self, wait=False):
        """The answers that are there; or all."""
        while self.expected:
            while self.client.order:
                msgid = self.client.order.pop()
                error, result = self.client.answers.pop(msgid)
                self.client.streams.pop(msgid, None)
                assert error is None, error
                wanted = self.expected.pop(msgid)
                assert result == wanted or (isinstance(wanted, str) and result.startswith(wanted)), (result, wanted)
            if not wait and not select.select([self.client.socket], [], [], 0)[0]:
                return
            if self.expected:
                self.client.receive()


class Reload(unittest.TestCase):
    def write(self, g, daemon=None, pool=None, more="", text=None):
        g.config.write_text(text if text is not None else configuration(daemon, pool, more), encoding="utf-8")

    def refused(self, client, code, *says):
        """A reload that changes nothing; the error."""
        error, result = client.outcome(client.start("reload", {"wait": True}))
        self.assertIsNone(result, "it was put in force")
        self.assertEqual(error["code"], code, error)
        for text in says:
            self.assertIn(text, error["message"])
        return error

    def slow_zygote(self, g, seconds, name="slow"):
        """A zygote that takes so long until it says hello."""
        path = g.directory / name
        path.write_text(f"#!{sys.executable}\nimport os, sys, time\ntime.sleep({seconds})\nos.execv('{ZYGOTE}', ['ganger-zygote', sys.argv[1]])\n",
                        encoding="ascii")
        path.chmod(0o755)
        return path

    def test_under_load_a_hundred_times(self):
        """By the method, with and without waiting, by SIGHUP, of the pool alone; no call fails."""
        least, times = 10**9, []
        with Gangerd(pool={"workers": 4}) as g, g.connect() as client, g.connect() as admin:
            load = Load(client)
            for n in range(RELOADS):
                now = eventually(lambda: load.go_on() or (n := in_flight(admin.ask("status"))) >= IN_FLIGHT and n)
                began = time.monotonic()
                if n % 4 == 0:
                    admin.ask("reload", {"wait": True})
                elif n % 4 == 1:
                    admin.ask("reload")
                elif n % 4 == 2:
                    admin.ask("pool.reload", "default")
                else:
                    done = g.log().count("a new configuration is in force")
                    os.kill(g.pid, signal.SIGHUP)
                    eventually(lambda: g.log().count("a new configuration is in force") > done)
                times.append(time.monotonic() - began)
                least = min(least, now)
            load.take(wait=True)
            status = g.all_idle()
            self.assertGreaterEqual(least, IN_FLIGHT)
            self.assertEqual((status["totals"]["failed"], status["totals"]["cancelled"]), (0, 0))
            self.assertEqual(status["totals"]["succeeded"], load.n)
            self.assertTrue(sums_hold(status))
            self.assertFalse(pool_of(status)["degraded"])
            self.assertEqual(status["totals"]["workers_lost"], 0)
            times.sort()
            print(f"{RELOADS} reloads with at least {least} calls in flight at each, {load.n} calls, none failed; a reload took "
                  f"p50 {times[len(times) // 2] * 1e3:.0f} ms, max {times[-1] * 1e3:.0f} ms; "
                  f"{status['totals']['workers_started']} workers were started")

    def test_nothing_is_left(self):
        """Descriptors, processes, memory: after a hundred reloads, and after as many that are refused."""
        good, bad = configuration(more=PADDING), configuration(pool={"modules": "digest bad_load"}, more=PADDING)
        with Gangerd(text=good) as g, g.connect() as client:
            def round_(n):
                for i in range(n):
                    client.ask("reload", {"wait": True})
                    self.write(g, text=bad if i % 2 else "[pool x]\nnone = 1\n")
                    self.refused(client, "invalid_params")
                    self.write(g, text=good)
                eventually(lambda: len(children(g.pid)) == 3)
                g.all_idle()
                eventually(lambda: client.ask("status")["connections"] == 1)
                return kinds_of_descriptors(g.pid), g.rss()
            fds, level = round_(20)
            fds_after, level_after = round_(RELOADS)
            self.assertEqual(fds_after, fds)
            print(f"the daemon's memory: {level >> 10} KiB before, {level_after >> 10} KiB after {RELOADS} reloads and {RELOADS} refused ones")
            if not sanitized():
                self.assertLess(level_after - level, GROWTH)
            self.assertEqual(len(zygotes(g)), 1)

    def test_bad_configurations_change_nothing(self):
        """Each kind: the error says what and where, is logged, and all is as it was."""
        path = f"[daemon]\nmodule_path = {TEST_MODULES}\n"
        kinds = [
            ("[daemon]\nmax_messages = 5\n", ":2:", "max_messages"),
            ("[pool default]\nworkers = 2\n\nworkers = many\n", ":4:", "workers"),
            ("[pool default]\nworkers = 0\n", ":2:", "workers"),
            ("[pol default]\n", ":1:", "[pol default]"),
            ("workers = 2\n", ":1:", "section"),
            ("[daemon]\nlog_level = loud\n", ":2:", "log_level"),
            ("[daemon]\nadmin_group = nobody-has-such-a-group\n", ":2:", "admin_group"),
            ("[pool default]\n[pool default two]\n", ":2:", "NAME"),
            ("[daemon]\nmax_message = 64M\nuser_memory = 1M\n", "", "user_memory"),
            ("[daemon]\nuser_descriptors = 1048576\nmax_connections = 1048576\n", "", "max_connections"),
            ("[daemon]\nsocket = /run/elsewhere\n", "restart", "socket = /run/elsewhere"),
            ("[daemon]\nsocket_mode = 0660\n", "restart", "socket_mode = 0660"),
            ("[daemon]\nsocket_group = daemon\n", "restart", "socket_group"),
            ("[daemon]\nhistory = 5\n", "restart", "history"),
            ("[pool default]\nmodules = no_such_module\n", "[pool default]", "no_such_module"),
            (path + "[pool default]\nmodules = bad_load\n", "[pool default]", "the moon is not full"),
            (path + "[pool default]\n[pool other]\nmodules = bad_thread\n", "[pool other]", "bad_thread"),
            (path + "[pool default]\nmodules = probe\n[module probe]\nstart_from = 5\n", "[pool default]", "start_from"),
            ("[pool default]\nzygote = /no/such/program\n", "[pool default]", "/no/such/program"),
            ("[pool default]\nzygote = /bin/true\n", "[pool default]", "ended before"),
            ("[pool default]\ndirectory = /no/such/directory\n", "[pool default]", "/no/such/directory"),
            ("[pool default]\n\0\n", "0 byte", "ganger.conf"),
        ]
        with Gangerd(pool={"timeout": 77}) as g, g.connect() as client:
            before = g.all_idle()
            served_by = zygotes(g)
            functions = client.ask("functions")
            for text, *says in kinds:
                self.write(g, text=text)
                error = self.refused(client, "invalid_params", *says)
                if says[0].startswith(":"):
                    self.assertEqual((error["file"], error["line"]), (str(g.config), int(says[0].strip(":"))))
                self.assertIn("nothing was reloaded", g.log().splitlines()[-1])
            os.unlink(g.config)
            self.refused(client, "invalid_params", "ganger.conf", "No such file")
            eventually(lambda: len(children(g.pid)) == 3)
            after = client.ask("status")
            self.assertEqual(zygotes(g), served_by)
            self.assertEqual(workers_of(after), workers_of(before))
            self.assertEqual([pool["workers"] for pool in after["pools"]], [pool["workers"] for pool in before["pools"]])
            self.assertEqual(client.ask("functions"), functions)
            id = client.submit("echo", 1)
            self.assertEqual(client.ask("task", id)["timeout"], 77.0)
            self.assertEqual(g.ganger("reload").returncode, 1)
            done = g.ganger("reload", "--wait")
            self.assertIn(b"No such file", done.stderr)
            self.write(g, pool={"timeout": 78})
            self.assertEqual(g.ganger("reload", "--wait").stdout, b"default\n")
            self.assertEqual(client.ask("task", client.submit("echo", 1))["timeout"], 78.0)

    def test_wait_of_the_command_line_is_bounded(self):
        """--timeout: exit status 124 at its time, and the reload goes on; what is in force in time is as without"""
        with Gangerd() as g, g.connect() as client:
            running = client.submit("sleep", 60)
            eventually(lambda: client.ask("task", running)["state"] == "running")
            for verb in (["reload"], ["pool", "reload", "default"]):
                began = time.monotonic()
                late = g.ganger(*verb, "--wait", "--timeout", "300ms")
                self.assertEqual(late.returncode, 124, late)
                self.assertGreaterEqual(time.monotonic() - began, 0.3)
                self.assertIn(b"goes on", late.stderr)
                self.assertEqual(client.ask("task", running)["state"], "running")
            self.assertEqual(g.ganger("reload", "-t", "20").stdout, b"default\n")
            self.assertEqual(g.ganger("reload", "-w", "-t", "soon").returncode, 2)
            client.ask("cancel", running)
            self.assertEqual(g.ganger("reload", "-w", "-t", "20s").stdout, b"default\n")

    def test_what_can_change(self):
        """Workers, limits, environment, settings, who may, the log; new pools and their order"""
        more = "[pool second]\nworkers = 1\nenv = COLOUR=red\ndirectory = /tmp\nnice = 5\n[module probe]\nstart_at = 40\n"
        with Gangerd(pool={"modules": "probe"}) as g, g.connect() as client:
            first = client.call("probe.state")
            self.write(g, {"user_tasks": 7, "log_level": "debug"}, {"modules": "probe", "workers": 3, "queue_limit": 5}, more)
            self.assertEqual(client.ask("reload", {"wait": True}), {"pools": ["default", "second"]})
            status = g.all_idle()
            self.assertEqual([(p["name"], p["workers"]["target"]) for p in status["pools"]], [("default", 3), ("second", 1)])
            self.assertEqual((first, client.call("probe.state")), (1, 41))
            told = client.call("exec", ["sh", "-c", "echo $COLOUR $PWD $(nice)"], pool="second")["stdout"]
            self.assertEqual(told, b"red /tmp 5\n")
            self.assertEqual(client.ask("log_level"), "debug")
            with self.assertRaises(Refused) as full:
                for _ in range(8):
                    client.submit("echo", 1, pool="second", delay=60)
            self.assertEqual(full.exception.error["what"], "user_tasks")
            client.ask("cancel", [task["id"] for task in client.ask("tasks", {"state": "delayed"})])
            self.write(g, more="[pool third]\nworkers = 1\n")
            self.assertEqual(client.ask("reload", {"wait": True}), {"pools": ["default", "third"]})
            self.assertEqual(client.ask("hello", {})["pools"], ["default", "third"])
            self.assertEqual(client.ask("log_level"), "info")
            self.assertEqual(client.call("echo", 3, pool="third"), 3)

    def test_settings_for_no_module(self):
        more, said = "[module nosuch]\n", '[module nosuch] is for no pool: none has "nosuch" in its modules'
        with Gangerd(more=more) as g, g.connect() as client:
            self.assertEqual(g.log().count(said), 1)
            self.write(g)
            client.ask("reload", {"wait": True})
            self.assertEqual(g.log().count(said), 1)
            self.write(g, more=more)
            client.ask("reload", {"wait": True})
            self.assertEqual(g.log().count(said), 2)

    def test_a_pool_that_is_gone(self):
        """Not while it has tasks; then its records stay, and it may come again"""
        with Gangerd(more="[pool side]\nworkers = 1\n") as g, g.connect() as client:
            ran = client.submit("echo", 1, pool="side")
            client.ask("wait", [ran], {})
            ids = [client.submit("echo", n, pool="side", delay=60) for n in range(3)]
            running = client.start("call", "sleep", [0.2], {"pool": "side"})
            eventually(lambda: pool_of(g.status(), "side")["running"] == 1)
            client.ask("pool.pause", "side")
            before = g.status()
            self.write(g)
            self.refused(client, "not_ready", "side", "unfinished task")
            client.finish(running)
            self.refused(client, "not_ready", "side", "3 unfinished tasks")
            self.assertEqual(workers_of(client.ask("status"), "side"), workers_of(before, "side"))
            client.ask("cancel", ids)
            self.assertEqual(client.ask("reload", {"wait": True}), {"pools": ["default"]})
            status = g.all_idle()
            self.assertEqual({worker["pool"] for worker in status["workers"]}, {"default"})
            eventually(lambda: len(children(g.pid)) == 3)  # its zygote goes, too
            self.assertTrue(sums_hold(status), status)
            for method, *params in (("call", "echo", [1], {"pool": "side"}), ("pool.resume", "side"), ("pool.reload", "side")):
                self.assertEqual(client.outcome(client.start(method, *params))[0]["code"], "unknown_pool")
            record = client.ask("task", ran)
            self.assertEqual((record["pool"], record["function"], record["state"]), ("side", "echo", "succeeded"))
            self.assertEqual(client.ask("result", ran), 1)
            self.write(g, more="[pool side]\nworkers = 2\n")
            self.assertEqual(client.ask("reload", {"wait": True}), {"pools": ["default", "side"]})
            side = pool_of(g.all_idle(), "side")
            self.assertEqual((side["workers"]["target"], side["paused"], side["totals"]["submitted"]), (2, False, 5))
            self.assertEqual(client.call("echo", 2, pool="side"), 2)

    def test_functions_come_and_go(self):
        """Numbers are each zygote's own: workers from before and after run what is meant, in any order of modules"""
        with Gangerd(pool={"workers": 2, "modules": "digest text"}) as g, g.connect() as client, g.connect() as other:
            sha = client.call("digest.sha256", b"abc")
            old = client.start("call", "sleep", [0.6], {})
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            self.write(g, pool={"workers": 2, "modules": "probe text digest"})
            other.ask("reload")
            for _ in range(20):  # by the worker from before as long as it is the only one, then by new ones
                self.assertEqual(other.call("digest.sha256", b"abc"), sha)
                self.assertEqual(other.call("probe.big", 3), b"xxx")
            client.finish(old)
            waiting = client.submit("probe.big", 3, delay=60)
            self.write(g, pool={"workers": 2, "modules": "digest"})
            error = self.refused(other, "not_ready", "probe.big", "1 unfinished task")
            self.assertNotIn("tasks", error["message"])
            self.assertEqual(other.call("probe.big", 3), b"xxx")
            client.ask("cancel", waiting)
            other.ask("reload", {"wait": True})
            self.assertEqual(other.outcome(other.start("call", "probe.big", [], {}))[0]["code"], "unknown_function")
            self.assertNotIn("probe.big", [function["name"] for function in other.ask("functions")])
            self.assertEqual(client.ask("task", waiting)["function"], "probe.big")
            self.assertEqual(other.call("digest.sha256", b"abc"), sha)
            self.write(g, pool={"workers": 2, "modules": "text probe digest"})
            other.ask("reload")
            for _ in range(20):
                self.assertEqual(other.call("probe.big", 3), b"xxx")
                self.assertEqual(other.call("digest.sha256", b"abc"), sha)
            g.all_idle()

    def test_exec_is_taken_away(self):
        with Gangerd() as g, g.connect() as client:
            running = client.start("call", "exec", [["sh", "-c", "sleep 0.5; echo done"]], {})
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            self.write(g, pool={"exec": "no"})
            self.refused(client, "not_ready", "exec", "1 unfinished task")
            self.assertEqual(client.finish(running)["stdout"], b"done\n")
            client.ask("reload", {"wait": True})
            self.assertEqual(client.outcome(client.start("call", "exec", [["true"]], {}))[0]["code"], "unknown_function")

    def test_signal(self):
        with Gangerd() as g, g.connect() as client:
            before = workers_of(g.all_idle())
            self.write(g, pool={"workers": 3})
            os.kill(g.pid, signal.SIGHUP)
            eventually(lambda: pool_of(client.ask("status"))["workers"]["idle"] == 3)
            eventually(lambda: not before & workers_of(client.ask("status")))
            self.write(g, text="[pool default]\nworker = 3\n")
            os.kill(g.pid, signal.SIGHUP)
            eventually(lambda: "nothing was reloaded" in g.log())
            self.assertIn("ganger.conf:2: unknown key 'worker'", g.log())
            self.assertEqual(pool_of(client.ask("status"))["workers"]["target"], 3)

    def test_signal_while_one_is_on_its_way(self):
        """It is followed by another reading, of what the file says then"""
        with Gangerd() as g, g.connect() as client:
            self.write(g, pool={"workers": 3, "zygote": self.slow_zygote(g, 0.5)})
            first = client.start("reload")
            client.ask("ping")
            self.write(g, pool={"workers": 1})
            os.kill(g.pid, signal.SIGHUP)
            self.assertEqual(client.finish(first), {"pools": ["default"]})
            eventually(lambda: g.log().count("a new configuration is in force") == 2)
            self.assertEqual(pool_of(g.all_idle())["workers"]["target"], 1)

    def test_the_loop_goes_on(self):
        """While modules load, everything is served as ever; another reload is refused"""
        with Gangerd() as g, g.connect() as client, g.connect() as admin:
            self.write(g, pool={"zygote": self.slow_zygote(g, 1)})
            reload = admin.start("reload", {"wait": True})
            admin.ask("ping")
            most, end = 0, time.monotonic() + 0.5
            while time.monotonic() < end:
                began = time.monotonic()
                self.assertEqual(client.call("echo", 1), 1)
                most = max(most, time.monotonic() - began)
            self.assertNotIn(reload, admin.answers)
            self.assertEqual(client.outcome(client.start("pool.reload", "default"))[0]["code"], "not_ready")
            self.assertEqual(admin.finish(reload), {"pools": ["default"]})
            print(f"the longest call while modules loaded: {most * 1e3:.1f} ms")
            self.assertLess(most, 0.5)

    def test_a_zygote_that_does_not_come(self):
        with Gangerd({"start_timeout": "500 ms"}) as g, g.connect() as client:
            self.write(g, {"start_timeout": "500 ms"}, more=f"[pool late]\nworkers = 1\nzygote = {self.slow_zygote(g, 60)}\n")
            began = time.monotonic()
            self.refused(client, "invalid_params", "[pool late]", "start_timeout")
            self.assertLess(time.monotonic() - began, 5)
            eventually(lambda: len(children(g.pid)) == 3)
            self.assertEqual(client.call("echo", 1), 1)

    def test_a_zygote_is_killed_meanwhile(self):
        """A new one: nothing changes. The one that serves: it makes no difference"""
        with Gangerd() as g, g.connect() as client, g.connect() as admin:
            g.all_idle()
            serving = zygotes(g)
            slow = configuration(more=f"[pool slow]\nworkers = 1\nzygote = {self.slow_zygote(g, 1)}\n")
            for victims in ("new", "serving"):
                self.write(g, text=slow)
                reload = admin.start("reload", {"wait": True})
                new = eventually(lambda: [pid for pid in children(g.pid) if "zygote" in name_of(pid) and pid not in serving])
                os.kill((new if victims == "new" else serving)[0], signal.SIGKILL)
                self.assertEqual([client.call("echo", n) for n in range(20)], list(range(20)))
                error, result = admin.outcome(reload)
                if victims == "new":
                    self.assertEqual(error["code"], "invalid_params", error)
                    self.assertIn("ended before", error["message"])
                    eventually(lambda: len(children(g.pid)) == 3)
                    self.assertEqual(zygotes(g), serving)
                else:
                    self.assertEqual(result, {"pools": ["default", "slow"]}, error)
            status = g.all_idle()
            self.assertEqual(status["totals"]["failed"], 0)
            eventually(lambda: len(children(g.pid)) == 5)

    def test_stopping(self):
        """A stop ends a reload that is on its way; afterwards there is none"""
        with Gangerd({"stop_timeout": 20}) as g, g.connect() as client, g.connect() as admin:
            running = client.start("call", "sleep", [0.7], {})
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            self.write(g, pool={"zygote": self.slow_zygote(g, 30)})
            reload = admin.start("reload")
            admin.ask("ping")
            g.process.terminate()
            error, _ = admin.outcome(reload)
            self.assertEqual(error["code"], "shutting_down", error)
            for method in (["reload"], ["pool.reload", "default"]):
                self.assertEqual(admin.outcome(admin.start(*method))[0]["code"], "shutting_down")
            os.kill(g.pid, signal.SIGHUP)
            self.assertIsNone(client.finish(running))
            self.assertEqual(g.process.wait(10), 0)

    def test_what_systemd_is_told(self):
        """RELOADING=1 with the time, and READY=1 after it, also if it failed"""
        with Gangerd() as g, g.connect() as client, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(g.directory / "notify"))
            notify.settimeout(5)

            def told():
                words = []
                while "READY=1" not in words:
                    words += [line for line in notify.recv(4096).decode().splitlines() if not line.startswith("STATUS=")]
                return words
            for text in (configuration(pool={"workers": 3}), "[none]\n"):
                self.write(g, text=text)
                began = time.clock_gettime(time.CLOCK_MONOTONIC)
                client.outcome(client.start("reload"))
                words = told()
                self.assertEqual((words[0], words.count("READY=1"), words.count("RELOADING=1")), ("RELOADING=1", 1, 1), words)
                at = int(words[1].removeprefix("MONOTONIC_USEC=")) / 1e6
                self.assertTrue(began - 0.001 <= at <= time.clock_gettime(time.CLOCK_MONOTONIC), words)


if __name__ == "__main__":
    main()
