# SPDX-License-Identifier: MIT
"""Plays gangerd for a zygote and its workers (PROTOCOL.md, parts 2 and 3): one object for each.

A worker's dialogue is run() or chunk(), then answer(); what comes between is kept in worker.items and worker.streams.
Everything waits with a bound; whatever is still alive when the objects are closed is killed and reaped.
"""
import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import time

import msgpack

BOUND = 10.0  # seconds; nothing here takes as long
MAGIC = 0x676E6731
EMPTY, SENT, CLAIMED, REVOKED, DONE = range(5)
PR_SET_CHILD_SUBREAPER = 36
FD = msgpack.ExtType(71, b"\x02" + b"\0" * 8)


def become_subreaper():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def keep_three_busy():
    """The control socket is descriptor 3 in the child; nothing of subprocess's own may lie there."""
    while True:
        fd = os.open("/dev/null", os.O_RDONLY)
        if fd > 3:
            os.close(fd)
            return


class Channel:
    def __init__(self, sock):
        self.sock = sock
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=128 << 20)
        self.pid = None

    def send(self, message, fds=()):
        data = msgpack.packb(message)
        if fds:
            n = socket.send_fds(self.sock, [data], fds)
            data = data[n:]
        if data:
            self.sock.sendall(data)

    def receive(self, bound=BOUND):
        """The next message; None at the end of file."""
        deadline = time.monotonic() + bound
        while True:
            for message in self.unpacker:
                return message
            if not select.select([self.sock], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("nothing came")
            try:
                data, ancillary, _, _ = self.sock.recvmsg(1 << 20, 1024)
            except ConnectionResetError:
                data, ancillary = b"", []
            for level, kind, what in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    self.pid = struct.unpack("iII", what)[0]
            if not data:
                return None
            self.unpacker.feed(data)


class Zygote:
    def __init__(self, program, pool="test", env=None, stderr=None):
        keep_three_busy()
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.workers = []
        self.next_id = 0
        self.process = subprocess.Popen(
            [program, pool], stdin=subprocess.DEVNULL, stderr=stderr, env=env, pass_fds=(3,),
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self.hello = self.channel.receive()

    def load(self, modules=("core",), module_path=(), exec=True, settings=None, kill_grace=0.3, worker=None):
        """The names of the functions, or the error map."""
        self.channel.send([0, 7, "load", [{
            "pool": "test", "modules": list(modules), "module_path": list(module_path), "exec": exec,
            "settings": settings or {}, "kill_grace": kill_grace, "worker": worker or {}}]])
        kind, msgid, error, result = self.channel.receive()
        assert (kind, msgid) == (1, 7)
        if error is not None:
            return error
        self.functions = [name for name, _, _ in result["functions"]]
        return result["functions"]

    def spawn(self, slots=64, hello=True):
        worker = Worker(self, slots)
        self.workers.append(worker)
        self.next_id += 1
        worker.spawn_id = self.next_id
        self.channel.send([2, "spawn", [worker.spawn_id, FD, FD]], [worker.theirs.fileno(), worker.area_fd])
        worker.theirs.close()
        worker.spawned = self.channel.receive()
        if hello:
            worker.hello = worker.channel.receive()
            worker.pid = worker.channel.pid
        return worker

    def close(self):
        for worker in self.workers:
            worker.close()
        self.channel.sock.close()
        try:
            self.process.wait(BOUND)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Worker:
    def __init__(self, zygote, slots):
        self.zygote = zygote
        ours, self.theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.channel = Channel(ours)
        self.area_fd = os.memfd_create("area", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.area_fd, 4096)
        fcntl.fcntl(self.area_fd, 1033, 0x1 | 0x2 | 0x4)  # F_ADD_SEALS: SEAL, SHRINK, GROW
        self.area = mmap.mmap(self.area_fd, 4096)
        struct.pack_into("=II", self.area, 0, MAGIC, slots)
        self.pid = None
        self.status = None
        self.next_task = 100
        self.items, self.streams = [], []

    # -- the area
    def word(self, slot):
        return struct.unpack_from("=Q", self.area, 64 + 32 * slot)[0]

    def set_word(self, slot, task, state):
        struct.pack_into("=Q", self.area, 64 + 32 * slot, task << 8 | state)

    def begin_index(self, slot):
        return struct.unpack_from("=qQ", self.area, 64 + 32 * slot + 8)

    def wait_for(self, slot, task, state, bound=BOUND):
        deadline = time.monotonic() + bound
        while self.word(slot) != task << 8 | state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"slot {slot} is {self.word(slot):#x}")
            time.sleep(0.001)

    def wait_begun(self, slot, task, bound=BOUND):
        deadline = time.monotonic() + bound
        while self.word(slot) == task << 8 | SENT:
            if time.monotonic() > deadline:
                raise TimeoutError(f"slot {slot} is {self.word(slot):#x}")
            time.sleep(0.001)

    def tell(self, task):
        struct.pack_into("=Q", self.area, 8, task)
        os.kill(self.pid, signal.SIGTERM)

    def cancel_word(self):
        return struct.unpack_from("=Q", self.area, 8)[0]

    def over_limit(self):
        return struct.unpack_from("=Q", self.area, 16)[0]

    # -- tasks
    def send_task(self, method, function, args, slot, flags, fds, state, last):
        self.next_task += 1
        task = self.next_task
        self.set_word(slot, task, state)
        number = self.zygote.functions.index(function)
        self.channel.send([0, slot, method, [task, 1, slot, number, args, flags] + last], fds)
        return task

    def run(self, function, *args, slot=0, flags=0, fds=(), state=SENT):
        return self.send_task("run", function, list(args), slot, flags, fds, state, [])

    def chunk(self, function, items, first=0, slot=0, fds=()):
        return self.send_task("chunk", function, items, slot, 0, fds, SENT, [first])

    def credit(self, task, n_bytes):
        self.channel.send([2, "credit", [task, n_bytes]])

    def answer(self, bound=BOUND):
        """(None, result) or (error, None) of the next answer."""
        while True:
            message = self.channel.receive(bound)
            if message is None:
                raise EOFError("the worker is gone")
            if message[0] == 2 and message[1] == "item":
                self.items.append(message[2])
            elif message[0] == 2 and message[1] == "stream":
                self.streams.append(message[2])
            else:
                _, self.slot, error, result = message
                return error, result[2] if result else None

    def call(self, function, *args, **options):
        self.run(function, *args, **options)
        return self.answer()

    def reap(self, bound=BOUND):
        deadline = time.monotonic() + bound
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > deadline:
                raise TimeoutError(f"worker {self.pid} does not end")
            else:
                time.sleep(0.001)
        return self.status

    def close(self):
        if self.pid and self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.reap()
        self.channel.sock.close()
        self.area.close()
        os.close(self.area_fd)


def gone(pid):
    """Whether there is no such process any more, a dead one not yet reaped counting as none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
