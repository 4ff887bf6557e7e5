# SPDX-License-Identifier: MIT
"""A hostile user's file system that never answers: whatever is done with a file of it, even closing, waits for him. So gangerd does
nothing with it on its loop, a worker that hangs in it is his task's and is replaced, and a gangerd that ends leaves its place free."""
import contextlib
import os
import select
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from fuse import FLUSH, READ, SilentFile  # noqa: E402
from gangerd import Gangerd, eventually, main  # noqa: E402
from hostile import for_all, unharmed  # noqa: E402
from users import ANN, BOB, UserChild, connect_as, needs_root, open_to_all  # noqa: E402
from wire import Closed, descriptor, pack  # noqa: E402

STUCK_BOUND = 30  # seconds until a worker that nothing can kill is given up
WORKERS = 4
RACE = 2  # seconds that it is tried
HELD = 0.5  # seconds that others are watched while something hangs


def states(client):
    return [worker["state"] for worker in client.ask("status")["workers"]]


def can_mount():
    try:
        with SilentFile():
            return True
    except OSError:
        return False


@contextlib.contextmanager
def held_open(file, function, *arguments):
    """A program of the hostile user that has the file open and does function(out, fd); then it waits to be killed."""
    def program(out):
        fd = os.open(file.path, os.O_RDONLY)
        file.silence()
        function(out, fd, *arguments)
        out.write("done\n")
        signal.pause()
    child = UserChild(ANN, program)
    try:
        said = child.pipe.readline()
        assert said == "done\n", said
        yield child
    finally:
        file.go()  # or the program's own end would wait for it
        child.kill()


def send(_, fd, gangerd, n, message, hello):
    with contextlib.suppress(Closed), gangerd.connect(descriptors=hello) as client:
        client.send_bytes(message, [fd] * n)
        client.open[1] = client.open[9] = "asked"
        client.end_of_file()


def refused(function):
    return pack([0, 1, "call", [function, [descriptor(0, 1 << 20)], {}]])


@needs_root
@unittest.skipUnless(os.path.exists("/dev/fuse") and can_mount(), "there is no FUSE here, or it may not be mounted")
class Fuse(unittest.TestCase):
    def test_where_none_belongs(self):
        """Claimed by nothing, or as a value, which only a memfd can be: gangerd asks nothing of it and closes it elsewhere"""
        cases = {"without hello": (pack([0, 1, "ping", []]), 1, False), "not claimed": (pack([0, 9, "ping", []]), 3, True),
                 "as a value": (refused("echo"), 1, True), "too many": (pack([0, 1, "ping", []]), 100, False)}
        for name, (message, n, hello) in cases.items():
            with self.subTest(name), for_all({"user_descriptors": 2000}) as g, SilentFile() as file, unharmed(g):
                with held_open(file, send, g, n, message, hello):
                    eventually(lambda: file.asked(FLUSH))
                    time.sleep(HELD)
                    self.assertFalse(file.asked(READ))

    def test_as_many_as_he_may_have(self):
        """Those that wait to be closed are his; past user_descriptors nothing more is taken, and only from him."""
        def flood(out, fd, gangerd):
            said = set()
            for _ in range(40):
                with gangerd.connect() as client:
                    with contextlib.suppress(Closed):
                        client.send_bytes(pack([0, 1, "ping", []]), [fd] * 16)
                    client.open[1] = "ping"
                    said.update(error["code"] for error in client.end_of_file())
            assert said <= {"protocol_error", "quota_exceeded"} and "quota_exceeded" in said, said

        with for_all({"user_descriptors": 100}) as g, SilentFile() as file, unharmed(g):
            before = len(os.listdir(f"/proc/{g.pid}/fd"))
            with held_open(file, flood, g):
                n = len(os.listdir(f"/proc/{g.pid}/fd")) - before
                print(f"{n} descriptors more in gangerd, of some 2 * 100 that he may make it hold")
                self.assertLessEqual(n, 2 * 100 + 2 * 16)

    def test_workers_that_hang(self):
        """In reading it, in closing it: nothing can kill them, they are replaced, and others' tasks go to others meanwhile. A function that
        did nothing with it has ended, but its task has not: no other one waits behind the close."""
        def use(_, fd, gangerd):
            client = gangerd.connect(descriptors=True)
            for function in "digest.sha256", "probe.fds", "probe.fds":
                client.start("call", function, [descriptor()], {"timeout": 0.3}, fds=[fd])
            globals()["kept"] = client, fd

        with for_all(pool={"workers": WORKERS, "kill_grace": 0.1, "modules": "digest probe"}) as g, SilentFile() as file, \
                unharmed(g), held_open(file, use, g):
            eventually(lambda: file.asked(FLUSH))
            self.replaced(g, 3)

    def replaced(self, gangerd, n_stuck):
        began = time.monotonic()
        with gangerd.connect() as client:
            eventually(lambda: states(client).count("stuck") >= n_stuck, STUCK_BOUND)
            eventually(lambda: states(client).count("idle") == WORKERS and client.ask("status")["pools"][0]["running"] == 0, STUCK_BOUND)
            print(f"{states(client).count('stuck')} workers are stuck, {WORKERS} idle ones there again after {time.monotonic() - began:.1f} s")

    def test_cancelled_before_it_begins(self):
        """Just when it was sent to a worker, which finds that it was taken back and has nothing to do but to close it"""
        def race(_, fd, gangerd):
            client = gangerd.connect(descriptors=True)
            end = time.monotonic() + RACE
            n = 0
            while time.monotonic() < end and not file.asked(FLUSH):
                msgid = client.start("submit", "sleep", [60, descriptor()], {}, fds=[fd])
                id = client.finish(msgid)
                pause = time.monotonic() + n % 40 * 5e-6
                while time.monotonic() < pause:
                    pass
                client.ask("cancel", id)
                n += 1
            globals()["kept"] = client, fd

        with for_all(pool={"workers": WORKERS, "kill_grace": 0.1}) as g, SilentFile() as file, unharmed(g), held_open(file, race, g):
            print("the race was met" if file.asked(FLUSH) else "the race was not met")
            with g.connect(bound=STUCK_BOUND) as client:
                for _ in range(20):
                    ids = [client.submit("echo", 1) for _ in range(2 * WORKERS)]
                    self.assertEqual([client.ask("result", id, {}) for id in ids], [1] * len(ids))

    def test_pipes_of_others(self):
        """gangerd's copies of another user's descriptors are closed all the same: who reads his pipe finds its end."""
        def use(_, fd, gangerd):
            client = gangerd.connect(descriptors=True)
            client.start("call", "sleep", [60, descriptor()], {}, fds=[fd])
            globals()["kept"] = client, fd

        with for_all(pool={"workers": 3, "exec": "yes", "kill_grace": 0.1}) as g, SilentFile() as file, unharmed(g), \
                held_open(file, use, g), connect_as(g, BOB, descriptors=True) as bob:
            eventually(lambda: file.asked(FLUSH))
            for _ in range(5):
                reader, writer = os.pipe()
                with open(reader, "rb") as pipe:
                    msgid = bob.start("call", "exec", [["echo", "said"], {"stdout": descriptor()}], {}, fds=[writer])
                    os.close(writer)
                    bob.finish(msgid)
                    self.assertTrue(select.select([pipe], [], [], 5)[0])
                    self.assertEqual(os.read(reader, 10), b"said\n")
                    self.assertTrue(select.select([pipe], [], [], 5)[0], "a copy of the pipe is still open")
                    self.assertEqual(os.read(reader, 10), b"")

    @contextlib.contextmanager
    def hung(self):
        """A gangerd whose helper hangs in a close."""
        g = for_all(pool={"workers": 1})
        g.expects_death = True
        with SilentFile() as file, g:
            with held_open(file, send, g, 1, pack([0, 1, "ping", []]), False):
                eventually(lambda: file.asked(FLUSH))
                yield g, file
            g.process.wait(10)

    def next_one(self, gangerd):
        """Another one takes its place."""
        g = Gangerd({"socket_mode": "0666"}, {"workers": 1}, directory=gangerd.directory)
        g.start()
        with open_to_all(g).connect() as client:
            self.assertEqual(client.call("echo", 1), 1)
        self.assertEqual(g.stop(), 0)

    def test_sigterm(self):
        """The kernel keeps the process until that close is over, but it has given back all that another one needs."""
        with self.hung() as (g, _):
            began = time.monotonic()
            os.kill(g.pid, signal.SIGTERM)
            eventually(lambda: "stopped" in g.log())
            self.next_one(g)
            print(f"{time.monotonic() - began:.2f} s after SIGTERM another gangerd has served; the first one has "
                  f"{'ended' if g.process.poll() is not None else 'not ended yet'}")

    def test_sigkill(self):
        """What it held goes only with that close, and that with the file system's server."""
        with self.hung() as (g, file):
            os.kill(g.pid, signal.SIGKILL)
            file.go()
            g.process.wait(10)
            self.next_one(g)


if __name__ == "__main__":
    main()
