# SPDX-License-Identifier: MIT
"""What admins may: how many workers a pool has, whether anything begins there, what is logged."""
from expect import OneOf, refusal, says
from suite import case
from wire import eventually

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


def pids(client, name="default"):
    return {worker["pid"] for worker in client.ask("status")["workers"] if worker["pool"] == name}


@case
def reload(t):
    """What runs goes on, what is there is replaced; the answer comes when it is in force, or when the last old worker is gone"""
    client, other = t.connect(), t.connect()
    eventually(lambda: len(pids(client)) == 2)
    before = pids(client)
    running = client.start("call", "sleep", [0.4], {})
    eventually(lambda: pool(other)["running"] == 1)
    t.compare(other, {"pools": ["default"]}, "reload")
    t.match(pool(other)["running"], 1, "what ran before runs")
    t.compare(other, {"pools": ["default"]}, "reload", {"wait": True})
    t.match(bool(before & pids(other)), False, "a worker from before is there")
    t.match(running in client.open, True)
    t.match(client.finish(running), None)
    t.match(client.call("echo", "served"), "served")


@case
def reload_of_a_pool(t):
    """The same of one pool; it keeps the workers that it was scaled to"""
    client, other = t.connect(), t.connect()
    eventually(lambda: len(pids(client)) == 2)
    t.match(client.ask("pool.scale", "default", 3), None)
    has_workers(client, 3)
    before = pids(client)
    running = client.start("call", "sleep", [0.3], {})
    eventually(lambda: pool(other)["running"] == 1)
    t.compare(other, None, "pool.reload", "default")
    t.match(pool(other)["running"], 1, "what ran before runs")
    t.compare(other, None, "pool.reload", "default", {"wait": True})
    t.match(bool(before & pids(other)), False, "a worker from before is there")
    t.match(client.finish(running), None)
    has_workers(client, 3)
    t.match(client.ask("reload", {"wait": True}), {"pools": ["default"]})
    has_workers(client, 2)


@case
def reloads_at_once(t):
    """One at a time: another one is refused, and the first goes on; given up it goes on too"""
    client = t.connect()
    before = pids(client)
    first, second, third = client.start("reload"), client.start("pool.reload", "default"), client.start("reload", {"wait": True})
    for refused in (second, third):
        t.refused_answer(client, refusal("not_ready", says("another reload")), refused)
    t.match(client.finish(first), {"pools": ["default"]})
    given_up = client.start("reload")
    t.match(client.ask("cancel_request", given_up), True)
    t.refused_answer(client, "cancelled", given_up)
    eventually(lambda: len(pids(client)) == 2 and not before & pids(client))
    gone = t.connect()
    gone.start("reload", {"wait": True})
    gone.close()
    client.notify("reload")
    eventually(lambda: client.outcome(client.start("reload", {"wait": True}))[0] is None)
    t.match(client.call("echo", 1), 1)


@case
def admins_pools(t):
    """Of a pool that there is not"""
    client = t.connect()
    for method, *more in (("pool.scale", 1), ("pool.pause",), ("pool.resume",), ("pool.drain",), ("pool.reload",)):
        t.refused(client, refusal("unknown_pool", says("nowhere")), method, "nowhere", *more)


@case
def for_admins(t):
    """Others are refused, whatever they ask for"""
    client = t.connect_as("shared", STRANGER)
    for method, *params in (("log_level", "debug"), ("pool.scale", "default", 0), ("pool.pause", "default"),
                            ("pool.resume", "default"), ("pool.drain", "default"), ("pool.reload", "default"),
                            ("reload",), ("pool.pause", "nowhere")):
        t.refused(client, refusal("not_permitted", says(method)), method, *params)
    t.match(client.ask("ping"), "pong")
    t.match(pool(client)["paused"], False)
