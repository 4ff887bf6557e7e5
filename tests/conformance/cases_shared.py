# SPDX-License-Identifier: MIT
"""Shared objects as such: made, opened, listed, unlinked; their memory; who may; what they count; names."""
import mmap
import os
import struct

from expect import COUNT, NUMBER, OneOf, refusal, says
from suite import case
from wire import descriptor

ANN, BOB, TEAM = 60001, 60002, 60010
HEADER = 128
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


@case
def shared_memory_outlives_its_name(t):
    """After unlink, and after the connection: a mapping stays good; the name is of new memory then"""
    client = t.connect(descriptors=True)
    _, fd = t.ask_fd(client, "shared.open", "outlives", {"kind": "value"})
    with mmap.mmap(fd, 0) as memory:
        memory[HEADER:HEADER + 8] = struct.pack("=q", 7)
        client.ask("shared.unlink", "outlives")
        t.refused(client, "unknown_object", "shared.open", "outlives", {"kind": "value", "create": False})
        _, again = t.ask_fd(client, "shared.open", "outlives", {"kind": "value"})
        t.match(os.pread(again, 8, HEADER), bytes(8), "new memory")
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
        client.finish(msgid)
        t.match(os.fstat(client.fds[msgid][0]).st_size, HEADER + options["length"], "the memory's size")
    first.ask("shared.unlink", "large")


@case
def shared_open_options(t):
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
        t.compare(client, {**want, "new": True}, "shared.open", name, {"kind": kind, "mode": 0o640, "exclusive": True, **options})
        t.compare(client, {**want, "new": False}, "shared.open", name, {"kind": kind, "mode": 0o777})
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
def shared_rights(t):
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
    _, fd = t.ask_fd(bob, "shared.open", "v", {"kind": "value"})
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
    for n in range(8 - before):
        client.ask("event.set", f"quota.{n}")
    many = refusal("quota_exceeded", what="user_objects", used=8, limit=8)
    for method, *params in BY_NAME:
        if method in ("shared.open", "lock.acquire", "event.set", "event.wait", "barrier.wait", "queue.put", "queue.get", "queue.join",
                      "pipe.open", "dict.set", "dict.add", "dict.watch", "list.push"):
            t.refused(client, many, method, "quota.more", *params)
    for n in range(8 - before):
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
def pipe_ends(t):
    """Each message whole; the name is free with the second; what becomes of an end whose opener went, or that was unlinked"""
    first, second = t.connect(descriptors=True), t.connect(descriptors=True)
    _, one = t.ask_fd(first, "pipe.open", "pipe")
    os.write(one, b"before the other came")
    _, two = t.ask_fd(second, "pipe.open", "pipe")
    t.match(listed(first, "pipe"), None, "the name of a pipe of which both ends are given")
    os.write(one, b"and after")
    t.match([os.read(two, 1000), os.read(two, 1000)], [b"before the other came", b"and after"], "what came")
    first.notify("pipe.open", "pipe")
    t.match(first.ask("ping"), "pong")
    t.match(listed(second, "pipe"), None, "a notification makes no pipe")
    t.match(first.ask("pipe.open", "pipe")["end"], 0, "the name again")
    first.close()
    last, fd = t.ask_fd(second, "pipe.open", "pipe")
    t.match((last["end"], os.read(fd, 1)), (1, b""), "who comes after the first one went")
    _, three = t.ask_fd(second, "pipe.open", "pipe")
    second.ask("shared.unlink", "pipe")
    t.match(os.read(three, 1), b"", "of a pipe that was unlinked before the second came")


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
