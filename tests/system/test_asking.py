# SPDX-License-Identifier: MIT
"""Who it is that a task asks for, and what a worker must not do when it asks: nobody gains a right by being a task, and one that
breaks the rules is ended while all others are served."""
import itertools
import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))
from gangerd import Flat, Gangerd, eventually, main, sanitized  # noqa: E402
from users import ANN, BOB, DAEMON, connect_as, needs_root, open_to_all  # noqa: E402
from wire import descriptor, pack  # noqa: E402

STAFF = 60100
ADMIN_METHODS = {"reload": [], "log_level": ["debug"], "pool.scale": ["default", 1], "pool.pause": ["default"], "pool.resume": ["default"],
                 "pool.drain": ["default", {"timeout": 0.1}], "pool.reload": ["default"]}
NEST = {"workers": 2, "modules": "nest digest", "kill_grace": 0.3}
POOLS = f"""
[pool ann]
workers = 1
allow_users = {ANN}
[pool staff]
workers = 1
modules = nest
allow_groups = {STAFF}
"""
# Connects to the daemon's socket, as a task that thinks itself clever.
KNOCK = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(10);"
         " sys.stdout.buffer.write(s.recv(4096))")
MEGABYTE = 1 << 20
UNREAD_MOST = 65 * MEGABYTE  # output_limit and max_message


def ask(client, method, *params):
    """What a task of this client's is answered: (code or "", answer)."""
    _, code, answer = client.call("nest.ask", method, list(params), pool="default")
    return code, answer


@needs_root
class InTheNameOf(unittest.TestCase):
    def shared(self, more=POOLS, **options):
        return open_to_all(Gangerd({"socket_mode": "0666"}, {**NEST, "workers": 4, "exec": "yes"}, more=more, uid=DAEMON, **options))

    def test_tasks_of_others(self):
        with self.shared() as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob, g.connect() as root:
            hers = ann.submit("sleep", 60, label="hers")
            eventually(lambda: ann.ask("task", hers)["state"] == "running")
            for client in bob, root:  # root is an admin; his task is none
                for method, params in (("task", [hers]), ("result", [hers, {"timeout": 0}]), ("attach", [hers]), ("cancel", [hers]), ("cancel", [[hers]])):
                    self.assertEqual(ask(client, method, *params)[0], "unknown_task", method)
                self.assertEqual(ask(client, "wait", [hers]), ("", [[hers, "unknown"]]))
                _, seen = ask(client, "tasks", {"label": "hers"})
                self.assertEqual(seen, [])
                _, status = ask(client, "status")
                self.assertNotIn(hers, [worker["task"] for worker in status["workers"]])
            _, seen = ask(ann, "tasks", {"label": "hers"})
            self.assertEqual([(record["id"], record["uid"]) for record in seen], [(hers, ANN)])
            self.assertEqual(ask(ann, "cancel", hers), ("", 1))

    def test_what_it_submits_is_its_users(self):
        with self.shared() as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob:
            _, id = ask(ann, "submit", "sleep", [60], {"detached": True})
            self.assertEqual(ann.ask("task", id)["uid"], ANN)
            error, _ = bob.outcome(bob.start("cancel", id))
            self.assertEqual(error["code"], "unknown_task")
            self.assertEqual(ann.ask("cancel", id), 1)

    def test_no_admin(self):
        with self.shared() as g, connect_as(g, ANN) as ann, g.connect() as root:
            for method, params in ADMIN_METHODS.items():
                there_is = root.outcome(root.start(method, "no", "such", "params", "at", "all"))[0]["code"] != "unknown_method"
                for client in ann, root:
                    self.assertEqual(ask(client, method, *params)[0], "not_permitted" if there_is else "unknown_method", method)

    def test_pools(self):
        """A pool is open to a task as it was to the connection that submitted it, at any depth."""
        with self.shared() as g, connect_as(g, ANN) as ann, connect_as(g, BOB, [STAFF]) as bob, connect_as(g, BOB) as bob_alone, \
                g.connect() as root:
            self.assertEqual(bob.call("echo", 1, pool="staff"), 1)
            self.assertEqual(ask(bob, "call", "echo", [7], {"pool": "staff"}), ("", 7))
            deeper = ["nest.ask", ["call", ["echo", [7], {"pool": "staff"}]], {"pool": "staff"}]
            self.assertEqual(ask(bob, "call", *deeper), ("", [0, "", 7]))
            mapped = bob.ask("map", "nest.ask", [["call", ["echo", [n], {"pool": "staff"}]] for n in range(40)], {"collect": True, "pool": "default"})
            self.assertEqual(mapped["values"], [[0, "", n] for n in range(40)])
            for client in ann, bob_alone:  # bob's other connection has no such group, and gets none by being a task
                self.assertEqual(ask(client, "call", "echo", [7], {"pool": "staff"})[0], "not_permitted")
            self.assertEqual(ask(ann, "call", "echo", [7], {"pool": "ann"}), ("", 7))
            self.assertEqual(ask(bob, "call", "echo", [7], {"pool": "ann"})[0], "not_permitted")
            self.assertEqual(ask(root, "call", "echo", [7], {"pool": "ann"}), ("", 7))
            for client, pools in (ann, ["default", "ann"]), (bob, ["default", "staff"]), (bob_alone, ["default"]), (root, ["default", "ann", "staff"]):
                self.assertEqual(ask(client, "hello", {})[1]["pools"], pools)

    def test_socket_stays_shut(self):
        """A child of a task is as far from the daemon's socket as the task is."""
        with self.shared() as g, connect_as(g, ANN) as ann:
            code, answer = ask(ann, "call", "exec", [["/usr/bin/python3", "-c", KNOCK, g.socket]])
            self.assertEqual(code, "")
            self.assertIn(b"not_permitted", answer["stdout"])


class Rude(unittest.TestCase):
    def ended(self, g, client, why, function, *args, fds=(), code="worker_lost"):
        """The call costs its worker the life, and nothing else."""
        lost = g.status()["totals"]["workers_lost"]
        error, _ = client.outcome(client.start("call", function, list(args), {}, fds=fds))
        self.assertEqual(error and error["code"], code)
        eventually(lambda: g.status()["totals"]["workers_lost"] == lost + 1)
        self.assertIn(f"the worker broke the protocol and is killed: {why}", g.log())
        self.assertEqual(client.call("nest.deep", 3), 3)
        g.all_idle()

    def test_breaches(self):
        sleep = pack([0, 7, "call", ["sleep", [5]]])
        breaches = (
            (sleep + sleep, "the msgid of a request that is still open"),
            (pack([2, "none such", []]), "it sends a message that there is not"),
            (pack([2, "hello", [{"protocol": 1, "slots": 64, "area": True}]]), "it says hello twice"),
            (pack([0, 1, "call", ["echo", [descriptor()]]]), "it sent a descriptor"),
            (pack([0, 1, "call"]), ""),
            (b"\xc1", ""),
        )
        with Gangerd(pool=NEST) as g, g.connect() as client:
            for data, why in breaches:
                client.call("nest.deep", 2)  # whoever dies has done something
                self.ended(g, client, why, "nest.raw", data + pack([0, 2, "call", ["sleep", [5]]]), 1)

    def test_ring(self):
        """What is said past it, and what it cannot say."""
        with Gangerd(pool=NEST) as g, g.connect() as client:
            client.call("nest.deep", 2)
            self.ended(g, client, "it sends what its ring does not announce", "nest.past_ring", pack([0, 7, "ping", []]))
            for head in (-4, 2, 1 << 40):
                self.ended(g, client, "what stands in its ring makes no sense", "nest.bad_head", head)

    def test_woken_in_vain(self):
        with Gangerd(pool={**NEST, "workers": 1}) as g, g.connect() as client:
            for _ in range(3):
                client.call("nest.woken_in_vain")

    def test_asks_for_nobody(self):
        with Gangerd(pool={**NEST, "workers": 1}) as g, g.connect() as client:
            client.call("nest.late", pack([0, 1, "ping", []]))
            eventually(lambda: "it asks for something and runs no task" in g.log())
            eventually(lambda: g.status()["totals"]["workers_lost"] == 1)
            self.assertEqual(client.call("nest.deep", 3), 3)
            g.all_idle()

    def test_answers_that_nobody_waits_for(self):
        """They come when the task has ended; the worker's next tasks do not see them."""
        with Gangerd(pool={**NEST, "workers": 1}) as g, g.connect() as client:
            client.call("nest.deep", 2)
            for method, params in (("status", []), ("call", ["echo", [1]]), ("call", ["nest.map", [100]]), ("map", ["echo", [[1]] * 100])):
                for msgid in range(1, 30):  # numbers that the worker uses itself, among others
                    client.call("nest.raw", pack([0, msgid, method, params]), 1)
                self.assertEqual(client.call("nest.deep", 3), 3)
            status = g.all_idle()
            self.assertEqual(status["totals"]["workers_lost"], 0)
            self.assertNotIn("exits:", g.log())  # a worker that does not understand what came

    def flood(self, method, *params):
        """A task asks for ever and reads nothing; meanwhile another client calls. Its worst wait, and what the daemon grew."""
        with Gangerd(pool=NEST) as g, g.connect() as client, g.connect() as other:
            client.call("nest.fan", 200)
            flat = Flat(g)
            waits = []
            msgid = client.start("call", "nest.raw", [pack([0, 1, method, list(params)]) * 50, 0], {})
            over = threading.Event()

            def call_on():
                for n in itertools.count():
                    began = time.monotonic()
                    self.assertEqual(other.call("echo", n), n)
                    waits.append(time.monotonic() - began)
                    flat.sample()
                    if over.is_set():
                        return
            thread = threading.Thread(target=call_on)
            thread.start()
            began = time.monotonic()
            error, _ = client.outcome(msgid, 60)
            took = time.monotonic() - began
            over.set()
            thread.join()
            self.assertEqual(error["code"], "worker_lost", error)
            self.assertIn("it asks for more and more and does not read the answers", g.log())
            waits.sort()
            print(f"flood of {method}: ended after {took:.2f} s; {len(waits)} calls beside it, p50 {waits[len(waits) // 2] * 1e3:.2f} ms, "
                  f"max {waits[-1] * 1e3:.0f} ms; the daemon had {flat.grown() / MEGABYTE:.0f} MiB more")
            self.assertLess(waits[-1], 5)
            if not sanitized():
                self.assertLess(flat.grown(), 3 * UNREAD_MOST)
            g.all_idle()

    def test_flood(self):
        self.flood("status")

    def test_flood_of_long_answers(self):
        self.flood("tasks", {"limit": 1000})


class Foreign(unittest.TestCase):
    def test_another_language(self):
        with tempfile.TemporaryDirectory() as directory:
            zygote = pathlib.Path(directory) / "zygote"
            zygote.write_text(f"#!/bin/sh\nexec {sys.executable} {SUPPORT}/asking_zygote.py\n", encoding="ascii")
            zygote.chmod(0o755)
            more = f"[pool foreign]\nworkers = 1\nmodules =\nzygote = {zygote}\n"
            with Gangerd(pool=NEST, more=more) as g, g.connect() as client:
                g.all_idle()  # a worker for the task that takes long, and one for what is asked after it
                answers = client.call("foreign.ask", "ping", [], "call", ["echo", [1]], "none such", [], "call", ["sleep", [1]], "map",
                                      ["echo", [[n] for n in range(50)], {"collect": True}])
                by_number = {number: (error and error["code"], result) for number, error, result in answers}
                self.assertEqual([by_number[n] for n in range(4)], [(None, "pong"), (None, 1), ("unknown_method", None), (None, None)])
                self.assertEqual(by_number[4][1]["values"], list(range(50)))
                self.assertEqual(answers[-1][0], 3)  # the one that took long
                deep = ["echo", [7]]
                for _ in range(10):
                    deep = ["foreign.ask", ["call", deep]]
                answer = client.call(deep[0], *deep[1])
                for _ in range(10):
                    [[_, error, answer]] = answer
                    self.assertIsNone(error)
                self.assertEqual(answer, 7)
                parent = client.submit("foreign.ask", "call", ["sleep", [60], {"label": "child"}])
                child = eventually(lambda: client.ask("tasks", {"label": "child", "state": "running"}))[0]["id"]
                self.assertEqual(client.ask("cancel", parent), 1)
                eventually(lambda: client.ask("task", child)["state"] == "cancelled")
                self.assertEqual(client.outcome(client.start("result", parent, {}))[0]["code"], "cancelled")
                g.all_idle()


if __name__ == "__main__":
    main()
