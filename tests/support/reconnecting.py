# SPDX-License-Identifier: MIT
"""reconnect_client, or another program of the library whose handles wait for their daemon to come back."""
import os
import subprocess

from gangerd import BUILD, environment, eventually

CLIENT = BUILD / "tests" / "system" / "reconnect_client"


def kill(gangerd):
    gangerd.expects_death = True
    gangerd.process.kill()
    gangerd.process.wait()


def restart(gangerd):
    kill(gangerd)
    gangerd.start()


class Program:
    """The client, and what it has printed so far, a line a list of words."""

    def __init__(self, socket, patience_ms, *words, client=CLIENT):
        self.process = subprocess.Popen([client, socket, str(patience_ms), *map(str, words)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=environment(), text=True, bufsize=1)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.rest = ""
        self.lines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def read(self):
        try:
            while text := os.read(self.process.stdout.fileno(), 1 << 16).decode():
                *whole, self.rest = (self.rest + text).split("\n")
                self.lines += [line.split(" ", 1) for line in whole]
        except BlockingIOError:
            pass
        return self.lines

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self, bound=20):
        """The next line, as (r, text)."""
        eventually(self.read, bound)
        r, text = self.lines.pop(0)
        return int(r), text

    def ask(self, line, bound=20):
        self.tell(line)
        return self.next(bound)

    def more(self, n):
        """Waits until it has printed n lines more."""
        had = len(self.read())
        eventually(lambda: len(self.read()) >= had + n, 30)

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(60)
        self.read()
        return status
