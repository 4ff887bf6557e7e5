# SPDX-License-Identifier: MIT
"""Completion in bash, as readline would ask for it: with a daemon, with none, with one that does not answer; and its words against
those of the programs."""
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(SOURCE / "tests" / "support"), str(SOURCE / "tests" / "man")]
import programs  # noqa: E402
from gangerd import BUILD, CLI, GANGERD, Gangerd, environment, eventually, main, standing_still  # noqa: E402

FILE = SOURCE / "client" / "completions" / "ganger.bash"
BOUND = 10  # ten times the second that is promised
# What readline does before: the words are parted at blanks and at its word breaks, which are words too.
SCRIPT = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \t\n"\'@><=;|&(:'
rest=$COMP_LINE COMP_WORDS=()
while [[ $rest =~ ^[[:space:]]*([@=:]+|[^[:space:]@=:]+)(.*)$ ]]; do COMP_WORDS+=("${BASH_REMATCH[1]}"); rest=${BASH_REMATCH[2]}; done
if [[ $COMP_LINE == *[[:space:]] ]]; then COMP_WORDS+=(""); fi
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p "${COMP_WORDS[0]}")
[[ $spec =~ -F\ ([a-z_]+) ]] && "${BASH_REMATCH[1]}" "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
for i in "${COMPREPLY[@]}"; do printf '%s\n' "$i"; done
"""


class Case(unittest.TestCase):
    socket = "/no/such/socket"

    def setUp(self):
        self.here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ganger-completion.")))

    def offered(self, line):
        """What stands where the cursor is, behind the line, may become."""
        env = environment(GANGER_SOCKET=self.socket, PATH=f"{CLI.parent}:{GANGERD.parent}:{os.environ['PATH']}")
        begun = time.monotonic()
        done = subprocess.run(["bash", "--norc", "-c", SCRIPT, "bash", FILE, line], cwd=self.here, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, check=False)
        self.took = time.monotonic() - begun
        self.assertEqual(done.stderr, "", line)
        self.assertLess(self.took, BOUND, line)
        return done.stdout.splitlines()

    def offers(self, line, *wanted):
        self.assertEqual(sorted(self.offered(line)), sorted(wanted), line)


class Words(Case):
    """Without a daemon: what the programs say of themselves"""

    def test_verbs(self):
        verbs = programs.verbs()
        self.offers("ganger ", *{verb.partition(" ")[0] for verb in verbs})
        self.offers("ganger que", "queue")
        self.offers("ganger --json --socket x que", "queue")
        for first in {verb.partition(" ")[0] for verb in verbs if " " in verb}:
            self.offers(f"ganger {first} ", *(verb.partition(" ")[2] for verb in verbs if verb.startswith(f"{first} ")))

    def test_options(self):
        """Of every verb those of its --help, which another test holds against getopt"""
        for verb, help_text in programs.verbs().items():
            _, names = programs.options_of_help(help_text)
            self.offers(f"ganger {verb} --", "--help", *(f"--{name}" for name in names))
        self.offers("ganger --", *(f"--{name}" for name in programs.names_known("")))
        out = subprocess.run([GANGERD, "--help"], env=environment(), capture_output=True, text=True, check=True).stdout
        self.offers("gangerd ", *re.findall(r"^  (--[a-z-]+)", out, re.M))
        self.offers("ganger run --pri", "--priority")
        self.assertNotIn("--help", self.offered("ganger run -- --"))

    def test_lists(self):
        """Words of fixed lists are those of the tables"""
        out = subprocess.run([BUILD / "tests" / "man" / "manual-tables"], capture_output=True, text=True, check=True).stdout
        rows = [line.split("\t") for line in out.splitlines()]
        self.offers("ganger events ", *(row[1] for row in rows if row[0] == "event"))
        [levels] = [row[3].removeprefix("one of ").split(", ") for row in rows if row[:3] == ["key", "daemon", "log_level"]]
        self.offers("ganger log-level ", *levels)
        self.offers("gangerd --log-level ", *levels)
        [ends] = [row[3].partition(": ")[2].split(", ") for row in rows if row[:2] == ["option", "retry_on"]]
        self.offers("ganger run --retry-on ", *ends)
        states = re.search(r"--state STATE +(.*\n?.*expired)", programs.text("list"))[1]
        self.offers("ganger list --state ", "unended", *(set(re.findall(r"\w+", states)) - {"unended"}))
        kinds = re.search(r"KIND: (.*)\. It", programs.text("shared", "open"))[1].split(", ")
        self.offers("ganger shared open x ", *kinds)
        self.offers("ganger shared list --kind ", *kinds)
        protocol = (SOURCE / "proto" / "PROTOCOL.md").read_text(encoding="utf-8")
        types = re.findall(r"`(\w+)`", re.search(r"^\| `type` \| value, array: (.*?) \|", protocol, re.M)[1])
        self.offers("ganger value set --type ", *types)
        self.offers("ganger value set --type=i", *(kind for kind in types if kind.startswith("i")))

    def test_files(self):
        (self.here / "some.conf").touch()
        (self.here / "sub").mkdir()
        (self.here / "sub" / "inner").touch()
        for line in ("gangerd --config so", "ganger map --arg-file so", "ganger map -a so", "ganger map --joblog so", "ganger --socket so",
                     "ganger call digest.sha256 so", "gangerd --config=so", "ganger map --joblog=so", "ganger run -- cat so"):
            self.offers(line, "some.conf")
        self.offers("ganger map digest.sha256 x @so", "@some.conf")
        self.offers("ganger call digest.sha256 @sub/i", "@sub/inner")
        self.offers("ganger call digest.sha256 @", "@some.conf", "@sub/")
        self.offers("ganger call digest.sha256 @@")
        self.assertIn("true", self.offered("ganger run -- tru"))
        self.assertIn("true", self.offered("ganger lock x -- tru"))
        self.assertIn("true", self.offered("ganger map --exec tru"))

    def test_no_daemon(self):
        """Names are not there; nothing is said, nobody waits"""
        for line in ("ganger call ", "ganger cancel ", "ganger result ", "ganger pool pause ", "ganger run --pool ", "ganger queue get "):
            self.offers(line)
        print(f"none: {self.took:.3f} s")


class Readline(Case):
    """A real bash on a terminal, and the tabulator"""

    def completed(self, typed):
        """The line that comes of it: it is echoed, once it is complete"""
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        env = environment(GANGER_SOCKET=self.socket, PATH=f"{CLI.parent}:{GANGERD.parent}:{os.environ['PATH']}", PS1="", TERM="dumb",
                          INPUTRC="/dev/null", HISTFILE="")
        with subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], cwd=self.here, env=env, stdin=follower, stdout=follower, stderr=follower,
                              start_new_session=True) as bash:
            os.close(follower)
            # Begun at the end of the line: what is before it is printed when the tabulator is done.
            os.write(leader, f"source {FILE}; bind 'set bell-style none'\n{typed}\t\x01echo '<'\x05'>'; exit\n".encode())
            seen = b""
            deadline = time.monotonic() + 60
            while not re.search(rb"^<.*>", seen, re.M) and time.monotonic() < deadline:
                if select.select([leader], [], [], 1)[0]:
                    seen += os.read(leader, 4096)
            bash.kill()
        return re.search(rb"^<(.*)>", seen, re.M)[1].decode().split()

    def test_tab(self):
        (self.here / "some.conf").touch()
        self.assertEqual(self.completed("ganger sta"), ["ganger", "status"])
        self.assertEqual(self.completed("ganger call digest.sha256 @so"), ["ganger", "call", "digest.sha256", "@some.conf"])
        (self.here / "more").mkdir()
        (self.here / "more" / "inner").touch()
        self.assertEqual(self.completed("ganger call echo @mo\ti"), ["ganger", "call", "echo", "@more/inner"])
        self.assertEqual(self.completed("gangerd --config=so"), ["gangerd", "--config=some.conf"])
        self.assertEqual(self.completed("ganger run --retry-on=worker"), ["ganger", "run", "--retry-on=worker_lost"])


class Names(Case):
    """The daemon's own"""

    def setUp(self):
        super().setUp()
        self.g = self.enterContext(Gangerd(more="[pool images]\nworkers = 1\n"))
        self.socket = self.g.socket

    def ganger(self, *words):
        return subprocess.run([CLI, "--socket", self.socket, *words], capture_output=True, text=True, timeout=30, check=True).stdout

    def test_names(self):
        functions = {line.split()[0] for line in self.ganger("functions").splitlines()}
        self.assertGreater(len(functions), 5)
        for line in ("ganger call ", "ganger submit --pool x ", "ganger map -k ", "ganger list --function "):
            self.offers(line, *functions)
        self.offers("ganger call digest.", *(name for name in functions if name.startswith("digest.")))
        self.offers("ganger pool pause ", "default", "images")
        self.offers("ganger run --pool im", "images")
        self.offers("ganger run --pool=im", "images")
        self.socket = "/no/such/socket"
        self.offers(f"ganger --socket {self.g.socket} run --pool im", "images")

    def test_tasks(self):
        running, ended = (self.ganger("submit", "sleep", seconds).strip() for seconds in ("600", "0"))
        self.ganger("wait", ended)
        for verb in ("result", "attach", "why", "show", "logs"):
            self.offers(f"ganger {verb} ", running, ended)
            self.offers(f"ganger {verb} {ended} ")
        self.offers(f"ganger wait {ended} ", running, ended)
        self.offers("ganger cancel ", running)
        self.ganger("cancel", running)

    def test_objects(self):
        self.ganger("queue", "put", "jobs", "1")
        self.ganger("dict", "set", "paths", "k", "1")
        self.ganger("sequence", "push", "steps", "1")
        self.offers("ganger queue get ", "jobs")
        self.offers("ganger dict get p", "paths")
        self.offers("ganger sequence pop ", "steps")
        self.offers("ganger shared unlink ", "jobs", "paths", "steps")

    def test_daemon_does_not_answer(self):
        with standing_still(self.g.process.pid):
            for line in ("ganger call ", "ganger result ", "ganger pool pause "):
                self.offers(line)
                print(f"stopped: {self.took:.3f} s")


if __name__ == "__main__":
    main()
