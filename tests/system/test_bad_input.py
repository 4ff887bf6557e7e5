# SPDX-License-Identifier: MIT
"""Bad input: each has its clear error, and nothing else is harmed. Of the protocol's own errors tests/conformance compares every
one; here is what it costs the daemon, and what is wrong in modules and configurations."""
import collections
import json
import os
import random
import re
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import (GANGERD, MODULES, TEST_MODULES, Child, Flat, Gangerd, configuration, environment, eventually,  # noqa: E402
                     main, sanitized)
from chaos import LEAVING, leave  # noqa: E402
from wire import Closed, Refused, pack  # noqa: E402

MIB = 1 << 20
EXIT_CONFIGURATION = 78
CALL = b"\x94\x00\x01\xa4call\x93\xa4echo"

DECLARED = [CALL + kind + struct.pack(">I", n) + rest for n in (2**32 - 1, 2**31, 2**28, 65 * MIB)
            for kind, rest in ((b"\xdd", b""), (b"\xdf", b""), (b"\x91\xc6", b""), (b"\x91\xdb", b""), (b"\x91\xc9", b"\x01"),
                               (b"\xdd\x00\x00\x00\x01\xdd", b""))]
DEEP = [CALL + open_ * 1000 + b"\xc0" for open_ in (b"\x91", b"\x81\xc0", b"\xdd\x00\x00\x00\x01", b"\xde\x00\x01\xc0")]


def told(client):
    """What the daemon said before it closed: one protocol_error, or nothing if that was lost upon unread bytes."""
    errors = client.end_of_file()
    assert [error["code"] for error in errors] in ([], ["protocol_error"]), errors
    return errors


def peak_bytes(gangerd):
    """The most that has been resident."""
    with open(f"/proc/{gangerd.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


class Anything(dict):
    """Every msgid is open: a mutated message asks for anything."""

    def __contains__(self, _):
        return True

    def pop(self, *_):
        return ""


class BadInput(unittest.TestCase):
    def test_frames_cost_no_memory(self):
        """Lengths up to 2^32 - 1, depth 1,000, garbage, a bare number, 65 MiB: the connection ends, the daemon's memory is flat."""
        rng = random.Random(2)
        frames = DECLARED + DEEP + [b"\x05", b"\xc1", b"GET / HTTP/1.0\r\n\r\n"] + [rng.randbytes(300) for _ in range(100)]
        with Gangerd() as g, g.connect() as other:
            other.call("echo", bytes(MIB))
            flat = Flat(g)
            for frame in frames:
                with g.connect(bound=3) as client:
                    client.send_bytes(frame)
                    if frame not in DECLARED and frame not in DEEP:
                        client.shut_down()  # random bytes may be the beginning of a message
                    self.assertIn(len(told(client)), (1,) if frame in DECLARED or frame in DEEP else (0, 1), frame[:40])
                flat.sample()
            # Those that stay: declared, and then nothing more comes.
            held = [g.connect() for _ in range(50)]
            for client in held:
                client.send_bytes(CALL + b"\x91\xc6" + struct.pack(">I", 60 * MIB))
            other.call("sleep", 0.05)
            self.assertEqual(other.ask("status")["connections"], 51)
            print(f"memory +{flat.grown() / MIB:.1f} MiB after {len(frames)} bad frames and with 50 that are only declared")
            if not sanitized():
                self.assertLess(flat.grown(), 4 * MIB)
            for client in held:
                client.close()
            self.assertEqual(other.call("echo", "served"), "served")

    def test_one_log_line_for_each(self):
        with Gangerd() as g:
            for _ in range(5):
                with g.connect() as client:
                    client.send_bytes(b"\xc1")
                    self.assertEqual(len(told(client)), 1)
            lines = [line for line in g.log().splitlines() if "protocol" in line.lower()]
            self.assertEqual(len(lines), 5, lines)

    def test_message_of_65_mib(self):
        with Gangerd() as g, g.connect() as other:
            flat = Flat(g)
            with g.connect() as client:
                try:
                    client.send_bytes(CALL + b"\x91\xc6" + struct.pack(">I", 65 * MIB))
                    for _ in range(65):
                        client.send_bytes(bytes(MIB))
                except Closed:
                    pass
                told(client)
            if not sanitized():
                self.assertLess(flat.grown(), 2 * MIB)
            # The largest that may be is taken, and what it cost is given back.
            with g.connect(bound=60) as client:
                value = bytes(64 * MIB - 64 * 1024)
                self.assertTrue(client.call("echo", value) == value)
            self.assertEqual(other.call("echo", 1), 1)
            grown = g.rss() - flat.base
            print(f"memory +{grown / MIB:.1f} MiB after a message of 64 MiB")
            if not sanitized():
                self.assertLess(grown, 24 * MIB)

    def test_millions_of_items(self):
        """A byte or two each: refused for their number, before there is anything for each of them."""
        n = 4 * MIB
        keys, nils, pairs = (head + struct.pack(">I", n) + item * n for head, item in ((b"\xdd", b"\xa0"), (b"\xdd", b"\xc0"), (b"\xdf", b"\xa0\x00")))
        with Gangerd() as g, g.connect(bound=60) as client:
            before = peak_bytes(g)
            for items, method, *params in ((nils, "queue.put", "MANY"), (nils, "list.push", "MANY"), (pairs, "dict.set", "MANY"), (keys, "dict.get", "MANY"),
                                           (keys, "dict.delete", "MANY"), (pairs, "dict.set", {"k": 1}, {"if_version": "MANY"})):
                msgid, data = client.pack_request(method, "name", *params)
                client.send_bytes(data.replace(pack("MANY"), items))
                error, _ = client.outcome(msgid)
                self.assertEqual(error and error["code"], "too_large", (method, params))
            grown = peak_bytes(g) - before
            print(f"memory at most +{grown / MIB:.1f} MiB with {n} items in a request")
            if not sanitized():
                self.assertLess(grown, 48 * MIB)
            self.assertEqual(client.ask("shared.list"), [])

    def test_arguments_that_no_worker_takes(self):
        """A message that is taken, with arguments that no message to a worker has room for."""
        for limits, beyond in (({}, 0), ({"max_message": "128M"}, 6 * MIB)):
            with Gangerd(limits) as g, g.connect(bound=60) as client:
                empty = len(pack([0, 1, "submit", ["echo", [bytes(1 << 16)], {}]])) - (1 << 16)
                value = bytes(64 * MIB + beyond - empty)
                for method, args in (("call", [value]), ("submit", [value]), ("map", [[value]])):
                    error, _ = client.outcome(client.start(method, "echo", args, {}))
                    self.assertEqual(error and error["code"], "too_large", method)
                feeding = client.start("map", "echo", [[1]], {"feed": True})
                client.notify("feed", feeding, [[value]])
                self.assertEqual(client.outcome(feeding)[0]["code"], "too_large")
                self.assertEqual(client.call("echo", "served"), "served")
                self.assertEqual(g.all_idle()["totals"]["workers_lost"], 0)

    def test_feed_without_room_ends_its_map(self):
        """Its items are not kept: the map must not end as if they had never been there."""
        with Gangerd({"user_memory": "1M", "max_message": "1M"}) as g, g.connect() as client:
            feeding = client.start("map", "echo", [[1]], {"feed": True})
            filler = client.submit("echo", bytes(900000), delay=1000)
            feed = pack([2, "feed", [feeding, [[bytes(300000)]]]])
            client.send_bytes(feed[:200000])
            error, _ = client.outcome(feeding)
            self.assertEqual((error["code"], error["what"]), ("quota_exceeded", "user_memory"))
            client.send_bytes(feed[200000:])
            self.assertEqual(client.ask("cancel", filler), 1)
            self.assertEqual(client.call("echo", bytes(300000)), bytes(300000))
            g.all_idle()

    def test_unfinished_message_is_not_kept_for_ever(self):
        with Gangerd({"message_timeout": "300 ms"}) as g, g.connect() as client, g.connect() as idle:
            client.send_bytes(pack([0, 1, "ping", []])[:-1])
            errors = client.end_of_file()
            self.assertEqual([error["code"] for error in errors], ["protocol_error"])
            self.assertEqual(idle.ask("ping"), "pong")

    def test_garbage_between_the_good(self):
        """Mutations of good messages: an answer, an error, or the end of that connection."""
        rng = random.Random(5)
        good = [pack([0, 1, "call", ["echo", [{"a": [1, 2, "x" * 50]}], {"priority": 3}]]), pack([0, 1, "status", []]),
                pack([0, 1, "map", ["echo", [[1], [2]], {"collect": True}]]), pack([2, "submit", ["echo", [1]]]),
                pack([0, 1, "wait", [[1, 2, 3], {"timeout": 0.01}]]), pack([0, 1, "tasks", [{"limit": 5}]])]
        with Gangerd() as g, g.connect() as other:
            for _ in range(400):
                data = bytearray(rng.choice(good))
                for _ in range(rng.randrange(1, 4)):
                    data[rng.randrange(len(data))] = rng.randrange(256)
                with g.connect() as client:
                    client.open = Anything()
                    client.streams = collections.defaultdict(list)
                    client.send_bytes(data)
                    client.shut_down()
                    client.end_of_file()
            self.assertEqual(other.call("echo", "alive"), "alive")
            g.all_idle()

    def test_clients_that_leave(self):
        """In the middle of a message, a call, a map; with a large answer under way; killed."""
        with Gangerd() as g, g.connect() as other:
            bystander = other.start("call", "sleep", [0.5], {})
            for how in LEAVING:
                child = Child(leave, g.socket, how)
                self.assertEqual(child.end(), (-9, "under way\n"))
                self.assertEqual(other.call("echo", how), how)
            self.assertIsNone(other.finish(bystander))
            status = g.all_idle()
            self.assertEqual(status["totals"]["workers_lost"], 0)
            self.assertEqual(eventually(lambda: (n := g.status()["connections"]) == 2 and n), 2)

    def test_strange_requests(self):
        """Unknown method, function, pool, option, and wrong types say what is wrong."""
        asked = [
            (("none",), "unknown_method", "none"), (("call", "none", []), "unknown_function", "none"),
            (("call", "echo", [], {"pool": "none"}), "unknown_pool", "none"),
            (("call", "echo", [], {"none": 1}), "invalid_params", "none"),
            (("call", "echo", [], {"timeout": "soon"}), "invalid_params", "timeout"), (("call", 5, []), "invalid_params", ""),
            (("call", "sleep", ["long"]), "task_failed", ""), (("call", "echo", [1, 2]), "task_failed", ""),
            (("call", "exec", ["ls"]), "task_failed", ""), (("call", "exec", [[]]), "task_failed", ""),
            (("call", "exec", [["ls"], {"none": 1}]), "task_failed", "none"),
            (("call", "sleep", [-1]), "task_failed", ""), (("call", "sleep", [0, 1]), "task_failed", "it takes seconds"), (("call", "sleep", []), "task_failed", ""),
            (("call", "digest.sha256", ["/"]), "task_failed", "/"), (("call", "text.merge", [1]), "task_failed", ""),
            (("call", "image.gamma", [b"no png", None]), "task_failed", "PNG"),
        ]
        with Gangerd() as g, g.connect() as client:
            for params, code, word in asked:
                with self.assertRaises(Refused, msg=params) as caught:
                    client.ask(*params)
                self.assertEqual(caught.exception.code, code, (params, caught.exception.error))
                self.assertIn(word, caught.exception.error["message"], params)

    def refused_start(self, text, *words):
        """gangerd ends with 78 and its log names all the words."""
        g = Gangerd(text=text)
        try:
            process = g.spawn()
            try:
                status = process.wait(20)
            finally:
                process.kill()
            self.assertEqual(status, EXIT_CONFIGURATION, g.log())
            for word in words:
                self.assertIn(word, g.log())
            self.assertFalse(os.path.exists(g.socket))
        finally:
            g.clean()

    def test_modules_that_are_none(self):
        for module, words in (("none_such", ["none_such"]), (f"{TEST_MODULES}/none.so", ["none.so"]), ("bad_none", ["bad_none"]),
                              ("bad_abi", ["bad_abi", "ABI"]), ("bad_thread", ["bad_thread", "thread"]), ("bad_load", ["bad_load"]),
                              ("/etc/hostname", ["/etc/hostname"]), ("bad_name", ["bad_name"]), ("digest bad_size", ["bad_size"])):
            with self.subTest(module=module):
                self.refused_start(configuration(pool={"modules": module}), *words)

    def test_configurations_that_are_wrong(self):
        path = f"module_path = {MODULES}"
        wrong = [
            (f"[daemon]\n{path}\nsokket = /x\n", 3, ["sokket", "socket", "max_connections"]),
            ("[pool default]\nworkers = 1\nworker = 2\n", 3, ["worker", "workers", "queue_limit"]),
            ("[demon]\nsocket = /x\n", None, ["demon", "daemon", "pool"]),
            ("[pool default]\nworkers = many\n", 2, ["workers", "many"]), ("[pool default]\nworkers = 0\n", 2, ["workers"]),
            ("[daemon]\nmax_message = 5\n", 2, ["max_message"]), ("[daemon]\nstop_timeout = soon\n", 2, ["stop_timeout", "soon"]),
            ("[daemon]\nsocket_mode = 0999\n", 2, ["socket_mode", "0999"]), ("[daemon]\nlog_level = loud\n", 2, ["log_level", "loud"]),
            ("[daemon\n", 1, []), ("[daemon]\nnonsense\n", 2, []), ("socket = /x\n", 1, []),
            ("[pool a b]\nworkers = 1\n", None, ["a b"]), ("[daemon]\nsocket_group = nobody-has-this\n", 2, ["nobody-has-this"]),
            ("[pool default]\nzygote = /no/such/zygote\n", None, ["/no/such/zygote"]),
        ]
        for text, line, words in wrong:
            with self.subTest(text=text):
                place = [] if line is None else [f"ganger.conf:{line}"]
                self.refused_start(text, *place, *words)

    def test_check_says_the_same_without_starting(self):
        cases = ((configuration(), 0, "module_path"), ("[daemon]\nsokket = 1\n", EXIT_CONFIGURATION, r"ganger\.conf:2\b.*sokket"),
                 (configuration(pool={"modules": "digest bad_load"}), EXIT_CONFIGURATION, "bad_load.*the moon is not full"))
        for text, status, words in cases:
            g = Gangerd(text=text)
            try:
                self.assertEqual(g.spawn("--check").wait(20), status, g.log())
                self.assertFalse(os.path.exists(g.socket))
                self.assertRegex(g.log(), words)
            finally:
                g.clean()

    def test_settings_for_no_module(self):
        """They are no mistake, as a pool may be in another file; that they do nothing is said."""
        modules = {"modules": f"text {TEST_MODULES}/probe.so"}
        more = "[module text]\n[module probe]\nstart_at = 1\n[module core]\n[module prob]\nstart_at = 2\n"
        g = Gangerd(text=configuration(pool=modules, more=more))
        try:
            self.assertEqual(g.spawn("--check").wait(20), 0, g.log())
            said = re.findall(r"ganger\.conf:(\d+): (\[module .*)", g.log())
            self.assertEqual(said, [(str(n), f'[module {name}] is for no pool: none has "{name}" in its modules') for n, name in ((9, "core"), (10, "prob"))])
        finally:
            g.clean()

    def test_check_for_programs(self):
        """All that is wrong in one object, whatever modules print while they load"""
        g = Gangerd(text=configuration(pool={"modules": "none_such"}, more="[pool other]\nmodules = bad_load\n[pool good]\n"))
        try:
            g.config.write_text(g.text, encoding="utf-8")
            done = subprocess.run([GANGERD, "--check", "--json", "--config", g.config, "--socket", g.socket], env=environment(),
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
            self.assertIn(b"a module prints", done.stderr)
            said = json.loads(done.stdout)
            self.assertEqual(done.returncode, EXIT_CONFIGURATION)
            self.assertEqual([(problem["about"], problem["pool"]) for problem in said["problems"]],
                             [("modules", "default"), ("modules", "other")])
            self.assertEqual(said["daemon"]["socket"], g.socket)
            self.assertEqual([pool["name"] for pool in said["pools"]], ["default", "other", "good"])
            self.assertEqual(said["pools"][0]["workers"], 2)
            needs = said["needs"]
            self.assertGreater(needs["descriptors"], needs["least_descriptors"] + said["daemon"]["max_connections"])
            self.assertGreater(needs["processes"], needs["least_processes"])
            self.assertGreater(needs["least_processes"], sum(pool["workers"] for pool in said["pools"]))
        finally:
            g.clean()

    def test_check_for_programs_names_the_socket(self):
        """Beside what else is wrong; nothing of it stands in the log instead"""
        g = Gangerd(text=configuration(pool={"modules": "none_such"}))
        try:
            g.config.write_text(g.text, encoding="utf-8")
            done = subprocess.run([GANGERD, "--check", "--json", "--config", g.config, "--socket", "/" + "x" * 200], env=environment(),
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
            self.assertEqual((done.returncode, done.stderr), (EXIT_CONFIGURATION, b""))
            socket, modules = json.loads(done.stdout)["problems"]
            self.assertEqual([socket["about"], socket["pool"], modules["about"]], ["socket", None, "modules"])
            self.assertIn("107 bytes", socket["message"])
        finally:
            g.clean()

    def test_configuration_that_is_not_there(self):
        g = Gangerd(text="")
        try:
            self.assertEqual(g.spawn("--config", "/no/such/file").wait(10), EXIT_CONFIGURATION)
            self.assertIn("/no/such/file", g.log())
            self.assertNotEqual(g.spawn("--no-such-option").wait(10), 0)
        finally:
            g.clean()


if __name__ == "__main__":
    main()
