#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""exec: start and its failures, output kept and streamed under credit, cancellation, what is left behind.
Run as PROGRAM MODULES_DIR."""
import os
import signal
import sys
import tempfile
import time
import unittest

from zygote_driver import FD, Zygote, become_subreaper, gone

PROGRAM = sys.argv[1]
GRACE = 0.3
CREDIT = 65536


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.zygote = Zygote(PROGRAM, env={"PATH": os.environ["PATH"], "POOL": "yes"})
        cls.zygote.load(kill_grace=GRACE)

    @classmethod
    def tearDownClass(cls):
        cls.zygote.close()

    def setUp(self):
        self.worker = self.zygote.spawn()

    def tearDown(self):
        self.worker.close()
        self.zygote.workers.remove(self.worker)

    def start(self, argv, options=None, **more):
        task = self.worker.run("exec", argv, *([options] if options is not None else []), **more)
        self.worker.wait_begun(0, task)
        return task

    def exec(self, argv, options=None, **more):
        self.start(argv, options, **more)
        error, result = self.worker.answer()
        self.assertIsNone(error)
        return result

    def failed(self, argv, options=None, code="task_failed", **more):
        self.start(argv, options, **more)
        error, _ = self.worker.answer()
        self.assertIsNotNone(error)
        self.assertEqual(error["code"], code, error)
        return error

    def shell(self, script, options=None, **more):
        return self.exec(["sh", "-c", script], options, **more)


class Start(Case):
    def test_result(self):
        result = self.shell("echo out; echo err >&2")
        self.assertEqual(sorted(result), ["max_rss", "signal", "status", "stderr", "stdout", "system", "user", "wall"])
        self.assertEqual([result[k] for k in ("status", "signal", "stdout", "stderr")], [0, None, b"out\n", b"err\n"])
        self.assertGreater(result["max_rss"], 100000)

    def test_status(self):
        error = self.failed(["sh", "-c", "echo why >&2; exit 3"])
        self.assertEqual(error["message"], "sh ended with status 3")
        self.assertEqual([error["detail"][k] for k in ("status", "signal", "stderr")], [3, None, b"why\n"])

    def test_signal(self):
        error = self.failed(["sh", "-c", "kill -SEGV $$"])
        self.assertIn("signal 11 (SEGV)", error["message"])
        self.assertEqual([error["detail"][k] for k in ("status", "signal")], [None, 11])

    def test_unchecked(self):
        self.assertEqual(self.shell("exit 3", {"check": False})["status"], 3)
        self.assertEqual(self.shell("kill -9 $$", {"check": False})["signal"], 9)

    def test_not_found(self):
        error = self.failed(["no-such-program"])
        self.assertIn("no-such-program: No such file or directory in PATH", error["message"])
        self.assertEqual(error["detail"], {"status": 127, "signal": None, "errno": "ENOENT"})

    def test_not_executable(self):
        error = self.failed(["/etc/passwd"])
        self.assertEqual(error["detail"], {"status": 126, "signal": None, "errno": "EACCES"})

    def test_no_directory(self):
        error = self.failed(["true"], {"cwd": "/nonexistent"})
        self.assertIn("cannot enter the directory /nonexistent", error["message"])
        self.assertEqual(error["detail"]["status"], None)

    def test_wrong_arguments(self):
        for args, words in (
                ([], "argv: wanted"), ([[]], "argv: wanted"), (["true"], "argv: wanted"), ([["a\0b"]], "0 byte"),
                ([["true"], {"colour": 1}], "unknown option \"colour\""), ([["true"], {"check": 1}], "check: wanted"),
                ([["true"], {"env": {"A=B": "c"}}], "env: wanted"), ([["true"], {"umask": 512}], "umask: wanted"),
                ([["true"], {"output_limit": -1}], "output_limit: wanted"), ([["true"], 7], "second argument"),
                ([["true"], {"stdin": 7}], "stdin: wanted"), ([["true"], {"stdout": "x"}], "stdout: wanted"),
                ([["true"], {}, 1], "arguments: wanted")):
            error, _ = self.worker.call("exec", *args)
            self.assertIn(words, error["message"])

    def test_environment_directory_umask(self):
        with tempfile.TemporaryDirectory() as directory:
            result = self.shell("echo $POOL $OWN; pwd; umask",
                                {"env": {"OWN": "a b", "POOL": "mine"}, "cwd": directory, "umask": 0o27})
            self.assertEqual(result["stdout"].decode(), f"mine a b\n{os.path.realpath(directory)}\n0027\n")
        self.assertEqual(self.shell("echo $POOL")["stdout"], b"yes\n")

    def test_path_of_the_option_finds_the_program(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(f"{directory}/mine", "w", encoding="ascii") as script:
                script.write("#!/bin/sh\necho found\n")
            os.chmod(f"{directory}/mine", 0o755)
            self.assertEqual(self.exec(["mine"], {"env": {"PATH": f"{directory}:/bin"}})["stdout"], b"found\n")

    def test_what_a_program_finds(self):
        result = self.shell("ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status")
        fds, *signals = result["stdout"].decode().split("\n")
        self.assertEqual(fds.split("Sig")[0].split(), ["0", "1", "2", "3"])  # 3: of ls itself
        self.assertIn("SigBlk:\t0000000000000000", result["stdout"].decode())
        self.assertIn("SigIgn:\t0000000000000000", result["stdout"].decode(), signals)

    def test_process_group_of_its_own(self):
        result = self.shell("echo $$; cut -d' ' -f5 /proc/$$/stat")
        pid, group = result["stdout"].split()
        self.assertEqual(pid, group)
        self.assertEqual(self.exec(["sh", "-c", "kill -9 0"], {"check": False})["signal"], 9)


class Streams(Case):
    def test_stdin(self):
        self.assertEqual(self.exec(["cat"])["stdout"], b"")
        self.assertEqual(self.exec(["cat"], {"stdin": "text"})["stdout"], b"text")
        data = os.urandom(300000)
        self.assertEqual(self.exec(["cat"], {"stdin": data})["stdout"], data)

    def test_descriptors(self):
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(b"b\na\n")
            given.seek(0)
            result = self.exec(["sh", "-c", "sort; echo e >&2"], {"stdin": FD, "stdout": FD, "stderr": FD},
                               fds=[given.fileno(), out.fileno(), err.fileno()])
            self.assertEqual([result["stdout"], result["stderr"]], [None, None])
            out.seek(0)
            err.seek(0)
            self.assertEqual([out.read(), err.read()], [b"a\nb\n", b"e\n"])

    def test_last_bytes_are_kept(self):
        result = self.exec(["seq", "100000"], {"output_limit": 10})
        self.assertEqual([result["stdout"], result["stdout_truncated"]], [b"99\n100000\n", True])
        self.assertNotIn("stderr_truncated", result)
        self.assertEqual(self.exec(["seq", "9"], {"output_limit": 0})["stdout"], b"")
        whole = self.exec(["head", "-c", "1048576", "/dev/zero"])
        self.assertNotIn("stdout_truncated", whole)
        self.assertEqual(len(whole["stdout"]), 1 << 20)
        result = self.exec(["head", "-c", "5000000", "/dev/zero"])
        self.assertEqual([len(result["stdout"]), result["stdout_truncated"]], [1 << 20, True])

    def streamed(self, kind):
        return b"".join(data for _, which, data in self.worker.streams if which == kind)

    def test_streamed(self):
        result = self.shell("echo one; echo two >&2", flags=1)
        self.assertEqual([self.streamed("stdout"), self.streamed("stderr")], [b"one\n", b"two\n"])
        self.assertEqual(result["stdout"], b"one\n")

    def test_output_is_streamed_while_it_runs(self):
        self.start(["sh", "-c", "echo early; sleep 20"], flags=1)
        self.assertEqual(self.worker.channel.receive()[2][1:], ["stdout", b"early\n"])

    def test_without_credit_the_program_blocks(self):
        task = self.start(["sh", "-c", "head -c 400000 /dev/zero; echo done >&2"], flags=1)
        with self.assertRaises(TimeoutError):
            self.worker.answer(0.3)
        self.assertEqual(len(self.streamed("stdout")), CREDIT)
        for _ in range(100):
            self.worker.credit(task, 10000)
        error, result = self.worker.answer()
        self.assertIsNone(error)
        self.assertEqual(len(self.streamed("stdout")), 400000)
        self.assertEqual(len(result["stdout"]), 400000)

    def test_credit_is_never_overdrawn(self):
        task = self.start(["yes"], flags=1)
        granted = CREDIT
        for _ in range(50):
            with self.assertRaises(TimeoutError):
                self.worker.answer(0.01)
            self.assertLessEqual(len(self.streamed("stdout")), granted)
            self.worker.credit(task, 1000)
            granted += 1000
        self.worker.tell(task)
        self.assertEqual(self.worker.answer()[0]["code"], "cancelled")

    def test_tasks_that_come_meanwhile_wait(self):
        task = self.start(["sh", "-c", "head -c 100000 /dev/zero"], flags=1)
        self.worker.run("echo", "x" * 1000, slot=1)
        self.worker.credit(task, 100000)
        self.worker.run("echo", "last", slot=2)
        self.assertEqual(len(self.worker.answer()[1]["stdout"]), 100000)
        self.assertEqual(self.worker.answer(), (None, "x" * 1000))
        self.assertEqual(self.worker.answer(), (None, "last"))

    def test_broken_pipe_is_the_programs(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        result = self.exec(["yes"], {"stdout": FD, "check": False}, fds=[write_end])
        os.close(write_end)
        self.assertEqual(result["signal"], signal.SIGPIPE)


class Cancel(Case):
    def cancelled(self, script, within, at_least=0.0, **more):
        """SCRIPT says "ready" once it is to be ended."""
        with tempfile.TemporaryDirectory() as directory:
            fifo = f"{directory}/ready"
            os.mkfifo(fifo)
            task = self.start(["sh", "-c", f"ready() {{ echo ready >{fifo}; }}; {script}"], **more)
            with open(fifo, encoding="ascii") as said:
                self.assertEqual(said.read(), "ready\n")
            begin = time.monotonic()
            self.worker.tell(task)
            error, _ = self.worker.answer()
            took = time.monotonic() - begin
        self.assertEqual(error["code"], "cancelled")
        self.assertLess(took, within)
        self.assertGreaterEqual(took, at_least)
        self.assertEqual(self.worker.call("echo", 1), (None, 1))
        return error

    def test_term(self):
        self.assertEqual(self.cancelled("ready; sleep 30", GRACE)["detail"]["signal"], signal.SIGTERM)

    def test_stopped_program(self):
        self.assertEqual(self.cancelled("ready; kill -STOP $$", GRACE)["detail"]["signal"], signal.SIGTERM)

    def test_whole_group(self):
        self.cancelled("ready; sleep 30 | sleep 30", GRACE)

    def test_program_that_says_farewell(self):
        error = self.cancelled("trap 'echo bye; exit 0' TERM; ready; while :; do sleep 0.02; done", GRACE)
        self.assertEqual([error["detail"]["status"], error["detail"]["stdout"]], [0, b"bye\n"])

    def test_killed_after_the_grace(self):
        error = self.cancelled("trap '' TERM; ready; while :; do sleep 0.05; done", GRACE + 1, GRACE)
        self.assertEqual(error["detail"]["signal"], signal.SIGKILL)
        self.assertIn("did not within kill_grace", error["message"])

    def test_group_has_the_grace_after_its_leader(self):
        with tempfile.TemporaryDirectory() as directory:
            farewell = f"trap 'sleep 0.1; touch {directory}/done; exit' TERM"
            self.cancelled(f"({farewell}; ready; while :; do sleep 0.02; done) & wait", GRACE, 0.1)
            self.assertTrue(os.path.exists(f"{directory}/done"))

    def test_without_credit(self):
        self.cancelled("trap 'echo bye; exit' TERM; yes & ready; while :; do sleep 0.02; done", GRACE + 1, flags=1)


class LeftBehind(Case):
    def test_background_process_is_ended(self):
        result = self.shell("sleep 60 & echo $!")
        self.assertTrue(gone(int(result["stdout"])))

    def test_session_of_its_own_is_ended(self):
        result = self.shell("setsid sh -c 'echo $$; exec sleep 60' & sleep 0.1")
        self.assertTrue(gone(int(result["stdout"])))

    def test_output_before_the_end_is_complete(self):
        for _ in range(20):
            self.assertEqual(self.shell("(sleep 60 >/dev/null) & seq 2000")["stdout"].count(b"\n"), 2000)

    def test_program_dies_with_its_worker(self):
        read_end, write_end = os.pipe()
        self.start(["sh", "-c", "echo $$; exec sleep 60"], {"stdout": FD}, fds=[write_end])
        os.close(write_end)
        pid = int(os.read(read_end, 100))
        os.kill(self.worker.pid, signal.SIGKILL)
        self.assertEqual(self.worker.reap(), signal.SIGKILL)
        self.assertEqual(os.read(read_end, 100), b"")
        os.close(read_end)
        self.assertEqual(os.waitpid(pid, 0), (pid, signal.SIGKILL))  # we are the subreaper

    def test_no_zombies_while_it_runs(self):
        """What its children leave behind is reaped before it ends itself."""
        script = ("n() { wc -w </proc/$PPID/task/$PPID/children; }; "
                  "i=0; while [ $i -lt 20 ]; do sh -c 'true & true'; i=$((i+1)); done; "
                  "i=0; while [ $(n) -gt 1 ] && [ $i -lt 500 ]; do sleep 0.02; i=$((i+1)); done; n")
        self.assertEqual(int(self.shell(script)["stdout"]), 1)


if __name__ == "__main__":
    signal.alarm(55)
    become_subreaper()
    unittest.main(argv=sys.argv[:1], verbosity=1)
