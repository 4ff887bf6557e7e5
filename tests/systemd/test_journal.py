# SPDX-License-Identifier: MIT
"""The log of the installed service in a real journal: what is found there by which field, and a journald that stands still."""
import json
import os
import re
import signal
import unittest

from machine import INSIDE, SOURCE, main

if INSIDE:
    from service import SOCKET, UNIT, Client, eventually, main_pid, prepare, run, started, systemctl
    from gangerd import children
    from pouring import MOST_S, largest_ping

STANDS_S = 10
POOL = "[pool default]\nworkers = 2\nexec = yes\nmodules = probe\n"


def messages(*arguments):
    """What the journal has of it, each a map, once journald has taken all that was sent."""
    run("journalctl", "--sync")
    return [json.loads(line) for line in run("journalctl", "--quiet", "--output=json", *arguments).stdout.splitlines()]


def message_id(name):
    text = (SOURCE / "daemon" / "message_ids.h").read_text(encoding="utf-8")
    return re.search(rf'^#define MESSAGE_{name} +"([0-9a-f]{{32}})"', text, re.M)[1]


class Journal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        prepare()
        run("journalctl", "--update-catalog")

    def tearDown(self):
        systemctl("stop", UNIT, "ganger.socket")

    def test_by_task(self):
        """A task's lines, and the sentence of its end, each with its fields; and the catalog's text"""
        started(POOL)
        with Client(SOCKET) as client:
            task = client.submit("exec", ["/bin/sh", "-c", "echo first >&2; echo second >&2; exit 3"])
            client.ask("wait", [task], {})
            why = run("ganger", "why", str(task), check=False).stdout.strip()
        found = eventually(lambda: len(m := messages(f"GANGER_TASK={task}")) >= 3 and m)
        self.assertEqual([m["MESSAGE"] for m in found[:2]], ["first", "second"])
        for message in found:
            self.assertEqual((message["GANGER_POOL"], message["GANGER_UID"], message["_SYSTEMD_UNIT"], message["_PID"], message["SYSLOG_IDENTIFIER"]),
                             ("default", "0", UNIT, str(main_pid()), "gangerd"))
            self.assertTrue(os.path.exists(f"/proc/{message['GANGER_WORKER_PID']}"))
        end = found[-1]
        self.assertEqual((end["MESSAGE_ID"], end["CODE_FILE"].rpartition("/")[2]), (message_id("TASK_FAILED"), "task_log.c"))
        self.assertTrue(end["CODE_LINE"].isdigit() and end["CODE_FUNC"], end)
        print(f"why: {why}\njournal: {end['MESSAGE']}")
        self.assertIn(why.partition("\n")[0], end["MESSAGE"])
        explained = run("journalctl", "--quiet", "--catalog", f"GANGER_TASK={task}", f"MESSAGE_ID={end['MESSAGE_ID']}").stdout
        self.assertIn(" Subject: ", explained)

    def test_worker_lost(self):
        """By its message id"""
        started(POOL)
        with Client(SOCKET) as client:
            task = client.submit("exec", ["/bin/sleep", "60"])
            pid = eventually(lambda: client.ask("task", task)["worker_pid"])
            eventually(lambda: children(pid))  # it has begun, or another worker would run it
            os.kill(pid, signal.SIGKILL)
            client.ask("wait", [task], {})
        found = eventually(lambda: messages(f"MESSAGE_ID={message_id('WORKER_LOST')}"))
        self.assertEqual((found[-1]["GANGER_WORKER_PID"], found[-1]["GANGER_POOL"]), (str(pid), "default"))
        print(found[-1]["MESSAGE"])

    def test_journald_stands(self):
        """For ten seconds, while logs pour: nobody waits, and how much was dropped is logged after"""
        started("[daemon]\nlog_level = debug\n" + POOL)
        journald = int(systemctl("show", "--property", "MainPID", "--value", "systemd-journald.service").stdout)
        os.kill(journald, signal.SIGSTOP)
        try:
            worst = largest_ping(SOCKET, STANDS_S)
        finally:
            os.kill(journald, signal.SIGCONT)
        print(f"journald stopped for {STANDS_S} s: {worst}")
        self.assertLess(worst.seconds, MOST_S)
        found = eventually(lambda: messages("-u", UNIT, f"MESSAGE_ID={message_id('LOG_DROPPED')}"), 30)
        print(found[-1]["MESSAGE"])
        self.assertGreater(int(found[-1]["MESSAGE"].split()[0]), 1000)
        with Client(SOCKET) as client:
            client.call("exec", ["/bin/sh", "-c", "echo after all that >&2"])
        eventually(lambda: any(m["MESSAGE"] == "after all that" for m in messages("-u", UNIT, "-n", "200")), 30)


if __name__ == "__main__":
    main()
