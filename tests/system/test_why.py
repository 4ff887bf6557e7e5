# SPDX-License-Identifier: MIT
"""ganger why: one sentence for every end. A crash leaves its backtrace in the failure record, and the signal still kills."""
import json
import os
import re
import shutil
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main  # noqa: E402

POOL = {"modules": "stray", "kill_grace": "0.2"}
FRAME = r"  /\S*stray\.so\+0x[0-9a-f]+"


class Why(unittest.TestCase):
    def ended(self, client, function, *args, **options):
        id = client.submit(function, *args, **options)
        client.ask("wait", [id], {})
        return id

    def why(self, g, id):
        done = g.ganger("why", str(id))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def says(self, g, id, pattern):
        first = self.why(g, id).splitlines()[0]
        print(first)
        self.assertRegex(first, rf"^Task {id} \({pattern}\.$")

    def test_sentences(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            client.call("echo", 1)
            self.says(g, self.ended(client, "echo", 1), r"echo, pool default\) succeeded")
            self.says(g, client.submit("echo", 1, delay=60), r"echo, pool default\) has not ended: it is delayed")
            self.says(g, self.ended(client, "sleep", 9, timeout=0.2),
                      r"sleep, pool default\) was killed after [\d.]+ m?s of its 0\.2 s timeout")
            self.says(g, self.ended(client, "sleep", 9, timeout=0.1, retries=1, retry_on=["timed_out"], backoff=0.01),
                      r"sleep, pool default\) was killed after .* of its 0\.1 s timeout, on its 2nd of 2 attempts")
            self.says(g, self.ended(client, "exec", ["sh", "-c", "echo first; echo no such table >&2; exit 3"]),
                      r"exec, pool default\) failed after .*: sh ended with status 3; its last words: no such table")
            error, _ = client.outcome(client.start("call", "exec", [["sh", "-c", "echo ends in the record >&2; exit 3"]], {}))
            self.says(g, error["task"], r".*: sh ended with status 3; its last words: ends in the record")  # the result is gone by now
            self.says(g, self.ended(client, "exec", ["sh", "-c", "kill -9 $PPID"]),
                      r"exec, pool default\) was killed from outside after .* by SIGKILL")
            self.says(g, self.ended(client, "exec", ["sh", "-c", r"printf '\033[2Jfoul\n' >&2; exit 1"]),
                      r".*; its last words: \?\[2Jfoul")  # no control characters on the terminal
            self.says(g, self.ended(client, "echo", 1, delay=0.2, expires=0.1), r"echo, pool default\) expired: it did not begin in time")
            id = client.submit("sleep", 60)
            client.ask("cancel", id)
            client.ask("wait", [id], {})
            self.says(g, id, r"sleep, pool default\) was cancelled.* by user \d+ \(process \d+\)")
            self.assertEqual(g.ganger("why", "1").returncode, 125)
            self.assertEqual(g.ganger("why").returncode, 2)

    def test_fail_fast(self):
        """A map has no words of its own: what its item said was its item's."""
        with Gangerd() as g:
            self.assertEqual(g.ganger("map", "--fail-fast", "sleep", "long", "0", "0").returncode, 123)
            [record] = g.ganger("--json", "list").stdout.splitlines()
            said = "an item of sleep failed, and fail_fast ended the map"
            self.says(g, json.loads(record)["id"], rf"sleep, pool default\) failed after .*: {said}")
            self.assertIn(said, g.log())

    def test_backtrace(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            for how, number in ((signal.SIGSEGV,) * 2, (signal.SIGABRT,) * 2, (0, signal.SIGSEGV)):  # 0: the stack is used up
                client.call("echo", 1)
                id = client.submit("stray.crash", int(how))
                error, _ = client.outcome(client.start("result", id, {"keep": True}))
                self.assertEqual((error["code"], error["signal"], error["ended_by"]), ("worker_lost", number, "worker"), error)
                stderr = error["stderr"] if isinstance(error["stderr"], str) else error["stderr"].decode()
                self.assertRegex(stderr, rf"^backtrace of process {error['worker_pid']}, SIG{number.name[3:]}:\n")
                self.assertRegex(stderr, FRAME)
                text = self.why(g, id)
                self.assertRegex(text.splitlines()[0], rf"stray\.crash, pool default\) crashed after .* with {number.name}\.$")
                if shutil.which("addr2line"):
                    self.assertRegex(text, FRAME + r"  fall_into_the_hole at ")
            self.assertTrue(re.search(FRAME, g.log()))
            g.all_idle()

    def test_list_failed_since(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            client.submit("echo", 1)
            failed = [self.ended(client, "exec", ["false"]) for _ in range(3)]

            def listed(*options):
                done = g.ganger("--json", "list", *options)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                return [json.loads(line)["id"] for line in done.stdout.splitlines()]
            for since in ("yesterday", "today", "1h", "2020-01-01", "2020-01-01 12:30"):
                self.assertEqual(listed("--failed", "--since", since), failed, since)
            self.assertEqual(listed("--failed", "--since", "0.0001ms"), [])
            self.assertEqual(listed("--failed", "--since", "2037-01-01"), [])
            self.assertEqual(listed("--failed", "--since", "1h", "--limit", "2"), failed[:2])
            self.assertEqual(len(listed("--since", "1h")), 4)
            text = g.ganger("list", "--failed", "--since", "1h").stdout.decode()
            self.assertEqual(len(text.splitlines()), 4)
            for wrong in (["--since", "sometime"], ["--since", "2026-13-01"], ["--failed", "--state", "ready"]):
                self.assertEqual(g.ganger("list", *wrong).returncode, 2, wrong)

    def test_a_child_says_nothing_over_its_workers_channel(self):
        """It crashes alone: the worker lives, its task ends well."""
        with Gangerd(pool=POOL) as g, g.connect() as client:
            self.assertEqual(client.call("stray.crashing_child"), int(signal.SIGSEGV))
            self.assertEqual(g.all_idle()["totals"]["workers_lost"], 0)


if __name__ == "__main__":
    main()
