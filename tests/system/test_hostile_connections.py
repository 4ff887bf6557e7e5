# SPDX-License-Identifier: MIT
"""Hostile connections: thousands of one user, requests that come by a byte, connections that are closed at once, or half."""
import contextlib
import os
import resource
import select
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Flat, cpu_seconds, eventually, main, sanitized  # noqa: E402
from hostile import MIB, for_all, hostile, many_descriptors, unharmed  # noqa: E402
from users import ANN, needs_root, seen_as  # noqa: E402
from wire import Closed, pack  # noqa: E402

LONG = bool(os.environ.get("GANGER_TEST_LONG"))
MANY = 10_000
MAY = 4096  # user_connections, as it is where nothing is said
LORIS = 1000 if LONG else 300
LORIS_SECONDS = 20 if LONG else 3
FLOOD_SECONDS = 20 if LONG else 2
PER_CONNECTION = 24 << 10  # bytes of the daemon's memory, while a message has begun
REQUEST = pack([0, 1, "call", ["echo", ["slow"], {}]])
EMPTY_LOOK = 1  # seconds that an idle daemon is watched
CPU_MOST = 0.2  # of one, meanwhile


def connect(gangerd):
    """A bare socket, for there are many; the kernel takes this process for who it is seen as."""
    its = socket.socket(socket.AF_UNIX)
    its.connect(gangerd.socket)
    return its


@needs_root
class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = resource.getrlimit(resource.RLIMIT_NOFILE)
        cls.room = many_descriptors() - 100

    @classmethod
    def tearDownClass(cls):
        resource.setrlimit(resource.RLIMIT_NOFILE, cls.before)

    def test_ten_thousand_of_one_user(self):
        """He gets as many as he may have; the others are turned away, each told why, and nobody else's are fewer for that."""
        if self.room < MANY:
            self.skipTest(f"this process may open only {self.room} descriptors")
        with for_all({"user_connections": MAY}) as g, unharmed(g, memory=24 * MIB), g.connect() as other, contextlib.ExitStack() as stack:
            flat, began = Flat(g), time.monotonic()
            with seen_as(ANN):
                all_of_his = [stack.enter_context(connect(g)) for _ in range(MANY)]
            taken = eventually(lambda: (n := other.ask("status")["connections"]) == MAY + 2 and n, 20)
            # those that were turned away can be read to their end; in the others there is nothing
            poll = select.poll()
            for its in all_of_his:
                poll.register(its, select.POLLIN)
            eventually(lambda: len(poll.poll(0)) == MANY - MAY, 20)
            away = {fd for fd, _ in poll.poll(0)}
            for its in all_of_his:
                if its.fileno() in away:
                    self.assertIn(b"user_connections", its.recv(1000))
            print(f"{MANY} connections in {time.monotonic() - began:.1f} s: {taken - 2} taken, {len(away)} turned away; "
                  f"{flat.grown() / MAY / 1024:.1f} KiB of the daemon's memory for each that was taken")
            self.assertTrue(sanitized() or flat.grown() < MAY * PER_CONNECTION)
            with connect(g) as another:
                another.settimeout(5)
                another.send(pack([0, 1, "call", ["echo", ["served"], {}]]))
                self.assertEqual(another.recv(100), pack([1, 1, None, "served"]))

    def test_slow_loris(self):
        """A byte a second of a request, of many at the same time: none keeps its place for longer than message_timeout."""
        with for_all({"message_timeout": "2 s"}) as g, unharmed(g), g.connect() as other, contextlib.ExitStack() as stack:
            flat = Flat(g)
            with seen_as(ANN):
                lorises = [stack.enter_context(connect(g)) for _ in range(LORIS)]
            cpu, began, lived = cpu_seconds(g.pid), time.monotonic(), 0
            for byte in range(LORIS_SECONDS):
                for its in lorises:
                    with contextlib.suppress(OSError):
                        its.send(REQUEST[byte:byte + 1])
                flat.sample()
                if byte == 1:
                    lived = other.ask("status")["connections"] - 2
                select.select([], [], [], max(0, began + byte + 1 - time.monotonic()))
            eventually(lambda: other.ask("status")["connections"] == 2, 10)
            used = (cpu_seconds(g.pid) - cpu) / (time.monotonic() - began)
            print(f"{lived} of {LORIS} in their places after a second, none at the end; the daemon used {100 * used:.0f} % of a processor, "
                  f"{max(0, flat.grown()) / LORIS / 1024:.1f} KiB for each")
            self.assertEqual(lived, LORIS)
            self.assertTrue(sanitized() or flat.grown() < LORIS * PER_CONNECTION + MIB)
            for its in lorises:
                with contextlib.suppress(ConnectionResetError):
                    self.assertIn(b"message_timeout", its.recv(1000))

    def test_declared_and_never_sent(self):
        """What is declared costs nothing: the buffer grows with what comes."""
        with for_all() as g, unharmed(g), g.connect() as other, contextlib.ExitStack() as stack:
            flat = Flat(g)
            with seen_as(ANN):
                for _ in range(LORIS):
                    stack.enter_context(connect(g)).send(b"\x94\x00\x01\xa4call\x93\xa4echo\x91\xc6\x03\xff\x00\x00" + b"x" * 100)
            eventually(lambda: other.ask("status")["connections"] == LORIS + 2)
            self.assertEqual(other.call("echo", 1), 1)
            print(f"{max(0, flat.grown()) / LORIS / 1024:.1f} KiB for each of {LORIS} that have declared 64 MiB")
            self.assertTrue(sanitized() or flat.grown() < LORIS * PER_CONNECTION + MIB)

    def test_connect_and_close(self):
        """As fast as one program can, with nothing, the beginning of a request, a whole one or garbage between"""
        data = (b"", REQUEST[:5], REQUEST, b"\xc1", pack([0, 1, "submit", ["echo", [1], {"ttl": 0}]]))
        with for_all() as g, unharmed(g, log_lines=60 if not LONG else 100):
            n, end = 0, time.monotonic() + FLOOD_SECONDS
            with seen_as(ANN):
                while time.monotonic() < end:
                    with connect(g) as its, contextlib.suppress(OSError):
                        its.send(data[n % len(data)])
                    n += 1
            print(f"{n / FLOOD_SECONDS:.0f} connections a second, each closed at once")

    def test_half_closed(self):
        """They get what they wait for; who waits for nothing is gone at once, and nothing spins for those that wait."""
        with for_all() as g, unharmed(g), g.connect() as other, contextlib.ExitStack() as stack:
            with seen_as(ANN):
                idle = [stack.enter_context(connect(g)) for _ in range(100)]
                begun = [stack.enter_context(connect(g)) for _ in range(100)]
                waits = [stack.enter_context(connect(g)) for _ in range(100)]
            for its in begun:
                its.send(REQUEST[:5])
            for its in waits:
                its.send(pack([0, 7, "event.wait", ["e", {"timeout": 100}]]))
            other.ask("ping")
            for its in idle + begun + waits:
                its.shutdown(socket.SHUT_WR)
            eventually(lambda: other.ask("status")["connections"] == 2 + len(waits))
            for its in idle + begun:
                its.settimeout(5)
                self.assertEqual(its.recv(100), b"")
            cpu = cpu_seconds(g.pid)
            select.select([], [], [], EMPTY_LOOK)
            used = (cpu_seconds(g.pid) - cpu) / EMPTY_LOOK
            print(f"with {len(waits)} half-closed that wait the daemon uses {100 * used:.0f} % of a processor")
            self.assertLess(used, CPU_MOST)
            with hostile(g) as ann:
                ann.ask("event.set", "e")
            for its in waits:
                its.settimeout(5)
                self.assertEqual(its.recv(100), pack([1, 7, None, True]))
                self.assertEqual(its.recv(100), b"")

    def test_closed_for_reading(self):
        """Who reads no more cannot be answered; what he asks for is dealt with, and he is gone when he is."""
        with for_all() as g, unharmed(g):
            for n in range(100):
                with hostile(g) as client, contextlib.suppress(Closed, OSError):
                    client.socket.shutdown(socket.SHUT_RD)
                    client.send_bytes(REQUEST * (n + 1))


if __name__ == "__main__":
    main()
