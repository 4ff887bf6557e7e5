# SPDX-License-Identifier: MIT
"""ganger doctor under a real systemd: what it says of units that are well, and of each that is not."""
import json
import os
import pathlib
import shutil
import unittest

from machine import INSIDE, main

if INSIDE:
    from service import BIN, CONFIG, SOCKET, UNIT, eventually, fresh, ganger, main_pid, prepare, run, started, state, systemctl

OWN = pathlib.Path("/etc/systemd/system/ganger.service.d/test.conf")


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        prepare()

    def examine(self, status, user=None, words=None):
        done = ganger("--json", "doctor", check=False, **({"user": user} if user else {}), **(words or {}))
        self.assertEqual((done.returncode, done.stderr), (status, ""), done.stdout)
        return json.loads(done.stdout)

    def told(self, findings, check, state_, found, remedy):
        for finding in findings:
            if (finding["check"], finding["state"]) == (check, state_) and found in finding["found"] and remedy in finding["remedy"]:
                return
        self.fail(f"{check}, {state_}: {found} -> {remedy} is not among\n" + "\n".join(map(str, findings)))

    def said_against(self, findings):
        return [finding for finding in findings if finding["state"] != "ok"]

    def test_well(self):
        """As root, by way of the hardened service; as an ordinary user but for what he may not see"""
        started("[pool default]\nworkers = 1\nnice = -5\nmodules = digest\n")
        findings = self.examine(0)
        self.assertEqual(self.said_against(findings), [])
        self.assertIn("units", [finding["check"] for finding in findings])
        self.told([{**finding, "remedy": finding["remedy"] or ""} for finding in findings], "daemon", "ok", "runs as ganger", "")
        fresh()
        findings = self.said_against(self.examine(0))  # that one asks starts the service, which is perhaps not ready yet
        self.assertTrue(all("starting" in finding["found"] or "no workers yet" in finding["found"] for finding in findings), findings)
        ganger("call", "echo", "1")
        findings = self.said_against(self.examine(0, user="ann"))
        self.assertEqual([finding["check"] for finding in findings], ["program"], findings)

    def test_who_may_not(self):
        started()
        self.told(self.examine(1, user="bob"), "groups", "problem", "for group ganger, to which bob does not belong",
                  "sudo usermod -aG ganger bob, then log in again")
        before = {"extra_groups": []}  # ann logged in before she was added
        self.told(self.examine(1, user="ann", words=before), "groups", "problem", "but not in this session", "newgrp ganger")
        self.told(self.examine(1, user="ganger"), "daemon", "problem", "", "as another user")

    def test_not_started(self):
        fresh()
        systemctl("stop", UNIT, "ganger.socket")
        self.told(self.examine(1), "units", "problem", "ganger.socket is inactive", "systemctl enable --now ganger.socket")
        self.told(self.examine(1, user="ann"), "socket", "problem", "there is no socket", "sudo systemctl enable --now ganger.socket")
        fresh("[pool default]\nmodules = none_such\n")
        systemctl("start", UNIT, check=False)
        self.assertEqual(state(), "failed")
        systemctl("stop", "ganger.socket")
        findings = self.examine(1)
        self.told(findings, "units", "problem", "ended with status 78", "journalctl -u ganger.service")
        self.told(findings, "modules", "problem", "none_such was not found", f"{BIN}/gangerd --check")
        CONFIG.write_text("", encoding="utf-8")

    def test_limits_of_the_unit(self):
        started("", "LimitNOFILE=4096\nTasksMax=60\nMemoryMax=512M")
        findings = self.examine(0)
        self.told(findings, "descriptors", "warning", f"RLIMIT_NOFILE of gangerd (pid {main_pid()}) allows 4096",
                  f"systemctl edit {UNIT}: [Service] LimitNOFILE=")
        self.told(findings, "processes", "warning", "the cgroup's pids.max", f"systemctl edit {UNIT}: [Service] TasksMax=")
        self.told(findings, "memory", "warning", "the cgroup's memory.max is 512M", "memory_limit in [daemon]")
        systemctl("stop", UNIT, "ganger.socket")  # as it would have them
        findings = self.examine(1)
        self.told(findings, "descriptors", "warning", f"RLIMIT_NOFILE of {UNIT} allows 4096", "LimitNOFILE=")
        self.told(findings, "processes", "warning", f"pids.max of {UNIT} is 60", "TasksMax=")

    def test_files_that_changed(self):
        started("", "Nice=-9")
        self.assertEqual(self.said_against(self.examine(0)), [])
        OWN.write_text("[Service]\nNice=-8\n", encoding="utf-8")
        self.told(self.examine(0), "units", "warning", "has changed since systemd read it", "systemctl daemon-reload && systemctl restart")
        systemctl("daemon-reload")
        systemctl("disable", "ganger.socket")
        self.addCleanup(systemctl, "enable", "ganger.socket")
        self.told(self.examine(0), "units", "warning", "not after the next boot", "systemctl enable ganger.socket")
        program = BIN / "gangerd"
        shutil.copy(program, f"{program}.new")
        os.replace(f"{program}.new", program)
        self.told(self.examine(0), "program", "warning", f"{program} was replaced", f"systemctl restart {UNIT}")

    def test_started_by_hand(self):
        """Beside the units, on their socket"""
        fresh()
        systemctl("stop", UNIT, "ganger.socket")
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        unit = "by-hand.service"
        run("systemd-run", f"--unit={unit}", BIN / "gangerd", "--socket", SOCKET)
        self.addCleanup(systemctl, "stop", unit)
        eventually(lambda: ganger("ping", check=False).returncode == 0, 20)
        self.told(self.examine(0), "units", "warning", f"(pid {main_pid(unit)}) was not started by {UNIT}", "systemctl enable --now")


if __name__ == "__main__":
    main()
