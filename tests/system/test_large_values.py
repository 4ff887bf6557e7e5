# SPDX-License-Identifier: MIT
"""Values beside the message: sealed memfds both ways, in place for clients that take none, and what is wrong with some."""
import fcntl
import mmap
import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Gangerd, eventually, kinds_of_descriptors, main  # noqa: E402
from beside import ALL, content, finish, memfd  # noqa: E402
from wire import Refused, descriptor  # noqa: E402

MIB = 1 << 20
LARGE = 256 << 10
POOL = {"modules": "probe nest", "exec": "yes"}


def turned(data):
    return bytes(255 - byte for byte in data[:64]), len(data)


class LargeValues(unittest.TestCase):
    def call(self, client, function, data, **options):
        """With the argument in a memfd; the result, wherever it lies."""
        fd = memfd(data)
        msgid = client.start("call", function, [descriptor(0, len(data))], options, fds=[fd])
        os.close(fd)
        return finish(client, msgid)

    def test_both_ways(self):
        """64 MiB, through a function that touches all, and through one that hands on what it got"""
        data = os.urandom(MIB) * 64
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            result = self.call(client, "probe.turned", data)
            self.assertEqual((result[:64], len(result)), turned(data))
            self.assertEqual(self.call(client, "echo", data), data)
            self.assertEqual(self.call(client, "probe.turned", b""), b"")
            see_memfds_closed(g.pid)

    def test_where_it_begins(self):
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            self.assertEqual(client.call("probe.big", LARGE - 1), b"x" * (LARGE - 1))
            msgid = client.start("call", "probe.big", [LARGE], {})
            self.assertEqual(client.finish(msgid).code, 71)
            self.assertEqual(content(client.fds.pop(msgid)[0], LARGE), b"x" * LARGE)

    def test_in_place(self):
        """For a client that takes no descriptors; also one that reads slowly, beside another one that is served"""
        with Gangerd(pool=POOL) as g, g.connect() as plain, g.connect() as other:
            self.assertEqual(plain.call("probe.big", 20 * MIB), b"x" * (20 * MIB))
            before = rss(g.process.pid)
            msgids = [plain.start("call", "probe.big", [20 * MIB], {}) for _ in range(3)]
            end = time.monotonic() + 1
            while time.monotonic() < end:
                other.ask("ping")
            print(f"gangerd's memory with 3 answers of 20 MiB unread: {(rss(g.process.pid) - before) >> 10} KiB more")
            self.assertLess(rss(g.process.pid) - before, 8 * MIB)
            for msgid in msgids:
                self.assertEqual(len(plain.finish(msgid)), 20 * MIB)
            self.assertEqual(plain.ask("ping"), "pong")
            with self.assertRaises(Refused) as refused:
                plain.call("probe.big", 100 * MIB)
            self.assertEqual(refused.exception.code, "too_large")
            self.assertIn("takes descriptors", str(refused.exception))
            self.assertEqual(plain.ask("ping"), "pong")

    def test_too_large_in_place(self):
        """Nothing is lost: who takes descriptors still gets it, also what was a call's; once, as ever"""
        with Gangerd(pool=POOL) as g, g.connect() as plain, g.connect(descriptors=True) as client:
            before, ended = plain.submit("probe.big", 100 * MIB), plain.submit("probe.big", 100 * MIB)
            self.assertEqual(plain.ask("wait", [ended])[0][1], "succeeded")
            asked = [plain.start("call", "probe.big", [100 * MIB], {}), plain.start("result", before), plain.start("result", ended)]
            for msgid in asked:
                with self.assertRaises(Refused) as refused:
                    plain.finish(msgid)
                self.assertEqual(refused.exception.code, "too_large")
                task = refused.exception.error["task"]
                self.assertIn(f"result {task}", str(refused.exception))
                self.assertEqual(len(finish(client, client.start("result", task))), 100 * MIB)
                with self.assertRaises(Refused) as refused:
                    client.ask("result", task)
                self.assertEqual(refused.exception.code, "unknown_task")
            see_memfds_closed(g.pid)

    def test_kept(self):
        """The result of a submit, asked for more than once, by clients of both kinds"""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client, g.connect() as plain:
            task = client.submit("probe.big", MIB)
            for _ in range(2):
                self.assertEqual(finish(client, client.start("result", task, {"keep": True})), b"x" * MIB)
                self.assertEqual(plain.ask("result", task, {"keep": True}), b"x" * MIB)
            self.assertEqual(client.ask("task", task)["result_size"] >= MIB, True)
            self.assertEqual(plain.ask("result", task), b"x" * MIB)
            see_memfds_closed(g.pid)

    def test_tried_again(self):
        """The argument is there for the next attempt too"""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            data = os.urandom(MIB)
            fd = memfd(data)
            task = client.ask("submit", "exec", [["/bin/sleep", "0.5"]], {"retries": 1})
            eventually(lambda: client.ask("task", task)["state"] == "running")
            msgid = client.start("call", "probe.turned", [descriptor(0, len(data))], {"retries": 2, "delay": 0.2}, fds=[fd])
            os.close(fd)
            for pid in [worker["pid"] for worker in client.ask("status")["workers"] if worker["pid"]]:
                os.kill(pid, signal.SIGKILL)
            result = finish(client, msgid)
            self.assertEqual((result[:64], len(result)), turned(data))
            self.assertEqual(client.ask("result", task)["status"], 0)

    def test_failure_with_much(self):
        """What a failure says holds all of it in place"""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            with self.assertRaises(Refused) as refused:
                client.call("exec", ["/bin/sh", "-c", "head -c 600000 /dev/zero; exit 3"])
            self.assertEqual(refused.exception.error["detail"]["stdout"], bytes(600000))
            with self.assertRaises(Refused) as refused:
                self.call(client, "probe.fail_with", bytes(600000))
            self.assertEqual(refused.exception.error["detail"], bytes(600000))

    def test_items(self):
        """Of a map: items may hold some; their results come in place"""
        with Gangerd(pool=POOL) as g, g.connect(descriptors=True) as client:
            datas = [os.urandom(LARGE + n) for n in range(5)]
            fds = [memfd(data) for data in datas]
            msgid = client.start("map", "probe.turned", [[descriptor(0, len(data))] for data in datas], {}, fds=fds)
            for fd in fds:
                os.close(fd)
            self.assertEqual(client.finish(msgid)["succeeded"], 5)
            items = {index: value for batch in client.streamed(msgid, "items") for index, _, value in batch}
            self.assertEqual([(items[n][:64], len(items[n])) for n in range(5)], [turned(data) for data in datas])

    def test_accounts(self):
        """What lies in memfds counts in user_memory, as arguments and as results, until it is gone"""
        with Gangerd(daemon={"user_memory": "8M", "max_message": "1M"}, pool={**POOL, "workers": 1}) as g, g.connect(descriptors=True) as client:
            data = bytes(3 * MIB)
            holding = client.submit("sleep", 60)
            fds = [memfd(data) for _ in range(3)]
            tasks = [client.ask("submit", "echo", [descriptor(0, len(data))], {}, fds=[fd]) for fd in fds[:2]]
            with self.assertRaises(Refused) as refused:
                client.ask("submit", "echo", [descriptor(0, len(data))], {}, fds=[fds[2]])
            self.assertEqual((refused.exception.code, refused.exception.error["what"]), ("quota_exceeded", "user_memory"))
            client.ask("cancel", [holding])
            client.ask("wait", tasks, {})
            self.assertEqual(finish(client, client.start("result", tasks[0])), data)
            task = client.ask("submit", "echo", [descriptor(0, len(data))], {}, fds=[fds[2]])
            self.assertEqual(finish(client, client.start("result", task)), data)
            for fd in fds:
                os.close(fd)

    def test_larger_than_may_be(self):
        with Gangerd(daemon={"user_memory": "8G", "memory_limit": "8G"}, pool=POOL) as g, g.connect(descriptors=True) as client:
            fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            size = (1 << 30) + 1
            os.ftruncate(fd, size)  # takes no memory: nobody has written
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, ALL)
            with self.assertRaises(Refused) as refused:
                client.ask("call", "echo", [descriptor(0, size)], {}, fds=[fd])
            os.close(fd)
            self.assertEqual(refused.exception.code, "too_large")
            self.assertEqual(client.ask("ping"), "pong")

    def test_left_unread(self):
        """A client that takes descriptors and reads nothing does not pin memory without bound"""
        with Gangerd(daemon={"user_memory": "100M"}, pool=POOL) as g, g.connect(descriptors=True) as client, g.connect() as other:
            msgids = [client.start("call", "probe.big", [64 * MIB], {}) for _ in range(12)]

            def still():
                before = other.ask("status")["totals"]["succeeded"]
                time.sleep(0.5)  # what is still must be looked at twice
                return other.ask("status")["totals"]["succeeded"] == before
            eventually(still, 30)
            done = other.ask("status")["totals"]["succeeded"]
            print(f"with nothing read: {done} of 12 results of 64 MiB made")
            self.assertLess(done, 12)
            for msgid in msgids:
                self.assertEqual(len(finish(client, msgid)), 64 * MIB)

    def test_command_line(self):
        """Nobody at a shell sees how it came"""
        with Gangerd(pool=POOL) as g:
            def ganger(*words):
                return subprocess.run([CLI, "--socket", g.socket, *words], capture_output=True, check=True, timeout=60).stdout
            self.assertEqual(ganger("call", "--raw", "probe.big", "1000000"), b"x" * 1000000)
            self.assertEqual(ganger("call", "probe.big", "1000000"), b'"' + b"x" * 1000000 + b'"\n')
            task = ganger("submit", "probe.big", "1000000").decode().strip()
            self.assertEqual(ganger("result", "--raw", task), b"x" * 1000000)


def see_memfds_closed(pid):
    if os.geteuid() == 0:  # nobody else may look: gangerd is not dumpable
        eventually(lambda: not any(name.startswith("/memfd:") for name in kinds_of_descriptors(pid)))


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


if __name__ == "__main__":
    main()
