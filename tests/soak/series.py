# SPDX-License-Identifier: MIT
"""What a daemon and its processes take, second by second, and whether that is flat."""
import csv
import os
import statistics
import subprocess

from gangerd import children, name_of, scheduled_seconds

KIB, MIB = 1 << 10, 1 << 20
LOW_WINDOW = 15  # seconds
MOST_POINTS = 600  # of a fit: it looks at every pair
FIT_LEAST = 20  # points below which a slope says nothing
SLOWER_TIMES = 1.5  # a call in the last third, of one in the first


def memory_of(pid):
    """(RSS, PSS) in bytes; (0, 0) of a process that is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            its = {line.split(":")[0]: int(line.split()[1]) * KIB for line in rollup if line.endswith("kB\n")}
        return its["Rss"], its["Pss"]
    except (OSError, KeyError):
        return 0, 0


def sample(pid, status):
    """One row, but for the latencies."""
    its = {child: name_of(child) for child in children(pid)}
    zygotes = [memory_of(child)[1] for child, name in its.items() if name.startswith("ganger: zygote")]
    workers = [memory_of(child)[1] for child, name in its.items() if name.startswith("ganger: worker")]
    rss, pss = memory_of(pid)
    ran, waited = scheduled_seconds(pid)
    return {"ran": ran, "waited": waited, "rss": rss, "pss": pss,
            "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")),
            "zygotes": len(zygotes), "zygotes_pss": sum(zygotes), "workers": len(workers), "workers_pss": sum(workers),
            "connections": status["connections"],
            "unended": sum(p["running"] + p["queued"]["ready"] + p["queued"]["delayed"] for p in status["pools"]),
            **{key: status["totals"][key] for key in ("submitted", "succeeded", "failed", "cancelled", "expired", "workers_lost")}}


def theil_sen(points):
    """The median of the slopes between all pairs: half of the points but a few may be anything."""
    points = points[::len(points) // MOST_POINTS + 1]
    slopes = [(later_y - y) / (later_x - x) for i, (x, y) in enumerate(points) for later_x, later_y in points[i + 1:] if later_x > x]
    return statistics.median(slopes) if slopes else 0.0


def lows(points):
    """The least of each window. What users have under way comes and goes by megabytes; what is lost is in the lows too."""
    n = max(1, min(LOW_WINDOW, len(points) // 6))
    return [(points[i][0], min(y for _, y in points[i:i + n])) for i in range(0, len(points) - n + 1, n)]


class Verdict:
    """Of one figure over the time after the warm-up. `bound`: what the last third's median may be, of that of the first third; the
    fitted line may rise as far."""

    def __init__(self, name, points, bound, unit=1, fitted=True):
        self.name, self.unit = name, unit
        third = len(points) // 3
        values = [y for _, y in points]
        self.first, self.last = statistics.median(values[:third]), statistics.median(values[-third:])
        self.slope = theil_sen(points)
        self.rise = self.slope * (points[-1][0] - points[0][0]) if fitted and len(points) >= FIT_LEAST else 0.0
        self.bound = bound(self.first)
        self.flat = self.last <= self.bound and self.first + self.rise <= self.bound

    def row(self):
        figures = (self.first, self.last, self.slope * 3600, self.bound)
        return [self.name, *(f"{value / self.unit:.2f}" for value in figures), "flat" if self.flat else "NOT FLAT"]


def more(share, at_least):
    """A bound so much above what was there first."""
    return lambda first: first + max(share * first, at_least)


def verdicts(rows, roughly=False):
    """Of all figures; roughly: only what is wrong by far is wrong, for a run that is too short for more. How fast the machine itself was
    counts: where the bare round trip beside became slower, a call may too."""
    def points(name):
        return [(row["t"], row[name]) for row in rows if row[name] is not None]

    def bound(share, at_least):
        return more(1, 8 * at_least) if roughly else more(share, at_least)
    judged = [Verdict(*its) for its in (
        ("gangerd RSS, MiB", points("rss"), bound(0.5, 8 * MIB), MIB),
        ("its lows, MiB", lows(points("rss")), bound(0.1, 2 * MIB), MIB),
        ("gangerd PSS, MiB", points("pss"), bound(0.5, 8 * MIB), MIB),
        ("its lows, MiB", lows(points("pss")), bound(0.1, 2 * MIB), MIB),
        ("descriptors", points("descriptors"), bound(0.1, 8)),
        ("threads", points("threads"), bound(0, 1)),
        ("zygotes' PSS, MiB", points("zygotes_pss"), bound(0.2, 2 * MIB), MIB),
        ("workers' PSS, MiB", points("workers_pss"), bound(0.2, 4 * MIB), MIB))]
    for quantile, times in (("p50", 10 if roughly else SLOWER_TIMES), ("p99", float("inf") if roughly else SLOWER_TIMES)):
        floor = Verdict(f"bare round trip {quantile}, ms", points(f"floor_{quantile}"), lambda _: float("inf"), 1e-3)
        slower = max(1.0, floor.last / floor.first)
        judged += [Verdict(f"call {quantile}, ms", points(quantile), lambda first, by=times * slower: first * by, 1e-3, fitted=False), floor]
    return judged


def table(judged):
    rows = [["", "first third", "last third", "an hour", "at most", ""], *(its.row() for its in judged)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))]) for row in rows)


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def plot(directory, rows):
    """Memory, descriptors and latency over the time, if gnuplot is there."""
    data = "\n".join(f"{row['t']:.1f} {row['rss'] / MIB:.3f} {row['pss'] / MIB:.3f} {row['workers_pss'] / MIB:.3f} {row['zygotes_pss'] / MIB:.3f} "
                     f"{row['descriptors']} {row['connections']} {row['p50'] * 1e3:.4f} {row['p99'] * 1e3:.4f} {row['floor_p50'] * 1e3:.4f}"
                     for row in rows if row["p50"] is not None)
    script = f"""set terminal png size 1000,900
set output "{directory}/soak.png"
set key outside
$data << EOD
{data}
EOD
set multiplot layout 3,1
set ylabel "MiB"
plot $data using 1:2 with lines title "gangerd RSS", '' using 1:3 with lines title "gangerd PSS", \
'' using 1:4 with lines title "workers PSS", '' using 1:5 with lines title "zygotes PSS"
set ylabel "number"
plot $data using 1:6 with lines title "descriptors", '' using 1:7 with lines title "connections"
set ylabel "ms"
set xlabel "seconds"
set logscale y
plot $data using 1:8 with lines title "call p50", '' using 1:9 with lines title "call p99", '' using 1:10 with lines title "bare p50"
"""
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True, stderr=subprocess.DEVNULL)
    except (FileNotFoundError, subprocess.CalledProcessError):
        print("no plot: gnuplot is not here (./dev setup --bench)")
