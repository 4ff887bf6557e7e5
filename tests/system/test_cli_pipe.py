# SPDX-License-Identifier: MIT
"""ganger pipe: two programs' standard input and output connected, one line a message; how either end's end shows at the other."""
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import eventually, main, standing_still  # noqa: E402
from test_cli_shared import Verbs  # noqa: E402


class Pipe(Verbs):
    def opened(self, **options):
        """A program at one end, as soon as it is there."""
        process = self.enterContext(self.started("pipe", "p", **options))
        eventually(lambda: "p" in self.objects())
        return process

    def foreign(self):
        """The other end, in this process: any program's that speaks the protocol."""
        with self.g.connect(descriptors=True) as client:
            answer, fd = client.ask_fd("pipe.open", "p")
        self.assertEqual(answer["end"], 1)
        end = socket.socket(fileno=fd)
        self.addCleanup(end.close)
        end.settimeout(20)
        return end

    def test_both_ways(self):
        with self.started("pipe", "p", stdin=subprocess.PIPE) as one, self.started("pipe", "p", stdin=subprocess.PIPE) as other:
            for a, b in ((one, other), (other, one), (one, other)):
                for line in ("text\n", "\n", "ä\t1\n", "x" * 50000 + "\n"):
                    a.stdin.write(line)
                    a.stdin.flush()
                    self.assertEqual(b.stdout.readline(), line)
            one.stdin.close()
            self.assertEqual(other.stdout.read(0), "")
            other.stdin.write("after the other's end\n")
            other.stdin.close()
            self.assertEqual((one.wait(20), one.stdout.read()), (0, "after the other's end\n"))
            self.assertEqual((other.wait(20), other.stdout.read()), (0, ""))

    def test_many_lines(self):
        """More than fits between them: who writes waits, and nothing is lost."""
        text = "".join(f"{i}\n" for i in range(100000))
        with tempfile.TemporaryFile("w+") as file, self.started("pipe", "p", stdout=file) as reader:
            self.says(["pipe", "p"], 0, "", stdin=None, input=text.encode())
            self.assertEqual(reader.wait(20), 0)
            file.seek(0)
            self.assertTrue(file.read() == text)

    def test_killed(self):
        for number in (0, 1):
            with self.started("pipe", "p", stdin=subprocess.PIPE) as one, self.started("pipe", "p", stdin=subprocess.PIPE) as other:
                one.stdin.write("kept\n")
                one.stdin.flush()
                self.assertEqual(other.stdout.readline(), "kept\n")
                killed, rest = ((one, other), (other, one))[number]
                killed.kill()
                self.assertEqual((rest.wait(20), rest.stdout.read()), (0, ""))

    def test_not_sent(self):
        with self.started("pipe", "p", stdin=subprocess.PIPE) as one, self.started("pipe", "p", stdout=subprocess.PIPE) as other:
            other.stdout.close()
            other.stdout = None
            one.stdin.write("x\n")
            one.stdin.flush()
            self.assertEqual(other.wait(20), -13)
        with self.started("pipe", "p", stdin=subprocess.PIPE) as one:
            one.stdin.write("x" * 1000000 + "\n")
            one.stdin.flush()
            self.assertEqual(one.wait(20), 2)
            self.assertIn("line 1 is larger", self.said(one))

    def test_another_program(self):
        """Messages without a newline, and without a byte; what was sent before the end is read."""
        process = self.opened(stdin=subprocess.PIPE)
        end = self.foreign()
        process.stdin.write("hello\n")
        process.stdin.flush()
        self.assertEqual(end.recv(100), b"hello\n")
        with standing_still(process.pid):
            for message in (b"one", b"", b"two\n", b"", b"three"):
                end.send(message)
            end.close()
        self.assertEqual((process.wait(20), process.stdout.read()), (0, "one\ntwo\nthree\n"))

    def test_without_the_daemon(self):
        process = self.opened(stdin=subprocess.PIPE)
        end = self.foreign()
        self.g.stop()
        process.stdin.write("still there\n")
        process.stdin.flush()
        self.assertEqual(end.recv(100), b"still there\n")
        end.close()
        self.assertEqual(process.wait(20), 0)

    def test_usage(self):
        self.says(["pipe"], 2, "", "which pipe?")
        self.says(["pipe", "a", "b"], 2, "", "not 'b'")
        self.says(["event", "set", "e"])
        self.says(["pipe", "e"], 125, "", "event")


if __name__ == "__main__":
    main()
