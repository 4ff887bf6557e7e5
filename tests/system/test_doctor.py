# SPDX-License-Identifier: MIT
"""ganger doctor: each thing is broken for real, and is found, with what helps; where all is well, nothing is said against it."""
import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, GANGERD, ZYGOTE, Gangerd, configuration, environment, eventually, main, standing_still  # noqa: E402
from users import ANN, DAEMON, needs_root, open_to_all  # noqa: E402

OWN = os.geteuid()
SMALL = {"max_connections": 100, "memory_limit": "64M", "user_memory": "64M"}, {"nesting_limit": 2}  # it fits into any machine
NOT_INSTALLED = "LoadState=not-found\n"
USER_DAEMON, GROUP_DAEMON, NOGROUP = 1, 1, 65534  # Debian's own, in /etc/passwd
ALONE = 60010  # whose processes are counted: no other test runs any of his


class Doctor(unittest.TestCase):
    def setUp(self):
        own = tempfile.TemporaryDirectory(prefix="ganger-test.")
        self.addCleanup(own.cleanup)
        self.here = pathlib.Path(own.name)
        self.here.chmod(0o755)
        self.units({})

    def units(self, shown):
        """Lets systemctl show this of each unit: name: text."""
        for name, text in shown.items():
            (self.here / name).write_text(text, encoding="utf-8")
        script = f'#!/bin/sh\necho "$@" >>{self.here}/asked\ncat "{self.here}/$3" 2>/dev/null || echo {NOT_INSTALLED}\n'
        (self.here / "systemctl").write_text(script, encoding="ascii")
        (self.here / "systemctl").chmod(0o755)

    def examine(self, *arguments, before=(), status=None, words=(), program=CLI, **more):
        """The findings. `before`: options before the verb; `words`: environment variables."""
        surroundings = {key: value for key, value in environment(**dict(words)).items() if key != "XDG_RUNTIME_DIR" or key in dict(words)}
        surroundings["PATH"] = f"{self.here}:{surroundings['PATH']}"
        done = subprocess.run([program, "--json", *before, "doctor", "--gangerd", GANGERD, *arguments], env=surroundings,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, **more)
        self.assertEqual(done.stderr, b"")
        findings = json.loads(done.stdout)
        for finding in findings:
            self.assertEqual(sorted(finding), ["check", "found", "remedy", "state"])
            self.assertEqual(finding["remedy"] is None, finding["state"] == "ok", finding)
        self.assertEqual(done.returncode, any(finding["state"] == "problem" for finding in findings), findings)
        if status is not None:
            self.assertEqual(done.returncode, status, findings)
        return findings

    def told(self, findings, check, state, found, remedy):
        for finding in findings:
            if (finding["check"], finding["state"]) == (check, state) and found in finding["found"] and remedy in finding["remedy"]:
                return
        self.fail(f"{check}, {state}: {found} -> {remedy} is not among\n" + "\n".join(map(str, findings)))

    def not_well(self, findings):
        return [finding["check"] for finding in findings if finding["state"] != "ok"]

    def of(self, g, *arguments, **more):
        return self.examine(*arguments, before=("--socket", g.socket), **more)

    def write(self, text):
        path = self.here / "ganger.conf"
        path.write_text(text, encoding="utf-8")
        return path


class Well(Doctor):
    def test_all_well(self):
        with Gangerd(*SMALL) as g:
            g.all_idle()
            findings = self.of(g, status=0)
            unseen = [] if OWN == 0 else ["program"]  # only root may see which program it is
            self.assertEqual(self.not_well(findings), unseen)
            self.assertLessEqual({"socket", "daemon", "pools", "configuration", "descriptors", "processes", "memory"},
                                 {finding["check"] for finding in findings})
            done = g.ganger("doctor", "--gangerd", str(GANGERD))
            self.assertEqual(done.returncode, 0)
            lines = done.stdout.decode().splitlines()
            self.assertRegex(lines[0], rf"^ok +socket +{g.socket}: mode 0600, ")
            self.assertIn("digest", g.ganger("functions").stdout.decode())  # it has gone on meanwhile

    def test_lines_for_people(self):
        with Gangerd() as g:
            self.assertEqual(g.ganger("pool", "pause", "default").returncode, 0)
            done = g.ganger("doctor", "--gangerd", str(GANGERD))
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout.decode(), r"(?m)^problem  pools +default is paused: 0 tasks wait\n +→ ganger pool resume default$")

    def test_nobody_reads(self):
        """With a daemon, which is asked meanwhile, it ends as any program does."""
        with Gangerd() as g:
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([CLI, "--socket", g.socket, "doctor", "--gangerd", GANGERD], env=environment(), stdout=writer,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (-signal.SIGPIPE, b""))

    def test_usage(self):
        for arguments in (["now"], ["--no-such"], ["--config"]):
            done = subprocess.run([CLI, "doctor", *arguments], env=environment(), capture_output=True, timeout=20, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, b""), arguments)


class Socket(Doctor):
    def test_absent(self):
        path = self.here / "none"
        self.told(self.examine(before=("--socket", path), status=1), "socket", "problem", f"{path}: there is no socket", "gangerd --socket")
        self.told(self.examine(before=("--socket", "/" + "x" * 200), status=1), "socket", "problem", "longer", "107 bytes")

    @needs_root
    def test_usual_ones(self):
        """As an ordinary user: his own, then the system's; his own only where there is a directory for it"""
        cli = shutil.copy(CLI, self.here)
        user = {"user": ANN, "group": ANN, "extra_groups": []}
        findings = self.examine(program=cli, words={"XDG_RUNTIME_DIR": str(self.here)}, status=1, **user)
        self.told(findings, "socket", "problem", f"{self.here}/ganger/ganger.sock: there is no socket", "gangerd &")
        self.told(findings, "socket", "problem", "/run/ganger/ganger.sock: there is no socket", "ganger.socket")
        findings = self.examine(program=cli, before=("--user",), status=1, **user)
        self.told(findings, "socket", "problem", "XDG_RUNTIME_DIR is not set", "--socket PATH")

    def test_stale(self):
        with tempfile.TemporaryDirectory(prefix="ganger-test.") as directory:
            g = Gangerd(directory=directory)
            g.expects_death = True
            with g:
                os.kill(g.pid, signal.SIGKILL)
                g.process.wait()
                self.told(self.of(g, status=1), "socket", "problem", f"{g.socket} is stale", "gangerd --socket")

    def test_something_else(self):
        file = self.write("")
        self.told(self.examine(before=("--socket", file), status=1), "socket", "problem", "is no socket", "mv ")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(str(self.here / "datagrams"))
            findings = self.examine(before=("--socket", self.here / "datagrams"), status=1)
            self.told(findings, "socket", "problem", "another kind", "--socket")

    @needs_root
    def test_not_for_this_user(self):
        cli = shutil.copy(CLI, self.here)
        ann = {"program": cli, "user": ANN, "group": ANN, "extra_groups": [], "status": 1}
        with Gangerd({"socket_mode": "0660", "socket_group": "daemon"}) as g:
            self.told(self.of(g, **ann), "socket", "problem", f"{ANN} may not enter {g.directory}", f"chmod a+x {g.directory}")
            open_to_all(g)
            self.told(self.of(g, **ann), "groups", "problem", f"mode 0660, for group daemon, to which {ANN} does not belong",
                      f"usermod -aG daemon {ANN}")
            late = {**ann, "user": USER_DAEMON, "group": NOGROUP}  # the group is his by /etc/passwd, but not in this session
            self.told(self.of(g, **late), "groups", "problem", "not in this session", "newgrp daemon, or log in again")
            findings = self.of(g, **{**ann, "group": GROUP_DAEMON, "status": 0})
            self.told(findings, "program", "warning", f"not looked at as {ANN}", "sudo ganger doctor")
        with open_to_all(Gangerd()) as g:
            self.told(self.of(open_to_all(g), **ann), "socket", "problem", "mode 0600, so for its owner root alone", "socket_mode = 0660")

    @needs_root
    def test_not_an_admin_yet(self):
        cli = shutil.copy(CLI, self.here)
        with Gangerd({"socket_mode": "0666", "admin_group": "daemon"}) as g:
            open_to_all(g)
            g.config.chmod(0o644)
            user = {"program": cli, "user": USER_DAEMON, "extra_groups": []}
            gangerd = shutil.copy(GANGERD, self.here)
            findings = self.of(g, "--gangerd", gangerd, group=NOGROUP, **user)
            self.told(findings, "groups", "warning", "belongs to admin_group daemon", "newgrp daemon")
            self.assertNotIn("groups", self.not_well(self.of(g, "--gangerd", gangerd, group=GROUP_DAEMON, **user)))


class Daemon(Doctor):
    def test_stopped(self):
        with Gangerd() as g, standing_still(g.pid):
            self.told(self.of(g, status=1), "daemon", "problem", f"(pid {g.pid}) does not answer: it is stopped", f"kill -CONT {g.pid}")

    def test_refuses(self):
        with Gangerd({"user_connections": 1}) as g, g.connect():
            self.told(self.of(g, status=1), "daemon", "problem", "user_connections", "end what holds connections")

    def test_not_ganger(self):
        def serve():
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                client.recv(1000)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                client.close()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.here / "http"))
            listener.listen()
            threading.Thread(target=serve, daemon=True).start()
            findings = self.examine(before=("--socket", self.here / "http"), status=1)
            self.told(findings, "daemon", "problem", "does not speak ganger's protocol", "--socket")

    def test_pools(self):
        ill = "[pool ill]\nworkers = 1\nmodules = probe\n[module probe]\nstart_at = 999\n[pool full]\nqueue_limit = 10\nworkers = 1\n"
        with Gangerd({"start_timeout": 2}, more=ill) as g, g.connect() as client:
            eventually(lambda: next(pool for pool in g.status()["pools"] if pool["name"] == "ill")["degraded"], 30)
            for _ in range(9):
                client.submit("sleep", 0, delay=1000, pool="full")
            client.ask("pool.pause", "default")
            client.ask("pool.scale", "full", 0)
            findings = self.of(g, status=1)
            self.told(findings, "pools", "problem", "ill is degraded: its workers die young, 0 of 1 are there", "ganger pool reload ill")
            self.told(findings, "pools", "problem", "default is paused", "ganger pool resume default")
            self.told(findings, "pools", "warning", "full: 9 tasks wait, and queue_limit is 10", "ganger pool scale full N")
            self.told(findings, "pools", "warning", "full is to have no workers", "ganger pool scale full N")

    def test_quotas(self):
        """Seen by whom they are of, before he is refused"""
        with Gangerd({"user_tasks": 10}) as g, g.connect() as client:
            for _ in range(8):
                client.submit("sleep", 0, delay=1000)
            self.assertNotIn("quotas", self.not_well(self.of(g, status=0)))
            client.submit("sleep", 0, delay=1000)
            self.told(self.of(g, status=0), "quotas", "warning", "has 9 of what may be 10 at most by user_tasks", "a larger user_tasks")

    def test_log_that_nobody_takes(self):
        reader, writer = os.pipe()
        try:
            with Gangerd({"log_level": "debug"}, prepare=lambda: os.dup2(writer, 2)) as g, g.connect() as client:
                self.assertNotIn("log", self.not_well(self.of(g, status=0)))

                def dropped():
                    for msgid in [client.start("call", "echo", [1], {}) for _ in range(200)]:
                        client.outcome(msgid)
                    return client.ask("status")["log_dropped"]
                eventually(dropped, 60)
                self.told(self.of(g, status=0), "log", "warning", "messages were dropped", "ganger log-level")
                os.close(reader)  # so that it can end
        finally:
            os.close(writer)

    @needs_root
    def test_replaced(self):
        """The program that runs is not the one on disk any more."""
        gangerd = self.here / "gangerd"
        shutil.copy(GANGERD, gangerd)

        class Copied(Gangerd):
            def programs(self):
                return gangerd, ZYGOTE
        with Copied(*SMALL) as g:
            self.assertEqual(self.not_well(self.of(g, status=0)), [])
            shutil.copy(GANGERD, self.here / "new")
            os.replace(self.here / "new", gangerd)
            self.told(self.of(g, status=0), "program", "warning", f"{gangerd} was replaced", f"kill {g.pid}")
            fake = self.here / "fake"
            fake.write_text('#!/bin/sh\necho \'{"version": "99", "problems": []}\'\n', encoding="ascii")
            fake.chmod(0o755)
        with Gangerd() as g:
            self.told(self.of(g, "--gangerd", fake, status=0), "program", "warning", f"{fake} is version 99", f"kill {g.pid}")


class Configuration(Doctor):
    def test_wrong(self):
        config = self.write("[daemon]\nsokket = 1\n")
        with Gangerd() as g:
            findings = self.of(g, "--config", config, status=1)
            self.told(findings, "configuration", "problem", f"{config}:2: ", f"--check --config {config}")
            g.config.write_text("[daemon]\nmax_message = 5\n", encoding="utf-8")  # what the next restart would find
            self.told(self.of(g, status=1), "configuration", "problem", "max_message", f"--check --config {g.config}")

    def test_modules_that_do_not_load(self):
        for module, words in (("bad_symbol", "undefined symbol: nobody_has_this"), ("none_such", "none_such was not found"),
                              ("bad_load", "the moon is not full"), ("bad_abi", "ABI")):
            with self.subTest(module=module):
                config = self.write(configuration(pool={"modules": f"digest {module}"}, more="[pool good]\nmodules = digest\n"))
                findings = self.examine("--config", config, before=("--socket", self.here / "none"), status=1)
                self.told(findings, "modules", "problem", words, f"--check --config {config}")
                [found] = [finding["found"] for finding in findings if finding["check"] == "modules"]
                self.assertTrue(found.startswith("[pool default] "), found)

    def test_no_gangerd(self):
        with Gangerd() as g:
            self.told(self.of(g, "--gangerd", "/no/such", status=0), "configuration", "warning", "/no/such cannot be run", "--gangerd")
            self.told(self.of(g, "--gangerd", "/bin/true", status=0), "configuration", "warning", "does not answer", "--gangerd")

    def test_another_place(self):
        config = self.write(configuration({"socket": "/srv/none"}))
        findings = self.examine("--config", config, words={"XDG_RUNTIME_DIR": str(self.here)}, status=1)
        self.told(findings, "configuration", "warning", "listen on /srv/none", "export GANGER_SOCKET=/srv/none")

    @needs_root
    def test_tried_as_the_daemons_user(self):
        """Root does not load modules as root; whoever is neither is told that he need not see what the daemon sees."""
        zygote, seen = self.here / "zygote", self.here / "seen"
        with Gangerd({"socket_mode": "0666"}, uid=DAEMON) as g:
            _, own = g.programs()
            zygote.write_text(f'#!/bin/sh\nid -u >>{seen}\nexec {own} "$@"\n', encoding="ascii")
            zygote.chmod(0o755)
            seen.touch()
            seen.chmod(0o666)
            g.config.write_text(g.text + f"[pool other]\nzygote = {zygote}\n", encoding="utf-8")
            g.config.chmod(0o644)
            open_to_all(g)
            gangerd = shutil.copy(GANGERD, self.here)
            words = {"GANGER_ZYGOTE": str(own)}
            self.of(g, "--gangerd", gangerd, words=words, status=0)
            self.assertEqual(seen.read_text(encoding="ascii").split(), [str(DAEMON)])
            g.config.chmod(0o600)
            cli = shutil.copy(CLI, self.here)
            findings = self.of(g, "--gangerd", gangerd, words=words, status=0, program=cli, user=ANN, group=ANN, extra_groups=[])
            self.told(findings, "configuration", "warning", f"Permission denied, tried as {ANN}", "sudo ganger doctor")


class Limits(Doctor):
    def test_descriptors(self):
        """Fewer than configured: gangerd makes do with less. Fewer than it must have: it would not start."""
        def low():
            resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
        with Gangerd(prepare=low) as g:
            findings = self.of(g, status=0)
            self.told(findings, "descriptors", "warning", f"RLIMIT_NOFILE of gangerd (pid {g.pid}) allows 4096", "ulimit -Hn")
            config = self.write(configuration({"max_connections": 5000}))
            self.told(self.of(g, "--config", config, status=1), "descriptors", "problem", "allows 4096", "max_connections")
        findings = self.examine("--config", config, before=("--socket", self.here / "none"), preexec_fn=low, status=1)
        self.told(findings, "descriptors", "problem", "RLIMIT_NOFILE of this session allows 4096", "max_connections")

    @needs_root
    def test_processes(self):
        def low():
            resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
        with open_to_all(Gangerd(uid=ALONE, prepare=low)) as g:
            gangerd, zygote = g.programs()  # which that user can run
            its = {"words": {"GANGER_ZYGOTE": str(zygote)}}
            findings = self.of(g, "--gangerd", gangerd, status=0, **its)
            self.told(findings, "processes", "warning", f"RLIMIT_NPROC of gangerd (pid {g.pid}) is 100", "ulimit -Su")
            config = self.write(configuration(pool={"workers": 200}))
            findings = self.of(g, "--gangerd", gangerd, "--config", config, **its)
            self.told(findings, "processes", "problem", "is 100", "fewer workers")

    def test_memory(self):
        config = self.write(configuration({"memory_limit": "900000G"}, {"memory_limit": "500000G"}))
        with Gangerd() as g:
            findings = self.of(g, "--config", config, status=0)
            self.told(findings, "memory", "warning", "memory_limit of [daemon] is 900000G", "a memory_limit in [daemon]")
            self.told(findings, "memory", "warning", "all workers together 1000000G", "fewer workers")


SERVICE = """LoadState=loaded
ActiveState={active}
Result={result}
ExecMainStatus={status}
MainPID={pid}
NeedDaemonReload={reload}
FragmentPath=/lib/systemd/system/ganger.service
ExecStart={{ path={program} ; argv[]={program} --config {config} ; ignore_errors=no ; pid=1 ; status=0/0 }}
User={user}
LimitNOFILE={nofile}
LimitNPROCSoft=infinity
TasksMax=5000
MemoryMax=infinity
"""
SOCKET = "LoadState=loaded\nActiveState={active}\nUnitFileState={file}\n"


class Units(Doctor):
    """What systemctl says is played."""

    def show(self, socket_state=("active", "enabled"), **its):
        its = {"active": "active", "result": "success", "status": 0, "pid": 0, "reload": "no", "program": GANGERD, "nofile": 524288,
               "config": self.here / "ganger.conf", "user": "", **its}
        self.units({"ganger.service": SERVICE.format(**its), "ganger.socket": SOCKET.format(active=socket_state[0], file=socket_state[1])})

    def system(self, **more):
        return self.examine(before=("--system",), **more)

    def test_without_a_daemon(self):
        """Configuration, user and limits are the unit's."""
        self.write(configuration({"max_connections": 5000}))
        self.show(active="failed", result="exit-code", status=78, socket_state=("inactive", "disabled"), nofile=4096)
        findings = self.system(status=1)
        self.told(findings, "units", "problem", "ganger.service has failed: it ended with status 78", "journalctl")
        self.told(findings, "units", "problem", "ganger.socket is inactive", "systemctl enable --now ganger.socket")
        self.told(findings, "socket", "problem", "there is no socket", "systemctl enable --now ganger.socket")
        self.told(findings, "descriptors", "problem", "RLIMIT_NOFILE of ganger.service allows 4096", "edit ganger.service: [Service] LimitNOFILE=")
        self.show(active="failed", result="watchdog", program="/no/such/gangerd")
        findings = self.system(status=1)
        self.told(findings, "units", "problem", "has failed: watchdog", "journalctl")
        self.told(findings, "units", "problem", "starts /no/such/gangerd, which is not there", "install gangerd")
        self.assertIn("--system show ganger.service\n", (self.here / "asked").read_text(encoding="utf-8"))

    def test_with_a_daemon(self):
        runtime = {"XDG_RUNTIME_DIR": str(self.here)}
        (self.here / "ganger").mkdir()
        g = Gangerd()
        g.socket = str(self.here / "ganger" / "ganger.sock")
        with g:
            self.show(pid=g.pid, config=g.config)
            more = {"before": ("--socket", g.socket), "words": runtime}
            self.assertNotIn("units", self.not_well(self.examine(status=0, **more)))
            self.show(pid=g.pid, reload="yes", socket_state=("active", "disabled"))
            findings = self.examine(status=0, **more)
            self.told(findings, "units", "warning", "has changed since systemd read it", "systemctl --user daemon-reload && systemctl --user restart")
            self.told(findings, "units", "warning", "not after the next boot", "systemctl --user enable ganger.socket")
            self.show(pid=1)
            self.told(self.examine(**more), "units", "warning", f"(pid {g.pid}) was not started by ganger.service", f"kill {g.pid}")
            if OWN == 0:  # only root may see which program it is
                self.show(pid=g.pid, program="/bin/true")
                self.told(self.examine(**more), "units", "warning", f"{GANGERD} runs, and", "remove the other installation")
            self.assertIn("--user show ganger.socket\n", (self.here / "asked").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
