# SPDX-License-Identifier: MIT
"""What is measured: each a function that takes the bench, and says by its text what it does."""
import os
import pathlib
import subprocess
import tempfile
import time

import scale
import shared
from contenders import APPLY, BEANSTALKD, EXECUTOR, FLOOR, GANGER, GEARMAND, IMAP, MAP, REDIS, WORKERS, Ganger, Place

OUTSTANDING = 256
SHORT_RUNS = 20
ITEMS = 1000000


def last_cpu():
    return max(os.sched_getaffinity(0))


def one(bench):
    """the round trip of one echo of 64 bytes, one outstanding: p50 in microseconds"""
    peers = bench.there([REDIS, BEANSTALKD, GEARMAND, APPLY, EXECUTOR])
    for where, cpu in (("pinned to one CPU", last_cpu()), ("unpinned", None)):
        bench.say(f"  {where}")
        seconds = bench.seconds / 2
        settings = {peer: bench.best_setting(peer, lambda s, p=peer: p.one(bench.build, cpu, s, seconds), min) for peer in peers}
        runs = {c.name: lambda c=c: c.one(bench.build, cpu, settings.get(c), seconds) for c in [GANGER, FLOOR, *peers]}
        medians = bench.in_turns(f"one-{'pinned' if cpu is not None else 'unpinned'}", "µs", runs, SHORT_RUNS if cpu is None else None)
        ours, floor = medians.pop(GANGER.name), medians.pop(FLOOR.name)
        best = min(medians, key=medians.get, default=None)
        bound = 1.5 if cpu is not None else 1.0
        beside = f"{ours / floor:.2f} × the floor" + (f", {ours / medians[best]:.2f} × {best}" if best else "")
        bench.row(f"echo of 64 bytes, one outstanding, p50, {where}", ours, "µs", beside,
                  f"≤ {bound} × the floor" + (", below every peer" if cpu is not None else ""),
                  ours <= bound * floor and (cpu is None or best is None or ours < medians[best]))


def many(bench):
    """echo of 64 bytes with 256 outstanding and 2 workers: calls a second"""
    peers = bench.there([REDIS, BEANSTALKD, GEARMAND, IMAP, EXECUTOR])
    for where, cpu in (("pinned to one CPU", last_cpu()), ("unpinned", None)):
        bench.say(f"  {where}")
        settings = {peer: bench.best_setting(peer, lambda s, p=peer: p.many(bench.build, cpu, s, bench.seconds / 2, OUTSTANDING), max) for peer in peers}
        runs = {c.name: lambda c=c: c.many(bench.build, cpu, settings.get(c), bench.seconds, OUTSTANDING) for c in [GANGER, FLOOR, *peers]}
        medians = bench.in_turns(f"many-{'pinned' if cpu is not None else 'unpinned'}", "a second", runs)
        ours = medians.pop(GANGER.name)
        wanted = {REDIS.name: 1.5, GEARMAND.name: 10, IMAP.name: 6}
        bench.row(f"echo of 64 bytes, {OUTSTANDING} outstanding, {where}", ours, "a second",
                  ", ".join(f"{ours / rate:.2f} × {name}" for name, rate in medians.items()),
                  ", ".join(f"≥ {ratio} × {name}" for name, ratio in wanted.items()) + ("; 1,000,000 a second" if cpu is None else ""),
                  all(ours >= ratio * medians[name] for name, ratio in wanted.items() if name in medians) and (cpu is not None or ours >= 1e6))


def map_items(bench):
    """a map of 1,000,000 items: items a second"""
    for kind in ("payloads", "numbers"):
        what = "distinct items of 64 bytes" if kind == "payloads" else "small integers"
        bench.say(f"  {what}")
        runs = {c.name: lambda c=c: c.run(bench.build, None, None, "map", ITEMS, kind)["rate"] for c in (GANGER, MAP)}
        medians = bench.in_turns(f"map-{kind}", "a second", runs)
        ratio = medians[GANGER.name] / medians[MAP.name]
        bench.row(f"map of {ITEMS:,} {what}", medians[GANGER.name], "a second", f"{ratio:.2f} × Pool.map", "≥ 1 × Pool.map" if kind == "payloads" else "",
                  ratio >= 1 if kind == "payloads" else None)


def large_values(bench):
    """64 MiB to a function that touches all of it, and 64 MiB back: milliseconds a round trip"""
    size = 64 << 20

    def ours(what):
        with Place(bench.build) as place:
            ganger = Ganger()
            ganger.daemon = {"module_path": place.build / "tests" / "unit" / "worker"}
            ganger.pool = {"modules": "probe"}
            address = ganger.serve(place, None)
            before = cpu_ms(ganger.process.pid)
            found = place.measure(place.programs / "peer_ganger", address, what, bench.seconds, size)
            spent.append((cpu_ms(ganger.process.pid) - before) / (found["n"] * 1.1))
            return found["p50"] / 1e3
    spent = []
    runs = {"ganger": lambda: ours("large"), "ganger, made in place": lambda: ours("in-place"),
            APPLY.name: lambda: APPLY.run(bench.build, None, None, "large", bench.seconds, size)["p50"] / 1e3}
    medians = bench.in_turns("large-values", "ms", runs)
    ratio = medians[APPLY.name] / medians["ganger"]
    bench.row("64 MiB in and 64 MiB out, both touched", medians["ganger"], "ms",
              f"{ratio:.2f} × as fast as Pool.apply; made in place {medians['ganger, made in place']:.1f} ms", "≥ 4 ×", ratio >= 4)
    most = max(spent)
    bench.row("the daemon's CPU time for it", most, "ms", "", "≤ 5 ms", most <= 5)


def cpu_ms(pid):
    """Of the threads that there are, by the nanosecond: what stat counts in are ticks of 10 ms."""
    return sum(int(path.read_text(encoding="ascii").split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def beside_flood(bench):
    """single calls beside another client's flood of tasks of 2 ms, 2 workers: p99 in microseconds, of such tasks and of echo"""
    def single(flood, *kind):
        with Place(bench.build) as place:
            address = GANGER.serve(place, None)
            if flood:
                place.start(place.programs / "peer_ganger", address, "many", 60, 64, 2)
                time.sleep(0.2)
            return place.measure(place.programs / "peer_ganger", address, "one", bench.seconds, *kind)["p99"]
    runs = {"alone": lambda: single(False, 2), "beside the flood": lambda: single(True, 2), "echo beside the flood": lambda: single(True)}
    medians = bench.in_turns("beside-flood", "µs", runs)
    ratio = medians["beside the flood"] / medians["alone"]
    bench.row("single calls of 2 ms beside a flood of 2 ms tasks, p99", medians["beside the flood"], "µs",
              f"{ratio:.2f} × alone; an echo {medians['echo beside the flood']:,.0f} µs", "≤ 3 × alone", ratio <= 3)


def programs(bench):
    """programs that do nothing: `ganger map --exec -- true` beside xargs -P and GNU parallel, 2 at a time: a second"""
    n = 2000

    def timed(*command, n=n, **environment):
        with tempfile.TemporaryFile() as items:
            items.write(b"".join(b"%d\n" % i for i in range(n)))
            items.seek(0)
            began = time.monotonic()
            subprocess.run([str(word) for word in command], stdin=items, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
                           env={**os.environ, **environment})
            return n / (time.monotonic() - began)

    def ours():
        with Place(bench.build) as place:
            ganger = Ganger()
            ganger.pool = {"exec": "yes"}
            address = ganger.serve(place, None)
            return timed(place.build / "client" / "cli" / "ganger", "--socket", address, "map", "--exec", "--", "true")
    runs = {"ganger": ours, "xargs": lambda: timed("xargs", "-P", WORKERS, "-n", "1", "true")}
    if any((pathlib.Path(directory) / "parallel").exists() for directory in os.get_exec_path()):
        runs["parallel"] = lambda: timed("parallel", "-j", WORKERS, "true", n=n // 10)
    else:
        bench.say("  GNU parallel is not here: ./dev setup --bench")
    medians = bench.in_turns("programs", "a second", runs)
    ours_rate = medians.pop("ganger")
    wanted = {"xargs": 1, "parallel": 5}
    bench.row("programs: map --exec -- true", ours_rate, "a second", ", ".join(f"{ours_rate / rate:.2f} × {name}" for name, rate in medians.items()),
              ", ".join(f"≥ {ratio} × {name}" for name, ratio in wanted.items()), all(ours_rate >= wanted[name] * rate for name, rate in medians.items()))


def shared_objects(bench):
    """shared values, locks and queues by C programs, beside Python's multiprocessing: operations a second"""
    for what, n_processes, ours, theirs, wanted in shared.TABLE:
        bench.say(f"  {what}")
        with Place(bench.build) as place:
            address = GANGER.serve(place, None)
            runs = {f"ganger: {name}": lambda w=work, n=n: shared.ours(place, address, w, n_processes, n) for name, (work, n) in ours.items()}
            runs |= {name: lambda f=function, n=n: f(n_processes, n) for name, (function, n) in theirs.items()}
            medians = bench.in_turns(what.replace(" ", "-").replace(",", ""), "a second", runs)
        for name in ours:
            rate = medians[f"ganger: {name}"]
            ratio, other = wanted.get(name, (None, None))
            bench.row(f"{what}: {name}", rate, "a second", ", ".join(f"{rate / medians[other]:.2f} × {other}" for other in theirs),
                      f"≥ {ratio} × {other}" if ratio else "", rate >= ratio * medians[other] if ratio else None)


ALL = [("one", one), ("many", many), ("map", map_items), ("large", large_values), ("flood", beside_flood), ("programs", programs), ("shared", shared_objects),
       *scale.ALL]
