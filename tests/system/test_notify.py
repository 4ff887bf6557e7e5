# SPDX-License-Identifier: MIT
"""What gangerd tells systemd when systemd does not listen: it does not wait, and says later what is so then."""
import os
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, configuration, eventually, main  # noqa: E402

QUICK = 1.0


def fill(path):
    """Puts messages into a socket until it takes no more; how many."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(path)
        n = 0
        try:
            while True:
                sender.send(b"X=1")
                n += 1
        except BlockingIOError:
            return n


class Notify(unittest.TestCase):
    def test_full_socket(self):
        """Calls and reloads go on; the last state is said when there is room again, once, and not what was before it"""
        with Gangerd() as g, g.connect() as client, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            path = str(g.directory / "notify")
            notify.bind(path)
            notify.settimeout(10)
            n = fill(path)
            took = []
            for workers in (3, 1, 3):
                g.config.write_text(configuration(pool={"workers": workers}), encoding="utf-8")
                began = time.monotonic()
                client.ask("reload", {"wait": True})
                took.append(time.monotonic() - began)
                self.assertEqual(client.call("echo", workers), workers)
            print(f"with {n} messages in systemd's socket: reloads of {', '.join(f'{time * 1e3:.0f}' for time in took)} ms")
            self.assertLess(max(took), QUICK * 10)
            told = []
            eventually(lambda: told.extend(notify.recv(4096).decode().splitlines()) or "READY=1" in told)
            eventually(lambda: told.extend(notify.recv(4096).decode().splitlines()) or
                       told[-1].startswith("STATUS=3 of 3 workers in 1 pool"), 20)
            self.assertEqual((told.count("READY=1"), told.count("RELOADING=1"), told.count("X=1")), (1, 0, n))

    def test_ready_without_a_pool(self):
        """Where workers die at start: after start_timeout, with a status that says so"""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            g = Gangerd({"start_timeout": 2}, more="[pool ill]\nworkers = 1\nmodules = probe\n[module probe]\nstart_at = 999\n")
            path = str(g.directory / "told")
            notify.bind(path)
            notify.settimeout(15)
            began = time.monotonic()
            g.process = g.spawn(NOTIFY_SOCKET=path)
            try:
                told = []
                while "READY=1" not in told:
                    told += notify.recv(4096).decode().splitlines()
                took = time.monotonic() - began
                self.assertTrue(2 <= took < 20, took)
                self.assertIn("EXTEND_TIMEOUT_USEC", told[0])
                self.assertIn("without a worker: ill", told[-2])
                with g.connect() as client:
                    self.assertEqual(client.call("echo", 1), 1)
                print(f"ready after {took:.1f} s: {told[-2]}")
            finally:
                self.assertEqual(g.stop(), 0)
                g.clean()


if __name__ == "__main__":
    main()
