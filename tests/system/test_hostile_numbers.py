# SPDX-License-Identifier: MIT
"""Arithmetic at its edges: every number that a configuration or a client can say, at 0, below, at its limit, one beyond it, at the powers
of two where types end, and sums that would overflow. Each is taken as it is or refused by name; nothing wraps around."""
import math
import os
import re
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import GANGERD, Gangerd, configuration, environment, main  # noqa: E402
from hostile import MIB, for_all, hostile, unharmed  # noqa: E402
from users import needs_root  # noqa: E402
from wire import pack  # noqa: E402

EDGES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
NEGATIVE = [-1, -2**31, -2**31 - 1, -2**63]
NO_NUMBERS = [math.nan, math.inf, -math.inf, 1e300, -1e300, 2.0**63, 2.0**64, 5e-324, -0.0, True, None, "1", b"1", [1], {}]
HUGE = [2**31, 2**32, 2**32 + 1, 2**53 + 1, 2**63, 2**64, 2**64 + 1, 10**30]
KEYS = {  # of [daemon]: least, most
    "max_connections": (1, 1 << 20), "max_requests": (1, 1 << 20), "max_message": (64 << 10, 1 << 30), "output_limit": (4096, 1 << 30),
    "memory_limit": (1 << 20, 10**15), "user_connections": (1, 1 << 20), "user_tasks": (1, 10**9), "user_descriptors": (0, 1 << 20),
    "user_objects": (0, 10**9), "user_memory": (64 << 10, 10**15), "history": (0, 10_000_000),
}
POOL_KEYS = {"queue_limit": (1, 10**9), "nesting_limit": (0, 4096), "workers": (1, 4096), "max_tasks": (1, 10**9), "memory_limit": (16 << 20, 10**15),
             "max_rss": (1 << 20, 10**15)}
UNITS = {"": 0, "K": 10, "M": 20, "G": 30}
CODES = {"invalid_params", "quota_exceeded", "too_large", "unknown_task", "unknown_object", "not_ready", "key_conflict", "task_failed", "out_of_memory", "not_permitted",
         "queue_full"}


def check(daemon=None, pool=None):
    """(status, what was said) of gangerd --check."""
    g = Gangerd(text=configuration(daemon, pool))
    try:
        g.config.write_text(g.text, encoding="utf-8")
        done = subprocess.run([GANGERD, "--check", "--config", g.config, "--socket", g.socket], env=environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
        return done.returncode, done.stdout.decode(errors="replace")
    finally:
        g.clean()


@needs_root
class Numbers(unittest.TestCase):
    def refuses(self, key, value, daemon, pool=None):
        status, said = check(daemon, pool)
        self.assertEqual(status, 78, (key, value, said))
        self.assertIn(key, said, (key, value))

    def test_keys(self):
        """What is beyond a key's range is refused by its name, however many bits it has."""
        for keys, where in (KEYS, 0), (POOL_KEYS, 1):
            for key, (least, most) in keys.items():
                values = [-1, least - 1, most + 1, *(value for value in HUGE if value > most)]
                for value in values if os.environ.get("GANGER_TEST_LONG") else (least - 1, most + 1, 2**64 + 1):
                    self.refuses(key, value, *({key: value} if where == n else None for n in range(2)))

    def test_keys_that_are_taken(self):
        """At their edges, and as they were said"""
        least = {key: least for key, (least, _) in KEYS.items()}
        most = {key: most for key, (_, most) in KEYS.items() if key not in ("max_connections", "user_descriptors")}
        for values in least, most:
            status, said = check({**values, "memory_limit": max(values["memory_limit"], values["user_memory"])})
            self.assertEqual(status, 0, said)
            for key, value in values.items():
                number, unit = re.search(rf"^{key} = (\d+)([KMG]?)$", said, re.MULTILINE).groups()  # exact: with a unit that divides it
                self.assertEqual(int(number) << UNITS[unit], value, (key, number, unit))

    def test_keys_that_do_not_fit_each_other(self):
        for daemon, key in (({"user_descriptors": 1 << 20}, "user_descriptors"), ({"max_connections": 1 << 20}, "max_connections"),
                            ({"user_memory": "2G", "memory_limit": "1G"}, "user_memory"), ({"user_memory": MIB, "max_message": MIB + 1}, "max_message"),
                            ({"user_memory": "1048576G"}, "user_memory"), ({"user_memory": "17179869184G"}, "user_memory")):
            self.refuses(key, daemon, daemon)

    def ask_all(self, client, cases):
        """Each with every number: an answer, or an error that says what is wrong, always of what is no number; never an end of the
        connection."""
        numbers = EDGES + NEGATIVE + NO_NUMBERS
        for make in cases:
            for number in numbers:
                request = make(number)
                error, _ = client.outcome(client.start(*request))
                self.assertTrue(error is None or error["code"] in CODES, (request, error))
                if any(number is other for other in NO_NUMBERS[:5]):
                    self.assertIsNotNone(error, request)

    def test_options_of_tasks(self):
        options = ("priority", "delay", "expires", "timeout", "retries", "backoff", "attempts_before", "ttl")
        with for_all({"user_tasks": 1000}) as g, unharmed(g), hostile(g) as ann:
            for option in options:
                for number in EDGES + NEGATIVE + NO_NUMBERS:
                    error, id = ann.outcome(ann.start("submit", "echo", [1], {option: number}))
                    self.assertTrue(error is None or error["code"] == "invalid_params" and option in error["message"], (option, number, error))
                    if error is None:
                        ann.outcome(ann.start("cancel", id))
            for option in ("chunk", "limit", "window"):
                for number in EDGES + NEGATIVE + NO_NUMBERS:
                    error, result = ann.outcome(ann.start("map", "echo", [[1]], {option: number}))
                    if error is None:
                        self.assertEqual(result["succeeded"], 1, (option, number))
                    else:
                        self.assertTrue(error["code"] == "invalid_params" and option in error["message"], (option, number, error))

    def test_ids_and_counts(self):
        with for_all() as g, unharmed(g), hostile(g) as ann:
            known = ann.submit("echo", 1)
            self.ask_all(ann, [
                lambda n: ("task", n), lambda n: ("cancel", n), lambda n: ("cancel", [n, n]), lambda n: ("result", n, {"timeout": 0}),
                lambda n: ("wait", [n], {"timeout": 0}), lambda n: ("wait", [known], {"timeout": 0, "count": n}), lambda n: ("attach", n, {}),
                lambda n: ("attach", known, {"tail": n}), lambda n: ("tasks", {"limit": n}), lambda n: ("tasks", {"after": n}),
                lambda n: ("cancel_request", n),
            ])

    def test_more_and_feed(self):
        """Confirmations that would overflow a count, for a map that waits for them"""
        with for_all() as g, unharmed(g), hostile(g) as ann:
            for n in EDGES[2:]:
                msgid = ann.start("map", "echo", [[1], [2], [3]], {"window": 1})
                ann.until(lambda: ann.streams[msgid])
                ann.notify("more", msgid, n)
                self.assertEqual(ann.outcome(msgid)[0]["code"], "invalid_params", n)
            msgid = ann.start("map", "echo", [[1], [2], [3]], {"window": 1})
            for _ in range(3):
                ann.until(lambda: ann.streams[msgid])
                ann.streams[msgid].clear()
                ann.notify("more", msgid, 1)
            self.assertEqual(ann.finish(msgid)["succeeded"], 3)

    def test_shared_objects(self):
        """Memory of sizes that no machine has, whose bytes are a product that overflows; limits; places"""
        with for_all({"user_memory": 16 * MIB, "max_message": MIB}) as g, unharmed(g), hostile(g, descriptors=True) as ann:
            for kind in "i8", "i64", "f64", "bytes":
                for n in [*EDGES[2:], 2**40, 2**40 + 1, 2**60, 2**61, 2**61 + 1, *NEGATIVE, 0]:
                    error, _ = ann.outcome(ann.start("shared.open", "m", {"kind": "array", "type": kind, "length": n}))
                    self.assertIsNotNone(error, (kind, n))
                    self.assertIn(error["code"], ("invalid_params", "quota_exceeded"), (kind, n, error))
            ann.ask("list.push", "l", [1, 2, 3])
            self.ask_all(ann, [
                lambda n: ("lock.acquire", f"lock {n!r}", {"limit": n, "timeout": 0}), lambda n: ("lock.acquire", "k", {"owner": n, "timeout": 0}),
                lambda n: ("lock.release", "k", {"token": n}), lambda n: ("barrier.wait", f"barrier {n!r}", {"parties": n, "timeout": 0}),
                lambda n: ("queue.put", f"queue {n!r}", [1], {"maxsize": n}), lambda n: ("queue.get", "q", {"max": n, "timeout": 0}),
                lambda n: ("queue.task_done", "q", n), lambda n: ("list.get", "l", n), lambda n: ("list.slice", "l", n, n),
                lambda n: ("list.pop", "empty", {"max": n}), lambda n: ("list.push", "l", [1], {"if_version": n}),
                lambda n: ("dict.items", "d", {"after": n, "limit": n}), lambda n: ("dict.watch", "d", {"after": n, "timeout": 0}),
                lambda n: ("dict.set", "d", {"k": 1}, {"if_version": {"k": n}}), lambda n: ("condition.notify", "k", {"n": n}),
                lambda n: ("event.wait", "e", {"timeout": 0 if isinstance(n, int) and n > 0 else n}),
            ])
            for n, more in ((2**64 - 1, 1), (2**63 - 1, 2**63 + 1), (-2**63, -1)):
                ann.ask("dict.set", "d", {"sum": n})
                error, _ = ann.outcome(ann.start("dict.add", "d", "sum", more))
                self.assertEqual(error["code"], "invalid_params", (n, more))
                self.assertEqual(ann.ask("dict.get", "d", "sum")[0], n)
            for shared in ann.ask("shared.list", {"limit": 10000}):
                ann.ask("shared.unlink", shared["name"])

    def test_user_objects(self):
        """None at all, the last that fits, one beyond"""
        for limit in 0, 3:
            with for_all({"user_objects": limit}) as g, unharmed(g), hostile(g) as ann:
                for n in range(limit):
                    ann.ask("event.set", f"{n}")
                error, _ = ann.outcome(ann.start("event.set", "one more"))
                self.assertEqual((error["code"], error["what"], error["used"], error["limit"]), ("quota_exceeded", "user_objects", limit, limit))
                if limit:
                    ann.ask("shared.unlink", "0")
                    ann.ask("event.set", "one more")

    def test_nothing_at_all(self):
        """user_descriptors of 0: none can be sent; one open request; a message of just the least that max_message can be"""
        with for_all({"user_descriptors": 0, "max_requests": 1, "max_message": 64 << 10}) as g, unharmed(g), hostile(g) as ann:
            waits = ann.start("call", "sleep", [0.1], {})
            error, _ = ann.outcome(ann.start("call", "echo", [1], {}))
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "max_requests"))
            ann.finish(waits)
            empty = len(pack([0, 1, "call", ["echo", [bytes(40000)], {}]])) - 40000
            exact = bytes((64 << 10) - empty)
            ann.msgid = 0  # of one byte
            self.assertEqual(ann.call("echo", exact), exact)
            with hostile(g) as other:
                other.open[1] = "call"
                other.send_bytes(pack([0, 1, "call", ["echo", [exact + b"x"], {}]]))
                self.assertEqual([error["code"] for error in other.end_of_file()], ["protocol_error"])

    def test_length_bombs(self):
        """Declared lengths in every place of a message where one can stand, alone and within each other"""
        heads = [b"", b"\x94", b"\x94\x00", b"\x94\x00\x01", b"\x94\x00\x01\xa4call", b"\x94\x00\x01\xa4call\x93", b"\x94\x00\x01\xa4call\x93\xa4echo",
                 b"\x94\x00\x01\xa4call\x93\xa4echo\x91", b"\x94\x00\x01\xa4call\x93\xa4echo\x91\x81", b"\x94\x00\x01\xa4call\x93\xa4echo\x91\x01",
                 b"\x93\x02\xa4feed\x93\x01"]
        kinds = [b"\xdd%b", b"\xdf%b", b"\xc6%b", b"\xdb%b", b"\xc9%b\x01", b"\xc9%b\x47", b"\xdd\x00\x00\x00\x02\xdd%b", b"\xdf\x00\x00\x00\x01\x01\xdf%b"]
        with for_all() as g, unharmed(g):
            for head in heads:
                for kind in kinds:
                    for n in (2**32 - 1, 2**31, 65 * MIB) if os.environ.get("GANGER_TEST_LONG") else (2**32 - 1,):
                        with hostile(g) as client:
                            client.send_bytes(head + kind.replace(b"%b", struct.pack(">I", n)))
                            errors = [error["code"] for error in client.end_of_file()]
                            self.assertEqual(errors, ["protocol_error"], (head, kind, n))


if __name__ == "__main__":
    main()
