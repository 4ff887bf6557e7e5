# SPDX-License-Identifier: MIT
"""The command line's verbs for shared objects: what they print, how they end, and what becomes of locks and items when they do not end well."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Gangerd, environment, eventually, main, name_of, standing_still  # noqa: E402


class Verbs(unittest.TestCase):
    def setUp(self):
        self.g = self.enterContext(Gangerd())

    def says(self, arguments, status=0, out=None, err="", **options):
        """Runs it to its end; its output is `out`, what it said contains `err`."""
        done = self.g.ganger(*arguments, **options)
        self.assertEqual(done.returncode, status, (arguments, done.stdout, done.stderr))
        if out is not None:
            self.assertEqual(done.stdout.decode(), out, arguments)
        self.assertIn(err, done.stderr.decode())
        self.assertNotIn("ganger: ganger:", done.stderr.decode())
        return done

    @contextlib.contextmanager
    def started(self, *arguments, **options):
        """The command line on its way; its errors go to a file."""
        with tempfile.TemporaryFile("w+") as errors:
            options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": errors, **options}
            process = subprocess.Popen([CLI, "--socket", self.g.socket, *arguments], env=environment(), text=True, **options)
            process.errors = errors
            try:
                yield process
            finally:
                process.kill()
                process.wait()
                for file in (process.stdin, process.stdout):
                    if file:
                        with contextlib.suppress(BrokenPipeError):
                            file.close()

    def said(self, process):
        process.errors.seek(0)
        return process.errors.read()

    def objects(self, *options):
        done = self.says(["--json", "shared", "list", *options])
        return {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}

    def waits(self, name, n=1):
        """Until n requests wait for the object."""
        eventually(lambda: self.objects().get(name, {}).get("waiting") == n)


class Usage(Verbs):
    def test_usage(self):
        """Before there is a connection: what is wrong is named."""
        cases = (("queue", "takes one of put, get, size, join"), ("queue nix", "not 'nix'"), ("queue put", "which queue?"),
                 ("queue get q -t x", "--timeout takes a time"), ("queue get q -n 0", "--max takes an integer of 1 or more"),
                 ("queue get q r", "not 'r'"), ("queue get q --all-there --follow", "exclude each other"), ("queue put -0 q item", "--null"),
                 ("queue size q --raw", "--raw"), ("queue put q --json 1", "--json goes before the verb"), ("sequence get l", "which place?"),
                 ("sequence get l x", "'x' is no integer"), ("sequence push l", "which value?"), ("sequence push l -J x", "no JSON"),
                 ("dict set d a", "which value?"), ("dict set d a 1 b", "which value for the key 'b'?"), ("dict add d a one", "'one' is no number"),
                 ("dict add d a 18446744073709551616", "'18446744073709551616' is an integer that is too big"), ("dict add d a 1e400", "'1e400' is no number"),
                 ("dict add d a -- -9223372036854775809", "is an integer that is too big"), ("dict add d a inf", "is no number"), ("dict add d a nan", "is no number"),
                 ("dict set d a @/etc/passwd", "keeps no files"), ("dict set d a 1 --if-version x", "--if-version takes an integer"),
                 ("dict set d a 1 --if-version 1 --if-version 2", "twice"), ("shared open n", "which kind?"), ("shared open n queue --mode 999", "octal"),
                 ("shared unlink", "which name?"), ("lock", "which lock?"), ("lock n", "which command?"), ("lock n -c true x", "one STRING"),
                 ("lock -w x n true", "--timeout takes a time"), ("lock -E 256 n true", "--conflict-exit-code"), ("lock --limit 0 n true", "--limit takes"),
                 ("lock n --nonsense true", "nonsense"), ("value set v", "which number?"), ("array set a 0", "which number?"), ("barrier wait b --parties 0", "--parties takes"), ("event wait", "which event?"))
        for line, words in cases:
            done = subprocess.run([CLI, "--socket", "/nonexistent", *line.split()], stdin=subprocess.DEVNULL, capture_output=True,
                                  env=environment(), timeout=20, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, b""), (line, done.stderr))
            self.assertIn(words, done.stderr.decode(), line)

    def test_help(self):
        for verb in ("shared", "queue", "dict", "sequence", "event", "barrier", "value", "array"):
            text = self.says([verb, "--help"]).stdout.decode()
            names = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2] != " "]
            self.assertGreaterEqual(len(names), 2)
            for name in names:
                self.assertTrue(self.says([verb, name, "--help"]).stdout.decode().startswith(f"usage: ganger {verb} {name}"))
        self.says(["lock", "--help"])

    def test_no_daemon(self):
        for line in ("queue get q", "dict items d", "lock n true", "shared list", "event wait e"):
            done = subprocess.run([CLI, "--socket", "/nonexistent", *line.split()], stdin=subprocess.DEVNULL, capture_output=True,
                                  env=environment(), timeout=20, check=False)
            self.assertEqual(done.returncode, 125, line)
            self.assertIn("is gangerd running?", done.stderr.decode())


class Objects(Verbs):
    def test_open_list_unlink(self):
        made = json.loads(self.says(["--json", "shared", "open", "jobs", "queue", "--maxsize", "3", "--mode", "640"]).stdout)
        self.assertEqual((made["name"], made["kind"], made["maxsize"], made["mode"]), ("jobs", "queue", 3, 0o640))
        self.says(["shared", "open", "jobs", "queue"])
        self.says(["shared", "open", "jobs", "queue", "--maxsize", "4"], 1, err="3")
        self.says(["shared", "open", "jobs", "lock"], 1, err="queue")
        self.says(["shared", "open", "jobs", "queue", "--exclusive"], 1)
        self.says(["shared", "open", "x", "nonsense"], 2, err="kind")
        self.says(["shared", "list", "--kind", "x"], 2, "", "kind")
        for n in range(3):
            self.says(["event", "set", f"e{n}"])
        self.says(["shared", "open", "e0", "queue"], 1, err="it is an event")
        self.assertEqual(list(self.objects()), ["e0", "e1", "e2", "jobs"])
        self.assertEqual(list(self.objects("--prefix", "e")), ["e0", "e1", "e2"])
        self.assertEqual(list(self.objects("--kind", "queue")), ["jobs"])
        text = self.says(["shared", "list"]).stdout.decode()
        self.assertIn("0640", text)
        self.assertIn("maxsize=3", text)
        self.assertIn("set=true", text)
        self.says(["shared", "unlink", "e0", "none", "e1"], 1, "", "none")
        self.assertEqual(list(self.objects()), ["e2", "jobs"])

    def test_open_memory(self):
        """A value's descriptor is not for this command; it is there all the same."""
        made = json.loads(self.says(["--json", "shared", "open", "v", "array", "--type", "u16", "--length", "10"]).stdout)
        self.assertEqual((made["type"], made["length"], "object" in made), ("u16", 10, False))

    def test_list_pages(self):
        with self.g.connect() as client:
            for n in range(2003):
                client.ask("event.set", f"e{n:04}")
        self.assertEqual(list(self.objects()), [f"e{n:04}" for n in range(2003)])

    def test_unlinked_while_it_is_waited_for(self):
        with self.started("event", "wait", "e") as process:
            self.waits("e")
            self.says(["shared", "unlink", "e"], 0, "")
            self.assertEqual(process.wait(20), 1, self.said(process))

    def test_event(self):
        self.says(["event", "is-set", "e"], 1, "false\n")
        self.says(["event", "is-set", "-q", "e"], 1, "")
        self.says(["event", "wait", "e", "-t", "0"], 124, "")
        with self.started("event", "wait", "e") as process:
            self.waits("e")
            self.says(["event", "set", "e"], 0, "")
            self.assertEqual(process.wait(20), 0)
        self.says(["event", "is-set", "e"], 0, "true\n")
        self.says(["event", "wait", "e"], 0, "")
        self.says(["event", "clear", "e"], 0, "")
        self.says(["event", "is-set", "e"], 1)

    def test_barrier(self):
        with self.started("barrier", "wait", "b", "--parties", "2") as process:
            self.waits("b")
            self.says(["barrier", "wait", "b"], 0, "1\n")
            self.assertEqual((process.wait(20), process.stdout.read()), (0, "0\n"))
        with self.started("barrier", "wait", "b") as process:
            self.waits("b")
            self.says(["barrier", "abort", "b"], 0, "")
            self.assertEqual(process.wait(20), 1, self.said(process))
        self.says(["barrier", "wait", "b"], 1)
        self.says(["barrier", "reset", "b"], 0, "")
        self.says(["barrier", "wait", "b", "-t", "0"], 124, "")
        self.says(["barrier", "wait", "b", "-t", "100ms"], 1, "", "run out of time")
        self.says(["barrier", "wait", "b", "-t", "0"], 1, "")

    def test_sequence(self):
        self.says(["sequence", "pop", "l"], 1, "")
        self.says(["sequence", "push", "l", "1", "two", '{"three":3}'], 0, "1\n")
        self.says(["sequence", "push", "--front", "l", "-s", "0"], 0, "2\n")
        self.says(["sequence", "len", "l"], 0, "4\n")
        self.says(["sequence", "get", "l", "0"], 0, '"0"\n')
        self.says(["sequence", "get", "l", "-1"], 0, '{"three":3}\n')
        self.says(["sequence", "get", "-r", "l", "-2"], 0, "two\n")
        self.says(["sequence", "get", "l", "4"], 1, "")
        self.says(["sequence", "set", "l", "4", "x"], 1, "")
        self.says(["sequence", "slice", "l", "-3", "-1"], 0, '1\n"two"\n')
        self.says(["sequence", "slice", "l", "2", "99", "--raw"], 0, 'two\n{"three":3}\n')
        self.says(["sequence", "set", "l", "-1", "--if-version", "2", "last"], 0, "3\n")
        self.says(["sequence", "set", "l", "-1", "--if-version", "2", "no"], 1, "")
        self.says(["sequence", "pop", "l", "-n", "2"], 0, '"last"\n"two"\n')
        self.says(["sequence", "pop", "l", "--front", "-r"], 0, "0\n")
        self.says(["--json", "sequence", "slice", "l", "0", "9"], 0, "[[1],5]\n")


class Memory(Verbs):
    def test_value(self):
        self.says(["value", "get", "v"], 1, "", "v")
        self.says(["value", "wait", "v", "0"], 1, "")
        self.says(["value", "add", "v", "5"], 0, "5\n")
        self.says(["value", "add", "v", "-7"], 0, "-2\n")
        self.says(["value", "get", "v"], 0, "-2\n")
        self.says(["value", "set", "v", "40"], 0, "")
        self.says(["value", "cas", "v", "41", "1"], 1, "40\n")
        self.says(["value", "cas", "v", "40", "-1"], 0, "-1\n")
        self.says(["value", "set", "v", "1.5"], 2, "", "'1.5'")
        self.says(["value", "get", "v", "--type", "u8"], 1, "", "i64")
        self.says(["array", "get", "v"], 1, "", "value")
        self.says(["value", "get", "x", "--type", "i128"], 2, "", "i128")

    def test_types(self):
        for name, most, out in (("i8", "-128", "127"), ("u16", "65535", "0"), ("u64", str(2 ** 64 - 1), "0"), ("f32", "0.1", "-0.9"), ("f64", "0.1", "-0.9")):
            self.says(["value", "set", name, most, "--type", name], 0, "")
            self.says(["value", "get", name], 0, most + "\n")
            add = "1" if name.startswith("u") else "-1"
            self.says(["value", "add", name, add], 0, out + "\n")
        self.says(["value", "set", "i8", "128"], 2, "", "-128 to 127")
        self.says(["value", "set", "u16", "-1"], 2, "", "0 to 65535")
        self.says(["value", "set", "f64", "one"], 2, "", "'one'")
        self.says(["value", "set", "f64", "1e400"], 2, "", "'1e400'")
        self.says(["value", "set", "f32", "1e39"], 2, "", "'1e39'")
        self.says(["value", "set", "f64", "--", "-inf"])
        self.says(["value", "set", "f32", "inf"])

    def test_wait(self):
        self.says(["value", "set", "v", "1"])
        self.says(["value", "wait", "v", "0"], 0, "1\n")
        self.says(["value", "wait", "v", "1", "-t", "300ms"], 124, "")
        with self.started("value", "wait", "v", "1") as process:
            eventually(lambda: self.asleep(process))
            self.says(["value", "set", "v", "2"])
            self.assertEqual((process.wait(20), process.stdout.read()), (0, "2\n"))
        with self.started("value", "wait", "v", "2") as process:
            eventually(lambda: self.asleep(process))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(20), 130)

    def asleep(self, process):
        """Whether it waits for the memory: it is mapped then."""
        with open(f"/proc/{process.pid}/maps", encoding="utf-8") as maps:
            return "memfd:" in maps.read()

    def test_bytes(self):
        self.says(["value", "set", "b", "hello", "--type", "bytes", "--length", "6"], 0, "")
        self.says(["value", "get", "b", "--raw"], 0, "hello\0")
        self.says(["value", "set", "b", "hi"], 0, "")
        self.says(["value", "get", "b"], 0, '"hi\\u0000\\u0000\\u0000\\u0000"\n')
        self.says(["value", "set", "b", "too long"], 1, "", "6 elements")
        self.says(["value", "add", "b", "1"], 2, "", "bytes")

    def test_array(self):
        self.says(["array", "set", "a", "0", "1"], 1, "")
        self.says(["array", "set", "a", "0", "1", "2", "3", "--length", "5", "--type", "i16"], 0, "")
        self.says(["array", "get", "a"], 0, "1\n2\n3\n0\n0\n")
        self.says(["array", "set", "a", "-2", "-8", "-9"], 0, "")
        self.says(["array", "get", "a", "-1"], 0, "-9\n")
        self.says(["array", "get", "a", "1:3"], 0, "2\n3\n")
        self.says(["array", "get", "a", "-2:"], 0, "-8\n-9\n")
        self.says(["array", "get", "a", ":99"], 0, "1\n2\n3\n-8\n-9\n")
        self.says(["array", "get", "a", "3:1"], 0, "")
        for place in ("5", "-6"):
            self.says(["array", "get", "a", place], 1, "", "5 elements")
        self.says(["array", "set", "a", "3", "1", "2", "3"], 1, "")
        self.says(["array", "set", "a", "0", "7", "70000"], 2, "", "'70000'")
        self.says(["array", "get", "a", "0"], 0, "1\n")  # nothing of it was set
        self.says(["array", "get", "a", "x:y"], 2, "", "'x:y'")
        self.says(["array", "set", "a", "1:2", "1"], 2, "", "'1:2'")


class Dictionary(Verbs):
    def test_values(self):
        self.says(["dict", "get", "d", "a"], 1, "", "there is no key 'a'")
        self.says(["dict", "set", "d", "a", "1", "b", "text", "c", "[1,2]"], 0, "1\n")
        self.says(["dict", "get", "d", "b"], 0, '"text"\n')
        self.says(["dict", "get", "-r", "d", "b", "c"], 0, "text\n[1,2]\n")
        self.says(["dict", "get", "d", "a", "none"], 1, "1\nnull\n", "none")
        self.says(["--json", "dict", "get", "d", "a"], 0, "[1,1]\n")
        self.says(["dict", "len", "d"], 0, "3\n")
        self.says(["dict", "add", "d", "a", "2"], 0, "3\n")
        self.says(["dict", "add", "d", "a", "-5"], 0, "-2\n")
        self.says(["dict", "add", "d", "new", "0.5"], 0, "0.5\n")
        self.says(["dict", "add", "large", "most", str(2 ** 64 - 1)], 0, f'"{2 ** 64 - 1}"\n')
        self.says(["dict", "add", "large", "least", "--", str(-2 ** 63)], 0, f"{-2 ** 63}\n")
        self.says(["dict", "add", "large", "half", f"+{2 ** 63}"], 0, f'"{2 ** 63}"\n')
        self.says(["dict", "add", "d", "b", "1"], 1, "")
        self.says(["dict", "delete", "d", "c", "none"], 0, "1\n")
        self.says(["dict", "delete", "d", "c"], 1, "0\n")
        self.says(["dict", "items", "d"], 0, 'b\t"text"\na\t-2\nnew\t0.5\n')
        self.says(["dict", "set", "d", "two words\n", "x"])
        self.assertIn(b'"two words\\n"\t"x"', self.says(["dict", "items", "d"]).stdout)

    def test_if_version(self):
        self.says(["dict", "set", "d", "a", "1", "--if-version", "0"], 0, "1\n")
        self.says(["dict", "set", "d", "a", "2", "--if-version", "0"], 1, "", "a")
        self.says(["dict", "set", "d", "a", "2", "--if-version", "1"], 0, "2\n")
        self.says(["dict", "delete", "d", "a", "--if-version", "1"], 1, "")
        self.says(["dict", "delete", "d", "a", "--if-version", "2"], 0, "1\n")

    def test_many_items(self):
        with self.g.connect() as client:
            for begin in range(0, 2500, 500):
                client.ask("dict.set", "d", {f"k{n:04}": n for n in range(begin, begin + 500)})
            for n in range(2500, 3600):
                client.ask("dict.set", "d", {f"k{n:04}": n})
        lines = self.says(["dict", "items", "d"]).stdout.decode().splitlines()
        self.assertEqual(sorted(lines), [f"k{n:04}\t{n}" for n in range(3600)])

    def test_watch(self):
        self.says(["dict", "watch", "d", "-t", "100ms"], 124, "")
        self.says(["dict", "set", "d", "a", "1"], 0, "1\n")
        self.says(["dict", "watch", "d", "--after", "0"], 0, "1\tset\ta\t1\n")
        with self.started("dict", "watch", "d", "--follow") as process:
            self.waits("d")
            for arguments, line in ((["set", "d", "a", "2"], "2\tset\ta\t2\n"), (["set", "d", "b", "x"], '3\tset\tb\t"x"\n'), (["delete", "d", "a"], "4\tdeleted\ta\n")):
                self.says(["dict", *arguments])
                self.assertEqual(process.stdout.readline(), line)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(20), 130)
        with self.started("dict", "watch", "d", "--follow") as process:
            self.waits("d")
            process.stdout.close()
            process.stdout = None
            self.assertEqual(process.wait(20), -signal.SIGPIPE)


class Queue(Verbs):
    def test_items(self):
        self.says(["queue", "size", "q"], 0, "0\n")
        self.says(["queue", "put", "q", "1", "two", "[3]"], 0, "")
        self.says(["queue", "put", "q", "-s", "4"], 0, "")
        self.says(["queue", "size", "q"], 0, "4\n")
        self.says(["queue", "get", "q"], 0, "1\n")
        self.says(["queue", "get", "q", "-r"], 0, "two\n")
        self.says(["queue", "get", "q", "-n", "9"], 0, '[3]\n"4"\n')
        self.says(["queue", "get", "q", "-t", "0"], 124, "")
        self.says(["queue", "get", "q", "--all-there"], 0, "")
        self.says(["queue", "get", "q", "--all-there", "-t", "100ms"], 124, "")
        self.says(["queue", "join", "q"], 0, "")
        self.says(["queue", "put", "q", "x"])
        self.says(["queue", "join", "q", "-t", "100ms"], 124, "")
        with self.started("queue", "join", "q") as process:
            self.waits("q")
            self.says(["queue", "get", "q", "--ack"], 0, '"x"\n')
            self.assertEqual(process.wait(20), 0)

    def test_standard_input(self):
        n = 100000  # more than one request may have
        text = "".join(f"line {i}\n" for i in range(n))
        self.says(["--json", "queue", "put", "q"], 0, f"{n}\n", stdin=None, input=text.encode())
        self.says(["queue", "get", "q", "--all-there", "--raw"], 0, text)
        self.says(["queue", "put", "q", "-0"], 0, "", stdin=None, input=b"a\nb\0[1]\0last")
        self.says(["queue", "get", "q", "--all-there", "--ack"], 0, '"a\\nb"\n[1]\n"last"\n')
        self.says(["queue", "put", "q"], 0, "", stdin=None, input=b"")
        self.says(["queue", "put", "-J", "q"], 2, "", "item 2: ", stdin=None, input=b"1\nx\n2\n")
        self.says(["queue", "get", "q", "--all-there"], 0, "1\n")
        self.says(["queue", "put", "q"], 2, "", "keeps no files", stdin=None, input=b"1\n@/etc/passwd\n")

    def test_lines_as_they_come(self):
        with self.started("queue", "put", "q", stdin=subprocess.PIPE) as put, self.started("queue", "get", "q", "--follow", "--raw") as get:
            for n in range(3):
                put.stdin.write(f"line {n}\n")
                put.stdin.flush()
                self.assertEqual(get.stdout.readline(), f"line {n}\n")
            put.stdin.close()
            self.assertEqual(put.wait(20), 0)
            get.send_signal(signal.SIGTERM)
            self.assertEqual(get.wait(20), 143)

    def test_full(self):
        """Memory is bounded by the pipe, the batch and the queue: who writes waits."""
        with self.started("queue", "put", "q", "--maxsize", "3", "1", "2", "3", "4", "5") as process:
            self.waits("q")
            self.says(["queue", "size", "q"], 0, "3\n")
            self.says(["queue", "get", "q", "-n", "2"], 0, "1\n2\n")
            self.assertEqual(process.wait(20), 0)
        self.says(["queue", "put", "q", "-t", "100ms", "6"], 124, "", "")
        self.says(["queue", "get", "q"], 0, "3\n")
        self.says(["queue", "put", "q", "-t", "100ms", "6", "7"], 124, "", "1 items were put")
        self.says(["queue", "get", "q", "--all-there"], 0, "4\n5\n6\n")

    def drained(self, process):
        """What is in the pipe of a program that waits for room there and is stopped meanwhile; the pipe is closed then."""
        sizes = []

        def stands_still():
            record = self.objects()["q"]
            sizes.append((record["size"], record["leased"]))
            return len(sizes) > 5 and record["leased"] > 0 and len(set(sizes[-5:])) == 1
        eventually(stands_still)
        with standing_still(process.pid):
            os.set_blocking(process.stdout.fileno(), False)
            text = b""
            with contextlib.suppress(BlockingIOError):
                while True:
                    text += os.read(process.stdout.fileno(), 1 << 20)
            process.stdout.close()
            process.stdout = None
        return text.decode()

    def test_a_closed_pipe_gives_back(self):
        """What was taken with --ack and not written is there again, in its order; what was written is not."""
        text = "".join(f"{i}\n" for i in range(20000))
        for options in ([], ["-n", "100"]):
            self.says(["queue", "put", "q"], 0, "", stdin=None, input=text.encode())
            with self.started("queue", "get", "q", "--ack", "--follow", *options) as process:
                taken = self.drained(process)
                self.assertEqual(process.wait(20), -signal.SIGPIPE, self.said(process))
            rest = self.says(["queue", "get", "q", "--all-there"]).stdout.decode()
            self.assertGreater(min(len(taken), len(rest)), 10000)
            self.assertTrue(taken + rest == text, (options, taken[-20:], rest[:20]))

    def test_nobody_reads(self):
        """Who waits for an item takes none for a pipe that is closed."""
        for options in ([], ["--ack", "--follow"]):
            with self.started("queue", "get", "q", *options) as process:
                self.waits("q")
                process.stdout.close()
                process.stdout = None
                self.assertEqual(process.wait(20), -signal.SIGPIPE)
            self.waits("q", 0)
            self.says(["queue", "put", "q", "kept"])
            self.says(["queue", "get", "q", "-t", "5"], 0, '"kept"\n')

    def test_killed_with_a_lease(self):
        self.says(["queue", "put", "q", "1", "2"])
        reader, writer = os.pipe()
        with os.fdopen(reader), os.fdopen(writer, "wb", buffering=0) as full:
            os.set_blocking(writer, False)
            with contextlib.suppress(BlockingIOError):
                while full.write(b"x" * 4096):
                    pass
            os.set_blocking(writer, True)
            with self.started("queue", "get", "q", "--ack", stdout=writer) as process:
                eventually(lambda: self.objects()["q"]["leased"] == 1)
                process.kill()
                process.wait(20)
            eventually(lambda: self.objects()["q"]["leased"] == 0)
        self.says(["queue", "get", "q", "--all-there"], 0, "1\n2\n")


class Lock(Verbs):
    def test_status(self):
        for command, status in (("true", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("exit 127", 127)):
            self.says(["lock", "l", "-c", command], status, "")
            self.says(["lock", "l", "--", "sh", "-c", command], status, "")
        self.says(["lock", "l", "/nonexistent/program"], 127, "", "/nonexistent/program")
        self.says(["lock", "l", "/etc/passwd"], 126, "", "/etc/passwd")
        self.says(["lock", "l", "cat"], 0, "through", stdin=None, input=b"through")
        self.says(["lock", "--", "l", "echo", "-n", "x"], 0, "x")

    def test_token(self):
        tokens = [int(self.says(["lock", name, "-c", "echo $GANGER_TOKEN"]).stdout) for name in ("a", "b", "a")]
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_held(self):
        with self.started("lock", "l", "--", "sh", "-c", "echo held; read line", stdin=subprocess.PIPE) as process:
            self.assertEqual(process.stdout.readline(), "held\n")
            self.says(["lock", "l", "-n", "true"], 1, "")
            self.says(["lock", "-n", "-E", "42", "l", "true"], 42, "")
            began = time.monotonic()
            self.says(["lock", "l", "-w", "300ms", "--", "true"], 1, "")
            self.assertGreaterEqual(time.monotonic() - began, 0.3)
            self.assertIn(f"held-by={process.pid}", self.says(["shared", "list"]).stdout.decode())
            with self.started("lock", "l", "echo", "next") as after:
                self.waits("l")
                process.stdin.write("\n")
                process.stdin.flush()
                self.assertEqual((after.wait(20), after.stdout.read(), self.said(after)), (0, "next\n", ""))
            self.assertEqual(process.wait(20), 0)

    def test_limit(self):
        with self.started("lock", "--limit", "2", "l", "--", "sh", "-c", "echo held; read line", stdin=subprocess.PIPE) as process:
            process.stdout.readline()
            self.says(["lock", "-n", "l", "--limit", "2", "true"])
            self.says(["lock", "-n", "l", "--limit", "3", "true"], 125, "", "2")

    def test_not_inherited(self):
        """What the command leaves behind does not hold the lock."""
        self.says(["lock", "l", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
        self.says(["lock", "-n", "l", "true"], 0, "")
        out = self.says(["lock", "l", "-c", "ls -l /proc/self/fd"]).stdout.decode()
        self.assertNotIn("socket", out)
        self.assertNotIn("signalfd", out)

    def test_abandoned(self):
        with self.started("lock", "l", "--", "sh", "-c", "echo $$; exec sleep 60") as process:
            command = int(process.stdout.readline())
            process.kill()
            process.wait()
        self.says(["lock", "l", "-w", "20", "true"], 0, "", "without releasing it")
        eventually(lambda: not name_of(command))  # it does not go on without the lock
        self.assertEqual(self.says(["lock", "l", "true"]).stderr, b"")

    def test_signals(self):
        """They are for the command; how it takes them is its own affair, and the lock is held until it has ended."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.started("lock", "l", "--", "sh", "-c", "echo held; exec sleep 60") as process:
                process.stdout.readline()
                process.send_signal(number)
                self.assertEqual(process.wait(20), 128 + number)
        with self.started("lock", "l", "--", "sh", "-c", "trap 'echo trapped; exit 3' TERM; echo held; while :; do sleep 0.1; done") as process:
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            self.assertEqual((process.wait(20), process.stdout.read()), (3, "trapped\n"))
        done = self.says(["lock", "-n", "l", "true"])
        self.assertEqual(done.stderr, b"")  # released, not abandoned

    def test_interrupted_while_it_waits(self):
        with self.started("lock", "l", "--", "sh", "-c", "echo held; read line", stdin=subprocess.PIPE) as holder:
            holder.stdout.readline()
            with self.started("lock", "l", "echo", "no") as process:
                self.waits("l")
                process.send_signal(signal.SIGINT)
                self.assertEqual((process.wait(20), process.stdout.read()), (130, ""))
            self.waits("l", 0)

    def test_lost(self):
        """The daemon goes while the command runs: it is told when the command has ended."""
        for command, status in (("exit 0", 125), ("exit 7", 7)):
            with Gangerd() as g:
                self.g = g
                with self.started("lock", "l", "--", "sh", "-c", f"echo held; read line; {command}", stdin=subprocess.PIPE) as process:
                    process.stdout.readline()
                    g.stop()
                    self.assertIsNone(process.poll())
                    self.assertEqual(self.said(process), "")
                    process.stdin.write("\n")
                    process.stdin.flush()
                    self.assertEqual(process.wait(20), status)
                    self.assertIn("was lost while the command ran", self.said(process))

    def test_unlinked(self):
        with self.started("lock", "l", "--", "sh", "-c", "echo held; read line", stdin=subprocess.PIPE) as process:
            process.stdout.readline()
            self.says(["shared", "unlink", "l"])
            process.stdin.write("\n")
            process.stdin.flush()
            self.assertEqual(process.wait(20), 125, self.said(process))


if __name__ == "__main__":
    main()
