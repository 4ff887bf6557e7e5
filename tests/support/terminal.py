# SPDX-License-Identifier: MIT
"""A terminal for a test: a shell in a tmux of its own; keys in, screen out."""
import pathlib
import re
import shutil
import subprocess
import tempfile

from gangerd import environment
from wire import TooLate, eventually

SCREEN_BOUND = 15
PROMPT = "ready>"


class Terminal:
    """with Terminal(80, 24, NAME="value") as terminal: …

    The shell's process ends with the terminal; a program that runs in it is hung up then."""

    def __init__(self, width=80, height=24, **more):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ganger-tmux."))
        self.width, self.height = width, height
        self.n_run = 0
        self.environment = environment(LC_ALL="C.UTF-8", TMUX_TMPDIR=str(self.directory), HISTFILE="/dev/null", PS1=PROMPT, **more)
        for name in ("TMUX", "TMUX_PANE", *(() if "NO_COLOR" in more else ("NO_COLOR",))):
            self.environment.pop(name, None)

    def __enter__(self):
        try:
            self.tmux("new-session", "-d", "-x", str(self.width), "-y", str(self.height), "bash", "--norc", "--noprofile")
            self.sees(PROMPT)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print("--- the screen", self.screen(), "---", sep="\n")
        self.close()

    def close(self):
        subprocess.run(self.command("kill-server"), env=self.environment, check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def command(self, *words):
        return ["tmux", "-L", "test", "-f", "/dev/null", "-u", *words]

    def tmux(self, *words):
        return subprocess.run(self.command(*words), env=self.environment, check=True, stdout=subprocess.PIPE, timeout=20,
                              encoding="utf-8", stdin=subprocess.DEVNULL).stdout

    def type(self, *keys):
        """By tmux' names: "q", "Tab", "Down", "C-c"; a word of several letters is typed letter by letter."""
        self.tmux("send-keys", *keys)

    def enter(self, line):
        self.tmux("send-keys", "-l", line)
        self.type("Enter")

    def run(self, line):
        """Enters a command; returns its exit status and what it left on the screen."""
        self.n_run += 1  # what an earlier one left may still be there
        mark = re.compile(rf"^\[status (\d+) of {self.n_run}\]$", re.M)
        self.enter(f'clear; {line}; echo "[status $? of {self.n_run}]"')
        screen = self.sees(mark)
        match = mark.search(screen)
        return int(match.group(1)), screen[:match.start()]

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, colours=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def lines(self):
        return self.screen().splitlines()

    def is_(self, what):
        """One of tmux' own facts: alternate_on, cursor_flag, pane_current_command."""
        return self.tmux("display-message", "-p", "#{" + what + "}").strip()

    def sees(self, what, bound=SCREEN_BOUND):
        """Waits until a text, a pattern, or what a function wants is on the screen; returns the screen."""
        def look():
            screen = self.screen()
            if callable(what):
                found = what(screen)
            else:
                found = what in screen if isinstance(what, str) else what.search(screen)
            return screen if found else None
        try:
            return eventually(look, bound, 0.02)
        except TooLate:
            raise AssertionError(f"not on the screen in time: {what}") from None
