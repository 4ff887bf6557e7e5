# SPDX-License-Identifier: MIT
"""Values beside the message, both ways, and what is wrong with some."""
import hashlib
import os
import tempfile

from beside import ALL, GROW, SEAL, SHRINK, WRITE, finish, memfd
from expect import TEXT, refusal
from suite import Wrong, case
from wire import descriptor

SIZE = 300 << 10
TOO_LARGE = (64 << 20) + 1  # for a message


def start(client, method, function, *datas, **options):
    """A request for a task, each of whose arguments lies in a memfd."""
    fds = [memfd(data) for data in datas]
    try:
        return client.start(method, function, [descriptor(0, len(data)) for data in datas], options, fds=fds)
    finally:
        for fd in fds:
            os.close(fd)


@case
def values_beside_the_message(t):
    """As arguments and as results, of every size; a client that takes none gets the same bytes in place"""
    client, plain = t.connect(descriptors=True), t.connect()
    for size in (0, 1, SIZE, 20 << 20):
        data = os.urandom(size)
        t.match(finish(client, start(client, "call", "digest.sha256", data)), hashlib.sha256(data).hexdigest(), f"digest of {size} bytes")
        task = client.finish(start(client, "submit", "echo", data))
        for asker in (client, plain, client):
            if finish(asker, asker.start("result", task, {"keep": True})) != data:
                raise Wrong(f"{size} bytes came back as others")
        if finish(client, client.start("call", "echo", [data], {})) != data:
            raise Wrong(f"{size} bytes in the message came back as others")


@case
def values_beside_a_map(t):
    """Each item claims its own, those that are fed too; what items give comes in place"""
    client = t.connect(descriptors=True)
    datas = [os.urandom(SIZE + n) for n in range(4)]
    fds = [memfd(data) for data in datas]
    args = [[descriptor(0, len(data))] for data in datas]
    msgid = client.start("map", "echo", args[:2], {"feed": True, "ordered": True}, fds=fds[:2])
    client.notify("feed", msgid, args[2:], True, fds=fds[2:])
    for fd in fds:
        os.close(fd)
    t.match(client.finish(msgid), {"count": 4, "succeeded": 4, "failed": 0})
    items = [item for batch in client.streamed(msgid, "items") for item in batch]
    if [[index, error, value] for index, error, value in items] != [[n, None, data] for n, data in enumerate(datas)]:
        raise Wrong("items came back as others")


@case
def values_of_what_is_refused(t):
    """A refused request claims what came with it, and the connection lives on"""
    client = t.connect(descriptors=True)
    for function in ("no.such", "echo"):
        msgid = start(client, "call", function, bytes(SIZE), bytes(1), **({} if function == "no.such" else {"priority": 1000}))
        t.refused_answer(client, "unknown_function" if function == "no.such" else "invalid_params", msgid)
    t.match(finish(client, start(client, "call", "digest.sha256", b"x")), hashlib.sha256(b"x").hexdigest())


@case
def values_that_are_none(t):
    """Unsealed, without one of the seals, of another size or kind, no memfd, too few, too many, from one who did not say hello"""
    other = t.connect()
    data = bytes(SIZE)
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        wrong = [(0, 0, SIZE), *((ALL & ~seal, 0, SIZE) for seal in (SHRINK, GROW, WRITE, SEAL)), (ALL, 0, SIZE - 1), (ALL, 0, SIZE + 1),
                 (ALL, 0, 1 << 63), (ALL, 1, SIZE), (ALL, 3, SIZE)]
        fds = [(memfd(data, seals), kind, size) for seals, kind, size in wrong]
        fds += [(reading, 0, 0), (os.dup(file.fileno()), 0, SIZE)]
    for fd, kind, size in fds:
        client = t.connect(descriptors=True)
        client.start("call", "echo", [descriptor(kind, size)], {}, fds=[fd])
        os.close(fd)
        t.ended_by_error(client, "protocol_error")
        t.match(other.ask("ping"), "pong")
    os.close(writing)
    fd = memfd(data)
    for takes, n_values, n_fds in ((True, 2, 1), (True, 1, 2), (True, 1, 0), (False, 1, 1)):
        client = t.connect(descriptors=takes)
        client.start("call", "echo", [descriptor(0, SIZE)] * n_values, {}, fds=[fd] * n_fds)
        t.ended_by_error(client, "protocol_error")
    os.close(fd)


@case
def too_large_in_place(t):
    """For a client that takes no descriptors; the result stays for one who does, a call's too, and is taken once"""
    client, plain = t.connect(descriptors=True), t.connect()
    data = bytes(TOO_LARGE)
    task = client.finish(start(client, "submit", "echo", data))
    want = {"code": "too_large", "message": TEXT, "task": task}
    for options in ({}, {"keep": True}):
        t.refused(plain, want, "result", task, options)
    if finish(client, client.start("result", task)) != data:
        raise Wrong("the result came as another")
    t.refused(client, "unknown_task", "result", task)
    t.refused(plain, refusal("unknown_task"), "result", task)
