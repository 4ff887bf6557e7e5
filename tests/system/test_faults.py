# SPDX-License-Identifier: MIT
"""System calls of a running gangerd, its zygote and its workers fail: of each kind the n-th one, or all from then on, with each error
that the kernel could give. Meanwhile clients connect, call, submit, pass descriptors and large values, share memory and reload, and a
worker is killed. Whatever fails, nobody crashes or hangs: when it is over every request has its answer, a clear error or the end of its
connection, no accepted task is lost, and descriptors, memory and accounts are as before. (Starting and stopping:
test_faults_start.py; allocations: tests/fuzz/fault_allocations.c.)"""
import collections
import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Flat, Gangerd, children, environment, eventually, kinds_of_descriptors, main, sanitized, sums_hold  # noqa: E402
from faults import BOUND, IS_THERE, LONG, Requests, Strace, connected, injection  # noqa: E402
from wire import Closed, TooLate, descriptor  # noqa: E402

DAEMON = {
    "accept4": ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EINTR", "EAGAIN"),
    "recvmsg": ("EINTR", "EAGAIN", "ENOMEM"),
    "recvfrom": ("EINTR", "EAGAIN", "ENOMEM"),
    "sendmsg": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS", "ETOOMANYREFS"),
    "sendto": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "socketpair": ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
    "memfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "fallocate": ("ENOSPC", "ENOMEM", "EINTR"),
    "mmap": ("ENOMEM",),
    "clone,clone3,vfork": ("EAGAIN", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "openat": ("EMFILE", "ENFILE", "ENOMEM"),
    "fcntl": ("EMFILE", "ENOMEM"),
    "pidfd_open": ("EMFILE", "ENFILE", "ENOMEM"),
    "pread64": ("EINTR", "ENOMEM"),
}
# Of the zygote and the workers.
FAMILY = {
    "recvmsg": ("EINTR", "EAGAIN", "ENOMEM"),
    "sendmsg": ("EINTR", "ENOMEM", "ENOBUFS"),
    "sendto": ("EINTR", "ENOMEM", "ENOBUFS"),
    "memfd_create": ("EMFILE", "ENFILE", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "clone,clone3,vfork": ("EAGAIN", "ENOMEM"),
    "openat": ("EMFILE", "ENFILE", "ENOMEM"),
    "fcntl": ("EMFILE", "ENOMEM"),
    "dup3,dup2": ("EMFILE", "EBUSY"),
    "pipe2": ("EMFILE", "ENFILE"),
    "socketpair": ("EMFILE", "ENOMEM"),
}
# A zygote that cannot be started, or a file that cannot be read, is what a reload fails of.
ALSO = {("reload", "invalid_params")}
# Of the command line and the library.
CLIENT = {
    "socket": ("EMFILE", "ENFILE", "ENOMEM"),
    "connect": ("EINTR", "EAGAIN", "ENOMEM"),
    "sendmsg,sendto": ("EINTR", "EAGAIN", "ENOMEM", "ENOBUFS"),
    "recvmsg,recvfrom": ("EINTR", "EAGAIN", "ENOMEM"),
    "poll,ppoll": ("EINTR", "ENOMEM"),
}
CANNOT = 125  # ganger's own status
LARGE = 256 << 10
ONLY = os.environ.get("GANGER_TEST_FAULT")
UNDER_FAULT = 0.4  # seconds that requests have under a fault which is there to stay
MEMORY_MOST = 8 << 20
# What a request may come to beside its answer.
CODES = {"answered", "dropped", "out_of_memory", "worker_lost", "task_failed"}


def whens(n, error):
    """Which of the calls fail: in the long run each, else a sample that differs from line to line. (That a call is interrupted for
    ever is nothing that a kernel does.)"""
    always = [] if error == "EINTR" else ["1+", "4+"]
    if LONG:
        return [str(i) for i in range(1, 21)] + ["2+7", "3+11"] + always
    return [str(n % 5 + 1)] + (always[n % 2:n % 2 + 1] if n % 3 == 0 else [])


def rounds(table):
    """GANGER_TEST_FAULT="mmap ENOMEM 3; openat EMFILE 1+": only those."""
    if ONLY:
        return [fault.split() for fault in ONLY.split("; ") if fault.split()[0] in table]
    lines = [(calls, error) for calls, errors in table.items() for error in errors]
    return [(calls, error, when) for n, (calls, error) in enumerate(lines) for when in whens(n, error)]


def memfd(data):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.pwrite(fd, data, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
    return fd


def runs_on(client, task):
    """The pid of the worker that has begun it; None: it waits. (While it is only sent ahead it may yet go to another.)"""
    record = client.ask("task", task)
    return record["worker_pid"] if record["state"] == "running" else None


def has_ended(client, task):
    """Its worker is killed if it has one by now: a worker that had not begun it dies without it."""
    pid = runs_on(client, task)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return client.ask("task", task)["state"] in ("failed", "succeeded")


@unittest.skipUnless(IS_THERE, "strace is not there (./dev setup --system)")
@unittest.skipIf(os.geteuid() != 0, "only root may trace gangerd: it is not dumpable")
class Faults(unittest.TestCase):
    def test_of_gangerd(self):
        self.all_of(DAEMON, lambda g: [g.pid])

    def test_of_zygote_and_workers(self):
        self.all_of(FAMILY, lambda g: children(g.pid))

    def test_what_the_log_says(self):
        """What really happened, and not what is usual."""
        with Gangerd() as g, g.connect() as client:
            g.all_idle()
            with Strace([g.pid], "accept4", "ENOMEM", "1"):
                eventually(lambda: self.turned_away(g), BOUND)
            eventually(lambda: "no memory is left for new connections" in g.log(), BOUND)
            with Strace([g.pid], "sendto", "ENOBUFS", "1"), self.assertRaises(Closed):
                client.ask("ping")
            eventually(lambda: "does not work any more: No buffer space available" in g.log(), BOUND)

    @staticmethod
    def turned_away(g):
        client = connected(g, descriptors=True, bound=BOUND)
        if client is not None:
            client.close()
        return client is None

    def test_of_the_client(self):
        """ganger does what it is asked, or says in one line what failed."""
        outcomes = collections.Counter()
        leaks_apart = {**environment(), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}  # leaks are looked for by tracing, too
        with Gangerd(pool={"modules": "probe", "exec": "yes"}) as g:
            for calls, error, when in rounds(CLIENT):
                for verb in (["call", "probe.big", str(LARGE)], ["run", "cat", os.devnull]):
                    if "+" in when and error == "EAGAIN":
                        continue  # it waits until the kernel takes something
                    with self.subTest(f"{calls} {error} {when} {verb[0]}"):
                        command = ["strace", "-qq", "-o", "/dev/null", *injection(calls, error, when), CLI, "--socket", g.socket, *verb]
                        ran = subprocess.run(command, env=leaks_apart, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                             timeout=60, check=False)
                        outcomes["failed" if ran.returncode else "done"] += 1
                        self.assertIn(ran.returncode, (0, CANNOT), ran.stderr)
                        said = [line for line in ran.stderr.decode().splitlines() if os.strerror(getattr(errno, error)) in line]
                        self.assertEqual(len(said), ran.returncode != 0, ran.stderr)
            g.all_idle()
        print("ganger with a system call failing:", dict(outcomes))

    def all_of(self, table, whose):
        outcomes = collections.Counter()
        pool = {"modules": "probe", "exec": "yes"}
        with Gangerd(daemon={"stop_timeout": 3, "history": 100}, pool=pool) as g:
            self.once(g, whose, None, outcomes)
            before = kinds_of_descriptors(g.pid)
            flat = Flat(g)
            for calls, error, when in rounds(table):
                if "mmap" in calls and sanitized():
                    continue  # the sanitizer's own memory comes by it
                with self.subTest(f"{calls} {error} {when}"):
                    self.once(g, whose, (calls, error, when), outcomes)
                    eventually(lambda: not kinds_of_descriptors(g.pid) - before, BOUND)
            self.assertTrue(sums_hold(g.all_idle()))
            if not sanitized():
                self.assertLess(flat.grown(), MEMORY_MOST)
        print("requests under failing system calls:", ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items())))

    def once(self, g, whose, fault, outcomes):
        n_logged = len(g.log())
        strace = Strace(whose(g), *fault) if fault else None
        calls, _, when = fault or ("", "", "")
        requests = Requests()
        clients = [g.connect(bound=BOUND), g.connect(descriptors=True, bound=BOUND)]
        killed = clients[0].submit("sleep", 60)
        pid = eventually(lambda: runs_on(clients[0], killed), BOUND)
        try:
            if strace is not None:
                strace.__enter__()
            clients += self.load(g, requests, clients, killed, pid)
            requests.settle(UNDER_FAULT if when.endswith("+") else 1)
        except BaseException:
            g.show_log()
            raise
        finally:
            if strace is not None:
                strace.end()
        try:
            self.after(g, requests, clients, killed)
        except TooLate:
            g.show_log()
            print("open:", requests.names(), file=sys.stderr)
            raise
        finally:
            for client in clients:
                if client is not None:
                    client.close()
        outcomes.update(how for _, how, _ in requests.outcomes)
        if not calls.startswith("fcntl"):  # no kernel refuses to say which seals there are
            self.assertNotIn("broke the protocol", g.log()[n_logged:])
        unknown = [(name, how) for name, how, _ in requests.outcomes if how not in CODES and (name, how) not in ALSO]
        self.assertEqual(unknown, [])

    def load(self, g, requests, clients, killed, pid):
        """Everything at once; then a worker dies in the middle of its task. Gives the clients that came in meanwhile."""
        plain, taking = clients
        for n in range(4):
            requests.send(plain, f"submit {n}", "submit", "echo", [n])
        requests.send(plain, "wait", "wait", [killed], {"timeout": 1})
        requests.send(plain, "call", "call", "echo", [b"x" * 1000])
        requests.send(plain, "map", "map", "echo", [[n] for n in range(20)])
        requests.send(plain, "large in place", "call", "probe.big", [LARGE])
        requests.send(taking, "large beside", "call", "probe.big", [LARGE])
        fd = memfd(b"y" * LARGE)
        requests.send(taking, "large given", "call", "echo", [descriptor(0, LARGE)], fds=[fd])
        os.close(fd)
        with open(os.devnull, "rb") as null:
            requests.send(taking, "run", "call", "exec", [["cat"], {"stdin": descriptor()}], fds=[null.fileno()])
        requests.send(taking, "open", "shared.open", "array", {"kind": "array", "type": "u8", "length": 100000})
        requests.send(plain, "scale", "pool.scale", "default", 3)
        os.kill(pid, signal.SIGKILL)
        late = [connected(g, bound=BOUND) for _ in range(2)]
        for client in late:
            requests.send(client, "late", "call", "echo", [1])
        requests.send(plain, "status", "status")
        requests.send(plain, "reload", "reload")
        return late

    def is_reloaded(self, client):
        """Unless the reload that came with the load is still on its way."""
        failed, _ = client.outcome(client.start("reload", {"wait": True}))
        if failed is not None:
            self.assertEqual(failed["code"], "not_ready")
        return failed is None

    def after(self, g, requests, clients, killed):
        """The fault is over."""
        self.assertIsNone(g.process.poll(), "gangerd lives")
        self.assertTrue(requests.settle(BOUND), f"without an answer: {requests.names()}")
        with g.connect(bound=BOUND) as client:
            for n in range(4):
                for task in requests.results(f"submit {n}"):
                    failed, result = client.outcome(client.start("result", task))
                    if failed is None:
                        self.assertEqual(result, n)
                    else:  # its worker could not be heard, and was replaced
                        self.assertEqual(failed["code"], "worker_lost")
            eventually(lambda: has_ended(client, killed), BOUND)
            failed, _ = client.outcome(client.start("result", killed))
            self.assertEqual(failed["code"], "worker_lost")
            for record in client.ask("tasks", {"limit": 1000}):  # whose client was dropped before it knew them
                client.outcome(client.start("result", record["id"]))
            client.ask("pool.scale", "default", 2)
            for record in client.ask("shared.list", {}):
                client.ask("shared.unlink", record["name"])
            self.assertEqual(client.call("echo", 7), 7)
            eventually(lambda: self.is_reloaded(client), BOUND)  # the next ones find workers that stay
        for client in clients:
            if client is not None:
                client.close()
        eventually(lambda: len(children(g.pid)) == 3, BOUND)  # the zygote, two workers
        used = {key: its[0] for key, its in g.all_idle()["user"].items() if key != "user_connections"}
        self.assertEqual(set(used.values()), {0}, used)


main()
