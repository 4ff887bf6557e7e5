# SPDX-License-Identifier: MIT
"""Streams, descriptors, and what a slow reader holds up: himself."""
import hashlib
import os
import socket
import tempfile
import threading

import msgpack

from expect import COUNT, SECONDS, Where
from suite import Skipped, case
from wire import descriptor, eventually, pack

DONE = {"status": 0, "signal": None, "stdout": b"", "stderr": b"", "wall": SECONDS, "user": SECONDS, "system": SECONDS,
        "max_rss": COUNT}


def without(*keys):
    return {key: value for key, value in DONE.items() if key not in keys}


@case
def stdout_and_stderr(t):
    """What a program writes, as it writes it, and whole"""
    client = t.connect()
    msgid = client.start("call", "exec", [["sh", "-c", "echo one; read x; echo two >&2"], {"stdin": b""}],
                         {"stream": ["stdout", "stderr"]})
    error, _ = client.outcome(msgid)
    t.match(b"".join(client.streamed(msgid, "stdout")), b"one\n")
    t.match(b"".join(client.streamed(msgid, "stderr")), b"two\n")
    t.match(error, None)
    only = client.start("call", "exec", [["sh", "-c", "echo one; echo two >&2"]], {"stream": ["stderr"]})
    client.finish(only)
    t.match((client.streamed(only, "stdout"), b"".join(client.streamed(only, "stderr"))), ([], b"two\n"))
    none = client.start("call", "exec", [["echo", "one"]], {})
    t.match(client.finish(none)["stdout"], b"one\n")
    t.match(client.streams[none], [])


@case
def stream_before_the_end(t):
    """Data comes while the program runs"""
    client = t.connect()
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as pipe, os.fdopen(reader, "rb") as end:
        sender = t.connect(descriptors=True)
        msgid = sender.start("call", "exec", [["cat"], {"stdin": descriptor()}], {"stream": ["stdout"]}, fds=[end.fileno()])
        for word in (b"alpha", b"beta", b"gamma"):
            pipe.write(word)
            seen = len(b"".join(sender.streamed(msgid, "stdout")))
            sender.until(lambda: len(b"".join(sender.streamed(msgid, "stdout"))) == seen + len(word))
        pipe.close()
        t.match(sender.finish(msgid)["status"], 0)
        t.match(b"".join(sender.streamed(msgid, "stdout")), b"alphabetagamma")
    t.match(client.ask("ping"), "pong")


@case
def long_stream(t):
    """32 MiB of stdout come whole and in order"""
    client = t.connect(bound=60)
    script = "head -c 33554432 /dev/zero | tr '\\0' x; echo end"
    msgid = client.start("call", "exec", [["sh", "-c", script]], {"stream": ["stdout"]})
    client.finish(msgid)
    data = b"".join(client.streamed(msgid, "stdout"))
    t.match(hashlib.sha256(data).hexdigest(), hashlib.sha256(b"x" * 33554432 + b"end\n").hexdigest())


@case
def progress(t):
    """How far a task is, to whoever asked"""
    client = t.connect()
    if not any(function["name"] == "probe.news" for function in client.ask("functions")):
        raise Skipped("needs a function probe.news (tests/support/modules/probe.c)")
    msgid = client.start("call", "probe.news", [], {"stream": ["progress"]})
    t.match(client.finish(msgid), None)
    t.match(client.streams[msgid], [["progress", [0.5, "half"]]], "progress")
    unasked = client.start("call", "probe.news", [], {})
    client.finish(unasked)
    t.match(client.streams[unasked], [])
    id = client.submit("probe.news")
    client.ask("wait", [id], {})
    t.match(client.ask("task", id)["progress"], 0.5, "progress in the record")


@case
def exec_with_descriptors(t):
    """A program that reads and writes its client's own files"""
    client = t.connect(descriptors=True)
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        source.write(b"b\na\n")
        source.seek(0)
        options = {"stdin": descriptor(), "stdout": descriptor(), "stderr": descriptor(), "env": {"WORD": "here"}, "cwd": "/"}
        argv = ["sh", "-c", "sort; pwd; echo $WORD >&2"]
        result = client.ask("call", "exec", [argv, options], {}, fds=[source.fileno(), out.fileno(), err.fileno()])
        t.match(result["status"], 0)
        out.seek(0)
        err.seek(0)
        t.match((out.read(), err.read()), (b"a\nb\n/\n", b"here\n"))


@case
def exec_of_values(t):
    """exec with everything that needs no descriptor"""
    client = t.connect()
    t.match(client.call("exec", ["cat"], {"stdin": b"in\xff"}), {**DONE, "stdout": b"in\xff"})
    t.match(client.call("exec", ["cat"], {"stdin": "text"}), {**DONE, "stdout": b"text"})
    t.match(client.call("exec", ["sh", "-c", "kill -9 $$"], {"check": False}), {**DONE, "status": None, "signal": 9})
    t.match(client.call("exec", ["sh", "-c", "exit 7"], {"check": False}), {**DONE, "status": 7})
    cut = client.call("exec", ["sh", "-c", "printf 0123456789"], {"output_limit": 4})
    t.match(cut, {**DONE, "stdout": b"6789", "stdout_truncated": True})


@case
def digest_of_a_descriptor(t):
    """Modules read a passed file, from where it stands; a pipe and a socket too"""
    client = t.connect(descriptors=True)
    data = os.urandom(300_000)
    want = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryFile() as file:
        file.write(b"before" + data)
        for _ in range(2):
            file.seek(6)
            t.match(client.ask("call", "digest.sha256", [descriptor()], {}, fds=[file.fileno()]), want, "of a file")
    left, right = socket.socketpair()
    with left, right:
        msgid = client.start("call", "digest.sha256", [descriptor()], {}, fds=[right.fileno()])
        right.close()
        left.sendall(data)
        left.shutdown(socket.SHUT_WR)
        t.match(client.finish(msgid), want, "of a socket")
    with tempfile.TemporaryFile() as file:
        file.write(b"one two one")
        file.seek(0)
        t.match(client.ask("call", "text.count", [descriptor()], {}, fds=[file.fileno()]), {"one": 2, "two": 1})


@case
def descriptors_of_a_map(t):
    """Each item gets its own; in submit and feed as well"""
    client = t.connect(descriptors=True)
    files = []
    for n in range(16):
        files.append(tempfile.TemporaryFile())
        files[n].write(b"%d" % n)
        files[n].seek(0)
    digests = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(16)]
    fds = [file.fileno() for file in files]
    msgid = client.start("map", "digest.sha256", [[descriptor()] for _ in fds], {"collect": True}, fds=fds)
    t.match(client.finish(msgid)["values"], digests)
    msgid = client.start("map", "digest.sha256", [[descriptor()]], {"collect": True, "feed": True}, fds=fds[:1])
    client.notify("feed", msgid, [[descriptor()] for _ in fds[1:]], True, fds=fds[1:])
    t.match(client.finish(msgid)["values"], digests)
    id = client.ask("submit", "digest.sha256", [descriptor()], {"delay": 0.1}, fds=fds[3:4])
    t.match(client.ask("result", id, {}), digests[3])
    for file in files:
        file.close()


@case
def descriptors_in_pipelines(t):
    """Each message claims its own, however they are packed together and cut"""
    client = t.connect(descriptors=True)
    asked = []
    with tempfile.TemporaryFile() as big:
        big.write(b"z" * 1000)
        for n in range(100):
            with tempfile.TemporaryFile() as file:
                file.write(b"%d" % n)
                file.seek(0)
                asked.append((client.start("call", "digest.sha256", [descriptor()], {}, fds=[file.fileno()]), b"%d" % n))
            asked.append((client.start("call", "digest.sha256", [b"plain"], {}), b"plain"))
        for msgid, data in asked:
            t.match(client.finish(msgid), hashlib.sha256(data).hexdigest())
        big.seek(0)
        msgid, data = client.pack_request("call", "digest.sha256", [descriptor()], {})
        client.send_bytes(data[:1], [big.fileno()])
        for byte in data[1:]:
            client.send_bytes(bytes([byte]))
        t.match(client.finish(msgid), hashlib.sha256(b"z" * 1000).hexdigest())


@case
def descriptors_of_a_refused_request(t):
    """They are claimed though the request is refused"""
    client = t.connect(descriptors=True)
    with tempfile.TemporaryFile() as file:
        t.refused(client, "unknown_function", "call", "no.such", [descriptor()], {}, fds=[file.fileno()])
        t.refused(client, "unknown_pool", "submit", "echo", [descriptor()], {"pool": "none"}, fds=[file.fileno()])
        t.refused(client, "invalid_params", "call", "echo", [descriptor()], {"none": 1}, fds=[file.fileno()])
        t.refused(client, "unknown_method", "none", [descriptor()], fds=[file.fileno()])
    t.match(client.call("echo", "alive"), "alive")


def echo_of(*values):
    return pack([0, 1, "call", ["echo", list(values), {}]])


@case
def wrong_descriptors(t):
    """Too few, too many, another kind, or any without hello: the end of the connection"""
    ext = msgpack.ExtType
    with tempfile.TemporaryFile() as file:
        fd = file.fileno()
        wrong = {
            "too few": (True, echo_of(descriptor(), descriptor()), [fd]),
            "none": (True, echo_of(descriptor()), []),
            "too many": (True, echo_of(descriptor()), [fd, fd]),
            "unclaimed": (True, echo_of(1), [fd]),
            "17": (True, echo_of(*[descriptor()] * 17), [fd] * 17),
            "kind 9": (True, echo_of(descriptor(9)), [fd]),
            "kind 0, a file that is no sealed memfd": (True, echo_of(descriptor(0, 5)), [fd]),
            "8 bytes": (True, echo_of(ext(71, b"\x02" + bytes(7))), [fd]),
            "no bytes": (True, echo_of(ext(71, b"")), []),
            "without hello": (False, echo_of(descriptor()), [fd]),
            "unclaimed, without hello": (False, echo_of(1), [fd]),
            "200": (True, echo_of(1), [fd] * 200),
        }
        for name, (said_hello, data, fds) in wrong.items():
            client = t.connect(descriptors=said_hello)
            client.open[1] = "call"
            client.send_bytes(data, fds)
            try:
                t.ended_by_error(client, "protocol_error")
            except Exception as error:
                raise type(error)(f"{name}: {error}") from error
    t.match(t.connect().ask("ping"), "pong")


@case
def descriptor_is_closed_after(t):
    """The daemon closes its copies when the task has ended: a pipe's reader sees the end"""
    client = t.connect(descriptors=True)
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as end:
        client.ask("call", "exec", [["echo", "all"], {"stdout": descriptor()}], {}, fds=[writer])
        os.close(writer)
        t.match(end.read(), b"all\n")


@case
def slow_reader(t):
    """More waits for him than is kept: he is read no further, others are served, nothing is lost"""
    slow, other = t.connect(), t.connect()
    requests = [slow.pack_request("call", "echo", [bytes(64 << 10)], {}) for _ in range(100)]
    writer = threading.Thread(target=lambda: [slow.send_bytes(data) for _, data in requests])
    writer.start()
    for n in range(200):
        t.match(other.call("echo", n), n)
    for msgid, _ in requests:
        t.match(len(slow.finish(msgid)), 64 << 10)
    writer.join(20)


@case
def slow_reader_of_a_program(t):
    """A program whose output nobody reads is held up, as in a pipeline"""
    client, other = t.connect(), t.connect()
    msgid = client.start("call", "exec", [["yes"]], {"stream": ["stdout"], "label": "yes"})
    id = eventually(lambda: other.ask("tasks", {"label": "yes", "state": "running"}))[0]["id"]
    worker = other.ask("task", id)["worker_pid"]
    for n in range(100):
        t.match(other.call("echo", n), n)
    client.until(lambda: sum(map(len, client.streamed(msgid, "stdout"))) > 4 << 20)
    t.match(worker, Where("a pid", lambda pid: pid > 1))
    other.ask("cancel", id)
    error, _ = client.outcome(msgid)
    t.match(error["code"], "cancelled")
    data = b"".join(client.streamed(msgid, "stdout"))
    t.match(data == b"y\n" * (len(data) // 2), True, "what came is what was written")
