# SPDX-License-Identifier: MIT
"""The users of a soak: each class is a kind of program that is at work all the time, and checks all that it is told.

What they ask for in the pool `default` they hear the end of, and count; what they go away from, or run by the command line, is asked
for in the pool `untold`."""
import contextlib
import json
import mmap
import os
import signal
import socket
import statistics
import struct
import subprocess
import time

from chaos import AHEAD, ENDS, LEAVING, TOLD_BOUND, Ledger, leave
from gangerd import CLI, Child, environment, state_of, sums_hold
from beside import finish, memfd
from wire import Client, Refused, TooLate, descriptor, eventually

UNTOLD = {"pool": "untold"}
LARGEST = 4 << 20
SLOW = 1.0  # seconds that a slow reader reads nothing


class Caller(Ledger):
    PAUSE = 0.1


class Mapper(Ledger):
    """Huge maps, read at once, slowly, or with the reader stopped in the middle; and maps that are fed."""

    ACTIVITIES = {"huge": 3, "slow": 1, "stopped": 1, "fed": 2}
    PAUSE = 0.3

    def read_map(self, msgid, n, pause=None):
        """All items of a map of echo, each once; `pause` is called once in the middle."""
        seen = bytearray(n)
        while msgid not in self.client.answers or self.client.streams[msgid]:
            for _, items in self.client.streams[msgid]:
                for index, error, value in items:
                    assert not seen[index] and (error or value == index), (index, error, value)
                    seen[index] = 1
            self.client.streams[msgid].clear()
            if pause and sum(seen) > n // 4:
                pause()
                pause = None
            if msgid not in self.client.answers:
                self.client.receive(TOLD_BOUND)
        sum_ = self.client.finish(msgid)
        assert sum_["count"] == n == sum(seen) == sum_["succeeded"] + sum_["failed"], (sum_, n, sum(seen))
        self.count["accepted"] += n
        self.count["succeeded"] += sum_["succeeded"]
        self.count["failed"] += sum_["failed"]

    def huge(self, pause=None):
        n = self.random.randint(5_000, 50_000)
        self.read_map(self.client.start("map", "echo", [[i] for i in range(n)], {"ordered": self.random.random() < 0.3}), n, pause)

    def slow(self):
        self.huge(lambda: time.sleep(SLOW))

    def stopped(self):
        self.huge(stop_for_a_while)

    def fed(self):
        n, step = 5_000, 500
        msgid = self.client.start("map", "echo", [], {"feed": True})
        for first in range(0, n, step):
            self.client.notify("feed", msgid, [[i] for i in range(first, first + step)], first + step == n)
        self.read_map(msgid, n)


def stop_for_a_while():
    """This process is stopped, and continued by one that it leaves."""
    own = os.getpid()
    if os.fork() == 0:
        with contextlib.suppress(OSError, TooLate):
            eventually(lambda: state_of(own) == "T", TOLD_BOUND)
            time.sleep(SLOW)
        with contextlib.suppress(OSError):
            os.kill(own, signal.SIGCONT)
        os._exit(0)
    os.kill(own, signal.SIGSTOP)
    os.wait()


class LargeValues(Ledger):
    """Values beside the message, and some as large in it, there and back."""

    ACTIVITIES = {"beside": 3, "inside": 1}
    PAUSE = 0.2
    DESCRIPTORS = True

    def some(self):
        return self.random.randbytes(4096) * (self.random.randint(256 << 10, LARGEST) // 4096)

    def come_back(self, data, value, fds=()):
        msgid = self.client.start("call", "echo", [value], {}, fds=fds)
        self.count["accepted"] += 1
        try:
            assert finish(self.client, msgid) == data, "another value came back"
            error = None
        except Refused as refused:
            error = refused.error
        self.judge("value", error)

    def beside(self):
        data = self.some()
        fd = memfd(data)
        try:
            self.come_back(data, descriptor(0, len(data)), [fd])
        finally:
            os.close(fd)

    def inside(self):
        data = self.some()
        self.come_back(data, data)


class Programs(Ledger):
    """Runs as people type them, in pipelines, and detached ones with followers; and programs that get a descriptor."""

    ACTIVITIES = {"pipeline": 2, "detached": 1, "descriptor": 3}
    PAUSE = 0.3

    def shell(self, script):
        run = ["sh", "-c", script.replace("ganger ", f"{CLI} --socket {self.path} ").replace(" run ", " run --pool untold ")]
        return subprocess.run(run, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * TOLD_BOUND, check=False)

    def pipeline(self):
        done = self.shell("seq 20000 | ganger run -- sort -rn | ganger run -- cat | head -n 1")
        assert done.stdout == "20000\n" or done.stderr, done  # without: one of the two was killed, and it says so
        self.count["programs"] += 2

    def detached(self):
        began = self.shell("ganger run -d --ttl 3s -- sh -c 'echo begun; sleep 0.2; echo done; exit 3'")
        assert began.returncode == 0 and began.stdout.strip().isdigit(), began
        id = began.stdout.strip()
        followed = self.shell(f"ganger attach {id}")
        assert followed.returncode == 3 or followed.stderr, followed
        logs = self.shell(f"ganger logs {id}")
        assert logs.returncode == 0 or logs.stderr, logs
        assert followed.returncode != 3 or logs.stdout in ("begun\ndone\n", ""), logs  # empty: its ttl is over
        self.count["programs"] += 1

    def descriptor(self):
        n = self.random.randint(1, 60_000)
        reader, writer = os.pipe()
        os.write(writer, bytes(n))
        os.close(writer)
        with Client(self.path, descriptors=True, bound=TOLD_BOUND) as client:
            msgid = client.start("call", "exec", [["wc", "-c"], {"stdin": descriptor()}], {}, fds=[reader])
            os.close(reader)
            self.count["accepted"] += 1
            error, result = client.outcome(msgid)
        self.judge("short", error)
        assert error or int(result["stdout"]) == n, (result, n)


class Sharers(Ledger):
    """Shared objects whose holders die. Each activity makes its own and ends it."""

    ACTIVITIES = {"locks": 2, "queues": 3, "values": 2, "dicts": 2, "others": 1}
    PAUSE = 0.1
    DESCRIPTORS = True

    def reconnect(self):
        super().reconnect()
        self.name = f"soak{os.getpid()}"

    def locks(self):
        """A holder is killed: whoever waits has the lock, and is told."""
        holder = Child(hold_lock, self.path, self.name)
        holder.stopped()
        waiting = self.client.start("lock.acquire", self.name, {"timeout": TOLD_BOUND})
        os.kill(holder.pid, signal.SIGKILL)
        holder.end()
        assert self.client.finish(waiting)["abandoned"] is True
        assert self.client.ask("lock.release", self.name) is None
        self.client.ask("shared.unlink", self.name)

    def queues(self):
        """One who has leased some goes: they come first again, and none is lost or there twice."""
        n, leased = self.random.randint(10, 300), self.random.randint(1, 9)
        assert self.client.ask("queue.put", self.name, [[i, "x" * i] for i in range(n)], {}) == n
        with Client(self.path, bound=TOLD_BOUND) as other:
            got = other.ask("queue.get", self.name, {"max": leased, "ack": True})
            assert [item[0] for _, item in got] == list(range(leased))
        eventually(lambda: self.client.ask("queue.size", self.name) == n, TOLD_BOUND)
        got = self.client.ask("queue.get", self.name, {"max": n, "ack": True})
        assert [item[0] for _, item in got] == list(range(n)), got
        assert self.client.ask("queue.task_done", self.name, [token for token, _ in got]) == n
        self.count["items"] += n
        assert self.client.ask("queue.join", self.name, {"timeout": TOLD_BOUND}) is None
        assert self.client.ask("queue.size", self.name) == 0
        self.client.ask("shared.unlink", self.name)

    def values(self):
        n = self.random.randint(1, 100_000)
        opened, fd = self.client.ask_fd("shared.open", self.name, {"kind": "array", "type": "i64", "length": n})
        with mmap.mmap(fd, 128 + 8 * n) as mapped:
            os.close(fd)
            assert opened["new"] and struct.unpack_from("=q", mapped, 128 + 8 * (n - 1)) == (0,)
            struct.pack_into("=q", mapped, 128 + 8 * (n - 1), n)
            _, fd = self.client.ask_fd("shared.open", self.name, {"kind": "array"})
            assert os.pread(fd, 8, 128 + 8 * (n - 1)) == struct.pack("=q", n)
            os.close(fd)
        self.client.ask("shared.unlink", self.name)

    def dicts(self):
        n = self.random.randint(1, 200)
        with Client(self.path, bound=TOLD_BOUND) as other:
            watching = other.start("dict.watch", self.name, {"after": 0})
            for i in range(n):
                self.client.ask("dict.add", self.name, f"key{i % 17}", i)
            assert other.finish(watching)["changed"][0][0] == "key0"
            items = other.ask("dict.items", self.name)
            assert sum(value for _, value, _ in items) == n * (n - 1) // 2, items
        self.client.ask("shared.unlink", self.name)

    def others(self):
        """One of two at a barrier goes: it breaks. A list and an event beside."""
        with Client(self.path, bound=TOLD_BOUND) as other:
            other.start("barrier.wait", self.name, {"parties": 3})
            eventually(lambda: [its["waiting"] for its in self.client.ask("shared.list", {"prefix": self.name})] == [1])
            waiting = self.client.start("barrier.wait", self.name, {})
        assert self.client.outcome(waiting)[0]["code"] == "broken_barrier"
        self.client.ask("shared.unlink", self.name)
        self.client.ask("list.push", self.name, list(range(1000)), {})
        assert self.client.ask("list.pop", self.name, {"max": 1000}) == list(range(999, -1, -1))
        self.client.ask("shared.unlink", self.name)
        waiting = self.client.start("event.wait", self.name, {})
        self.client.ask("event.set", self.name)
        assert self.client.finish(waiting) is True
        self.client.ask("shared.unlink", self.name)


def hold_lock(_, path, name):
    client = Client(path, bound=TOLD_BOUND)
    client.ask("lock.acquire", name, {})
    os.kill(os.getpid(), signal.SIGSTOP)


class Leavers(Ledger):
    """Clients that are killed in the middle of something."""

    ACTIVITIES = {"one": 1}
    PAUSE = 0.3

    def one(self):
        how = self.random.choice(LEAVING)
        child = Child(leave, self.path, how, UNTOLD)
        status, said = child.end(2 * TOLD_BOUND)
        assert (status, said) == (-signal.SIGKILL, "under way\n"), (how, status, said)
        self.count["leavers"] += 1


class Followers(Ledger):
    """What `ganger top` and `ganger events` ask for: the whole status, and every event, by an admin; now and then slowly."""

    ACTIVITIES = {"look": 10, "metrics": 1, "events": 10, "slow": 1, "again": 1}
    PAUSE = 0.2

    def reconnect(self):
        super().reconnect()
        self.events_from = None
        self.subscription = self.client.start("subscribe", [], {})

    def look(self):
        status = self.client.ask("status")
        assert sums_hold(status), status
        self.client.ask("tasks", {"state": "unended", "limit": 1000})
        self.client.ask("functions")
        self.events()

    def metrics(self):
        assert "# TYPE" in self.client.ask("metrics")
        self.events()

    def events(self):
        """None is missing, but what is told to be lost."""
        self.client.ask("ping")
        for kind, event in self.client.streams[self.subscription]:
            assert kind == "event", kind
            step = event.get("n", 1) if event["kind"] == "lost" else 1
            assert self.events_from is None or event["seq"] == self.events_from + step, (self.events_from, event)
            self.events_from = event["seq"]
            self.count["events"] += 1
        self.client.streams[self.subscription].clear()

    def slow(self):
        time.sleep(3 * SLOW)
        self.events()

    def again(self):
        self.events()
        super().reconnect()
        self.subscription = self.client.start("subscribe", [], {"after": self.events_from})
        self.client.until(lambda: self.client.streams[self.subscription])
        first = self.client.streams[self.subscription].pop(0)[1]
        assert first["kind"] == "subscribed", first


def measure(out, path, seconds):
    """A client that calls echo again and again in a pool of its own; each second a line with how long that took, and the machine's own
    part in it: the same bytes to a bare process and back."""
    os.nice(AHEAD)
    floor = floor_process()
    end = time.monotonic() + seconds
    count = {"accepted": 0, **{kind: 0 for kind in ENDS}}
    with Client(path, bound=TOLD_BOUND) as client:
        while time.monotonic() < end:
            calls, floors, window = [], [], time.monotonic() + 1
            while time.monotonic() < min(window, end):
                calls.append(seconds_of(lambda: client.call("echo", bytes(64), pool="measured")))
                floors.append(seconds_of(lambda: (floor.send(bytes(64)), floor.recv(64))))
                time.sleep(0.005)
            count["accepted"] += len(calls)
            count["succeeded"] += len(calls)
            print(json.dumps([*quantiles(calls), *quantiles(floors)]), file=out)
    print(json.dumps({"count": count}), file=out)


def floor_process():
    own, other = socket.socketpair()
    if os.fork() == 0:
        own.close()
        with contextlib.suppress(OSError):
            while data := other.recv(64):
                other.send(data)
        os._exit(0)
    other.close()
    return own


def seconds_of(function):
    begin = time.monotonic()
    function()
    return time.monotonic() - begin


def quantiles(times):
    times.sort()
    return statistics.median(times), times[len(times) * 99 // 100]
