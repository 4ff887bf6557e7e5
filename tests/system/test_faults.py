# SPDX-License-Identifier: MIT
"""System calls of gangerd fail, put in by strace: of each kind the n-th one, with each error that the kernel could give. Whatever
fails, gangerd neither crashes nor hangs nor loses a task that it accepted; each client gets its answer, a clear error, or the end of
its connection; and when it is over, everything is as before. (Allocations that fail: tests/fuzz/fault_allocations.c.)"""
import os
import select
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main, sanitized, sums_hold  # noqa: E402
from wire import Closed, Refused, descriptor  # noqa: E402

LONG = os.environ.get("GANGER_TEST_LONG") == "1"
FAULTS = {
    "accept4": ("EMFILE", "ENOMEM", "EINTR", "EAGAIN"),
    "recvmsg": ("EINTR", "EAGAIN", "ENOMEM"),
    "sendmsg,sendto": ("EINTR", "EAGAIN", "ENOMEM"),
    "socketpair": ("EMFILE", "ENOMEM"),
    "memfd_create": ("EMFILE", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "clone,clone3": ("EAGAIN", "ENOMEM"),
    "epoll_ctl": ("ENOMEM",),
}
# Which one fails, as strace counts them: the n-th; with + every so many from there. Not every second or third one: that can be one
# in each caller's connecting, and nobody would get in.
WHEN = [str(n) for n in range(1, 16)] + ["2+7", "3+11"] if LONG else ["1", "2", "2+7"]
BOUND = 15


class Strace:
    """with Strace(pid, calls, error, when): the calls of that process fail."""

    def __init__(self, pid, calls, error, when):
        self.command = ["strace", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}:when={when}"]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if not select.select([self.process.stderr], [], [], BOUND)[0] or b"attached" not in os.read(self.process.stderr.fileno(), 4096):
            self.end()
            raise AssertionError("strace did not attach")
        return self

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()

    def __exit__(self, *_):
        self.end()


class Caller:
    """A client that connects again when it was dropped, and counts how its requests came out."""

    def __init__(self, g):
        self.g = g
        self.client = None
        self.outcomes = {}

    def count(self, outcome):
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def connected(self):
        for _ in range(50):
            if self.client is not None:
                return self.client
            try:
                self.client = self.g.connect(descriptors=True, bound=BOUND)
            except (Closed, Refused, ConnectionError):
                self.count("turned away")
        raise AssertionError("no connection was taken in 50 attempts")

    def close(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def ask(self, method, *params, fds=()):
        """What it came to: a result, or None. A wait without an answer is the TooLate of the client."""
        client = self.connected()
        try:
            result = client.ask(method, *params, fds=fds)
            for kept in client.fds.values():
                for fd in kept:
                    os.close(fd)
            client.fds.clear()
            self.count("answered")
            return result
        except Refused as refused:
            self.count(refused.code)
        except Closed:
            self.count("dropped")
            self.close()
        return None


def running_on(client, task):
    """The pid of the worker that runs it. (While it is only sent ahead it may yet go to another.)"""
    def look():
        record = client.ask("task", task)
        return record["worker_pid"] if record["state"] == "running" else None
    return eventually(look, BOUND)


def is_lost(client, task):
    """Whether its worker's death has ended it. A worker that had not begun it yet dies without it: then the next one is killed, too."""
    record = client.ask("task", task)
    if record["state"] == "running":
        os.kill(record["worker_pid"], signal.SIGKILL)
    return record["state"] == "failed"


def scenario(caller, name):
    """Connect, call, submit, take the result, share memory, pass a descriptor, reload; gives what was accepted."""
    accepted = []
    for n in range(3):
        caller.ask("call", "echo", [b"x" * 1000])
        caller.ask("ping")
        caller.close()
    for n in range(4):
        task = caller.ask("submit", "echo", [n])
        accepted += [(n, task)] if task is not None else []
    caller.ask("shared.open", name, {"kind": "array", "type": "u8", "length": 100000})
    caller.ask("shared.unlink", name)
    with open(os.devnull, "rb") as null:
        caller.ask("call", "exec", [["cat"], {"stdin": descriptor()}], fds=[null.fileno()])
    caller.ask("pool.scale", "default", 3)
    caller.ask("pool.scale", "default", 2)
    caller.ask("reload")
    return accepted


@unittest.skipIf(shutil.which("strace") is None, "strace is not there (./dev setup --system)")
class Faults(unittest.TestCase):
    @unittest.skipIf(os.geteuid() != 0, "only root may trace gangerd: it is not dumpable")
    def test_running(self):
        total = {}
        with Gangerd(daemon={"stop_timeout": 3}) as g:
            for calls, errors in FAULTS.items():
                if calls == "mmap" and sanitized():
                    continue  # the sanitizer's own memory comes by it
                for error in errors:
                    for when in WHEN:
                        with self.subTest(f"{calls} {error} {when}"):
                            for outcome, n in self.once(g, calls, error, when).items():
                                total[outcome] = total.get(outcome, 0) + n
            self.assertTrue(sums_hold(g.all_idle()))
        print("requests under failing system calls:", ", ".join(f"{n} {outcome}" for outcome, n in sorted(total.items())))
        self.assertGreater(total["answered"], sum(n for outcome, n in total.items() if outcome != "answered"))

    def once(self, g, calls, error, when):
        caller = Caller(g)
        self.addCleanup(caller.close)
        with g.connect(bound=BOUND) as client:
            killed = client.submit("sleep", 60)
            pid = running_on(client, killed)
        try:
            with Strace(g.pid, calls, error, when):
                accepted = scenario(caller, f"{calls}{error}{when}")
                os.kill(pid, signal.SIGKILL)
                caller.ask("wait", [killed], {"timeout": 2})
                caller.ask("call", "echo", [1])
        except BaseException:
            g.show_log()
            os.kill(pid, signal.SIGKILL)  # the next ones want its place
            raise
        self.assertIsNone(g.process.poll(), "gangerd lives")
        caller.close()
        with g.connect(bound=BOUND) as client:
            for n, task in accepted:
                failed, result = client.outcome(client.start("result", task))
                if failed is None:
                    self.assertEqual(result, n)
                else:  # its worker could not be heard, and was replaced
                    self.assertEqual(failed["code"], "worker_lost")
            eventually(lambda: is_lost(client, killed), BOUND)
            failed, _ = client.outcome(client.start("result", killed))
            self.assertEqual(failed["code"], "worker_lost")
            self.assertEqual(client.call("echo", 7), 7)
        g.all_idle()
        return caller.outcomes


main()
