# SPDX-License-Identifier: MIT
"""What the configuration makes of the workers' processes: CPUs, scheduling, nice value, environment, directory; and what is said
where it cannot be."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import ZYGOTE, Gangerd, eventually, main  # noqa: E402

NOBODY = 65534
CPUS = sorted(os.sched_getaffinity(0))
NO_CPU = 8000
EXIT_CONFIGURATION = 78


def threads(pid):
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]


class Confinement(unittest.TestCase):
    def refused(self, words, uid=None, **pool):
        """gangerd does not start, and says so."""
        with tempfile.TemporaryDirectory(prefix="ganger-test.") as directory:
            g = Gangerd(pool=pool, uid=uid, directory=directory)
            self.assertEqual(g.spawn().wait(20), EXIT_CONFIGURATION)
            self.assertRegex(g.log(), words)
            if uid is None:
                self.assertEqual(g.spawn("--check").wait(20), EXIT_CONFIGURATION)
                self.assertEqual(len([line for line in g.log().splitlines() if "ERROR" in line]), 2, g.log())

    def test_every_thread_of_every_worker(self):
        pool = {"modules": "hoard", "cpu_affinity": CPUS[-1], "scheduling": "batch", "nice": 5, "workers": 2}
        with Gangerd(pool=pool, more="[module hoard]\nthread = yes") as g, g.connect() as client:
            client.call("echo", 1)
            for worker in g.all_idle()["workers"]:
                tids = threads(worker["pid"])
                self.assertEqual(len(tids), 2)
                for tid in tids:
                    self.assertEqual(os.sched_getaffinity(tid), {CPUS[-1]})
                    self.assertEqual(os.sched_getscheduler(tid), os.SCHED_BATCH)
                    self.assertEqual(os.getpriority(os.PRIO_PROCESS, tid), 5)
            self.assertEqual(os.sched_getaffinity(g.pid), set(CPUS))  # gangerd itself as before
            self.assertEqual(os.sched_getscheduler(g.pid), os.sched_getscheduler(0))
            # and what a program inherits
            done = client.call("exec", ["sh", "-c", "taskset -cp $$; chrt -p $$; nice"])
            words = done["stdout"] if isinstance(done["stdout"], str) else done["stdout"].decode()
            print(words)
            self.assertRegex(words, rf"(?s)list: {CPUS[-1]}\n.*SCHED_BATCH.*\n5\n$")
            self.assertNotIn("WARNING the workers", g.log())

    @unittest.skipUnless(os.path.exists("/proc/self/autogroup"), "this kernel does not group processes by sessions")
    def test_nice_is_the_sessions_too(self):
        """Else it would say nothing: each worker has a session of its own, and the kernel compares sessions."""
        for uid in (None, NOBODY) if os.geteuid() == 0 else (None,):
            with Gangerd(pool={"nice": 5, "workers": 3}, uid=uid) as g:
                for worker in g.all_idle()["workers"]:
                    with open(f"/proc/{worker['pid']}/autogroup", encoding="ascii") as autogroup:
                        self.assertRegex(autogroup.read(), "nice 5$")

    def test_auto_counts_the_pools_own_cpus(self):
        every = ",".join(map(str, CPUS))
        with Gangerd(text=f"[pool one]\ncpu_affinity = {CPUS[0]}\n[pool every]\ncpu_affinity = {every}\n[pool plain]\n") as g:
            one, all_listed, plain = (pool["workers"]["target"] for pool in g.status()["pools"])
            self.assertEqual((one, all_listed), (1, plain))

    def test_what_nobody_says_is_as_modest_as_gangerd(self):
        def modest():
            os.nice(3)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        with Gangerd(prepare=modest) as g:
            for worker in g.all_idle()["workers"]:
                self.assertEqual(os.sched_getscheduler(worker["pid"]), os.SCHED_BATCH)
                self.assertEqual(os.getpriority(os.PRIO_PROCESS, worker["pid"]), os.getpriority(os.PRIO_PROCESS, 0) + 3)

    def test_environment_and_directory(self):
        with tempfile.TemporaryDirectory() as directory:
            pool = {"env": "COLOUR=red EMPTY= PATH=/usr/bin:/bin", "directory": directory}
            with Gangerd(pool=pool, more="[pool plain]\nworkers = 1") as g, g.connect() as client:
                for worker in g.all_idle()["workers"]:
                    expected = directory if worker["pool"] == "default" else "/"
                    self.assertEqual(os.readlink(f"/proc/{worker['pid']}/cwd"), expected)
                script = ["sh", "-c", "pwd; echo ${COLOUR-none} \"${EMPTY-none}\" $PATH ${NOTIFY_SOCKET-none}"]

                def says(pool):
                    out = client.call("exec", script, pool=pool)["stdout"]
                    return (out if isinstance(out, str) else out.decode()).splitlines()
                self.assertEqual(says("default"), [directory, "red  /usr/bin:/bin none"])
                self.assertEqual(says("plain")[0], "/")
                self.assertEqual(says("plain")[1].split()[:2], ["none", "none"])
        self.refused(r"directory = \S+: No such file|directory \S+: No such file", directory=directory)

    def test_no_such_cpu(self):
        self.refused(rf"\[pool default\] cpu_affinity names CPU {NO_CPU}, which gangerd cannot use; it can use ",
                     cpu_affinity=f"{CPUS[0]} {NO_CPU}")

    @unittest.skipIf(os.geteuid() != 0, "only root can become a user who may do less")
    def test_not_permitted(self):
        self.refused(r"\[pool default\] nice = -5: Permission denied", uid=NOBODY, nice=-5)

    @unittest.skipIf(os.geteuid() != 0, "only root can give up a right that gangerd has")
    def test_what_workers_are_refused_later_is_one_warning(self):
        """Their zygote lost the right to it: they work without."""
        with tempfile.TemporaryDirectory() as directory:
            zygote = os.path.join(directory, "zygote")
            with open(zygote, "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\nexec setpriv --inh-caps=-sys_nice --bounding-set=-sys_nice {ZYGOTE} \"$@\"\n")
            os.chmod(zygote, 0o755)
            with Gangerd(pool={"nice": -5, "scheduling": "batch", "zygote": zygote, "workers": 3}) as g, g.connect() as client:
                self.assertEqual(client.call("echo", 1), 1)
                for worker in g.all_idle()["workers"]:
                    self.assertEqual(os.sched_getscheduler(worker["pid"]), os.SCHED_BATCH)
                    self.assertEqual(os.getpriority(os.PRIO_PROCESS, worker["pid"]), os.getpriority(os.PRIO_PROCESS, 0))
                warning = "the workers run without their pool's nice, which cannot be set: Permission denied"
                eventually(lambda: warning in g.log())
                self.assertEqual(g.log().count("the workers run without"), 1, g.log())


if __name__ == "__main__":
    main()
