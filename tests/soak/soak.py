# SPDX-License-Identifier: MIT
"""soak.py MINUTES [OUTPUT]: a private daemon with every kind of user at work all the time, and whether it stays as it was.

Beside the users of crowd.py and those of the chaos test there are rude ones (mutants.py), and a process that kills, stops and
reloads. Each second it is measured what the daemon takes. In the end a table says whether memory, descriptors and latency were flat after
the warm-up, every task that was asked for was accounted for once, and nothing is left; so does the exit status. The series goes to
OUTPUT/soak.csv and soak.png. GANGER_SEED repeats the choices (not the moments)."""
import ast
import contextlib
import json
import os
import pathlib
import random
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", "support"), os.path.dirname(__file__)]
from gangerd import Child, Gangerd, children, eventually, kinds_of_descriptors, sanitized, sums_hold  # noqa: E402
import crowd  # noqa: E402
import series  # noqa: E402
from chaos import AHEAD, ENDS, TOLD_BOUND, check_accounts, count_of, files, harass, marked, say_latencies  # noqa: E402
from mutants import Fuzzer, record  # noqa: E402
from users import ANN, BOB, CAT, UserChild, open_to_all  # noqa: E402
from wire import Closed, TooLate  # noqa: E402

RUDE = 60004  # the user of the fuzzers
POOLS = {"default": 4, "untold": 2, "fuzzed": 2, "measured": 1}
SHORT = 180  # seconds below which only what is wrong by far is wrong
NOT_MEASURED = [None] * 4
LEFT_BOUND = 20  # seconds after which nothing may be left
MEMORY_BACK = 16 << 20  # in the end, of what there was in the beginning


def gangerd():
    """Small quotas, so that what they bound has come to its bound when the warm-up is over."""
    polite = f"{os.geteuid()} {ANN} {BOB} {CAT}"
    its = {"default": f"allow_users = {polite}", "untold": f"allow_users = {polite}", "measured": f"allow_users = {polite}\nnice = {AHEAD}",
           "fuzzed": f"allow_users = {RUDE}\ntimeout = 1 s"}
    pools = "\n".join(f"[pool {name}]\nworkers = {n}\nmodules = digest\nkill_grace = 200 ms\nexec = {'no' if name == 'fuzzed' else 'yes'}\n{its[name]}"
                      for name, n in POOLS.items() if name != "default")
    daemon = {"socket_mode": "0666", "history": 500, "user_memory": "64M", "user_objects": 200, "user_descriptors": 256,
              "message_timeout": "60 s"}  # a loaded machine takes seconds to let a client say 8 MiB
    pool = {"workers": POOLS["default"], "exec": "yes", "kill_grace": "200 ms", "modules": "digest", "allow_users": polite}
    return Gangerd(daemon, pool, more=pools, prepare=lambda: os.nice(AHEAD))


def recorded(path):
    """What the fuzzers mutate: recorded by their user, and before anybody disturbs it."""
    child = UserChild(RUDE, lambda out: out.write(repr(record(path, "fuzz."))))
    text = child.pipe.read()
    status, _ = child.end()
    assert status == 0, "the recordings could not be made"
    return ast.literal_eval(text)


def begin(g, seed, seconds):
    """All that is at work: {name: child}."""
    recordings = recorded(g.socket)

    def chance(name):
        return random.Random(f"{seed} {name}").random()
    kinds = [(crowd.Caller, ANN), (crowd.Caller, BOB), (crowd.Caller, CAT), (crowd.Mapper, BOB), (crowd.LargeValues, CAT), (crowd.Programs, None),
             (crowd.Sharers, ANN), (crowd.Leavers, CAT), (crowd.Followers, None)]
    at_work = {}
    for i, (kind, uid) in enumerate(kinds):
        name = f"{kind.__name__} {i}"
        run = kind(g.socket, chance(name), unheard=crowd.UNTOLD).run
        at_work[name] = UserChild(uid, run, seconds) if uid else Child(run, seconds)
    for i in range(2):
        at_work[f"Fuzzer {i}"] = UserChild(RUDE, Fuzzer(g.socket, f"{seed} fuzzer {i}", recordings).run, seconds)
    at_work["killer"] = Child(harass, g.pid, chance("killer"), seconds, "measured")
    at_work["measure"] = Child(crowd.measure, g.socket, seconds)
    return at_work


class Latencies:
    """The lines of the process that measures, as they come; the last one is its report."""

    def __init__(self, child):
        self.pipe = child.pipe.fileno()
        os.set_blocking(self.pipe, False)
        self.rest = ""
        self.last = NOT_MEASURED
        self.report = None

    def read(self):
        try:
            while data := os.read(self.pipe, 1 << 16):
                *lines, self.rest = (self.rest + data.decode()).split("\n")
                for line in map(json.loads, lines):
                    if isinstance(line, list):
                        self.last = line
                    else:
                        self.report = line
        except BlockingIOError:
            pass

    def take(self):
        """Those of the last second, once."""
        self.read()
        last, self.last = self.last, NOT_MEASURED
        return dict(zip(("p50", "p99", "floor_p50", "floor_p99"), last))

    def end(self):
        def come():
            self.read()
            return self.report
        return eventually(come, TOLD_BOUND)


def watch(g, at_work, latencies, watcher, seconds):
    """A row each second, as long as nobody failed."""
    rows, started = [], time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        status = watcher.ask("status")
        assert sums_hold(status), f"the sums do not hold: {status}"
        rows.append({"t": now, **series.sample(g.pid, status), **latencies.take()})
        failed = [f"{name}: {child.pipe.read()}" for name, child in at_work.items() if child.has_failed()]
        assert not failed, f"failed after {now:.0f} s: {', '.join(failed)}"
        if len(rows) % 60 == 0:
            last = rows[-1]
            print(f"{now / 60:.0f} min: RSS {last['rss'] >> 10} KiB, {last['descriptors']} descriptors, {last['submitted']} submitted, "
                  f"{last['workers_lost']} workers lost", flush=True)
        time.sleep(max(0, started + len(rows) - time.monotonic()))
    return rows


def finish(at_work, latencies):
    """The reports of all, by name."""
    reports = {"measure": latencies.end()}
    for name, child in at_work.items():
        status, text = child.end(3 * TOLD_BOUND)
        assert status == 0, f"{name} ended with {status}"
        if name not in reports:
            reports[name] = json.loads(text)
    return reports


def check_sums(reports, status):
    """Every task that somebody heard of is in the daemon's sums, once; in each pool those of them who use it."""
    count = count_of([report for report in reports.values() if "told" in report])
    pools = {pool["name"]: pool["totals"] for pool in status["pools"]}
    check_accounts(count, pools["default"])
    check_accounts(reports["measure"]["count"], pools["measured"])
    rude = count_of([report for name, report in reports.items() if name.startswith("Fuzzer")])
    print(f"{count['accepted']} accepted: {', '.join(f'{count[end]} {end}' for end in sorted(ENDS))}, each as the daemon counts it; "
          f"{pools['untold']['submitted']} of those who went away or ran programs; {reports['measure']['count']['accepted']} measured; "
          f"{rude['mutants']} mutants, {rude['refused']} of them closed for a protocol_error, {pools['fuzzed']['submitted']} tasks of theirs")
    print(f"{count['leavers']} clients killed, {count['programs']} programs of the command line, {count['items']} queue items leased, "
          f"{count['events']} events; {reports['killer']['n_killed']} workers killed, {reports['killer']['stopped']} stopped")
    say_latencies(reports["killer"], [report for report in reports.values() if "told" in report])


def check_left(g, watcher, before):
    """That nothing is left."""
    descriptors, level, file_names = before
    looks = {
        "programs": (marked, []),
        "processes": (lambda: len(children(g.pid)), sum(POOLS.values()) + len(POOLS)),
        "connections": (lambda: watcher.ask("status")["connections"], 1),
        "objects": (lambda: watcher.ask("shared.list"), []),
        "descriptors": (lambda: kinds_of_descriptors(g.pid), descriptors),
        "files": (lambda: files(g), file_names),
        "memory given back": (lambda: sanitized() or g.rss() - level < MEMORY_BACK, True),
    }
    for what, (look, expected) in looks.items():
        with contextlib.suppress(TooLate):
            eventually(lambda: look() == expected, LEFT_BOUND)
            continue
        raise AssertionError(f"{what}: in the end {look()}, expected {expected}")
    print(f"the daemon's memory: {level >> 10} KiB before the first client, {g.rss() >> 10} KiB after the last one")


def soak(seconds, output, seed):
    print(f"seed {seed}, {seconds:.0f} s", flush=True)
    with open_to_all(gangerd()) as g, g.connect() as watcher:
        g.all_idle()
        eventually(lambda: watcher.ask("status")["connections"] == 1)
        before = kinds_of_descriptors(g.pid), g.rss(), files(g)
        at_work = begin(g, seed, seconds)
        try:
            latencies = Latencies(at_work["measure"])
            rows = watch(g, at_work, latencies, watcher, seconds)
            reports = finish(at_work, latencies)
        finally:
            for child in at_work.values():
                child.kill()
        judged = series.verdicts([row for row in rows if row["t"] >= seconds / 4], roughly=seconds < SHORT)
        print(series.table(judged), flush=True)
        ran, waited = (rows[-1][name] / rows[-1]["t"] for name in ("ran", "waited"))
        print(f"gangerd ran {100 * ran:.0f} % of the time, and waited for a processor {100 * waited:.0f} %")
        output.mkdir(parents=True, exist_ok=True)
        series.write_csv(output / "soak.csv", rows)
        series.plot(output, rows)
        check_sums(reports, g.all_idle())
        assert "the worker broke the protocol" not in g.log(), "a worker was taken for a bad one: it is in the log"
        check_left(g, watcher, before)
        return [its.name for its in judged if not its.flat]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("soak.py: only root can be several users, and count what a daemon takes", file=sys.stderr)
        sys.exit(77)
    output = pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else "build/soak")
    try:
        not_flat = soak(60 * float(sys.argv[1]), output, int(os.environ.get("GANGER_SEED") or time.time()))
    except (AssertionError, Closed, TooLate) as error:
        sys.exit(f"soak: FAILED: {type(error).__name__}: {error}"[:3000])
    if not_flat and not sanitized():
        sys.exit(f"soak: not flat: {', '.join(not_flat)}")
    print("soak: all is as it was")


if __name__ == "__main__":
    main()
