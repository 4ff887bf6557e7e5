# SPDX-License-Identifier: MIT
"""README.md's table **From multiprocessing**, run line by line: Python's side too, and what it says of those that are killed.

A row that no test runs, and a claim that no test shows, fails."""
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import MODULES, SOURCE, Child, eventually, main  # noqa: E402
import in_python  # noqa: E402
from in_python import HANGS, outcome  # noqa: E402
from readme_rows import ROWS, Lines, runners, runs  # noqa: E402

EXIT_NOT_SUCCEEDED, EXIT_ITEM_FAILED = 1, 123
SLEEPS = """exec '["sleep", "60"]'"""
THREE = """'["true"]' '["sleep", "60"]' '["true"]'"""
THREE_ARRAYS = """'[["true"]]' '[["sleep", "60"]]' '[["true"]]'"""
IN_TURN = "the next one has it at once, and is told"
WITHOUT_RELEASE = "without releasing it"


class Table(unittest.TestCase):
    def test_every_row_is_run(self):
        self.assertGreaterEqual(len(ROWS), 27)
        self.assertEqual(set(ROWS), set(runners))
        for name, row in ROWS.items():
            self.assertTrue(row.python and row.ganger, name)


class Process(Lines):
    @runs("Process.start")
    def test_start(self):
        self.python(in_python.process_start, 0, {"its own children live on": repr("lives on")})
        [line] = self.row.ganger
        id = self.submitted(line)
        self.says("ganger wait $id", f"{id} succeeded\n", id=id)
        child = os.path.join(self.here, "child")
        id = self.submitted(line.replace("sleep 1", f"sh -c 'sleep 60 & echo $! > {child}.new; mv {child}.new {child}; wait'"))
        eventually(lambda: os.path.exists(child))
        self.kill_worker("sh")
        with open(child, encoding="ascii") as file:
            pid = int(file.read())
        eventually(lambda: not os.path.exists(f"/proc/{pid}"))
        self.ganger_claim("its own children are ended")

    def of_one_killed(self):
        id = self.submitted("ganger run -d -- sleep 60")
        says = self.kill_worker()
        return id, says

    @runs("Process.join")
    def test_join(self):
        self.python(in_python.with_process, (None, 0), {"returns, and does not say": "None"})
        [line] = self.row.ganger
        id = self.submitted("ganger run -d -- true")
        self.says(line, f"{id} succeeded\n", id=id)
        id, _ = self.of_one_killed()
        self.says(line, f"{id} failed\n", EXIT_NOT_SUCCEEDED, id=id)
        self.ganger_claim("prints `failed`, exit status 1")

    @runs("Process.terminate")
    def test_terminate(self):
        self.python(in_python.with_process, (None, -signal.SIGTERM), {"does nothing": "None"})
        [line] = self.row.ganger
        id = self.submitted("ganger run -d -- sleep 60")
        self.says(line, "1 cancelled\n", id=id)
        id, _ = self.of_one_killed()
        self.says("ganger wait $id", f"{id} failed\n", EXIT_NOT_SUCCEEDED, id=id)
        self.says(line, "0 cancelled\n", id=id)
        self.ganger_claim("`0 cancelled`")

    @runs("Process.exitcode")
    def test_exitcode(self):
        self.python(in_python.with_process, (0, 0), {"−9": "-9"})
        [line] = self.row.ganger
        self.says(line, "", 7, id=self.submitted("ganger run -d -- sh -c 'exit 7'"))
        id, words = self.of_one_killed()
        self.says(line, "", EXIT_NOT_SUCCEEDED, words, id=id)
        self.ganger_claim("exit status 1, says by what signal, and from where")


class Pool(Lines):
    SAYS_WHY = "exit status 1, says why"

    @runs("Pool.apply")
    def test_apply(self):
        self.python(in_python.with_pool, 42, {"hangs": HANGS})
        [line] = self.row.ganger
        self.says(line, "42\n")
        with self.started(line.replace("echo 42", SLEEPS)) as process:
            self.ends(process, "", EXIT_NOT_SUCCEEDED, self.kill_worker())
        self.ganger_claim(self.SAYS_WHY)

    @runs("Pool.apply_async")
    def test_apply_async(self):
        [python] = self.row.python
        self.python(in_python.with_pool, 42, {"`TimeoutError`, without it: hangs": "TimeoutError"})
        self.assertEqual(outcome(in_python.with_pool, [python.replace("0.5", "")], True), HANGS)
        [line] = self.row.ganger
        self.says(line, "42\n")
        with self.started(line.replace("echo 42", SLEEPS)) as process:
            self.ends(process, "", EXIT_NOT_SUCCEEDED, self.kill_worker())
        self.ganger_claim(self.SAYS_WHY)

    def map(self, of_three, out=None, deadly=None):
        """The three items in whatever order, and again when the worker of the second one is killed."""
        [line] = self.row.ganger
        with self.started(line) as process:
            found, errors = process.communicate(timeout=20)
            self.assertEqual((process.returncode, errors), (0, ""))
            self.assertEqual(sorted(self.printed(found, out).splitlines()), of_three)
        with self.started(deadly or line.replace("echo 1 2 3", f"exec {THREE}")) as process:
            words = self.kill_worker()
            found, errors = process.communicate(timeout=20)
            self.assertEqual(process.returncode, EXIT_ITEM_FAILED, errors)
            self.assertEqual([json.loads(line)["status"] for line in self.printed(found, out).splitlines()], [0, 0])
            self.assertRegex(errors, f"item 1 .*60.*: {words}")

    def printed(self, found, file):
        if file is None:
            return found
        with open(os.path.join(self.here, file), encoding="ascii") as text:
            return text.read()

    @runs("Pool.map")
    def test_map(self):
        self.python(in_python.with_pool, [1, 2, 3], {"hangs": HANGS})
        self.map(["1", "2", "3"])
        self.ganger_claim("says which item, prints the others")
        self.ganger_claim("exit status 123")

    @runs("Pool.map_async")
    def test_map_async(self):
        self.python(in_python.with_pool, [1, 2, 3], {"hangs": HANGS})
        self.map(["1", "2", "3"], "out")
        self.ganger_claim("as above")

    @runs("Pool.imap")
    def test_imap(self):
        self.python(in_python.with_pool, [1, 2, 3])
        self.python(in_python.pool_goes_on, ("ends", [1, 2, 3]), {"hangs at that item": repr((HANGS, [1]))})
        [line] = self.row.ganger
        self.map(["1", "2", "3"], deadly=line.replace("seq 3", f"printf '%s\\n' {THREE}").replace("echo", "exec"))
        self.ganger_claim("as above")

    @runs("Pool.imap_unordered")
    def test_imap_unordered(self):
        self.python(in_python.with_pool_unordered, [1, 2, 3])
        self.python(in_python.pool_goes_on, ("ends", [1, 2, 3]), {"hangs after the others": repr((HANGS, [1, 3]))})
        [line] = self.row.ganger
        self.map(["1", "2", "3"], deadly=line.replace("seq 3", f"printf '%s\\n' {THREE}").replace("echo", "exec"))
        self.ganger_claim("as above")

    @runs("Pool.starmap")
    def test_starmap(self):
        self.python(in_python.with_pool, [(1, 2), (2, 3)], {"hangs": HANGS})
        [line] = self.row.ganger
        begin, _, _ = line.partition("text.count")
        self.map(['{"root":1}'], deadly=f"{begin}exec {THREE_ARRAYS}")
        self.ganger_claim("as above")


class Workers(Lines):
    def setUp(self):
        super().setUp()
        self.client = self.enterContext(self.g.connect())

    def pid(self):
        """Of a worker that does a task."""
        return self.client.call("exec", ["sh", "-c", "echo $PPID"])["stdout"]


class MaxTasks(Workers):
    pool = {"workers": 1, **dict(line.split(" = ") for line in ROWS["maxtasksperchild"].ganger)}

    @runs("maxtasksperchild")
    def test_max_tasks(self):
        self.python(in_python.max_tasks, 2, {"another one comes": "True", "who waits hangs": (in_python.max_tasks_caller, HANGS)})
        counts = collections.Counter()

        def has_seen_three():
            counts[self.pid()] += 1
            return len(counts) == 3
        eventually(has_seen_three, pause=0)
        self.assertTrue(all(count >= 9 for count in list(counts.values())[:2]), counts)  # it works on until the next one is there
        with self.started(f"ganger call {SLEEPS}") as process:
            self.ends(process, "", EXIT_NOT_SUCCEEDED, self.kill_worker())
        self.ganger_claim("who waits is told")
        self.assertNotIn(self.pid(), counts)
        self.ganger_claim("another one comes")


class Initializer(Workers):
    pool = {"workers": 1, "modules": "m"}

    def setUp(self):
        """The row's line, compiled: its f adds a line to a file."""
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="ganger-module."))
        self.ran = os.path.join(self.directory, "ran")
        [line] = ROWS["initializer"].ganger
        with open(os.path.join(self.directory, "m.c"), "w", encoding="ascii") as file:
            file.write(f'#include <ganger_module.h>\n#include <stdio.h>\nstatic int f(void *state)\n{{\n        FILE *file = fopen("{self.ran}", "a");\n'
                       f'        (void)state;\n        fputs("started\\n", file);\n        return fclose(file);\n}}\n{line}\n')
        subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", "m.so", "m.c", f"-I{SOURCE}/daemon/worker"], cwd=self.directory, check=True)
        self.daemon = {"module_path": f"{self.directory} {MODULES}"}
        super().setUp()

    def times(self):
        if not os.path.exists(self.ran):
            return 0
        with open(self.ran, encoding="ascii") as file:
            return len(file.readlines())

    @runs("initializer")
    def test_initializer(self):
        self.python(in_python.initializer, 1, {"runs in the next one": "2"})
        eventually(lambda: self.times() == 1)
        with self.started(f"ganger call {SLEEPS}"):
            self.kill_worker()
            eventually(lambda: self.times() == 2)
        self.ganger_claim("runs in the next one")


class Passing(Lines):
    def leased(self, n):
        return lambda: self.object("q").get("leased") == n

    def killed_with_an_item(self, line):
        """Its standard output is full, so that it has the item and has not written it."""
        reader, writer = os.pipe()
        with os.fdopen(reader), os.fdopen(writer, "wb", buffering=0) as full:
            os.set_blocking(writer, False)
            while full.write(b"x" * 4096):
                pass
            os.set_blocking(writer, True)
            self.killed(line, self.leased(1), stdout=writer)
        eventually(self.leased(0))

    @runs("Queue")
    def test_queue(self):
        self.python(in_python.with_queue, 1, {"in `get`: hangs for all": HANGS, "what it took is lost": (in_python.queue_item, repr("lost"))})
        put, get = self.row.ganger
        self.says(put)
        self.says(get, "1\n")
        self.killed(get, lambda: self.object("q")["waiting"] == 1)
        self.says(put)
        self.says(get, "1\n")
        self.ganger_claim("the others go on")
        self.says(put)
        self.killed_with_an_item(get)
        self.says(get, "1\n")
        self.ganger_claim("what it took is there again")

    @runs("JoinableQueue")
    def test_joinable_queue(self):
        self.python(in_python.with_joinable_queue, None, {"hangs": HANGS})
        [join] = self.row.ganger
        self.says(join)
        self.says("ganger queue put q 1")
        self.killed_with_an_item("ganger queue get --ack q")
        with self.started(join) as process:
            self.waits("q")
            self.assertIsNone(process.poll())
            self.says("ganger queue get --ack q", "1\n")
            self.ends(process)
        self.ganger_claim("waits until another one has done the item")

    @runs("Pipe")
    def test_pipe(self):
        self.python(in_python.with_pipe, 1, {"hangs": HANGS, "`EOFError` only if nobody else has that end": (in_python.pipe_of_two, "EOFError")})
        [line] = self.row.ganger
        with self.started("ganger pipe p") as other:
            self.says(line)
            self.ends(other, "1\n")
        with self.started("ganger pipe p") as other:
            eventually(lambda: self.object("p"))
            self.killed("ganger pipe p", lambda: not self.object("p"))
            self.ends(other)
        self.ganger_claim("the other one reads the end")


class Sharing(Lines):
    def killed_in_the_middle(self, line, n):
        """Programs that change it, killed at whatever step; how many came to their end."""
        ended = 0
        for step in range(n):
            with self.started(line) as process:
                time.sleep(step / n * 0.01)  # the point of death, not a wait for something
                process.kill()
                ended += process.wait() == 0
        return ended

    @runs("Value")
    def test_value(self):
        self.python(in_python.with_value, 1, {"holding the lock: hangs": HANGS})
        [line] = self.row.ganger
        self.says(line, "1\n")
        n = 40
        ended = self.killed_in_the_middle(line, n)
        with self.started(line) as process:
            out, _ = process.communicate(timeout=20)
        self.assertTrue(ended + 2 <= int(out) <= n + 2, (ended, out))
        self.ganger_claim("no lock is held")

    @runs("Array")
    def test_array(self):
        self.python(in_python.with_array, [7, 0, 0, 0], {"holding the lock: hangs": HANGS})
        [line] = self.row.ganger
        self.says(line)
        self.killed_in_the_middle(line, 20)
        self.says(line)
        self.says("ganger array get a", "7\n0\n0\n0\n")
        self.ganger_claim("no lock is held")

    def stays(self, scene, text, lines):
        """`lines`: what says that it stays -> its output."""
        self.python(scene, text, {"stays": repr(text)})
        self.claims("python_killed", "gone with the manager")
        self.assertIn(outcome(scene, self.row.python, "manager"), ("ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "EOFError"))
        [line] = self.row.ganger
        with self.started(f"sh -c '{line}; echo done; exec sleep 60'") as process:
            self.assertIn("done\n", [process.stdout.readline() for _ in range(2)])
        for line, out in lines.items():
            self.says(line, out)
        self.ganger_claim("stays")
        self.g.stop()
        self.g.start()
        with self.g.connect() as client:
            self.assertEqual(client.ask("shared.list"), [])
        self.ganger_claim("gone with gangerd")

    @runs("Manager().dict")
    def test_dict(self):
        self.stays(in_python.with_dict, "{'k': 1}", {"ganger dict get d k": "1\n"})

    @runs("Manager().list")
    def test_list(self):
        self.stays(in_python.with_list, "[1]", {"ganger sequence get l 0": "1\n"})

    @runs("Manager().Namespace")
    def test_namespace(self):
        self.stays(in_python.with_namespace, "Namespace(x=1)", {"ganger dict get ns x": "1\n"})


class Waiting(Lines):
    def child(self, function):
        child = Child(function)
        self.addCleanup(child.kill)
        return child

    def holder_killed(self, line):
        with self.started(line.replace("true", "sh -c 'echo held; exec sleep 60'")) as process:
            self.assertEqual(process.stdout.readline(), "held\n")

    @runs("Lock")
    def test_lock(self):
        self.python(in_python.one_lock, None, {"hangs": HANGS})
        [line] = self.row.ganger
        self.says(line)
        self.holder_killed(line)
        self.says(line, err=WITHOUT_RELEASE)
        self.says(line)
        self.ganger_claim(IN_TURN)

    @runs("RLock")
    def test_rlock(self):
        self.python(in_python.recursive_lock, None, {"hangs": HANGS})
        acquire, release = self.row.ganger
        g = self.connected()
        for line in (acquire, acquire, release):
            eval(line)
        other = self.connected()
        answer = other.start("lock.acquire", "r", {"reentrant": True})
        self.waits("r")
        g.socket.close()
        self.assertIs(other.finish(answer)["abandoned"], True)
        self.ganger_claim(IN_TURN)

    @runs("Semaphore")
    def test_semaphore(self):
        self.python(in_python.semaphore, 2, {"its place is lost": "1"})
        [line] = self.row.ganger
        self.says(line)
        with self.started(line.replace("true", "sh -c 'echo held; exec sleep 60'")) as other:
            self.assertEqual(other.stdout.readline(), "held\n")
            self.holder_killed(line)
            self.says(line, err=WITHOUT_RELEASE)
            self.says(line)
        self.ganger_claim("its place is free at once, and the next one is told")

    @runs("Event")
    def test_event(self):
        self.python(in_python.with_event, True, {"waiting: `set` hangs": HANGS})
        set, wait = self.row.ganger
        self.killed(wait, lambda: self.object("e").get("waiting") == 1)
        with self.started(wait) as process:
            self.waits("e")
            self.says(set)
            self.ends(process)
        self.says(wait)
        self.ganger_claim("`set` does not mind")

    @runs("Condition")
    def test_condition(self):
        self.python(in_python.condition, 0, {"waiting: `notify` hangs": HANGS})
        acquire, wait, notify = self.row.ganger

        def waits(out):
            g = self.connected()
            eval(acquire)
            out.write(f"{eval(wait)}\n")
        others = [self.child(waits) for _ in range(2)]
        self.waits("c", 2)
        others[0].kill()
        self.waits("c", 1)
        g = self.connected()
        eval(acquire)
        self.assertEqual(eval(notify), 1)
        g.request("lock.release", "c")
        self.assertEqual(others[1].end(), (0, "True\n"))
        eval(acquire)
        self.assertEqual(eval(notify), 0)
        self.ganger_claim("`notify` passes it over")

    @runs("Barrier")
    def test_barrier(self):
        self.python(in_python.barrier, [0, 1], {"hangs": HANGS})
        [line] = self.row.ganger
        with self.started(line) as first:
            self.waits("b")
            self.says(line, "1\n")
            self.ends(first, "0\n")
        three = line.replace("2 b", "3 three")
        with self.started(three) as other:
            self.waits("three")
            self.killed(three, lambda: self.object("three")["waiting"] == 2)
            self.ends(other, "", EXIT_NOT_SUCCEEDED, "barrier")
        self.ganger_claim("breaks: exit status 1 for the rest")


if __name__ == "__main__":
    main()
