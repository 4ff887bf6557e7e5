# SPDX-License-Identifier: MIT
"""What `meson install` put in place, under a real systemd: who may use it, what it sees, what a site relaxes."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import unittest

from machine import INSIDE, main

if INSIDE:
    from service import (BIN, BOUND, Client, DROPINS, ETC, PREFIX, SOCKET, UNIT, configure, eventually, fresh, ganger, journal, main_pid, number,
                         prepare, processes, run, show, started, state, systemctl)

EXPOSURE = 0.5
UNITS = ["ganger.service", "ganger.socket", "ganger-metrics.socket", "ganger@images.service", "ganger@images.socket",
         "ganger-metrics@images.socket"]
METRICS = ("127.0.0.1", 9464)
LISTENER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 2) as client:
    print("connected")
"""
CODE_IN_MEMORY = """
import mmap
print(len(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)))
"""


def python(client, program):
    """A Python program as a task: (its status, its first line, its last error)."""
    done = client.call("exec", ["/usr/bin/python3", "-c", program], {"check": False})
    return done["status"], done["stdout"].decode().strip(), done["stderr"].decode().strip().rpartition("\n")[2]


def autogroup(pid):
    """The nice value of a process' session, by which the kernel compares it with other sessions; None: this kernel does not."""
    path = pathlib.Path(f"/proc/{pid}/autogroup")
    return int(path.read_text(encoding="ascii").split()[-1]) if path.exists() else None


def read_metrics(sock):
    """What a connected socket tells by HTTP."""
    sock.settimeout(BOUND)
    reader = http.client.HTTPConnection("localhost")
    reader.sock = sock
    reader.request("GET", "/metrics")
    answer = reader.getresponse()
    text = answer.read().decode()
    reader.close()
    assert answer.status == 200, (answer.status, text)
    return text


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        prepare()

    def test_units_are_right(self):
        """systemd-analyze: verify is silent, exposure within its bound"""
        done = run("systemd-analyze", "verify", *UNITS)
        self.assertEqual(done.stdout + done.stderr, "")
        user = PREFIX / "lib" / "systemd" / "user"
        done = run("systemd-analyze", "--user", "verify", user / "ganger.service", user / "ganger.socket",
                   env={**os.environ, "XDG_RUNTIME_DIR": "/run"})
        self.assertEqual(done.stdout + done.stderr, "")
        for unit in ("ganger.service", "ganger@images.service"):
            if unit != UNIT:
                run("systemd-sysusers", "--inline", "u ganger-images -")
            level = number(r"Overall exposure level for \S+: ([0-9.]+)", run("systemd-analyze", "security", unit).stdout)
            print(f"{unit}: exposure {level}")
            self.assertLessEqual(level, EXPOSURE)

    def test_who_may(self):
        """An ordinary user in the group; not one who is not; root; not the service's own user"""
        fresh()
        self.assertEqual((state("ganger.socket"), state()), ("active", "inactive"))
        began = time.monotonic()
        self.assertEqual(ganger("call", "echo", '"hello"', user="ann").stdout, '"hello"\n')
        print(f"the first task, which starts the service: {(time.monotonic() - began) * 1e3:.0f} ms")
        eventually(lambda: state() == "active")
        refused = ganger("call", "echo", "1", user="bob", check=False)
        self.assertEqual(refused.returncode, 125, refused.stderr)
        self.assertIn("not for this user", refused.stderr)
        self.assertEqual(ganger("call", "echo", "1").stdout, "1\n")
        own = ganger("call", "echo", "1", user="ganger", check=False)
        self.assertNotEqual(own.returncode, 0)
        with Client(SOCKET) as client:
            self.assertNotIn("exec", str(client.ask("functions")))
        self.assertEqual(oct(os.stat(SOCKET).st_mode & 0o777), "0o660")

    def test_files_in_a_home(self):
        """Passed open they are read; by path the error says that homes are not seen, and what to do"""
        fresh("[pool default]\nmodules = digest\n")
        files = {f"/home/ann/file {n}": os.urandom(1000 * n) for n in range(1, 20)}
        for path, content in files.items():
            pathlib.Path(path).write_bytes(content)
            shutil.chown(path, "ann", "ann")
            os.chmod(path, 0o600)
        done = ganger("map", "-k", "digest.sha256", *("@" + path for path in files), user="ann")
        self.assertEqual(done.stdout.split(), [f'"{hashlib.sha256(content).hexdigest()}"' for content in files.values()])
        path = next(iter(files))
        done = ganger("map", "digest.sha256", path, user="ann", check=False)
        print(done.stderr.strip())
        self.assertNotIn(done.returncode, (0, 125))
        for says in ("cannot see homes", "@", "homes.conf"):
            self.assertIn(says, done.stderr)
        self.assertNotIn("cannot see homes", ganger("map", "digest.sha256", "/root-file-that-is-not", user="ann", check=False).stderr)

    def test_nice_and_environment(self):
        """gangerd before others, its workers as they should be; nothing of systemd's in their environment"""
        started("[pool default]\nworkers = 1\nexec = yes\n[pool slow]\nworkers = 1\nexec = yes\nnice = 7\n")
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, main_pid()), -10)
        self.assertIn(autogroup(main_pid()), (-10, None))
        with Client(SOCKET) as client:
            found = {worker["pool"]: autogroup(worker["pid"]) for worker in client.ask("status")["workers"]}
            self.assertIn(found, ({"default": 0, "slow": 7}, {"default": None, "slow": None}))
            for pool, nice in (("default", 0), ("slow", 7)):
                told = client.call("exec", ["/bin/sh", "-c", "nice; env; ulimit -Sn"], pool=pool)["stdout"].decode().splitlines()
                self.assertEqual((int(told[0]), told[-1]), (nice, "1024"))
                names = {line.partition("=")[0] for line in told[1:-1]}
                self.assertEqual([name for name in names if name.startswith(("NOTIFY_", "LISTEN_", "WATCHDOG_", "INVOCATION_", "JOURNAL_"))], [])

    def test_catalog(self):
        """Each message that an administrator would search for has its text in the journal's catalog"""
        run("journalctl", "--update-catalog")
        listed = run("journalctl", "--list-catalog").stdout
        ours = [line.split()[0] for line in listed.splitlines() if " ganger: " in line]
        self.assertGreaterEqual(len(ours), 10)
        for id in ours:
            self.assertIn("Subject: ", run("journalctl", "--dump-catalog", id).stdout)

    def test_drop_in_homes(self):
        os.chmod("/home/ann", 0o755)
        self.addCleanup(os.chmod, "/home/ann", 0o700)
        file = pathlib.Path("/home/ann/for-all")
        file.write_text("x", encoding="ascii")
        file.chmod(0o644)
        for name in (None, "homes"):
            self.with_drop_in(name, "[pool default]\nmodules = digest\n")
            done = ganger("call", "digest.sha256", f'"{file}"', user="ann", check=False)
            self.assertEqual(done.returncode, 0 if name else 1, done.stderr)

    def test_drop_in_network(self):
        for name, says in ((None, "not supported by protocol"), ("network", "")):
            self.with_drop_in(name, "[pool default]\nexec = yes\n")
            with Client(SOCKET) as client:
                status, said, error = python(client, LISTENER)
            self.assertEqual((status, said), (0, "connected") if name else (1, ""), error)
            self.assertIn(says, error)

    def test_drop_in_programs(self):
        for name in (None, "programs"):
            self.with_drop_in(name, "[pool default]\nexec = yes\n")
            with Client(SOCKET) as client:
                status, said, error = python(client, CODE_IN_MEMORY)
            self.assertEqual((status, said), (0, "4096") if name else (1, ""), error)

    def with_drop_in(self, name, text):
        """Put in place as its own first lines say."""
        fresh(text)
        if name is not None:
            shutil.rmtree("/etc/systemd/system/ganger.service.d", ignore_errors=True)
            os.makedirs("/etc/systemd/system/ganger.service.d")
            shutil.copy(DROPINS / f"{name}.conf", "/etc/systemd/system/ganger.service.d/")
            systemctl("daemon-reload")
        systemctl("restart", UNIT)

    def test_metrics_over_http(self):
        """Off unless asked for; its socket reaches the service that has no network, beside that of the clients, and starts it"""
        started("[pool default]\nexec = yes\n")
        self.addCleanup(systemctl, "stop", "ganger-metrics.socket", UNIT)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(METRICS, BOUND)
        refused = systemctl("start", "ganger-metrics.socket", check=False)  # as the unit says: only before the service starts
        self.assertNotEqual(refused.returncode, 0)
        systemctl("stop", UNIT)
        systemctl("start", "ganger-metrics.socket")
        self.assertEqual(state(), "inactive")
        self.assertIn('ganger_workers_target{pool="default"}', read_metrics(socket.create_connection(METRICS, BOUND)))
        eventually(lambda: state() == "active")
        with Client(SOCKET) as client:
            client.call("echo", 1)
            self.assertIn('ganger_tasks_ended_total{pool="default",end="succeeded"} 1', read_metrics(socket.create_connection(METRICS, BOUND)))
            status, _, error = python(client, LISTENER)
            self.assertEqual(status, 1, error)
        systemctl("restart", UNIT)
        self.assertIn("ganger_build_info", read_metrics(socket.create_connection(METRICS, BOUND)))

    def test_metrics_key_where_there_is_no_network(self):
        """The configuration is refused, and says what to do"""
        fresh("[daemon]\nmetrics = 127.0.0.1:9464\n")
        self.assertNotEqual(systemctl("start", UNIT, check=False).returncode, 0)
        self.assertEqual(show("ExecMainStatus"), "78")
        eventually(lambda: "ganger-metrics.socket can pass" in journal())

    def test_instance(self):
        """A further one, made as its unit says: a user, a group and a configuration of its own"""
        run("systemd-sysusers", "--inline", "u ganger-photos -")
        run("usermod", "--append", "--groups", "ganger-photos", "bob")
        configure("[pool images]\nworkers = 1\n", ETC / "ganger" / "photos.conf")
        systemctl("enable", "--now", "ganger@photos.socket")
        self.addCleanup(systemctl, "disable", "ganger@photos.service", "ganger@photos.socket")
        systemctl("enable", "ganger@photos.service")
        path = "/run/ganger/photos/ganger.sock"
        self.assertEqual(ganger("--socket", path, "call", "--pool", "images", "echo", "7", user="bob").stdout, "7\n")
        self.assertEqual(ganger("--socket", path, "ping", user="ann", check=False).returncode, 125)
        self.assertEqual(show("User", "ganger@photos.service"), "ganger-photos")
        systemctl("reload", "ganger@photos.service")
        systemctl("stop", "ganger@photos.service")
        systemctl("start", "ganger-metrics@photos.socket")
        metrics = pathlib.Path("/run/ganger/photos/metrics.sock")
        self.assertEqual((metrics.group(), oct(metrics.stat().st_mode & 0o777)), ("ganger-photos", "0o660"))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(metrics))
            self.assertIn('ganger_workers_target{pool="images"} 1', read_metrics(sock))
        systemctl("stop", "ganger@photos.service", "ganger@photos.socket", "ganger-metrics@photos.socket")
        self.assertEqual(processes("ganger@photos.service"), [])
        self.assertFalse(os.path.exists(path))

    def test_user_unit(self):
        """Under a `systemd --user` of ann's: his socket, his tasks, his home"""
        configure("")
        uid = int(run("id", "-u", "ann").stdout)
        runtime = f"/run/user/{uid}"
        own = pathlib.Path("/etc/systemd/system/user@.service.d")
        own.mkdir(exist_ok=True)  # what pam_systemd would say if it is not installed
        (own / "test.conf").write_text("[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n", encoding="ascii")
        systemctl("daemon-reload")
        systemctl("start", f"user@{uid}.service")
        self.addCleanup(systemctl, "stop", f"user@{uid}.service")
        env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/home/ann", "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": runtime}

        def as_ann(*arguments, check=True):
            return run(*arguments, user="ann", env=env, check=check)
        eventually(lambda: as_ann("systemctl", "--user", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), BOUND)
        as_ann("systemctl", "--user", "start", "ganger.socket")
        self.assertEqual(as_ann(BIN / "ganger", "--user", "call", "exec", '["/usr/bin/id", "-un"]').returncode, 0)
        file = pathlib.Path("/home/ann/mine")
        file.write_text("mine", encoding="ascii")
        told = json.loads(as_ann(BIN / "ganger", "--json", "call", "exec", '["/bin/cat", "/home/ann/mine"]').stdout)
        self.assertEqual(told["status"], 0)
        as_ann("systemctl", "--user", "reload", "ganger.service")
        status = as_ann("systemctl", "--user", "show", "--property=ActiveState,StatusText,User", "ganger.service").stdout
        self.assertIn("ActiveState=active", status)
        self.assertIn("workers in 1 pool", status)
        as_ann("systemctl", "--user", "stop", "ganger.service")
        self.assertFalse(journal(f"_UID={uid}").count("Failed"))


if __name__ == "__main__":
    main()
