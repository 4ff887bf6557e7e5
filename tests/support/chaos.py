# SPDX-License-Identifier: MIT
"""Work of every kind, clients that bring it and keep a ledger of what they were told, and a process that kills, stops and reloads
beside them. What test_chaos.py does for half a minute and `./dev soak` for as long as one likes."""
import collections
import json
import os
import random
import signal
import struct
import time

from gangerd import children, name_of
from wire import Client, Closed

TOLD_BOUND = 60  # seconds within which whoever waits must be told of the end
AHEAD = -10  # nice of gangerd, as in its unit, and of the programs that measure: tasks keep both processors busy all the time
MOST_TOLD = 500  # the last ones: what a child reports fits into its pipe
MARK = f"GANGER_CHAOS_{os.getpid()}"
ENDS = {"succeeded", "failed", "cancelled", "expired"}


def sh(script, **options):
    return lambda: ("exec", [["sh", "-c", script], {"env": {MARK: "1"}, "check": False}], options)


# What clients bring, how often, and the codes with which it may end: None is success. Killed from outside is possible always.
KINDS = {
    "short": (30, lambda: ("echo", [1], {}), {None}),
    "value": (5, lambda: ("echo", [bytes(20_000)], {}), {None}),
    "long": (6, lambda: ("sleep", [0.3], {}), {None}),
    "delayed": (3, lambda: ("echo", [2], {"delay": 0.2}), {None}),
    "too long": (3, lambda: ("sleep", [60], {"timeout": 0.2}), {"timed_out"}),
    "too late": (3, lambda: ("echo", [3], {"delay": 0.3, "expires": 0.1}), {"expired"}),
    "program crashes": (5, sh("kill -SEGV $$"), {None}),
    "kills its worker": (3, sh("kill -9 $PPID; sleep 5"), {"worker_lost"}),
    "forks": (4, sh("sleep 61 & sleep 62 & (sleep 63 &); exit 0"), {None}),
    "escapes": (3, sh("setsid sh -c \"trap '' TERM; sleep 64 & sleep 65\" & exit 0"), {None}),
    "forks while it is timed out": (2, sh("while :; do sleep 66 & sleep 0.01; done", timeout=0.2), {"timed_out"}),
    "eats memory": (3, sh("x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ${#x}"), {None}),
    "floods": (4, sh("yes 0123456789 | head -c 3000000; yes | head -c 300000 >&2"), {None}),
    "deaf": (3, sh("trap '' TERM; sleep 67 & while :; do sleep 0.05; done", timeout=0.2), {"timed_out"}),
}


def same_end(record, later):
    """Whether both tell of the same end. A program's output is not kept as long as its record."""
    return without_output(record) == without_output(later)


def without_output(record):
    return record and {key: value for key, value in record.items() if key != "stderr"}


class Ledger:
    """What one client process knows: of each task that was accepted, how it heard of the end. `unheard`: further options of what
    it goes away from."""

    ACTIVITIES = {"calls": 6, "submits": 5, "map": 2, "vanish": 2}  # and how often
    PAUSE = 0  # seconds between them, in the mean
    DESCRIPTORS = False

    def __init__(self, path, seed, unheard=None):
        self.path = path
        self.random = random.Random(seed)
        self.unheard = unheard or {}
        self.client = None
        self.count = collections.Counter()
        self.told = collections.deque(maxlen=MOST_TOLD)  # (clock, worker's pid) of calls whose worker was lost

    def pick(self):
        names = list(KINDS)
        name = self.random.choices(names, [KINDS[name][0] for name in names])[0]
        return name, *KINDS[name][1]()

    def judge(self, name, error, at_once=False):
        """One end, as it was told; at_once: somebody waited for it."""
        code = error and error["code"]
        if at_once and code == "worker_lost":
            self.told.append((time.monotonic(), error["worker_pid"]))
        assert code in KINDS[name][2] or code in ("worker_lost", "cancelled"), f"{name} ended with {error}"
        self.count[{None: "succeeded", "cancelled": "cancelled", "expired": "expired"}.get(code, "failed")] += 1

    def calls(self):
        """Calls side by side; answers as they come."""
        open_calls = {}
        for _ in range(self.random.randint(1, 8)):
            name, function, args, options = self.pick()
            if "sleep" in str(args) and self.random.random() < 0.2:
                options = {**options, "stream": ["stdout", "stderr"]}
            open_calls[self.client.start("call", function, args, options)] = name
        for msgid in self.random.sample(list(open_calls), len(open_calls) // 4):
            self.client.notify("cancel_request", msgid)
        while open_calls:
            self.client.until(lambda: self.client.answers, TOLD_BOUND)
            for msgid in list(self.client.answers):
                error, _ = self.client.answers.pop(msgid)
                self.count["accepted"] += 1
                self.judge(open_calls.pop(msgid), error, at_once=True)

    def submits(self):
        tasks = {}
        for _ in range(self.random.randint(1, 8)):
            name, function, args, options = self.pick()
            tasks[self.client.ask("submit", function, args, options)] = name
            self.count["accepted"] += 1
        for id in self.random.sample(list(tasks), len(tasks) // 4):
            self.client.ask("cancel", id)
        if self.random.random() < 0.3:  # somebody hangs up: what was submitted goes on
            self.reconnect()
        states = dict(self.client.ask("wait", list(tasks), {}))
        assert set(states) == set(tasks) and set(states.values()) <= ENDS, states
        for id, name in tasks.items():
            error, _ = self.client.outcome(self.client.start("result", id, {}))
            self.judge(name, error)
            assert states[id] == {None: "succeeded", "cancelled": "cancelled", "expired": "expired"}.get(error and error["code"], "failed")
            again, _ = self.client.outcome(self.client.start("result", id, {}))  # a record outlives the result, and says the same
            assert again and (again["code"] == "unknown_task" or same_end(error, again)), f"task {id} ended twice: {error}, {again}"[:1000]

    def map(self):
        n = self.random.randint(1, 200)
        poison = self.random.random() < 0.3
        args = [["sh", "-c", "kill -9 $PPID; sleep 5"], {"env": {MARK: "1"}}]
        function, items = ("exec", [args] * 3) if poison else ("echo", [[i] for i in range(n)])
        msgid = self.client.start("map", function, items, {"ordered": self.random.random() < 0.5})
        sum = self.client.finish(msgid, TOLD_BOUND)
        seen = collections.Counter(index for items in self.client.streamed(msgid, "items") for index, _, _ in items)
        assert sum["count"] == len(items) and set(seen.values()) == {1} and len(seen) == len(items), (sum, seen)
        self.count["accepted"] += len(items)
        self.count["succeeded"] += sum["succeeded"]
        self.count["failed"] += sum["failed"]

    def vanish(self):
        """Goes away in the middle of calls. Which of them were accepted it never hears; those are counted by the daemon alone."""
        for _ in range(self.random.randint(1, 5)):
            _, function, args, options = self.pick()
            self.client.start("call", function, args, {**options, **self.unheard})
            self.count["vanished"] += 1
        if self.random.random() < 0.5:
            time.sleep(self.random.random() * 0.05)
        self.reconnect()

    def reconnect(self):
        if self.client:
            self.client.close()
        self.client = Client(self.path, descriptors=self.DESCRIPTORS, bound=TOLD_BOUND)

    def run(self, out, seconds):
        end = time.monotonic() + seconds
        self.reconnect()
        while time.monotonic() < end:
            activity, = self.random.choices(list(self.ACTIVITIES), list(self.ACTIVITIES.values()))
            getattr(self, activity)()
            for msgid in [msgid for msgid in self.client.streams if msgid not in self.client.open]:
                del self.client.streams[msgid]
            if self.PAUSE:
                time.sleep(self.random.expovariate(1 / self.PAUSE))
        self.client.close()
        json.dump({"count": self.count, "told": list(self.told)}, out)


LEAVING = ("message", "call", "map", "feed", "program", "answer")


def leave(out, path, how, options=None):
    """A client that is killed: in the middle of a message, a call, a map; with a large answer under way."""
    options = options or {}
    client = Client(path, bound=TOLD_BOUND)
    if how == "message":
        client.send_bytes(b"\x94\x00\x01\xa4call\x93\xa4echo\x91\xc6" + struct.pack(">I", 1 << 20) + bytes(1000))
    elif how == "call":
        client.start("call", "sleep", [60], options)
    elif how == "map":
        client.start("map", "sleep", [[0.01]] * 10000, options)
        client.receive()
    elif how == "feed":
        client.start("map", "echo", [[1]], {**options, "feed": True, "window": 1})
        client.receive()
    elif how == "program":
        client.start("call", "exec", [["yes"]], {**options, "stream": ["stdout"]})
        client.receive()
    else:
        begun = time.monotonic()
        try:
            client.start("call", "echo", [bytes(8 << 20)], options)
        except Closed as error:
            raise Closed(f"closed after {time.monotonic() - begun:.1f} s of sending, and told {client.end_of_file()}") from error
    print("under way", file=out)
    os.kill(os.getpid(), signal.SIGKILL)


def death_of(pid):
    """When it was dead: also who is killed must first be given a processor to end on."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    break
        except OSError:
            break
        time.sleep(0.0002)
    return time.monotonic()


def harass(out, daemon, seed, seconds, spared=None):
    """Kills, stops and continues workers and zygotes, but those of the pool that is spared, and has the configuration read again.
    What it stops it continues: a stopped zygote is not the question here."""
    os.nice(AHEAD)
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    killed = collections.deque(maxlen=2 * MOST_TOLD)
    n_killed = 0
    zygote_at = time.monotonic() + 2
    reload_at = time.monotonic() + 1
    n_stopped = 0
    while time.monotonic() < end:
        time.sleep(chance.random() * 0.2)
        if time.monotonic() > reload_at:
            os.kill(daemon, signal.SIGHUP)
            reload_at = time.monotonic() + chance.random() * 3
        its = [(pid, name_of(pid)) for pid in children(daemon)]
        workers = [pid for pid, name in its if name.startswith("ganger: worker") and not name.endswith(f" {spared}")]
        zygotes = [pid for pid, name in its if name.startswith("ganger: zygote") and not name.endswith(f" {spared}")]
        if time.monotonic() > zygote_at and zygotes:
            its, zygote_at = zygotes, time.monotonic() + 6
        else:
            its = workers
        if not its:
            continue
        pid = chance.choice(its)
        try:
            if chance.random() < 0.6:
                clock = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                killed.append((clock, death_of(pid), pid))
                n_killed += 1
            else:
                os.kill(pid, signal.SIGSTOP)
                n_stopped += 1
                time.sleep(chance.random() * 0.2)
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    json.dump({"killed": list(killed), "n_killed": n_killed, "stopped": n_stopped}, out)


def marked():
    """Every process that came of a task's program."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if MARK.encode() in file.read():
                    found.append((int(pid), name_of(pid)))
        except OSError:
            pass
    return found


def files(gangerd):
    """Where the daemon and what it starts could leave something."""
    return {*(str(path) for path in gangerd.directory.iterdir()), *(name for name in os.listdir("/tmp") if MARK in name),
            *(name for name in os.listdir("/dev/shm") if "ganger" in name and not name.startswith("ganger-fuzz-"))}  # a fuzzer's


def count_of(ledgers):
    return sum((collections.Counter(ledger["count"]) for ledger in ledgers), collections.Counter())


def check_accounts(count, totals, vanished=0):
    """Whether the daemon counted what its clients did; `vanished`: how many calls there were of which they never heard."""
    assert count["accepted"] == sum(count[end] for end in ENDS), count
    for kind, told in (("submitted", count["accepted"]), *((end, count[end]) for end in ENDS)):
        assert 0 <= totals[kind] - told <= vanished, f"{kind}: {totals[kind]} in the daemon, {told} told, {vanished} unheard of: {totals}, {count}"


def say_latencies(killer, ledgers):
    """From the killer's clock to the client's, of each task that died of one of its kills, and from the worker's death; returns
    the median of the former, if there are enough. A long run sees process ids again: the kill is the one that a client must have
    heard of by then."""
    told = [(clock, kill, death) for ledger in ledgers for clock, lost in ledger["told"]
            for kill, death, pid in killer["killed"] if pid == lost and 0 <= clock - kill < TOLD_BOUND]
    if len(told) < 5:
        print(f"only {len(told)} tasks died of the killer: no latency")
        return None
    medians = []
    for what, times in (("killer to client", sorted(clock - kill for clock, kill, _ in told)),
                        ("of it after the worker's death", sorted(max(clock - death, 0) for clock, _, death in told))):
        p50, p99, most = times[len(times) // 2], times[len(times) * 99 // 100], times[-1]
        print(f"{what}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, max {most * 1e3:.2f} ms of {len(times)} lost tasks")
        medians.append(p50)
    return medians[0]
