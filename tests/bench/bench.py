# SPDX-License-Identifier: MIT
"""bench.py BUILD OUTPUT [--rounds N] [--seconds S] [--only WORD]: how fast ganger is, beside those who do the same work, in one run.

Contenders take turns, round after round; medians count. Of a peer all its settings are tried first, and its best one counts. Prints a table,
and writes it with all figures and a plot into the directory OUTPUT. Judges nothing: a ratio that was not reached is marked, and that is all."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import contenders
import measures
import report

HERE = pathlib.Path(__file__).resolve().parent


class Bench:
    """What measures need: how long, how often, and where figures go."""

    def __init__(self, options):
        self.build = pathlib.Path(options.build).resolve()
        self.rounds, self.seconds, self.only = options.rounds, options.seconds, options.only
        self.rows, self.figures, self.units = [], {}, {}

    def say(self, text):
        print(text, flush=True)

    def there(self, peers):
        for peer in peers:
            if not peer.is_there(self.build):
                self.say(f"  {peer.name} is not here: ./dev setup --bench, and build again")
        return [peer for peer in peers if peer.is_there(self.build)]

    def in_turns(self, what, unit, runs, rounds=None):
        """runs: a name to a function that measures once, in this unit. The medians by name."""
        found = {name: [] for name in runs}
        for _ in range(rounds or self.rounds):
            for name, run in runs.items():
                found[name].append(run())
        return self.medians(what, unit, found)

    def medians(self, what, unit, found):
        """Of what was found already: a name to its figures. `unit`: None if each is in another one; those are not plotted."""
        self.figures[what], self.units[what] = found, unit
        medians = {name: statistics.median(values) for name, values in found.items()}
        for name, values in found.items():
            self.say(f"  {name:32} {number(medians[name]):>12}   ({number(min(values))} … {number(max(values))})")
        return medians

    def best_setting(self, peer, run, best):
        """Tries each of its settings once; `best`: max or min."""
        if len(peer.settings) == 1:
            return peer.settings[0]
        tried = {setting: run(setting) for setting in peer.settings}
        chosen = best(tried, key=tried.get)
        self.say(f"  {peer.name}: " + ", ".join(f"{setting}: {number(value)}" for setting, value in tried.items()) + f"; {chosen} counts")
        return chosen

    def row(self, what, ours, unit, ratio, to_reach, reached):
        """One line of the table. `ratio`: as text, beside what."""
        ours = f"{number(ours)} {unit}".rstrip()
        self.rows.append({"measured": what, "ganger": ours, "beside": ratio, "to reach": to_reach,
                          "reached": {True: "yes", False: "NO", None: ""}[reached]})
        mark = {True: "reached", False: "NOT REACHED", None: ""}[reached]
        self.say(f"  => {ours}; {ratio}" + (f"; to reach: {to_reach}: {mark}" if to_reach else ""))


def number(value):
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def about(peers):
    """Machine and versions, on some lines."""
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    versions = ", ".join(f"{name} {version}" for name, version in sorted({(peer.name, peer.version()) for peer in peers if peer.version()}))
    return [f"{datetime.date.today()}, ganger {commit or '?'}, Linux {platform.release()}, {os.cpu_count()} CPUs, {model}", versions]


def plot(directory, figures, units):
    """One bar chart of the medians of each measure that has them in one unit, if gnuplot is there."""
    for what, unit in units.items():
        if unit is None:
            continue
        data = "\n".join(f'"{name}" {statistics.median(values)}' for name, values in figures[what].items())
        script = f"""set terminal png size 900,400 noenhanced
set output "{directory}/{what}.png"
set style fill solid
set boxwidth 0.6
set logscale y
set title "{what}"
set ylabel "{unit}"
set xtics rotate by -20
$data << EOD
{data}
EOD
plot $data using 0:2:xtic(1) with boxes notitle
"""
        try:
            subprocess.run(["gnuplot"], input=script, text=True, check=True)
        except FileNotFoundError:
            print("no plot: gnuplot is not here (./dev setup --bench)")
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each single measurement")
    parser.add_argument("--only", default="", help="only measures whose name has this word: " + ", ".join(name for name, _ in measures.ALL))
    options = parser.parse_args()
    built = {option["name"]: option["value"] for option in json.loads(
        (pathlib.Path(options.build) / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))}
    if built["b_sanitize"] != "none" or built["optimization"] not in ("2", "3"):
        sys.exit("bench.py: a build with sanitizers, or without optimization, measures nothing")
    bench = Bench(options)
    lines = about([contenders.REDIS, contenders.BEANSTALKD, contenders.GEARMAND, contenders.MAP] if not options.only else [])
    bench.say("\n".join(lines))
    for name, measure in measures.ALL:
        if options.only in name:
            bench.say(f"--- {name}: {measure.__doc__}")
            measure(bench)
    directory = options.output
    directory.mkdir(parents=True, exist_ok=True)
    text = "\n".join(report.lines(lines, bench.rows)) + "\n"
    (directory / "table.md").write_text(text, encoding="utf-8")
    (directory / "figures.json").write_text(json.dumps({"about": lines, "only": options.only, "rows": bench.rows, "figures": bench.figures}, indent=1), encoding="utf-8")
    plot(directory, bench.figures, bench.units)
    print("\n" + text)


if __name__ == "__main__":
    main()
