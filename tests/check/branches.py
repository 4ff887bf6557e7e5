#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which lines and branches of scanner and core the tests have taken, of a build with -Db_coverage=true whose tests have run.

    branches.py BUILD

Fails unless every branch of the scanner, the accounts and the task states is taken, and names each that is not. What an assertion
does when it does not hold is no branch to take; nor is what a switch without a default does with what is no value of its enum
(-Wswitch-enum sees to it that each value has a case). The rest of the core is printed beside, to be looked at.

Assertions are left out here, by their text, and not by building with -DNDEBUG: they stay on in release builds, so what is
measured is what is delivered, and a test that breaks one fails.

What counts is what was linked into the two libraries: the same sources compiled with a seeded bug, in the simulator's own tests,
have counters of their own, elsewhere.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ("proto/libproto.a.p", "daemon/core/libcore.a.p")

# Scanner, accounts, task states: from the first byte of a request to the end of a task.
REQUIRED = """
proto/head.h proto/scan.c
daemon/core/account.c
daemon/core/map.c daemon/core/map_item.c daemon/core/nested.c daemon/core/queue.c daemon/core/retry.c daemon/core/run.c
daemon/core/run_lost.c daemon/core/task.c daemon/core/task.h daemon/core/task_event.c
""".split()

Line = collections.namedtuple("Line", "number count branches")


def measured(build):
    """{file: [Line]}, without the branches of assertions."""
    places = [str(build / its) for its in LIBRARIES]
    command = ["gcovr", "--root", str(ROOT), "--json", "--exclude-unreachable-branches", *places]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if report.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{report.stderr}")
    found = {}
    for file in json.loads(report.stdout)["files"]:
        text = (ROOT / file["file"]).read_text(encoding="utf-8").splitlines()
        lines = found[file["file"]] = []
        for its in (line for line in file["lines"] if not line["gcovr/noncode"]):
            branches = [branch["count"] for branch in its["branches"]]
            lines.append(Line(its["line_number"], its["count"], to_be_taken(text, its["line_number"] - 1, branches)))
    return found


def to_be_taken(text, at, branches):
    if re.search(r"\bassert\(", text[at]):
        return []
    switch = re.match(r"( *)switch \(", text[at])
    if not switch:
        return branches
    end = text.index(switch[1] + "}", at)
    has_default = any(line.startswith(switch[1] + "default:") for line in text[at:end])
    return branches if has_default else branches[:-1]  # the compiler puts that one last


def table(found):
    print(f"{'':34}{'lines':>6} {'taken':>6} {'':>7} {'branches':>9} {'taken':>6}")
    shown = [file for file in found if file in REQUIRED or file.startswith("daemon/core/")]
    for file in sorted(shown, key=lambda its: (its not in REQUIRED, its)):
        lines = found[file]
        taken = sum(line.count > 0 for line in lines)
        branches = [count for line in lines for count in line.branches]
        taken_branches = sum(count > 0 for count in branches)
        mark = "*" if file in REQUIRED else " "
        print(f"{mark} {file:32}{len(lines):6} {taken:6} {percent(taken, len(lines))} {len(branches):9} {taken_branches:6} "
              f"{percent(taken_branches, len(branches))}")
    print("* every branch has to be taken")


def percent(part, whole):
    return f"{100 * part / whole:5.1f} %" if whole else f"{'':7}"


def judge(file, lines):
    """How many branches of the file are not taken; each is named."""
    text = (ROOT / file).read_text(encoding="utf-8").splitlines()
    missing = 0
    for line in lines:
        for nth, count in enumerate(line.branches, 1):
            if count == 0:
                missing += 1
                print(f"{file}:{line.number}: branch {nth} of {len(line.branches)} is not taken: {text[line.number - 1].strip()}")
    return missing


def main():
    found = measured(pathlib.Path(sys.argv[1]).resolve())
    table(found)
    failed = 0
    for file in REQUIRED:
        if file not in found:
            print(f"{file}: nothing of it was measured")
            failed += 1
        elif judge(file, found[file]):
            failed += 1
    print(f"{len(REQUIRED) - failed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
