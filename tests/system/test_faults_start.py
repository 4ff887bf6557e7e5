# SPDX-License-Identifier: MIT
"""System calls of a starting and of a stopping gangerd fail, and those of a starting zygote, put in by strace: the n-th of each kind.
gangerd starts and serves, or it ends with a status that is not 0 and one line that says what failed and what helps; then neither the
socket nor its lock nor any process is left. A shortage is never taken for a wrong configuration, after which nobody would start it
again. (While it runs: test_faults.py.)"""
import collections
import concurrent.futures
import contextlib
import ctypes
import errno
import os
import pathlib
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import ZYGOTE as ZYGOTE_PROGRAM
from gangerd import Gangerd, children, eventually, main, name_of, sanitized  # noqa: E402
from faults import BOUND, IS_THERE, LONG, Strace, injection  # noqa: E402
from wire import Closed  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
CONFIGURATION = 78
NO_LIBRARY = 127  # the loader's own
ONLY = os.environ.get("GANGER_TEST_FAULT")
START = {
    "openat": ("EMFILE", "ENFILE", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "clone,clone3,vfork": ("EAGAIN", "ENOMEM"),
    "epoll_create1": ("EMFILE", "ENFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "timerfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "pipe2": ("EMFILE", "ENFILE"),
    "socket": ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
    "bind": ("ENOMEM", "ENOSPC"),
    "socketpair": ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
    "memfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "fallocate": ("ENOSPC", "ENOMEM", "EINTR"),
    "fcntl": ("EMFILE", "ENOMEM"),
    "sendmsg": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "sendto": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "recvmsg": ("EINTR", "EAGAIN", "ENOMEM"),
    "pidfd_open": ("EMFILE", "ENFILE", "ENOMEM"),
}
ZYGOTE = {
    "openat": ("EMFILE", "ENFILE", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "clone,clone3,vfork": ("EAGAIN", "ENOMEM"),
    "sendmsg": ("EINTR", "ENOMEM", "ENOBUFS"),
    "sendto": ("EINTR", "ENOMEM", "ENOBUFS"),
    "recvmsg": ("EINTR", "ENOMEM"),
    "fcntl": ("ENOMEM",),
}
STOP = {
    "sendto": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "sendmsg": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "recvmsg": ("EINTR", "EAGAIN", "ENOMEM"),
    "epoll_ctl": ("ENOMEM",),
    "openat": ("EMFILE", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "epoll_wait": ("EINTR",),
}


def only(table):
    return [fault.split() for fault in ONLY.split("; ") if fault.split()[0] in table]


def start_rounds(first, last):
    """Each call of gangerd's own start (the loader's come before), in the long run; else some of them, spread over all."""
    if ONLY:
        return only(START)
    chosen = []
    for calls, errors in START.items():
        begin, end = (sum(n[call] for call in calls.split(",")) for n in (first, last))
        for i, error in enumerate(errors):
            step = 1 if LONG else max(1, (end - begin) // 3)
            chosen += [(calls, error, str(when)) for when in range(begin + 1 + i % step, end + 1, step)]
    return chosen


def some_rounds(table, ns, always):
    if ONLY:
        return only(table)
    pairs = [(calls, error) for calls, errors in table.items() for error in errors]
    return [(*pair, when) for i, pair in enumerate(pairs)
            for when in (ns if LONG else ns[i % 3::3]) + (["1+"] if always and pair[1] != "EINTR" else [])]


def counted(trace, until):
    """How often which call was made until one that strace wrote so."""
    before, found, _ = pathlib.Path(trace).read_text(encoding="utf-8", errors="replace").partition(until)
    assert found, f"{until} is not in what strace wrote"
    return collections.Counter(line.split("(")[0] for line in before.splitlines())


def rest_of_family():
    """What is left of a gangerd that has ended: it comes to the test, which is a subreaper. Dead ones are reaped."""
    left = []
    for pid in children(os.getpid()):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] != 0:
                continue
        left.append(name_of(pid))
    return left


@unittest.skipUnless(IS_THERE, "strace is not there (./dev setup --system)")
@unittest.skipIf(os.geteuid() != 0, "only root may trace gangerd: it is not dumpable")
@unittest.skipIf(sanitized(), "the sanitizer traces gangerd itself")
class FaultsAtStart(unittest.TestCase):
    def setUp(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.directory = tempfile.TemporaryDirectory(prefix="ganger-test.")
        self.addCleanup(self.directory.cleanup)
        self.trace = str(pathlib.Path(self.directory.name) / "trace")

    def gangerd(self, *strace):
        return Gangerd(pool={"workers": 1, "modules": "probe"}, under=["strace", "-D", "-qq", "-o", self.trace, *strace])

    def calls_of_a_start(self):
        with self.gangerd() as g:
            g.all_idle()
            g.process.kill()
            g.expects_death = True
        eventually(lambda: not rest_of_family(), BOUND)
        return counted(self.trace, "ganger.conf"), counted(self.trace, "READY=1")

    def test_start(self):
        outcomes = collections.Counter()
        for calls, error, when in start_rounds(*self.calls_of_a_start()):
            with self.subTest(f"{calls} {error} {when}"):
                outcomes[self.start_once(calls, error, when)] += 1
        print("gangerd started with a system call failing:", dict(outcomes))

    def start_once(self, calls, error, when):
        return self.run_once(self.gangerd(*injection(calls, error, when)), lambda g: g.start(), lambda g: self.of_shortage(g, error))

    def run_once(self, g, start, on_end):
        """It is started, serves, and is stopped; or it ends, and leaves nothing either way."""
        try:
            try:
                start(g)
            except AssertionError:
                if g.process.poll() is None:
                    raise
                self.said_once(g)
                on_end(g)
                self.nothing_is_left(g)
                return "ended"
            g.all_idle()
            with g.connect() as client:
                self.assertEqual(client.call("echo", 1), 1)
            self.assertEqual(g.stop(), 0)
            self.nothing_is_left(g)
            return "served"
        except BaseException:
            g.show_log()
            raise
        finally:
            self.bury(g)

    def bury(self, g):
        if g.process.poll() is None:
            g.process.kill()
            g.process.wait()
        eventually(lambda: not rest_of_family(), BOUND)
        g.clean()

    def said_once(self, g):
        self.assertGreater(g.process.poll(), 0)
        if g.process.poll() != NO_LIBRARY:
            self.assertEqual(len(self.errors(g)), 1, g.log())

    @staticmethod
    def errors(g):
        return [line for line in g.log().splitlines() if line.startswith("ERROR")]

    def of_shortage(self, g, error):
        """A thread that cannot be made is EAGAIN always, says glibc."""
        if g.process.poll() == NO_LIBRARY:
            return
        line, = self.errors(g)
        self.assertTrue(os.strerror(getattr(errno, error)) in line or os.strerror(errno.EAGAIN) in line, line)
        self.assertIn("; ", line, "what helps")
        self.assertNotEqual(g.process.poll(), CONFIGURATION, line)

    def nothing_is_left(self, g):
        self.assertEqual({its.name for its in g.directory.iterdir()} & {"socket", "socket.lock"}, set())
        eventually(lambda: not rest_of_family(), BOUND)

    def test_start_of_a_zygote(self):
        """It is executed by a shell that waits until strace is there. gangerd starts another one, or ends."""
        outcomes = collections.Counter()
        for calls, error, when in some_rounds(ZYGOTE, ["2", "4", "1", "7", "12", "3", "20", "5", "30"], False):
            with self.subTest(f"{calls} {error} {when}"):
                g = Gangerd(pool={"workers": 1, "modules": "probe"})
                os.mkfifo(g.directory / "gate")
                program = g.directory / "zygote"
                program.write_text(f"#!/bin/sh\necho $$ > {g.directory}/pid\nread go < {g.directory}/gate\n"
                                   f"exec {ZYGOTE_PROGRAM} \"$@\"\n", encoding="ascii")
                program.chmod(0o755)
                g.text += f"zygote = {program}\n"
                outcomes[self.run_once(g, lambda g, fault=(calls, error, when): self.start_zygote(g, fault), lambda g: None)] += 1
        print("gangerd started with a system call of its zygote failing:", dict(outcomes))

    def start_zygote(self, g, fault):
        over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            letting = pool.submit(self.let_through, g, fault, over)
            try:
                g.start()  # by the main thread: gangerd ends with the one that made it
            finally:
                over.set()
                letting.result()

    @staticmethod
    def let_through(g, fault, over):
        """Another one may be started, and is let through as well."""
        file = g.directory / "pid"
        pid = eventually(lambda: file.exists() and file.read_text(encoding="ascii").strip(), BOUND)
        with Strace([int(pid)], *fault):
            gate = os.open(g.directory / "gate", os.O_RDWR)
            try:
                os.write(gate, b"go\n" * 100)
                over.wait(2 * BOUND)
            finally:
                os.close(gate)

    def test_stop(self):
        for calls, error, when in some_rounds(STOP, ["1", "2", "3", "4", "5", "6"], True):
            with self.subTest(f"{calls} {error} {when}"):
                g = Gangerd(daemon={"stop_timeout": 0.2}, pool={"workers": 2, "modules": "probe", "kill_grace": 0.1})
                try:
                    g.start()
                    self.stop_once(g, (calls, error, when))
                except BaseException:
                    g.show_log()
                    raise
                finally:
                    self.bury(g)

    def stop_once(self, g, fault):
        g.all_idle()
        with g.connect(bound=BOUND) as waiting, g.connect(bound=BOUND) as asking:
            waits = waiting.start("call", "sleep", [60])
            asks = asking.start("wait", [asking.submit("echo", 1), asking.submit("sleep", 60)], {"timeout": 60})
            eventually(lambda: g.status()["pools"][0]["running"] == 2, BOUND)
            with Strace([g.pid], *fault):
                self.assertEqual(g.stop(), 0)
            for client, msgid in ((waiting, waits), (asking, asks)):
                with contextlib.suppress(Closed):
                    client.outcome(msgid)
        self.nothing_is_left(g)


main()
