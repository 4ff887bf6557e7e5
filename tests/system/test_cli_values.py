# SPDX-License-Identifier: MIT
"""Values that people type and see: JSON in and out, at the edges of what JSON and MessagePack have in common."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, main  # noqa: E402
import msgpack  # noqa: E402

OUT = (
    (msgpack.ExtType(5, b"ab"), '{"$ext":[5,"YWI="]}'),
    (b"\xff\xfe", '{"$bin":"//4="}'),
    (b"text", '"text"'),
    (float("nan"), '"NaN"'), (float("inf"), '"Infinity"'), (float("-inf"), '"-Infinity"'),
    (2 ** 63 - 1, "9223372036854775807"), (2 ** 64 - 1, '"18446744073709551615"'), (-2 ** 63, "-9223372036854775808"),
    (0.1, "0.1"), (1 / 3, "0.3333333333333333"), (-0.0, "-0.0"), (1e22, "1e22"), (3.0, "3.0"),
    ([0.1, 1795572466.0274096], "[0.1,1795572466.0274096]"),  # each with the digits that it needs
    ({1: {"a": [], "b": {}}, (1, 2): None, b"\xff": True, None: 2.5}, r'{"1":{"a":[],"b":{}},"[1,2]":null,"{\"$bin\":\"/w==\"}":true,"null":2.5}'),
    ('a"\\/\n\t\x00\x1fé', r'"a\"\\/\n\t\u0000\u001Fé"'),
)
IN = (
    ("18446744073709551615", '"18446744073709551615"'), ("9223372036854775808", '"9223372036854775808"'), ("-9223372036854775808", "-9223372036854775808"),
    ("20231105123456789012345_file.txt", '"20231105123456789012345_file.txt"'), ("18446744073709551616 apples", '"18446744073709551616 apples"'),
    ("NaN", '"NaN"'), (" 5 ", "5"), ("5 6", '"5 6"'), ("", '""'), ("nul", '"nul"'), ('{"a":1,"a":2} and more', r'"{\"a\":1,\"a\":2} and more"'),
    ("[1,", '"[1,"'), ("@@@x", '"@@x"'), ("@", '"@"'), ("1e400 apples", '"1e400 apples"'), ("[1-1e400]", '"[1-1e400]"'),
    ("1e-400", "0.0"),
)
NOT_IN = (("1e400", "a number that is too big"), (" -1e400 ", "too big"), ("5.5E+999", "too big"), ("1" + "0" * 400, "too big"),
          ("18446744073709551616", "too big"), ("-9223372036854775809", "too big"), ("[1,18446744073709551615]", "too big"),
          ('{"a":1,"a":2}', "duplicate"))


class Values(unittest.TestCase):
    def test_out(self):
        with Gangerd() as g, g.connect() as client:
            for value, text in OUT:
                done = g.ganger("result", str(client.submit("echo", value)))
                self.assertEqual((done.stdout.decode(), done.returncode), (text + "\n", 0), done.stderr)

    def test_in(self):
        with Gangerd() as g, g.connect() as client:
            for text, value in IN:
                done = g.ganger("call", "echo", "--", text)
                self.assertEqual((done.stdout.decode(), done.returncode), (value + "\n", 0), done.stderr)
            id = int(g.ganger("submit", "echo", "18446744073709551615").stdout)
            self.assertEqual(client.ask("result", id), 2 ** 64 - 1)

    def test_not_in(self):
        """What is JSON but no value here is not silently a string."""
        with Gangerd() as g:
            for text, word in NOT_IN:
                for line in (["call", "echo", "--", text], ["call", "-J", "echo", "--", text], ["submit", "echo", "--", text], ["map", "echo", "--", text]):
                    done = g.ganger(*line)
                    self.assertEqual((done.returncode, done.stdout), (2, b""), line)
                    self.assertIn(word, done.stderr.decode())
                self.assertIn("-s", g.ganger("call", "echo", "--", text).stderr.decode())
                self.assertEqual(g.ganger("call", "-r", "-s", "echo", "--", text).stdout.decode(), text)

    def test_too_deep_too_large(self):
        """Said of what was typed, before it is sent."""
        with Gangerd(daemon={"max_message": "64K"}) as g:
            for line in (["call", "echo"], ["submit", "echo"], ["map", "echo"]):
                done = g.ganger(*line, "[" * 40 + "]" * 40)
                self.assertEqual(done.returncode, 2)
                self.assertIn("nested too deep", done.stderr.decode())
                self.assertEqual(g.ganger("ping").returncode, 0)
            done = g.ganger("call", "echo", "x" * 70000)
            self.assertEqual(done.returncode, 125)
            self.assertIn("max_message", done.stderr.decode())
            done = g.ganger("map", "echo", stdin=None, input=b"x" * (65 << 20))
            self.assertEqual(done.returncode, 2)
            self.assertIn("item 0 is larger than", done.stderr.decode())

    def test_a_list_that_is_cut_says_so(self):
        with Gangerd() as g, g.connect() as client:
            for submits, cut in ((1000, False), (1, True)):
                for _ in range(submits):
                    client.submit("echo", 1, delay=60)
                for options, says in (([], cut), (["--since", "1h"], cut), (["-n", "5"], False), (["-n", "1000"], False)):
                    done = g.ganger("--json", "list", *options)
                    self.assertEqual(len(done.stdout.splitlines()), 5 if "5" in options else 1000)
                    self.assertEqual("there are more" in done.stderr.decode(), says, (options, done.stderr))


if __name__ == "__main__":
    main()
