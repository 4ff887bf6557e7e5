# SPDX-License-Identifier: MIT
"""report.py DIRECTORY README: writes what the last whole run of the bench found into the README, between its two markers.

DIRECTORY is where bench.py wrote its figures. Nothing but that run's table, with its date, machine and versions, ever stands there."""
import json
import pathlib
import sys

BEGIN, END = "<!-- ./dev bench --readme writes from here -->", "<!-- to here -->"
COLUMNS = ["measured", "ganger", "beside", "to reach", "reached"]


def lines(about, rows):
    """Machine and versions, then the table."""
    return [*about, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS),
            *("| " + " | ".join(row[column] for column in COLUMNS) + " |" for row in rows)]


def into(readme, found):
    """The README's text with what was found between its markers."""
    if found["only"]:
        sys.exit(f"report.py: the last run measured only what has \"{found['only']}\" in its name: ./dev bench")
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        sys.exit(f"report.py: the README has no place for the table: two lines, {BEGIN} and {END}")
    about = [line for line in found["about"] if line]
    return readme.partition(BEGIN)[0] + "\n".join([BEGIN, *lines(about, found["rows"]), END]) + readme.partition(END)[2]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: report.py DIRECTORY README")
    figures, readme = pathlib.Path(sys.argv[1]) / "figures.json", pathlib.Path(sys.argv[2])
    if not figures.exists():
        sys.exit(f"report.py: there is no {figures} yet: ./dev bench")
    text = into(readme.read_text(encoding="utf-8"), json.loads(figures.read_text(encoding="utf-8")))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
