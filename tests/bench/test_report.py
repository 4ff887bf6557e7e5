# SPDX-License-Identifier: MIT
"""The README's table of measurements: only what stands between its markers changes, and only by a whole run."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import report  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parent.parent / "README.md"
ROW = {"measured": "echo", "ganger": "1.00 µs", "beside": "0.50 × the floor", "to reach": "≤ 1 × the floor", "reached": "yes"}
FOUND = {"about": ["a day, a machine", "its versions"], "only": "", "rows": [ROW, {**ROW, "measured": "other"}], "figures": {}}


class Report(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ganger-report.")))
        self.readme = self.directory / "README.md"

    def run_on(self, text, found):
        self.readme.write_text(text, encoding="utf-8")
        if found is not None:
            (self.directory / "figures.json").write_text(json.dumps(found), encoding="utf-8")
        return subprocess.run([sys.executable, HERE / "report.py", self.directory, self.readme], capture_output=True, text=True, timeout=60, check=False)

    def test_writes_between_the_markers(self):
        text = README.read_text(encoding="utf-8")
        before, after = text.partition(report.BEGIN)[0], text.partition(report.END)[2]
        for _ in range(2):  # and once more over what it wrote itself
            done = self.run_on(text, FOUND)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            text = self.readme.read_text(encoding="utf-8")
            self.assertEqual(text.partition(report.BEGIN)[0], before)
            self.assertEqual(text.partition(report.END)[2], after)
            self.assertEqual(text.partition(report.BEGIN)[2].partition(report.END)[0].splitlines(), [
                "", "a day, a machine", "its versions", "",
                "| measured | ganger | beside | to reach | reached |", "|---|---|---|---|---|",
                "| echo | 1.00 µs | 0.50 × the floor | ≤ 1 × the floor | yes |", "| other | 1.00 µs | 0.50 × the floor | ≤ 1 × the floor | yes |"])

    def test_refuses(self):
        both = f"{report.BEGIN}\n{report.END}\n"
        for text, found, why in ((both, {**FOUND, "only": "map"}, "measured only"), (both, None, "there is no"), ("none\n", FOUND, "no place"),
                                 (f"{report.END}\n{report.BEGIN}\n", FOUND, "no place"), (both + both, FOUND, "no place")):
            with self.subTest(why=why):
                (self.directory / "figures.json").unlink(missing_ok=True)
                done = self.run_on(text, found)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr)
                self.assertEqual(self.readme.read_text(encoding="utf-8"), text)


if __name__ == "__main__":
    unittest.main()
