# SPDX-License-Identifier: MIT
"""Queues: items in order, room, leases that outlive their consumer, join."""
import time

from cases_locks import waits
from cases_shared import listed
from expect import COUNT, Where, each, refusal, says
from suite import case
from wire import eventually

PLAIN = [None, True, -1, 2**64 - 1, -2**63, 1.5, "é", b"\xff\x00", [], {}, [[1, {"a": [None]}]], {"k": [1]}, "x" * 70000]


def nested(depth, inmost):
    value = inmost
    for _ in range(depth):
        value = [value]
    return value


@case
def values_depth(t):
    """Values, of whatever object, have arrays and maps at most 27 deep, and come back so"""
    client = t.connect()
    deep = nested(25, {})
    t.match(client.ask("queue.put", "depth", [deep]), 1)
    t.match(client.ask("queue.get", "depth"), [[None, deep]])
    client.ask("dict.set", "depth dict", {"k": deep})
    t.match(client.ask("dict.watch", "depth dict", {"after": 0})["changed"], [["k", deep, 1]])
    for value in (nested(27, []), nested(28, 1)):
        t.refused(client, refusal("invalid_params", says("deep")), "queue.put", "depth", [value])
    t.match(client.ask("queue.put", "depth", [nested(26, []), nested(26, 1)]), 2)
    for value in (nested(26, []), nested(26, 1)):
        t.match(client.ask("queue.get", "depth"), [[None, value]])
    for name in ("depth", "depth dict"):
        client.ask("shared.unlink", name)


@case
def queue_leases_in_bulk(t):
    """Two consumers with 65,536 each go: all are back, in order, and in no time that grows with their square"""
    client, first, second = t.connect(), t.connect(), t.connect()
    for n in range(2):
        client.ask("queue.put", "bulk", list(range(n * 65536, (n + 1) * 65536)))
    for other in (first, second):
        other.ask("queue.get", "bulk", {"max": 65536, "ack": True})
    first.close()
    eventually(lambda: client.ask("queue.size", "bulk") == 65536)
    second.close()
    began = time.monotonic()
    eventually(lambda: client.ask("queue.size", "bulk") == 131072)
    t.match(time.monotonic() - began, Where("less than 2 s", lambda seconds: seconds < 2), "seconds")
    got = [value for _ in range(2) for _, value in client.ask("queue.get", "bulk", {"max": 65536})]
    t.match(got == list(range(131072)), True, "in order")
    client.ask("shared.unlink", "bulk")


@case
def queue_bytes(t):
    """What items cost is given back, however they went: got, done, unlinked, given up"""
    client, other = t.connect(), t.connect()
    client.ask("queue.put", "bytes", [1], {"maxsize": 2})
    one = listed(client, "bytes")["bytes"]
    for _ in range(20):
        client.ask("queue.put", "bytes", ["x" * 1000])
        waiting = other.start("queue.put", "bytes", ["y" * 1000])
        waits(client, "bytes", 1)
        other.ask("cancel_request", waiting)
        t.refused_answer(other, "cancelled", waiting)
        tokens = [token for token, _ in client.ask("queue.get", "bytes", {"ack": True, "max": 2})]
        client.ask("queue.task_done", "bytes", tokens)
        client.ask("queue.put", "bytes", [1])
        t.match(listed(client, "bytes")["bytes"], one)
    client.ask("shared.unlink", "bytes")
    t.match(each(COUNT).true(tokens), True)
