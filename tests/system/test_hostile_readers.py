# SPDX-License-Identifier: MIT
"""Hostile clients that ask and never read, by many connections: whatever they ask for, gangerd holds no more for their user than
user_memory and what one answer is beyond it; and one that it ends, for what it sent besides, is his until it is gone."""
import contextlib
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Flat, eventually, main, sanitized  # noqa: E402
from hostile import LOG_LINES, MIB, for_all, hostile, unharmed  # noqa: E402
from users import needs_root  # noqa: E402
from wire import Refused  # noqa: E402

USER_MEMORY = 16 * MIB
LONG = bool(os.environ.get("GANGER_TEST_LONG"))
N = 200 if LONG else 60  # connections
REQUESTS = 8  # of each, pipelined
LARGE = 1_000_000
EVENTS = 500  # pairs of an admin's, each with a line in the log
HELD = 0.3  # seconds that they are watched when all is sent
ROOM = 2 * USER_MEMORY + 12 * MIB  # what is held for him, in buffers that double; what is under way and malloc's own
LIMITS = {"user_memory": USER_MEMORY, "max_message": 8 * MIB}


def asks(gangerd, *request):
    """One that has sent some such requests and reads no answer."""
    client = hostile(gangerd)
    client.socket.setblocking(False)
    data = b"".join(client.pack_request(*request)[1] for _ in range(REQUESTS))
    with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
        client.socket.send(data)
    return client


@needs_root
class Readers(unittest.TestCase):
    def never_read(self, gangerd, *request, n=N):
        with unharmed(gangerd), contextlib.ExitStack() as clients, gangerd.connect() as other:
            flat = Flat(gangerd)
            for _ in range(n):
                clients.enter_context(asks(gangerd, *request))
                flat.sample()
            end = time.monotonic() + HELD
            while time.monotonic() < end:
                self.assertEqual(other.call("echo", 1), 1)
                flat.sample()
            print(f"{request[0]}: {n} that never read, memory +{flat.grown() / MIB:.1f} MiB")
            self.assertTrue(sanitized() or flat.grown() < ROOM, f"{flat.grown() / MIB:.1f} MiB")

    def is_told(self, gangerd, *request):
        """Beside others of his that do not read, one that does learns why he gets nothing, and what is small he gets."""
        with contextlib.ExitStack() as clients:
            for _ in range(N):
                clients.enter_context(asks(gangerd, *request))
            client = clients.enter_context(hostile(gangerd))
            error = eventually(lambda: client.outcome(client.start(*request))[0])
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "user_memory"))
            self.assertEqual(client.ask("ping"), "pong")
        with hostile(gangerd) as client:
            eventually(lambda: client.outcome(client.start(*request))[0] is None)

    def test_tasks(self):
        with for_all({**LIMITS, "history": 3000}) as g, hostile(g) as ann:
            for _ in range(3):
                for msgid in [ann.start("call", "echo", [1], {"label": "x" * 1000}) for _ in range(1000)]:
                    ann.finish(msgid)
            ann.close()
            self.never_read(g, "tasks", {"limit": 10000})
            self.is_told(g, "tasks", {"limit": 10000})

    def test_kept_result(self):
        with for_all(LIMITS) as g, hostile(g) as ann:
            id = ann.submit("echo", bytes(LARGE))
            ann.ask("result", id, {"keep": True})
            ann.close()
            for method, options in ("result", {"keep": True}), ("attach", {}):
                self.never_read(g, method, id, options)
            self.is_told(g, "result", id, {"keep": True})

    def test_shared_objects(self):
        with for_all(LIMITS) as g, hostile(g) as ann:
            ann.ask("dict.set", "d", {f"key {n}": bytes(1000) for n in range(1000)})
            ann.ask("list.push", "l", [bytes(1000)] * 1000)
            for n in range(1000):
                ann.ask("event.set", f"{n:0250}")
            ann.close()
            requests = [("dict.watch", "d", {"after": 0}), ("list.slice", "l", 0, 1000), ("shared.list", {})]
            if LONG:
                requests += [("dict.get", "d", [f"key {n}" for n in range(1000)]), ("dict.items", "d", {})]
            for request in requests:
                self.never_read(g, *request)

    def test_figures(self):
        with for_all(LIMITS) as g:
            for request in (("status",), ("metrics",), ("none",)) if LONG else (("metrics",),):
                self.never_read(g, *request)
            self.never_read(g, "wait", list(range(60000)), {}, n=30)

    def test_work(self):
        with for_all(LIMITS, {"exec": "yes", "kill_grace": 0.1, "workers": REQUESTS + 2}) as g:
            self.never_read(g, "call", "exec", [["head", "-c", str(LARGE), "/dev/zero"]], {}, n=30)
            self.never_read(g, "map", "echo", [[bytes(1000)]] * 200, {})
            self.never_read(g, "map", "echo", [[bytes(1000)]] * 200, {"collect": True}, n=50)
            self.never_read(g, "call", "exec", [["yes"]], {"stream": ["stdout"]}, n=1)

    def test_events(self):
        with for_all(LIMITS) as g:
            self.never_read(g, "subscribe", [], {})
            with unharmed(g, log_lines=2 * EVENTS + LOG_LINES), contextlib.ExitStack() as clients, hostile(g) as ann, g.connect() as admin:
                for _ in range(N):
                    clients.enter_context(asks(g, "subscribe", [], {}))
                    clients.enter_context(asks(g, "dict.watch", "d", {}))
                    clients.enter_context(asks(g, "event.wait", "e", {}))
                flat = Flat(g)
                for _ in range(EVENTS):
                    admin.ask("pool.pause", "default")
                    with contextlib.suppress(Refused):  # there is no room any more
                        ann.ask("dict.set", "d", {"key": bytes(1000)})
                    admin.ask("pool.resume", "default")
                    flat.sample()
                print(f"{3 * N} that watch and never read: memory +{flat.grown() / MIB:.1f} MiB")
                self.assertTrue(sanitized() or flat.grown() < ROOM, f"{flat.grown() / MIB:.1f} MiB")

    def test_ended_connections_are_their_users(self):
        """What waits in a connection that gangerd ends is charged until it is gone, and that is soon however little is read of it."""
        with for_all({**LIMITS, "user_connections": 40, "message_timeout": "2 s"}) as g, unharmed(g), contextlib.ExitStack() as clients:
            with hostile(g) as ann:
                id = ann.submit("echo", bytes(LARGE))
                ann.ask("result", id, {"keep": True})
            flat, most, kept = Flat(g), 0, []
            with g.connect() as other:
                for _ in range(3 * N):
                    kept.append(client := clients.enter_context(hostile(g)))
                    with contextlib.suppress(OSError):
                        client.socket.setblocking(False)
                        client.socket.send(client.pack_request("result", id, {"keep": True})[1] + b"\xc1")
                    most = max(most, other.ask("status")["connections"])
                    flat.sample()
                print(f"at most {most} connections of a user who may have 40; memory +{flat.grown() / MIB:.1f} MiB")
                self.assertLessEqual(most, 2 + 40 + 2)  # some that are just being turned away
                self.assertTrue(sanitized() or flat.grown() < ROOM, f"{flat.grown() / MIB:.1f} MiB")
                began = time.monotonic()
                while other.ask("status")["connections"] > 2:  # a byte now and then does not keep it
                    for client in kept:
                        with contextlib.suppress(OSError):
                            client.socket.recv(1)
                    self.assertLess(time.monotonic() - began, 20)
                    time.sleep(0.05)
                print(f"gone {time.monotonic() - began:.1f} s later, where message_timeout is 2 s")


if __name__ == "__main__":
    main()
