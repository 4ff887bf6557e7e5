# SPDX-License-Identifier: MIT
"""The rows of README.md's table **From multiprocessing**, and how their lines are run."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from gangerd import CLI, SOURCE, Gangerd, children, environment, eventually, name_of
from in_python import outcome

sys.path.insert(0, str(SOURCE / "client" / "examples"))
from ganger_client import Ganger  # noqa: E402


def code(cell):
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", cell)]


class Row:
    def __init__(self, line):
        name, python, ganger, python_killed, ganger_killed = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        self.name, self.python, self.ganger = name.strip("`"), code(python), code(ganger)
        self.python_killed, self.ganger_killed = python_killed.split("; "), ganger_killed.split("; ")


def table():
    text = (SOURCE / "README.md").read_text(encoding="utf-8").partition("## From multiprocessing\n")[2].partition("\n## ")[0]
    rows = [Row(line) for line in text.splitlines() if line.startswith("|")][2:]
    return {row.name: row for row in rows}


ROWS = table()
runners = {}  # row -> the test that runs it


def runs(name):
    def remember(method):
        runners[name] = method.__name__

        def run(self):
            self.row = ROWS[name]
            self.shown = set()
            method(self)
            self.assertEqual(self.shown, {*self.row.python_killed, *self.row.ganger_killed}, "a claim that is not shown")
        run.__name__ = method.__name__
        return run
    return remember


class Lines(unittest.TestCase):
    daemon, pool, more = {}, {}, ""

    def setUp(self):
        self.g = self.enterContext(Gangerd(self.daemon, self.pool, self.more))
        self.here = self.enterContext(tempfile.TemporaryDirectory(prefix="ganger-from."))

    # -- Python's side

    def python(self, scene, gives, claims=None):
        """What the row's line gives; `claims`: what the row says of one that is killed -> what the line gives then."""
        self.assertEqual(outcome(scene, self.row.python), repr(gives))
        for claim, found in (claims or {}).items():
            self.claims("python_killed", claim)
            scene, found = found if isinstance(found, tuple) else (scene, found)
            self.assertEqual(outcome(scene, self.row.python, True), found, claim)

    def claims(self, column, claim):
        self.assertIn(claim, getattr(self.row, column))
        self.shown.add(claim)

    # -- ganger's side

    @contextlib.contextmanager
    def started(self, line, stdout=subprocess.PIPE, **variables):
        """A line of the table on its way. The shell becomes the command where it is only one."""
        surroundings = environment(PATH=f"{CLI.parent}:{os.environ['PATH']}", GANGER_SOCKET=self.g.socket, **variables)
        one = "|" not in line and "&" not in line
        process = subprocess.Popen(["sh", "-c", f"exec {line}" if one else line], cwd=self.here, env=surroundings, stdin=subprocess.DEVNULL,
                                   stdout=stdout, stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=20)

    def says(self, line, out="", status=0, err="", **variables):
        """Runs it to its end."""
        with self.started(line, **variables) as process:
            self.ends(process, out, status, err)

    def ends(self, process, out="", status=0, err=""):
        found = process.communicate(timeout=20)
        self.assertEqual((process.returncode, found[0]), (status, out), found[1])
        self.assertRegex(found[1], err if err else "^$")

    def kill_worker(self, program="sleep"):
        """Of the one whose program runs: its task has begun, or it would be another one's now. What is said of it."""
        def look():
            pids = [w["pid"] for w in self.g.status()["workers"] if w["state"] == "busy"]
            return [pid for pid in pids if any(name_of(child).startswith(program + "\0") for child in children(pid))]
        [pid] = eventually(look)
        os.kill(pid, signal.SIGKILL)
        return f"worker {pid} was killed by signal 9 .SIGKILL. from outside"

    def submitted(self, line):
        with self.started(line) as process:
            out, _ = process.communicate(timeout=20)
            self.assertRegex(out, r"^\d+\n$")
        return out.strip()

    def object(self, name):
        with self.g.connect() as client:
            return next((record for record in client.ask("shared.list") if record["name"] == name), {})

    def waits(self, name, n=1):
        eventually(lambda: self.object(name).get("waiting") == n)

    def killed(self, line, until, **options):
        """Runs a line and kills who runs it, when `until` says so."""
        with self.started(line, **options):
            eventually(until)

    def connected(self):
        """The client that the table names."""
        g = Ganger(self.g.socket)
        self.addCleanup(g.socket.close)
        return g

    def ganger_claim(self, claim):
        self.claims("ganger_killed", claim)
