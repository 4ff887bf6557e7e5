# SPDX-License-Identifier: MIT
"""Shared objects as such: made, opened, listed, unlinked; their memory; who may; what they count; names."""
import fcntl
import mmap
import os
import select
import struct

from expect import COUNT, NUMBER, OneOf, Where, refusal, says
from suite import case
from wire import Descriptor, descriptor, eventually

ANN, BOB, TEAM = 60001, 60002, 60010
HEADER = 128
F_GET_SEALS = 1034
TYPES = {"i8": "b", "i16": "h", "i32": "i", "i64": "q", "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f32": "f", "f64": "d", "bytes": "c"}
# What needs a name and nothing that is there: (method, further params)
BY_NAME = (("shared.open", {"kind": "event"}), ("shared.unlink",), ("lock.acquire",), ("lock.release",), ("condition.wait",),
           ("condition.notify",), ("event.set",), ("event.clear",), ("event.is_set",), ("event.wait",), ("barrier.wait", {"parties": 2}),
           ("barrier.reset",), ("barrier.abort",), ("queue.put", [1]), ("queue.get",), ("queue.task_done", 1), ("queue.join",),
           ("queue.size",), ("pipe.open",), ("dict.get", "k"), ("dict.set", {"k": 1}), ("dict.delete", "k"), ("dict.add", "k", 1),
           ("dict.items",), ("dict.len",), ("dict.watch",), ("list.push", [1]), ("list.pop",), ("list.get", 0), ("list.set", 0, 1),
           ("list.slice", 0, 1), ("list.len",))
TIMED = ("lock.acquire", "condition.wait", "event.wait", "barrier.wait", "queue.put", "queue.get", "queue.join", "dict.watch")
OF_KIND = {"lock": "lock", "condition": "lock", "event": "event", "barrier": "barrier", "queue": "queue", "pipe": "pipe", "dict": "dict",
           "list": "list"}


def looks(name, kind, **more):
    """How an object is described."""
    return {"name": name, "kind": kind, "uid": COUNT, "gid": OneOf(None, COUNT), "mode": 0o600, "created": NUMBER, "bytes": COUNT,
            "waiting": 0, **more}


def listed(client, name):
    return next((o for o in client.ask("shared.list", {"prefix": name}) if o["name"] == name), None)


def given(kind, size):
    return Where(f"a descriptor of kind {kind}, size {size}", lambda d: isinstance(d, Descriptor) and (d.kind, d.size) == (kind, size))


@case
def shared_memory(t):
    """Values and arrays of each type: the memory's header and elements, to the byte; its size, its seals; all in one place"""
    client, other = t.connect(descriptors=True), t.connect(descriptors=True)
    for number, (type_, code) in enumerate(TYPES.items()):
        for kind, length in (("value", 1), ("array", 5)):
            name = f"shared_memory.{kind}.{type_}"
            size = struct.calcsize("=" + code)
            options = {"kind": kind, "type": type_, **({"length": length} if kind == "array" or type_ == "bytes" else {})}
            want = looks(name, kind, type=type_, length=length, object=given(1, HEADER + length * size))
            opened = t.compare(client, {**want, "mode": OneOf(0o600)}, "shared.open", name, options)
            fd = opened["object"].fd
            t.match(os.fstat(fd).st_size, HEADER + length * size, "the size of the memory")
            t.match(fcntl.fcntl(fd, F_GET_SEALS), 1 | 2 | 4, "its seals: SEAL, SHRINK, GROW")
            header = struct.pack("=8sIIIIQQ", b"gngshm1\0", 1, 1 if kind == "value" else 2, number, size, length, HEADER)
            t.match(os.pread(fd, 4096, 0), header.ljust(HEADER, b"\0") + bytes(length * size), f"the memory of {name}")
            again = other.ask("shared.open", name, {"kind": kind})
            with mmap.mmap(fd, HEADER + length * size) as here, mmap.mmap(again["object"].fd, 0, prot=mmap.PROT_READ) as there:
                here[HEADER:] = bytes(range(1, length * size + 1))
                t.match(there[HEADER:], here[HEADER:], "what the other one sees")
            t.compare(client, None, "shared.unlink", name)


@case
def shared_memory_outlives_its_name(t):
    """After unlink, and after the connection: a mapping stays good; the name is of new memory then"""
    client = t.connect(descriptors=True)
    opened = client.ask("shared.open", "outlives", {"kind": "value"})
    with mmap.mmap(opened["object"].fd, 0) as memory:
        memory[HEADER:HEADER + 8] = struct.pack("=q", 7)
        client.ask("shared.unlink", "outlives")
        t.refused(client, "unknown_object", "shared.open", "outlives", {"kind": "value", "create": False})
        again = client.ask("shared.open", "outlives", {"kind": "value"})
        t.match(os.pread(again["object"].fd, 8, HEADER), bytes(8), "new memory")
        client.ask("shared.unlink", "outlives")
        client.close()
        t.match(struct.unpack_from("=q", memory, HEADER), (7,), "what was mapped")


@case
def shared_memory_unlinked_while_made(t):
    """Large memory takes its time: all who opened it meanwhile get it, or, when it is unlinked before, the error"""
    first, second = t.connect(descriptors=True), t.connect(descriptors=True)
    options = {"kind": "array", "type": "u8", "length": 100 << 20}
    for _ in range(3):
        opening = [client.start("shared.open", "large", options) for client in (first, second)]
        unlinking = second.start("shared.unlink", "large")
        outcomes = [first.outcome(opening[0]), second.outcome(opening[1])]
        t.match(second.outcome(unlinking)[0], OneOf(None, refusal("unknown_object")))
        for error, result in outcomes:
            t.match(error, OneOf(None, refusal("unknown_object")))
            t.match(result is None, error is not None)
    t.match(first.ask("ping"), "pong")
    first.outcome(first.start("shared.unlink", "large"))
    opening = [client.start("shared.open", "large", options) for client in (first, second)]
    for client, msgid in zip((first, second), opening):
        t.match(os.fstat(client.finish(msgid)["object"].fd).st_size, HEADER + options["length"], "the memory's size")
    first.ask("shared.unlink", "large")


@case
def shared_open(t):
    """Each kind with its options: what is said, what is left out, what is otherwise, what is missing"""
    client = t.connect()
    kinds = {"lock": ({"limit": 3}, {"limit": 3, "reentrant": False, "holders": []}),
             "event": ({}, {"set": False}), "barrier": ({"parties": 4}, {"parties": 4, "broken": False}),
             "queue": ({"maxsize": 9}, {"maxsize": 9, "size": 0, "leased": 0}), "dict": ({}, {"length": 0, "version": 0}),
             "list": ({}, {"length": 0, "version": 0})}
    for kind, (options, state) in kinds.items():
        name = f"shared_open.{kind}"
        t.refused(client, "unknown_object", "shared.open", name, {"kind": kind, "create": False})
        want = looks(name, kind, **state, mode=0o640)
        t.compare(client, want, "shared.open", name, {"kind": kind, "mode": 0o640, "exclusive": True, **options})
        t.compare(client, want, "shared.open", name, {"kind": kind, "mode": 0o777})
        t.refused(client, refusal("key_conflict", says("already")), "shared.open", name, {"kind": kind, "exclusive": True})
        for option, value in options.items():
            t.refused(client, refusal("key_conflict", says(option, str(value))), "shared.open", name, {"kind": kind, option: value + 1})
        wrong = "queue" if kind == "list" else "list"
        t.refused(client, refusal("key_conflict", says(kind)), "shared.open", name, {"kind": wrong})
        client.ask("shared.unlink", name)
    t.refused(client, refusal("invalid_params", says("parties")), "shared.open", "o", {"kind": "barrier"})
    for options in ({}, {"kind": "pipe"}, {"kind": "no"}, {"kind": 1}, {"kind": "lock", "parties": 1}, {"kind": "event", "limit": 1},
                    {"kind": "lock", "limit": 0}, {"kind": "lock", "limit": 2**32}, {"kind": "lock", "limit": -1}, {"kind": "lock", "limit": 1.0},
                    {"kind": "lock", "limit": 2, "reentrant": True}, {"kind": "lock", "reentrant": 1}, {"kind": "barrier", "parties": 0},
                    {"kind": "queue", "maxsize": 2**32}, {"kind": "dict", "mode": 0o1000}, {"kind": "dict", "mode": "rw"},
                    {"kind": "dict", "create": 1}, {"kind": "dict", "exclusive": None}, {"kind": "dict", "colour": 1}):
        t.refused(client, "invalid_params", "shared.open", "o", options)
    t.match(listed(client, "o"), None, "what refused requests made")


@case
def shared_open_memory(t):
    """Of values and arrays: their options, and that only who takes descriptors may"""
    client, plain = t.connect(descriptors=True), t.connect()
    t.refused(plain, refusal("invalid_params", says("descriptors")), "shared.open", "m", {"kind": "value"})
    for options in ({"kind": "value", "type": "i65"}, {"kind": "value", "length": 2}, {"kind": "value", "type": "bytes"}, {"kind": "array"},
                    {"kind": "array", "length": 0}, {"kind": "array", "length": 2**40 + 1}, {"kind": "array", "length": -1},
                    {"kind": "array", "length": 1.5}, {"kind": "value", "limit": 1}):
        t.refused(client, "invalid_params", "shared.open", "m", options)
    quota = refusal("quota_exceeded", what="user_memory", used=COUNT, limit=COUNT)
    t.refused(client, quota, "shared.open", "m", {"kind": "array", "length": 2**40})
    t.match(listed(client, "m"), None, "what refused requests made")
    client.ask("shared.open", "m", {"kind": "array", "type": "u16", "length": 3})
    t.refused(client, refusal("key_conflict", says("u16")), "shared.open", "m", {"kind": "array", "type": "u8"})
    t.refused(client, refusal("key_conflict", says("3")), "shared.open", "m", {"kind": "array", "length": 4})
    t.refused(client, refusal("key_conflict", says("array")), "shared.open", "m", {"kind": "value"})
    t.match(listed(plain, "m"), looks("m", "array", type="u16", length=3), "in the list")
    client.ask("shared.unlink", "m")


@case
def shared_list(t):
    """Order of names, prefix, kind, pages; the fields of each kind"""
    client, other = t.connect(descriptors=True), t.connect()
    names = ["list.", "list.a", "list.a b", "list.B", "list.é", "list.\U0001f600"]
    for name in names:
        client.ask("event.set", name)
    names.sort(key=str.encode)
    t.match([o["name"] for o in client.ask("shared.list", {"prefix": "list."})], names, "the order")
    t.match([o["name"] for o in client.ask("shared.list", {"prefix": "list.", "limit": 2})], names[:2])
    t.match([o["name"] for o in client.ask("shared.list", {"prefix": "list.", "after": names[1], "limit": 3})], names[2:5])
    t.match(client.ask("shared.list", {"prefix": "list.", "kind": "lock"}), [])
    t.compare(client, [looks(n, "event", set=True) for n in names], "shared.list", {"prefix": "list.", "kind": "event"})
    for options in ({"limit": 0}, {"limit": 10001}, {"kind": "no"}, {"prefix": 1}, {"after": "\0"}, {"what": 1}):
        t.refused(client, "invalid_params", "shared.list", options)
    client.ask("lock.acquire", "list-lock", {"owner": 2**64 - 1})
    waiting = other.start("lock.acquire", "list-lock")
    eventually(lambda: listed(client, "list-lock")["waiting"] == 1)
    holder = {"pid": os.getpid(), "task": None, "owner": 2**64 - 1, "token": COUNT}
    t.match(listed(client, "list-lock"), looks("list-lock", "lock", limit=1, reentrant=False, holders=[holder], waiting=1))
    client.ask("shared.unlink", "list-lock")
    t.refused_answer(other, "unknown_object", waiting)
    client.ask("pipe.open", "list-pipe")
    t.match(listed(client, "list-pipe"), looks("list-pipe", "pipe"))
    for name in (*names, "list-pipe"):
        client.ask("shared.unlink", name)
    t.match(client.ask("shared.list", {"prefix": "list"}), [])


@case
def shared_names(t):
    """Of 1 to 255 bytes, UTF-8, without a 0 byte; str or bin; of one kind"""
    client = t.connect(descriptors=True)
    for method, *params in BY_NAME:
        for name in ("", "n" * 256, "a\0b", b"\xff", b"\xc0\x80", 1, None, ["x"]):
            t.refused(client, "invalid_params", method, name, *params)
        t.refused(client, "invalid_params", method)
        t.refused(client, "invalid_params", method, "x", *params, {}, {})
    for name in ("n" * 255, "é" * 127, "a b", "/", "."):
        t.compare(client, None, "event.set", name.encode())
        t.compare(client, True, "event.is_set", name)
        client.ask("shared.unlink", name)
    makers = {"lock": ("lock.acquire",), "event": ("event.set",), "barrier": ("shared.open", {"kind": "barrier", "parties": 2}),
              "queue": ("queue.put", [1]), "dict": ("dict.set", {"k": 1}), "list": ("list.push", [1]), "value": ("shared.open", {"kind": "value"})}
    for kind, (maker, *more) in makers.items():
        client.ask(maker, "kinds", *more)
        for method, *params in BY_NAME:
            if OF_KIND.get(method.split(".")[0], kind) != kind:
                t.refused(client, refusal("key_conflict", says(kind)), method, "kinds", *params)
        client.ask("shared.unlink", "kinds")
    t.refused(client, "unknown_object", "shared.unlink", "kinds")


@case
def shared_params(t):
    """Options of the wrong type, out of range, unknown, twice; timeouts that are none; descriptors where none are taken"""
    client = t.connect(descriptors=True)
    for method, *params in BY_NAME:
        for options in ({"no such option": 1}, {1: 1}):
            if method not in ("shared.unlink", "queue.size", "pipe.open", "queue.task_done") and not method.endswith("len"):
                t.refused(client, "invalid_params", method, "x", *params[:-1] if method == "shared.open" else params, options)
    for method in TIMED:
        params = next(more for name, *more in BY_NAME if name == method)
        given_options = params[-1] if params and isinstance(params[-1], dict) else {}
        for timeout in (-1, -0.001, float("nan"), float("inf"), 1e9 + 1, 2**63, 2**64 - 1, "1", None, True, []):
            t.refused(client, refusal("invalid_params", says("timeout")), method, "x", *[p for p in params if not isinstance(p, dict)],
                      {**given_options, "timeout": timeout})
    for method in ("lock.acquire", "lock.release", "condition.wait", "condition.notify"):
        for owner in (-1, 1.0, "1", None):
            t.refused(client, refusal("invalid_params", says("owner")), method, "x", {"owner": owner})
    for method, *params in (("queue.put", "x", [descriptor()]), ("dict.set", "x", {"k": descriptor()}), ("list.push", "x", [[descriptor()]])):
        t.refused(client, refusal("invalid_params", says("descriptors")), method, *params, fds=[0])
    t.match(client.ask("shared.list", {"prefix": "x"}), [], "what refused requests made")


@case
def shared_modes(t):
    """Read looks, write changes; owner, group, others; admins may all; only its maker may unlink it"""
    ann, bob = t.connect_as("shared", ANN, TEAM, descriptors=True), t.connect_as("shared", BOB, descriptors=True)
    mate = t.connect_as("shared", BOB, BOB, [TEAM], descriptors=True)
    admin = t.connect("shared", descriptors=True)
    closed = refusal("not_permitted", says("mode"))
    looking = (("dict.get", "d", "k"), ("dict.items", "d"), ("dict.len", "d"), ("dict.watch", "d", {"after": 0}))
    changing = (("dict.set", "d", {"k": 2}), ("dict.add", "d", "k", 1), ("dict.delete", "d", "none"))

    def may(client, requests, allowed):
        for method, *params in requests:
            error, _ = client.outcome(client.start(method, *params))
            t.match(error, None if allowed else closed, f"{method}")

    for mode, group, others in ((0o600, "", ""), (0o640, "r", ""), (0o620, "w", ""), (0o666, "rw", "rw"), (0o606, "", "rw"), (0o660, "rw", "")):
        opened = ann.ask("shared.open", "d", {"kind": "dict", "mode": mode})
        t.match((opened["uid"], opened["gid"], opened["mode"]), (ANN, TEAM, mode))
        ann.ask("dict.set", "d", {"k": 1})
        for client, rights in ((ann, "rw"), (mate, group), (bob, others), (admin, "rw")):
            may(client, looking, "r" in rights)
            may(client, changing, "w" in rights)
            t.match([o["name"] for o in client.ask("shared.list", {"prefix": "d"})], ["d"] if rights else [], "the list")
        t.refused(bob, closed, "shared.unlink", "d")
        t.refused(mate, closed, "shared.unlink", "d")
        (admin if mode == 0o600 else ann).ask("shared.unlink", "d")
    for kind, requests in {"queue": (("queue.size", "x"),), "event": (("event.is_set", "x"),), "list": (("list.len", "x"), ("list.slice", "x", 0, 1))}.items():
        for mode in (0o602, 0o604):
            ann.ask("shared.open", "x", {"kind": kind, "mode": mode})
            may(bob, requests, mode == 0o604)
            ann.ask("shared.unlink", "x")


@case
def shared_memory_modes(t):
    """Who may only read gets memory that he can only map so"""
    ann, bob = t.connect_as("shared", ANN, descriptors=True), t.connect_as("shared", BOB, descriptors=True)
    ann.ask("shared.open", "v", {"kind": "value", "mode": 0o604})
    fd = bob.ask("shared.open", "v", {"kind": "value"})["object"].fd
    t.match(os.pread(fd, 7, 0), b"gngshm1")
    for write in (lambda: mmap.mmap(fd, 0), lambda: os.pwrite(fd, b"x", HEADER)):
        try:
            write()
        except (PermissionError, OSError):
            continue
        t.match("written", "refused", "writing by it")
    t.refused(bob, "not_permitted", "shared.unlink", "v")
    ann.ask("shared.unlink", "v")
    ann.ask("shared.open", "v", {"kind": "value"})
    t.refused(bob, refusal("not_permitted"), "shared.open", "v", {"kind": "value"})
    ann.ask("shared.unlink", "v")


@case
def shared_quotas(t):
    """Objects, bytes and descriptors are their maker's, whoever fills them; what was unlinked counts no more"""
    client = t.connect("limits", descriptors=True)
    before = len(client.ask("shared.list", {}))
    for n in range(16 - before):
        client.ask("event.set", f"quota.{n}")
    many = refusal("quota_exceeded", what="user_objects", used=16, limit=16)
    for method, *params in BY_NAME:
        if method in ("shared.open", "lock.acquire", "event.set", "event.wait", "barrier.wait", "queue.put", "queue.get", "queue.join",
                      "pipe.open", "dict.set", "dict.add", "dict.watch", "list.push"):
            t.refused(client, many, method, "quota.more", *params)
    for n in range(16 - before):
        client.ask("shared.unlink", f"quota.{n}")
    value = bytes(900 << 10)
    memory = refusal("quota_exceeded", what="user_memory", used=COUNT, limit=64 << 20)
    for method, params in (("queue.put", [[value]]), ("list.push", [[value]]), ("dict.set", None)):
        for n in range(80):
            error, _ = client.outcome(client.start(method, "quota", *(params or [{str(n): value}])))
            if error:
                t.match(error, memory, method)
                break
        t.match(40 < n < 79, True, f"{n} of 900 KiB")
        client.ask("shared.unlink", "quota")


@case
def pipe_open(t):
    """Two ends, each message whole, nothing by the daemon; the end of one is the end of file of the other"""
    first, second = t.connect(descriptors=True), t.connect(descriptors=True)
    t.refused(t.connect(), refusal("invalid_params", says("descriptors")), "pipe.open", "pipe")
    one = t.compare(first, {"end": 0, "pipe": given(2, 0)}, "pipe.open", "pipe")["pipe"]
    os.write(one.fd, b"before the other came")
    two = t.compare(second, {"end": 1, "pipe": given(2, 0)}, "pipe.open", "pipe")["pipe"]
    t.match(listed(first, "pipe"), None, "the name of a pipe of which both ends are given")
    os.write(one.fd, b"and after")
    t.match([os.read(two.fd, 1000), os.read(two.fd, 1000)], [b"before the other came", b"and after"], "what came")
    t.match(first.ask("pipe.open", "pipe")["end"], 0, "the name again")
    one.close()
    t.match(os.read(two.fd, 1), b"", "the end")
    first.notify("pipe.open", "pipe")
    t.match(first.ask("ping"), "pong")
    t.match(listed(second, "pipe"), looks("pipe", "pipe"), "a notification takes no end")
    first.close()
    last = second.ask("pipe.open", "pipe")
    t.match((last["end"], select.select([last["pipe"].fd], [], [], 10)[0] and os.read(last["pipe"].fd, 1)), (1, b""), "who comes after it went")
    three = second.ask("pipe.open", "pipe")["pipe"]
    second.ask("shared.unlink", "pipe")
    t.match(os.read(three.fd, 1), b"", "of a pipe that was unlinked before the second came")


@case
def shared_answers_are_bounded(t):
    """What would be larger than a message may be: fewer where what is left can be asked for, else too_large"""
    client = t.connect("limits")
    value = bytes(300 << 10)
    for n in range(5):
        client.ask("list.push", "l", [value])
        client.ask("dict.set", "d", {str(n): value})
        client.ask("queue.put", "q", [value])
    t.refused(client, "too_large", "list.slice", "l", 0, 5)
    t.refused(client, "too_large", "dict.get", "d", [str(n) for n in range(5)])
    counts = [len(client.ask("list.pop", "l", {"max": 10})) for _ in range(2)]
    t.match(counts, [3, 2], "popped")
    t.match([len(client.ask("queue.get", "q", {"max": 10})) for _ in range(2)], [3, 2], "got")
    items = client.ask("dict.items", "d", {})
    t.match([key for key, _, _ in items], ["0", "1", "2"], "items")
    t.match([key for key, _, _ in client.ask("dict.items", "d", {"after": items[-1][2]})], ["3", "4"], "further items")
    watched = client.ask("dict.watch", "d", {"after": 0})
    t.match((watched["version"], len(watched["changed"]), watched["complete"]), (3, 3, True), "changes")
    watched = client.ask("dict.watch", "d", {"after": 3})
    t.match((watched["version"], len(watched["changed"]), watched["complete"]), (5, 2, True), "further changes")
    for name in "ldq":
        client.ask("shared.unlink", name)


@case
def shared_notifications(t):
    """What may wait does nothing; the rest is done, unanswered"""
    client = t.connect(descriptors=True)
    for method in TIMED:
        client.notify(method, "note", *next(more for name, *more in BY_NAME if name == method))
    t.match(client.ask("ping"), "pong")
    t.match(listed(client, "note"), None, "what notifications made")
    client.notify("dict.set", "note", {"a": 1})
    client.notify("dict.add", "note", "a", 2)
    client.notify("dict.add", "note", "a", "no number")
    t.match(client.ask("dict.get", "note", "a"), [3, 2])
    client.notify("shared.unlink", "note")
    t.match(client.ask("dict.len", "note"), 0)
