# SPDX-License-Identifier: MIT
"""Queues: items in order, room, leases that outlive their consumer, join."""
import time

from cases_locks import waits
from cases_shared import listed, looks
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
def queue(t):
    """Put and got as they were, in order; at once if there are some; several at a time"""
    client, other = t.connect(), t.connect()
    t.compare(client, 0, "queue.size", "queue")
    t.match(listed(client, "queue"), None, "what size made")
    t.compare(client, len(PLAIN), "queue.put", "queue", PLAIN)
    t.compare(client, len(PLAIN), "queue.size", "queue")
    t.match(listed(client, "queue"), looks("queue", "queue", size=len(PLAIN), leased=0, maxsize=0))
    t.compare(other, [[None, PLAIN[0]]], "queue.get", "queue")
    t.compare(other, [[None, value] for value in PLAIN[1:]], "queue.get", "queue", {"max": 65536})
    t.refused(other, "not_ready", "queue.get", "queue", {"timeout": 0})
    t.refused(other, "not_ready", "queue.get", "queue", {"timeout": 0.01})
    t.compare(client, 0, "queue.put", "queue", [])
    t.match(client.ask("queue.put", "queue", [0] * 65536), 65536)
    t.refused(client, "too_large", "queue.put", "queue", [0] * 65537)
    t.match(client.ask("queue.size", "queue"), 65536)
    t.match(len(client.ask("queue.get", "queue", {"max": 65536})), 65536)
    for options in ({"max": 0}, {"max": -1}, {"max": 65537}, {"max": 1.0}, {"ack": 1}, {"ack": None}):
        t.refused(client, "invalid_params", "queue.get", "queue", options)
    for maxsize in (-1, 2**32, "1", 0.5):
        t.refused(client, "invalid_params", "queue.put", "queue", [1], {"maxsize": maxsize})
    for items in (1, {"a": 1}, None, "x"):
        t.refused(client, "invalid_params", "queue.put", "queue", items)
    client.ask("shared.unlink", "queue")


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
def queue_waits(t):
    """Who waits for an item gets it, in turn, each one, none twice; who went is passed over"""
    client, clients = t.connect(), [t.connect() for _ in range(4)]
    asked = []
    for n, other in enumerate(clients):
        asked.append(other.start("queue.get", "waits", {"max": 2, "timeout": 1e9}))
        waits(client, "waits", n + 1)
    clients[1].close()
    waits(client, "waits", 3)
    t.match(client.ask("queue.put", "waits", [1, 2, 3, 4, 5]), 5)
    got = [clients[n].finish(asked[n]) for n in (0, 2, 3)]
    t.match(got, [[[None, 1], [None, 2]], [[None, 3], [None, 4]], [[None, 5]]])
    one, two = (clients[0].start("queue.get", "waits") for _ in range(2))
    clients[0].ask("cancel_request", one)
    t.refused_answer(clients[0], "cancelled", one)
    client.ask("queue.put", "waits", ["x"])
    t.match(clients[0].finish(two), [[None, "x"]])
    asked = [other.start("queue.get", "waits") for other in (clients[0], clients[2])]
    waits(client, "waits", 2)
    client.ask("shared.unlink", "waits")
    for other, msgid in zip((clients[0], clients[2]), asked):
        t.refused_answer(other, "unknown_object", msgid)


@case
def queue_room(t):
    """Beyond maxsize a put waits, in turn; at its time it tells how many are in; given up as well"""
    client, first, second = t.connect(), t.connect(), t.connect()
    t.compare(client, 2, "queue.put", "room", [1, 2, 3], {"maxsize": 2, "timeout": 0})
    t.refused(client, "not_ready", "queue.put", "room", [3], {"timeout": 0})
    t.refused(client, "not_ready", "queue.put", "room", [3], {"timeout": 0.01})
    t.refused(client, refusal("key_conflict", says("maxsize", "2")), "queue.put", "room", [3], {"maxsize": 3})
    one = first.start("queue.put", "room", [3, 4, 5])
    waits(client, "room", 1)
    two = second.start("queue.put", "room", [6], {"timeout": 20})
    waits(client, "room", 2)
    t.refused(client, "not_ready", "queue.put", "room", [7], {"timeout": 0})
    t.match([client.ask("queue.get", "room")[0][1] for _ in range(2)], [1, 2])
    t.match(client.ask("queue.size", "room"), 2, "what has moved up")
    t.match(first.ask("cancel_request", one), True)
    t.match(first.finish(one), 2, "of one that was given up, how many are in")
    t.match([client.ask("queue.get", "room")[0][1] for _ in range(2)], [3, 4])
    t.compare_answer(second, 1, "queue.put", two)
    t.match(client.ask("queue.get", "room"), [[None, 6]])
    t.match(client.ask("queue.put", "room", [1, 2, 3], {"timeout": 0.02}), 2, "at its time")
    waiting = first.start("queue.put", "room", [8])
    waits(client, "room", 1)
    first.close()
    waits(client, "room", 0)
    waiting = second.start("queue.put", "room", [9])
    waits(client, "room", 1)
    bytes_ = listed(client, "room")["bytes"]
    client.ask("shared.unlink", "room")
    t.refused_answer(second, "unknown_object", waiting)
    t.match(bytes_ > 0, True)


@case
def queue_leases(t):
    """With ack an item is its consumer's until it is done; if he goes it is at the front again, where it was"""
    client, first, second = t.connect(), t.connect(), t.connect()
    client.ask("queue.put", "leases", list(range(6)))
    tokens = [token for token, _ in t.compare(first, [[COUNT, 0], [COUNT, 1]], "queue.get", "leases", {"max": 2, "ack": True})]
    third = second.ask("queue.get", "leases", {"ack": True})[0][0]
    t.match(listed(client, "leases"), looks("leases", "queue", size=3, leased=3, maxsize=0))
    t.match(len({*tokens, third}), 3, "tokens")
    t.compare(second, 0, "queue.task_done", "leases", tokens)
    t.compare(first, 0, "queue.task_done", "leases", third)
    t.compare(first, 1, "queue.task_done", "leases", tokens[1])
    more = first.ask("queue.get", "leases", {"max": 2, "ack": True})
    t.match([value for _, value in more], [3, 4])
    first.close()
    eventually(lambda: listed(client, "leases")["leased"] == 1)
    t.match([value for _, value in client.ask("queue.get", "leases", {"max": 9})], [0, 3, 4, 5], "at the front, in their order")
    waiting = client.start("queue.get", "leases", {"ack": True})
    waits(t.connect(), "leases", 1)
    second.close()
    token, value = client.finish(waiting)[0]
    t.match(value, 2, "given to who waits")
    t.compare(client, 1, "queue.task_done", "leases", [token, token, 0, 2**64 - 1])
    for wrong in (-1, "1", None, 1.0, [[1]], {"a": 1}, list(range(65537))):
        t.refused(client, "invalid_params", "queue.task_done", "leases", wrong)
    client.ask("queue.put", "leases", [1])
    token = client.ask("queue.get", "leases", {"ack": True})[0][0]
    client.ask("shared.unlink", "leases")
    t.refused(client, "unknown_object", "queue.task_done", "leases", token)
    client.ask("queue.put", "leases", [2])
    t.match(client.ask("queue.task_done", "leases", token), 0, "a lease of the queue that was")
    client.ask("shared.unlink", "leases")


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
def queue_join(t):
    """Nothing in it and nothing leased: at once; else when the last one is done"""
    client, other = t.connect(), t.connect()
    t.compare(client, None, "queue.join", "join")
    client.ask("queue.put", "join", [1, 2])
    t.refused(client, "not_ready", "queue.join", "join", {"timeout": 0})
    t.refused(client, "not_ready", "queue.join", "join", {"timeout": 0.01})
    waiting = client.start("queue.join", "join")
    given_up = client.start("queue.join", "join")
    other.ask("queue.get", "join")
    token = other.ask("queue.get", "join", {"ack": True})[0][0]
    t.match(client.ask("cancel_request", given_up), True)
    t.refused_answer(client, "cancelled", given_up)
    t.refused(other, "not_ready", "queue.join", "join", {"timeout": 0})
    other.ask("queue.task_done", "join", token)
    t.compare_answer(client, None, "queue.join", waiting)
    client.ask("queue.put", "join", [1])
    waiting = client.start("queue.join", "join")
    other.ask("shared.unlink", "join")
    t.refused_answer(client, "unknown_object", waiting)


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
