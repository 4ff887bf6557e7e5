# SPDX-License-Identifier: MIT
"""The log: what tasks write, log and end as, in lines and in the journal; and that who does not take it holds nobody up."""
import ctypes
import json
import os
import re
import selectors
import signal
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import SOURCE, Child, Client, Gangerd, eventually, libc, main  # noqa: E402
from pouring import MOST_S, largest_ping  # noqa: E402

POOL = {"modules": "probe stray"}
STANDS_S = 10
UNREAD_S = 10 if os.environ.get("GANGER_TEST_LONG") else 3
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
DROPPED = re.compile(r"(\d+) messages were dropped here")
NEEDS_ROOT = "only root may have mounts of his own, and a journal's socket among them"


def mount(source, target, kind, flags):
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


class Journal:
    """A socket where the journal's would be, for one daemon, whose standard error seems to be the journal."""

    def __init__(self, **options):
        self.g = Gangerd(prepare=self.prepare, **options)
        self.path = str(self.g.directory / "journal")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.g.log_path.touch()
        status = os.stat(self.g.log_path)
        spawn = self.g.spawn
        self.g.spawn = lambda *arguments, **more: spawn(*arguments, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}", **more)
        self.messages = []

    def prepare(self):
        if libc.unshare(CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount("none", "/", "none", MS_REC | MS_PRIVATE)
        mount("none", "/run", "tmpfs", 0)
        os.makedirs("/run/systemd/journal")
        os.symlink(self.path, "/run/systemd/journal/socket")

    def __enter__(self):
        self.g.__enter__()
        return self

    def __exit__(self, *error):
        try:
            self.g.__exit__(*error)
        finally:
            self.socket.close()

    def read(self, bound=0.0):
        """Takes what has come, the first of it within the bound; returns the messages of all times as maps."""
        self.socket.settimeout(bound)
        try:
            while True:
                self.messages.append(fields_of(self.socket.recv(1 << 20)))
                self.socket.settimeout(0)
        except (TimeoutError, BlockingIOError):
            return self.messages

    def find(self, **fields):
        """The first message with these fields, once it is there."""
        return eventually(lambda: next((m for m in self.read() if all(m.get(k) == v for k, v in fields.items())), None))


def fields_of(data):
    """The journal's native format: NAME=value, or NAME, a size of 8 bytes and the value."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack_from("<Q", rest)[0]
            value, rest = rest[8:8 + size], rest[9 + size:]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


def message_id(name):
    """As daemon/message_ids.h has it."""
    text = (SOURCE / "daemon/message_ids.h").read_text(encoding="utf-8")
    return re.search(rf'^#define MESSAGE_{name} +"([0-9a-f]{{32}})"', text, re.M)[1]


class Log(unittest.TestCase):
    def ended(self, client, function, *args, **options):
        id = client.submit(function, *args, **options)
        client.ask("wait", [id], {})
        return id

    def holds_nobody_up(self, g, what, seconds):
        worst = largest_ping(g.socket, seconds)
        print(f"{what}: {worst}")
        self.assertLess(worst.seconds, MOST_S)

    def test_nobody_reads_standard_error(self):
        reader, writer = os.pipe()
        text = bytearray()
        try:
            with Gangerd(daemon={"log_level": "debug"}, pool=POOL, prepare=lambda: os.dup2(writer, 2)) as g:
                self.holds_nobody_up(g, "a pipe that nobody reads", UNREAD_S)
                os.set_blocking(reader, False)

                def told():
                    try:
                        text.extend(os.read(reader, 1 << 20))
                    except BlockingIOError:
                        pass
                    return DROPPED.search(text.decode(errors="replace"))
                found = eventually(told, 20)
                print("dropped:", found[1])
                self.assertGreater(int(found[1]), 1000)
                g.connect().close()
                reading = threading.Thread(target=lambda: [None for _ in iter(lambda: self.drain(reader), b"")])
                os.close(writer)
                writer = None
                reading.start()
            reading.join(20)
        finally:
            os.close(reader)
            if writer is not None:
                os.close(writer)

    @staticmethod
    def drain(reader):
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            selector.select(20)
            return os.read(reader, 1 << 20)

    @unittest.skipUnless(os.geteuid() == 0, NEEDS_ROOT)
    def test_the_journal_stands(self):
        with Journal(daemon={"log_level": "debug"}, pool=POOL) as j:
            self.holds_nobody_up(j.g, "a journal that takes nothing", STANDS_S)
            found = eventually(lambda: next((m for m in j.read(0.01) if DROPPED.search(m["MESSAGE"])), None), 20)
            print(found["MESSAGE"])
            self.assertEqual((found["PRIORITY"], found["MESSAGE_ID"]), ("4", message_id("LOG_DROPPED")))
            with j.g.connect() as client:  # and it goes on
                client.call("exec", ["sh", "-c", "echo after all that >&2"])
            eventually(lambda: any(m["MESSAGE"] == "after all that" for m in j.read(0.01)), 20)

    @unittest.skipUnless(os.geteuid() == 0, NEEDS_ROOT)
    def test_the_journals_fields(self):
        with Journal(pool=POOL) as j, j.g.connect() as client:
            listens = j.find(CODE_FUNC="daemon_begin")
            self.assertRegex(listens["MESSAGE"], rf"^gangerd \S+ \(pid {j.g.pid}\) listens on ")
            self.assertEqual((listens["PRIORITY"], listens["SYSLOG_IDENTIFIER"], listens["CODE_FILE"]), ("6", "gangerd", "daemon/start.c"))
            self.assertGreater(int(listens["CODE_LINE"]), 0)
            client.call("probe.news")
            news = j.find(MESSAGE="number 7")
            self.assertEqual((news["PRIORITY"], news["GANGER_POOL"], news["GANGER_FUNCTION"], news["GANGER_UID"]), ("4", "default", "probe.news", "0"))
            self.assertTrue(news["CODE_FILE"].endswith("tests/support/modules/probe.c"), news)
            source = (SOURCE / "tests/support/modules/probe.c").read_text(encoding="utf-8").splitlines()
            self.assertIn("ganger_log", source[int(news["CODE_LINE"]) - 1])
            id = self.ended(client, "exec", ["sh", "-c", "echo no such table >&2; exit 3"])
            line = j.find(MESSAGE="no such table")
            self.assertEqual((line["GANGER_TASK"], line["GANGER_STREAM"], line["PRIORITY"]), (str(id), "stderr", "6"))
            why = j.g.ganger("why", str(id)).stdout.decode().splitlines()[0]
            self.assertRegex(why, "sh ended with status 3; its last words: no such table")
            found = j.find(MESSAGE=why)
            self.assertEqual((found["GANGER_TASK"], found["MESSAGE_ID"]), (str(id), message_id("TASK_FAILED")))
            lost = self.ended(client, "exec", ["sh", "-c", "kill -9 $PPID"])
            why = j.g.ganger("why", str(lost)).stdout.decode().splitlines()[0]
            found = j.find(MESSAGE=why)
            self.assertEqual((found["PRIORITY"], found["GANGER_TASK"]), ("4", str(lost)))
            self.assertGreater(int(found["GANGER_WORKER_PID"]), 1)
            obituary = j.find(MESSAGE_ID=message_id("WORKER_LOST"))
            self.assertEqual((obituary["GANGER_TASK"], obituary["GANGER_WORKER_PID"]), (str(lost), found["GANGER_WORKER_PID"]))
            self.assertEqual(j.g.log_path.read_text(), "")  # nothing is said twice

    def test_lines_of_tasks(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            id = self.ended(client, "exec", ["sh", "-c", r"printf 'one\nINFO stopped\r\n\0\377\033[2J\n' >&2; head -c 2500 /dev/zero | tr '\0' x >&2"])
            lines = [line for line in g.log().splitlines() if "stream=stderr" in line]
            rest = rf" task={id} worker=\d+ uid={os.geteuid()} pool=default function=exec stream=stderr$"
            for line, text in zip(lines, ("one", "INFO stopped", r"\?\\xff\\x1b\[2J", "x" * 1000, "x" * 1000, "x" * 500), strict=True):
                self.assertRegex(line, rf"^INFO {text}{rest}")

    def test_what_a_module_says_by_stderr(self):
        """It is the task's, in log and failure record; of its children and threads it is at least there."""
        with Gangerd(pool={"modules": "probe", "workers": 1}) as g, g.connect() as client:
            tasks = [client.submit("probe.words", f"words {i}\n", 1 + i) for i in range(20)]
            client.ask("wait", tasks, {})
            for i, id in enumerate(tasks):
                error, _ = client.outcome(client.start("result", id, {"keep": True}))
                self.assertEqual(bytes(error["stderr"]).decode(), f"words {i}\n" * (1 + i) + "the last words: No such file or directory\n")
                self.assertEqual(len(re.findall(rf"^INFO words {i} task={id} .* function=probe.words stream=stderr$", g.log(), re.M)), 1 + i)
                self.assertRegex(g.ganger("why", str(id)).stdout.decode().splitlines()[0], "it failed; its last words: the last words: No such file")
            for whose in ("child", "thread"):
                self.assertEqual(g.log().count(f"words of a {whose}\n"), 20)
            error, _ = client.outcome(client.start("call", "probe.words", ["x" * 999 + "\n", 300], {}))  # more than there is credit for at once
            self.assertEqual(len(bytes(error["stderr"])), 4096)
            eventually(lambda: g.log().count("x" * 999) == 300)

    def test_items_of_a_map(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            client.ask("map", "exec", [[["sh", "-c", f"echo item {i} >&2; echo not this"]] for i in range(5)], {})
            text = g.log()
            for i in range(5):
                self.assertRegex(text, rf"INFO item {i} task=\d+ .* function=exec stream=stderr\n")
            self.assertNotIn("not this", text)

    def test_json(self):
        with Gangerd(daemon={"log_format": "json"}, pool=POOL) as g, g.connect() as client:
            client.call("probe.news")
            id = self.ended(client, "exec", ["sh", "-c", "echo '\"quoted\"' >&2; exit 1"])
            lines = [json.loads(line) for line in g.log().splitlines()]
            news = next(line for line in lines if line["message"] == "number 7")
            self.assertEqual((news["level"], news["function"], news["line"] > 0), ("warning", "probe.news", True))
            words = next(line for line in lines if line["message"] == '"quoted"')
            self.assertEqual((words["task"], words["stream"], words["pool"]), (id, "stderr", "default"))
            why = g.ganger("why", str(id)).stdout.decode().splitlines()[0]
            self.assertEqual([line["task"] for line in lines if line["message"] == why], [id])

    def test_the_level_is_changed_at_run_time(self):
        with Gangerd(pool=POOL) as g, g.connect() as client:
            def logged():
                before = len(g.log())
                client.call("exec", ["sh", "-c", "echo words >&2"])
                return g.log()[before:]
            self.assertEqual(["INFO words " in logged(), "DEBUG succeeded " in logged()], [True, False])
            self.assertEqual(g.ganger("log-level", "debug").stdout, b"info\n")
            self.assertIn("DEBUG succeeded ", logged())
            self.assertEqual(g.ganger("log-level", "error").stdout, b"debug\n")
            self.assertEqual(logged(), "")

    def test_a_users_share(self):
        """Of bad ends and of lines; what is worse is not hidden by it."""
        with Gangerd(pool=POOL) as g, g.connect() as client:
            for msgid in [client.start("call", "probe.fail", [], {}) for _ in range(300)]:
                client.outcome(msgid)
            client.call("exec", ["sh", "-c", "seq 5000 >&2"])
            id = self.ended(client, "stray.crash", int(signal.SIGSEGV))
            text = g.log()
            self.assertEqual(text.count("(probe.fail, pool default) failed"), 100)
            self.assertEqual(text.count("stream=stderr"), 1000)
            self.assertRegex(text, rf"WARNING Task {id} .* crashed after .* with SIGSEGV")
            self.assertEqual(g.stop(), 0)
            text = g.log()  # what is owed is said at the end at the latest
            self.assertIn(f"INFO 200 messages were left out that are like this one: a task's bad end uid={os.geteuid()}", text)
            self.assertRegex(text, r"INFO 40\d\d messages were left out that are like this one: 1001 uid=")

    def test_the_end(self):
        with Gangerd(daemon={"log_level": "debug"}, pool=POOL) as g:
            with g.connect() as client:
                for msgid in [client.start("call", "echo", [1], {}) for _ in range(1000)]:
                    client.outcome(msgid)
            self.assertEqual(g.stop(), 0)
            self.assertEqual(g.log().count("DEBUG succeeded "), 1000)
            self.assertEqual(g.log().splitlines()[-1], "INFO stopped")

    def test_a_crash_of_the_daemon(self):
        """Its last lines are there."""
        with Gangerd(daemon={"log_level": "debug"}, pool=POOL) as g:
            g.expects_death = True
            with g.connect() as client:
                for msgid in [client.start("call", "echo", [1], {}) for _ in range(2000)]:
                    client.outcome(msgid)
                os.kill(g.pid, signal.SIGABRT)
            g.process.wait(20)
            self.assertEqual(g.log_path.read_text(errors="replace").count("DEBUG succeeded "), 2000)


if __name__ == "__main__":
    main()
