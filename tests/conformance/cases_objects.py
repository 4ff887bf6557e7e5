# SPDX-License-Identifier: MIT
"""Shared objects: that they come, go and are listed, who may, and the memory of values and arrays."""
import fcntl
import mmap
import os
import struct

import msgpack

from expect import COUNT, SECONDS, refusal, says
from suite import case
from wire import DESCRIPTOR_EXT, Refused, eventually

STRANGER, FRIEND = 60001, 60002
F_GET_SEALS, SEALS = 1034, 0x1 | 0x2 | 0x4  # SEAL, SHRINK, GROW
MAGIC, HEADER = b"gngshm1\0", 128
TYPES = {"i8": "b", "i16": "h", "i32": "i", "i64": "q", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f", "f64": "d"}


def listed(kind, name, **more):
    return {"name": name, "kind": kind, "uid": COUNT, "gid": COUNT, "mode": 0o600, "created": SECONDS, "bytes": COUNT, "waiting": 0, **more}


def opened(kind, name, new=True, **more):
    return {**listed(kind, name, **more), "new": new}


def forget(client, *names):
    for name in names:
        client.ask("shared.unlink", name)


def is_shared(value):
    return isinstance(value, msgpack.ExtType) and value.code == DESCRIPTOR_EXT and value.data[0] == 1


def header_of(fd):
    return struct.unpack_from("=8sIIIIQQ24xQII", os.pread(fd, HEADER, 0))


@case
def shared_memory(t):
    """A value and an array of each type: the descriptor, its seals, the header to the byte, zeros, and what one writes another reads"""
    client, other = t.connect(descriptors=True), t.connect(descriptors=True)
    t.methods.add("shared.open")
    for i, (type_, code) in enumerate(TYPES.items()):
        size = struct.calcsize(code)
        for kind, length in (("value", 1), ("array", 1000)):
            what = {"kind": kind, "type": type_, **({"length": length} if kind == "array" else {})}
            result, fd = client.ask_fd("shared.open", "memory", what)
            again, other_fd = other.ask_fd("shared.open", "memory", {"kind": kind})
            t.match(is_shared(result.pop("object")), True, "object is an ext 71 of kind 1")
            t.match(struct.unpack(">Q", again["object"].data[1:])[0], HEADER + size * length, "the size that it names")
            t.match(result, opened(kind, "memory", type=type_, length=length))
            t.match(again["new"], False)
            t.match(os.fstat(fd).st_size, HEADER + size * length, "the size")
            t.match(fcntl.fcntl(fd, F_GET_SEALS) & SEALS, SEALS, "the seals")
            t.match(header_of(fd), (MAGIC, 1, 1 if kind == "value" else 2, i, size, length, HEADER, 0, 0, 0), "the header")
            t.match(os.fstat(fd).st_blocks * 512 >= HEADER + size * length, True, "the memory is there")
            with mmap.mmap(fd, 0) as mine, mmap.mmap(other_fd, 0) as theirs:
                t.match(mine[HEADER:] == bytes(size * length), True, "all zero")
                struct.pack_into(code, mine, HEADER + size * (length - 1), 7)
                t.match(struct.unpack_from(code, theirs, HEADER + size * (length - 1)), (7,) if code not in "fd" else (7.0,))
            os.close(fd)
            os.close(other_fd)
            forget(client, "memory")
    result, fd = client.ask_fd("shared.open", "memory", {"kind": "value", "type": "bytes", "length": 12345})
    t.match((header_of(fd)[3:6], os.fstat(fd).st_size), ((10, 1, 12345), HEADER + 12345))
    os.close(fd)
    forget(client, "memory")


@case
def shared_open_refusals(t):
    """What cannot be opened so, and why"""
    client = t.connect(descriptors=True)
    for options, word in (({}, "kind"), ({"kind": "file"}, "kind"), ({"kind": "array"}, "length"), ({"kind": "array", "length": 0}, "length"),
                          ({"kind": "value", "type": "i128"}, "type"), ({"kind": "barrier"}, "parties"), ({"kind": "lock", "parties": 3}, "parties"),
                          ({"kind": "lock", "mode": 0o1000}, "mode"), ({"kind": "lock", "limit": 0}, "limit"), ({"kind": "queue", "length": 4}, "length"),
                          ({"kind": "lock", "reentrant": True, "limit": 2}, "reentrant"), ({"kind": "value", "length": 1 << 41, "type": "bytes"}, "length")):
        t.refused(client, refusal("invalid_params", says(word)), "shared.open", "refused", options)
    for name, word in (("", "name"), ("x" * 256, "name"), ("a\0b", "name")):
        t.refused(client, refusal("invalid_params", says(word)), "shared.open", name, {"kind": "lock"})
        t.refused(client, "invalid_params", "lock.acquire", name)
    t.refused(client, refusal("unknown_object", says("refused")), "shared.open", "refused", {"kind": "lock", "create": False})
    t.compare(client, opened("lock", "refused", limit=1, reentrant=False, holders=[]), "shared.open", "refused", {"kind": "lock"})
    t.compare(client, opened("lock", "refused", False, limit=1, reentrant=False, holders=[]), "shared.open", "refused", {"kind": "lock", "mode": 0o666})
    t.refused(client, refusal("key_conflict"), "shared.open", "refused", {"kind": "lock", "exclusive": True})
    t.refused(client, refusal("key_conflict", says("lock")), "shared.open", "refused", {"kind": "queue"})
    t.refused(client, refusal("key_conflict", says("limit", "1")), "shared.open", "refused", {"kind": "lock", "limit": 2})
    t.refused(client, refusal("key_conflict", says("lock")), "queue.put", "refused", [1])
    t.refused(client, refusal("key_conflict", says("lock")), "dict.get", "refused", "a")
    forget(client, "refused")
    plain = t.connect()
    for kind in ("value", "array"):
        t.refused(plain, refusal("invalid_params", says("descriptors")), "shared.open", "refused", {"kind": kind, "length": 1})
    t.refused(client, "unknown_object", "shared.unlink", "refused")


@case
def shared_list(t):
    """What there is: by kind, by the beginning of the name, page by page"""
    client = t.connect(descriptors=True)
    wanted = {
        "l.array": ("array", {"type": "f32", "length": 3}), "l.barrier": ("barrier", {"parties": 2, "broken": False}),
        "l.dict": ("dict", {"length": 1, "version": COUNT}), "l.event": ("event", {"set": True}), "l.list": ("list", {"length": 2, "version": COUNT}),
        "l.lock": ("lock", {"limit": 1, "reentrant": True, "holders": [{"pid": os.getpid(), "task": None, "owner": 5, "token": COUNT}]}),
        "l.queue": ("queue", {"size": 2, "leased": 1, "maxsize": 9}), "l.value": ("value", {"type": "i64", "length": 1}),
    }
    for name, options in (("l.array", {"kind": "array", "type": "f32", "length": 3}), ("l.value", {"kind": "value"})):
        os.close(client.ask_fd("shared.open", name, options)[1])
    client.ask("shared.open", "l.barrier", {"kind": "barrier", "parties": 2})
    client.ask("dict.set", "l.dict", {"a": 1})
    client.ask("event.set", "l.event")
    client.ask("list.push", "l.list", [1, 2])
    client.ask("lock.acquire", "l.lock", {"reentrant": True, "owner": 5})
    client.ask("queue.put", "l.queue", [1, 2, 3], {"maxsize": 9})
    client.ask("queue.get", "l.queue", {"ack": True})
    rows = {name: listed(kind, name, **more) for name, (kind, more) in wanted.items()}
    t.compare(client, [rows[name] for name in sorted(rows)], "shared.list", {"prefix": "l."})
    t.compare(client, [rows["l.lock"]], "shared.list", {"prefix": "l.", "kind": "lock"})
    t.compare(client, [rows["l.dict"], rows["l.event"]], "shared.list", {"prefix": "l.", "after": "l.barrier", "limit": 2})
    t.compare(client, [], "shared.list", {"prefix": "nothing"})
    t.refused(client, refusal("invalid_params", says("kind")), "shared.list", {"kind": "file"})
    for name in sorted(rows):
        t.compare(client, None, "shared.unlink", name)
    t.compare(client, [], "shared.list", {"prefix": "l."})
    t.match(set(row["name"] for row in client.ask("shared.list")) & set(rows), set())


@case
def unknown_object(t):
    """What needs an object that is there; and who waits for one that is unlinked is told"""
    client, other = t.connect(), t.connect()
    for method, *params in (("shared.unlink",), ("lock.release",), ("condition.wait",), ("condition.notify",), ("barrier.reset",), ("barrier.abort",),
                            ("queue.task_done", 1)):
        t.refused(client, refusal("unknown_object", says("nothing")), method, "nothing", *params)
    for method, *params in (("lock.acquire",), ("event.wait",), ("barrier.wait", {"parties": 2}), ("queue.get",), ("dict.watch",)):
        if method == "lock.acquire":
            other.ask("lock.acquire", "goes")
        waiting = client.start(method, "goes", *params)
        eventually(lambda: (rows := other.ask("shared.list", {"prefix": "goes"})) and rows[0]["waiting"] == 1)
        other.ask("shared.unlink", "goes")
        t.refused_answer(client, "unknown_object", waiting)
    other.ask("queue.put", "goes", [1])
    waiting = client.start("queue.join", "goes")
    eventually(lambda: other.ask("shared.list", {"prefix": "goes"})[0]["waiting"] == 1)
    other.ask("shared.unlink", "goes")
    t.refused_answer(client, "unknown_object", waiting)


@case
def shared_modes(t):
    """Whose it is, and who else may"""
    ann = t.connect_as("shared", STRANGER, descriptors=True)
    bob = t.connect_as("shared", FRIEND, descriptors=True)
    mate = t.connect_as("shared", FRIEND, groups=[STRANGER], descriptors=True)
    ann.ask("list.push", "own", [1])
    for method, *params in (("list.len",), ("list.push", [2]), ("list.get", 0)):
        t.refused(bob, refusal("not_permitted"), method, "own", *params)
        t.refused(mate, refusal("not_permitted"), method, "own", *params)
    t.match([row["name"] for row in bob.ask("shared.list")], [])
    t.match([row["name"] for row in ann.ask("shared.list")], ["own"])
    ann.ask("shared.open", "seen", {"kind": "list", "mode": 0o664})
    t.match(bob.ask("list.len", "seen"), 0)
    t.refused(bob, "not_permitted", "list.push", "seen", [1])
    t.match(mate.ask("list.push", "seen", [1]), COUNT)
    t.refused(mate, "not_permitted", "shared.unlink", "seen")
    fd = ann.ask_fd("shared.open", "memory", {"kind": "value", "mode": 0o644})[1]
    theirs = bob.ask_fd("shared.open", "memory", {"kind": "value"})[1]
    try:
        mmap.mmap(theirs, 0)
        raise AssertionError("who may only read can write")
    except PermissionError:
        pass
    with mmap.mmap(theirs, 0, prot=mmap.PROT_READ) as seen, mmap.mmap(fd, 0) as own:
        own[HEADER] = 9
        t.match(seen[HEADER], 9)
    os.close(fd)
    os.close(theirs)
    root = t.connect("shared")
    t.match({row["name"] for row in root.ask("shared.list")} >= {"own", "seen", "memory"}, True, "an admin sees all")
    forget(root, "own")
    forget(ann, "seen", "memory")


@case
def shared_gone_with_its_owner(t):
    """What a connection holds is over with it: the next one is told, and leased items are at the front again"""
    client, gone = t.connect(), t.connect()
    first = gone.ask("lock.acquire", "orphan")["token"]
    gone.ask("queue.put", "orphans", [1, 2, 3])
    t.match([item for _, item in gone.ask("queue.get", "orphans", {"max": 2, "ack": True})], [1, 2])
    waiting = client.start("lock.acquire", "orphan")
    t.match(client.ask("ping"), "pong")
    gone.close()
    got = client.finish(waiting)
    t.match(got, {"token": COUNT, "abandoned": True})
    t.match(got["token"] > first, True, "the token grows")
    eventually(lambda: client.ask("queue.size", "orphans") == 3)
    t.match([item for _, item in client.ask("queue.get", "orphans", {"max": 9})], [1, 2, 3])
    forget(client, "orphan", "orphans")


@case
def user_objects(t):
    """A user has at most so many; unlinking makes room"""
    client = t.connect("limits")
    made = []
    try:
        for i in range(9):
            client.ask("event.set", f"e{i}")
            made.append(f"e{i}")
    except Refused as refused:
        t.match(refused.error, refusal("quota_exceeded", what="user_objects", used=8, limit=8))
    t.match(len(made), 8, "how many there can be")
    forget(client, made.pop())
    client.ask("event.set", "again")
    forget(client, "again", *made)
    t.match(client.ask("shared.list"), [])
