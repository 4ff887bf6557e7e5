# SPDX-License-Identifier: MIT
"""System calls of a process that fail, put in by strace; and what a test of that needs to see: requests and how each of them came out.

Which call fails is strace's `when`: "3" the third one, "3+" the third and all after it, "3+7" every seventh from there. It counts
for each process on its own."""
import os
import select
import shutil
import subprocess
import time

from wire import Closed, Refused, TooLate

LONG = os.environ.get("GANGER_TEST_LONG") == "1"
BOUND = 15
IS_THERE = shutil.which("strace") is not None


def injection(calls, error, when):
    return ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]


class Strace:
    """with Strace(pids, calls, error, when): the calls of those processes, and of those that they fork, fail."""

    def __init__(self, pids, calls, error, when):
        which = [word for pid in pids for word in ("-p", str(pid))]
        # Without -f only the first thread is meant: gangerd's helpers are not what fails here.
        follow = ["-f"] if len(pids) > 1 else []
        self.command = ["strace", *follow, *which, "-o", "/dev/null", *injection(calls, error, when)]
        self.n_pids = len(pids)
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said, end = b"", time.monotonic() + BOUND
        while said.count(b"attached") < self.n_pids:
            left = max(0, end - time.monotonic())
            more = os.read(self.process.stderr.fileno(), 4096) if select.select([self.process.stderr], [], [], left)[0] else b""
            said += more
            if not more:
                self.end()
                raise AssertionError(f"strace did not attach: {said.decode(errors='replace')}")
        return self

    def end(self):
        """The fault is over."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def __exit__(self, *_):
        self.end()


class Requests:
    """Requests of several clients under way, none of which is waited for before all are sent."""

    def __init__(self):
        self.open = []  # (client, msgid, name)
        self.outcomes = []  # (name, how it came out, the result)

    def send(self, client, name, method, *params, fds=()):
        """A client that could not connect (None) was turned away."""
        try:
            if client is None:
                raise Closed("turned away")
            self.open.append((client, client.start(method, *params, fds=fds), name))
        except Closed:
            self.outcomes.append((name, "dropped", None))

    def settle(self, bound):
        """Waits until each of them came to an end, or for so long. Returns whether all did."""
        end = time.monotonic() + bound
        while self.open:
            client, msgid, name = self.open[0]
            try:
                error, result = client.outcome(msgid, max(0, end - time.monotonic()))
                self.outcomes.append((name, "answered" if error is None else error["code"], result))
                for fd in client.fds.pop(msgid, ()):
                    os.close(fd)
            except Closed:
                self.outcomes.append((name, "dropped", None))
            except TooLate:
                return False
            del self.open[0]
        return True

    def names(self):
        return [name for _, _, name in self.open]

    def results(self, name):
        return [result for its, how, result in self.outcomes if its == name and how == "answered"]


def connected(gangerd, **options):
    """A client; None: it was turned away."""
    try:
        return gangerd.connect(**options)
    except (Closed, Refused, ConnectionError):
        return None
