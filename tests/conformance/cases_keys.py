# SPDX-License-Identifier: MIT
"""Tasks that are known by a key, and who joins them."""
from expect import COUNT, OneOf
from suite import case
from wire import eventually


@case
def key_joins(t):
    """The same key, function and arguments are the same task: one id, one run, counted once; all who wait are told"""
    first, second = t.connect(), t.connect()
    before = first.ask("status")["totals"]["submitted"]
    id = first.submit("sleep", 0.2, key="joins", label="one")
    t.match(second.submit("sleep", 0.2, key="joins"), id, "the id of who joins")
    asked = second.start("call", "sleep", [0.2], {"key": "joins"})
    waiting = first.start("result", id, {})
    t.match(first.ask("task", id)["key"], "joins", "the key in the record")
    t.match((second.finish(asked), first.finish(waiting)), (None, None), "the two answers")
    t.match(second.ask("call", "sleep", [0.2], {"key": "joins"}), None, "who comes after the end")
    t.match(first.ask("result", id, {}), None, "a result that is not taken")
    t.match(first.ask("status")["totals"]["submitted"], before + 1, "how many were submitted")
    t.match(first.ask("task", id)["label"], "one", "the label")


@case
def key_conflict(t):
    """Another function or other arguments under the same key"""
    client = t.connect()
    id = client.submit("echo", 1, key="conflict", ttl=30)
    t.refused(client, "key_conflict", "submit", "echo", [2], {"key": "conflict"})
    t.refused(client, "key_conflict", "call", "sleep", [1], {"key": "conflict"})
    t.match(client.submit("echo", 1, key="conflict"), id, "the same again")


@case
def key_ends_with_its_ttl(t):
    """After its ttl the key is free"""
    client = t.connect()
    first = client.submit("echo", 1, key="brief", ttl=0.05)
    eventually(lambda: client.submit("echo", 1, key="brief", ttl=0.05) != first)
    t.match(client.ask("task", first), {**client.ask("task", first), "key": "brief", "id": OneOf(first, COUNT)}, "the record in history")


@case
def key_joined_call_outlives_its_caller(t):
    """A call that was joined is not cancelled when its caller goes"""
    first, second = t.connect(), t.connect()
    first.start("call", "sleep", [0.3], {"key": "outlives"})
    eventually(lambda: [task for task in second.ask("tasks", {"state": "unended"}) if task["key"] == "outlives"])
    asked = second.start("call", "sleep", [0.3], {"key": "outlives"})
    t.match(second.ask("ping"), "pong")
    first.close()
    t.match(second.finish(asked), None, "the answer")
