# SPDX-License-Identifier: MIT
"""Queues and pipes: nothing is lost, nothing comes twice, and who waits is told."""
import os
import socket

import msgpack

from cases_locks import waits
from cases_objects import forget
from expect import COUNT, refusal, says
from suite import case
from wire import DESCRIPTOR_EXT, descriptor, eventually

VALUES = [None, True, 7, -1.5, "text", b"bytes", [1, [2]], {"a": {"b": None}}, "x" * 70000]


def items(got):
    return [item for _, item in got]


@case
def queue(t):
    """First in, first out, every kind of value"""
    client, other = t.connect(), t.connect()
    t.compare(client, 0, "queue.size", "q")
    t.compare(client, len(VALUES), "queue.put", "q", VALUES)
    t.compare(client, len(VALUES), "queue.size", "q")
    t.compare(other, [[None, None]], "queue.get", "q")
    t.compare(other, [[None, value] for value in VALUES[1:4]], "queue.get", "q", {"max": 3})
    t.compare(other, [[None, value] for value in VALUES[4:]], "queue.get", "q", {"max": 65536})
    t.refused(other, "not_ready", "queue.get", "q", {"timeout": 0})
    t.refused(other, "not_ready", "queue.get", "q", {"timeout": 0.02})
    first, second = other.start("queue.get", "q"), other.start("queue.get", "q", {"max": 5})
    waits(client, "q", 2)
    t.match(client.ask("queue.put", "q", ["a", "b", "c"]), 3)
    t.compare_answer(other, [[None, "a"]], "queue.get", first)
    t.compare_answer(other, [[None, "b"], [None, "c"]], "queue.get", second)
    t.compare(client, 0, "queue.put", "q", [])
    t.refused(client, refusal("invalid_params", says("max")), "queue.get", "q", {"max": 0})
    t.refused(client, refusal("invalid_params", says("array")), "queue.put", "q", 1)
    t.refused(client, refusal("too_large"), "queue.put", "q", [0] * 65537)
    forget(client, "q")


@case
def queue_takes_no_descriptors(t):
    """A descriptor that belongs to no item"""
    client = t.connect(descriptors=True)
    reading, writing = os.pipe()
    try:
        t.refused(client, refusal("invalid_params", says("descriptor")), "queue.put", "fds", [descriptor()], fds=[reading])
    finally:
        os.close(reading)
        os.close(writing)
    t.match(client.ask("queue.size", "fds"), 0)


@case
def queue_with_maxsize(t):
    """Who puts waits for room, in turn"""
    client, other = t.connect(), t.connect()
    t.match(client.ask("queue.put", "m", [1, 2], {"maxsize": 3}), 2)
    waiting = other.start("queue.put", "m", [3, 4, 5])
    waits(client, "m")
    behind = other.start("queue.put", "m", [6])
    waits(client, "m", 2)
    t.match(items(client.ask("queue.get", "m")), [1])
    t.match(items(client.ask("queue.get", "m")), [2])
    t.compare_answer(other, 3, "queue.put", waiting)
    t.match(behind in other.open, True)
    t.match(items(client.ask("queue.get", "m", {"max": 9})), [3, 4, 5])
    t.compare_answer(other, 1, "queue.put", behind)
    t.compare(client, 2, "queue.put", "m", [7, 8, 9, 10], {"timeout": 0.02})
    t.refused(client, "not_ready", "queue.put", "m", [11], {"timeout": 0})
    t.match(items(client.ask("queue.get", "m", {"max": 9})), [6, 7, 8])
    t.refused(client, refusal("key_conflict", says("maxsize", "3")), "queue.put", "m", [1], {"maxsize": 4})
    forget(client, "m")


@case
def queue_leases(t):
    """With ack an item is its taker's until task_done; then it is done, else it comes again, first"""
    client, other, gone = t.connect(), t.connect(), t.connect()
    client.ask("queue.put", "k", list(range(6)))
    leased = t.compare(other, [[COUNT, 0], [COUNT, 1]], "queue.get", "k", {"max": 2, "ack": True})
    lost = gone.ask("queue.get", "k", {"max": 2, "ack": True})
    t.match(items(lost), [2, 3])
    t.compare(client, 2, "queue.size", "k")
    joined = client.start("queue.join", "k")
    tokens = [token for token, _ in leased]
    t.compare(client, 0, "queue.task_done", "k", tokens)
    t.compare(other, 1, "queue.task_done", "k", tokens[0])
    t.compare(other, 1, "queue.task_done", "k", tokens)
    t.compare(other, 0, "queue.task_done", "k", tokens)
    gone.close()
    eventually(lambda: client.ask("queue.size", "k") == 4)
    t.match(items(other.ask("queue.get", "k", {"max": 3, "ack": True, "timeout": 5})), [2, 3, 4])
    t.refused(client, "not_ready", "queue.join", "k", {"timeout": 0.02})
    t.match(joined in client.open, True, "some are not done")
    last = other.ask("queue.get", "k", {"ack": True})
    held = [h for h in other.ask("shared.list", {"prefix": "k"})][0]
    t.match((held["size"], held["leased"]), (0, 4))
    t.match(last, [[COUNT, 5]])
    other.close()
    eventually(lambda: client.ask("queue.size", "k") == 4)
    t.match(items(client.ask("queue.get", "k", {"max": 9})), [2, 3, 4, 5])
    t.compare_answer(client, None, "queue.join", joined)
    t.compare(client, None, "queue.join", "k")
    forget(client, "k")


@case
def pipe(t):
    """Two ends of a socket pair; what one writes the other reads, and the end"""
    ann, bob = t.connect(descriptors=True), t.connect(descriptors=True)
    first, ann_fd = ann.ask_fd("pipe.open", "p")
    second, bob_fd = bob.ask_fd("pipe.open", "p")
    t.match([first.pop("end"), second.pop("end")], [0, 1])
    value = first["pipe"]
    t.match((list(first), isinstance(value, msgpack.ExtType), value.code, value.data[0]), (["pipe"], True, DESCRIPTOR_EXT, 2))
    t.methods.add("pipe.open")
    with socket.socket(fileno=ann_fd) as a, socket.socket(fileno=bob_fd) as b:
        t.match((a.type, b.type), (socket.SOCK_SEQPACKET, socket.SOCK_SEQPACKET))
        a.send(b"one")
        a.send(b"two")
        b.send(b"back")
        t.match([b.recv(100), b.recv(100), a.recv(100)], [b"one", b"two", b"back"])
        a.close()
        t.match(b.recv(100), b"", "the end")
    t.match(ann.ask("shared.list", {"prefix": "p"}), [], "the name is free")
    third, fd = ann.ask_fd("pipe.open", "p")
    t.match(third["end"], 0)
    t.match(bob.ask("shared.list", {"prefix": "p"})[0]["kind"], "pipe")
    forget(ann, "p")
    with socket.socket(fileno=fd) as alone:
        t.match(alone.recv(1), b"", "its other end was given up")
    t.refused(t.connect(), refusal("invalid_params", says("descriptors")), "pipe.open", "p")
