# SPDX-License-Identifier: MIT
"""A hundred client programs with some hundred calls each of four functions with random arguments: every answer is what the client
computes itself, and the sums of `status` hold at every sample meanwhile and are what the clients counted at the end. A thousand calls
each if GANGER_TEST_LONG is set, a hundred with sanitizers."""
import collections
import hashlib
import os
import random
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Gangerd, main, sanitized, sums_hold  # noqa: E402

PROGRAMS = 100
CALLS = 1000 if os.environ.get("GANGER_TEST_LONG") else 100 if sanitized() else 200  # of each program; a quarter of each function
AHEAD = 50  # calls that a program has open at once
WORDS = [b"alpha", b"Beta", b"gamma", b"x1", b"OMEGA", b"caf\xc3\xa9"]


def some_value(rng, depth=0):
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randrange(-2**63, 2**64)
    if kind == 2:
        return rng.uniform(-1e9, 1e9)
    if kind == 3:
        return "".join(rng.choices("abcäöü ", k=rng.randrange(40)))
    if kind == 4:
        return rng.randbytes(rng.randrange(300))
    if kind == 5:
        return rng.randrange(256)
    if kind == 6:
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(6))]
    return {str(key): some_value(rng, depth + 1) for key in range(rng.randrange(6))}


def words(text):
    counts = collections.Counter(word.lower() for word in re.findall(rb"[A-Za-z0-9\x80-\xff]+", text))
    return {word.decode(): n for word, n in counts.items()}


def some_call(rng, function):
    """Arguments for the function, and what it is to answer."""
    if function == "echo":
        value = some_value(rng)
        return [value], value
    if function == "digest.sha256":
        data = rng.randbytes(rng.randrange(3000))
        return [data], hashlib.sha256(data).hexdigest()
    text = b" ".join(rng.choices(WORDS, k=rng.randrange(60)))
    if function == "text.count":
        return [text], words(text)
    counts = [words(text), words(b" ".join(rng.choices(WORDS, k=5))), {"alpha": rng.randrange(1000)}]
    return counts, dict(sum(map(collections.Counter, counts), collections.Counter()))


FUNCTIONS = ("echo", "digest.sha256", "text.count", "text.merge")


def program(out, gangerd, seed):
    rng = random.Random(seed)
    counted = collections.Counter()
    with gangerd.connect(bound=110) as client:
        wanted = collections.OrderedDict()

        def settle():
            msgid, (function, args, want) = wanted.popitem(last=False)
            got = client.finish(msgid)
            if got != want and {k: v for k, v in got.items() if v} != want:
                raise AssertionError(f"{function} {args!r}: {got!r}, not {want!r}")
            counted[function] += 1

        for n in range(CALLS):
            function = FUNCTIONS[n % len(FUNCTIONS)]
            args, want = some_call(rng, function)
            wanted[client.start("call", function, args, {})] = (function, args, want)
            if len(wanted) >= AHEAD:
                settle()
        while wanted:
            settle()
    print(sum(counted.values()), file=out)


class ManyPrograms(unittest.TestCase):
    def test_every_answer_and_every_sum(self):
        with Gangerd() as g:
            began = time.monotonic()
            children = [Child(program, g, seed) for seed in range(PROGRAMS)]
            samples = most_connections = 0
            try:
                with g.connect() as watcher:
                    done = 0
                    while done < PROGRAMS * CALLS:
                        status = watcher.ask("status")
                        self.assertTrue(sums_hold(status), status)
                        samples += 1
                        most_connections = max(most_connections, status["connections"])
                        done = status["totals"]["submitted"]
                        self.assertEqual(status["totals"]["failed"], 0)
                        if time.monotonic() - began > 110 or any(child.has_failed() for child in children):
                            self.fail(f"only {done} calls, after {time.monotonic() - began:.0f} s")
                        watcher.call("sleep", 0.005)
                        done -= samples - 1  # of the watcher itself
                    ends = [child.end() for child in children]
            finally:
                for child in children:
                    child.kill()
            wall = time.monotonic() - began
            self.assertEqual([status for status, _ in ends], [0] * PROGRAMS)
            counted = sum(int(text) for _, text in ends)
            self.assertEqual(counted, PROGRAMS * CALLS)
            totals = g.all_idle()["totals"]
            self.assertEqual((totals["submitted"], totals["succeeded"]), (counted + samples, counted + samples))
            self.assertEqual(totals["workers_lost"], 0)
            print(f"{counted} calls of {PROGRAMS} programs in {wall:.1f} s, the sums held in {samples} samples, "
                  f"up to {most_connections} connections")


if __name__ == "__main__":
    main()
