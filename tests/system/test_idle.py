# SPDX-License-Identifier: MIT
"""A daemon with nothing to do sleeps. Some seconds; more if GANGER_TEST_LONG is set."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402

SETTLED_SECONDS = 6
IDLE_SECONDS = 10 if os.environ.get("GANGER_TEST_LONG") else 4


def switches(pid):
    """How often the threads of a process gave up or lost their processor."""
    n = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        n += sum(int(line.split()[1]) for line in status.read_text().splitlines() if "ctxt_switches" in line)
    return n


@unittest.skipUnless(shutil.which("strace"), "strace is not here: nobody can see whether it sleeps")
class Idle(unittest.TestCase):
    def calls(self, pid, seconds):
        """The system calls that ended in any thread of a process within so many seconds: of one that sleeps, none does."""
        with tempfile.NamedTemporaryFile("r") as file:
            tracer = subprocess.run(["timeout", "--signal=INT", str(seconds), "strace", "-qq", "-f", "-o", file.name, "-p", str(pid)],
                                    check=False, stderr=subprocess.PIPE)
            self.assertIn(tracer.returncode, (124, 130), tracer.stderr)
            return [line for line in file.read().splitlines() if " = " in line]

    def test_sleeps(self):
        """Nothing wakes gangerd in all the seconds after its work is done, its helpers have ended and the memory is given back."""
        with Gangerd() as g, g.connect() as client:
            for msgid in [client.start("call", "echo", [i], {}) for i in range(1000)]:
                client.finish(msgid)
            g.all_idle()
            eventually(lambda: not self.calls(g.pid, SETTLED_SECONDS), 40)
            before = switches(g.pid)
            self.assertEqual(self.calls(g.pid, IDLE_SECONDS), [])
            client.call("echo", 1)
            print(f"no system call in {IDLE_SECONDS} s; {switches(g.pid) - before} switches, those for the tracer and a call included")


if __name__ == "__main__":
    main()
