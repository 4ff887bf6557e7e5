# SPDX-License-Identifier: MIT
"""A client that is stopped in the middle of what it reads: the daemon's memory stays flat, other clients are served by the same
workers, and it goes on when it is continued."""
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Child, Flat, Gangerd, cpu_seconds, main, sanitized  # noqa: E402

MIB = 1 << 20
ITEMS = 200_000 if sanitized() else 1_000_000
FLAT = 8 * MIB  # output_limit, socket buffers, what the workers had under way
STILL = 1 * MIB  # once that has come to rest
WATCHED = 0.5  # seconds, again and again until it has come to rest, then once more
REST_BOUND = 20  # seconds until then
CALL_BYTES = 4 << 10


def stop_here():
    os.kill(os.getpid(), signal.SIGSTOP)


def count_map(out, gangerd):
    """A map of a million items; stops after the first ones, then sums up the rest."""
    with gangerd.connect(bound=100) as client:
        msgid = client.start("map", "echo", [[n] for n in range(ITEMS)], {})
        client.until(lambda: client.streams[msgid])
        stop_here()
        total = n_items = 0
        while msgid not in client.answers or client.streams[msgid]:
            for _, items in client.streams[msgid]:
                n_items += len(items)
                total += sum(item[2] for item in items)
            client.streams[msgid].clear()
            if msgid not in client.answers:
                client.receive()
        answer = client.finish(msgid)
        assert answer == {"count": ITEMS, "succeeded": ITEMS, "failed": 0}, answer
        assert n_items == ITEMS and total == ITEMS * (ITEMS - 1) // 2, (n_items, total)


def read_yes(out, gangerd):
    """What `yes` writes; stops after the first of it, then reads 64 MiB more."""
    with gangerd.connect(bound=100) as client:
        msgid = client.start("call", "exec", [["yes"]], {"stream": ["stdout"]})
        client.until(lambda: client.streams[msgid])
        stop_here()
        size = 0
        while size < 64 * MIB:
            client.receive()
            for _, data in client.streams[msgid]:
                assert data.strip(b"y\n") == b"", data[:100]
                size += len(data)
            client.streams[msgid].clear()
        client.ask("cancel_request", msgid)
        error, _ = client.outcome(msgid)
        assert error["code"] == "cancelled", error


def thousand_calls(out, gangerd):
    """A thousand calls, sent before the first answer is read."""
    with gangerd.connect(bound=100) as client:
        requests = [client.pack_request("call", "echo", [bytes([n % 256]) * CALL_BYTES], {}) for n in range(1000)]
        writer = os.fork()  # reads nothing while the daemon takes what it takes
        if writer == 0:
            for _, data in requests:
                client.send_bytes(data)
            os._exit(0)
        client.receive()
        stop_here()
        for n, (msgid, _) in enumerate(requests):
            assert client.finish(msgid) == bytes([n % 256]) * CALL_BYTES, n
        assert os.waitpid(writer, 0)[1] == 0


class StoppedReader(unittest.TestCase):
    def serve(self, other, flat):
        """Calls of another client for a while; how many, and how much the daemon's memory grew."""
        served, end = 0, time.monotonic() + WATCHED
        while time.monotonic() < end:
            msgids = [other.start("call", "echo", [n], {}) for n in range(20)]
            self.assertEqual([other.finish(msgid) for msgid in msgids], list(range(20)))
            served += 20
            flat.sample()
        return served, flat.sample()

    def come_to_rest(self, gangerd, other):
        """Serves others until nothing more is done for the stopped client; how many calls, and how much the memory grew."""
        flat, served, end = Flat(gangerd), 0, time.monotonic() + REST_BOUND
        while True:
            before = gangerd.status()["totals"]["succeeded"]
            served_now, grown = self.serve(other, Flat(gangerd))
            served += served_now
            flat.sample()
            at_rest = gangerd.status()["totals"]["succeeded"] - before == served_now
            if at_rest and (grown < STILL // 16 or sanitized()):  # AddressSanitizer gives back nothing for long
                return served, flat.grown()
            self.assertLess(time.monotonic(), end, f"no rest; the memory has grown by {flat.grown()} bytes")

    def watch(self, function, asked=0):
        """`asked`: bytes of what the client asked for and has not read, which the daemon keeps for it."""
        limits = {"user_tasks": 2 * ITEMS, "history": 100}
        with Gangerd(limits, {"queue_limit": 2 * ITEMS}) as g, g.connect(bound=20) as other:
            child = Child(function, g)
            try:
                child.stopped()
                other.call("echo", 0)
                served, grown = self.come_to_rest(g, other)
                served_then, grown_then = self.serve(other, Flat(g))
                before = cpu_seconds(g.pid)
                other.call("sleep", 0.5)
                busy = (cpu_seconds(g.pid) - before) / 0.5
                print(f"{function.__name__}: memory +{grown / MIB:.1f} MiB, then +{grown_then / MIB:.1f}; "
                      f"{served + served_then} calls of others served; the daemon then uses {100 * busy:.0f} % of a processor")
                if not sanitized():
                    self.assertLess(grown, FLAT + asked)
                    self.assertLess(grown_then, STILL)
                    self.assertLess(busy, 0.25)  # who waits for a stopped reader does not spin
                self.assertGreater(served_then, 100)
                child.go_on()
                self.assertEqual(child.end(100)[0], 0)
            finally:
                child.kill()
            self.assertEqual(g.all_idle()["connections"], 1 + 1)

    def test_map_of_a_million(self):
        self.watch(count_map)

    def test_stdout_of_yes(self):
        self.watch(read_yes)

    def test_thousand_outstanding_calls(self):
        self.watch(thousand_calls, asked=1000 * 2 * CALL_BYTES)


if __name__ == "__main__":
    main()
