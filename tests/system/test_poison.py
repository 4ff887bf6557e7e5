# SPDX-License-Identifier: MIT
"""Three items of ten thousand end their workers: the others all have their results, and each of them ran exactly once."""
import collections
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main  # noqa: E402

N = 10000
POISON = {100: ("ABRT", 6, "worker"), 5000: ("KILL", 9, "outside"), N - 1: ("SEGV", 11, "worker")}  # record: signal, ended_by
ITEMS = [POISON[i][0] if i in POISON else str(i) for i in range(N)]
GOOD = [item for i, item in enumerate(ITEMS) if i not in POISON]


class Poison(unittest.TestCase):
    def mapped(self, *options, json_lines=False):
        """Maps the items on a daemon of its own. Returns the lines on both outputs, and how often each item ran."""
        with tempfile.TemporaryDirectory() as directory, \
                Gangerd(pool={"modules": "probe", "env": f"PROBE_COUNTED={directory}/counted"}) as g:
            arguments = [*(["--json"] if json_lines else []), "map", "-s", "-r", *options, "probe.counted"]
            stdin = os.memfd_create("items")
            os.write(stdin, "".join(f"{item}\n" for item in ITEMS).encode())
            os.lseek(stdin, 0, os.SEEK_SET)
            done = g.ganger(*arguments, stdin=stdin)
            os.close(stdin)
            self.assertEqual(done.returncode, 123, done.stderr)
            totals = g.all_idle()["totals"]
            self.assertEqual((totals["submitted"], totals["succeeded"], totals["failed"]), (N, N - 3, 3))
            with open(f"{directory}/counted", encoding="ascii") as counted:
                runs = collections.Counter(counted.read().splitlines())
        return done.stdout.decode().splitlines(), done.stderr.decode().splitlines(), runs

    def ran_once(self, runs, poison_runs=1):
        again = {item: n for item, n in runs.items() if n != (poison_runs if item in ("ABRT", "KILL", "SEGV") else 1)}
        self.assertEqual((again, set(ITEMS) - set(runs)), ({}, set()))

    def check_json(self, lines):
        records = [json.loads(line) for line in lines]
        self.assertEqual(sorted((record["index"], record["item"]) for record in records), list(enumerate(ITEMS)))
        for record in records:
            if "error" in record:
                error = record["error"]
                self.assertEqual((error["code"], record["item"], error["signal"], error["ended_by"]),
                                 ("worker_lost", *POISON[record["index"]]))
                self.assertEqual(error["index"], record["index"])
            else:
                self.assertEqual(record["result"], record["item"])
        self.assertEqual(sorted(record["index"] for record in records if "error" in record), sorted(POISON))
        return records

    def test_any_order(self):
        out, err, runs = self.mapped()
        self.assertEqual(sorted(out), sorted(GOOD))
        self.assertEqual([line.split(":")[1].strip() for line in sorted(err) if " item " in line],
                         sorted(f"item {i} ({name})" for i, (name, *_) in POISON.items()))
        self.assertEqual(err[-1], f"ganger: 3 of {N} items failed")
        self.ran_once(runs)

    def test_input_order(self):
        out, err, runs = self.mapped("-k")
        self.assertEqual(out, GOOD)
        self.assertEqual(len(err), 4, err)
        self.ran_once(runs)

    def test_records(self):
        out, _, runs = self.mapped(json_lines=True)
        self.check_json(out)
        self.ran_once(runs)

    def test_records_in_input_order(self):
        out, _, runs = self.mapped("-k", json_lines=True)
        self.assertEqual([record["index"] for record in self.check_json(out)], list(range(N)))
        self.ran_once(runs)

    def test_tried_again(self):
        """Only what ended its worker is tried again, as often as was said."""
        out, _, runs = self.mapped("-k", "--retries", "2", "--backoff", "10ms", json_lines=True)
        for record in self.check_json(out):
            self.assertEqual(record.get("error", {"attempt": 3})["attempt"], 3)
        self.ran_once(runs, poison_runs=3)


if __name__ == "__main__":
    main()
