# SPDX-License-Identifier: MIT
"""The metrics over HTTP: what is answered and what is not, on which sockets, and that nobody who reads, or does not, costs the clients
anything or is there for ever."""
import contextlib
import http.client
import itertools
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import GANGERD, Flat, Gangerd, configuration, cpu_seconds, eventually, main, sanitized  # noqa: E402
from wire import Refused  # noqa: E402

READERS = 16  # at once
CUT_OFF = 5  # seconds that one has
PING = 0.05
MARGIN = 10  # a time fails only beyond so many times what is named
BOUND = 60
CPU_MOST = 0.2
GROWTH = 2 << 20
HOST = "127.0.0.1"
# So much is told of them that it does not fit into a socket.
MANY_POOLS = "".join(f"[pool {n}{'x' * 200}]\nworkers = 1\n" for n in range(10))
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
EXIT_CONFIGURATION = 78
ESTABLISHED = "01"  # in /proc/net/tcp
# What LISTEN_PID says is known only there.
PASS = """#!/bin/sh
LISTEN_PID=$$ LISTEN_FDS={n} {names} exec {python} -c '
import os, sys
for n, fd in enumerate({fds}):
    os.dup2(fd, 3 + n, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])' {gangerd} "$@"
"""


def listening(address=(HOST, 0), family=socket.AF_INET, kind=socket.SOCK_STREAM):
    sock = socket.socket(family, kind)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    return sock


def free_port():
    with listening() as sock:
        return sock.getsockname()[1]


def by_key(**daemon):
    """gangerd that reads the port from its configuration."""
    g = Gangerd(daemon={"metrics": f"{HOST}:{free_port()}", **daemon})
    g.address = (HOST, int(re.search(rf"metrics = {HOST}:(\d+)", g.text)[1]))
    return g


def passed(sockets, names=None, **options):
    """gangerd that gets sockets as from systemd."""
    g = Gangerd(**options)
    g.pass_fds = [40 + n for n in range(len(sockets))]
    for fd, sock in zip(g.pass_fds, sockets):
        os.dup2(sock.fileno(), fd)
    program = g.directory / "passing"
    program.write_text(PASS.format(n=len(sockets), names="" if names is None else f"LISTEN_FDNAMES={':'.join(names)}", python=sys.executable,
                                   fds=g.pass_fds, gangerd=GANGERD), encoding="ascii")
    program.chmod(0o755)
    zygote = g.programs()[1]
    g.programs = lambda: (program, zygote)
    return g


def ask(address, method="GET", path="/metrics", **more):
    """(status, headers, body)."""
    reader = http.client.HTTPConnection(*address, timeout=BOUND)
    with contextlib.closing(reader):
        reader.request(method, path, **more)
        answer = reader.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def connect(address, family=socket.AF_INET):
    sock = socket.socket(family)
    sock.settimeout(BOUND)
    sock.connect(address)
    return sock


def read_all(sock):
    """What comes up to the end, or a reset."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except (ConnectionResetError, BrokenPipeError):
        pass
    return data


def n_served(port):
    """How many connections gangerd has not closed."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(1 for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == ESTABLISHED)


def exchange(address, data, family=socket.AF_INET):
    with connect(address, family) as sock:
        try:
            sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return read_all(sock)


def without_values(text):
    return [line if line.startswith("#") else line.rsplit(" ", 1)[0] for line in text.splitlines()]


class Pings:
    """A client that pings meanwhile; the longest time one took."""

    def __init__(self, gangerd):
        self.gangerd, self.longest, self.n, self.over = gangerd, 0.0, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.gangerd.connect() as client:
            while not self.over.wait(0.005):
                began = time.monotonic()
                client.ask("ping")
                self.longest, self.n = max(self.longest, time.monotonic() - began), self.n + 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Answers(unittest.TestCase):
    def test_what_prometheus_reads(self):
        with by_key() as g:
            g.all_idle()
            with g.connect() as client:
                client.call("echo", 1)
            eventually(lambda: ask(g.address)[2].count("ganger_connections 0\n"))  # who reads is no client
            status, headers, text = ask(g.address)
            self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
            self.assertEqual(int(headers["Content-Length"]), len(text.encode()))
            self.assertEqual(headers["Connection"], "close")
            self.assertEqual(without_values(text), without_values(g.ganger("metrics").stdout.decode()))
            self.assertIn('ganger_tasks_ended_total{pool="default",end="succeeded"} 1\n', text)
            promtool = shutil.which("promtool")
            if promtool is None:
                self.skipTest("promtool (Debian: prometheus) is not installed")
            checked = subprocess.run([promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))

    def test_what_else_is_asked(self):
        with by_key(log_level="debug") as g:
            status, headers, text = ask(g.address, "HEAD")
            self.assertEqual((status, text, headers["Content-Type"]), (200, "", "text/plain; version=0.0.4; charset=utf-8"))
            self.assertGreater(int(headers["Content-Length"]), 1000)
            self.assertTrue(exchange(g.address, GET.replace(b"GET", b"HEAD")).endswith(b"\r\n\r\n"))
            self.assertEqual(ask(g.address, path="/metrics?name=x")[0], 200)
            status, _, text = ask(g.address, path="/")
            self.assertEqual(status, 200)
            self.assertIn("/metrics", text)
            for path in ("/metric", "/metrics/", "/metrics/x", "/Metrics", "//metrics", "/%6detrics", "/../metrics", "*", "/" + "x" * 4000):
                self.assertEqual(ask(g.address, path=path)[0], 404, path)
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"):
                status, headers, _ = ask(g.address, method)
                self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"), method)
            self.assertEqual(ask(g.address, "POST", body=b"x")[0], 413)
            self.assertIn("metrics: /metrics from 127.0.0.1: 405", g.log())

    def test_one_answer_a_connection(self):
        """Whatever is asked of the connection, and however many requests come at once"""
        with by_key() as g:
            for request in (GET, GET.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), b"GET /metrics HTTP/1.0\r\n\r\n",
                            b"GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
                answer = exchange(g.address, request)
                self.assertEqual(answer.count(b"HTTP/1."), 1, request)
                self.assertIn(b" 200 OK\r\n", answer)
                self.assertTrue(answer.endswith(b"\n"))
            self.assertLessEqual(exchange(g.address, GET * 5).count(b"HTTP/1."), 1)

    def test_what_is_no_request(self):
        """It is refused or cut off at once, and bounded; the next one is served"""
        with by_key() as g:
            flat = Flat(g)
            for data in (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
                         b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n", b"x" * (4 << 20), b"\r\n" * 6000, b"\0" * 9000,
                         b"GET /metrics\r\n\r\n", b"\x94\x00\x01\xa4ping\x90\r\n", b"GET /metrics HTTP/9.9\r\n\r\n",
                         b"POST /metrics HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n" + b"x" * 100000,
                         b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"PUT /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
                         b"POST /metrics HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"):
                began = time.monotonic()
                answer = exchange(g.address, data)
                self.assertRegex(answer[:13], rb"^(HTTP/\d\.\d 4\d\d|$)", data[:80])
                self.assertLess(time.monotonic() - began, CUT_OFF, data[:80])
                self.assertEqual(ask(g.address)[0], 200, data[:80])
            if not sanitized():
                self.assertLess(flat.grown(), GROWTH)
            self.assertLess(g.log().count("libevent:"), 20)


class Rude(unittest.TestCase):
    def test_a_hundred_at_once(self):
        with by_key() as g, Pings(g) as pings:
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(ask(g.address)[0])) for _ in range(100)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.monotonic() - began
        print(f"100 readers at once: {took * 1e3:.0f} ms; the longest of {pings.n} pings {pings.longest * 1e3:.1f} ms")
        self.assertEqual(answers, [200] * 100)
        self.assertLess(pings.longest, PING * MARGIN)

    def test_slow_ones_are_cut_off(self):
        """All places are taken by requests that never end: who comes after them waits for no more than their time, without cost"""
        with by_key() as g, Pings(g) as pings, contextlib.ExitStack() as stack:
            g.all_idle()
            began = time.monotonic()
            slow = [stack.enter_context(connect(g.address)) for _ in range(READERS)]
            for sock in slow:
                sock.sendall(GET[:10])
            connect(g.address).close()  # somebody who waited and went
            with connect(g.address) as last:
                last.sendall(GET)
                last.settimeout(0.2)
                cpu, told = cpu_seconds(g.pid), b""
                while not told:
                    for sock in slow:
                        with contextlib.suppress(OSError):
                            sock.sendall(b"x")
                    with contextlib.suppress(TimeoutError):
                        told = last.recv(65536)
                    self.assertLess(time.monotonic() - began, CUT_OFF * MARGIN)
                took, used = time.monotonic() - began, cpu_seconds(g.pid) - cpu
            self.assertTrue(told.startswith(b"HTTP/1.1 200"))
            for sock in slow:
                self.assertEqual(read_all(sock), b"")
        print(f"behind {READERS} slow ones: served after {took:.2f} s (named: {CUT_OFF}), {used / took * 100:.0f} % of a processor; "
              f"the longest of {pings.n} pings {pings.longest * 1e3:.1f} ms")
        self.assertGreater(took, CUT_OFF * 0.9)
        self.assertLess(used / took, CPU_MOST)
        self.assertLess(pings.longest, PING * MARGIN)

    def test_who_does_not_read(self):
        """He is cut off too, also if he sends on and on; nothing grows"""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(listening())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # what is accepted gets the same: no answer fits
            g = stack.enter_context(passed([listener], ["metrics"], more=MANY_POOLS))
            pings = stack.enter_context(Pings(g))
            g.all_idle()
            flat, began, readers = Flat(g), time.monotonic(), []
            for _ in range(READERS):
                sock = stack.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                sock.connect(listener.getsockname())
                sock.sendall(GET)
                sock.setblocking(False)
                readers.append(sock)
            sent = 0
            while len(over := [sock for sock in readers if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]) < 1:
                for sock in readers[READERS // 2:]:
                    with contextlib.suppress(OSError):
                        sent += sock.send(b"x" * 65536)
                flat.sample()
                time.sleep(0.001)
                self.assertLess(time.monotonic() - began, CUT_OFF * MARGIN)
            took = time.monotonic() - began
            eventually(lambda: n_served(listener.getsockname()[1]) == 0)
            for sock in readers:
                sock.settimeout(BOUND)
                answer = read_all(sock)
                length = int(re.search(rb"Content-Length: (\d+)", answer)[1]) if answer else 1
                self.assertLess(len(answer.partition(b"\r\n\r\n")[2]), length)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            self.assertEqual(ask(listener.getsockname())[0], 200)
            print(f"{READERS} that do not read: the first was cut off after {took:.2f} s (named: {CUT_OFF}), {sent >> 10} KiB were sent on, "
                  f"{flat.grown() >> 10} KiB grown; the longest of {pings.n} pings {pings.longest * 1e3:.1f} ms")
            self.assertTrue(over)
            if not sanitized():
                self.assertLess(flat.grown(), GROWTH)
            self.assertLess(pings.longest, PING * MARGIN)

    @unittest.skipIf(os.geteuid() != 0, "only root may count gangerd's descriptors: it is not dumpable")
    def test_no_descriptors(self):
        """It rests instead of spinning, serves the clients, and reads go on when there are some again"""
        with by_key() as g, g.connect() as client:
            g.all_idle()
            self.assertEqual(ask(g.address)[0], 200)
            eventually(lambda: client.ask("status")["connections"] == 1)
            before = resource.prlimit(g.pid, resource.RLIMIT_NOFILE)
            used = {int(fd) for fd in os.listdir(f"/proc/{g.pid}/fd")}
            resource.prlimit(g.pid, resource.RLIMIT_NOFILE, (next(fd for fd in itertools.count() if fd not in used), before[1]))
            with contextlib.ExitStack() as stack:
                for _ in range(50):
                    stack.enter_context(connect(g.address))
                cpu, began, n = cpu_seconds(g.pid), time.monotonic(), 0
                while time.monotonic() - began < 1:
                    self.assertEqual(client.call("echo", n), n)
                    n += 1
                    time.sleep(0.01)
                self.assertLess(cpu_seconds(g.pid) - cpu, CPU_MOST)
                self.assertIn("no descriptors are left", g.log())
                resource.prlimit(g.pid, resource.RLIMIT_NOFILE, before)
            self.assertEqual(ask(g.address)[0], 200)
            eventually(lambda: len(os.listdir(f"/proc/{g.pid}/fd")) == len(used))


class Sockets(unittest.TestCase):
    def test_unix_socket(self):
        """Who may connect is as with the clients' socket; it is gone afterwards, and a dead one's is replaced"""
        g = Gangerd()
        path = g.directory / "metrics"
        g.text = configuration({"metrics": path, "socket_mode": "0640"})
        with listening(str(path), socket.AF_UNIX):
            pass
        with g:
            self.assertEqual(oct(path.stat().st_mode & 0o777), "0o640")
            self.assertTrue(exchange(str(path), GET, socket.AF_UNIX).startswith(b"HTTP/1.1 200 OK\r\n"))
            self.assertEqual(g.stop(), 0)
            self.assertFalse(path.exists())

    def test_ip6(self):
        try:
            with listening(("::1", 0), socket.AF_INET6) as sock:
                port = sock.getsockname()[1]
        except OSError as error:
            self.skipTest(f"this machine has no ::1: {error}")
        with Gangerd(daemon={"metrics": f"[::1]:{port}"}):
            self.assertEqual(ask(("::1", port))[0], 200)

    def test_the_port_is_free_again(self):
        """At once, also with connections that its end has cut off"""
        with by_key() as g, connect(g.address) as sock:
            self.assertEqual(ask(g.address)[0], 200)
            sock.sendall(GET[:10])
            self.assertEqual(g.stop(), 0)
            self.assertEqual(read_all(sock), b"")
            g.start()
            self.assertEqual(ask(g.address)[0], 200)

    def test_bad_values(self):
        """`--check` and the start refuse them, by their key and with what would do"""
        for value in ("localhost:9464", "9464", "127.0.0.1", "::1:9464", "*:9464", "127.0.0.1:0", "run/metrics"):
            g = Gangerd(daemon={"metrics": value})
            self.addCleanup(g.clean)
            for arguments in (["--check"], []):
                self.assertEqual(g.spawn(*arguments).wait(BOUND), EXIT_CONFIGURATION)
            self.assertEqual(g.log().count(f"[daemon] metrics = {value}: "), 2, g.log())
            self.assertEqual(g.log().count("127.0.0.1:9464 or [::1]:9464, an absolute path, or none"), 2)
        for value in ("none", "0.0.0.0:9464", "[::1]:9464", "/run/ganger/metrics"):
            g = Gangerd(daemon={"metrics": value})
            self.addCleanup(g.clean)
            self.assertEqual(g.spawn("--check").wait(BOUND), 0)
            self.assertIn(f"\nmetrics = {value}\n", g.log())

    def test_what_cannot_be_listened_on(self):
        with listening() as taken:
            port = taken.getsockname()[1]
            for value, says in ((f"{HOST}:{port}", "another program listens there"), ("192.0.2.1:9464", "this machine has no such address"),
                                ("/no/such/directory/metrics", "No such file or directory")):
                g = Gangerd(daemon={"metrics": value})
                self.addCleanup(g.clean)
                self.assertEqual(g.spawn().wait(BOUND), EXIT_CONFIGURATION)
                self.assertIn(says, g.log())
                self.assertIn(value, g.log())
                self.assertFalse(os.path.exists(g.socket))

    def test_open_to_other_machines(self):
        with Gangerd(daemon={"metrics": f"0.0.0.0:{free_port()}"}) as g:
            self.assertIn("can be read from other machines", g.log())

    def test_reload(self):
        """Where it is to be read does not change while gangerd runs, and is served on meanwhile"""
        with by_key() as g, g.connect() as client:
            g.config.write_text(configuration({"metrics": f"{HOST}:1"}), encoding="utf-8")
            with self.assertRaises(Refused) as refused:
                client.ask("reload", {"wait": True})
            self.assertIn(f"[daemon] metrics = {HOST}:1: it cannot change from {HOST}:{g.address[1]}", refused.exception.error["message"])
            self.assertIn("restart gangerd", refused.exception.error["message"])
            g.config.write_text(g.text.replace("workers = 2", "workers = 1"), encoding="utf-8")
            client.ask("reload", {"wait": True})
            self.assertEqual(ask(g.address)[0], 200)


class Passed(unittest.TestCase):
    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        directory = stack.enter_context(contextlib.closing(Gangerd().directory.joinpath("x").open("w"))).name
        self.addCleanup(shutil.rmtree, os.path.dirname(directory))
        self.path = directory.replace("/x", "/clients")
        self.clients = stack.enter_context(listening(self.path, socket.AF_UNIX))
        self.metrics = [stack.enter_context(listening()) for _ in range(5)]
        self.datagrams = stack.enter_context(listening(kind=socket.SOCK_DGRAM))

    def served(self, sockets, names, path, n_metrics, **options):
        with passed(sockets, names, **options) as g:
            g.socket = path or g.socket
            with g.connect() as client:
                self.assertEqual(client.call("echo", 1), 1)
            for n in range(n_metrics):
                self.assertEqual(ask(self.metrics[n].getsockname())[0], 200)
            self.assertEqual(g.stop(), 0)
            self.assertEqual(g.log().count("on the socket that systemd passed"), min(n_metrics, 1))
            return g.log()

    def refused(self, sockets, names, says):
        g = passed(sockets, names)
        self.addCleanup(g.clean)
        self.assertEqual(g.spawn().wait(BOUND), EXIT_CONFIGURATION)
        self.assertIn(says, g.log())

    def test_told_apart_by_name(self):
        one, four = self.metrics[:1], self.metrics[:4]
        self.served([self.clients], None, self.path, 0)
        self.served([self.clients], ["ganger.socket"], self.path, 0)
        self.served([self.clients, *one], ["ganger@photos.socket", "metrics"], self.path, 1)
        self.served([*one, self.clients], ["metrics", "ganger.socket"], self.path, 1)
        self.served(one, ["metrics"], None, 1)
        self.served([*four, self.clients], ["metrics"] * 4 + ["ganger.socket"], self.path, 4)

    def test_what_is_passed_counts(self):
        log = self.served(self.metrics[:1], ["metrics"], None, 1, daemon={"metrics": "/no/such/directory/metrics"})
        self.assertIn("and not where the key metrics says", log)

    def test_what_is_refused(self):
        self.refused([self.clients], ["others"], "systemd passed a socket named others: one for metrics has FileDescriptorName=metrics")
        self.refused([self.clients] * 2, ["ganger.socket"] * 2, "more sockets named ganger.socket")
        self.refused(self.metrics, ["metrics"] * 5, "more sockets named metrics")
        self.refused(self.metrics[:1], ["ganger.socket"], "as ganger.socket is no listening stream socket, or not a Unix one")
        self.refused([self.clients, self.datagrams], ["ganger.socket", "metrics"], "as metrics is no listening stream socket")


if __name__ == "__main__":
    main()
