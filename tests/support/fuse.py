# SPDX-License-Identifier: MIT
"""The smallest FUSE server: a file system of one file, by /dev/fuse and mount(2) alone. It answers until it is silenced; from then on
it takes requests and never answers. Who waits for it waits until it is gone, SIGKILL or not, so it does not live long in any case."""
import ctypes
import errno
import mmap
import os
import pathlib
import signal
import stat
import struct
import tempfile

from gangerd import Child, libc

LIVES = 100  # seconds at most
SIZE = 1 << 20
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 18, 25, 26, 36, 42
HEADER = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, …
ROOT, FILE = 1, 2
NO_ANSWER = (FORGET, INTERRUPT, BATCH_FORGET)


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o666
    return struct.pack("<6Q10I", node, 0 if node == ROOT else SIZE, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(opcode, node, body):
    """(error, bytes) of one request. Nothing is valid for longer than its answer: each look at the file asks again."""
    if opcode == INIT:
        major, minor, readahead = struct.unpack_from("<III", body)
        return 0, struct.pack("<IIIIHHIIHHI7I", major, min(minor, 31), readahead, 0, 16, 12, 1 << 16, 1, 0, 0, 0, *[0] * 7)
    if opcode == LOOKUP and body.rstrip(b"\0") == b"file":
        return 0, struct.pack("<4QII", FILE, 0, 0, 0, 0, 0) + attributes(FILE)
    if opcode == LOOKUP:
        return errno.ENOENT, b""
    if opcode == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode == OPEN:
        return 0, struct.pack("<QII", 0, 0, 0)
    if opcode == READ:
        return 0, b"x" * struct.unpack_from("<QQI", body)[2]
    if opcode in (RELEASE, FLUSH):
        return 0, b""
    return errno.ENOSYS, b""


def serve(_, device, silent):
    signal.alarm(LIVES)
    while True:
        request = os.read(device, 1 << 20)
        _, opcode, unique, node, *_ = HEADER.unpack_from(request)
        silent[1 + opcode] = 1
        if opcode not in NO_ANSWER and not silent[0]:
            error, body = answer(opcode, node, request[HEADER.size:])
            os.write(device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)


class SilentFile:
    """with SilentFile() as file: … file.path, file.silence(), file.asked(FLUSH), file.asked(): anything; afterwards nobody waits for it any more."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ganger-fuse."))
        self.path = self.directory / "mounted" / "file"
        self.memory = mmap.mmap(-1, 4096)  # byte 0: silent; the byte behind each opcode's number: it was asked
        self.server = None

    def __enter__(self):
        self.directory.chmod(0o755)
        self.path.parent.mkdir()
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
        try:
            if libc.mount(b"ganger-test", bytes(self.path.parent), b"fuse", MS_NOSUID | MS_NODEV, options) < 0:
                raise OSError(ctypes.get_errno(), "cannot mount a FUSE file system")
            self.server = Child(serve, device, self.memory)
        finally:
            os.close(device)
        return self

    def silence(self):
        """What has been asked is forgotten, what will be is not answered."""
        self.memory[:] = b"\1" + bytes(4095)

    def asked(self, opcode=None):
        return any(self.memory[1:64]) if opcode is None else self.memory[1 + opcode] == 1

    def go(self):
        """Whoever waits gets an error: the server is gone."""
        self.server.kill()

    def __exit__(self, *_):
        self.go()
        libc.umount2(bytes(self.path.parent), MNT_DETACH)
        self.path.parent.rmdir()
        self.directory.rmdir()
