# SPDX-License-Identifier: MIT
"""A client of the protocol that hides nothing: bytes, messages, requests, descriptors.

Written from proto/PROTOCOL.md, part 1, alone. Every message that comes is checked against the rules that hold always (shape,
an answer only once and only to what was asked, streams only while a request is open); what breaks one is a Broken. Every wait
has a bound.
"""
import os
import select
import socket
import struct
import time

import msgpack

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
DESCRIPTOR_EXT = 71


class Broken(Exception):
    """The peer broke the protocol."""


class Closed(Exception):
    """The peer closed the connection."""


class TooLate(Exception):
    """The bound of a wait was reached."""


class Refused(Exception):
    """The answer to a request was an error."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error
        self.code = error.get("code")


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def descriptor(kind=2, size=0):
    """A value that claims the next descriptor of its message."""
    return msgpack.ExtType(DESCRIPTOR_EXT, struct.pack(">BQ", kind, size))


def descriptors_in(value):
    """The values of a message that claim descriptors, in their order."""
    if isinstance(value, msgpack.ExtType):
        return [value] if value.code == DESCRIPTOR_EXT else []
    if isinstance(value, dict):
        return [found for pair in value.items() for part in pair for found in descriptors_in(part)]
    return [found for part in value for found in descriptors_in(part)] if isinstance(value, (list, tuple)) else []


def is_utf8(text):
    """Whether what came as a str was UTF-8; other bytes come as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


class Client:
    """One connection. `bound`: how long any wait may take, in seconds."""

    def __init__(self, path, descriptors=False, bound=20.0):
        self.bound = bound
        self.msgid = 0
        self.open = {}  # msgid -> method, of what is not answered yet
        self.answers = {}  # msgid -> (error, result), not taken yet
        self.streams = {}  # msgid -> [[kind, data]…]
        self.order = []  # msgids as their answers came
        self.errors = []  # what notifications `error` said
        self.arrived = []  # descriptors that no message has claimed yet
        self.fds = {}  # msgid -> descriptors of its answer; whoever takes them closes them
        self.unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", strict_map_key=False, max_buffer_size=2**31 - 1)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(bound)
        try:
            self.socket.connect(path)
            self.info = self.ask("hello", {"protocol": 1, "client": "tests", "descriptors": True}) if descriptors else None
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        for fd in [*self.arrived, *(fd for fds in self.fds.values() for fd in fds)]:
            os.close(fd)
        self.arrived, self.fds = [], {}

    # -- bytes and messages out

    def send_bytes(self, data, fds=()):
        """All of `data`; the first byte carries the descriptors."""
        data = memoryview(data)
        try:
            if fds:
                data = data[socket.send_fds(self.socket, [data], list(fds)):]
            if data:
                self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def pack_request(self, method, *params):
        """A request's number and bytes, for whoever sends them himself. From now on an answer is expected."""
        self.msgid += 1
        self.open[self.msgid] = method
        self.streams[self.msgid] = []
        return self.msgid, pack([REQUEST, self.msgid, method, list(params)])

    def start(self, method, *params, fds=()):
        """Sends a request; its number is for finish()."""
        msgid, data = self.pack_request(method, *params)
        self.send_bytes(data, fds)
        return msgid

    def notify(self, method, *params, fds=()):
        self.send_bytes(pack([NOTIFICATION, method, list(params)]), fds)

    def shut_down(self):
        self.socket.shutdown(socket.SHUT_WR)

    # -- messages in

    def receive(self, bound=None):
        """Takes in one message, whatever it is about, and returns it."""
        end = time.monotonic() + (self.bound if bound is None else bound)
        while True:
            for message in self.unpacker:
                self.take(message)
                return message
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TooLate(f"nothing came; open: {sorted(self.open.items())[:8]}")
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, 1 << 20, 253)
                self.arrived += fds
            except ConnectionResetError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of file")
            self.unpacker.feed(data)

    def take(self, message):
        if not isinstance(message, list) or not message:
            raise Broken(f"no message: {message!r}")
        if message[0] == RESPONSE and len(message) == 4:
            self.take_answer(*message[1:])
        elif message[0] == NOTIFICATION and len(message) == 3 and isinstance(message[2], list):
            self.take_notification(*message[1:])
        else:
            raise Broken(f"neither a response nor a notification: {message!r}")

    def take_answer(self, msgid, error, result):
        if self.open.pop(msgid, None) is None:
            raise Broken(f"an answer to a request that is not open: {msgid}")
        if error is not None and (result is not None or not isinstance(error, dict)):
            raise Broken(f"an error that is no map, or a result beside it: {error!r}, {result!r}")
        if error is not None and not (isinstance(error.get("code"), str) and isinstance(error.get("message"), str)):
            raise Broken(f"an error without code and message: {error!r}")
        if error is not None and not is_utf8(error["message"]):
            raise Broken(f"a message that is not UTF-8: {error!r}")
        n = len(descriptors_in(result))
        if n > len(self.arrived):
            raise Broken(f"{n} descriptors are named, {len(self.arrived)} came")
        if n:
            self.fds[msgid], self.arrived = self.arrived[:n], self.arrived[n:]
        self.answers[msgid] = (error, result)
        self.order.append(msgid)

    def take_notification(self, method, params):
        if method == "stream" and len(params) == 3 and params[0] in self.open:
            self.streams[params[0]].append(params[1:])
        elif method == "error" and len(params) == 1 and isinstance(params[0], dict):
            if not is_utf8(str(params[0].get("message"))):
                raise Broken(f"a message that is not UTF-8: {params[0]!r}")
            self.errors.append(params[0])
        else:
            raise Broken(f"a notification that was not asked for: {method!r} {params!r}"[:300])

    def end_of_file(self):
        """Reads until the peer closes; returns what notifications `error` said."""
        try:
            while True:
                self.receive()
        except Closed:
            return self.errors

    # -- requests

    def outcome(self, msgid, bound=None):
        """Waits for the answer: (error, result). Other answers that come meanwhile are kept."""
        end = time.monotonic() + (self.bound if bound is None else bound)
        while msgid not in self.answers:
            self.receive(max(0, end - time.monotonic()))
        return self.answers.pop(msgid)

    def finish(self, msgid, bound=None):
        error, result = self.outcome(msgid, bound)
        if error is not None:
            raise Refused(error)
        return result

    def ask(self, method, *params, fds=()):
        return self.finish(self.start(method, *params, fds=fds))

    def call(self, function, *args, **options):
        return self.ask("call", function, list(args), options)

    def ask_fd(self, method, *params):
        """The result, and the one descriptor that comes with it."""
        msgid = self.start(method, *params)
        result = self.finish(msgid)
        fd, = self.fds.pop(msgid)
        return result, fd

    def submit(self, function, *args, **options):
        return self.ask("submit", function, list(args), options)

    def streamed(self, msgid, kind):
        """The data of one kind that has come for a request."""
        return [data for its, data in self.streams[msgid] if its == kind]

    def until(self, true, bound=None):
        """Takes messages in until true() is."""
        end = time.monotonic() + (self.bound if bound is None else bound)
        while not true():
            self.receive(max(0, end - time.monotonic()))


def eventually(true, bound=10.0, pause=0.005):
    """Asks again and again until true() yields something; for what nobody can be told of by an event."""
    end = time.monotonic() + bound
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > end:
            raise TooLate("it did not come to be")
        select.select([], [], [], pause)
