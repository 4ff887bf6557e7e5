# SPDX-License-Identifier: MIT
"""The pages of the manual say what the tables say, no more and no less: verbs, options, keys and their defaults, codes, functions."""
import re
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

import programs
from pages import BUILD, PAGES, SOURCE, Page, bold, plain
from programs import OPTION

sys.path.insert(0, str(SOURCE / "tests" / "support"))
from gangerd import GANGERD, environment, main  # noqa: E402

VERBS = ["VERBS FOR TASKS", "VERBS FOR THE DAEMON", "VERBS FOR SHARED OBJECTS"]
ALL, SINGLE, MAP = "TASK OPTIONS", "Of run, call and submit alone", "Of map alone"
NOT_OFFERED = {"feed", "window", "collect", "stream"}  # of the task options: not for the command line
OF_EVERY_PROGRAM = {"LISTEN_FDS", "LISTEN_PID"}


def read(*path):
    return SOURCE.joinpath(*path).read_text(encoding="utf-8")


def rows(kind):
    out = subprocess.run([BUILD / "tests" / "man" / "manual-tables"], capture_output=True, text=True, check=True).stdout
    return [line.split("\t")[1:] for line in out.splitlines() if line.startswith(kind + "\t")]


def options(entries):
    """As programs.options_of_help() has them."""
    letters, names = {}, {}
    for entry in entries:
        for letter, name, argument in re.findall(r"(?:-(\w), )?--([a-z-]+)(?: ([A-Z]\S*))?", entry.term):
            names[name] = bool(argument)
            if letter:
                letters[letter] = bool(argument)
    return letters, names


def getenv(*folders):
    """The variables that the sources in these folders read."""
    return {name for folder in folders for file in (SOURCE / folder).glob("*.c")
            for name in re.findall(r'\bg?s?etenv\("(\w+)"', file.read_text(encoding="utf-8"))}


class Case(unittest.TestCase):
    maxDiff = None

    def same(self, of_page, of_table, what=""):
        self.assertEqual(of_page, of_table, f"{what}: first the page's, second the program's")


class Ganger(Case):
    @classmethod
    def setUpClass(cls):
        cls.page = Page("ganger.1")
        cls.entries = {}
        cls.verbs = programs.verbs()
        for entry in cls.page.entries(*VERBS):
            words = plain(re.match(r"\*(ganger [a-z -]+)\*", entry.marked)[1]).split()[1:]
            cls.entries[" ".join(words)] = entry

    def test_verbs(self):
        self.same(sorted(self.entries), sorted(self.verbs))
        self.assertGreater(len(self.verbs), 50)
        for verb, entry in self.entries.items():
            self.same(entry.term, self.verbs[verb].partition("\n")[0].removeprefix("usage: "), verb)

    def test_options_of_verbs(self):
        """Of each verb: on the page, in its --help, known to getopt"""
        task = {kind: options(self.page.entries(kind)) for kind in (ALL, SINGLE, MAP)}
        with ThreadPoolExecutor(2) as threads:
            known = dict(zip(self.verbs, threads.map(programs.options_known, self.verbs)))
        for verb, help_text in self.verbs.items():
            letters, names = options(self.entries[verb].entries)
            takes = "Takes TASK OPTIONS" in self.entries[verb].text
            self.same(takes, "Options of the task:" in help_text, verb)
            for kind in [ALL, MAP if verb == "map" else SINGLE] if takes else []:
                self.assertEqual(set(names) & set(task[kind][1]), set(), f"{verb}: said twice")
                names |= task[kind][1]
            self.same((letters, names), programs.options_of_help(help_text), f"--help of {verb}")
            self.same((letters, names), known[verb], f"getopt of {verb}")
        self.assertGreater(sum(len(names) for _, names in known.values()), 100)

    def test_global_options(self):
        letters, names = options(self.page.entries("OPTIONS"))
        _, of_help = programs.options_of_help(programs.text())
        self.same({name for name in names if name != "help"}, set(of_help))
        self.same(names, programs.names_known(""))
        self.same(letters, programs.letters_known("", ""))

    def test_task_options(self):
        """By their use; and defaults that are numbers are those of the protocol"""
        table = {name.replace("_", "-"): int(use) for name, use, _ in rows("option") if name not in NOT_OFFERED}
        protocol = read("proto", "PROTOCOL.md").partition("### Task options\n")[2].partition("\n#")[0]
        of_page = {}
        for title, use in ((ALL, 3), (SINGLE, 1), (MAP, 2)):
            for entry in self.page.entries(title):
                of_page[OPTION.match(entry.term)[2]] = use
                [default] = re.findall(rf"^\| `{OPTION.match(entry.term)[2].replace('-', '_')}` \|.*\| (.*) \|$", protocol, re.M)
                if default.isdigit():
                    self.assertRegex(entry.text, rf"Default: (.* )?{default}\b", entry.term)
        self.same(of_page, table)

    def test_exit_statuses(self):
        of_page = {int(number) for entry in self.page.entries("EXIT STATUS") for number in re.findall(r"^\d+", entry.term)}
        [body] = re.findall(r"^enum cli_exit \{\n(.*?)^\};", read("client", "cli", "cli.h"), re.M | re.S)
        self.same(of_page, {int(number) for number in re.findall(r"= (\d+)", body)})
        for number in listed(programs.text().partition("Exit status:\n")[2]):
            self.assertIn(f"{number}", self.page.text)

    def test_words(self):
        """Kinds of events, levels of the log"""
        [entry] = [entry for entry in self.page.entries(*VERBS) if entry.term.startswith("ganger events")]
        self.same(set(bold(" ".join(entry.lines))) - {"lost"}, {name for [name] in rows("event")})
        [kinds] = [kind for _, name, kind, *_ in rows("key") if name == "log_level"]
        self.assertIn(kinds.removeprefix("one of ").replace(", ", " | "), self.verbs["log-level"])

    def test_environment(self):
        of_page = {entry.term for entry in self.page.entries("ENVIRONMENT")}
        self.same(of_page, getenv("client", "client/cli"))


def listed(lines):
    return re.findall(r"\d+", " ".join(re.findall(r"^  (\d+(?:, \d+)*) ", lines, re.M)))


class Daemon(Case):
    page = Page("gangerd.8")

    def test_options(self):
        out = subprocess.run([GANGERD, "--help"], env=environment(), capture_output=True, text=True, check=True).stdout
        of_help = {name: bool(argument) for name, argument in re.findall(r"^  --([a-z-]+)(?: ([A-Z]+))?  ", out, re.M)}
        self.same(options(self.page.entries("OPTIONS"))[1], of_help)
        self.same(sorted(re.findall(r"--[a-z-]+", plain(" ".join(self.page.sections["SYNOPSIS"])))),
                  sorted(f"--{name}" for name in of_help if name not in ("help", "version")))
        statuses = re.search(r"^Exit status: (.*)$", out, re.M)[1]
        self.same({entry.term for entry in self.page.entries("EXIT STATUS")}, set(re.findall(r"\d+", statuses)))
        self.assertIn(re.search(r"^#define EXIT_CONFIGURATION (\d+)", read("daemon", "daemon.h"), re.M)[1], statuses)

    def test_signals(self):
        [numbers] = re.findall(r"numbers\[N_SIGNALS\] = \{(.*?)\}", read("daemon", "daemon.c"))
        of_page = {name for entry in self.page.entries("SIGNALS") for name in entry.term.split(", ")}
        self.same(of_page, set(numbers.split(", ")) - {"SIGCHLD"})

    def test_log(self):
        """Fields of the journal; message ids with what they stand for"""
        entries = self.page.entries("LOG")
        ids = {entry.term: entry.text.lower() for entry in entries if re.fullmatch("[0-9a-f]{32}", entry.term)}
        table = dict(re.findall(r'"([0-9a-f]{32})" +/\* (.*?) \*/', read("daemon", "message_ids.h")))
        self.same(ids, {id: f"{meaning}.".lower() for id, meaning in table.items()})
        fields = {name for entry in entries if entry.term not in ids for name in entry.term.split(", ")}
        source = read("daemon", "log_sink.c")
        self.same(fields, set(re.findall(r'"([A-Z_]{4,})[="]', source)) - {"JOURNAL_STREAM"})

    def test_environment(self):
        of_page = {name for entry in self.page.entries("ENVIRONMENT") for name in entry.term.split(", ")}
        self.same(of_page, getenv("daemon") - OF_EVERY_PROGRAM)

    def test_systemd(self):
        """Units and drop-ins"""
        named = {name for entry in self.page.entries("SYSTEMD") for name in entry.term.split(", ")}
        built = {file.name for file in (BUILD / "systemd").glob("*.s*") if file.suffix in (".service", ".socket")}
        self.same(named, built | {file.name for file in (SOURCE / "systemd" / "drop-ins").iterdir()})

    def test_service_as_in_readme(self):
        [block] = [block for block in self.page.blocks("EXAMPLES") if block.startswith("# ")]
        self.assertIn("".join(f"    {line}\n" for line in block.splitlines()), read("README.md"))


def number(kind, value):
    """A bound as the page says it."""
    units = []
    if "size" in kind:
        if value == 1e15:
            return "10^15"
        units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")]
    elif "time" in kind:
        if value == 1e9:
            return "10^9 s"
        units = [(86400, " d"), (3600, " h"), (60, " min"), (0, " s")]
    elif "mode" in kind:
        return f"{int(value):04o}"
    for factor, unit in units:
        if factor == 0 or value and value % factor == 0:
            return f"{value / (factor or 1):g}{unit}"
    return str(int(value))


class Configuration(Case):
    page = Page("ganger.conf.5")
    VALUE = re.compile(r"Value: (.*?)(?:; (\S+(?: \w+)?) to (\S+(?: \w+)?))?(, a list)?\. Default: (.*?)\. In force: (\w+)\.$")

    def test_keys(self):
        """Each with its type, bounds, default, and when it takes effect"""
        of_page, of_table = {}, {}
        for section, title in (("daemon", "[daemon]"), ("pool", "[pool NAME]")):
            for entry in self.page.entries(title):
                match = self.VALUE.search(entry.text)
                self.assertTrue(match, f"{entry.term}: {entry.text}")
                kind, low, high, _, default, force = match.groups()
                of_page[section, entry.term] = (kind, low, high, "" if default.startswith("none, ") else default, force)
        lists = set()
        for section, name, kind, default, low, high, force in rows("key"):
            bounded = float(high) != 0 and kind.startswith(("a whole number", "a size", "a time", "an octal mode"))
            bounds = (number(kind, float(low)), number(kind, float(high))) if bounded else (None, None)
            if default == "" and of_page.get((section, name), ("",) * 5)[3] == "none":
                default = "none"
            of_table[section, name] = (kind, *bounds, default, force)
            lists.add(kind)
        self.same(of_page, of_table)
        self.assertGreater(len(of_table), 35)

    def test_sections(self):
        titles = [title for title in self.page.sections if title.startswith("[")]
        [known] = re.findall(r"unknown section \[%s\]; known: (.*?)\"", read("daemon", "configuration.c"))
        self.same(", ".join(titles), known)


class Library(Case):
    page = Page("libganger.3")

    def test_functions(self):
        """In the name (for `man ganger_call`), in the synopsis as in ganger.h, and explained"""
        exported = re.findall(r"^\s+(ganger_\w+);", read("client", "ganger.sym"), re.M)
        names = plain(self.page.sections["NAME"][1]).partition(" - ")[0].split(", ")
        self.same(names, ["libganger", *exported])
        explained = set(re.findall(r"\*(ganger_\w+)\*\(\)", self.page.text)) - {"ganger_shared_unmap"}
        self.same(explained, set(exported))

    def test_prototypes(self):
        header = read("client", "ganger.h")
        declared = re.findall(r"^(?:GANGER_API |(?=typedef ))([^;]*;)", header, re.M)
        [synopsis] = self.page.blocks("SYNOPSIS")
        self.same(sorted(" ".join(line.split()) for line in re.findall(r"[^;]+;", synopsis)),
                  sorted(" ".join(line.split()) for line in declared))

    def test_codes(self):
        of_page = {row[0]: (row[1], row[2]) for row in self.page.table("RETURN VALUE")}
        other = of_page.pop("GANGER_OTHER")
        self.same(of_page, {f"GANGER_{name.upper()}": (f"{code}, {name}", meaning) for code, name, meaning in rows("error")})
        self.assertIn(f"GANGER_OTHER = {other[0]} ", read("client", "ganger.h"))

    def test_formats(self):
        table = self.page.table("Formats")
        for column, source in ((1, "format.c"), (2, "reply.c")):
            letters = {row[0] for row in table if len(row[0]) == 1 and row[column] != "not"}
            self.same(letters, set(re.findall(r"^ +case '(\w)':", read("client", source), re.M)), source)

    def test_members(self):
        [body] = re.findall(r"^struct ganger_options \{\n(.*?)^\};", read("client", "ganger.h"), re.M | re.S)
        members = re.findall(r"[ *](\w+)[,;]", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
        of_page = [name for entry in self.page.entries("Options of a task") for name in entry.term.split(", ")]
        self.same(sorted(of_page), sorted(members))


class Protocol(Case):
    def test_methods(self):
        """A section for each, also in what lowdown made of it"""
        methods = {name for [name] in rows("method")}
        self.same({name for name in re.findall(r"^#### (\S+)$", read("proto", "PROTOCOL.md"), re.M)} & methods, methods)
        page = PAGES / "ganger-protocol.7"
        if page.exists():
            self.same(set(re.findall(r"^\.SS\n(\S+)$", page.read_text(encoding="utf-8"), re.M)) & methods, methods)


@unittest.skipUnless((PAGES / "ganger.1").exists(), "built without the manual (option `man`)")
class Rendered(Case):
    def test_silent(self):
        """man has nothing to say against a page, and finds its names"""
        pages = sorted(file for file in PAGES.iterdir() if re.fullmatch(r"\.[1-8]", file.suffix))
        self.assertEqual(len(pages), 5)
        for page in pages:
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], env=environment(MANWIDTH="80"),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            self.same((done.returncode, done.stderr), (0, ""), page.name)
            names = subprocess.run(["lexgrog", page], capture_output=True, text=True, check=True).stdout
            self.assertIn(f': "{page.stem} - ', names)

    def test_no_marks_left(self):
        for page in ("ganger.1", "gangerd.8", "ganger.conf.5", "libganger.3"):
            text = subprocess.run(["man", "-E", "UTF-8", "-l", PAGES / page], env=environment(MANWIDTH="200", LC_ALL="C.UTF-8"),
                                  capture_output=True, text=True, check=True).stdout
            self.assertGreater(len(text), 5000)
            self.assertEqual(re.findall(r"(?<![\w/])_\w+_?|\w+_(?!\w)|\*[A-Za-z-]+\*", text), [], page)


if __name__ == "__main__":
    main()
