# SPDX-License-Identifier: MIT
"""Watching the daemon: percentiles of status, events with their numbers, metrics as Prometheus reads them."""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Gangerd, children, environment, eventually, main, sanitized  # noqa: E402
from users import ANN, BOB, DAEMON, connect_as, needs_root, open_to_all  # noqa: E402
from wire import Refused  # noqa: E402

KEPT = 4096


def subscribe(client, *kinds, **options):
    """The request's number, when it is told what happens."""
    msgid = client.start("subscribe", list(kinds), options)
    client.until(lambda: client.streams[msgid])
    (kind, first), = client.streams[msgid][:1]
    assert kind == "event" and first["kind"] == "subscribed", first
    return msgid


def events(client, msgid):
    """All that came but the mark of the beginning."""
    return client.streamed(msgid, "event")[1:]


def await_event(client, msgid, kind):
    client.until(lambda: any(event["kind"] == kind for event in events(client, msgid)))
    return next(event for event in events(client, msgid) if event["kind"] == kind)


class Status(unittest.TestCase):
    def test_percentiles_of_what_ran_and_waited(self):
        with Gangerd(pool={"workers": 1}) as g, g.connect() as client:
            self.assertEqual(client.ask("status")["functions"], [])
            for seconds in [0.002] * 9 + [0.2]:
                client.call("sleep", seconds)
            first = client.submit("sleep", 0.3)
            second = client.submit("sleep", 0)
            client.ask("wait", [first, second])
            client.ask("map", "echo", [[i] for i in range(100)], {})
            functions = {function["name"]: function for function in client.ask("status")["functions"]}
            self.assertEqual(set(functions), {"sleep", "echo"})
            sleep, echo = functions["sleep"], functions["echo"]
            self.assertEqual([sleep["pool"], sleep["run"]["count"], sleep["wait"]["count"]], ["default", 12, 12])
            self.assertTrue(0.002 * 0.98 <= sleep["run"]["p50"] <= 0.02, sleep)
            self.assertTrue(0.3 <= sleep["run"]["max"] <= 3, sleep)
            self.assertTrue(0.29 <= sleep["wait"]["max"] <= 3, sleep)  # behind the one that slept
            self.assertLess(sleep["wait"]["p50"], 0.02, sleep)
            self.assertEqual([echo["run"]["count"], echo["wait"]["count"]], [100, 1])
            for times in (sleep["run"], sleep["wait"], echo["run"]):
                self.assertTrue(times["p50"] <= times["p90"] <= times["p99"] <= times["max"] and times["mean"] <= times["max"], times)

    def test_what_was_killed_counts_with_its_time(self):
        with Gangerd(pool={"kill_grace": "0.1"}) as g, g.connect() as client:
            with self.assertRaises(Refused):
                client.call("sleep", 60, timeout=0.2)
            run = client.ask("status")["functions"][0]["run"]
            self.assertEqual(run["count"], 1)
            self.assertTrue(0.19 <= run["max"] <= 2, run)


class Events(unittest.TestCase):
    def test_what_happens_is_told(self):
        with Gangerd(daemon={"log_level": "error"}) as g, g.connect() as client, g.connect() as other:
            g.all_idle()  # both workers have started
            msgid = subscribe(client)
            self.assertEqual(other.call("echo", 1), 1)
            done = await_event(client, msgid, "task_succeeded")
            self.assertEqual([done["pool"], done["function"], done["uid"], done["code"]], ["default", "echo", os.getuid(), None])
            self.assertGreater(done["run_time"], 0)
            with self.assertRaises(Refused):
                other.call("exec", ["sh", "-c", "kill -9 $PPID"])
            lost = await_event(client, msgid, "worker_lost")
            failed = await_event(client, msgid, "task_failed")
            self.assertEqual(failed["code"], "worker_lost")
            self.assertEqual([lost["task"], lost["worker_pid"]], [failed["task"], failed["worker_pid"]])
            started = await_event(client, msgid, "worker_started")
            self.assertNotEqual(started["worker_pid"], lost["worker_pid"])
            waiting = other.submit("echo", 1, delay=60)
            other.ask("cancel", waiting)
            self.assertEqual(await_event(client, msgid, "task_cancelled")["task"], waiting)
            for method, kind in [("pool.pause", "pool_paused"), ("pool.resume", "pool_resumed"), ("pool.reload", "reloaded")]:
                other.ask(method, "default")
                self.assertEqual(await_event(client, msgid, kind)["pool"], "default")
            other.ask("pool.scale", "default", 3)
            await_event(client, msgid, "pool_scaled")
            g.text = g.text.replace("[pool default]", "[pool default]\nworkers = none")
            g.config.write_text(g.text, encoding="utf-8")
            with self.assertRaises(Refused):
                other.ask("reload")
            self.assertIsNone(await_event(client, msgid, "reload_failed")["pool"])
            numbers = [event["seq"] for event in events(client, msgid)]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
            self.assertEqual(numbers[0], client.streamed(msgid, "event")[0]["seq"] + 1)

    def test_kinds_and_the_end(self):
        with Gangerd() as g, g.connect() as client, g.connect() as other:
            only = subscribe(client, "task_cancelled", "stopping")
            every = subscribe(client)
            other.call("echo", 1)
            other.ask("cancel", other.submit("echo", 1, delay=60))
            await_event(client, every, "task_cancelled")
            await_event(client, only, "task_cancelled")
            self.assertEqual([event["kind"] for event in events(client, only)], ["task_cancelled"])
            self.assertTrue(client.ask("cancel_request", every))
            self.assertEqual(client.outcome(every)[0]["code"], "cancelled")
            with self.assertRaises(Refused) as refused:
                client.ask("subscribe", ["task_begun"])
            self.assertEqual(refused.exception.code, "invalid_params")
            self.assertIn("task_begun", refused.exception.error["message"])
            g.process.terminate()
            self.assertIsNone(client.finish(only))
            self.assertEqual(events(client, only)[-1]["kind"], "stopping")

    def test_who_comes_back_misses_nothing_that_is_kept(self):
        with Gangerd() as g, g.connect() as other:
            g.all_idle()
            with g.connect() as client:
                msgid = subscribe(client, "task_succeeded")
                other.call("echo", 1)
                last = await_event(client, msgid, "task_succeeded")["seq"]
            missed = [other.submit("echo", i) for i in range(50)]
            other.ask("wait", missed)
            with g.connect() as client:
                msgid = subscribe(client, "task_succeeded", after=last)
                client.until(lambda: len(events(client, msgid)) == 50)
                told = events(client, msgid)
                self.assertEqual(sorted(event["task"] for event in told), missed)
                self.assertEqual([event["seq"] for event in told], list(range(last + 1, last + 51)))
            more = 3 * KEPT
            tasks = [other.start("call", "echo", [i], {}) for i in range(more)]
            for task in tasks:
                other.finish(task)
            with g.connect() as client:
                msgid = subscribe(client, "task_succeeded", after=last)
                client.until(lambda: len(events(client, msgid)) == KEPT + 1)
                lost, *told = events(client, msgid)
                self.assertEqual([lost["kind"], lost["seq"], lost["n"]], ["lost", told[0]["seq"] - 1, told[0]["seq"] - 1 - last])
                self.assertEqual(told[-1]["seq"], last + 50 + more)
            with g.connect() as client:  # what it knows is of a daemon before
                msgid = subscribe(client, "pool_paused", after=5)
                self.assertIsNone(await_event(client, msgid, "lost")["n"])

    def test_a_slow_reader_is_told_what_it_missed(self):
        with Gangerd(daemon={"output_limit": "64K"}) as g, g.connect() as client, g.connect() as other:
            g.all_idle()  # no worker's start comes between
            msgid = subscribe(client, "task_succeeded")
            before = g.rss()
            n = 5 * KEPT
            for begin in range(0, n, 1024):
                tasks = [other.start("call", "echo", [i], {}) for i in range(1024)]
                for task in tasks:
                    other.finish(task)
            if not sanitized():
                self.assertLess(g.rss() - before, 8 << 20)
            newest = client.streamed(msgid, "event")[0]["seq"] + n
            client.until(lambda: client.streamed(msgid, "event")[-1]["seq"] == newest, 30)
            lost = [event for event in events(client, msgid) if event["kind"] == "lost"]
            told = [event for event in events(client, msgid) if event["kind"] != "lost"]
            self.assertTrue(lost)
            self.assertEqual(len(told) + sum(event["n"] for event in lost), n)
            self.assertEqual([event["seq"] for event in events(client, msgid)], sorted(event["seq"] for event in events(client, msgid)))

    @needs_root
    def test_tasks_are_told_to_their_own_user_and_to_admins(self):
        with Gangerd(uid=DAEMON, daemon={"socket_mode": "0666"}, pool={"exec": "yes"}) as g:
            open_to_all(g)
            with connect_as(g, ANN) as ann, connect_as(g, BOB) as bob, g.connect() as root:
                told = [(client, subscribe(client)) for client in (ann, bob, root)]
                task = ann.submit("exec", ["/bin/sleep", "60"])
                worker = eventually(lambda: ann.ask("task", task)["worker_pid"])
                eventually(lambda: children(worker))  # it has begun, or its loss would be none of the task's
                os.kill(worker, signal.SIGKILL)
                lost = [await_event(client, msgid, "worker_lost") for client, msgid in told]
                self.assertEqual([event["worker_pid"] for event in lost], [worker] * 3)
                self.assertEqual([event["task"] for event in lost], [task, None, task])
                self.assertEqual([event["uid"] for event in lost], [ANN, None, ANN])
                for client, msgid in (told[0], told[2]):
                    await_event(client, msgid, "task_failed")
                bob.ask("ping")  # what he was to be told has come before
                kinds = [[event["kind"] for event in events(client, msgid)].count("task_failed") for client, msgid in told]
                self.assertEqual(kinds, [1, 0, 1])

    def test_the_command_line(self):
        with Gangerd() as g, g.connect() as client:
            command = [CLI, "--socket", g.socket, "--json", "events", "-n", "2", "task_succeeded"]
            with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as watching:
                self.assertEqual(json.loads(watching.stdout.readline())["kind"], "subscribed")
                client.call("echo", 1)
                client.call("echo", 2)
                told = [json.loads(line) for line in watching.stdout]
                self.assertEqual(watching.wait(10), 0)
            self.assertEqual([event["kind"] for event in told], ["task_succeeded"] * 2)
            again = g.ganger("events", "--after", str(told[0]["seq"] - 1), "-n", "2", "task_succeeded")
            self.assertEqual([again.returncode, again.stdout.count(b"task_succeeded"), again.stdout.count(b"\n")], [0, 2, 2])
            wrong = g.ganger("events", "tasks")
            self.assertEqual([wrong.returncode, b"'tasks'" in wrong.stderr], [2, True])


class Metrics(unittest.TestCase):
    def test_prometheus_takes_them(self):
        with Gangerd() as g, g.connect() as client:
            client.call("echo", 1)
            with self.assertRaises(Refused):
                client.call("sleep", "long")
            text = client.ask("metrics")
            self.assertEqual(g.ganger("metrics").stdout.decode().split("ganger_resident")[0], text.split("ganger_resident")[0])
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            self.assertEqual(lines['ganger_tasks_submitted_total{pool="default"}'], "2")
            self.assertEqual(lines['ganger_tasks_ended_total{pool="default",end="failed"}'], "1")
            self.assertEqual(lines['ganger_task_run_seconds_count{pool="default",function="echo"}'], "1")
            self.assertGreater(float(lines['ganger_task_run_seconds{pool="default",function="echo",quantile="0.99"}']), 0)
            names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
            self.assertEqual(len(names), len(set(names)))
            self.check(text)

    def check(self, text):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool (Debian: prometheus) is not installed")
        checked = subprocess.run([promtool, "check", "metrics"], input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual([checked.returncode, checked.stdout], [0, b""])


if __name__ == "__main__":
    main()
