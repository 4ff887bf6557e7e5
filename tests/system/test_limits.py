# SPDX-License-Identifier: MIT
"""Each limit, met exactly at its edge by another real user: the last that fits is taken, the next is refused at once with what
is used up, nobody else is bothered, and there is room again afterwards."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from users import ANN, BOB, connect_as, needs_root, open_to_all  # noqa: E402
from wire import Closed, Refused, descriptor  # noqa: E402

AT_ONCE = 0.1  # seconds that a refusal may take: ten times the 10 ms of a machine that does nothing else
FOR_ALL = {"socket_mode": "0666"}


def daemon(daemon=None, pool=None):
    return open_to_all(Gangerd({**FOR_ALL, **(daemon or {})}, pool))


@needs_root
class Limits(unittest.TestCase):
    def refused(self, client, what, used, limit, method, *params, code="quota_exceeded", fds=()):
        began = time.monotonic()
        error, _ = client.outcome(client.start(method, *params, fds=fds))
        self.assertLess(time.monotonic() - began, AT_ONCE)
        self.assertIsNotNone(error, f"{method} was not refused at {what} = {limit}")
        self.assertEqual((error["code"], error.get("what"), error.get("used"), error.get("limit")), (code, what, used, limit), error)
        return error

    def turned_away(self, gangerd, uid, what, limit):
        with connect_as(gangerd, uid) as client:
            [error] = client.end_of_file()
        self.assertEqual((error["code"], error["what"], error["used"], error["limit"]), ("quota_exceeded", what, limit, limit), error)
        self.assertIn(what, error["message"])

    def takes_again(self, gangerd, uid):
        def taken():
            try:
                with connect_as(gangerd, uid) as client:
                    return client.ask("ping") == "pong"
            except (Closed, OSError):
                return False
        eventually(taken)

    def test_user_connections(self):
        with daemon({"user_connections": 3}) as g, connect_as(g, BOB) as bob:
            anns = [connect_as(g, ANN) for _ in range(3)]
            self.assertEqual([client.ask("ping") for client in anns], ["pong"] * 3)
            self.turned_away(g, ANN, "user_connections", 3)
            self.assertEqual([client.ask("ping") for client in (*anns, bob)], ["pong"] * 4)
            anns.pop().close()
            self.takes_again(g, ANN)
            for client in anns:
                client.close()

    def test_max_connections(self):
        with daemon({"max_connections": 4}) as g:
            clients = [connect_as(g, uid) for uid in (ANN, ANN, BOB, BOB)]
            self.assertEqual([client.ask("ping") for client in clients], ["pong"] * 4)
            self.turned_away(g, ANN, "max_connections", 4)
            clients.pop().close()
            self.takes_again(g, ANN)
            for client in clients:
                client.close()

    def test_max_requests(self):
        with daemon({"max_requests": 4}) as g, connect_as(g, ANN) as ann, connect_as(g, ANN) as other:
            calls = [ann.start("call", "sleep", [0.5], {}) for _ in range(4)]
            self.refused(ann, "max_requests", 4, 4, "call", "echo", [1], {})
            self.refused(ann, "max_requests", 4, 4, "result", other.submit("echo", 1), {"keep": True})
            self.assertEqual(ann.ask("ping"), "pong")  # what is answered at once is never open
            self.assertEqual(other.call("echo", 1), 1)
            self.assertEqual([ann.finish(msgid) for msgid in calls], [None] * 4)
            self.assertEqual(ann.call("echo", 1), 1)

    def test_user_tasks(self):
        with daemon({"user_tasks": 5}) as g, connect_as(g, ANN) as ann, connect_as(g, ANN) as second, connect_as(g, BOB) as bob:
            ids = [ann.submit("sleep", 60, delay=60 * (i % 2)) for i in range(5)]
            for client in ann, second:
                self.refused(client, "user_tasks", 5, 5, "submit", "echo", [1], {})
                self.refused(client, "user_tasks", 5, 5, "call", "echo", [1], {})
                self.refused(client, "user_tasks", 5, 5, "map", "echo", [[1]], {})
            bobs = [bob.submit("echo", i, delay=0.2) for i in range(5)]
            self.assertEqual(ann.ask("cancel", ids[:1]), 1)
            eventually(lambda: ann.ask("task", ids[0])["state"] == "cancelled")
            self.refused(ann, "user_tasks", 4, 5, "map", "echo", [[1], [2]], {})  # each item is one
            last = ann.submit("echo", "fits", delay=0.2)
            self.refused(ann, "user_tasks", 5, 5, "submit", "echo", [1], {})
            ann.ask("cancel", ids[1:])
            self.assertEqual(ann.ask("result", last, {}), "fits")
            self.assertEqual([bob.ask("result", id, {}) for id in bobs], list(range(5)))
            eventually(lambda: len(ann.ask("tasks", {"state": "unended"})) == 0)
            self.assertEqual(ann.ask("map", "echo", [[i] for i in range(5)], {})["succeeded"], 5)
            self.refused(ann, "user_tasks", 0, 5, "map", "echo", [[i] for i in range(6)], {})

    def test_user_descriptors(self):
        with daemon({"user_descriptors": 3}) as g, connect_as(g, ANN, descriptors=True) as ann, connect_as(g, BOB, descriptors=True) as bob, \
                open("/dev/null", "rb") as file:
            null = file.fileno()

            def submit(client, n, delay):
                return client.ask("submit", "echo", [[descriptor() for _ in range(n)]], {"delay": delay}, fds=[null] * n)
            held = [submit(ann, 2, 60), submit(ann, 1, 60)]
            self.refused(ann, "user_descriptors", 3, 3, "submit", "echo", [descriptor()], {}, fds=[null])
            submit(bob, 3, 0.1)
            self.assertEqual(ann.call("echo", 1), 1)  # without any
            self.assertEqual(ann.ask("cancel", held[1]), 1)
            self.refused(ann, "user_descriptors", 2, 3, "submit", "echo", [[descriptor(), descriptor()]], {"delay": 60}, fds=[null] * 2)
            submit(ann, 1, 60)
            self.refused(ann, "user_descriptors", 3, 3, "submit", "echo", [descriptor()], {}, fds=[null])

    def fill(self, client, what, limit, others=0):
        """Submits until the account is full to the byte; one byte more would be refused. Returns the ids."""
        ids, size, refused = [], 16_000, None
        while refused is None:
            error, id = client.outcome(client.start("submit", "echo", [bytes(size)], {"delay": 60}))
            refused = error
            ids.append(id)
        del ids[-1]
        self.assertEqual((refused["code"], refused["what"], refused["limit"]), ("quota_exceeded", what, limit), refused)
        one = (refused["used"] - others) / len(ids)
        rest = limit - refused["used"] - round(one - size)  # but for what is kept of a task beside its arguments' bytes
        self.assertEqual(one, round(one), refused)
        self.assertTrue(256 <= rest < size, f"choose another size: {rest} bytes are left")
        self.refused(client, what, refused["used"], limit, "submit", "echo", [bytes(rest + 1)], {"delay": 60})
        ids.append(client.submit("echo", bytes(rest), delay=60))
        self.refused(client, what, limit, limit, "submit", "echo", [0], {"delay": 60})
        return ids

    def test_user_memory(self):
        limit = 1 << 20
        with daemon({"user_memory": limit, "max_message": limit}) as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob:
            ids = self.fill(ann, "user_memory", limit)
            self.assertGreater(len(ids), 50)
            with connect_as(g, ANN) as second:
                self.refused(second, "user_memory", limit, limit, "submit", "echo", [1], {})
            self.assertEqual(bob.call("echo", bytes(limit // 4)), bytes(limit // 4))
            self.assertEqual(ann.ask("ping"), "pong")
            self.assertEqual(ann.ask("cancel", ids), len(ids))  # nothing accepted was dropped
            self.assertEqual(ann.call("echo", bytes(limit // 4)), bytes(limit // 4))
            ids = self.fill(ann, "user_memory", limit)

    def test_memory_limit(self):
        limit = 1 << 20
        with daemon({"memory_limit": limit, "user_memory": limit, "max_message": limit}) as g, connect_as(g, ANN) as ann, \
                connect_as(g, BOB) as bob:
            held = ann.submit("echo", bytes(limit // 8), delay=60)
            others = ann.ask("task", held)["args_size"]
            ids = self.fill(bob, "memory_limit", limit, others)
            self.refused(ann, "memory_limit", limit, limit, "submit", "echo", [1], {})
            self.assertEqual(ann.ask("ping"), "pong")
            self.assertEqual(bob.ask("cancel", ids), len(ids))
            self.assertEqual(ann.call("echo", bytes(limit // 4)), bytes(limit // 4))
            self.assertEqual(ann.ask("cancel", held), 1)

    def test_queue_limit(self):
        with daemon(pool={"queue_limit": 4, "workers": 1}) as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob:
            running = ann.submit("sleep", 60)
            eventually(lambda: ann.ask("task", running)["state"] == "running")
            ids = [ann.submit("echo", i, delay=60 * (i % 2)) for i in range(4)]
            for client in ann, bob:  # the pool's, whoever asks
                error = self.refused(client, "queue_limit", 4, 4, "submit", "echo", [1], {}, code="queue_full")
                self.assertIn("queue_limit", error["message"])
            self.assertEqual(ann.ask("cancel", ids[:1]), 1)
            bobs = bob.submit("echo", "fits")
            self.refused(bob, "queue_limit", 4, 4, "call", "echo", [1], {}, code="queue_full")
            ann.ask("cancel", [running, *ids[1:]])
            self.assertEqual(bob.ask("result", bobs, {}), "fits")
            with self.assertRaises(Refused) as more:
                bob.ask("map", "echo", [[i] for i in range(5)], {})
            self.assertEqual(more.exception.code, "queue_full")
            self.assertEqual(bob.ask("map", "echo", [[i] for i in range(4)], {})["succeeded"], 4)


if __name__ == "__main__":
    main()
