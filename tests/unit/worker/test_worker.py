#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The worker's channel: run, chunk, claims and take-back, results and failures, cancellation, descriptors, strays.
Run as PROGRAM MODULES_DIR."""
import os
import signal
import sys
import tempfile
import time
import struct
import unittest

import msgpack

from zygote_driver import CLAIMED, DONE, FD, REVOKED, SENT, Zygote, become_subreaper, gone

PROGRAM, MODULES = sys.argv[1:3]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.null = open(os.devnull, "w", encoding="ascii")
        cls.zygote = Zygote(PROGRAM, stderr=cls.null)
        cls.zygote.load(["nest", "probe"], [MODULES])

    @classmethod
    def tearDownClass(cls):
        cls.zygote.close()
        cls.null.close()

    def setUp(self):
        self.worker = self.zygote.spawn()

    def tearDown(self):
        self.worker.close()
        self.zygote.workers.remove(self.worker)

    def failed(self, code, words, function, *args, **options):
        error, _ = self.worker.call(function, *args, **options)
        self.assertIsNotNone(error)
        self.assertEqual(error["code"], code)
        self.assertIn(words, error["message"])
        return error


class Run(Case):
    def test_echo_of_every_type(self):
        for value in (None, True, False, 0, -1, 127, 128, -33, 2**63, 2**64 - 1, -2**63, 1.5, "", "é", b"\0\xff",
                      [], [1, [2]], {}, {"a": {"b": []}}, msgpack.ExtType(5, b"abc"), "x" * 70000):
            self.assertEqual(self.worker.call("echo", value), (None, value))

    def test_slot_is_done_after_the_answer(self):
        task = self.worker.run("echo", 1, slot=63)
        self.worker.answer()
        self.assertEqual(self.worker.slot, 63)
        self.worker.wait_for(63, task, DONE)

    def test_answer_names_task_and_attempt(self):
        task = self.worker.run("echo", 1, slot=5)
        self.assertEqual(self.worker.channel.receive(), [1, 5, None, [task, 1, 1]])

    def test_tasks_sent_ahead_run_in_order(self):
        for i in range(64):
            self.worker.run("echo", i, slot=i)
        for i in range(64):
            self.assertEqual(self.worker.answer(), (None, i))
            self.assertEqual(self.worker.slot, i)

    def test_message_cut_at_every_byte(self):
        self.worker.set_word(0, 7, SENT)
        data = msgpack.packb([0, 0, "run", [7, 1, 0, 0, ["abc"], 0]])
        for i in range(len(data)):
            self.worker.channel.sock.send(data[i:i + 1])
        self.assertEqual(self.worker.answer(), (None, "abc"))

    def test_taken_back_is_dropped_in_silence(self):
        self.worker.run("echo", "revoked", slot=0, state=REVOKED)
        self.worker.run("echo", "run", slot=1)
        self.assertEqual(self.worker.answer(), (None, "run"))
        self.assertEqual(self.worker.slot, 1)

    def test_slot_given_to_another_task_is_not_claimed_by_the_old_message(self):
        old = self.worker.run("sleep", 0.05, slot=0)
        self.worker.wait_for(0, old, CLAIMED)
        self.worker.run("echo", "old", slot=1)
        self.worker.run("echo", "new", slot=1)  # takes slot 1 over
        self.assertEqual(self.worker.answer(), (None, None))
        self.assertEqual(self.worker.answer(), (None, "new"))

    def test_begin_is_stored_before_the_claim(self):
        before = time.monotonic_ns()
        task = self.worker.run("sleep", 0.05)
        self.worker.wait_for(0, task, CLAIMED)
        self.assertLessEqual(before, self.worker.begin_index(0)[0])
        self.assertLessEqual(self.worker.begin_index(0)[0], time.monotonic_ns())
        self.worker.answer()

    def test_wrong_arguments_name_what_it_takes(self):
        self.failed("task_failed", "missing; it takes: [seconds]", "sleep")
        self.failed("task_failed", "wrong type or value; it takes: [seconds]", "sleep", "long")
        self.failed("task_failed", "wanted are seconds", "sleep", -1)
        self.failed("task_failed", "wanted are seconds", "sleep", float("nan"))
        self.failed("task_failed", "one argument too many", "echo", 1, 2)
        self.assertEqual(self.worker.call("echo", 1), (None, 1))

    def test_result_must_be_one_value(self):
        for function in "nothing", "two", "half":
            self.failed("task_failed", "not exactly one value", f"probe.{function}")

    def test_result_too_deep(self):
        self.assertIsNone(self.worker.call("probe.deep", 29)[0])
        self.failed("task_failed", "not exactly one value of at most 30 levels", "probe.deep", 31)

    def test_result_too_large(self):
        self.assertEqual(self.worker.call("probe.big", (256 << 10) - 1)[1], b"x" * ((256 << 10) - 1))
        for size in (256 << 10, 64 << 20, 1 << 30):  # beside the message
            value = self.worker.call("probe.big", size)[1]
            self.assertEqual((value.code, value.data), (71, struct.pack(">BQ", 0, size)))
        self.failed("too_large", "larger than", "probe.big", (1 << 30) + 1)
        self.failed("too_large", "larger than", "probe.big", 1 << 40)
        self.assertEqual(self.worker.call("probe.big", 3), (None, b"xxx"))

    def test_failure_with_detail(self):
        error = self.failed("task_failed", "it is broken", "probe.fail")
        self.assertEqual(error["detail"], [1, "two"])
        self.assertEqual(error["attempt"], 1)

    def test_failure_without_words(self):
        self.failed("task_failed", "returned 5 without saying", "probe.silent")

    def test_progress_and_log(self):
        task = self.worker.run("probe.news")
        self.assertEqual(self.worker.answer(), (None, None))
        progress, log = self.worker.streams
        self.assertEqual(progress, [task, "progress", [0.5, "half"]])
        self.assertEqual([log[0], log[1], log[2][0], log[2][3]], [task, "log", 4, "number 7"])

    def test_progress_that_is_beyond_its_range(self):
        """By the rounding of a sum, or 0 of 0: gangerd is told what it takes."""
        for done, told in ((1.0000001, 1.0), (float("inf"), 1.0), (-0.1, 0.0), (float("nan"), 0.0), (0.25, 0.25)):
            task = self.worker.run("probe.progress", done)
            self.assertEqual(self.worker.answer(), (None, None))
            self.assertEqual(self.worker.streams.pop(), [task, "progress", [told, None]])

    def test_large_arguments(self):
        value = b"y" * (20 << 20)
        self.assertEqual(self.worker.call("echo", value)[1], value)


class Chunk(Case):
    def test_items_are_reported_one_by_one(self):
        task = self.worker.chunk("echo", [[10], ["x"], []], first=1000)
        self.assertEqual(self.worker.answer(), (None, None))
        items = self.worker.items
        self.assertEqual(items[:2], [[task, 1, 1000, None, 10], [task, 1, 1001, None, "x"]])
        self.assertEqual(items[2][:3] + items[2][4:], [task, 1, 1002, None])
        self.assertEqual(items[2][3]["code"], "task_failed")

    def test_slot_shows_the_running_item(self):
        task = self.worker.chunk("sleep", [[0], [0], [0.2]], first=70)
        deadline = time.monotonic() + 5
        while self.worker.begin_index(0)[1] != 72 and time.monotonic() < deadline:
            time.sleep(0.001)
        self.assertEqual(self.worker.begin_index(0)[1], 72)
        self.worker.answer()
        self.worker.wait_for(0, task, DONE)

    def test_told_to_end_between_items(self):
        task = self.worker.chunk("sleep", [[10]] * 5, first=3)
        self.worker.wait_for(0, task, CLAIMED)
        self.worker.tell(task)
        error, _ = self.worker.answer()
        self.assertEqual(error["code"], "cancelled")
        self.assertEqual([(item[2], item[3]["code"]) for item in self.worker.items], [(3, "cancelled")])

    def test_detail_and_deep_values_of_items(self):
        self.worker.chunk("probe.fail", [[]])
        self.worker.answer()
        self.assertEqual(self.worker.items[0][3]["detail"], [1, "two"])
        self.worker.chunk("probe.deep", [[27], [29]])
        self.worker.answer()
        self.assertIsNone(self.worker.items[1][3])
        self.assertIn("28 levels", self.worker.items[2][3]["message"])

    def test_descriptors_of_items(self):
        with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
            for file, text in (one, b"one"), (two, b"two"):
                file.write(text)
                file.seek(0)
            self.worker.chunk("probe.head", [[FD], [FD]], fds=[one.fileno(), two.fileno()])
            self.worker.answer()
        self.assertEqual([item[4] for item in self.worker.items], [b"one", b"two"])


class Cancel(Case):
    def test_sleep(self):
        task = self.worker.run("sleep", 30)
        self.worker.wait_for(0, task, CLAIMED)
        self.worker.tell(task)
        begin = time.monotonic()
        error, _ = self.worker.answer()
        self.assertLess(time.monotonic() - begin, 1)
        self.assertEqual(error["code"], "cancelled")
        self.assertEqual(self.worker.cancel_word(), 0)

    def test_interrupted_call_of_a_module(self):
        task = self.worker.run("probe.loop")
        self.worker.wait_for(0, task, CLAIMED)
        self.worker.tell(task)
        self.assertEqual(self.worker.answer()[0]["code"], "cancelled")

    def test_word_for_another_task_ends_nothing(self):
        task = self.worker.run("sleep", 0.2)
        self.worker.wait_for(0, task, CLAIMED)
        self.worker.tell(task + 1)
        self.assertEqual(self.worker.answer(), (None, None))

    def test_signal_while_idle(self):
        self.worker.tell(1)
        self.assertEqual(self.worker.call("echo", 1), (None, 1))


def tempfile_in_memory():
    return open(os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "rb")


class Descriptors(Case):
    EXPECTED = [0, 1, 2, 3]

    def numbers(self):
        error, fds = self.worker.call("probe.fds")
        self.assertIsNone(error)
        return sorted(number for number, _ in fds)

    def test_a_task_finds_exactly_these(self):
        self.assertEqual(self.numbers(), self.EXPECTED)

    def test_none_is_left_open(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"content")
            file.flush()
            self.assertEqual(self.worker.call("probe.head", file.name), (None, b"content"))
            file.seek(0)
            self.assertEqual(self.worker.call("probe.head", FD, fds=[file.fileno()]), (None, b"content"))
            file.seek(0)
            with tempfile_in_memory() as memory:
                self.worker.run("probe.head", FD, fds=[memory.fileno()], state=REVOKED)
            self.worker.call("exec", ["true"], {"stdin": FD}, fds=[file.fileno()])
            self.worker.call("exec", ["/nonexistent"], {"stdin": "text"})
            self.failed("task_failed", "a descriptor cannot be a result", "echo", FD, fds=[file.fileno()])
        self.failed("task_failed", "cannot open: No such file", "probe.head", "/nonexistent/file")
        self.assertEqual(self.numbers(), self.EXPECTED)

    def test_worker_goes_with_a_file_of_a_task_that_was_taken_back(self):
        """Nobody would know of a close that hangs."""
        with tempfile.TemporaryFile() as file:
            self.worker.run("probe.head", FD, fds=[file.fileno()], state=REVOKED)
            with self.assertRaises(EOFError):
                self.worker.answer()

    def test_descriptors_of_tasks_sent_ahead_stay_apart(self):
        with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two:
            for file, text in (one, b"one"), (two, b"two"):
                file.write(text)
                file.seek(0)
            self.worker.run("sleep", 0.05, slot=0)
            self.worker.run("probe.head", FD, slot=1, fds=[one.fileno()])
            self.worker.run("echo", 1, slot=2)
            self.worker.run("probe.head", FD, slot=3, fds=[two.fileno()])
        self.assertEqual([self.worker.answer()[1] for _ in range(4)], [None, b"one", 1, b"two"])


class Ask(Case):
    """What a task asks for: the driver is gangerd, and answers when it likes."""

    def asked(self):
        kind, msgid, method, params = self.worker.channel.receive()
        self.assertEqual(kind, 0)
        return msgid, method, params

    def reply(self, msgid, result=None, error=None):
        self.worker.channel.send([1, msgid, error, result])

    def test_call(self):
        self.worker.run("nest.deep", 3)
        msgid, method, params = self.asked()
        self.assertEqual((method, params), ("call", ["nest.deep", [2]]))
        self.reply(msgid, 2)
        self.assertEqual(self.worker.answer(), (None, 3))

    def test_refused(self):
        self.worker.run("nest.deep", 3)
        msgid, *_ = self.asked()
        self.reply(msgid, error={"code": "task_failed", "function_code": "its_own", "message": "said so", "more": [1, {}]})
        error, _ = self.worker.answer()
        self.assertEqual((error["code"], error["message"]), ("its_own", "said so"))

    def test_what_comes_meanwhile(self):
        """Answers to nobody and streams are dropped; tasks, also those taken back, and stop wait for their turn."""
        self.worker.run("nest.deep", 2)
        msgid, *_ = self.asked()
        self.reply(msgid + 7, "no such request")
        self.worker.channel.send([2, "stream", [msgid, "items", [[0, None, 1]] * 1000]])
        self.worker.run("echo", "taken back", slot=1, state=REVOKED)
        self.worker.credit(1, 5)
        with open(os.devnull, encoding="ascii") as file:
            self.worker.run("probe.head", FD, slot=2, fds=[file.fileno()])
        self.worker.channel.send([2, "stream", [msgid, "items", []]])
        self.reply(msgid, 1)
        self.worker.channel.send([2, "stop", []])
        self.assertEqual(self.worker.answer(), (None, 2))
        self.assertEqual(self.worker.answer(), (None, b""))
        self.assertEqual(self.worker.reap(), 0)

    def test_told_while_it_waits(self):
        for _ in range(20):
            task = self.worker.run("nest.deep", 2)
            msgid, *_ = self.asked()
            self.worker.tell(task)
            error, _ = self.worker.answer()
            self.assertEqual(error["code"], "cancelled", error)
            self.reply(msgid, "too late")
            self.assertEqual(self.worker.call("echo", 1), (None, 1))

    def test_told_before_it_asks(self):
        task = self.worker.next_task + 1
        self.worker.tell(task)
        self.assertEqual(self.worker.run("nest.deep", 2), task)
        error, _ = self.worker.answer()
        self.assertEqual(error["code"], "cancelled", error)

    def test_another_signal_does_not_end_the_wait(self):
        self.worker.run("nest.deep", 2)
        msgid, *_ = self.asked()
        for _ in range(5):
            os.kill(self.worker.pid, signal.SIGTERM)  # told nothing: the word is not set
            time.sleep(0.005)
        self.reply(msgid, 1)
        self.assertEqual(self.worker.answer(), (None, 2))

    def test_numbers_are_never_used_twice(self):
        seen = set()
        for _ in range(5):
            self.worker.run("nest.fan", 2)
            for result in 10, 11, "a", "b":
                msgid, *_ = self.asked()
                self.assertNotIn(msgid, seen)
                seen.add(msgid)
                self.reply(msgid, result)
            self.assertEqual(self.worker.answer(), (None, ["a", "b"]))

    def test_items_ask_too(self):
        self.worker.chunk("nest.deep", [[2], [1], [2]])
        for _ in range(2):
            msgid, *_ = self.asked_between()
            self.reply(msgid, 1)
        self.assertEqual(self.worker.answer(), (None, None))
        self.assertEqual([item[3:] for item in self.worker.items], [[None, 2], [None, 1], [None, 2]])

    def asked_between(self):
        while True:
            message = self.worker.channel.receive()
            if message[0] == 0:
                return message[1:]
            self.worker.items.append(message[2])

    def test_gangerd_goes(self):
        self.worker.run("nest.deep", 2)
        self.asked()
        self.worker.channel.sock.close()
        self.assertEqual(self.worker.reap(), 0)


class End(Case):
    def test_strays_are_ended_before_the_answer(self):
        error, pids = self.worker.call("probe.strays")
        self.assertIsNone(error)
        self.assertEqual([gone(pid) for pid in pids], [True, True])

    def test_stop_after_what_was_sent(self):
        self.worker.run("echo", 1)
        self.worker.channel.send([2, "stop", []])
        self.assertEqual(self.worker.answer(), (None, 1))
        self.assertIsNone(self.worker.channel.receive())
        self.assertEqual(self.worker.reap(), 0)

    def test_end_of_file(self):
        self.worker.channel.sock.close()
        self.assertEqual(self.worker.reap(), 0)

    def test_end_of_file_while_a_task_runs(self):
        task = self.worker.run("sleep", 0.1)
        self.worker.wait_for(0, task, CLAIMED)
        self.worker.channel.sock.close()
        self.assertEqual(self.worker.reap(), 0)

    def test_nonsense_ends_the_worker(self):
        for message in ([0, 0, "run", [1, 1, 64, 0, [], 0]], [0, 0, "run", [1, 1, 0, 999, [], 0]],
                        [0, 0, "run", [1]], [2, "dance", []], 5):
            worker = self.zygote.spawn()
            worker.channel.send(message)
            self.assertEqual(os.waitstatus_to_exitcode(worker.reap()), 70, message)

    def test_nothing_outlives_gangerd(self):
        read_end, write_end = os.pipe()
        gangerd = os.fork()
        if gangerd == 0:
            become_subreaper()
            zygote = Zygote(PROGRAM, stderr=self.null)
            zygote.load()
            busy, idle = zygote.spawn(), zygote.spawn()
            os.write(write_end, f"{zygote.process.pid} {busy.pid} {idle.pid} ".encode())
            busy.run("exec", ["sh", "-c", "echo $$; exec sleep 60"], {"stdout": FD}, fds=[write_end])
            signal.pause()
        os.close(write_end)
        pids = b""
        while not pids.endswith(b"\n"):
            pids += os.read(read_end, 100)
        pids = [int(pid) for pid in pids.split()]
        self.assertEqual(len(pids), 4)
        os.kill(gangerd, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.005)
        self.assertEqual([gone(pid) for pid in pids], [True] * 4)
        for pid in [gangerd] + pids:  # they are ours now
            os.waitpid(pid, 0)
        os.close(read_end)

    def test_no_cpu_when_idle(self):
        def ticks():
            with open(f"/proc/{self.worker.pid}/stat", encoding="ascii") as stat:
                return sum(int(n) for n in stat.read().rpartition(")")[2].split()[11:13])
        self.worker.call("echo", 1)
        before = ticks()
        time.sleep(0.3)
        self.assertLessEqual(ticks() - before, 1)


if __name__ == "__main__":
    signal.alarm(55)
    become_subreaper()
    unittest.main(argv=sys.argv[:1], verbosity=1)
