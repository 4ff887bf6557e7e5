#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the part of the corpora that was thought of, not found: dialogues for the harnesses that hold a whole gangerd.

    seeds.py DIRECTORY      into DIRECTORY/request, DIRECTORY/connection, DIRECTORY/worker and, in part, DIRECTORY/scan

What an input means is said in fuzz_request.c and dialogue.h. A file of the same name is overwritten; inputs that the
fuzzer found have other names and stay.
"""
import pathlib
import re
import struct
import sys

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = re.findall(r'X\(\w+, "([\w.]+)",', (ROOT / "proto/methods.h").read_text())
FD = msgpack.ExtType(71, b"\2" + struct.pack(">Q", 0))
FD_VALUE = msgpack.ExtType(71, b"\0" + struct.pack(">Q", 100))
FUNCTIONS = ["echo", "fail", "hold", "die", "talk", "ask"]


def pack(*values):
    return b"".join(msgpack.packb(v) for v in values)


# -- requests --

def request(method, *params, client=0, notify=False, later=True):
    number = METHODS.index(method) if method in METHODS else len(METHODS)
    body = params[0] if len(params) == 1 and isinstance(params[0], bytes) else pack(list(params))
    return bytes([notify | client << 1 | later << 3, number]) + struct.pack("<H", len(body)) + body


def feed(task, *params, **options):
    return request("feed", task, *params, notify=True, **options)


ALL_OPTIONS = {"pool": "default", "priority": 5, "delay": 0.001, "expires": 10, "timeout": 5.5, "retries": 2,
               "retry_on": ["worker_lost", "timed_out", "task_failed"], "backoff": 0.01, "ttl": 3, "label": "a label",
               "detached": True}
MAP_OPTIONS = {"chunk": 2, "ordered": True, "fail_fast": False, "limit": 2, "window": 4, "collect": True}
WRONG_OPTIONS = [{"pool": 1}, {"pool": "nowhere"}, {"pool": "other"}, {"priority": 1000}, {"priority": "high"}, {"delay": -1},
                 {"delay": "x"}, {"delay": 1e300}, {"timeout": float("nan")}, {"retries": -1}, {"retries": 1 << 40}, {"retry_on": "x"},
                 {"retry_on": ["x"]}, {"retry_on": [1]}, {"retry_on": []}, {"stream": ["x"]}, {"stream": 1}, {"stream": [1]},
                 {"label": "x" * 2000}, {"label": 1}, {"key": "k" * 300}, {"detached": 1}, {1: 2}, {"no": 1}, {"expires": 0},
                 {"label": FD}, {"delay": 1 << 63}, {"label": "a\0b"}, {"detached": None}, {"stream": []}, {"chunk": 0}, {"limit": 0}, {"window": 1.5}]

TASKS = [
    request("hello"), request("hello", {"name": "x"}), request("hello", {"descriptors": True}), request("ping"), request("functions"), request("status"),
    request("call", "echo", [1, "two", b"three", None, 1.5, {"a": [True]}]),
    request("call", "echo", [], ALL_OPTIONS), request("call", "fail", [], {"retries": 1, "retry_on": ["task_failed"], "backoff": 0}),
    request("call", "talk", [1], {"stream": ["stdout", "stderr", "progress"]}), request("call", "die", []),
    request("call", "echo", [FD]), request("call", "ask", ["ping", []]),
    request("call", "ask", ["call", ["echo", [1]]]), request("call", "ask", ["submit", ["hold", []]]),
    request("submit", "echo", [1]), request("submit", "hold", [], {"key": "k"}), request("submit", "hold", [], {"key": "k"}),
    request("call", "hold", [1], {"key": "k"}), request("result", 1), request("result", 1, {"timeout": 0}),
    request("wait", [1, 2, 3], {"timeout": 0.01}), request("wait", [1, 2, 3], {"any": True}), request("attach", 1),
    request("attach", 2, {"stream": ["stdout"]}), request("cancel", 1), request("cancel", [1, 2, 99]), request("task", 1),
    request("task", 2), request("tasks"), request("tasks", {"limit": 3}), request("cancel_request", 5),
    request("submit", "echo", [1], {"delay": 100}), request("tasks", {"state": "ready"}),
]
MAPS = [
    request("map", "echo", [[1], [2], [3]]), request("map", "echo", [[n] for n in range(20)], MAP_OPTIONS),
    request("map", "fail", [[1], [2], [3]], {"fail_fast": True}), request("map", "die", [[1], [2], [3]], {"retries": 1}),
    request("map", "hold", [[1], [2]], {"limit": 1, "chunk": 1}), request("map", "echo", [], {"feed": True}),
    request("map", "echo", [[1]], {"feed": True, "window": 2}),
    feed(0, [[1], [2]]), feed(1, [[1], [2]]), feed(6, [[3], [4]]), feed(6, [], True), feed(5, [[5]], True), feed(7, "x"),
    request("more", 1, 10, notify=True), request("more", 6, 10, notify=True), request("more", 1, 10), request("feed", 1, [[1]]),
    request("cancel", 5), request("tasks"),
]
ADMIN = [
    request("log_level"), request("log_level", "debug"), request("log_level", "no"), request("pool.scale", "default", 3),
    request("pool.scale", "default", 0), request("pool.pause", "default"), request("call", "echo", [1]),
    request("pool.resume", "default"), request("pool.drain", "default", {"timeout": 0.01}), request("pool.drain", "default"),
    request("reload"), request("pool.reload", "default"), request("pool.reload", "nowhere"), request("reload", {"timeout": 1}),
    request("pool.scale", "default", 1, client=1), request("pool.pause", "no", client=0), request("log_level", client=1),
]
SHARED = [
    request("shared.open", "l", {"kind": "lock"}), request("lock.acquire", "l"), request("lock.acquire", "l", {"timeout": 0.01}, client=1),
    request("lock.release", "l"), request("lock.release", "l"), request("shared.open", "l", {"kind": "queue"}),
    request("shared.open", "v", {"kind": "value", "type": "int64"}), request("shared.open", "v", {"kind": "value", "type": "i8", "value": 3}),
    request("shared.open", "a", {"kind": "array", "size": 100, "type": "double"}),
    request("shared.open", "s", {"kind": "semaphore", "value": 2}), request("lock.acquire", "s"), request("lock.release", "s", {"count": 2}),
    request("shared.open", "e", {"kind": "event"}), request("event.wait", "e", {"timeout": 0.01}), request("event.set", "e"),
    request("event.is_set", "e"), request("event.wait", "e"), request("event.clear", "e"),
    request("shared.open", "b", {"kind": "barrier", "parties": 2}), request("barrier.wait", "b"), request("barrier.wait", "b", client=0),
    request("barrier.wait", "b"), request("barrier.abort", "b"), request("barrier.wait", "b"), request("barrier.reset", "b"),
    request("shared.open", "c", {"kind": "condition"}), request("lock.acquire", "c"), request("condition.wait", "c", {"timeout": 1}),
    request("lock.acquire", "c", client=1), request("condition.notify", "c"), request("condition.notify", "c", {"all": True}),
    request("shared.open", "p", {"kind": "pipe"}), request("pipe.open", "p"), request("pipe.open", "p"),
    request("shared.list"), request("shared.list", {"prefix": "l"}), request("shared.unlink", "l"), request("shared.unlink", "none"),
]
QUEUES = [
    request("shared.open", "q", {"kind": "queue", "size": 3, "maxsize": 3}), request("shared.open", "q", {"kind": "queue"}),
    request("queue.put", "q", [1, "x", FD]), request("queue.put", "q", [[4]]), request("queue.size", "q"), request("queue.get", "q"),
    request("queue.get", "q", {"count": 2, "max": 2}), request("queue.get", "q", {"timeout": 0.01}), request("queue.get", "q", {"lease": 5}),
    request("queue.put", "q", [5, 6, 7, 8], {"timeout": 0.01}), request("queue.put", "q", [b"x" * 100] * 3), request("queue.get", "q", {"lease": 1}),
    request("queue.task_done", "q", 1), request("queue.task_done", "q", [1, 2]), request("queue.join", "q", {"timeout": 0.01}),
    request("queue.join", "q"), request("queue.get", "q", {"lease": 1}, client=1), request("queue.get", "none"), request("queue.put", "q", []),
]
STORES = [
    request("shared.open", "d", {"kind": "dict"}), request("dict.set", "d", {"a": 1, "b": [2], 3: b"x"}), request("dict.get", "d", "a"),
    request("dict.get", "d", ["a", "b", "z"]), request("dict.add", "d", "a", 2), request("dict.add", "d", "a", 0.5), request("dict.add", "d", "b", 1),
    request("dict.add", "d", "n", -1), request("dict.items", "d"), request("dict.items", "d", {"prefix": "a", "limit": 1}), request("dict.len", "d"),
    request("dict.watch", "d", {"timeout": 0.01}), request("dict.watch", "d", {"since": 1, "version": 1}), request("dict.watch", "d"),
    request("dict.set", "d", {"a": 5}, {"version": 1, "if_version": 1, "new": True}), request("dict.delete", "d", "a"), request("dict.delete", "d", ["b", "z"]),
    request("dict.set", "d", {"k" * 1100: 1}), request("dict.delete", "d", "n", {"version": 1}), request("dict.add", "d", "m", 1 << 63),
    request("shared.open", "li", {"kind": "list"}), request("list.push", "li", [1, 2, [3]]), request("list.pop", "li"), request("list.pop", "li", {"front": True, "index": 0}),
    request("list.get", "li", 0), request("list.get", "li", -1), request("list.get", "li", 100), request("list.set", "li", 0, "x"),
    request("list.set", "li", 9, "x"), request("list.slice", "li", 0, 10), request("list.slice", "li", -2, -1), request("list.len", "li"),
    request("list.push", "li", [1], {"front": True}), request("list.push", "d", [1]),
]
WRONG = [request(m) for m in METHODS] + [request(m, 1) for m in METHODS] + [request(m, "x", "y", "z", "w") for m in METHODS]
WRONG_TYPES = [request(m, *values, later=m[0] == 's') for m in METHODS for values in (["x", 1], [[1], {}], ["x", [1], 3], [[-1]], [None, None, None])]
OPTIONS = [request("submit", "echo", [1], o, client=2) for o in WRONG_OPTIONS] + \
    [request("map", "echo", [[1]], o, client=1) for o in WRONG_OPTIONS] + [
    request("submit", "nothing", []), request("no.method", 1), request("call", "echo", [1], {"label": FD}), request("ping", FD),
    request("task", FD), request("submit", "e" * 300, []),
    request("submit", b"\x93\xa4echo\x90\x82\xa5label\xa1a\xa5label\xa1b"),
    request("submit", b"\x93\xa4echo\x90\x81\xa5label\xa2\xff\xff"), request("submit", b"\x93\xa4echo\x90\x81\xa8priority\xd0\x05"),
    request("result", b"\x91\xd0\x05"), request("result", b"\x91\xd0\xfb"), request("task", b"\x91\xd3" + b"\0" * 7 + b"\1")]


# -- dialogues --

SEND, CONNECT, CLOSE, DEAF, TIME, RELOAD, SAY, AREA, DIE, OBEY, REST = range(11)
OWN_HALF = 0x80


def send(data, client=0, kinds=()):
    return bytes([SEND, client, len(kinds), *kinds]) + struct.pack("<H", len(data)) + data


def ask(msgid, method, *params, client=0, kinds=()):
    return send(pack([0, msgid, method, list(params)]), client, kinds)


def notify(method, *params, client=0, kinds=()):
    return send(pack([2, method, list(params)]), client, kinds)


def say(worker, *messages):
    data = pack(*messages)
    return bytes([SAY, worker]) + struct.pack("<H", len(data)) + data


def time(exponent):
    return bytes([TIME, exponent])


def obey(worker, times=1):
    return bytes([OBEY, worker]) * times


def rest(turns=1):
    return bytes([REST]) * turns


def area(worker, slot, task, state, index=0, ago=1, over=0):
    return bytes([AREA, worker, slot, task, state, index, ago, over])


def die(worker, status=11):
    return bytes([DIE, worker]) + struct.pack("<H", status)


TAKES = notify("hello", {"descriptors": True})
HELLO = [2, "hello", [{"protocol": 1, "slots": 4, "area": True, "descriptors": True}]]
PLAIN_HELLO = [2, "hello", [{"protocol": 1, "slots": 0, "area": False}]]
call_echo = pack([0, 7, "call", ["echo", [1, 2]]])
CONNECTIONS = {
    "calls": ask(1, "call", "echo", [1]) + ask(2, "call", "talk", ["x"], {"stream": ["stdout", "progress"]}) + ask(3, "call", "die", []) + rest(5),
    "pieces": b"".join(send(call_echo[i:i + 1]) for i in range(len(call_echo))) + rest(3),
    "many_at_once": send(b"".join(pack([0, i, "ping", []]) for i in range(300))) + rest(3),
    "descriptors": TAKES + b"".join(send(pack([0, k, "call", ["echo", [FD]]]), 0, [k]) for k in range(8)) + rest(5),
    "shared_descriptor": TAKES + send(pack([0, 1, "call", ["echo", [FD_VALUE, FD]]]), 0, [0, 2]) + rest(5),
    "too_many_descriptors": TAKES + send(pack([0, 1, "call", ["echo", [FD] * 17]]), 0, [1] * 17) + rest(3),
    "too_few_descriptors": TAKES + send(pack([0, 1, "call", ["echo", [FD, FD]]]), 0, [1]) + rest(3),
    "unclaimed_descriptors": TAKES + send(pack([0, 1, "ping", []]), 0, [1, 2]) + rest(3),
    "unannounced_descriptors": send(pack([0, 1, "call", ["echo", [FD]]]), 0, [1]) + rest(3),
    "descriptors_held": TAKES + b"".join(send(pack([0, k, "submit", ["hold", [FD] * 4]]), 1, [1] * 4) for k in range(6)) + rest(3),
    "unfinished": send(pack([0, 1, "call", ["echo", [b"x" * 1000]]])[:500]) + time(11) + time(11) + rest(3),
    "large_declared": send(b"\x94\0\1\xa4call\x93\xa4echo\xdd\xff\xff\xff\xff"), "deep": send(b"\x91" * 40), "reserved": send(b"\xc1"),
    "http": send(b"GET / HTTP/1.1\r\n\r\n"), "response": send(pack([1, 1, None, None])), "no_envelope": send(pack({"a": 1})),
    "same_msgid": ask(1, "call", "hold", []) + ask(1, "call", "hold", []) + rest(2),
    "half_closed": ask(1, "call", "echo", [1]) + bytes([CLOSE, OWN_HALF]) + rest(4), "half_message": send(call_echo[:4]) + bytes([CLOSE, OWN_HALF]) + rest(3),
    "closed": ask(1, "call", "hold", []) + bytes([CLOSE, 0]) + rest(3) + bytes([CONNECT, 0]) + ask(1, "tasks") + rest(2),
    "deaf": bytes([DEAF, 0]) + send(b"".join(pack([0, i, "status", []]) for i in range(400))) + rest(3) + time(15) + rest(4),
    "quota": b"".join(ask(i, "submit", "hold", [b"x" * 60000], client=1) for i in range(3)) + notify("feed", 1, [[b"x" * 30000]], client=1) + rest(4),
    "too_large": ask(1, "call", "echo", [b"x" * 65400]) + rest(4), "max_requests": b"".join(ask(i, "call", "hold", []) for i in range(10)) + rest(3),
    "connections": b"".join(bytes([CONNECT, i]) for i in range(8)) + ask(1, "status") + rest(2),
    "map_streams": ask(1, "map", "echo", [[i] for i in range(30)], {"window": 8, "chunk": 3}) + rest(3) + notify("more", 1, 30) + rest(5),
    "feed": ask(1, "map", "echo", [], {"feed": True}) + notify("feed", 1, [[1], [2]]) + rest(2) + notify("feed", 1, [[3]], True) + rest(4),
    "nested": ask(1, "call", "ask", ["call", ["ask", ["call", ["ask", ["call", ["echo", [1]]]]]]]) + rest(14),
    "nested_shared": ask(9, "shared.open", "l", {"kind": "lock"}) + ask(1, "call", "ask", ["lock.acquire", ["l"]]) + ask(2, "lock.acquire", "l", client=3) + rest(8),
    "pipe": TAKES + ask(1, "shared.open", "p", {"kind": "pipe"}) + ask(2, "pipe.open", "p") + ask(3, "pipe.open", "p") + rest(3),
    "memory": TAKES + ask(1, "shared.open", "v", {"kind": "array", "type": "u8", "size": 100000}) + rest(6) + ask(2, "shared.open", "v", {"kind": "array"}) + rest(3),
    "timeouts": ask(1, "call", "hold", [], {"timeout": 0.5}) + rest(2) + time(9) + rest(3) + time(12) + rest(3),
    "cancel": ask(1, "call", "hold", []) + rest(2) + ask(2, "cancel_request", 1) + rest(3) + ask(3, "submit", "hold", []) + rest(2) + ask(4, "tasks") + rest(2),
    "reload": ask(1, "call", "hold", []) + rest(2) + bytes([RELOAD]) + rest(6) + ask(2, "reload") + rest(6) + ask(3, "call", "echo", []) + rest(3),
    "reload_stop": bytes([RELOAD]),
    "idle": b"".join(ask(i, "call", "hold", []) for i in range(4)) + rest(3) + bytes([CLOSE, 0]) + time(12) + rest(3) + time(12) + rest(2),
    "users": ask(1, "submit", "echo", [1], client=1) + rest(3) + ask(1, "task", 1, client=2) + ask(2, "cancel", 1, client=0) + rest(2),
}
fill = b"".join(ask(i, "submit", "hold", [b"x" * 60000], client=1) for i in range(2)) + rest(1)
for name, message in {
        "skipped_request": pack([0, 7, "submit", ["echo", [b"x" * 20000]]]), "skipped_feed": pack([2, "feed", [1, [[b"x" * 20000]]]]),
        "skipped_other": pack([2, "more", [b"x" * 20000]]), "skipped_response": pack([1, 5, None, b"x" * 20000])}.items():
    CONNECTIONS[name] = fill + send(message[:18000], 1) + rest(1) + send(message[18000:], 1) + rest(2)
UP = say(0, HELLO) + rest(1) + say(1, PLAIN_HELLO) + rest(1)
WORKERS = {
    "good": UP + ask(1, "call", "echo", [1]) + rest(2) + obey(0, 2) + obey(1, 2) + rest(2),
    "no_hello": say(0, [1, 0, None, [1, 1, 2]]) + rest(3), "hello_twice": UP + say(0, HELLO) + rest(4),
    "hellos": b"".join(say(i, h) + rest(2) for i, h in enumerate((
        [2, "hello", [{"protocol": 2}]], [2, "hello", [{"protocol": 1, "slots": 65, "area": True}]], [2, "hello", []], [2, "hello", [1]],
        [2, "hello", [{"protocol": 1, "slots": 1, "area": False}]], [2, "hello", [{"x": 1, "refused": {"nice": "why", "x": 1}, "protocol": 1}]],
        [2, "hello", [{"protocol": 1, "slots": 0, "area": False, "refused": {"nice": "not permitted", "scheduling": "no"}}]]))),
    "results": UP + ask(1, "call", "echo", [1]) + rest(2) + say(0, [1, 0, None, [1, 1, "x"]]) + rest(2) + say(1, [1, 0, None, [1, 1, "x"]]) + rest(3),
    "wrong_results": b"".join(UP + ask(1, "call", "echo", [1]) + rest(2) + say(0, r) + rest(2) + say(1, r) + rest(3) for r in (
        [1, 9, None, [1, 1, 1]], [1, 0, None, [1, 1]], [1, 0, None, 5], [1, 0, None, [1, 2, 3]], [1, 0, {"task": 1, "attempt": 1, "code": "x"}, None])),
    "failures": b"".join(UP + ask(1, "call", "fail", [1], {"retries": 1, "retry_on": ["task_failed"]}) + rest(2) + say(0, f) + say(1, f) + rest(3) for f in (
        [1, 0, {"task": 1, "attempt": 1, "code": "task_failed", "message": "m", "detail": [1]}, None], [1, 0, {"task": 1}, None], [1, 0, "x", None],
        [1, 0, {"task": 2, "attempt": 1, "code": "cancelled", "message": "m"}, None])),
    "streams": UP + ask(1, "call", "hold", [1], {"stream": ["stdout", "stderr", "progress"]}) + rest(2) + b"".join(say(w, *(
        [2, "stream", [1, k, d]] for k, d in (("stdout", b"x"), ("stderr", b"y" * 5000), ("progress", [0.5, "x"]), ("log", [3, "f.c", 1, "t"]),
                                               ("log", [7, None, 1, "t"]))) ) for w in (0, 1)) + rest(4),
    "wrong_streams": b"".join(UP + ask(1, "call", "hold", [1]) + rest(2) + say(0, m) + say(1, m) + rest(3) for m in (
        [2, "stream", [1, "stdout", "no bin"]], [2, "stream", [1, "progress", [2, None]]], [2, "stream", [1, "x", 1]], [2, "stream", [1, "log", [1]]],
        [2, "stream", [9, "stdout", b"x"]], [2, "stream", [1]], [2, "nothing", []], [2, "stream", [1, "log", ["x", None, 1, "t"]]])),
    "overdrawn": UP + ask(1, "call", "hold", [1], {"stream": ["stdout"]}) + rest(2) + b"".join(say(w, [2, "stream", [1, "stdout", b"x" * 22000]]) for w in (0, 0, 0)) + rest(3),
    "chunk": UP + ask(1, "map", "echo", [[i] for i in range(6)], {"chunk": 3}) + rest(2) + area(0, 0, 1, 2) + say(0, [2, "item", [1, 1, 0, None, "v"]],
        [2, "item", [1, 1, 1, {"code": "task_failed", "message": "m"}, None]], [2, "item", [1, 1, 2, None, 3]], [1, 0, None, [1, 1, None]]) + rest(2) + obey(0, 3) + obey(1, 3),
    "wrong_items": b"".join(UP + ask(1, "map", "echo", [[i] for i in range(6)], {"chunk": 3}) + rest(2) + say(0, m) + rest(3) for m in (
        [2, "item", [1, 1, 5, None, 1]], [2, "item", [1, 1]], [2, "item", [1, 9, 0, None, 1]], [2, "item", [1, 1, 0, None]], [1, 0, None, [1, 1, None]])),
    "slots": UP + b"".join(ask(i, "call", "echo", [i]) for i in range(6)) + rest(2) + area(0, 0, 1, 2) + area(0, 1, 200, 2) + area(0, 2, 3, 9) + time(2) + rest(2) + die(0) + rest(4),
    "over_limit": UP + ask(1, "call", "echo", []) + rest(2) + area(0, 0, 1, 2, over=1) + die(0) + rest(4),
    "asks": UP + ask(1, "call", "hold", []) + rest(2) + say(0, [0, 5, "ping", []], [0, 6, "call", ["echo", [2]]]) + say(1, [0, 5, "ping", []], [0, 6, "submit", ["echo", [2]]]) + rest(2)
        + obey(0, 2) + obey(1, 2) + say(0, [2, "more", [6, 1]], [0, 7, "log_level", []]) + say(1, [0, 6, "shared.open", ["l", {"kind": "lock"}]], [0, 6, "lock.acquire", ["l"]]) + rest(3),
    "asks_idle": UP + say(0, [0, 5, "ping", []]) + rest(2), "asks_twice": UP + ask(1, "call", "hold", []) + rest(2) + say(0, [0, 5, "call", ["hold", []]], [0, 5, "ping", []])
        + say(1, [0, 5, "call", ["hold", []]], [0, 5, "ping", []]) + rest(3),
    "garbage": UP + ask(1, "call", "hold", []) + rest(2) + bytes([SAY, 0, 3, 0]) + b"\xc1xx" + bytes([SAY, 1, 5, 0]) + b"\xdd\xff\xff\xff\xff" + rest(4),
    "deaths": UP + b"".join(ask(i, "submit", "hold", [], {"retries": 1}) for i in range(4)) + rest(2) + die(0, 9) + rest(2) + die(0, 0x300) + rest(2) + die(0) + time(10) + rest(2),
    "told": UP + ask(1, "call", "hold", [], {"timeout": 0.1}) + rest(2) + obey(0) + obey(1) + time(8) + rest(2) + obey(0) + obey(1) + rest(2),
    "stuck": UP + ask(1, "call", "hold", [], {"timeout": 0.1}) + rest(2) + obey(0) + obey(1) + time(8) + rest(2) + time(12) + rest(3),
    "reload": UP + ask(1, "call", "hold", []) + rest(2) + bytes([RELOAD]) + rest(5) + b"".join(say(i, HELLO) + rest(1) for i in range(4)) + obey(0) + rest(2),
    "start_timeout": time(14) + rest(4) + say(0, HELLO) + rest(2),
}


# -- single messages --

SCANS = {f"text_{i}": pack(text) for i, text in enumerate(("\u00e9\u20ac\U0001f600 \u0800 \ud7ff \U00010000 \U0010ffff",))}
SCANS |= {f"no_text_{i}": bytes([0xa0 | len(t)]) + t for i, t in enumerate((
    b"\xff", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xe2\x82x"))}
SCANS |= {"no_method": pack([0, 1, 2, []]), "no_params": pack([2, "ping", {}]), "no_msgid": pack([0, -1, "ping", []]),
          "cut_error": b"\x94\1\1\xd9\xff", "cut_result": b"\x94\1\1\xc0\xd9\xff", "cut_method": b"\x93\2\xd9\xff", "cut_msgid": b"\x94\0\xcd"}


def write(directory, inputs):
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in inputs.items():
        (directory / name).write_bytes(data)


def main():
    into = pathlib.Path(sys.argv[1])
    groups = {"tasks": TASKS, "maps": MAPS, "admin": ADMIN, "shared": SHARED, "queues": QUEUES, "stores": STORES, "wrong": WRONG,
              "wrong_types": WRONG_TYPES, "options": OPTIONS, "bad_descriptor": [request("call", "echo", [FD_VALUE, FD])]}
    write(into / "request", {name: b"".join(items) for name, items in groups.items()})
    write(into / "connection", CONNECTIONS)
    write(into / "worker", WORKERS)
    write(into / "scan", SCANS)


main()
