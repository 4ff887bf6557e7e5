# SPDX-License-Identifier: MIT
"""Who may do what, as other real users: pools for some, one's own tasks only, admin methods, and everything of the daemon that
another process could try to get hold of."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import Gangerd, eventually, main, sanitized  # noqa: E402
from users import ANN, BOB, CAT, DAEMON, UserChild, connect_as, needs_root, open_to_all  # noqa: E402
from wire import Refused  # noqa: E402

STAFF = 60100
ADMIN_METHODS = {
    "reload": [], "log_level": ["debug"], "metrics": [], "pool.scale": ["default", 1], "pool.pause": ["default"], "pool.resume": ["default"],
    "pool.drain": ["default", {"timeout": 0.1}], "pool.reload": ["default"],
}
OPEN_TO_ALL = {"metrics"}
POOLS = f"""
[pool ann]
workers = 1
allow_users = {ANN}
modules = digest
[pool staff]
workers = 1
allow_groups = {STAFF}
modules = text
[pool nobody]
workers = 1
allow_users =
modules = image
"""
# What a stranger, or a task, tries on a process. Prints what it got at.
INTRUDER = r"""
import ctypes, json, os, signal, sys
got = []
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1].split(",")):
    for name in ("mem", "environ", "maps", "auxv", "syscall", "stack"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                if name == "mem" or file.read(1):
                    got.append([pid, name])
        except OSError:
            pass
    for name in ("fd", "map_files"):
        try:
            for entry in os.listdir(f"/proc/{pid}/{name}"):
                got.append([pid, name, entry])
                os.open(f"/proc/{pid}/{name}/{entry}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            pass
    for name in ("cwd", "exe", "root"):
        try:
            got.append([pid, name, os.readlink(f"/proc/{pid}/{name}")])
        except OSError:
            pass
    try:
        pidfd = os.pidfd_open(pid)
        for number in range(40):
            if libc.syscall(438, pidfd, number, 0) >= 0:
                got.append([pid, "pidfd_getfd", number])
    except OSError:
        pass
    if libc.ptrace(16, pid, 0, 0) == 0:
        got.append([pid, "ptrace"])
print(json.dumps(got))
"""


def code(client, method, *params):
    error, _ = client.outcome(client.start(method, *params))
    return error and error["code"]


def try_it(source, pids):
    """Runs INTRUDER in this process; what it prints."""
    output = []
    sys.argv = ["intruder", ",".join(map(str, pids))]
    exec(compile(source, "intruder", "exec"), {"print": output.append, "__name__": "intruder"})
    return json.loads(output[0])


def processes(gangerd):
    """The daemon's pid, its zygotes' and its workers'."""
    workers = [worker["pid"] for worker in gangerd.status()["workers"]]
    children = [int(pid) for pid in pathlib.Path(f"/proc/{gangerd.pid}/task/{gangerd.pid}/children").read_text(encoding="ascii").split()]
    return gangerd.pid, [pid for pid in children if pid not in workers], workers


@needs_root
class Users(unittest.TestCase):
    def test_pools_for_some(self):
        with open_to_all(Gangerd({"socket_mode": "0666"}, {"modules": "core"}, more=POOLS)) as g, \
                connect_as(g, ANN, descriptors=True) as ann, connect_as(g, BOB, [1, 2, STAFF], descriptors=True) as bob, \
                connect_as(g, CAT, descriptors=True) as cat, g.connect(descriptors=True) as root:
            self.assertEqual(ann.info["pools"], ["default", "ann"])
            self.assertEqual(bob.info["pools"], ["default", "staff"])
            self.assertEqual(cat.info["pools"], ["default"])
            self.assertEqual(root.info["pools"], ["default", "ann", "staff", "nobody"])
            for client in ann, bob, cat, root:
                self.assertEqual({function["pool"] for function in client.ask("functions")}, set(client.info["pools"]))
            self.assertEqual(ann.call("digest.sha256", b""), bob.call("echo", ann.call("digest.sha256", b"")))
            for client in bob, cat:  # for the choice of the pool, one that is for others does not exist
                self.assertEqual(code(client, "call", "digest.sha256", [b""], {}), "unknown_function")
                self.assertEqual(code(client, "call", "echo", [1], {"pool": "ann"}), "not_permitted")
                self.assertEqual(code(client, "submit", "echo", [1], {"pool": "ann"}), "not_permitted")
                self.assertEqual(code(client, "map", "echo", [[1]], {"pool": "ann"}), "not_permitted")
            self.assertEqual(code(ann, "call", "echo", [1], {"pool": "staff"}), "not_permitted")
            self.assertEqual(code(ann, "call", "echo", [1], {"pool": "none such"}), "unknown_pool")
            self.assertEqual(bob.call("echo", 7, pool="staff"), 7)  # a group that is not his first
            self.assertEqual(ann.call("echo", 7, pool="ann"), 7)
            for client in ann, bob, cat:
                self.assertEqual(code(client, "call", "echo", [1], {"pool": "nobody"}), "not_permitted")
            for pool in root.info["pools"]:
                self.assertEqual(root.call("echo", pool, pool=pool), pool)
            # many groups: more than fit where the daemon looks first
            with connect_as(g, CAT, [*range(61000, 61200), STAFF]) as client:
                self.assertEqual(client.call("echo", 7, pool="staff"), 7)

    def test_an_unknown_name_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "status"):
            with Gangerd(pool={"allow_users": "root no-such-user"}):
                pass

    def test_admin_methods(self):
        with open_to_all(Gangerd({"socket_mode": "0666"})) as g, connect_as(g, ANN) as ann, g.connect() as root:
            for method, params in ADMIN_METHODS.items():
                there_is = code(root, method, "no", "such", "params", "at", "all") != "unknown_method"
                expected = "unknown_method" if not there_is else None if method in OPEN_TO_ALL else "not_permitted"
                self.assertEqual(code(ann, method, *params), expected, method)
            self.assertEqual([pool["workers"]["target"] for pool in ann.ask("status")["pools"]], [2])

    def test_tasks_of_others(self):
        with open_to_all(Gangerd({"socket_mode": "0666"})) as g, connect_as(g, ANN) as ann, connect_as(g, BOB) as bob:
            ended = ann.submit("echo", "secret", label="hers")
            ann.ask("wait", [ended], {})
            running = ann.submit("sleep", 60, label="hers")
            delayed = ann.submit("sleep", 60, delay=60)
            eventually(lambda: ann.ask("task", running)["state"] == "running")
            for id in ended, running, delayed:
                for method, more in ("result", [{"timeout": 0}]), ("attach", [{}]), ("cancel", []), ("task", []):
                    self.assertEqual(code(bob, method, id, *more), "unknown_task", method)
                self.assertEqual(code(bob, "cancel", [id]), "unknown_task")
                self.assertEqual(bob.ask("wait", [id], {"timeout": 5}), [[id, "unknown"]])
            self.assertEqual(bob.ask("tasks", {}), [])
            self.assertEqual(bob.ask("tasks", {"label": "hers"}), [])
            for worker in bob.ask("status")["workers"]:
                self.assertEqual((worker["task"], worker["function"]), (None, None))
            self.assertIn(running, [worker["task"] for worker in ann.ask("status")["workers"]])
            self.assertEqual(ann.ask("cancel", [running, delayed]), 2)  # nobody has
            self.assertEqual(ann.ask("result", ended, {}), "secret")

    def test_processes_of_the_daemon(self):
        """A user without rights at the daemon's and the zygotes' descriptors, memory, environment."""
        with open_to_all(Gangerd({"socket_mode": "0666"})) as g:
            g.all_idle()
            daemon, zygotes, workers = processes(g)
            self.assertEqual((len(zygotes), len(workers)), (1, 2))
            with subprocess.Popen(["sleep", "60"], user=ANN, group=ANN, extra_groups=[], stdin=subprocess.DEVNULL) as own:
                child = UserChild(ANN, lambda out: out.write(json.dumps(try_it(INTRUDER, [own.pid]))))  # he does get hold of what is his
                self.assertIn('"mem"', child.end()[1])
                own.kill()
            child = UserChild(ANN, lambda out: out.write(json.dumps(try_it(INTRUDER, [daemon, *zygotes, *workers]))))
            self.assertEqual(child.end(), (0, "[]"))

            def signals(out):
                for pid in (daemon, *zygotes, *workers):
                    try:
                        os.kill(pid, 9)
                        out.write(f"killed {pid}\n")
                    except PermissionError:
                        pass
            self.assertEqual(UserChild(ANN, signals).end(), (0, ""))

            def files(out):
                for path in g.directory.iterdir():
                    if path == pathlib.Path(g.socket):
                        continue
                    try:
                        os.close(os.open(path, os.O_WRONLY))
                        out.write(f"may write {path}\n")
                    except PermissionError:
                        pass
            self.assertEqual(UserChild(ANN, files).end(), (0, ""))

    @unittest.skipIf(sanitized(), "AddressSanitizer's leak check traces gangerd, so that is left dumpable there")
    def test_a_task_tries(self):
        """A task of an ordinary user has the daemon's uid, and gets nowhere near it: not over the socket, not by /proc."""
        with open_to_all(Gangerd({"socket_mode": "0666"}, {"exec": "yes"}, uid=DAEMON)) as g, connect_as(g, ANN) as ann:
            g.all_idle()
            daemon, zygotes, _ = processes(g)
            answer = ann.call("exec", ["/usr/bin/python3", "-c", INTRUDER, f"{daemon},{','.join(map(str, zygotes))}"])
            self.assertEqual(json.loads(answer["stdout"]), [])
            knock = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(10);"
                     " sys.stdout.buffer.write(s.recv(4096) + s.recv(4096))")
            answer = ann.call("exec", ["/usr/bin/python3", "-c", knock, g.socket])
            self.assertIn(b"not_permitted", answer["stdout"])
            descriptors = ann.call("exec", ["sh", "-c", "ls -l /proc/self/fd"])["stdout"].decode()
            self.assertNotIn("socket:", descriptors)
            self.assertNotIn("memfd:", descriptors)
            with self.assertRaises(Refused):
                ann.call("exec", ["sh", "-c", f"kill -0 {daemon} && exec 3</proc/{daemon}/environ"])


if __name__ == "__main__":
    main()
