# SPDX-License-Identifier: MIT
"""How gangerd ends, and that there is one a socket."""
import os
import signal
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main  # noqa: E402
from wire import Closed, TooLate  # noqa: E402


class Stop(unittest.TestCase):
    def test_idle(self):
        with Gangerd() as g:
            workers = [worker["pid"] for worker in g.all_idle()["workers"]]
            began = time.monotonic()
            self.assertEqual(g.stop(), 0)
            self.assertLess(time.monotonic() - began, 3)
            self.assertFalse(os.path.exists(g.socket))
            for pid in workers:
                self.assertFalse(os.path.exists(f"/proc/{pid}"), "a worker is left")

    def test_by_sigint(self):
        with Gangerd() as g:
            os.kill(g.pid, signal.SIGINT)
            self.assertEqual(g.process.wait(10), 0)

    def test_running_finish_and_waiting_are_told(self):
        with Gangerd({"stop_timeout": 20}) as g, g.connect() as client, g.connect() as other:
            running = [client.start("call", "sleep", [0.8], {}) for _ in range(2)]
            eventually(lambda: other.ask("status")["pools"][0]["running"] == 2)
            submitted = other.submit("sleep", 0.1)
            result = other.start("result", submitted, {})
            wait = other.start("wait", [submitted], {})
            items = other.start("map", "sleep", [[0.1]] * 5, {})
            other.ask("ping")
            g.process.terminate()
            error, _ = other.outcome(result)
            self.assertEqual((error["code"], error["ended_by"]), ("cancelled", "shutdown"), error)
            self.assertEqual(other.finish(wait), [[submitted, "cancelled"]])
            self.assertEqual(other.outcome(items)[0]["code"], "cancelled")
            error, _ = other.outcome(other.start("submit", "echo", [1], {}))
            self.assertEqual(error["code"], "shutting_down")
            self.assertEqual([client.finish(msgid) for msgid in running], [None, None])
            self.assertEqual(client.end_of_file(), [])
            self.assertEqual(other.end_of_file(), [])
            self.assertEqual(g.process.wait(10), 0)
            self.assertFalse(os.path.exists(g.socket))

    def test_after_stop_timeout_they_are_told_then_killed(self):
        """sleep ends when it is told; a program that ignores SIGTERM is killed after kill_grace."""
        with Gangerd({"stop_timeout": "200 ms"}, {"kill_grace": "300 ms"}) as g, g.connect() as client:
            told = client.start("call", "sleep", [60], {})
            deaf = client.start("call", "exec", [["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]], {})
            eventually(lambda: g.status()["pools"][0]["running"] == 2)
            began = time.monotonic()
            g.process.terminate()
            error, _ = client.outcome(told)
            self.assertEqual((error["code"], error["ended_by"]), ("cancelled", "shutdown"), error)
            self.assertGreater(time.monotonic() - began, 0.15)
            error, _ = client.outcome(deaf)
            self.assertEqual((error["code"], error["ended_by"]), ("cancelled", "shutdown"), error)
            self.assertGreater(time.monotonic() - began, 0.45)
            self.assertEqual(g.process.wait(10), 0)
            print(f"told and killed within {time.monotonic() - began:.2f} s (stop_timeout 0.2, kill_grace 0.3)")
            self.assertLess(time.monotonic() - began, 5)

    def test_with_a_client_that_does_not_read(self):
        with Gangerd({"stop_timeout": 1}) as g, g.connect() as client:
            # More than the kernel takes, and no more than gangerd reads from somebody who does not read (output_limit).
            for _ in range(10):
                client.start("call", "echo", [bytes(100_000)], {})
            g.process.terminate()
            self.assertEqual(g.process.wait(15), 0)

    def test_second_daemon_refuses(self):
        with Gangerd() as g:
            second = g.spawn()
            self.assertNotEqual(second.wait(10), 0)
            self.assertIn(g.socket, g.log())
            self.assertRegex(g.log(), r"(?i)(already|another|in use)")
            with g.connect() as client:
                self.assertEqual(client.ask("ping"), "pong")

    def test_stale_socket_is_replaced(self):
        with Gangerd() as first:
            workers = [worker["pid"] for worker in first.all_idle()["workers"]]
            os.kill(first.pid, signal.SIGKILL)
            first.process.wait()
            first.expects_death = True
            self.assertTrue(os.path.exists(first.socket))
            with self.assertRaises(ConnectionRefusedError):
                first.connect()
            eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))  # they end with their daemon
            with Gangerd(directory=first.directory) as second, second.connect() as client:
                self.assertEqual(client.ask("status")["pid"], second.pid)

    def test_file_that_is_no_socket_is_kept(self):
        with Gangerd() as g:
            g.stop()
            with open(g.socket, "w", encoding="ascii") as file:
                file.write("precious")
            again = g.spawn()
            self.assertNotEqual(again.wait(10), 0)
            with open(g.socket, encoding="ascii") as file:
                self.assertEqual(file.read(), "precious")

    def test_connecting_while_it_stops(self):
        with Gangerd({"stop_timeout": 10}) as g, g.connect() as client:
            running = client.start("call", "sleep", [0.5], {})
            eventually(lambda: g.status()["pools"][0]["running"] == 1)
            g.process.terminate()
            eventually(lambda: client.ask("status")["state"] == "stopping")
            try:
                with g.connect(bound=3) as late:
                    error, _ = late.outcome(late.start("submit", "echo", [1], {}))
                    self.assertEqual(error["code"], "shutting_down")
            except (OSError, Closed, TooLate, socket.timeout) as refused:
                self.assertNotIsInstance(refused, (TooLate, socket.timeout), "nobody answers, and nobody refuses")
            self.assertIsNone(client.finish(running))
            self.assertEqual(g.process.wait(10), 0)


class Lives(unittest.TestCase):
    def test_ids_are_of_one_life(self):
        """However soon the next daemon begins: what one gave is not what the next one gives."""
        ids = []
        with Gangerd() as g:
            for _ in range(4):
                with g.connect() as client:
                    self.assertEqual([client.outcome(client.start("result", id))[0]["code"] for id in ids], ["unknown_task"] * len(ids))
                    ids += [client.submit("echo", 1) for _ in range(3)]
                g.process.kill()
                g.process.wait()
                g.start()
        self.assertEqual(ids, sorted(set(ids)))


if __name__ == "__main__":
    main()
