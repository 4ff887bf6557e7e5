#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memory_limit in the worker: what it counts, what is said, and which deaths are marked as its. Run as PROGRAM MODULES_DIR."""
import contextlib
import os
import resource
import signal
import sys
import unittest

from zygote_driver import Zygote, become_subreaper

PROGRAM, MODULES = sys.argv[1:3]


def sanitized():
    with open(PROGRAM, "rb") as program:
        return b"__asan_init" in program.read()


@unittest.skipIf(sanitized(), "AddressSanitizer takes its own memory, and ends otherwise")
class MemoryLimit(unittest.TestCase):
    LIMIT = 48 << 20
    SAYS = "under memory_limit = 48M"

    def setUp(self):
        self.null = open(os.devnull, "w", encoding="ascii")
        self.zygote = Zygote(PROGRAM, stderr=self.null)
        self.zygote.load(["hoard"], [MODULES], worker={"memory_limit": self.LIMIT})
        self.worker = self.zygote.spawn()

    def tearDown(self):
        self.zygote.close()
        self.null.close()

    def test_is_counted_from_what_the_zygote_has_loaded(self):
        soft, hard = resource.prlimit(self.worker.pid, resource.RLIMIT_AS)
        with open(f"/proc/{self.worker.pid}/statm", encoding="ascii") as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        self.assertEqual(soft, hard)
        self.assertLess(abs(soft - self.LIMIT - mapped), 1 << 20)

    def test_function_that_says_so(self):
        for way in "small", "chunks", "large":
            error, _ = self.zygote.spawn().call("hoard.take", way, "say")
            self.assertEqual(error["message"], f"hoard.take: Cannot allocate memory {self.SAYS}")
        self.assertEqual(self.worker.over_limit(), 0)

    def test_death_is_marked(self):
        for way in "small", "chunks", "large":
            for end, status in ("crash", -signal.SIGSEGV), ("abort", -signal.SIGABRT), ("exit", 3), ("thread", -signal.SIGSEGV):
                with self.subTest(way=way, end=end):
                    worker = self.zygote.spawn()
                    worker.run("hoard.take", way, end)
                    self.assertEqual(os.waitstatus_to_exitcode(worker.reap()), status)
                    self.assertEqual(worker.over_limit(), 1)

    def test_another_death_is_not(self):
        for way in "nothing", "recover":
            for end in "crash", "abort", "exit", "thread":
                with self.subTest(way=way, end=end):
                    worker = self.zygote.spawn()
                    worker.run("hoard.take", way, end)
                    worker.reap()
                    self.assertEqual(worker.over_limit(), 0)

    def test_nor_is_a_childs(self):
        self.assertEqual(self.worker.call("hoard.take", "large", "child"), (None, int(signal.SIGSEGV)))
        self.assertEqual(self.worker.over_limit(), 0)

    def test_message_that_does_not_fit(self):
        self.worker.channel.sock.settimeout(5)
        with contextlib.suppress(OSError):  # it is gone before all is sent
            self.worker.run("echo", bytes(60 << 20))
        self.assertEqual(os.waitstatus_to_exitcode(self.worker.reap()), 70)
        self.assertEqual(self.worker.over_limit(), 1)

    def test_program_has_so_much_in_all(self):
        error, result = self.worker.call("exec", ["sh", "-c", "ulimit -v; ulimit -Hv"])
        self.assertIsNone(error)
        self.assertEqual(result["stdout"].split(), [str(self.LIMIT >> 10).encode()] * 2)
        error, _ = self.worker.call("exec", ["sh", "-c", "exit 9"])
        self.assertRegex(error["message"], rf"^sh ended with status 9 {self.SAYS} \(its max_rss was [\d.]+M\)$")
        error, _ = self.worker.call("exec", ["sh", "-c", "kill -ABRT $$"])
        self.assertRegex(error["message"], rf"^sh was ended by signal 6 \(ABRT\).* {self.SAYS} \(its max_rss was [\d.]+M\)$")

    def test_without_it_nothing_is_said(self):
        with Zygote(PROGRAM, stderr=self.null) as zygote:
            zygote.load(["hoard"], [MODULES])
            error, _ = zygote.spawn().call("hoard.take", "large", "say")
            self.assertEqual(error["message"], "hoard.take: Cannot allocate memory")
            worker = zygote.spawn()
            worker.run("hoard.take", "large", "crash")
            worker.reap()
            self.assertEqual(worker.over_limit(), 0)


if __name__ == "__main__":
    signal.alarm(55)
    become_subreaper()
    unittest.main(argv=sys.argv[:1], verbosity=1)
