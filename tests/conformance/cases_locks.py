# SPDX-License-Identifier: MIT
"""Locks, semaphores, conditions, events, barriers: in turn, in time, and told when it goes wrong."""
import time

from cases_objects import forget
from expect import COUNT, refusal, says
from suite import case
from wire import eventually

HELD = {"token": COUNT, "abandoned": False}


def waits(client, name, n=1):
    """So many requests wait for it."""
    eventually(lambda: (rows := client.ask("shared.list", {"prefix": name})) and rows[0]["waiting"] == n)


@case
def lock(t):
    """One after another, in the order in which they came; the token only grows"""
    client, other = t.connect(), t.connect()
    tokens = [t.compare(client, HELD, "lock.acquire", "l")["token"]]
    waiting = []
    for i in range(3):
        waiting.append(other.start("lock.acquire", "l", {"owner": i}))
        waits(client, "l", i + 1)
    t.refused(client, "not_ready", "lock.acquire", "l", {"timeout": 0, "owner": 1})
    began = time.monotonic()
    t.refused(client, "not_ready", "lock.acquire", "l", {"timeout": 0.05, "owner": 1})
    t.match(time.monotonic() - began >= 0.05, True, "it waited")
    t.refused(other, refusal("not_permitted", says("held")), "lock.release", "l", {"owner": 9})
    t.refused(other, "not_permitted", "lock.release", "l", {"token": tokens[0]})
    t.compare(client, None, "lock.release", "l", {"token": tokens[0]})
    for i, msgid in enumerate(waiting):
        tokens.append(t.compare_answer(other, HELD, "lock.acquire", msgid)["token"])
        t.match(waiting[i + 1] in other.answers if i < 2 else False, False, "who is behind waits on")
        t.compare(other, None, "lock.release", "l", {"owner": i})
    t.match(tokens, sorted(set(tokens)), "tokens grow")
    t.refused(client, "not_permitted", "lock.release", "l")
    t.refused(client, refusal("invalid_params", says("timeout")), "lock.acquire", "l", {"timeout": -1})
    t.refused(client, refusal("invalid_params", says("owner")), "lock.acquire", "l", {"owner": -1})
    t.refused(client, refusal("invalid_params", says("colour")), "lock.acquire", "l", {"colour": 1})
    client.notify("lock.acquire", "l")
    t.compare(client, HELD, "lock.acquire", "l", {"timeout": 0})
    forget(client, "l")


@case
def reentrant_lock(t):
    """Who has it may have it again, and gives it back as often"""
    client, other = t.connect(), t.connect()
    first = t.compare(client, HELD, "lock.acquire", "r", {"reentrant": True})
    t.compare(client, first, "lock.acquire", "r", {"reentrant": True})
    t.compare(client, first, "lock.acquire", "r")
    t.refused(client, refusal("key_conflict", says("reentrant")), "lock.acquire", "r", {"reentrant": False})
    waiting = other.start("lock.acquire", "r")
    waits(client, "r")
    for _ in range(2):
        t.compare(client, None, "lock.release", "r")
    t.match(other.ask("ping"), "pong")
    t.match(waiting in other.open, True, "it is still held")
    t.compare(client, None, "lock.release", "r")
    t.match(other.finish(waiting), HELD)
    forget(client, "r")


@case
def semaphore(t):
    """As many holders as its limit; each gives back his own"""
    client, other = t.connect(), t.connect()
    tokens = [client.ask("lock.acquire", "s", {"limit": 3})["token"] for _ in range(2)]
    tokens.append(other.ask("lock.acquire", "s")["token"])
    t.match(len(set(tokens)), 3)
    t.refused(other, "not_ready", "lock.acquire", "s", {"timeout": 0})
    waiting = other.start("lock.acquire", "s")
    waits(client, "s")
    t.refused(other, "not_permitted", "lock.release", "s", {"token": tokens[0]})
    t.compare(client, None, "lock.release", "s", {"token": tokens[0]})
    t.match(other.finish(waiting)["token"] > max(tokens), True)
    t.match([h["token"] for h in client.ask("shared.list", {"prefix": "s"})[0]["holders"]][:2], sorted(tokens[1:]))
    forget(client, "s")


@case
def lock_given_up(t):
    """Who gives up is passed over; who goes is passed over"""
    client, other, gone = t.connect(), t.connect(), t.connect()
    client.ask("lock.acquire", "g")
    given_up = other.start("lock.acquire", "g")
    waits(client, "g")
    gone.start("lock.acquire", "g")
    waits(client, "g", 2)
    third = other.start("lock.acquire", "g", {"owner": 3})
    waits(client, "g", 3)
    t.match(other.ask("cancel_request", given_up), True)
    t.refused_answer(other, "cancelled", given_up)
    gone.close()
    waits(client, "g", 1)
    client.ask("lock.release", "g")
    t.match(other.finish(third), HELD)
    forget(client, "g")


@case
def lock_circle(t):
    """Two locks crosswise: the newest who waits is told at once, and how; then the other one goes on"""
    ann, bob = t.connect(), t.connect()
    ann.ask("lock.acquire", "x")
    bob.ask("lock.acquire", "y")
    waiting = ann.start("lock.acquire", "y")
    waits(bob, "y")
    began = time.monotonic()
    t.refused(bob, refusal("deadlock", says("x", "y")), "lock.acquire", "x")
    t.match(time.monotonic() - began < 1, True, "within a second")
    t.match(waiting in ann.open, True)
    t.refused(bob, refusal("deadlock", says("y")), "lock.acquire", "y")
    bob.ask("lock.release", "y")
    t.match(ann.finish(waiting), HELD)
    t.match(bob.start("lock.acquire", "x", {"owner": 1}) in bob.open, True)  # another owner of his holds nothing
    forget(ann, "x", "y")


@case
def condition(t):
    """Waiting releases the lock; the notified go on one after another, the longest waiting first"""
    client, other = t.connect(), t.connect()
    for owner in (1, 2, 3):
        other.ask("lock.acquire", "c", {"owner": owner})
        t.match(other.start("condition.wait", "c", {"owner": owner}) in other.open, True)
    waits(client, "c", 3)
    t.refused(client, refusal("not_permitted", says("held")), "condition.notify", "c")
    t.refused(client, "not_permitted", "condition.wait", "c")
    client.ask("lock.acquire", "c")
    t.compare(client, 1, "condition.notify", "c")
    t.match(other.ask("ping"), "pong")
    t.match(len(other.open), 3, "the lock is still held")
    first, second, third = sorted(other.open)
    client.ask("lock.release", "c")
    t.compare_answer(other, True, "condition.wait", first)
    t.match(sorted(other.open), [second, third])
    t.compare(other, 2, "condition.notify", "c", {"n": 9, "owner": 1})
    other.ask("lock.release", "c", {"owner": 1})
    t.match(other.finish(second), True)
    t.match(third in other.open, True, "one after another")
    other.ask("lock.release", "c", {"owner": 2})
    t.match(other.finish(third), True)
    t.compare(other, False, "condition.wait", "c", {"owner": 3, "timeout": 0.03})
    t.compare(other, 0, "condition.notify", "c", {"owner": 3})
    other.ask("lock.release", "c", {"owner": 3})
    forget(client, "c")


@case
def event(t):
    """Set, clear, wait"""
    client, other = t.connect(), t.connect()
    t.compare(client, False, "event.is_set", "e")
    t.compare(client, False, "event.wait", "e", {"timeout": 0})
    waiting = [other.start("event.wait", "e") for _ in range(3)]
    waits(client, "e", 3)
    t.compare(client, None, "event.set", "e")
    for msgid in waiting:
        t.compare_answer(other, True, "event.wait", msgid)
    t.compare(client, True, "event.is_set", "e")
    t.compare(client, True, "event.wait", "e")
    t.compare(client, None, "event.clear", "e")
    t.compare(client, False, "event.is_set", "e")
    t.compare(client, False, "event.wait", "e", {"timeout": 0.02})
    forget(client, "e")


@case
def broken_barrier(t):
    """All meet, and again; one who gives up, goes or runs out of time breaks it for the rest"""
    client, other, gone = t.connect(), t.connect(), t.connect()
    for _ in range(2):
        first = other.start("barrier.wait", "b", {"parties": 3})
        waits(client, "b")
        second = other.start("barrier.wait", "b")
        waits(client, "b", 2)
        t.compare(client, 2, "barrier.wait", "b")
        t.compare_answer(other, 0, "barrier.wait", first)
        t.compare_answer(other, 1, "barrier.wait", second)
    waiting = other.start("barrier.wait", "b")
    waits(client, "b")
    t.refused(client, "broken_barrier", "barrier.wait", "b", {"timeout": 0.02})
    t.refused_answer(other, "broken_barrier", waiting)
    t.refused(client, "broken_barrier", "barrier.wait", "b")
    t.compare(client, None, "barrier.reset", "b")
    for breaks in (lambda msgid: gone.ask("cancel_request", msgid), lambda _: gone.close()):
        waiting = other.start("barrier.wait", "b")
        waits(client, "b")
        msgid = gone.start("barrier.wait", "b")
        waits(client, "b", 2)
        breaks(msgid)
        t.refused_answer(other, "broken_barrier", waiting)
        t.match(client.ask("shared.list", {"prefix": "b"})[0]["broken"], True)
        client.ask("barrier.reset", "b")
    waiting = other.start("barrier.wait", "b")
    waits(client, "b")
    t.compare(client, None, "barrier.reset", "b")
    t.refused_answer(other, "broken_barrier", waiting)
    waiting = other.start("barrier.wait", "b")
    waits(client, "b")
    t.compare(client, None, "barrier.abort", "b")
    t.refused_answer(other, "broken_barrier", waiting)
    t.refused(client, refusal("key_conflict", says("parties", "3")), "barrier.wait", "b", {"parties": 2})
    t.refused(client, refusal("invalid_params", says("parties")), "barrier.wait", "new")
    forget(client, "b")
