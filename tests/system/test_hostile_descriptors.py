# SPDX-License-Identifier: MIT
"""Hostile descriptors over the real socket: as many as the kernel lets through where none belong, values that are no sealed memfd,
files that change, never end or never begin, sockets that linger."""
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import eventually, libc, main  # noqa: E402
from hostile import MIB, for_all, hostile, unharmed  # noqa: E402
from users import needs_root  # noqa: E402
from wire import Closed, Refused, descriptor, pack  # noqa: E402

MOST = 253  # SCM_MAX_FD
SHRINK, GROW, WRITE, SEAL = fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SEAL
ALL = SHRINK | GROW | WRITE | SEAL
SIZE = 8 * MIB
REPLACED = 0.1  # seconds of p99 where workers are replaced all the time
LINGER = 5  # seconds that a close would wait
PING = pack([0, 1, "ping", []])


def memfd(size, seals, flags=0):
    fd = os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    if size and not flags:
        os.pwrite(fd, b"x" * min(size, MIB), 0)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def epoll():
    with select.epoll() as its:
        return os.dup(its.fileno())


def told(client):
    """What it was told before the end."""
    client.open.update({1: "asked", 2: "asked"})
    with contextlib.suppress(Closed):
        return [error["code"] for error in client.end_of_file()]
    return []


def lingering(listener):
    """A socket whose close waits until its peer has read all, which it never does; and the peer."""
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    near.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            near.send(bytes(1 << 16))
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))
    return near, far


@needs_root
class Descriptors(unittest.TestCase):
    def test_every_number_of_them(self):
        """1…253 with a message that claims none, on connections that take some and on such that do not, and with no message"""
        with for_all(pool={"modules": "probe"}) as g, unharmed(g), open("/dev/null", "rb") as null:
            for n in range(1, MOST + 1):
                for hello in False, True:
                    with hostile(g) as client:
                        with contextlib.suppress(Closed):
                            if hello:
                                client.ask("hello", {"protocol": 1, "descriptors": True})
                            client.send_bytes(PING[:1] if n % 2 else PING, [null.fileno()] * n)
                            client.send_bytes(PING[1:] if n % 2 else PING)
                        self.assertIn(told(client), ([], ["protocol_error"], ["quota_exceeded"]), (n, hello))  # they are closed one by one

    def test_more_than_are_claimed(self):
        """k claimed, n came: never is one taken for another message's, or for another task's"""
        with for_all() as g, unharmed(g), open("/dev/null", "rb") as null:
            for claimed, n in ((1, 0), (1, 2), (16, 15), (16, 17), (17, 17), (200, 200), (MOST, MOST), (300, MOST)):
                with hostile(g, descriptors=True) as client:
                    with contextlib.suppress(Closed):
                        message = pack([0, 1, "call", ["echo", [[descriptor()] * claimed], {}]])
                        client.send_bytes(message + (b"" if n else PING), [null.fileno()] * n)
                    self.assertIn(told(client), ([], ["protocol_error"]), (claimed, n))

    def test_unfinished_messages_with_them(self):
        """Each of many connections holds as many as a message may have, and never ends its message."""
        with for_all({"user_descriptors": 64, "message_timeout": "2 s"}) as g, unharmed(g), open("/dev/null", "rb") as null:
            before = len(os.listdir(f"/proc/{g.pid}/fd"))
            clients = [hostile(g) for _ in range(100)]
            for client in clients:
                with contextlib.suppress(Closed):
                    client.send_bytes(PING[:1], [null.fileno()] * 16)
            with g.connect() as other:
                other.call("sleep", 0.2)
            held = len(os.listdir(f"/proc/{g.pid}/fd")) - before
            print(f"{held} descriptors more for 100 such connections of one user")
            self.assertLess(held, 100 + 3 * 64 + 32)
            for client in clients:
                client.close()

    def bad_values(self, connection):
        """What is sent as a value in a sealed memfd and is none; each with how it is called."""
        yield from ((f"memfd with seals {seals}", memfd(SIZE, seals)) for seals in (0, ALL & ~SHRINK, ALL & ~GROW, ALL & ~WRITE, ALL & ~SEAL))
        yield "another size", memfd(SIZE - 1, ALL)
        yield "directory", os.open("/", os.O_RDONLY)
        yield "O_PATH", os.open("/etc/hostname", os.O_PATH)
        yield "/dev/zero", os.open("/dev/zero", os.O_RDWR)
        yield "epoll", epoll()
        yield "the connection itself", connection.fileno()
        yield "pidfd", os.pidfd_open(os.getpid())
        yield "eventfd", os.eventfd(0)
        yield "FIFO", self.fifo()

    def fifo(self):
        with tempfile.TemporaryDirectory() as directory:
            os.mkfifo(os.path.join(directory, "fifo"))
            return os.open(os.path.join(directory, "fifo"), os.O_RDWR)  # nobody else ever writes

    def test_values_that_are_none(self):
        with for_all() as g, unharmed(g):
            with socket.socket() as none:
                names = [name for name, _ in self.bad_values(none)]
            for n, name in enumerate(names):
                with hostile(g, descriptors=True) as client:
                    fd = list(self.bad_values(client.socket))[n][1]
                    client.start("call", "echo", [descriptor(0, SIZE)], {}, fds=[os.dup(fd)])
                    self.assertEqual(told(client), ["protocol_error"], name)

    def test_values_of_sizes_that_overflow(self):
        """Sealed memfds, all holes, of 2^62 bytes: four of them are 2^64, which is 0"""
        with for_all() as g, unharmed(g), hostile(g, descriptors=True) as client:
            for size, n in ((1 << 62, 4), (1 << 62, 16), ((1 << 63) - 4096, 2), ((1 << 63) - 4096, 16), (1 << 30, 2), ((1 << 30) + 1, 1)):
                fd = memfd(size, ALL)
                for method in "call", "submit", "map":
                    args = [[descriptor(0, size)] * n]
                    error, _ = client.outcome(client.start(method, "echo", args, {}, fds=[fd] * n))
                    self.assertEqual(error and error["code"], "too_large", (method, size, n))
                os.close(fd)
            fd = memfd(1 << 30, ALL)  # as much as may be, and more than the user may have
            error, _ = client.outcome(client.start("call", "echo", [descriptor(0, 1 << 30)], {}, fds=[fd]))
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "user_memory"))
            os.close(fd)

    def test_value_in_huge_pages(self):
        """Of which there are none: to map it is not possible, or touches what is not there."""
        try:
            fd = memfd(64 * MIB, ALL, os.MFD_HUGETLB)
        except OSError as error:
            self.skipTest(f"no memfd in huge pages: {error}")
        with for_all(pool={"modules": "probe"}) as g, unharmed(g), hostile(g, descriptors=True) as client:
            for function in "probe.turned", "echo":
                error, _ = client.outcome(client.start("call", function, [descriptor(0, 64 * MIB)], {}, fds=[fd]))
                self.assertTrue(error is None or error["code"] == "task_failed", error)
            self.assertEqual(g.status()["totals"]["workers_lost"], 0)
        os.close(fd)

    def test_files_that_are_bad(self):
        """Any open descriptor may be an argument: the task gets an error or runs into its time, and its worker lives on."""
        with for_all(pool={"modules": "digest probe", "exec": "yes"}) as g, unharmed(g), hostile(g, descriptors=True) as client:
            ends, fails = ("timed_out", 0.3), ("task_failed", 10)  # how it ends, and the timeout
            cases = {
                "/dev/zero": (os.open("/dev/zero", os.O_RDWR), ends, ends), "FIFO": (self.fifo(), ends, ends), "eventfd": (os.eventfd(0), ends, ends),
                "epoll": (epoll(), ends, fails),  # never ready, and not to be read
                "directory": (os.open("/", os.O_RDONLY), fails, fails), "O_PATH": (os.open("/etc/hostname", os.O_PATH), fails, fails),
                "write only": (os.open("/dev/null", os.O_WRONLY), fails, fails),
                "its own memory": (os.open("/proc/self/mem", os.O_RDONLY), fails, fails),
            }
            for name, (fd, *ways) in cases.items():
                for (function, args), (code, timeout) in zip((("digest.sha256", [descriptor()]), ("exec", [["cat"], {"stdin": descriptor()}])), ways):
                    error, _ = client.outcome(client.start("call", function, args, {"timeout": timeout}, fds=[fd]))
                    self.assertEqual(error and error["code"], code, (name, error))
                self.assertIsNone(client.outcome(client.start("call", "probe.fds", [descriptor()], {}, fds=[fd]))[0])
                os.close(fd)
            self.assertEqual(g.status()["totals"]["workers_lost"], 0)

    def test_file_that_shrinks(self):
        """While it is read, again and again: SIGBUS for who maps it. Nobody does."""
        fd = os.memfd_create("shrinking", os.MFD_CLOEXEC)
        ends = threading.Event()

        def shrink():
            while not ends.is_set():
                libc.ftruncate(fd, ctypes.c_long(0))
                libc.ftruncate(fd, ctypes.c_long(SIZE))
        with for_all(pool={"modules": "digest probe", "exec": "yes"}) as g, unharmed(g), hostile(g, descriptors=True) as client:
            thread = threading.Thread(target=shrink)
            thread.start()
            try:
                for _ in range(50):
                    for function, args in ("digest.sha256", [descriptor()]), ("exec", [["cat"], {"stdin": descriptor(), "output_limit": 1}]):
                        error, _ = client.outcome(client.start("call", function, args, {}, fds=[fd]))
                        self.assertTrue(error is None or error["code"] == "task_failed", error)
            finally:
                ends.set()
                thread.join()
            self.assertEqual(g.status()["totals"]["workers_lost"], 0)
        os.close(fd)

    def test_cancelled_before_it_begins(self):
        """A worker that finds a file of a task that was taken back goes, for its close might wait; that makes no pool degraded."""
        with for_all(pool={"workers": 3}) as g, unharmed(g, log_lines=300, p99=REPLACED), hostile(g, descriptors=True) as client, open("/etc/hostname", "rb") as file:
            end, n = time.monotonic() + 2, 0
            while time.monotonic() < end:
                id = client.ask("submit", "sleep", [60, descriptor()], {}, fds=[file.fileno()])
                pause = time.monotonic() + n % 40 * 5e-6
                while time.monotonic() < pause:
                    pass
                client.ask("cancel", id)
                n += 1
            status = g.status()
            print(f"{n} submitted and cancelled, {status['totals']['workers_lost']} workers went")
            self.assertNotIn("die young", g.log())  # not now, and at no time before

    def test_the_connection_itself(self):
        """Sent over itself it never ends, for its own other end is kept in it; it is his, and goes with its message or task."""
        with for_all({"message_timeout": "500 ms"}) as g, unharmed(g):
            for n in range(20):
                client = hostile(g, descriptors=True)
                own = client.socket.fileno()
                if n % 2:
                    client.send_bytes(PING[:1], [own])
                else:
                    client.start("call", "echo", [descriptor()], {"delay": 0.2}, fds=[own])
                client.close()

    def test_sockets_that_linger(self):
        """Closed unread with the connection that they came over, received to be refused, or as an argument"""
        with socket.create_server(("127.0.0.1", 0)) as listener, for_all() as g, unharmed(g), contextlib.ExitStack() as kept:
            def send(client, message):
                near, far = lingering(listener)
                with contextlib.suppress(Closed):
                    client.send_bytes(message, [near.fileno()])
                closing = threading.Thread(target=near.close)  # where gangerd has ended the connection it is the last one
                closing.start()
                kept.callback(closing.join)
                kept.callback(far.close)

            for n in range(40):
                client = hostile(g, descriptors=n % 2 == 0)
                if n % 4 < 2:
                    with contextlib.suppress(Closed):
                        client.send_bytes(b"\xc1")  # ends it; what follows stays unread
                        send(client, PING)
                elif n % 4 == 2:
                    send(client, PING)
                else:
                    with contextlib.suppress(Closed):
                        client.send_bytes(pack([0, 1, "call", ["echo", [bytes(4 * MIB)], {}]]))
                        select.select([client.socket], [], [], 10)  # from now on nothing more is read from it
                        send(client, PING)
                client.close()
            with g.connect() as other:
                self.assertEqual(other.call("echo", 1), 1)


if __name__ == "__main__":
    main()
