# SPDX-License-Identifier: MIT
"""Work is parallel: two workers use at least 1.7 times the processor that one uses, on digests of a large file."""
import os
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main, scheduled_seconds  # noqa: E402

SIZE = 48 << 20
N = 16
TRIES = 4


def processors(workers, path):
    """Processor time of the workers ÷ wall time, while N digests are made; and the same with the time that they waited for a
    processor which others used."""
    with Gangerd(pool={"workers": workers}) as g, g.connect(bound=60) as client:
        pids = [worker["pid"] for worker in g.all_idle()["workers"]]
        client.call("digest.sha256", path)  # the file is in memory now
        before, began = [scheduled_seconds(pid) for pid in pids], time.monotonic()
        answer = client.ask("map", "digest.sha256", [[path]] * N, {"chunk": 1})
        wall = time.monotonic() - began
        assert answer["succeeded"] == N, answer
        ran, waited = (sum(after) - sum(first) for after, first in zip(zip(*map(scheduled_seconds, pids)), zip(*before)))
        return ran / wall, (ran + waited) / wall


class Parallel(unittest.TestCase):
    def test_two_workers_use_two_processors(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("needs two processors")
        with tempfile.NamedTemporaryFile() as file:
            file.write(os.urandom(1 << 20) * (SIZE >> 20))
            file.flush()
            for _ in range(TRIES):  # others may use the machine
                (used_1, wanted_1), (used_2, wanted_2) = (processors(workers, file.name) for workers in (1, 2))
                print(f"processors used: {used_1:.2f} with one worker, {used_2:.2f} with two, {used_2 / used_1:.2f} times; "
                      f"used or waited for: {wanted_1:.2f} and {wanted_2:.2f}, {wanted_2 / wanted_1:.2f} times")
                if used_2 / used_1 >= 1.7:
                    return
        self.assertGreaterEqual(wanted_2 / wanted_1, 1.7, "and others did not use the machine")


if __name__ == "__main__":
    main()
