# SPDX-License-Identifier: MIT
"""Tasks that wait for tasks. Only a task is ever told so; a function that asks for what it is told reports the code."""
from cases_locks import waits
from cases_shared import listed
from expect import ANYTHING, COUNT, Where, failure
from suite import Skipped, case
from wire import Refused


def told(t, function, *args):
    """The code that the function, which does not get what it asks for, was told."""
    client = t.connect()
    if not any(known["name"] == function for known in client.ask("functions")):
        raise Skipped(f"needs a function {function} (tests/support/modules/nest.c)")
    try:
        client.call(function, *args)
    except Refused as refused:
        t.match(refused.code, "task_failed", f"the end of {function}")
        t.codes.add(refused.error["function_code"])
        return refused.error["function_code"]
    return None


@case
def deadlock(t):
    """Who waits for himself, or for a task that waits for him"""
    t.match(told(t, "nest.self"), "deadlock", "who waits for himself")
    t.match(told(t, "nest.ancestor"), "deadlock", "who waits for his caller")


@case
def nesting_limit(t):
    """As deep as it goes, and one more; afterwards all is as before"""
    t.match(told(t, "nest.deep", 200), "nesting_limit", "who is too deep")
    t.match(t.connect().call("nest.deep", 20), 20, "who is not")


def asks(client, method, *params):
    """A task that asks for something and ends; its number."""
    return client.start("call", "nest.ask", [method, list(params)], {})


def has_nest(client):
    if not any(known["name"] == "nest.ask" for known in client.ask("functions")):
        raise Skipped("needs a function nest.ask (tests/support/modules/nest.c)")


@case
def task_holds(t):
    """What a task holds is over with it: the next one has the lock and is told, an item is at the front again"""
    client, other = t.connect(), t.connect()
    has_nest(client)
    client.ask("lock.acquire", "task lock")
    asked = asks(client, "lock.acquire", "task lock")
    waits(other, "task lock", 1)
    next_ = other.start("lock.acquire", "task lock")
    waits(t.connect(), "task lock", 2)
    client.ask("lock.release", "task lock")
    result, code, reply = client.finish(asked)
    t.match([result, code, reply], [0, "", {"token": COUNT, "abandoned": False}], "what the task was told")
    t.match(other.finish(next_), {"token": Where("a later token", lambda token: token > reply["token"]), "abandoned": True})
    client.ask("queue.put", "task queue", [1, 2])
    t.match(client.finish(asks(client, "queue.get", "task queue", {"ack": True}))[2], [[COUNT, 1]], "what the task got")
    t.match(client.ask("queue.get", "task queue", {"max": 2}), [[None, 1], [None, 2]], "after its end")
    for name in ("task lock", "task queue"):
        client.ask("shared.unlink", name)


@case
def task_waits_for_objects(t):
    """A task that is told to end waits no longer, for whatever kind it was; what it makes has no group"""
    client, other = t.connect(), t.connect()
    has_nest(client)
    client.ask("lock.acquire", "wait lock")
    client.ask("queue.put", "wait full", [1], {"maxsize": 1})
    for name, method, *params in (("wait lock", "lock.acquire"), ("wait event", "event.wait"), ("wait barrier", "barrier.wait", {"parties": 2}),
                                  ("wait queue", "queue.get"), ("wait full", "queue.put", [2]), ("wait full", "queue.join"),
                                  ("wait dict", "dict.watch")):
        asked = asks(client, method, name, *params)
        waits(other, name, 1)
        t.match(client.ask("cancel_request", asked), True)
        t.refused_answer(client, failure("cancelled", ended_by=ANYTHING, by_uid=COUNT, by_pid=COUNT, function="nest.ask"), asked)
        waits(other, name, 0)
    t.match(listed(client, "wait barrier")["broken"], True, "the barrier that the task left")
    t.match([listed(client, name)["gid"] for name in ("wait event", "wait lock")], [None, COUNT], "groups")
    for name in ("lock", "event", "barrier", "queue", "full", "dict"):
        client.ask("shared.unlink", f"wait {name}")
