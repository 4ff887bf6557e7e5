# SPDX-License-Identifier: MIT
"""A task's open descriptors are the known ones: of the worker's process, and of a program that it runs."""
import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from wire import descriptor  # noqa: E402

LIST = ["sh", "-c", "exec ls -l /proc/self/fd"]
LOG = r"/.*/log"
KNOWN_OF_WORKER = [r"/dev/null", LOG, LOG, r"socket:\[\d+\]"]


def of_program(listing):
    """number -> where it leads, without the directory that ls itself has open."""
    found = re.findall(r" (\d+) -> (.*)", listing.decode())
    return {int(number): target for number, target in found if not target.startswith("/proc/")}


class Descriptors(unittest.TestCase):
    def test_of_a_program(self):
        with Gangerd() as g, g.connect(descriptors=True) as client, g.connect():
            fds = of_program(client.call("exec", LIST)["stdout"])
            self.assertEqual(sorted(fds), [0, 1, 2], fds)
            self.assertEqual(fds[0], "/dev/null")
            self.assertRegex(fds[1] + fds[2], r"^(pipe:\[\d+\]){2}$")
            with tempfile.TemporaryFile() as file:
                args = [LIST, {"stdin": descriptor(), "stdout": descriptor(), "stderr": descriptor()}]
                client.ask("call", "exec", args, {}, fds=[file.fileno()] * 3)
                file.seek(0)
                fds = of_program(file.read())
                self.assertEqual(sorted(fds), [0, 1, 2], fds)
                self.assertEqual(len(set(fds.values())), 1, fds)

    def test_of_a_worker(self):
        with Gangerd(pool={"modules": "probe", "workers": 1}) as g, g.connect(descriptors=True) as client:
            others = [g.connect() for _ in range(5)]
            self.addCleanup(lambda: [other.close() for other in others])
            before = client.call("probe.fds")
            self.assertEqual(len(before), len(KNOWN_OF_WORKER), before)
            for (_, target), known in zip(before, KNOWN_OF_WORKER):
                self.assertRegex(target, f"^{known}")
            with tempfile.TemporaryFile() as file:
                for _ in range(20):
                    client.ask("call", "probe.head", [descriptor()], {}, fds=[file.fileno()])
                    client.call("exec", ["true"])
                during = client.ask("call", "probe.fds", [descriptor(), descriptor()], {}, fds=[file.fileno()] * 2)
                self.assertEqual(len(during), len(before) + 2, during)
            self.assertEqual(client.call("probe.fds"), before)

    def test_of_the_daemon(self):
        """What clients sent is closed when their tasks have ended."""
        with Gangerd() as g, g.connect(descriptors=True) as client:
            if os.geteuid() != 0:
                self.skipTest("only root may look at the daemon's descriptors")

            def count():
                return len(os.listdir(f"/proc/{g.pid}/fd"))
            g.all_idle()
            client.call("echo", 1)
            before = count()
            with tempfile.TemporaryFile() as file:
                for _ in range(50):
                    client.ask("call", "digest.sha256", [descriptor()], {}, fds=[file.fileno()])
                    client.outcome(client.start("call", "no.such", [descriptor()], {}, fds=[file.fileno()]))
                id = client.ask("submit", "digest.sha256", [descriptor()] * 3, {"delay": 100}, fds=[file.fileno()] * 3)
            self.assertGreaterEqual(count(), before + 3)
            client.ask("cancel", id)
            eventually(lambda: count() <= before)


if __name__ == "__main__":
    main()
