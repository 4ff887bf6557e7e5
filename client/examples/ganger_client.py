# SPDX-License-Identifier: MIT
"""A ganger client in one small file, from the protocol alone: a Unix socket and MessagePack-RPC.

    g = Ganger()
    print(g.call("digest.sha256", ["/etc/os-release"]))
    for index, error, value in g.map("digest.sha256", [[path] for path in paths]): ...
    g.call("exec", [["cat"], {"stdin": Descriptor(0), "stdout": Descriptor(1)}])
"""
import mmap
import os
import socket

import msgpack

ELEMENTS_AT = 128  # in the memory of a value or array
FORMATS = dict(i8="b", i16="h", i32="i", i64="q", u8="B", u16="H", u32="I", u64="Q", f32="f", f64="d", bytes="B")  # of memoryviews


class Error(Exception):
    """What the daemon refused, or how a task ended."""

    def __init__(self, record):
        super().__init__(f"{record['code']}: {record['message']}")
        self.code, self.record = record["code"], record


class Descriptor:
    """An open file (its number), as a value among a task's arguments or in an answer."""

    def __init__(self, fd):
        self.fd = fd


class Ganger:
    def __init__(self, path=None):
        self.msgid, self.answers, self.streams, self.fds = 0, {}, {}, []
        self.unpacker = msgpack.Unpacker(max_buffer_size=2**31 - 1, strict_map_key=False)
        own = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() else None
        usual = [directory + "/ganger/ganger.sock" for directory in (own, "/run") if directory]
        path = path or os.environ.get("GANGER_SOCKET")
        for candidate in [path] if path else usual:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.socket.connect(candidate)
                break
            except OSError as error:
                self.socket.close()
                reason = error
        else:
            raise reason
        self.hello = self.request("hello", {"protocol": 1, "client": "python", "descriptors": True})

    def close(self):
        self.socket.close()

    def send(self, message):
        fds = []

        def claim(value):  # the n-th descriptor value of a message claims the n-th descriptor
            fds.append(value.fd)
            return msgpack.ExtType(71, bytes([2]) + bytes(8))

        data = memoryview(msgpack.packb(message, default=claim))
        if fds:  # the first byte brings them, and the rest follows without
            data = data[socket.send_fds(self.socket, [data], fds):]
        self.socket.sendall(data)

    def start(self, method, *params):  # returns its number, for finish()
        self.msgid += 1
        self.streams[self.msgid] = []
        self.send([0, self.msgid, method, list(params)])
        return self.msgid

    def receive(self):  # one message, whatever request it is for
        while True:
            for message in self.unpacker:
                if message[0] == 1:
                    self.answers[message[1]] = self.claimed(message[2:])
                elif message[1] == "stream" and message[2][0] in self.streams:
                    self.streams[message[2][0]].append(message[2][1:])
                elif message[1] == "error":
                    raise Error(message[2][0])
                return
            data, fds, _flags, _address = socket.recv_fds(self.socket, 1 << 16, 16, socket.MSG_CMSG_CLOEXEC)
            self.fds += fds
            if not data:
                raise ConnectionResetError("gangerd has closed the connection")
            self.unpacker.feed(data)

    def claimed(self, value):  # its descriptor values, in their order, as Descriptors
        if isinstance(value, list):
            return [self.claimed(element) for element in value]
        if isinstance(value, dict):
            return {key: self.claimed(element) for key, element in value.items()}
        if isinstance(value, msgpack.ExtType) and value.code == 71:
            return Descriptor(self.fds.pop(0))
        return value

    def finish(self, msgid):
        """Waits for the answer; other requests' answers are kept for their own finish()."""
        while msgid not in self.answers:
            self.receive()
        del self.streams[msgid]
        error, result = self.answers.pop(msgid)
        if error is not None:
            raise Error(error)
        return result

    def request(self, method, *params):
        return self.finish(self.start(method, *params))

    def call(self, function, args=(), **options):
        return self.request("call", function, args, options)

    def submit(self, function, args=(), **options):
        return self.request("submit", function, args, options)

    def result(self, id, **options):
        return self.request("result", id, options)

    def wait(self, ids, **options):  # [[id, state]...] of those that have ended
        return self.request("wait", ids, options)

    def cancel(self, ids):
        return self.request("cancel", ids)

    def open_shared(self, name, kind="value", **options):
        """The elements of a value or array, in memory that all share: view[0] += 1, under a lock that all agree on."""
        answer = self.request("shared.open", name, {"kind": kind, **options})
        fd = answer["object"].fd
        memory = mmap.mmap(fd, 0)  # all of it
        os.close(fd)
        return memoryview(memory)[ELEMENTS_AT:].cast(FORMATS[answer["type"]])

    def map(self, function, items, **options):
        """Yields (index, error, value) as they are ready; what it sums up to is in .map_sum then."""
        msgid = self.start("map", function, list(items), options)
        while msgid not in self.answers or self.streams[msgid]:
            if not self.streams[msgid]:
                self.receive()
            ready, self.streams[msgid] = self.streams[msgid], []
            for _kind, items in ready:
                yield from items
        self.map_sum = self.finish(msgid)
