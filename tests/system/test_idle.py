# SPDX-License-Identifier: MIT
"""A daemon with nothing to do sleeps. Some seconds; more if GANGER_TEST_LONG is set."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from sleeping import switches, system_calls  # noqa: E402

SETTLED_SECONDS = 6
IDLE_SECONDS = 10 if os.environ.get("GANGER_TEST_LONG") else 4


@unittest.skipUnless(shutil.which("strace"), "strace is not here: nobody can see whether it sleeps")
@unittest.skipUnless(os.geteuid() == 0, "only root may trace gangerd: it is not dumpable")
class Idle(unittest.TestCase):
    def test_sleeps(self):
        """Nothing wakes gangerd in all the seconds after its work is done, its helpers have ended and the memory is given back."""
        with Gangerd() as g, g.connect() as client:
            for msgid in [client.start("call", "echo", [i], {}) for i in range(1000)]:
                client.finish(msgid)
            g.all_idle()
            eventually(lambda: not system_calls([g.pid], SETTLED_SECONDS), 40)
            before = switches(g.pid)
            self.assertEqual(system_calls([g.pid], IDLE_SECONDS), [])
            client.call("echo", 1)
            print(f"no system call in {IDLE_SECONDS} s; {switches(g.pid) - before} switches, those for the tracer and a call included")


if __name__ == "__main__":
    main()
