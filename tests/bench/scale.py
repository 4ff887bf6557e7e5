# SPDX-License-Identifier: MIT
"""Many tasks, many connections, nothing to do, workers that are killed, busy processors, long tasks before short ones. As measures.py,
but of ganger alone: what is to be reached is a figure, or ganger's own without the load."""
import collections
import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gangerd import children, cpu_seconds, eventually, resident_bytes, scheduled_seconds  # noqa: E402  (finds a Python that has msgpack)
from killing import kill_at_random, kill_in_the_middle  # noqa: E402
from long_and_short import learn, mix  # noqa: E402
from sleeping import system_calls  # noqa: E402
from wire import Client, pack  # noqa: E402

from contenders import Ganger, Place  # noqa: E402

TASKS = 1000000
CONNECTIONS = 10000
KILLS_A_ROUND = 40
KILLS_AMONG_MANY_A_ROUND = 200
BUSY_A_CPU = 4
AHEAD = -10  # nice, as in the shipped unit
MIXES_A_ROUND = 200
FLOOD = 64
MANY = 1000000000
IDLE_SECONDS = 10
SETTLED_SECONDS = 6
BOUND = 120


def served(place, daemon=None, pool=None):
    """(the daemon's pid, its socket) of a ganger with this configuration."""
    ganger = Ganger()
    ganger.daemon, ganger.pool = daemon or {}, pool or {}
    address = str(ganger.serve(place, None))
    return ganger.process.pid, address


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def settled_bytes(pid):
    """The resident bytes of a process, once they have stayed the same for a while: what it does not need it gives back when all is quiet."""
    last, since = resident_bytes(pid), time.monotonic()

    def look():
        nonlocal last, since
        now = resident_bytes(pid)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > SETTLED_SECONDS
    eventually(look, BOUND)
    return last


def queued(bench):
    """1,000,000 submitted tasks wait: the daemon's memory for each, and whether the last are taken as fast as the first"""
    for size in (16, 64):
        bench.say(f"  arguments of {size} bytes")
        found = collections.defaultdict(list)
        for _ in range(min(bench.rounds, 5)):
            for name, value in queue_once(bench, size).items():
                found[name].append(value)
        each, first, last, first_spent, last_spent, kept = bench.medians(f"queued-{size}", None, found).values()
        bench.row(f"{TASKS:,} tasks queued, arguments of {size} bytes: memory of each beside them", each, "bytes",
                  f"{kept:.1f} MiB more than before when all is over", "≤ 300 bytes", each <= 300)
        bench.row(f"the last 100,000 of them submitted, arguments of {size} bytes", last, "a second",
                  f"{last / first:.2f} × the first 100,000; the daemon's CPU time for them {last_spent / first_spent:.2f} ×",
                  "≥ 0.9 × the first 100,000", last >= 0.9 * first)


def queue_once(bench, size):
    """Submits so many while nothing runs, then takes all results."""
    limits = {"user_tasks": MANY, "user_memory": "8G", "memory_limit": "8G", "history": 0}
    with Place(bench.build) as place:
        pid, address = served(place, limits, {"queue_limit": MANY})
        with Client(address, bound=BOUND) as control:
            control.ask("pool.pause", "default")
            before = resident_bytes(pid)
            with place.talk(place.programs / "bench_queue", address, TASKS, size) as client:
                rates, spent = [], [scheduled_seconds(pid)[0]]
                for _ in range(10):
                    rates.append(json.loads(client.stdout.readline())["rate"])
                    spent.append(scheduled_seconds(pid)[0])
                queued_bytes = resident_bytes(pid)
                control.ask("pool.resume", "default")
                client.stdin.close()
                assert json.loads(client.stdout.readline())["taken"] == TASKS
        after = settled_bytes(pid)
    return {"bytes a task beside its arguments": (queued_bytes - before) / TASKS - len(pack([b"." * size])),
            "first 100,000, a second": rates[0], "last 100,000, a second": rates[-1],
            "daemon's CPU time, first, ms": (spent[1] - spent[0]) * 1e3, "daemon's CPU time, last, ms": (spent[-1] - spent[-2]) * 1e3,
            "MiB kept when all is over": (after - before) / (1 << 20)}


@contextlib.contextmanager
def idle_connections(address, n):
    """So many, each of which has asked once and waits."""
    ping = pack([0, 1, "ping", []])
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(n)]
        for connection in connections:
            connection.connect(address)
            connection.sendall(ping)
        for connection in connections:
            connection.settimeout(BOUND)
            assert connection.recv(4096)
        yield


def connections(bench):
    """10,000 connections that have asked once and are idle: the daemon's memory for each, and another client's round trips beside them"""
    each = []
    with Place(bench.build) as place:
        pid, address = served(place, {"user_connections": 2 * CONNECTIONS, "max_connections": CONNECTIONS + 100})
        with Client(address) as control:
            def trips():
                return place.measure(place.programs / "peer_ganger", address, "one", bench.seconds / 2)["p50"]

            def beside():
                before = resident_bytes(pid)
                with idle_connections(address, CONNECTIONS):
                    each.append((resident_bytes(pid) - before) / CONNECTIONS / 1024)
                    p50 = trips()
                eventually(lambda: control.ask("status")["connections"] == 1, BOUND)
                return p50
            runs = {"without": trips, "beside the idle connections": beside}
            medians = bench.in_turns("beside-idle-connections", "µs", runs, 2 * bench.rounds)
    # The first time: later ones may find memory that an earlier one left.
    bench.figures["idle-connections-KiB"] = {"each": each}
    bench.row(f"{CONNECTIONS:,} idle connections: memory of each", each[0], "KiB", "", "≤ 3 KiB", each[0] <= 3)
    ratio = medians["beside the idle connections"] / medians["without"]
    bench.row("another client's echo beside them, p50", medians["beside the idle connections"], "µs",
              f"{ratio:.2f} × without", "≤ 1.1 × without", ratio <= 1.1)


def idle(bench):
    """an idle daemon: system calls of its threads, zygote and workers in 10 s (by strace), CPU time, memory"""
    if not shutil.which("strace"):
        bench.say("  strace is not here: ./dev setup --system")
        return
    with Place(bench.build) as place:
        pid, address = served(place)
        place.measure(place.programs / "peer_ganger", address, "many", bench.seconds, 256)
        gang = [pid, *children(pid)]
        eventually(lambda: not system_calls(gang, SETTLED_SECONDS), BOUND)
        before = sum(map(cpu_seconds, gang))
        calls = system_calls(gang, IDLE_SECONDS)
        spent, resident = sum(map(cpu_seconds, gang)) - before, resident_bytes(pid)
    for line in calls[:20]:
        bench.say(f"  {line}")
    bench.figures["idle"] = {"system calls": [len(calls)], "CPU seconds": [spent], "resident bytes": [resident]}
    bench.row(f"idle daemon: system calls in {IDLE_SECONDS} s", len(calls), "", f"{spent:.2f} s of CPU time", "none", not calls and spent == 0)
    bench.row("idle daemon: resident memory", resident / (1 << 20), "MiB", "", "≤ 6 MiB", resident <= 6 << 20)


def end_of_killed():
    """Milliseconds from before a child is killed to after the end of its pipe was read: what the kernel alone takes."""
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as child:
        began = time.monotonic()
        child.kill()
        child.stdout.read()
        return (time.monotonic() - began) * 1e3


def killed(bench):
    """workers are killed in the middle of a task: until its caller is told, until the replacement has run a task: milliseconds, p99;
    in turns with a child of the bench's own, until the end of its pipe is read"""
    told, replaced, kernel = [], [], []
    with Place(bench.build) as place:
        _, address = served(place, pool={"workers": 1})
        with Client(address) as caller, Client(address) as other, Client(address) as watcher:
            for n in range(KILLS_A_ROUND * bench.rounds):
                other.call("echo", n)  # so that none dies young
                victim = caller.start("call", "sleep", [60], {"label": f"victim {n}"})
                next_one = other.start("call", "echo", [n], {})
                began, latency, error, _ = kill_in_the_middle(caller, victim, watcher, f"victim {n}")
                assert error["code"] == "worker_lost", error
                assert other.finish(next_one) == n
                told.append(latency * 1e3)
                replaced.append((time.monotonic() - began) * 1e3)
                kernel.append(end_of_killed())
    bench.medians("killed", "ms", {"told": told, "replaced": replaced, "the kernel alone": kernel})
    for what, found, bound in (("its caller is told", told, 10), ("its replacement has run a task", replaced, 50)):
        p99 = percentile(found, 99)
        bench.row(f"worker killed → {what}, p99 of {len(found)}", p99, "ms",
                  f"p50 {percentile(found, 50):.2f} ms, at most {max(found):.2f} ms; "
                  f"the end of a killed child's pipe: p99 {percentile(kernel, 99):.2f} ms", f"≤ {bound} ms", p99 <= bound)


def lost(bench):
    """workers are killed with up to 64 tasks before them, each of which writes a line as its last act: those with a line that are lost"""
    n_kills = KILLS_AMONG_MANY_A_ROUND * bench.rounds
    seed = random.randrange(2**32)
    bench.say(f"  seed {seed}")
    with Place(bench.build) as place:
        notes = place.directory / "notes"
        notes.touch()
        _, address = served(place, {"module_path": place.build / "tests" / "unit" / "worker"}, {"modules": "notes"})
        with Client(address) as client, Client(address) as watcher:
            found = kill_at_random(client, watcher, str(notes), n_kills, random.Random(seed))
    most = found.most_at_once(found.with_line())
    whole = not found.succeeded - set(found.lines) and all(count == 1 for count in found.lines.values())
    bench.figures["lost"] = {"tasks": [found.n], "lost": [len(found.failed)], "lost with a line": [len(found.with_line())]}
    bench.row(f"64 ahead, {found.n_killed:,} SIGKILLs: tasks with their last line that a death took, at most", most, "",
              f"{len(found.failed):,} of {found.n:,} tasks lost, {len(found.with_line())} of them between line and result",
              "≤ 1: the one between the two", most <= 1 and whole)


def busy(bench):
    """the round trip of one echo beside 4 busy processes a CPU, at equal weight and with a nice value of -10: p99 in microseconds"""
    def beside(nice, nice_caller):
        with Place(bench.build) as place:
            place.nice = nice
            _, address = served(place, pool={"nice": nice} if nice else {})
            place.nice = 0
            for _ in range(BUSY_A_CPU * len(os.sched_getaffinity(0))):
                place.start(sys.executable, "-c", "while True: pass")
            time.sleep(0.5)
            place.nice = nice_caller
            return place.measure(place.programs / "peer_ganger", address, "one", bench.seconds)["p99"]
    runs = {"at equal weight": (0, 0)}
    if os.geteuid() == 0:
        runs |= {f"gangerd and workers at nice {AHEAD}": (AHEAD, 0), f"the caller too at nice {AHEAD}": (AHEAD, AHEAD)}
    else:
        bench.say(f"  only root may measure with nice {AHEAD}")
    medians = bench.in_turns("busy", "µs", {name: lambda n=nices: beside(*n) for name, nices in runs.items()})
    for name, p99 in medians.items():
        bench.row(f"one echo beside {BUSY_A_CPU} busy processes a CPU, {name}, p99", p99, "µs", "", "", None)


def behind_long(bench):
    """random mixes of one long task among short ones, in an idle pool and in one that another client floods: the last short one's end;
    in turns with the same mixes without the long one"""
    seed = random.randrange(2**32)
    choose = random.Random(seed)
    n = MIXES_A_ROUND * bench.rounds
    bench.say(f"  seed {seed}")
    for where, flood in (("an idle pool", False), ("a busy pool", True)):
        with Place(bench.build) as place:
            _, address = served(place)
            with Client(address) as client:
                if flood:
                    place.start(place.programs / "peer_ganger", address, "many", 3600, FLOOD)
                    eventually(lambda: client.ask("status")["totals"]["succeeded"] > 1000)
                latest, without = [], []
                for _ in range(n):
                    learn(client)
                    latest.append(mix(client, choose) * 1e3)
                    without.append(mix(client, choose, long_run=0) * 1e3)
        bench.medians(f"behind-long-{where.split()[1]}", "ms", {"with a long one": latest, "without": without})
        late, late_without = (sum(ms > 10 for ms in found) for found in (latest, without))
        bench.row(f"a short task behind a long one in {where}, the longest of {n:,} mixes", max(latest), "ms",
                  f"{late} beyond 10 ms, p99 {percentile(latest, 99):.2f} ms; without a long one: {late_without}, p99 {percentile(without, 99):.2f} ms, "
                  f"at most {max(without):.2f} ms", "≤ 10 ms", late == 0)


ALL = [("queued", queued), ("connections", connections), ("idle", idle), ("killed", killed), ("lost", lost), ("busy", busy), ("behind", behind_long)]
