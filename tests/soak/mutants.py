# SPDX-License-Identifier: MIT
"""A rude client: recordings of valid dialogues, mutated at random and played again over the real socket.

A recording is what wire.Client sent while a daemon answered: [(bytes, kinds of the descriptors that rode with them)…]. Each mutant
has a seed of its own, "SEED N", which an error names; it repeats the mutant, not the moments."""
import collections
import contextlib
import errno
import os
import random
import select
import socket
import struct
import time

import msgpack

from beside import memfd
from wire import Client, Refused, descriptor

QUIET = 0.03  # seconds after which a connection from which nothing came is left
PATIENCE = 1.0  # and seconds after which it is left in any case
CLOSED_BOUND = 20  # seconds within which who was told of a protocol_error is closed
ALIVE_BOUND = 60
TIDY_EACH = 100  # mutants
MOST_DESCRIPTORS = 253  # that the kernel sends at once
INTERESTING = bytes([0, 1, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC0, 0xC1, 0xC4, 0xC6, 0xC7, 0xC9, 0xCF, 0xD3, 0xD9, 0xDB, 0xDD, 0xDF, 0xFF])
VALUES = [None, True, 0, 1, -1, 2**31, 2**32, 2**53, 2**63, 2**64 - 1, -2**63, 0.001, -0.5, 1e300, float("nan"), float("inf"), "", "k" * 300, "a\0b",
          "default", "echo", "exec", b"", b"\xff" * 40, [], [[]], [1, 2, 3], {}, {"timeout": 0.01}, {"k": {"k": []}}, descriptor(0, 1000),
          descriptor(2), descriptor(0, 2**40), descriptor(9), [None] * 1000]
ALLOWED = {"not_permitted", "not_ready", "broken_barrier", "cancelled"}  # ends of valid requests

# Descriptors that a mutant sends, and how they are made. What is made here is closed when it was sent.
DESCRIPTORS = {
    "value": lambda: memfd(b"v" * 1000),
    "null": lambda: os.open("/dev/null", os.O_RDONLY),
    "unsealed": lambda: memfd(b"v" * 1000, 0),
    "directory": lambda: os.open("/", os.O_RDONLY | os.O_DIRECTORY),
    "nothing": lambda: os.open("/", os.O_PATH),
    "eventfd": lambda: os.eventfd(0),
    "socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(),
    "empty": lambda: memfd(b""),
}
VALUE, NULL = (descriptor(0, 1000), "value"), (descriptor(2), "null")
BRIEF = {"ttl": 1}


def dialogues(name):
    """What is recorded: method, params and kinds of descriptors of each request; `name`: of the shared objects in it."""
    a, b = f"{name}a", f"{name}b"
    return [
        [("ping",), ("functions",), ("status",), ("metrics",), ("tasks", {"limit": 3, "state": "unended"})],
        [("call", "echo", [{"a": [1, 2.5, "x" * 40, None, True]}], {"priority": 3, "label": "a label", "timeout": 0.5, "retries": 2, "backoff": 0.01})],
        [("call", "sleep", [0.01], {"stream": ["stdout", "stderr", "progress"]}), ("call", "echo", [b"b" * 300], {"key": a})],
        [("submit", "echo", [n], {**BRIEF, "key": f"{name}{n}", "delay": 0.01, "expires": 2}) for n in range(3)]
        + [("tasks", {"limit": 2}), ("wait", [1, 2, 3], {"timeout": 0.01, "count": 1})],
        [("submit", "echo", [b"x" * 5000], BRIEF), ("cancel", [1, 2, 3]), ("cancel_request", 1), ("tasks", {"function": "echo", "after": 1})],
        [("map", "echo", [[n] for n in range(50)], {"ordered": True, "collect": True, "chunk": 7, "limit": 3, "fail_fast": True}), ("status",)],
        [("call", "echo", [VALUE[0]], {}, VALUE[1]), ("call", "digest.sha256", [NULL[0]], {}, NULL[1]), ("ping",)],
        [("map", "echo", [[VALUE[0]], [VALUE[0]]], {}, VALUE[1], VALUE[1]), ("submit", "echo", [VALUE[0]], BRIEF, VALUE[1])],
        [("shared.open", a, {"kind": "value", "type": "i64"}), ("shared.open", b, {"kind": "array", "type": "u8", "length": 1000}),
         ("shared.list", {"prefix": name, "limit": 5}), ("shared.unlink", a), ("shared.unlink", b)],
        [("lock.acquire", a, {"timeout": 0, "owner": 1}), ("condition.notify", a, {"owner": 1}), ("condition.wait", a, {"owner": 1, "timeout": 0.01}),
         ("lock.release", a, {"owner": 1}), ("lock.acquire", b, {"limit": 2, "timeout": 0.01}), ("shared.unlink", a), ("shared.unlink", b)],
        [("queue.put", a, [1, "two", [3]], {"timeout": 0, "maxsize": 10}), ("queue.get", a, {"max": 2, "ack": True, "timeout": 0}),
         ("queue.task_done", a, [1, 2]), ("queue.get", a, {"timeout": 0.01}), ("queue.size", a), ("queue.join", a, {"timeout": 0}), ("shared.unlink", a)],
        [("dict.set", a, {"k": 1, "l": "v" * 100}), ("dict.add", a, "k", 2), ("dict.get", a, ["k", "l"]), ("dict.items", a, {"after": 0, "limit": 9}),
         ("dict.watch", a, {"after": 0, "timeout": 0.01}), ("dict.delete", a, "k"), ("dict.len", a), ("shared.unlink", a)],
        [("list.push", a, [1, 2, 3], {"front": True}), ("list.set", a, 0, "x"), ("list.get", a, -1), ("list.slice", a, 0, 9), ("list.pop", a, {"max": 2}),
         ("list.len", a), ("shared.unlink", a)],
        [("event.set", a), ("event.wait", a, {"timeout": 0}), ("event.clear", a), ("event.is_set", a), ("barrier.wait", b, {"parties": 2, "timeout": 0.01}),
         ("barrier.reset", b), ("barrier.abort", b), ("shared.unlink", a), ("shared.unlink", b)],
        [("pipe.open", a), ("pipe.open", a)],
        [("pool.scale", "fuzzed", 2), ("pool.pause", "fuzzed"), ("pool.resume", "fuzzed"), ("reload", {}), ("pool.reload", "fuzzed"), ("log_level", "info")],
    ]


class Recorder(Client):
    """A client that keeps what it sends."""

    def __init__(self, path, descriptors):
        self.sent = []
        self.kinds = []
        super().__init__(path, descriptors=descriptors, bound=ALIVE_BOUND)

    def send_bytes(self, data, fds=()):
        self.sent.append((bytes(data), list(self.kinds)))
        super().send_bytes(data, fds)

    def play(self, method, *params):
        """Starts one request; what is the name of a kind of descriptors behind its params is sent with it."""
        self.kinds = [param for param in params if isinstance(param, str) and param in DESCRIPTORS]
        with made(self.kinds) as fds:
            return self.start(method, *params[:len(params) - len(self.kinds)], fds=fds)


@contextlib.contextmanager
def made(kinds):
    fds = [DESCRIPTORS[kind]() for kind in kinds]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def record(path, name):
    """Every dialogue, as it was played; all must be valid."""
    recordings = []
    for dialogue in dialogues(name):
        with Recorder(path, descriptors=True) as client:
            for request in dialogue:
                error, _ = client.outcome(client.play(*request))
                assert error is None or error["code"] in ALLOWED, f"{request} is no valid request: {error}"
            recordings.append(client.sent)
    with Recorder(path, descriptors=False) as client:  # notifications, a map that is fed, events
        client.notify("submit", "echo", [1])
        feeding = client.play("map", "echo", [[1]], {"feed": True, "window": 2})
        client.notify("feed", feeding, [[2], [3]], True)
        client.until(lambda: client.streams[feeding])  # what was not delivered cannot be confirmed
        client.notify("more", feeding, 1)
        client.finish(feeding)
        events = client.play("subscribe", ["task_succeeded", "task_failed"], {"after": 1})
        client.notify("cancel_request", events)
        assert client.outcome(events)[0]["code"] == "cancelled"
        recordings.append(client.sent)
    return recordings


# -- what is done to one message, or to the order of all

def flip(chance, data):
    place = chance.randrange(len(data))
    data[place] ^= 1 << chance.randrange(8)


def replace(chance, data):
    data[chance.randrange(len(data))] = chance.choice(INTERESTING)


def cut_out(chance, data):
    place = chance.randrange(len(data))
    del data[place:place + chance.randint(1, 20)]


def repeat(chance, data):
    place = chance.randrange(len(data))
    data[place:place] = data[place:place + chance.randint(1, 20)] * chance.choice((1, 1, 50))


def insert(chance, data):
    place = chance.randrange(len(data) + 1)
    data[place:place] = chance.randbytes(chance.randint(1, 8))


def claim_length(chance, data):
    """A length or count that is larger than what follows."""
    place = chance.randrange(len(data))
    data[place:place + 1] = chance.choice((b"\xc6", b"\xdb", b"\xdd", b"\xdf", b"\xc9")) + struct.pack(">I", chance.choice((100, 2**16, 2**26, 2**32 - 1)))


def truncate(chance, data):
    del data[chance.randrange(len(data)):]


BYTES = [flip, replace, cut_out, repeat, insert, claim_length, truncate]


def changed(chance, value):
    """A value of which one part is another one."""
    if isinstance(value, list) and value and chance.random() < 0.9:
        i = chance.randrange(len(value))
        return [*value[:i], changed(chance, value[i]), *value[i + 1:]]
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        other = changed(chance, key) if chance.random() < 0.2 else key
        return {**value, other if isinstance(other, (str, int, bytes)) else key: changed(chance, value[key])}
    return chance.choice(VALUES)


def change_value(chance, messages, _):
    """Still MessagePack, if it was: who asks is wrong, not how he says it."""
    i = chance.randrange(len(messages))
    data, kinds = messages[i]
    with contextlib.suppress(ValueError, TypeError, msgpack.UnpackException):
        message = msgpack.unpackb(data, strict_map_key=False)
        if isinstance(message, list) and message:
            place = chance.choice([*range(len(message)), *[len(message) - 1] * 8])
            message[place] = changed(chance, message[place])
        messages[i] = msgpack.packb(message), kinds


def splice(chance, messages, others):
    """The head of one message and the tail of another one."""
    i, (other, kinds) = chance.randrange(len(messages)), chance.choice(others)
    data, own = messages[i]
    messages[i] = data[:chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1):], chance.choice((own, kinds, own + kinds))


def reorder(chance, messages, others):
    i, message = chance.randrange(len(messages)), chance.choice(messages + others)
    messages[i:i + chance.randint(0, 1)] = [message] * chance.choice((0, 1, 1, 2, 20))


def other_descriptors(chance, messages, _):
    i = chance.randrange(len(messages))
    data, kinds = messages[i]
    n = chance.choice((0, 1, 1, 2, len(kinds), len(kinds), 16, 17, MOST_DESCRIPTORS))
    messages[i] = data, [chance.choice(list(DESCRIPTORS)) for _ in range(n)]


STRUCTURE = [change_value, change_value, change_value, splice, reorder, other_descriptors]


def mutate(chance, recordings):
    """The messages of a mutant: [(bytes, kinds)…]; where one may be split it is in several."""
    messages = list(chance.choice(recordings))
    for _ in range(min(1 + int(chance.expovariate(1.2)), 6)):
        if not messages:
            break
        if chance.random() < 0.6:
            chance.choice(STRUCTURE)(chance, messages, chance.choice(recordings))
            continue
        i = chance.randrange(len(messages))
        data, kinds = bytearray(messages[i][0]), messages[i][1]
        if data:
            chance.choice(BYTES)(chance, data)
        messages[i] = bytes(data), kinds
    if chance.random() < 0.3:
        messages = [part for data, kinds in messages for part in split(chance, data, kinds)]
    return [(data, kinds[:MOST_DESCRIPTORS]) for data, kinds in messages if data]


def split(chance, data, kinds):
    place = chance.randrange(len(data) + 1)
    return [(data[:place], kinds), (data[place:], [])] if place else [(data, kinds)]


class Connection:
    """What a mutant is played on: sends and reads at the same time, and holds what comes against the protocol."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", strict_map_key=False, max_buffer_size=2**31 - 1)
        self.refused = False  # it was told of its protocol_error
        self.over = False

    def play(self, messages, reads=True, shuts_down=False):
        unsent = collections.deque(messages)
        end = time.monotonic() + PATIENCE
        while not self.over and time.monotonic() < end:
            readable, writable, _ = select.select([self.socket] if reads else [], [self.socket] if unsent else [], [], QUIET)
            if writable and not self.send(unsent):
                break
            if not unsent and shuts_down:
                shuts_down = False
                self.shut_down()
            if readable:
                self.receive()
            elif not unsent and not writable:
                break
        if self.refused:
            self.see_closed()

    def send(self, unsent):
        data, kinds = unsent.popleft()
        try:
            with made(kinds) as fds:
                n = socket.send_fds(self.socket, [data], fds) if fds else self.socket.send(data)
            if n < len(data):
                unsent.appendleft((data[n:], []))
        except BlockingIOError:
            unsent.appendleft((data, kinds))
        except OSError as error:  # closed by the daemon; or as many descriptors are on their way as this user may send
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ETOOMANYREFS):
                raise
            unsent.clear()
            return error.errno != errno.ETOOMANYREFS
        return True

    def shut_down(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def receive(self):
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 18, 253)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, fds = b"", []
        for fd in fds:
            os.close(fd)
        self.over = not data
        self.unpacker.feed(data)
        try:
            for message in self.unpacker:
                assert not self.refused, f"more after a protocol_error: {message!r}"
                self.judge(message)
        except (TypeError, ValueError):  # a mutant's own value comes back that Python cannot hold: a map's key that is a map, a wrong timestamp
            self.over = True

    def judge(self, message):
        shape = isinstance(message, list) and message and (message[0], len(message)) in ((1, 4), (2, 3))
        assert shape, f"the daemon sent no message: {message!r}"
        if message[0] == 1 and message[2] is not None:
            assert isinstance(message[2], dict) and {"code", "message"} <= set(message[2]) and message[3] is None, message
        if message[0] == 2 and message[1] == "error":
            self.refused = True

    def see_closed(self):
        end = time.monotonic() + CLOSED_BOUND
        while not self.over:
            left = end - time.monotonic()
            assert left > 0, "who was told of a protocol_error was not closed"
            if select.select([self.socket], [], [], left)[0]:
                self.receive()


class Fuzzer:
    """Mutant after mutant; between them, from time to time, a polite client of the same user."""

    def __init__(self, path, seed, recordings):
        self.path = path
        self.seed = seed
        self.recordings = recordings
        self.count = collections.Counter()

    def one(self, n):
        chance = random.Random(f"{self.seed} {n}")
        messages = mutate(chance, self.recordings)
        connection = Connection(self.path)
        try:
            connection.play(messages, reads=chance.random() < 0.9, shuts_down=chance.random() < 0.5)
        except (AssertionError, ValueError, TypeError, OSError) as error:
            raise AssertionError(f'the mutant "{self.seed} {n}" found: {error}'[:2000]) from error
        finally:
            connection.socket.close()
        self.count["mutants"] += 1
        self.count["refused"] += connection.refused

    def tidy(self):
        """Ends what the mutants began: a mutated delay may be a year. That it is answered shows that the daemon serves."""
        with Client(self.path, bound=ALIVE_BOUND) as client:
            assert client.ask("ping") == "pong"
            unended = [task["id"] for task in client.ask("tasks", {"state": "unended", "limit": 10_000})]
            client.ask("cancel", unended)
            for its in client.ask("shared.list", {"limit": 10_000}):
                with contextlib.suppress(Refused):  # another fuzzer was faster
                    client.ask("shared.unlink", its["name"])

    def run(self, out, seconds):
        end = time.monotonic() + seconds
        n = 0
        while time.monotonic() < end:
            self.one(n)
            n += 1
            if n % TIDY_EACH == 0:
                self.tidy()
        self.tidy()
        print(f'{{"count": {{"mutants": {self.count["mutants"]}, "refused": {self.count["refused"]}}}}}', file=out)
