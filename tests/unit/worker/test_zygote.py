#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The zygote's channel: hello, load and each way in which it is refused, spawn, stop. Run as PROGRAM MODULES_DIR."""
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

from zygote_driver import BOUND, Zygote, become_subreaper

PROGRAM, MODULES = sys.argv[1:3]


def open_and_read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Load(unittest.TestCase):
    def refused(self, module, *words, module_path=(MODULES,), settings=None):
        with Zygote(PROGRAM) as zygote:
            error = zygote.load([module], module_path, settings=settings)
            self.assertIsInstance(error, dict)
            self.assertEqual(error["code"], "load_failed")
            for word in words:
                self.assertIn(word, error["message"])
            self.assertIsNone(zygote.channel.receive())
            self.assertEqual(zygote.process.wait(BOUND), 78)
            return error

    def test_hello_comes_first(self):
        with Zygote(PROGRAM) as zygote:
            self.assertEqual(zygote.hello[:2], [2, "hello"])
            self.assertEqual(zygote.hello[2][0]["protocol"], 1)
            self.assertEqual(zygote.hello[2][0]["pid"], zygote.process.pid)

    def test_core_is_always_there(self):
        with Zygote(PROGRAM) as zygote:
            self.assertEqual([f[:2] for f in zygote.load([])],
                             [["echo", "core"], ["sleep", "core"], ["exec", "core"]])

    def test_without_exec(self):
        with Zygote(PROGRAM) as zygote:
            self.assertEqual([f[0] for f in zygote.load(["core"], exec=False)], ["echo", "sleep"])

    def test_by_name_and_by_path(self):
        for module in "probe", f"{MODULES}/probe.so":
            with Zygote(PROGRAM) as zygote:
                functions = zygote.load([module, "core"], ["/nonexistent", MODULES])
                self.assertIn(["probe.big", "probe", "[size] -> bin"], functions)

    def test_not_found(self):
        error = self.refused("nowhere", "nowhere was not found", f"{MODULES}/nowhere.so", "module_path")
        self.assertEqual(error["module"], "nowhere")

    def test_not_found_by_path(self):
        self.refused("/nonexistent/gone.so", "/nonexistent/gone.so", "No such file")

    def test_no_path_to_look_in(self):
        self.refused("probe", "module_path names no directory", module_path=[])

    def test_no_name(self):
        self.refused("../probe", "\"../probe\" is no module")

    def test_no_shared_object(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(f"{directory}/text.so", "w", encoding="ascii") as file:
                file.write("no ELF")
            self.refused("text", f"{directory}/text.so", "no module that can be loaded",
                         module_path=[directory])

    def test_no_module(self):
        self.refused("bad_none", "bad_none.so", "GANGER_MODULE()")

    def test_another_abi(self):
        self.refused("bad_abi", "bad_abi", "ABI 7", "ABI 1", "build it again")

    def test_descriptor_too_small(self):
        self.refused("bad_size", "8 bytes", "build it again")

    def test_name_is_not_the_files(self):
        self.refused("bad_name", "bad_name.so", "another")

    def test_function_twice(self):
        self.refused("bad_twice", "two functions named same")

    def test_starts_a_thread(self):
        self.refused("bad_thread", "bad_thread", "starts a thread", "start()")

    def test_load_fails(self):
        self.refused("bad_load", "bad_load", "the moon is not full")

    def test_named_twice(self):
        with Zygote(PROGRAM) as zygote:
            self.assertIn("named twice", zygote.load(["probe", "probe"], [MODULES])["message"])

    def test_unknown_setting(self):
        self.refused("probe", "unknown setting colour", settings={"probe": {"colour": "red"}})

    def test_setting_of_a_module_without_load(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(f"{MODULES}/bad_name.so", f"{directory}/another.so")
            self.refused("another", "no settings", "depth", module_path=[directory],
                         settings={"another": {"depth": "3"}})


class Spawn(unittest.TestCase):
    def test_worker_is_reported_and_says_hello(self):
        with Zygote(PROGRAM) as zygote:
            zygote.load()
            worker = zygote.spawn()
            self.assertEqual(worker.spawned, [2, "spawned", [1, worker.pid]])
            self.assertEqual(worker.hello, [2, "hello", [{"protocol": 1, "slots": 64, "area": True, "descriptors": True}]])

    def test_worker_is_our_child_and_the_middle_one_is_gone(self):
        with Zygote(PROGRAM) as zygote:
            zygote.load()
            worker = zygote.spawn()
            with open(f"/proc/{worker.pid}/stat", encoding="ascii") as stat:
                parent, group, session = stat.read().rpartition(")")[2].split()[1:4]
            self.assertEqual(int(parent), os.getpid())
            self.assertEqual([int(group), int(session)], [worker.pid] * 2)
            path = f"/proc/{zygote.process.pid}/task/{zygote.process.pid}/children"
            deadline = time.monotonic() + BOUND
            while open_and_read(path) and time.monotonic() < deadline:
                time.sleep(0.001)
            self.assertEqual(open_and_read(path), "")

    def test_titles(self):
        with Zygote(PROGRAM, pool="images") as zygote:
            zygote.load()
            worker = zygote.spawn()
            for pid, title in (zygote.process.pid, b"ganger: zygote images"), (worker.pid, b"ganger: worker images"):
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    self.assertEqual(cmdline.read().rstrip(b"\0"), title)

    def test_workers_outlive_their_zygote(self):
        with Zygote(PROGRAM) as zygote:
            zygote.load()
            worker = zygote.spawn()
            zygote.process.kill()
            zygote.process.wait(BOUND)
            self.assertEqual(worker.call("echo", 1), (None, 1))

    def test_stop(self):
        with Zygote(PROGRAM) as zygote:
            zygote.load()
            zygote.channel.send([2, "stop", []])
            self.assertEqual(zygote.process.wait(BOUND), 0)

    def test_end_of_file(self):
        zygote = Zygote(PROGRAM)
        zygote.channel.sock.close()
        self.assertEqual(zygote.process.wait(BOUND), 0)

    def test_nonsense_ends_it(self):
        for message in [2, "dance", []], 17, [2, "spawn", [1, 2, 3]]:
            with open(os.devnull, "w", encoding="ascii") as null, Zygote(PROGRAM, stderr=null) as zygote:
                zygote.channel.send(message)
                self.assertEqual(zygote.process.wait(BOUND), 70)

    def test_bad_area_ends_the_worker_only(self):
        with open(os.devnull, "w", encoding="ascii") as null, Zygote(PROGRAM, stderr=null) as zygote:
            zygote.load()
            worker = zygote.spawn(slots=65, hello=False)
            worker.pid = worker.spawned[2][1]
            self.assertIsNone(worker.channel.receive())
            self.assertEqual(os.waitstatus_to_exitcode(worker.reap()), 70)
            self.assertEqual(zygote.spawn().call("echo", 1), (None, 1))

    def test_what_each_worker_makes_of_itself(self):
        cpu = min(os.sched_getaffinity(0))
        with Zygote(PROGRAM) as zygote:
            zygote.load(worker={"nice": 7, "scheduling": "batch", "cpu_affinity": [cpu], "colour": "red"})
            for pid in zygote.spawn().pid, zygote.spawn().pid:
                self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), 7)
                self.assertEqual(os.sched_getscheduler(pid), os.SCHED_BATCH)
                self.assertEqual(os.sched_getaffinity(pid), {cpu})
            self.assertEqual(os.getpriority(os.PRIO_PROCESS, zygote.process.pid), os.getpriority(os.PRIO_PROCESS, 0))

    def test_what_it_cannot_have_is_told_and_it_works_without(self):
        with Zygote(PROGRAM) as zygote:
            zygote.load(worker={"nice": 19, "scheduling": "idle", "cpu_affinity": [8191]})
            worker = zygote.spawn()
            self.assertEqual(worker.hello[2][0]["refused"], {"cpu_affinity": "Invalid argument"})
            self.assertEqual(os.sched_getscheduler(worker.pid), os.SCHED_IDLE)
            self.assertEqual(os.sched_getaffinity(worker.pid), os.sched_getaffinity(0))
            self.assertEqual(worker.call("echo", 1), (None, 1))

    def test_confinement_that_makes_no_sense_ends_it(self):
        for wrong in ({"nice": 20}, {"scheduling": "fifo"}, {"cpu_affinity": [8192]}, {"cpu_affinity": 1}, {"nice": "low"}):
            with open(os.devnull, "w", encoding="ascii") as null, Zygote(PROGRAM, stderr=null) as zygote:
                zygote.channel.send([0, 7, "load", [{"modules": [], "module_path": [], "worker": wrong}]])
                self.assertEqual(zygote.process.wait(BOUND), 70, wrong)

    def test_start_fails(self):
        with open(os.devnull, "w", encoding="ascii") as null, Zygote(PROGRAM, stderr=null) as zygote:
            zygote.load(["probe"], [MODULES], settings={"probe": {"start_at": "999"}})
            worker = zygote.spawn(hello=False)
            worker.pid = worker.spawned[2][1]
            self.assertIsNone(worker.channel.receive())
            self.assertEqual(os.waitstatus_to_exitcode(worker.reap()), 70)

    def test_settings_state_start_and_stop(self):
        with tempfile.TemporaryDirectory() as directory:
            stopped = f"{directory}/stopped"
            with Zygote(PROGRAM, env={"PROBE_STOPPED": stopped}) as zygote:
                zygote.load(["probe"], [MODULES], settings={"probe": {"start_at": "41"}, "other": {"x": "1"}})
                workers = [zygote.spawn(), zygote.spawn()]
                for worker in workers:
                    self.assertEqual(worker.call("probe.state"), (None, 42))
                self.assertFalse(os.path.exists(stopped))
                workers[0].channel.send([2, "stop", []])
                self.assertEqual(os.waitstatus_to_exitcode(workers[0].reap()), 0)
                self.assertTrue(os.path.exists(stopped))

    def test_usage(self):
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 2)
            os.closerange(3, 64)
            os.execv(PROGRAM, [PROGRAM, "pool"])
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 2)


if __name__ == "__main__":
    signal.alarm(55)
    become_subreaper()
    unittest.main(argv=sys.argv[:1], verbosity=1)
