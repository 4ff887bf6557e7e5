# SPDX-License-Identifier: MIT
"""The real gangerd of the build tree, on a private socket in a temporary directory, for one test.

GANGER_BUILD names the build tree. The daemon is ready when it has said READY=1 to its notify socket; it is ended by its pid,
dies with the test if the test dies, and shows its log if the test fails. Importing this finds a Python that has msgpack, and the
protocol's client (tests/conformance/wire.py).
"""
import collections
import contextlib
import ctypes
import functools
import itertools
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
import unittest

try:
    import msgpack  # noqa: F401
except ImportError:
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("GANGER_BUILD", SOURCE / "build")).resolve()
sys.path.insert(0, str(SOURCE / "tests" / "conformance"))
from wire import Client, eventually  # noqa: E402

GANGERD = BUILD / "daemon" / "gangerd"
ZYGOTE = BUILD / "daemon" / "worker" / "ganger-zygote"
CLI = BUILD / "client" / "cli" / "ganger"
MODULES = BUILD / "daemon" / "modules"
TEST_MODULES = BUILD / "tests" / "unit" / "worker"  # probe, and some that are refused
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_BOUND = 20
LOG_BOUND = 5
LOG_LINES_SHOWN = 40
# A sanitized process that is killed while LeakSanitizer looks at its end leaves this in what is the daemon's stderr too.
LEAK_SANITIZER_REMARK = re.compile(r"^==\d+==Unable to get registers from thread \d+\.\n", re.MULTILINE)
STOP_BOUND = 20
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a test that is ended cleans up
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the test may ignore them, and so would what it starts
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)


def environment(**more):
    """A clean one: nothing of the caller's own ganger."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GANGER_", "LISTEN_", "NOTIFY_", "WATCHDOG_"))}
    return {**kept, "GANGER_ZYGOTE": str(ZYGOTE), "PATH": PATH, **more}


def configuration(daemon=None, pool=None, more=""):
    """A file's text. Two workers and all modules of the tree unless something else is said."""
    path = f"{MODULES} {TEST_MODULES}"
    daemon = {"module_path": path, **(daemon or {})}
    pool = {"workers": 2, "modules": "digest text image", **(pool or {})}
    lines = ["[daemon]", *(f"{key} = {value}" for key, value in daemon.items())]
    lines += ["[pool default]", *(f"{key} = {value}" for key, value in pool.items()), more]
    return "\n".join(lines) + "\n"


class Gangerd:
    """with Gangerd(daemon={…}, pool={…}) as g: …

    `text`: the whole configuration instead. `uid`: the daemon's user, if another than the test's (who is root then).
    `prepare`: called in the daemon's process before it is one. `under`: a command that becomes it (strace -D)."""

    def __init__(self, daemon=None, pool=None, more="", text=None, uid=None, directory=None, prepare=None, under=()):
        self.text = text if text is not None else configuration(daemon, pool, more)
        self.uid = uid
        self.prepare = prepare
        self.under = under
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="ganger-test."))
        self.socket = str(self.directory / "socket")
        self.config = self.directory / "ganger.conf"
        self.log_path = self.directory / "log"
        self.process = None
        self.expects_death = False
        self.pass_fds = ()  # descriptors that it inherits

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.show_log()
            self.clean()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            status = self.stop()
            if kind is not None:
                self.show_log()
            elif status != 0 and not self.expects_death:
                self.show_log()
                raise AssertionError(f"gangerd ended with status {status}")
        finally:
            self.clean()

    def before_exec(self):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.prepare is not None:
            self.prepare()
        if self.uid is not None:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)

    def programs(self):
        """gangerd and the zygote; another user gets copies, with the modules: the tree may be closed to him."""
        if self.uid is None:
            return GANGERD, ZYGOTE
        own = self.directory / "programs"
        if not own.exists():
            own.mkdir()
            for file in (GANGERD, ZYGOTE, *MODULES.glob("*.so"), *TEST_MODULES.glob("*.so")):
                shutil.copy(file, own)
            own.chmod(0o755)
            self.text = self.text.replace(f"{MODULES} {TEST_MODULES}", str(own))
        return own / GANGERD.name, own / ZYGOTE.name

    def spawn(self, *arguments, **environment_more):
        """A gangerd with this one's configuration and log; nobody waits until it is ready."""
        gangerd, zygote = self.programs()
        environment_more = {"GANGER_ZYGOTE": str(zygote), **environment_more}
        self.config.write_text(self.text, encoding="utf-8")
        if self.uid is not None:
            os.chown(self.directory, self.uid, self.uid)
        with open(self.log_path, "ab") as log:
            return subprocess.Popen([*self.under, gangerd, "--config", self.config, "--socket", self.socket, *arguments], stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, env=environment(**environment_more), preexec_fn=self.before_exec,
                                    pass_fds=self.pass_fds)

    def start(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            path = str(self.directory / "notify")
            ready.bind(path)
            os.chmod(path, 0o777)
            ready.settimeout(0.25)
            self.process = self.spawn(NOTIFY_SOCKET=path)
            end = time.monotonic() + START_BOUND
            while True:
                try:
                    if b"READY=1" in ready.recv(4096):
                        break
                except TimeoutError:
                    if self.process.poll() is not None:
                        raise AssertionError(f"gangerd ended with status {self.process.returncode} before it was ready") from None
                    if time.monotonic() > end:
                        self.process.kill()
                        raise AssertionError("gangerd was not ready in time") from None
            os.unlink(path)

    def stop(self):
        """SIGTERM, its end, its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_BOUND)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("gangerd did not end in time after SIGTERM") from None
        return self.process.returncode

    def clean(self):
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        """What was logged up to now: the log's thread, which does not sleep while it has something to write, is waited for."""
        end = time.monotonic() + LOG_BOUND
        while self.process is not None and thread_runs(self.pid, "gangerd-log") and time.monotonic() < end:
            time.sleep(0.001)
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return LEAK_SANITIZER_REMARK.sub("", text)

    def show_log(self):
        """Its end. Short: meson shows the last 100 lines of a test, and what the test says itself is to be among them."""
        lines = self.log().splitlines()
        last = folded(lines)[-LOG_LINES_SHOWN:]
        print(f"--- the daemon's log ({len(lines)} lines)", *last, "---", sep="\n", file=sys.stderr, flush=True)

    @property
    def pid(self):
        return self.process.pid

    def connect(self, **options):
        return Client(self.socket, **options)

    def status(self):
        with self.connect() as client:
            return client.ask("status")

    def rss(self):
        """The daemon's resident bytes, as the kernel counts them."""
        return resident_bytes(self.pid)

    def ganger(self, *arguments, **options):
        """Runs the command line on this daemon."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options}
        return subprocess.run([CLI, "--socket", self.socket, *arguments], env=environment(), check=False, **options)

    def all_idle(self):
        """Waits until no task is left and every worker is there and idle; returns the status then."""
        def idle():
            status = self.status()
            pools = status["pools"]
            rest = sum(p["running"] + p["queued"]["ready"] + p["queued"]["delayed"] for p in pools)
            there = all(p["workers"]["idle"] == p["workers"]["target"] for p in pools)
            return status if rest == 0 and there else None
        return eventually(idle, 20)


def folded(lines):
    """Lines that say the same but for their numbers, one after another: the first of them, and how many there were."""
    runs = [list(run) for _, run in itertools.groupby(lines, lambda line: re.sub(r"\d+", "0", line))]
    return [run[0] if len(run) == 1 else f"{run[0]}  [{len(run)} lines like this]" for run in runs]


def thread_runs(pid, name):
    """Whether a process has a thread of this name that is not asleep, stopped or dead."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii", errors="replace") as stat:
                its_name, _, rest = stat.read().partition("(")[2].rpartition(")")
            if its_name == name:
                return rest.split()[0] in "RD"
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def cpu_seconds(pid):
    """User and system time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scheduled_seconds(pid):
    """(on a processor, waiting for one) of a process, as the scheduler counts it."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as schedstat:
        ran, waited, _ = schedstat.read().split()
    return int(ran) / 1e9, int(waited) / 1e9


def children(pid):
    """The pids of a process' children."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def name_of(pid):
    """The title of a process; '' if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""


def state_of(pid):
    """Its letter in /proc."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def standing_still(pid):
    """Stopped within. kill() returns before the other one stands: what it waits for may still be given to it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: state_of(pid) == "T")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kinds_of_descriptors(pid):
    """How many descriptors of which kind a process has open."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root may count gangerd's descriptors: it is not dumpable")
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds[os.readlink(f"/proc/{pid}/fd/{fd}").split(":[")[0]] += 1
        except FileNotFoundError:
            pass
    return kinds


@functools.cache
def sanitized():
    """Whether the daemon is built with AddressSanitizer or ThreadSanitizer: its memory is no measure then."""
    program = GANGERD.read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def sums_hold(status):
    """submitted = succeeded + failed + cancelled + expired + ready + delayed + running, of the whole and of each pool."""
    def holds(totals, pools):
        live = sum(p["running"] + p["queued"]["ready"] + p["queued"]["delayed"] for p in pools)
        return totals["submitted"] == live + sum(totals[end] for end in ("succeeded", "failed", "cancelled", "expired"))
    return holds(status["totals"], status["pools"]) and all(holds(p["totals"], [p]) for p in status["pools"])


class Flat:
    """How much the daemon's memory grows between two moments."""

    def __init__(self, gangerd):
        self.gangerd = gangerd
        self.base = self.most = gangerd.rss()

    def sample(self):
        self.most = max(self.most, self.gangerd.rss())
        return self.most - self.base

    def grown(self):
        return self.sample()


class Child:
    """A client program of its own: a function in a forked process, which reports by its exit status and a pipe.

    The function gets a write end; what it writes there is .read() by the test."""

    def __init__(self, function, *arguments):
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.close(reader)
                with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as out:
                    try:
                        function(out, *arguments)
                    except BaseException as error:
                        print(f"{type(error).__name__}: {error}", file=out)
                        raise
                status = 0
            except BaseException as error:  # a forked child must not run the test's own clean-up
                print(f"client process: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(status)
        os.close(writer)
        self.pipe = os.fdopen(reader, encoding="utf-8")
        self.status = None

    def stopped(self, bound=20):
        """Waits until it has stopped itself."""
        def look():
            pid, status = os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG)
            if pid and not os.WIFSTOPPED(status):
                self.status = os.waitstatus_to_exitcode(status)
                raise AssertionError(f"the client ended with {self.status} instead of stopping")
            return pid
        eventually(look, bound)

    def has_failed(self):
        """Whether it has ended, and not well."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status not in (None, 0)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def end(self, bound=60):
        """Waits for its end; returns its exit status and what it wrote."""
        def look():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid
        if self.status is None:
            eventually(look, bound)
        with self.pipe:
            return self.status, self.pipe.read()

    def kill(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.end()


def main():
    unittest.main(verbosity=2)
