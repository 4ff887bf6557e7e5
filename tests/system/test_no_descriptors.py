# SPDX-License-Identifier: MIT
"""The daemon has no descriptor left: it rests from accepting instead of spinning, goes on serving who is connected and replacing
workers, and takes new callers again as soon as there are some. A configuration that could lead there is refused at start."""
import itertools
import os
import resource
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, cpu_seconds, eventually, main  # noqa: E402
from wire import Closed, TooLate  # noqa: E402

LOOK = 1.5  # seconds that the daemon is watched
CPU_MOST = 0.2  # of one, while it rests


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def allow(pid, n):
    """No new descriptor gets a number of n or more."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (n, hard))


@unittest.skipIf(os.geteuid() != 0, "only root may count gangerd's descriptors: it is not dumpable")
class NoDescriptors(unittest.TestCase):
    def test_accept_rests(self):
        with Gangerd() as g, g.connect() as client:
            g.all_idle()
            eventually(lambda: client.ask("status")["connections"] == 1)
            before = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)[0]
            used = {int(fd) for fd in os.listdir(f"/proc/{g.pid}/fd")}
            allow(g.pid, next(fd for fd in itertools.count() if fd not in used))
            callers = []
            self.addCleanup(lambda: [caller.close() for caller in callers])
            for _ in range(50):
                caller = socket.socket(socket.AF_UNIX)
                caller.connect(g.socket)
                callers.append(caller)
            cpu = cpu_seconds(g.pid)
            began = time.monotonic()
            n = 0
            while time.monotonic() - began < LOOK:
                self.assertEqual(client.call("echo", n), n)
                n += 1
                time.sleep(0.01)
            used = (cpu_seconds(g.pid) - cpu) / LOOK
            print(f"beside {len(callers)} callers that cannot be taken: {used * 100:.0f} % of a processor, {n} calls of another served")
            self.assertLess(used, CPU_MOST)
            self.assertIn("no descriptors are left", g.log())
            self.assertLess(g.log().count("no descriptors are left"), 20)
            allow(g.pid, before)
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].connect(g.socket)
            callers[-1].settimeout(5)
            callers[-1].sendall(b"\x94\x00\x01\xa4ping\x90")
            self.assertEqual(callers[-1].recv(100), b"\x94\x01\x01\xc0\xa4pong")
            for caller in callers:
                caller.close()
            eventually(lambda: client.ask("status")["connections"] == 1)

    def test_worker_is_replaced_at_the_most_connections(self):
        """max_connections is what is left beside the daemon's own needs: with all of them taken, it has its reserve."""
        with Gangerd({"max_connections": 64, "user_descriptors": 0}, prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (144, 144))) as g:
            clients = []
            try:
                g.all_idle()
                eventually(lambda: g.status()["connections"] == 1)
                while len(clients) < 64:
                    clients.append(g.connect(bound=5))
                    try:
                        clients[-1].ask("ping")
                    except (Closed, TooLate):
                        clients.pop().close()
                for _ in range(3):
                    clients[0].call("echo", 1)
                    pids = {worker["pid"] for worker in clients[0].ask("status")["workers"]}
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                    eventually(lambda: pids.isdisjoint(worker["pid"] for worker in clients[0].ask("status")["workers"]
                                                       if worker["state"] == "idle") and
                               sum(worker["state"] == "idle" for worker in clients[0].ask("status")["workers"]) == 2, 15)
                    self.assertEqual([client.call("echo", 1) for client in clients], [1] * 64)
                print(f"{n_descriptors(g.pid)} of 144 descriptors in use")
            finally:
                for client in clients:
                    client.close()

    def test_configuration_that_does_not_fit(self):
        with self.assertRaisesRegex(AssertionError, "status 78"):
            with Gangerd({"max_connections": 100, "user_descriptors": 0}, prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (144, 144))):
                pass


if __name__ == "__main__":
    main()
