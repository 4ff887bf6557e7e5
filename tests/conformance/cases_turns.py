# SPDX-License-Identifier: MIT
"""Locks and conditions: who is next, who may, what is left of who goes; tokens that only grow; circles."""
import select
import time

from cases_locks import waits
from cases_shared import listed
from expect import COUNT, Where, refusal, says
from suite import case
from wire import eventually

NOT_HELD = refusal("not_permitted", says("not held"))


def held(token=COUNT, abandoned=False):
    return {"token": token, "abandoned": abandoned}


def above(token):
    return Where(f"a token above {token}", lambda value: type(value) is int and value > token)


@case
def lock_abandoned(t):
    """Who went without releasing: the next one has it at once, and only he is told; who waited and went is passed over"""
    first, second, third = (t.connect() for _ in range(3))
    first.ask("lock.acquire", "abandoned")
    asked = second.start("lock.acquire", "abandoned")
    waits(third, "abandoned", 1)
    last = third.start("lock.acquire", "abandoned")
    waits(t.connect(), "abandoned", 2)
    second.close()
    waits(t.connect(), "abandoned", 1)
    began = time.monotonic()
    first.close()
    t.compare_answer(third, held(abandoned=True), "lock.acquire", last)
    t.match(time.monotonic() - began < 1, True, "seconds")
    third.ask("lock.release", "abandoned")
    t.match(third.ask("lock.acquire", "abandoned")["abandoned"], False, "the one after")
    third.close()
    fourth = t.connect()
    eventually(lambda: not listed(fourth, "abandoned")["holders"])
    t.compare(fourth, held(abandoned=True), "lock.acquire", "abandoned")
    fourth.ask("shared.unlink", "abandoned")
    t.match(asked > 0, True)


@case
def lock_owners(t):
    """Who shares a connection: each has, waits and releases for himself; a token is good for all of them"""
    client = t.connect()
    token = client.ask("lock.acquire", "owners", {"owner": 1})["token"]
    asked = client.start("lock.acquire", "owners", {"owner": 2})
    t.refused(client, NOT_HELD, "lock.release", "owners", {"owner": 2})
    t.refused(client, NOT_HELD, "lock.release", "owners")
    t.refused(client, NOT_HELD, "lock.release", "owners", {"token": token + 1, "owner": 1})
    t.refused(client, "invalid_params", "lock.release", "owners", {"token": 0, "owner": 1})
    client.ask("lock.release", "owners", {"token": token, "owner": 77})
    t.match(client.finish(asked), held(above(token)))
    client.ask("lock.release", "owners", {"owner": 2})
    client.ask("shared.unlink", "owners")


@case
def semaphore_holders_count(t):
    """Each holder costs its maker's memory: there is an end to them"""
    client = t.connect("limits")
    client.ask("lock.acquire", "many", {"limit": 2**32 - 1})
    empty = listed(client, "many")["bytes"]
    for _ in range(999):
        client.ask("lock.acquire", "many")
    t.match(listed(client, "many")["bytes"] - empty > 999 * 16, True, "bytes of a thousand holders")
    for _ in range(999):
        client.ask("lock.release", "many")
    t.match(listed(client, "many")["bytes"], empty, "bytes of one")
    client.ask("shared.unlink", "many")


@case
def lock_ends_of_waiting(t):
    """Its time, a cancel, unlink, the connection; with a task its end"""
    client, other = t.connect(), t.connect()
    client.ask("lock.acquire", "ends")
    t.refused(other, "not_ready", "lock.acquire", "ends", {"timeout": 0.02})
    asked = other.start("lock.acquire", "ends")
    t.match(other.ask("cancel_request", asked), True)
    t.refused_answer(other, "cancelled", asked)
    asked = other.start("lock.acquire", "ends")
    waits(client, "ends", 1)
    t.compare(client, None, "shared.unlink", "ends")
    t.refused_answer(other, "unknown_object", asked)
    t.refused(client, "unknown_object", "lock.release", "ends")
    t.match(other.ask("lock.acquire", "ends", {"timeout": 0})["abandoned"], False, "a new one")
    client.ask("shared.unlink", "ends")


@case
def lock_circles(t):
    """Crosswise, in a ring, by condition.wait: the newest is told, and by what; the others go on when he lets go"""
    clients = [t.connect() for _ in range(4)]
    for n, client in enumerate(clients):
        client.ask("lock.acquire", f"ring {n}", {"owner": n})
    t.refused(clients[0], refusal("deadlock", says("ring 0")), "lock.acquire", "ring 0", {"owner": 0})
    asked = [clients[n].start("lock.acquire", f"ring {n + 1}", {"owner": n}) for n in range(3)]
    for n in range(3):
        waits(clients[3], f"ring {n + 1}", 1)
    t.refused(clients[3], refusal("deadlock", says("ring 0", "ring 1", "ring 2", "ring 3")), "lock.acquire", "ring 0", {"owner": 3})
    t.refused(clients[3], "not_ready", "lock.acquire", "ring 0", {"owner": 3, "timeout": 0})
    beside = clients[3].start("lock.acquire", "ring 0", {"owner": 4})
    clients[3].ask("lock.release", "ring 3", {"owner": 3})
    for n in (2, 1, 0):
        t.match(clients[n].finish(asked[n]), held())
        clients[n].ask("lock.release", f"ring {n + 1}", {"owner": n})
        clients[n].ask("lock.release", f"ring {n}", {"owner": n})
    t.match(clients[3].finish(beside), held(), "another owner of the same connection")
    for n in range(4):
        clients[3].ask("shared.unlink", f"ring {n}")


@case
def condition_circle(t):
    """Who waits in condition.wait needs its lock to go on: who holds that one and would wait for him is told"""
    first, second = t.connect(), t.connect()
    first.ask("lock.acquire", "guard")
    first.ask("lock.acquire", "cond")
    waiting = first.start("condition.wait", "cond")
    waits(second, "cond", 1)
    second.ask("lock.acquire", "cond")
    t.refused(second, refusal("deadlock", says("guard", "cond")), "lock.acquire", "guard")
    second.ask("condition.notify", "cond")
    t.refused(second, refusal("deadlock", says("guard", "cond")), "lock.acquire", "guard")
    second.ask("lock.release", "cond")
    t.match(first.finish(waiting), True)
    for name in ("guard", "cond"):
        first.ask("shared.unlink", name)


@case
def condition_times(t):
    """Its time is over: the lock is waited for all the same; 0; the depth of a reentrant lock is as before"""
    client, other = t.connect(), t.connect()
    for _ in range(3):
        client.ask("lock.acquire", "times", {"reentrant": True})
    t.compare(client, False, "condition.wait", "times", {"timeout": 0})
    waiting = client.start("condition.wait", "times", {"timeout": 0.02})
    other.ask("lock.acquire", "times")
    eventually(lambda: time.monotonic() and not select_readable(client, 0.1))
    t.match(other.ask("condition.notify", "times"), 0, "one whose time is over")
    other.ask("lock.release", "times")
    t.match(client.finish(waiting), False)
    for _ in range(3):
        client.ask("lock.release", "times")
    t.refused(client, NOT_HELD, "lock.release", "times")
    client.ask("shared.unlink", "times")


def select_readable(client, seconds):
    return select.select([client.socket], [], [], seconds)[0]


@case
def condition_errors(t):
    """Not held, not there, a semaphore, numbers that are none; given up it does not hold the lock"""
    client, other = t.connect(), t.connect()
    for method in ("condition.wait", "condition.notify"):
        t.refused(client, "unknown_object", method, "errors")
    client.ask("lock.acquire", "errors", {"owner": 3})
    for method in ("condition.wait", "condition.notify"):
        t.refused(client, NOT_HELD, method, "errors")
        t.refused(other, NOT_HELD, method, "errors", {"owner": 3})
    for n in (0, -1, 2**32, 1.5, None):
        t.refused(client, refusal("invalid_params", says("option n")), "condition.notify", "errors", {"owner": 3, "n": n})
    waiting = client.start("condition.wait", "errors", {"owner": 3})
    t.match(client.ask("cancel_request", waiting), True)
    t.refused_answer(client, "cancelled", waiting)
    t.refused(client, NOT_HELD, "lock.release", "errors", {"owner": 3})
    client.ask("lock.acquire", "errors")
    waiting = client.start("condition.wait", "errors")
    other.ask("shared.unlink", "errors")
    t.refused_answer(client, "unknown_object", waiting)
    client.ask("lock.acquire", "many", {"limit": 2})
    t.refused(client, refusal("key_conflict", says("limit", "2")), "condition.wait", "many")
    client.ask("shared.unlink", "many")


@case
def condition_not_lost(t):
    """A notification whose receiver goes, or gives up, before it has the lock is the next one's"""
    client, clients = t.connect(), [t.connect() for _ in range(3)]
    asked = []
    for n, other in enumerate(clients):
        other.ask("lock.acquire", "lost")
        asked.append(other.start("condition.wait", "lost"))
        waits(client, "lost", n + 1)
    client.ask("lock.acquire", "lost")
    t.match(client.ask("condition.notify", "lost"), 1)
    clients[0].close()
    waits(client, "lost", 2)
    clients[1].ask("cancel_request", asked[1])
    t.refused_answer(clients[1], "cancelled", asked[1])
    client.ask("lock.release", "lost")
    t.match(clients[2].finish(asked[2]), True)
    clients[2].ask("shared.unlink", "lost")


@case
def barrier_order(t):
    """The numbers are those of arrival"""
    client, clients = t.connect(), [t.connect() for _ in range(5)]
    asked = []
    for n, other in enumerate(clients):
        asked.append(other.start("barrier.wait", "order", {"parties": 6}))
        waits(client, "order", n + 1)
    t.match([client.ask("barrier.wait", "order")] + [o.finish(m) for o, m in zip(clients, asked)], [5, 0, 1, 2, 3, 4])
    client.ask("shared.unlink", "order")
