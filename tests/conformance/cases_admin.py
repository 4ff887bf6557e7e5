# SPDX-License-Identifier: MIT
"""What admins may: how many workers a pool has, whether anything begins there, what is logged."""
import os

from expect import OneOf, refusal, says
from suite import Skipped, case
from wire import Client, eventually

LEVELS = ("error", "warning", "info", "debug")
STRANGER = 60001  # a user who is no admin


def pool(client, name="default"):
    return next(p for p in client.ask("status")["pools"] if p["name"] == name)


def has_workers(client, n):
    eventually(lambda: (w := pool(client)["workers"])["target"] == n and w["idle"] + w["busy"] == n and w["starting"] == 0)


@case
def log_level(t):
    """The level before; left out it stays"""
    client = t.connect()
    before = t.compare(client, OneOf(*LEVELS), "log_level")
    t.compare(client, before, "log_level", "error")
    t.compare(client, "error", "log_level", "debug")
    t.compare(client, "debug", "log_level")
    t.compare(client, "debug", "log_level", before)
    t.refused(client, refusal("invalid_params", says("warning")), "log_level", "verbose")
    t.compare(client, before, "log_level")


@case
def scale(t):
    """More workers, fewer, none: then tasks wait"""
    client, other = t.connect(), t.connect()
    try:
        t.compare(client, None, "pool.scale", "default", 4)
        has_workers(client, 4)
        msgids = [client.start("call", "sleep", [0.2], {}) for _ in range(4)]
        eventually(lambda: pool(other)["running"] == 4)
        t.compare(other, None, "pool.scale", "default", 1)
        t.match([client.finish(msgid) for msgid in msgids], [None] * 4, "what runs when workers go finishes")
        has_workers(client, 1)
        t.compare(client, None, "pool.scale", "default", 0)
        has_workers(client, 0)
        waiting = client.start("call", "echo", ["waited"], {})
        t.match(pool(other)["queued"]["ready"], 1, "a task waits where there is no worker")
    finally:
        other.ask("pool.scale", "default", 2)
    t.match(client.finish(waiting), "waited")
    has_workers(client, 2)


@case
def pause(t):
    """Nothing further begins; what runs goes on; resume"""
    client, other = t.connect(), t.connect()
    running = client.start("call", "sleep", [0.2], {})
    eventually(lambda: pool(other)["running"] == 1)
    try:
        t.compare(other, None, "pool.pause", "default")
        t.compare(other, None, "pool.pause", "default")
        t.match(pool(other)["paused"], True)
        waiting = client.start("call", "echo", ["later"], {})
        t.match(client.finish(running), None, "what runs goes on")
        t.match((pool(other)["queued"]["ready"], pool(other)["running"]), (1, 0), "what came waits")
    finally:
        t.compare(other, None, "pool.resume", "default")
    t.match(client.finish(waiting), "later")
    t.compare(other, None, "pool.resume", "default")
    t.match(pool(other)["paused"], False)


@case
def drain(t):
    """Answers when nothing runs, or at its time; the pool stays paused"""
    client, other = t.connect(), t.connect()
    running = client.start("call", "sleep", [0.3], {})
    eventually(lambda: pool(other)["running"] == 1)
    try:
        t.refused(other, "not_ready", "pool.drain", "default", {"timeout": 0.05})
        t.match(pool(other)["paused"], True)
        waiting = client.start("call", "echo", ["after"], {})
        given_up = other.start("pool.drain", "default")
        t.match(other.ask("cancel_request", given_up), True)
        t.refused_answer(other, "cancelled", given_up)
        t.compare(other, None, "pool.drain", "default", {"timeout": 10})
        t.match(pool(other)["running"], 0)
        t.match(client.finish(running), None)
        t.compare(other, None, "pool.drain", "default")
        t.match((pool(other)["paused"], pool(other)["queued"]["ready"]), (True, 1))
    finally:
        other.ask("pool.resume", "default")
    t.match(client.finish(waiting), "after")


@case
def admins_pools(t):
    """Of a pool that there is not"""
    client = t.connect()
    for method, *more in (("pool.scale", 1), ("pool.pause",), ("pool.resume",), ("pool.drain",)):
        t.refused(client, refusal("unknown_pool", says("nowhere")), method, "nowhere", *more)


@case
def for_admins(t):
    """Others are refused, whatever they ask for"""
    path = t.socket("shared")
    if os.geteuid() != 0:
        raise Skipped("only root can be another user")
    os.setegid(STRANGER)
    os.seteuid(STRANGER)
    try:
        client = Client(path)
    except PermissionError as error:
        raise Skipped("the socket's directory is closed to others") from error
    finally:
        os.seteuid(0)
        os.setegid(0)
    t.clients.append(client)
    for method, *params in (("log_level", "debug"), ("pool.scale", "default", 0), ("pool.pause", "default"),
                            ("pool.resume", "default"), ("pool.drain", "default"), ("pool.pause", "nowhere")):
        t.refused(client, refusal("not_permitted", says(method)), method, *params)
    t.match(client.ask("ping"), "pong")
    t.match(pool(client)["paused"], False)
