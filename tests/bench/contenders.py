# SPDX-License-Identifier: MIT
"""Who does the work of the bench: ganger, the floor, and the peers, each with two workers on a private socket. Of each run all processes are
new, and gone when it is over; where it is asked for, all of them share one CPU."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

WORKERS = 2
BOUND = 60
PR_SET_PDEATHSIG = 1
HERE = pathlib.Path(__file__).resolve().parent
libc = ctypes.CDLL(None)


class Place:
    """A directory for one run, and what runs in it."""

    def __init__(self, build, cpu=None):
        self.build = pathlib.Path(build).resolve()
        self.programs = self.build / "tests" / "bench"
        self.cpu, self.nice = cpu, 0  # of what is started from now on
        self.processes = []

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ganger-bench."))
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def before_exec(self):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})
        if self.nice:
            os.nice(self.nice)

    def start(self, *command, **environment):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   cwd=self.directory, env={**os.environ, **environment}, preexec_fn=self.before_exec)
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def talk(self, *command):
        """A program that is asked and told over its standard input and output."""
        with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=self.before_exec) as process:
            try:
                yield process
            finally:
                process.kill()

    def measure(self, *command, **environment):
        """What the program prints: one line of JSON."""
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BOUND, check=False,
                              env={**os.environ, **environment}, preexec_fn=self.before_exec)
        if done.returncode != 0:
            raise RuntimeError(f"{pathlib.Path(command[0]).name} {' '.join(str(word) for word in command[1:])}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def await_socket(self, path, process):
        family = socket.AF_INET if isinstance(path, tuple) else socket.AF_UNIX
        end = time.monotonic() + BOUND
        while time.monotonic() < end and process.poll() is None:
            with socket.socket(family) as probe, contextlib.suppress(OSError):
                probe.connect(path if isinstance(path, tuple) else str(path))
                return
            time.sleep(0.01)
        raise RuntimeError(f"{process.args[0]} does not listen")


class Contender:
    """`settings`: what is tried first; its best counts."""
    settings = [None]

    def is_there(self, build):
        return shutil.which(self.program) is not None and (pathlib.Path(build) / "tests" / "bench" / self.client).exists()

    def version(self):
        done = subprocess.run([self.program, *self.version_words], capture_output=True, text=True, check=False)
        return (re.search(r"\d+(\.\d+)+", done.stdout + done.stderr) or ["?"])[0]

    def run(self, build, cpu, setting, *words):
        with Place(build, cpu) as place:
            address = self.serve(place, setting)
            return place.measure(place.programs / self.client, address, *words)

    def one(self, build, cpu, setting, seconds):
        return self.run(build, cpu, setting, "one", seconds)["p50"]

    def many(self, build, cpu, setting, seconds, outstanding):
        return self.run(build, cpu, setting, "many", seconds, outstanding)["rate"]


class Ganger(Contender):
    name, client = "ganger", "peer_ganger"
    daemon, pool = {}, {}

    def is_there(self, _):
        return True

    def version(self):
        return ""

    def serve(self, place, _):
        socket_path, config = place.directory / "socket", place.directory / "conf"
        pool = {"workers": WORKERS, **self.pool}
        config.write_text("\n".join(["[daemon]", *(f"{k} = {v}" for k, v in self.daemon.items()), "[pool default]",
                                     *(f"{k} = {v}" for k, v in pool.items())]) + "\n", encoding="utf-8")
        self.process = place.start(place.build / "daemon" / "gangerd", "--config", config, "--socket", socket_path,
                                   GANGER_ZYGOTE=str(place.build / "daemon" / "worker" / "ganger-zygote"))
        place.await_socket(socket_path, self.process)
        return socket_path


class Floor(Contender):
    name, client = "three processes, no protocol", "peer_floor"

    def is_there(self, _):
        return True

    def version(self):
        return ""

    def serve(self, place, _):
        path = place.directory / "floor"
        middle = place.start(place.programs / self.client, path, "middle", WORKERS)
        end = time.monotonic() + BOUND
        while not pathlib.Path(f"{path}.worker").exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        for _ in range(WORKERS):
            place.start(place.programs / self.client, path, "worker")
        place.await_socket(path, middle)
        return path


class Redis(Contender):
    name, client, program, version_words, settings = "Redis lists", "peer_redis", "redis-server", ["--version"], [1, 16, 64, 256]

    def serve(self, place, count):
        path = place.directory / "redis"
        server = place.start("redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no")
        place.await_socket(path, server)
        for _ in range(WORKERS):
            place.start(place.programs / self.client, path, "worker", count)
        return path


class Beanstalkd(Contender):
    name, client, program, version_words, settings = "beanstalkd", "peer_beanstalkd", "beanstalkd", ["-v"], [1, 16, 64]

    def serve(self, place, ahead):
        path = place.directory / "beanstalkd"
        server = place.start("beanstalkd", "-l", f"unix:{path}")
        place.await_socket(path, server)
        for _ in range(WORKERS):
            place.start(place.programs / self.client, path, "worker", ahead)
        return path


class Gearmand(Contender):
    name, client, program, version_words, settings = "gearmand", "peer_gearman", "gearmand", ["--version"], [0, 1, 4]

    def serve(self, place, threads):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = place.start("gearmand", "--listen", "127.0.0.1", "--port", port, "--threads", threads, "--log-file", "none")
        place.await_socket(("127.0.0.1", port), server)
        for _ in range(WORKERS):
            place.start(place.programs / self.client, port, "worker")
        return port


class Python(Contender):
    def __init__(self, kind, name):
        self.kind, self.name = kind, name

    def is_there(self, _):
        return True

    def version(self):
        return sys.version.split()[0]

    def run(self, build, cpu, setting, *words):
        with Place(build, cpu) as place:
            return place.measure(sys.executable, HERE / "peer_python.py", self.kind, *words)


GANGER, FLOOR = Ganger(), Floor()
APPLY, IMAP = Python("apply", "Pool.apply"), Python("imap_unordered", "Pool.imap_unordered")
MAP, EXECUTOR = Python("map", "Pool.map"), Python("executor", "ProcessPoolExecutor")
REDIS, BEANSTALKD, GEARMAND = Redis(), Beanstalkd(), Gearmand()
