# SPDX-License-Identifier: MIT
"""Inside the machine: the installed ganger and its units, its users, and clients that load it."""
import collections
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import time

from machine import BUILD, SOURCE

sys.path.insert(0, str(SOURCE / "tests" / "support"))
from gangerd import Child, Client, eventually  # noqa: E402
from wire import Closed, Refused  # noqa: E402

SOCKET = "/run/ganger/ganger.sock"
UNIT = "ganger.service"
BOUND = 20


def built(name):
    """One of the build's own settings."""
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    return next(option["value"] for option in options if option["name"] == name)


PREFIX = pathlib.Path(built("prefix"))
BIN = PREFIX / built("bindir")
MODULES = PREFIX / built("libdir") / "ganger" / "modules"
ETC = pathlib.Path("/etc") if PREFIX == pathlib.Path("/usr") else PREFIX / built("sysconfdir")
CONFIG = ETC / "ganger" / "ganger.conf"
DROPINS = PREFIX / built("datadir") / "doc" / "ganger" / "drop-ins"


def run(*arguments, check=True, **options):
    """A command; its output as text. `user`: as whom, with all his groups and nothing of our environment."""
    user = options.pop("user", None)
    if user is not None:
        home = pwd.getpwnam(user).pw_dir
        options = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": os.getgrouplist(user, pwd.getpwnam(user).pw_gid),
                   "cwd": home, "env": {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"}, "umask": 0o077, **options}
    options = {"stdin": subprocess.DEVNULL, "timeout": 60, **options}
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{arguments}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def systemctl(*arguments, **options):
    return run("systemctl", *arguments, **options)


def show(name, unit=UNIT):
    return systemctl("show", "--property", name, "--value", unit).stdout.strip()


def state(unit=UNIT):
    return show("ActiveState", unit)


def main_pid(unit=UNIT):
    return int(show("MainPID", unit))


def journal(*arguments):
    return run("journalctl", "--quiet", "--output=cat", *(arguments or ("-u", UNIT))).stdout


def ganger(*arguments, **options):
    return run(BIN / "ganger", *arguments, **options)


def configure(text, path=CONFIG):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def prepare():
    """People: ann may use ganger, bob may not; and what the README says is to be done, word for word."""
    for module in (BUILD / "tests" / "unit" / "worker").glob("*.so"):
        shutil.copy(module, MODULES)
    for name in ("ann", "bob"):
        run("useradd", "--create-home", "--user-group", "--shell", "/bin/sh", name)
        os.chmod(f"/home/{name}", 0o700)
    section = (SOURCE / "README.md").read_text(encoding="utf-8").partition("## As a service")[2].partition("\n## ")[0]
    commands = re.findall(r"^    # (.*)$", section, re.MULTILINE)
    assert len(commands) >= 4, commands
    for command in commands:
        run("sh", "-c", command)
    assert state("ganger.socket") == "active"


def fresh(text="", drop_in=None):
    """The service with this configuration, not running; its socket listens. `drop_in`: lines for its [Service]."""
    systemctl("stop", UNIT, "ganger.socket")
    configure(text)
    own = pathlib.Path("/etc/systemd/system/ganger.service.d")
    shutil.rmtree(own, ignore_errors=True)
    if drop_in is not None:
        own.mkdir(parents=True)
        (own / "test.conf").write_text(f"[Service]\n{drop_in}\n", encoding="utf-8")
    systemctl("daemon-reload")
    systemctl("reset-failed")
    systemctl("start", "ganger.socket")


def started(text="", drop_in=None):
    fresh(text, drop_in)
    systemctl("start", UNIT)


def processes(unit=UNIT):
    """All pids in the unit's cgroup."""
    group = show("ControlGroup", unit)
    try:
        return [int(line) for file in pathlib.Path(f"/sys/fs/cgroup{group}").rglob("cgroup.procs")
                for line in file.read_text(encoding="ascii").split()] if group else []
    except (FileNotFoundError, OSError):
        return []


class Load:
    """Clients, each a process that calls one after another, and connects again when it is cut off. What became of each call is
    counted: `answered`, `cut off` (the connection ended), an error's code, `no connection`. Only a hang, or an answer that is wrong,
    ends one, with status 1."""

    def __init__(self, n=3, path=SOCKET):
        self.stop_file = pathlib.Path(f"/run/test-load-stop-{time.monotonic_ns()}")
        self.clients = [Child(self.client, path) for _ in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.kill()
        self.stop_file.unlink(missing_ok=True)

    def client(self, out, path):
        seen, client, n = collections.Counter(), None, 0
        while not self.stop_file.exists():
            try:
                if client is None:
                    client = Client(path, bound=BOUND)
                n += 1
                answer = client.call("echo", n) if n % 8 else client.call("sleep", 0.01)
                assert answer == (n if n % 8 else None), (n, answer)
                seen["answered"] += 1
            except (ConnectionRefusedError, FileNotFoundError, BlockingIOError) as error:
                seen[f"no connection: {type(error).__name__}"] += 1
            except (Closed, BrokenPipeError, ConnectionResetError):
                seen["cut off"] += 1
                client.close()
                client = None
            except Refused as refused:
                seen[refused.code] += 1
        if client is not None:
            client.close()
        json.dump(seen, out)

    def end(self):
        """All of them; what they have seen, added up."""
        self.stop_file.touch()
        seen = collections.Counter()
        for client in self.clients:
            status, text = client.end(BOUND * 2)
            if status != 0:
                raise AssertionError(f"a client ended with status {status}")
            seen.update(json.loads(text))
        return seen


def answered_since(began, path=SOCKET):
    """Seconds from `began` to the answer of a connection made now."""
    with Client(path, bound=BOUND) as client:
        client.ask("ping")
    return time.monotonic() - began


def figures(seen):
    return ", ".join(f"{name} {n}" for name, n in sorted(seen.items()))


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return float(found.group(1))


__all__ = ["BIN", "BOUND", "CONFIG", "Child", "Client", "Closed", "DROPINS", "ETC", "Load", "MODULES", "PREFIX", "Refused", "SOCKET", "UNIT",
           "answered_since", "configure", "eventually", "figures", "fresh", "ganger", "journal", "main_pid", "number", "prepare", "processes",
           "run", "show", "started", "state", "systemctl"]
