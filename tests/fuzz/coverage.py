#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much of scanner and decoder the kept corpora reach by replay alone: every measured file at least 95 % of its lines.

    coverage.py HARNESS:CORPUS...

A harness was compiled with --coverage where it counts. What one of them reached counts for all. Lines that say what cannot be
(an assertion of nothing but a text, and what follows it to please the compiler) are left out.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LEAST = 0.95


def cannot_be(lines):
    out = set()
    for number, line in enumerate(lines, 1):
        if re.search(r'assert\(!"', line):
            out |= {number, number + 1}
    return out


def reached(harness, corpus, scratch):
    """{file: {line: count}} of one replay."""
    run = subprocess.run([harness, corpus], env={**os.environ, "GCOV_PREFIX": scratch}, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{harness} {corpus} failed:\n{run.stderr}")
    found = {}
    for data in pathlib.Path(scratch).rglob("*.gcda"):  # below it, each has the path of the object that was compiled to count
        shutil.copy(pathlib.Path("/", data.relative_to(scratch)).with_suffix(".gcno"), data.parent)
        text = subprocess.run(["gcov", "--json-format", "--stdout", data.name], cwd=data.parent, capture_output=True, text=True, check=True).stdout
        for line in text.splitlines():
            for file in json.loads(line)["files"]:
                counts = found.setdefault(os.path.basename(file["file"]), {"path": file["file"], "lines": {}})["lines"]
                for its in file["lines"]:
                    counts[its["line_number"]] = counts.get(its["line_number"], 0) + its["count"]
    return found


def main():
    total = {}
    measured = os.environ["MEASURED"].split()
    for argument in sys.argv[1:]:
        harness, corpus = argument.rsplit(":", 1)
        with tempfile.TemporaryDirectory() as scratch:
            for name, its in reached(harness, corpus, scratch).items():
                counts = total.setdefault(name, {})
                for number, count in its["lines"].items():
                    counts[number] = counts.get(number, 0) + count
    bad = 0
    for path in map(pathlib.Path, measured):
        left_out = cannot_be(path.read_text().splitlines())
        counts = {n: c for n, c in total.get(path.name, {}).items() if n not in left_out}
        hit = sum(c > 0 for c in counts.values())
        share = hit / len(counts) if counts else 0.0
        bad += share < LEAST
        missing = ", ".join(str(n) for n, c in sorted(counts.items()) if c == 0)
        print(f"{path.name}: {100 * share:.1f} % of {len(counts)} lines" + (f"; not {missing}" if missing else ""))
    print(f"{len(measured) - bad} passed, {bad} failed")
    sys.exit(bad != 0)


main()
