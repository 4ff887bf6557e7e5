# SPDX-License-Identifier: MIT
"""A worker that memory_limit leaves no memory: its task ends as over the limit, whatever it dies of, with the limit in the message;
nobody else notices."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main, sanitized  # noqa: E402

MIB = 1 << 20
LIMIT = 64
POOL = {"modules": "hoard digest", "memory_limit": f"{LIMIT}M"}
SAYS = f"an allocation failed under memory_limit = {LIMIT}M"
ENDS = {"crash": signal.SIGSEGV, "abort": signal.SIGABRT, "exit": None, "thread": signal.SIGSEGV}


def text_of(value):
    return value if isinstance(value, str) else value.decode()


@unittest.skipIf(sanitized(), "AddressSanitizer takes its own memory, and ends otherwise")
class MemoryLimit(unittest.TestCase):
    def failed(self, client, *args, **options):
        """The failure record of a task that is submitted, and its id."""
        id = client.submit(*args, **options)
        error, _ = client.outcome(client.start("result", id, {"keep": True}))
        self.assertIsNotNone(error)
        return error, id

    def all_work(self, client):
        """Each worker has done something: none dies young."""
        for msgid in [client.start("call", "echo", [i], {}) for i in range(8)]:
            client.finish(msgid)

    def test_task_ends_as_over_the_limit(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            for way in "small", "chunks", "large":
                for end, number in ENDS.items():
                    self.all_work(client)
                    error, id = self.failed(client, "hoard.take", way, end)
                    self.assertEqual((error["code"], error["ended_by"]), ("worker_lost", "limit"), error)
                    self.assertEqual((error["signal"], error["exit_status"]), (number, None if number else 3), error)
                    self.assertIn(SAYS, error["message"])
                    if (way, end) not in (("small", "crash"), ("large", "exit")):
                        continue
                    line = g.ganger("why", str(id)).stdout.decode().splitlines()[0]
                    self.assertRegex(line, rf"died after .* at a limit of its pool: worker {error['worker_pid']} .*: {SAYS}\.$")
                    print(line)
            client.call("echo", 1)
            error, _ = self.failed(client, "hoard.take", "chunks", "crash")
            print(f"resident when it died under {LIMIT} MiB: {error['max_rss'] / MIB:.1f} MiB")
            self.assertLess(error["max_rss"], (LIMIT + 32) * MIB)
            self.assertIn(": an allocation failed under memory_limit", g.log())
            g.all_idle()

    def test_function_that_says_so(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            error, _ = self.failed(client, "hoard.take", "chunks", "say")
            self.assertEqual((error["code"], error["ended_by"]), ("task_failed", "function"), error)
            self.assertEqual(error["message"], f"hoard.take: Cannot allocate memory under memory_limit = {LIMIT}M")

    def test_other_deaths_are_what_they_are(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            for way in "nothing", "recover":
                for end, number in ENDS.items():
                    self.all_work(client)
                    error, _ = self.failed(client, "hoard.take", way, end)
                    self.assertEqual((error["code"], error["ended_by"], error["signal"]), ("worker_lost", "worker", number), error)
                    self.assertNotIn("memory_limit", error["message"])
            client.call("echo", 1)
            error, _ = self.failed(client, "exec", ["sh", "-c", "kill -9 $PPID"])
            self.assertEqual((error["code"], error["ended_by"]), ("worker_lost", "outside"), error)
            error, _ = self.failed(client, "hoard.take", "chunks", "loop", timeout=0.3)
            self.assertEqual((error["code"], error["ended_by"]), ("timed_out", "timeout"), error)
            self.assertEqual(client.call("hoard.take", "chunks", "child"), int(signal.SIGSEGV))

    def test_other_items_of_a_map(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            items = [["nothing", "fine"]] * 60
            items[17] = ["chunks", "abort"]
            answer = client.ask("map", "hoard.take", items, {"collect": True, "chunk": 10})
            self.assertEqual((answer["succeeded"], answer["failed"]), (59, 1))
            [[index, error]] = answer["errors"]
            self.assertEqual((index, error["ended_by"]), (17, "limit"), error)
            self.assertIn(SAYS, error["message"])

    def test_it_can_be_tried_again(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            client.call("echo", 1)
            error, id = self.failed(client, "hoard.take", "large", "crash", retries=2, backoff=0.01)
            self.assertEqual((error["attempt"], error["ended_by"]), (3, "limit"), error)

    def test_program(self):
        """It has the limit; that it was why only the program knows."""
        with Gangerd(pool=POOL) as g, g.connect() as client:
            error, _ = self.failed(client, "exec", [sys.executable, "-c", "bytes = [bytearray(1 << 20) for _ in range(1000)]"])
            self.assertEqual((error["code"], error["ended_by"]), ("task_failed", "function"), error)
            self.assertRegex(error["message"], rf" ended with status 1 under memory_limit = {LIMIT}M \(its max_rss was [\d.]+M\)$")
            self.assertIn("MemoryError", text_of(error["stderr"]))
            print(error["message"])

    def test_what_the_zygote_holds_does_not_count(self):
        """All its workers share it."""
        with Gangerd(pool=POOL, more=f"[module hoard]\nhold = {3 * LIMIT}") as g, g.connect() as client:
            self.assertEqual(client.call("echo", bytes(LIMIT // 4 * MIB)), bytes(LIMIT // 4 * MIB))
            error, _ = self.failed(client, "hoard.take", "chunks", "crash")
            self.assertEqual(error["ended_by"], "limit", error)
            self.assertGreater(error["max_rss"], LIMIT // 2 * MIB)

    def test_a_pool_without_it(self):
        with Gangerd(pool=POOL, more="[pool free]\nmodules = hoard") as g, g.connect() as client:
            out = text_of(client.call("exec", ["sh", "-c", "ulimit -v"])["stdout"])
            self.assertEqual(out.strip(), str(LIMIT << 10))
            out = text_of(client.call("exec", ["sh", "-c", "ulimit -v"], pool="free")["stdout"])
            self.assertEqual(out.strip(), "unlimited")
            error, _ = self.failed(client, "hoard.take", "large", "crash", pool="free")
            self.assertEqual(error["ended_by"], "worker", error)


if __name__ == "__main__":
    main()
