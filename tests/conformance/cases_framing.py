# SPDX-License-Identifier: MIT
"""Messages in pieces, in heaps, out of order, large, and those that are none."""
import hashlib
import os
import random
import struct

from expect import TEXT, refusal
from suite import Wrong, case
from wire import Client, Closed, eventually, pack

MIB = 1 << 20


@case
def cut_at_every_byte(t):
    """One message, sent in two parts, cut at every place there is"""
    client = t.connect()
    value = {"a": [1, -2, 3.5, None, True], "b": b"\x00\xff" * 20, "c": "ä" * 10, "d": 2**40}
    length = len(client.pack_request("call", "echo", [value], {})[1])
    client.open.clear()
    for cut in range(1, length):
        msgid, data = client.pack_request("call", "echo", [value], {})
        client.send_bytes(data[:cut])
        probe = t.connect() if cut % 16 == 0 else None  # what is unfinished holds up nobody
        if probe:
            t.match(probe.ask("ping"), "pong", "another connection's ping")
        client.send_bytes(data[cut:])
        t.match(client.finish(msgid), value, f"echo of a message cut at {cut}")


@case
def byte_by_byte(t):
    """A message in writes of one byte each"""
    client = t.connect()
    msgid, data = client.pack_request("call", "echo", ["slowly"], {})
    for byte in data:
        client.send_bytes(bytes([byte]))
    t.match(client.finish(msgid), "slowly")


@case
def several_in_one_write(t):
    """A hundred messages in one write, then in writes that cut them anywhere"""
    client = t.connect()
    for step in (1 << 30, 7, 61):
        requests = [client.pack_request("call", "echo", [[n, "x" * n]], {}) for n in range(100)]
        data = b"".join(data for _, data in requests)
        for at in range(0, len(data), step):
            client.send_bytes(data[at:at + step])
        for n, (msgid, _) in enumerate(requests):
            t.match(client.finish(msgid), [n, "x" * n])


@case
def out_of_order(t):
    """Answers come as they become ready, not as they were asked for"""
    client = t.connect()
    slow = client.start("call", "sleep", [0.3], {})
    fast = client.start("call", "echo", ["fast"], {})
    ping = client.start("ping")
    for msgid, want in ((slow, None), (fast, "fast"), (ping, "pong")):
        t.match(client.finish(msgid), want)
    t.match(client.order[-1], slow, "the answer that came last")


@case
def msgids_of_the_client(t):
    """Any integer below 2^32, in any order, and again when it was answered"""
    client = t.connect()
    for msgid in (0, 2**32 - 1, 7, 0, 2**31, 7):
        client.open[msgid] = "ping"
        client.send_bytes(pack([0, msgid, "ping", []]))
        t.match(client.finish(msgid), "pong")


@case
def names_as_bin(t):
    """Method, function, option may be bin that is UTF-8"""
    client = t.connect()
    msgid = client.start(b"call", b"echo", [b"as it came"], {b"pool": b"default"})
    t.match(client.finish(msgid), b"as it came")


@case
def wide_forms(t):
    """Integers, lengths and counts in forms wider than they need"""
    client = t.connect()
    client.open[5] = "call"
    name = b"\xdb" + struct.pack(">I", 4) + b"call"
    function = b"\xda" + struct.pack(">H", 4) + b"echo"
    args = b"\xdd" + struct.pack(">I", 1) + b"\xd3" + struct.pack(">q", -5)
    client.send_bytes(b"\xdc\x00\x04" + b"\xcd\x00\x00" + b"\xcf" + struct.pack(">Q", 5) + name
                      + b"\xdd" + struct.pack(">I", 3) + function + args + b"\xdf" + bytes(4))
    t.match(client.finish(5), -5)


@case
def large_values_inline(t):
    """300 KiB and 32 MiB, both ways, to a client that takes no descriptors"""
    client = t.connect(bound=60)
    for size in (300 << 10, 32 * MIB):
        value = os.urandom(size)
        if client.call("echo", value) != value:
            raise Wrong(f"{size} bytes came back as others")
        t.match(client.call("digest.sha256", value), hashlib.sha256(value).hexdigest(), f"digest of {size} bytes")
    text = "ä" * (300 << 9)
    t.match(client.call("echo", text) == text, True, "a str of 300 KiB comes back")


@case
def half_close(t):
    """Who shuts his writing side gets the answers that he waits for, then the end"""
    client = t.connect()
    late = client.start("call", "sleep", [0.2], {})
    first = client.start("call", "echo", ["first"], {})
    client.shut_down()
    t.match(client.end_of_file(), [])
    t.match([client.finish(first), client.finish(late)], ["first", None])


@case
def half_close_in_a_message(t):
    """An unfinished message at the end of file is nobody's fault but its sender's: he gets the other answers"""
    client = t.connect()
    whole = client.start("call", "echo", ["whole"], {})
    client.send_bytes(pack([0, 99, "ping", []])[:-2])
    client.shut_down()
    client.end_of_file()
    t.match(client.finish(whole), "whole")


@case
def notifications(t):
    """Run, and never answered; an unknown one, and one that is wrong, included"""
    client = t.connect()
    before = client.ask("status")["totals"]["succeeded"]
    client.notify("submit", "echo", [1], {})
    client.notify("call", "echo", [1], {})
    for method in ("ping", "status", "no_such_method", "submit", "wait"):
        client.notify(method)
    eventually(lambda: client.ask("status")["totals"]["succeeded"] >= before + 2)
    client.start("ping")
    client.shut_down()
    t.match(client.end_of_file(), [])


def nested(depth):
    """A request of that depth: the message, its params, the args and what is in them."""
    return (b"\x94\x00\x01" + pack("call") + b"\x92" + pack("echo") + b"\x91" * (depth - 2) + b"\xc0")


@case
def depth_32(t):
    """As deep as may be"""
    client = t.connect()
    client.open[1] = "call"
    client.send_bytes(nested(32))
    value = None
    for _ in range(32 - 3):
        value = [value]
    t.match(client.finish(1), value)


NO_MESSAGES = {
    "a number": b"\x05",
    "nil": b"\xc0",
    "a map": b"\x81\x00\x01",
    "an empty array": b"\x90",
    "a type that is none": pack([7, 1, "ping", []]),
    "a response": pack([1, 1, None, None]),
    "a request of three": pack([0, 1, "ping"]),
    "a request of five": pack([0, 1, "ping", [], 1]),
    "a msgid of 2^32": pack([0, 2**32, "ping", []]),
    "a negative msgid": pack([0, -1, "ping", []]),
    "a msgid that is text": pack([0, "1", "ping", []]),
    "a method that is a number": pack([0, 1, 2, []]),
    "params that are a map": pack([0, 1, "ping", {}]),
    "a notification of four": pack([2, "ping", [], 1]),
    "the byte 0xc1": b"\x94\x00\x01\xa4ping\x91\xc1",
    "depth 33": nested(33),
    "depth 1000": nested(1000),
    "depth 1000 of maps": b"\x94\x00\x01\xa4call\x92\xa1f" + b"\x81\xa1k" * 1000 + b"\xc0",
    "2^32 - 1 elements": b"\x94\x00\x01\xa4call\x93\xa1f\xdd\xff\xff\xff\xff",
    "2^32 - 1 pairs": b"\x94\x00\x01\xa4call\x93\xa1f\xdf\xff\xff\xff\xff",
    "bin of 2^32 - 1 bytes": b"\x94\x00\x01\xa4call\x93\xa1f\x91\xc6\xff\xff\xff\xff",
    "str of 2^32 - 1 bytes": b"\x94\x00\x01\xa4call\x93\xa1f\x91\xdb\xff\xff\xff\xff",
    "ext of 2^32 - 1 bytes": b"\x94\x00\x01\xa4call\x93\xa1f\x91\xc9\xff\xff\xff\xff\x01",
    "an array of 2^32 - 1 as message": b"\xdd\xff\xff\xff\xff",
    "65 MiB declared": b"\x94\x00\x01\xa4call\x93\xa4echo\x91\xc6" + struct.pack(">I", 65 * MIB),
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "text": b"ping\n",
    "TLS": bytes.fromhex("160301020001"),
}


@case
def no_messages(t):
    """What is not well formed ends its connection, with the reason, and no other one"""
    other = t.connect()
    waiting = other.start("call", "sleep", [0.5], {})
    for name, data in NO_MESSAGES.items():
        client = t.connect(bound=3)  # at once, and not only when it has not become whole in time
        try:
            client.send_bytes(data)
            t.ended_by_error(client, "protocol_error")
        except Exception as error:
            raise Wrong(f"{name}: {error}") from error
        t.match(other.ask("ping"), "pong")
    t.match(other.finish(waiting), None)


@case
def garbage(t):
    """Random bytes: either they are a message, or they end the connection; nothing else happens"""
    rng = random.Random(71)
    for _ in range(50):
        client = t.connect()
        try:
            client.send_bytes(rng.randbytes(rng.randrange(1, 4000)))
            client.shut_down()
        except Closed:
            pass
        for error in client.end_of_file():
            t.match(error, refusal("protocol_error"))
    t.match(t.connect().ask("ping"), "pong")


@case
def whole_65_mib(t):
    """A message of 65 MiB, written as far as the peer reads it"""
    client = t.connect()
    head = b"\x94\x00\x01\xa4call\x93\xa4echo\x91\xc6" + struct.pack(">I", 65 * MIB)
    try:
        client.send_bytes(head)
        for _ in range(65):
            client.send_bytes(bytes(MIB))
    except Closed:
        pass
    try:
        t.ended_by_error(client, "protocol_error")
    except Wrong:
        if client.errors:  # it may be lost when the peer closes upon unread bytes; nothing else may come
            raise
    t.match(t.connect().ask("ping"), "pong")


@case
def duplicate_msgid(t):
    """A msgid that is still open: the end of that connection, and of what it asked for"""
    client = t.connect()
    msgid = client.start("call", "sleep", [30], {"label": "duplicate"})
    client.send_bytes(pack([0, msgid, "ping", []]))
    client.open.clear()
    t.ended_by_error(client, refusal("protocol_error", TEXT))
    watcher = t.connect()
    eventually(lambda: not watcher.ask("tasks", {"label": "duplicate", "state": "unended"}))


@case
def leaves_in_a_message(t):
    """A client that is gone in the middle of a message"""
    for cut in (1, 2, 10):
        client = Client(t.socket("plain"))
        client.send_bytes(pack([0, 1, "call", ["echo", [1], {}]])[:cut])
        client.close()
    t.match(t.connect().ask("ping"), "pong")
