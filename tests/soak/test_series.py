# SPDX-License-Identifier: MIT
"""What a soak judges by finds what it is for, in series that are made up: noise is flat, a leak in it is not."""
import os
import random
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", "support"), os.path.dirname(__file__)]
from gangerd import main  # noqa: E402
from series import MIB, theil_sen, verdicts  # noqa: E402

SECONDS = 600


def rows(**changes):
    """A daemon as it should be, with noise and a burst here and there; `changes`: figure → what it is at a time, of what it was."""
    chance = random.Random(1)
    made = []
    for t in range(SECONDS):
        burst = chance.random() < 0.1
        row = {"t": t, "rss": (12 + chance.gauss(0, 1) + 40 * burst) * MIB, "pss": (10 + chance.gauss(0, 1) + 40 * burst) * MIB,
               "descriptors": 50 + chance.randrange(10) + 30 * burst, "threads": 5, "zygotes_pss": 3 * MIB, "workers_pss": chance.uniform(4, 12) * MIB,
               "p50": 0.0003 * chance.uniform(0.8, 1.3), "p99": 0.004 * chance.uniform(0.5, 3), "floor_p50": 0.00004, "floor_p99": 0.0005}
        made.append({**row, **{name: change(t, row[name]) for name, change in changes.items()}})
    made[7].update({name: None for name in ("p50", "p99", "floor_p50", "floor_p99")})  # a second in which nothing was measured
    return made


def not_flat(**changes):
    return [its.name for its in verdicts(rows(**changes)) if not its.flat]


def growing(t, was):
    """Two and a half times what it was, in the end."""
    return was * (1 + 1.5 * t / SECONDS)


class Series(unittest.TestCase):
    def test_slope_in_spite_of_bursts(self):
        points = [(t, 3.0 * t + (1e6 if t % 5 == 0 else 0)) for t in range(2000)]
        self.assertAlmostEqual(theil_sen(points), 3.0, delta=0.01)

    def test_noise_is_flat(self):
        self.assertEqual(not_flat(), [])

    def test_less_is_flat(self):
        self.assertEqual(not_flat(rss=lambda t, was: was * (1 - t / 2 / SECONDS), p50=lambda t, was: was * (1 - t / 2 / SECONDS)), [])

    def test_leak_of_8_kib_a_second(self):
        self.assertEqual(not_flat(rss=lambda t, was: was + t * 8192), ["its lows, MiB"])

    def test_leak_of_descriptors(self):
        self.assertEqual(not_flat(descriptors=lambda t, was: was + t // 30), ["descriptors"])

    def test_leak_of_threads(self):
        self.assertEqual(not_flat(threads=lambda t, was: was + t // 100), ["threads"])

    def test_calls_grow_slower(self):
        self.assertEqual(not_flat(p50=growing), ["call p50, ms"])
        self.assertEqual(not_flat(p99=growing), ["call p99, ms"])

    def test_slower_machine_is_no_slower_daemon(self):
        self.assertEqual(not_flat(p50=growing, floor_p50=growing), [])

    def test_short_run_finds_what_is_wrong_by_far(self):
        self.assertEqual([its.name for its in verdicts(rows(rss=growing, p50=growing)[:60], roughly=True) if not its.flat], [])
        tenfold = verdicts([{**row, "rss": row["rss"] * (1 + row["t"]), "p50": 0.0003 * (1 + row["t"])} for row in rows()[8:68]], roughly=True)
        self.assertEqual([its.name for its in tenfold if not its.flat], ["gangerd RSS, MiB", "its lows, MiB"])


if __name__ == "__main__":
    main()
