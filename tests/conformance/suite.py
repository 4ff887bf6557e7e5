# SPDX-License-Identifier: MIT
"""The cases, how they are run and counted, and what of PROTOCOL.md they have exercised.

A case is a function of a Trial. Only the Trial's compare() and refused() count as exercising a method or an error code, and only
when what came was in full what was wanted.
"""
import os
import pathlib
import re
import signal
import sys
import time
import traceback

from expect import mismatch, refusal
from identity import seen_as
from wire import Client, Refused

CASE_BOUND = 90  # seconds
CASES = []


class Skipped(Exception):
    """The case cannot be run here; says why."""


class Wrong(Exception):
    """What came is not what was wanted."""


class OutOfTime(BaseException):
    """A case took longer than any may."""


def case(function):
    """Registers a case under its function's name."""
    CASES.append(function)
    return function


class Trial:
    """What a case works with: the sockets, connections that are closed after it, comparisons that are counted."""

    def __init__(self, sockets):
        self.sockets = sockets  # role -> path; "plain" is always there
        self.clients = []
        self.fds = []  # closed after the case
        self.methods = set()  # compared in full
        self.codes = set()

    def socket(self, role):
        if not self.sockets.get(role):
            raise Skipped(f"needs --{role} SOCKET")
        return self.sockets[role]

    def connect(self, role="plain", **options):
        client = Client(self.socket(role), **options)
        self.clients.append(client)
        return client

    def connect_as(self, role, uid, gid=None, groups=(), **options):
        """A connection of another user, for the server sees who connects."""
        if os.geteuid() != 0:
            raise Skipped("only root can be another user")
        with seen_as(uid, groups, gid):
            try:
                return self.connect(role, **options)
            except PermissionError as error:
                raise Skipped("the socket's directory is closed to others") from error

    def ask_fd(self, client, method, *params):
        """The result, and the one descriptor that comes with it, which is closed after the case."""
        result, fd = client.ask_fd(method, *params)
        self.fds.append(fd)
        return result, fd

    def close(self):
        for client in self.clients:
            client.close()
        for fd in self.fds:
            os.close(fd)
        self.clients, self.fds = [], []

    def match(self, got, want, where="it"):
        if wrong := mismatch(got, want, where):
            raise Wrong(wrong)

    def compare(self, client, want, method, *params, fds=()):
        """A request whose whole answer is compared. Returns it."""
        return self.compare_answer(client, want, method, client.start(method, *params, fds=fds))

    def compare_answer(self, client, want, method, msgid):
        got = client.finish(msgid)
        self.match(got, want, method)
        self.methods.add(method)
        return got

    def refused(self, client, want, method, *params, fds=()):
        """A request that ends in an error, compared in full (a code alone: that, and a message). Returns it."""
        return self.refused_answer(client, want, client.start(method, *params, fds=fds))

    def refused_answer(self, client, want, msgid):
        want = refusal(want) if isinstance(want, str) else want
        error, result = client.outcome(msgid)
        if error is None:
            raise Wrong(f"no error, but {result!r}; wanted {want['code']}")
        self.match(error, want, "the error")
        self.codes.add(want["code"])
        return error

    def ended_by_error(self, client, want):
        """The peer says why and closes the connection."""
        want = refusal(want) if isinstance(want, str) else want
        self.match(client.end_of_file(), [want], "what the peer said before it closed")
        self.codes.add(want["code"])


def section(text, heading):
    """The lines below a heading, up to the next one of its rank or higher."""
    rank = heading.split(" ")[0]
    lines = iter(text.splitlines())
    for line in lines:
        if line == heading:
            break
    else:
        raise Wrong(f"the protocol's text has no {heading!r}")
    kept = []
    for line in lines:
        if re.match(r"#+ ", line) and len(line.split(" ")[0]) <= len(rank):
            break
        kept.append(line)
    return kept


def methods_of(text):
    lines = section(text, "### Methods") + section(text, "### Shared state")
    return [line[5:] for line in lines if re.fullmatch(r"#### [a-z_.]+", line)]


def codes_of(text):
    rows = [re.match(r"\| `(\w+)` \|", line) for line in section(text, "### Error codes")]
    return [row.group(1) for row in rows if row]


class Report:
    def __init__(self, verbose):
        self.verbose = verbose
        self.passed = self.failed = self.skipped = 0
        self.skipped_names = set()

    def line(self, verdict, name, text=""):
        setattr(self, verdict, getattr(self, verdict) + 1)
        word = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}[verdict]
        print(f"{word:4} {name}{': ' if text else ''}{text}", flush=True)


def out_of_time(*_):
    raise OutOfTime(f"took longer than {CASE_BOUND} s")


def run_case(function, trial, report):
    began = time.monotonic()
    name = function.__name__
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(CASE_BOUND)
    try:
        function(trial)
    except Skipped as why:
        report.line("skipped", name, str(why))
        report.skipped_names.add(name)
        return
    except (Exception, OutOfTime) as error:
        if report.verbose:
            traceback.print_exc(file=sys.stdout)
        place = traceback.extract_tb(error.__traceback__)
        at = next((f"{pathlib.Path(f.filename).name}:{f.lineno}" for f in reversed(place) if "cases" in f.filename), "")
        told = f" {error.error}" if report.verbose and isinstance(error, Refused) else ""
        report.line("failed", name, f"{at} {type(error).__name__}: {error}{told}")
        return
    finally:
        signal.alarm(0)
        trial.close()
    report.line("passed", name, f"{(time.monotonic() - began) * 1000:.0f} ms" if report.verbose else "")


def report_coverage(report, trial, text):
    """Each method and each code of the protocol's text is a line of its own: exercised; or skipped, if the case of that name was;
    or a failure."""
    for kind, wanted, seen in (("method", methods_of(text), trial.methods), ("code", codes_of(text), trial.codes)):
        if len(wanted) < 10:
            report.line("failed", f"{kind}s of the protocol's text", f"only {len(wanted)} were found in it")
        for name in wanted:
            if name in seen:
                report.line("passed", f"{kind} {name}")
            elif name in report.skipped_names:
                report.line("skipped", f"{kind} {name}", "its case was")
            else:
                report.line("failed", f"{kind} {name}", "PROTOCOL.md names it, and no case exercised it")
