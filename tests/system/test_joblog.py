# SPDX-License-Identifier: MIT
"""ganger map --joblog, --resume, --resume-failed: what is in the log was written and does not run again; what is not runs."""
import collections
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Gangerd, environment, eventually, main, sanitized  # noqa: E402

HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
LINE = re.compile(r"(\d+)\t:\t(\d+\.\d{3})\t( *\d+\.\d{3})\t0\t(\d+)\t(\d+)\t(\d+)\t(.*)\n")
ECHO = ("--exec", "--", "sh", "-c", 'echo "$1"; exit ${2-0}', "x")


class Joblog(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.log = os.path.join(directory.name, "log")
        self.counted = os.path.join(directory.name, "counted")
        self.g = Gangerd(pool={"modules": "digest probe", "env": f"PROBE_COUNTED={self.counted}"})
        self.g.__enter__()
        self.addCleanup(self.g.__exit__, None, None, None)

    def text(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def lines(self, killed=False):
        """[(seq, start, runtime, receive, exit value, signal, command)…] of the log, whose every line must be whole, but for the
        last one of a killed writer: a write can end between two pages."""
        text = self.text()
        if killed:
            text = text[:text.rindex("\n") + 1]
        self.assertTrue(text.startswith(HEADER), text[:200])
        rest = text[len(HEADER):]
        found = [LINE.fullmatch(line) for line in rest.splitlines(keepends=True)]
        self.assertTrue(all(found), rest[-500:])
        return [(int(m[1]), float(m[2]), float(m[3]), int(m[4]), int(m[5]), int(m[6]), m[7]) for m in found]

    def map(self, *arguments, items=(), status=0, options=(), log=True, **more):
        log = ["--joblog", self.log] if log else []
        done = self.g.ganger(*options, "map", *log, *arguments, stdin=None, input="".join(f"{item}\n" for item in items).encode(), **more)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout.decode().splitlines(), done.stderr.decode()

    def test_lines(self):
        began = time.time()
        out, _ = self.map("-k", *ECHO, items=["one", "a b", "it's"])
        self.assertEqual(out, ["one", "a b", "it's"])
        command = """sh -c 'echo "$1"; exit ${2-0}' x """
        self.assertEqual([(line[0], *line[3:]) for line in self.lines()],
                         [(1, 4, 0, 0, command + "one"), (2, 4, 0, 0, command + "'a b'"), (3, 5, 0, 0, command + "'it'\"'\"'s'")])
        for _, start, runtime, *_ in self.lines():
            self.assertTrue(began - 0.1 <= start <= time.time() and 0 <= runtime < 10, (began, start, runtime))
        self.map("sleep", "0.3", "0.1", "-k")  # begins the log anew
        self.assertEqual([(line[0], *line[3:]) for line in self.lines()], [(1, 1, 0, 0, "sleep 0.3"), (2, 1, 0, 0, "sleep 0.1")])
        self.assertTrue(0.3 <= self.lines()[0][2] < 5)
        self.map("--exec", "--", "sleep", items=["0.2"])
        self.assertTrue(0.2 <= self.lines()[0][2] < 5)

    def test_ends(self):
        def ends(*arguments, **more):
            self.map("-k", *arguments, status=123, **more)
            return [(seq, exit_value, number) for seq, _, _, _, exit_value, number, _ in self.lines()]
        self.assertEqual(ends("--exec", "--", "sh", "-c", "exit {}", items=[7, 0, 255]), [(1, 7, 0), (2, 0, 0), (3, 255, 0)])
        self.assertEqual(ends("--exec", "--", "sh", "-c", "kill -{} $$", items=[9, 15]), [(1, 0, 9), (2, 0, 15)])
        self.assertEqual(ends("--exec", "--", "/none", items=["x"]), [(1, 127, 0)])
        self.assertEqual(ends("--exec", "--", "/etc", items=["x"]), [(1, 127, 0)] if not os.path.exists("/etc") else [(1, 126, 0)])
        self.assertEqual(ends("--timeout", "50ms", "sleep", "9", "0"), [(1, 124, 0), (2, 0, 0)])
        self.assertEqual(ends("digest.sha256", "/none"), [(1, 1, 0)])
        self.assertEqual(ends("-s", "probe.counted", "1", "KILL", "SEGV"), [(1, 0, 0), (2, 0, 9), (3, 0, 11)])
        self.assertEqual(ends("--fail-fast", "digest.sha256", "/none", *["/etc/passwd"] * 100)[0], (1, 1, 0))
        self.assertLess(len(self.lines()), 101)  # what was cancelled did not end

    def test_any_word_is_one_line(self):
        """And a shell takes it back."""
        words = ["", "a\tb", "new\nline", "it's $HOME `x`", "\\n", "*?[", "é", "'\n'", "\x01\x7f"]
        data = b"".join(word.encode() + b"\0" for word in words)
        done = self.g.ganger("map", "-0", "-k", "--joblog", self.log, "--exec", "--", "printf", "%s|", stdin=None, input=data)
        self.assertEqual(done.stdout.decode(), "".join(f"{word}|" for word in words))
        commands = [line[6] for line in self.lines()]
        again = subprocess.run(["bash", "-c", "\n".join(commands)], stdout=subprocess.PIPE, check=True)
        self.assertEqual(again.stdout, done.stdout)
        resumed = self.g.ganger("map", "-0", "-k", "--joblog", self.log, "--resume", "--exec", "--", "printf", "%s|", stdin=None, input=data)
        self.assertEqual((resumed.returncode, resumed.stdout, resumed.stderr), (0, b"", b""))

    def test_killed_and_resumed(self):
        """Killed again and again: a line in the log means that the result was written, and no second run; each ends once there."""
        n = 3000
        for rounds, options in enumerate((["-s"], ["-s", "-k"], ["-s", "--chunk", "7", "-j", "2"], ["--exec"])):
            command = ["--", "sh", "-c", f'echo "$1" >>{self.counted}; echo "\\"$1\\""', "x"] if options == ["--exec"] else ["probe.counted"]
            size = n if command == ["probe.counted"] else 200
            kills, written, logged, runs = 0, [], set(), {}
            self.remove(self.log, self.counted)
            while True:
                done, out = self.killed_map(options, command, size, 0.004 * 1.6 ** kills, resume=kills > 0)
                written += out
                self.g.all_idle()  # what was cancelled with the killed one has counted, or never will
                now = {line[0] for line in self.lines(killed=not done)}
                self.assertLessEqual({f'"{seq}"' for seq in now - logged}, set(out))  # in the log only if it was written
                before, runs, logged = {seq: runs[seq] for seq in logged}, self.runs(), now
                self.assertEqual(before, {seq: runs[seq] for seq in before})  # no second run
                if done:
                    break
                kills += 1
            seqs = [line[0] for line in self.lines()]
            self.assertEqual(sorted(seqs), list(range(1, size + 1)))
            self.assertEqual(set(written), {f'"{i}"' for i in range(1, size + 1)})
            self.assertLessEqual(max(runs.values()), kills + 1)
            print(f"round {rounds}: {size} items, {kills} kills, {sum(runs.values()) - size} runs again")
            self.assertGreater(kills, 0)

    def runs(self):
        with open(self.counted, encoding="ascii") as counted:
            return collections.Counter(map(int, counted.read().split()))

    def killed_map(self, options, command, size, after, resume):
        """Runs a map that is killed after some time. Returns whether it came to its end, and the whole lines that it wrote."""
        arguments = [CLI, "--socket", self.g.socket, "map", "--joblog", self.log, *(["--resume"] if resume else []), *options, *command]
        with tempfile.TemporaryFile() as items, tempfile.TemporaryFile() as out:
            items.write("".join(f"{i}\n" for i in range(1, size + 1)).encode())
            items.seek(0)
            process = subprocess.Popen(arguments, stdin=items, stdout=out, env=environment())
            if not resume:
                eventually(lambda: os.path.exists(self.log) and self.text().count("\n") > 1)
            try:
                status = process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            self.assertIn(status, (0, -signal.SIGKILL))
            out.seek(0)
            return status == 0, [line.decode().rstrip("\n") for line in out.readlines() if line.endswith(b"\n")]

    def remove(self, *paths):
        for path in paths:
            if os.path.exists(path):
                os.unlink(path)

    def test_interrupted(self):
        """Ctrl-C: what was written is in the log, what was cancelled is not."""
        arguments = [CLI, "--socket", self.g.socket, "map", "--joblog", self.log, "sleep", "0", "0.01", "60", "61"]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment())
        eventually(lambda: os.path.exists(self.log) and self.text().count("\n") == 3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (130, b"null\nnull\n"))
        self.assertEqual(sorted(line[0] for line in self.lines()), [1, 2])

    def test_resume_failed(self):
        items = [f"{i} {i % 3}" for i in range(9)]
        command = ("--exec", "--", "sh", "-c", 'set -- $1; echo $1; test $2 = 0 -o -e "$0"', self.counted)
        self.map("-k", *command, items=items, status=123)
        failed = [str(i) for i in range(9) if i % 3 > 0]
        self.assertEqual(self.map("-k", "--resume", *command, items=items)[0], [])  # failed is done, too
        self.assertEqual(self.map("-k", "--resume-failed", *command, items=items, status=123)[0], failed)
        with open(self.counted, "w", encoding="ascii"):
            pass
        self.assertEqual(self.map("-k", "--resume-failed", *command, items=[*items, "9 0"])[0], [*failed, "9"])
        self.assertEqual(self.map("-k", "--resume-failed", *command, items=[*items, "9 0"])[0], [])
        self.assertEqual(len(self.lines()), 9 + 6 + 6 + 1)

    def test_index_is_the_place_in_the_input(self):
        self.map("-k", "echo", "1", "2")
        out, _ = self.map("-k", "--resume", "echo", "1", "2", "3", "4", options=["--json"])
        self.assertEqual([json.loads(line)["index"] for line in out], [2, 3])
        self.assertIn("item 4 (", self.map("-k", "--resume", "-A", "echo", "1", "2", "3", "4", "[5, 6]", status=123)[1])

    def test_sources_of_items(self):
        for source in (["echo", "1", "2", "3"], ["-a", self.counted, "echo"], ["echo"], ["-A", "echo", "[1]", "[2]", "[3]"]):
            with open(self.counted, "w", encoding="ascii") as file:
                file.write("1\n2\n3\n")
            self.map(*source, items=["1", "2", "3"] if source == ["echo"] else [])
            with open(self.log, "r+", encoding="utf-8") as log:
                lines = log.readlines()
                log.seek(0)
                log.writelines(line for line in lines if not line.startswith("2\t"))
                log.truncate()
            self.assertEqual(self.map("--resume", *source, items=["1", "2", "3"] if source == ["echo"] else [])[0], ["2"])

    def test_torn(self):
        """What a killed writer left of its last line does not count, and is cut."""
        self.map("-k", "echo", "1", "2", "3")
        whole = self.text()
        last = whole.splitlines(keepends=True)[-1]
        for size in range(1, len(last)):
            self.write(whole[:-size])
            self.assertEqual(self.map("--resume", "echo", "1", "2", "3")[0], ["3"])
            self.assertEqual([line[0] for line in self.lines()], [1, 2, 3])
        for size in (0, 1, len(HEADER) - 1):
            self.write(HEADER[:size])
            self.assertEqual(self.map("--resume", "echo", "1")[0], ["1"])
            self.assertEqual([line[0] for line in self.lines()], [1])

    def write(self, text):
        with open(self.log, "w", encoding="utf-8") as log:
            log.write(text)

    def test_changed(self):
        """The input or the command is not what the log is of: nothing is taken for done."""
        items = [str(i) for i in range(1000)]
        self.map("-k", "echo", items=items)
        text = self.text()
        for place in (0, 62, 63, 64, 500, 999):
            for changed in (items[:place] + ["x"] + items[place + 1:], items[:place] + ["x"] + items[place:],
                            items[:place] + items[place + 1:]):
                if changed == items[:-1]:
                    self.assertIn("lines up to Seq 1000", self.map("--resume", "echo", items=changed)[1])
                    continue
                out, err = self.map("--resume", "echo", items=changed, status=2)
                self.assertEqual(out, [])
                self.assertIn(f"ganger: {self.log}:{place + 2}: Seq {place + 1} is of `echo {place}`, which is not that item now", err)
                self.assertIn("leave out --resume", err)
                self.assertEqual(self.text(), text)
        self.assertIn(f"{self.log}:2: Seq 1", self.map("--resume", "digest.sha256", items=items, status=2)[1])
        self.write(text.replace("\n500\t", "\n501\t"))  # two lines of one Seq
        self.assertIn("Seq 501", self.map("--resume", "echo", items=items, status=2)[1])

    def test_wrong_logs(self):
        self.map("-k", "echo", "1", "2")
        good = self.text()
        for text, where in ((good + "x\n", ":4: "), (good + "3\t:\t1\t1\t0\t0\t0\n", ":4: "), (good.replace("\n2", "\n-2"), ":3: "),
                            (good.replace("\n1\t", "\n\t"), ":2: "), ("hello\n", ": this is no job log"), ("hello", ": this is no job log")):
            self.write(text)
            out, err = self.map("--resume", "echo", "1", "2", status=2)
            self.assertEqual((out, self.text()), ([], text))
            self.assertIn(f"ganger: {self.log}{where}", err)
        self.write(good + "99999999999999\t:\t1.000\t     0.000\t0\t0\t0\t0\techo 1\n")  # costs no more than another
        self.assertIn("lines up to Seq 99999999999999", self.map("--resume", "echo", "1", "2")[1])
        self.assertIn("--joblog", self.map("--resume", "echo", "1", status=2, log=False)[1])

    def test_not_writable(self):
        """Said before anything runs."""
        for path, why in (("/none/log", "No such file or directory"), ("/", "Is a directory"), ("/dev/full", "No space left on device")):
            done = self.g.ganger("map", "--joblog", path, "-s", "probe.counted", "1")
            self.assertEqual((done.returncode, done.stdout, done.stderr.decode()), (125, b"", f"ganger: {path}: {why}\n"))
        self.assertFalse(os.path.exists(self.counted))

    def test_disk_full(self):
        """The line that does not fit is cut, its result is written, and nothing else is lost: what is not in the log runs again."""
        def limits():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        items = [str(i) for i in range(1, 2001)]
        for options in ([], ["-k"]):
            self.remove(self.log, self.counted)
            out, err = self.map("-s", "-r", *options, "probe.counted", items=items, status=125, preexec_fn=limits, restore_signals=False)
            logged = [line[0] for line in self.lines()]
            self.assertIn(f"{self.log}: File too large: the map ends here; item ", err)
            self.assertEqual(out[:-1], [str(seq) for seq in logged])
            self.assertTrue(20 < len(logged) < 120, len(logged))
            again, _ = self.map("-s", "-r", "--resume", *options, "probe.counted", items=items)
            self.assertEqual(sorted([*out[:-1], *again], key=int), items)

    def test_one_writer(self):
        arguments = [CLI, "--socket", self.g.socket, "map", "--joblog", self.log, "sleep", "60"]
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, env=environment()) as first:
            eventually(lambda: os.path.exists(self.log) and self.text())
            for options in ([], ["--resume"]):
                self.assertIn("another `ganger map` writes this log", self.map(*options, "echo", "1", status=125)[1])
            first.terminate()
        self.assertEqual(self.text(), HEADER)
        self.map("--resume", "echo", "1")

    def test_memory(self):
        """A log of any length is remembered in some bits an item."""
        peaks = {}
        for n in (20000, 1500000):
            with open(self.log, "w", encoding="ascii") as log:
                log.write(HEADER)
                log.writelines(f"{i}\t:\t1.000\t     0.001\t0\t1\t0\t0\techo {i}\n" for i in range(n, 0, -1))
            arguments = [CLI, "--socket", self.g.socket, "map", "-k", "--joblog", self.log, "--resume", "echo"]
            with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
                process.stdin.writelines(b"%d\n" % i for i in range(1, n + 3))
                process.stdin.flush()
                self.assertEqual([process.stdout.readline() for _ in range(2)], [b"%d\n" % (n + 1), b"%d\n" % (n + 2)])
                with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                    peaks[n] = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            self.assertEqual(process.returncode, 0)
        print(f"peak of 20,000 items: {peaks[20000]} KiB, of 1,500,000: {peaks[1500000]} KiB")
        if not sanitized():
            self.assertLess(peaks[1500000] - peaks[20000], 2048)


if __name__ == "__main__":
    main()
