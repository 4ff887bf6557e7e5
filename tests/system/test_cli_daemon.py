# SPDX-License-Identifier: MIT
"""The command line when the daemon does not do its part: it is stopped, gone, refuses, or is none. What is said, how it ends, and
that nothing is left behind."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, ZYGOTE, Gangerd, environment, eventually, main, standing_still  # noqa: E402

PATIENCE = 3  # seconds that an interrupted program waits for a sign of the daemon


@contextlib.contextmanager
def started(g, *arguments):
    """The command line on its way. Its errors go to a file: a command that it runs may hold a pipe open."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([CLI, "--socket", g.socket, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, env=environment())
        process.errors = errors
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def busy(g, n=1):
    return eventually(lambda: sum(pool["running"] for pool in g.status()["pools"]) >= n)


def waits(process):
    """Whether it sleeps: it has its connection then, and has said what it wants."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


class Interrupted(unittest.TestCase):
    def ends(self, process, number, bound):
        """Sends the signal; the seconds until it has ended by it, and what it said."""
        began = time.monotonic()
        process.send_signal(number)
        status = process.wait(bound)
        seconds = time.monotonic() - began
        process.errors.seek(0)
        err = process.errors.read()
        self.assertEqual(status, 128 + number, err)
        return seconds, err

    def test_stopped_daemon(self):
        """One signal suffices: the daemon has a bounded time to confirm. What was asked of it is cancelled when it goes on."""
        with Gangerd() as g:
            for arguments in (["call", "sleep", "60"], ["map", "sleep", "60", "61"], ["run", "sleep", "60"]):
                with started(g, *arguments) as process:
                    busy(g)
                    with standing_still(g.pid):
                        seconds, err = self.ends(process, signal.SIGINT, PATIENCE * 10)
                        self.assertIn("the daemon does not answer", err)
                        self.assertGreater(seconds, PATIENCE * 0.9)
                        print(f"{arguments[0]}: ended {seconds:.1f} s after the signal")
                g.all_idle()

    def test_stopped_before_it_was_asked(self):
        cases = ((["call", "sleep", "60"], "is cancelled"), (["map", "sleep", "60", "61"], "is cancelled"),
                 (["run", "sleep", "0"], "it may run the command"), (["submit", "sleep", "0"], ""), (["list"], ""), (["ping"], ""))
        with Gangerd() as g:
            for arguments, words in cases:
                with standing_still(g.pid), started(g, *arguments) as process:
                    eventually(lambda: waits(process))
                    _, err = self.ends(process, signal.SIGTERM, PATIENCE * 10)
                    self.assertTrue(words in err if words else not err, err)
                eventually(lambda: g.status()["connections"] == 1)
                g.all_idle()

    def test_second_signal_ends_at_once(self):
        with Gangerd(pool={"kill_grace": 30}) as g, started(g, "run", "sh", "-c", "trap '' TERM; echo ready; sleep 60") as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            with self.assertRaises(subprocess.TimeoutExpired):  # the daemon lives and says so: its work is waited for
                process.wait(PATIENCE + 1)
            self.ends(process, signal.SIGINT, 10)
            g.expects_death = True
            os.kill(g.pid, signal.SIGKILL)

    def test_every_signal_cancels(self):
        """A terminal that goes, too: run's task would go on for nobody."""
        with Gangerd() as g:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                for arguments in (["call", "sleep", "60"], ["run", "sleep", "60"], ["map", "sleep", "60"]):
                    with started(g, *arguments) as process:
                        busy(g)
                        self.ends(process, number, 20)
                    g.all_idle()


class Refused(unittest.TestCase):
    def says(self, done, status, *words):
        self.assertEqual((done.returncode, done.stdout), (status, b""), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr.decode())
        self.assertNotIn("ganger: ganger:", done.stderr.decode())

    def test_last_words(self):
        """A daemon that ends the connection says why, and so does the command line."""
        with Gangerd(daemon={"user_connections": 1}) as g, g.connect():
            for arguments in (["ping"], ["call", "echo", "1"], ["map", "echo", "1"], ["run", "true"], ["list"], ["wait", "1"]):
                self.says(g.ganger(*arguments), 125, f"ganger: {arguments[0]}: ", "user_connections")

    def test_not_ganger(self):
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    client.close()
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(directory, "socket")
            listener.bind(path)
            listener.listen()
            threading.Thread(target=serve, daemon=True).start()
            for arguments in (["ping"], ["call", "echo", "1"], ["map", "echo", "1"], ["run", "true"]):
                self.says(self.ganger(path, *arguments), 125, "does not speak ganger's protocol")
            listener.shutdown(socket.SHUT_RDWR)
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            path = os.path.join(directory, "socket")
            other.bind(path)
            self.says(self.ganger(path, "ping"), 125, f"ganger: {path}: ", "not gangerd's")
        self.says(self.ganger("", "ping"), 2, "--socket takes a path")

    def ganger(self, path, *arguments):
        return subprocess.run([CLI, "--socket", path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment(), timeout=20, check=False)

    def test_lost(self):
        """The daemon dies: everybody is told in one line of his own, whoever runs a command also how to ask for it."""
        with Gangerd() as g:
            g.expects_death = True
            id = g.ganger("submit", "sleep", "60").stdout.decode().strip()
            lines = [["call", "sleep", "60"], ["map", "sleep", "60"], ["run", "sleep", "60"], ["attach", id], ["wait", id], ["result", id]]
            with contextlib.ExitStack() as stack:
                processes = [stack.enter_context(started(g, *line)) for line in lines]
                eventually(lambda: g.status()["connections"] == len(lines) + 1)
                eventually(lambda: all(waits(process) for process in processes))
                os.kill(g.pid, signal.SIGKILL)
                for line, process in zip(lines, processes):
                    self.assertEqual(process.wait(20), 125)
                    process.errors.seek(0)
                    said = process.errors.read().splitlines()
                    self.assertEqual(said[0], f"ganger: {line[0]}: the connection to the daemon was lost")
                    self.assertEqual(len(said), 2 if line[0] in ("run", "attach") else 1, said)
                    if len(said) == 2:
                        self.assertRegex(said[1], r"`ganger attach \d+`")

    def test_status_for_monitors(self):
        """A pool whose zygote cannot be started again has no workers: that is not well."""
        with tempfile.TemporaryDirectory() as directory:
            zygote, running, broken = (os.path.join(directory, name) for name in ("zygote", "running", "broken"))
            with open(zygote, "w", encoding="ascii") as script:
                script.write(f'#!/bin/sh\n[ -e {broken} ] && exit 1\necho $$ >{running}\nexec {ZYGOTE} "$@"\n')
            os.chmod(zygote, 0o755)
            with Gangerd(pool={"workers": 1, "modules": "core", "zygote": zygote}) as g:
                self.says(g.ganger("status", "-q"), 0)
                self.says(g.ganger("pool", "scale", "default", "0"), 0)
                eventually(lambda: not g.status()["workers"])
                self.says(g.ganger("status", "-q"), 0)  # it should have none
                self.says(g.ganger("pool", "scale", "default", "1"), 0)
                g.all_idle()
                with open(broken, "w", encoding="ascii"), open(running, encoding="ascii") as pid:
                    os.kill(int(pid.read()), signal.SIGKILL)
                for worker in g.status()["workers"]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker["pid"], signal.SIGKILL)
                eventually(lambda: not g.status()["workers"])
                self.says(g.ganger("status", "-q"), 1)
                self.says(g.ganger("--json", "status", "-q"), 1)


if __name__ == "__main__":
    main()
