# SPDX-License-Identifier: MIT
"""Tasks that are sent ahead: none waits behind a long one while another worker could take it, none is lost with the worker that had
it. Short; the whole if GANGER_TEST_LONG is set. GANGER_SEED repeats the choices."""
import os
import pathlib
import random
import sys
import tempfile
import time
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from gangerd import Gangerd, eventually, main  # noqa: E402
from killing import kill_at_random  # noqa: E402
from long_and_short import LONG_RUN, learn, mix  # noqa: E402

LONG = bool(os.environ.get("GANGER_TEST_LONG"))
SEED = int(os.environ.get("GANGER_SEED", random.randrange(2**32)))
MIXES = 10000 if LONG else 60
KILLS = 10000 if LONG else 100
HELD_UP = 0.010  # seconds; the promise. The test fails beyond ten times it.


class LongAndShort(unittest.TestCase):
    def test_none_waits_while_a_worker_is_idle(self):
        choose = random.Random(SEED)
        latest = []
        with Gangerd() as g, g.connect() as client:
            g.all_idle()  # the worker beside the long task's
            for _ in range(MIXES):
                learn(client)
                latest.append(mix(client, choose))
            g.all_idle()
        latest.sort()
        print(f"seed {SEED}: {MIXES} mixes, the last of the short tasks after: p50 {latest[MIXES // 2] * 1e3:.1f} ms, "
              f"max {latest[-1] * 1e3:.1f} ms")
        self.assertLess(latest[-1], 10 * HELD_UP + 0.1)
        self.assertLess(latest[MIXES // 2], 10 * HELD_UP)

    def test_none_waits_longer_than_for_the_next_worker(self):
        """One worker, and it is at a long task: what was ahead goes on, in order, as soon as there is a place."""
        with Gangerd(pool={"workers": 1, "min_workers": 1, "max_workers": 2, "idle_timeout": 60}) as g, g.connect() as client, g.connect() as other:
            for msgid in [client.start("call", "sleep", [0], {}) for _ in range(50)]:
                client.finish(msgid)
            ids = [client.start("call", "sleep", [LONG_RUN if i == 0 else 0], {"label": f"{i}"}) for i in range(30)]
            eventually(lambda: other.ask("tasks", {"state": "running"}))
            time_of_one = time.monotonic()
            other.ask("pool.scale", "default", 2)
            for msgid in ids[1:]:
                client.finish(msgid, LONG_RUN)
            print(f"29 short tasks behind a long one, with a new worker: {(time.monotonic() - time_of_one) * 1e3:.1f} ms")
            client.finish(ids[0])
            g.all_idle()


class Killed(unittest.TestCase):
    def test_nothing_that_is_done_is_lost(self):
        """Workers are killed with 64 tasks before them. Each task writes a line as its last act: none has two, none that succeeded
        has none, and of those with a line a death takes at most the one whose result had not left."""
        with tempfile.NamedTemporaryFile() as file, \
                Gangerd(daemon={"history": 100}, pool={"modules": "notes"}) as g, g.connect() as client, g.connect() as watcher:
            found = kill_at_random(client, watcher, file.name, KILLS, random.Random(SEED))
            g.all_idle()
        print(f"seed {SEED}: {found.n} tasks, {found.n_killed} kills, {len(found.failed)} tasks lost, {len(found.with_line())} of them between line and result")
        self.assertEqual({number for number, count in found.lines.items() if count != 1}, set())
        self.assertEqual(found.succeeded - set(found.lines), set())
        self.assertEqual(len(found.succeeded) + len(found.failed), found.n)
        self.assertLessEqual(found.most_at_once(found.failed), 1, "a death costs one task")
        self.assertLessEqual(len(found.failed), found.n_killed)


if __name__ == "__main__":
    main()
