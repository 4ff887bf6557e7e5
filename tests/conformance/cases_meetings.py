# SPDX-License-Identifier: MIT
"""Events and barriers: who waits, what lets him go on, what breaks it."""
from cases_locks import waits
from cases_shared import listed, looks
from expect import refusal, says
from suite import case
from wire import eventually


@case
def event(t):
    """Set, all go on; set already, at once; cleared, they wait; its time is over: false"""
    client, clients = t.connect(), [t.connect() for _ in range(3)]
    t.compare(client, False, "event.is_set", "event")
    t.match(listed(client, "event"), None, "what is_set made")
    t.compare(client, False, "event.wait", "event", {"timeout": 0})
    t.match(listed(client, "event"), looks("event", "event", set=False))
    t.match(client.ask("event.wait", "event", {"timeout": 0.01}), False)
    asked = [other.start("event.wait", "event") for other in clients]
    waits(client, "event", 3)
    t.compare(client, None, "event.clear", "event")
    t.compare(client, None, "event.set", "event")
    for other, msgid in zip(clients, asked):
        t.compare_answer(other, True, "event.wait", msgid)
    for timeout in (0, 1, 1e9):
        t.match(client.ask("event.wait", "event", {"timeout": timeout}), True)
    t.match(client.ask("event.is_set", "event"), True)
    client.ask("event.clear", "event")
    t.match((client.ask("event.is_set", "event"), client.ask("event.wait", "event", {"timeout": 0})), (False, False))
    asked = [other.start("event.wait", "event") for other in clients]
    waits(client, "event", 3)
    clients[0].close()
    waits(client, "event", 2)
    clients[1].ask("cancel_request", asked[1])
    t.refused_answer(clients[1], "cancelled", asked[1])
    client.ask("shared.unlink", "event")
    t.refused_answer(clients[2], "unknown_object", asked[2])


@case
def barrier(t):
    """So many meet, each has its number; round after round; one alone; one connection's several"""
    client, other = t.connect(), t.connect()
    for _ in range(3):
        asked = [(who, who.start("barrier.wait", "barrier", {"parties": 4})) for who in (client, other, client)]
        waits(other, "barrier", 3)
        asked.append((other, other.start("barrier.wait", "barrier")))
        t.match(sorted(who.finish(msgid) for who, msgid in asked), [0, 1, 2, 3], "the numbers")
    t.compare(client, 0, "barrier.wait", "alone", {"parties": 1})
    t.compare(client, 0, "barrier.wait", "alone", {"timeout": 0})
    t.refused(client, refusal("key_conflict", says("4")), "barrier.wait", "barrier", {"parties": 5})
    t.refused(client, refusal("invalid_params", says("parties")), "barrier.wait", "no barrier")
    for parties in (0, -1, 2**32, 1.0, "2"):
        t.refused(client, refusal("invalid_params", says("parties")), "barrier.wait", "no barrier", {"parties": parties})
    for name in ("barrier", "alone"):
        client.ask("shared.unlink", name)


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


def gathered(t, client, n=2):
    """So many who wait at a barrier of three."""
    clients = [t.connect() for _ in range(n)]
    asked = [other.start("barrier.wait", "broken", {"parties": 3}) for other in clients]
    waits(client, "broken", n)
    return list(zip(clients, asked))


@case
def barrier_broken(t):
    """One who waits goes, gives up, runs out of time; abort: the others are told, and who comes after, until reset"""
    client = t.connect()
    for way in ("close", "cancel", "time", "abort", "two of one"):
        if way == "two of one":
            one = t.connect()
            for _ in range(2):
                one.start("barrier.wait", "broken", {"parties": 3})
            waits(client, "broken", 2)
            one.close()
            waiting = []
        elif way == "time":
            waiting = gathered(t, client, 1)
            t.refused(client, "broken_barrier", "barrier.wait", "broken", {"timeout": 0.01})
        else:
            waiting = gathered(t, client)
        if way == "close":
            waiting.pop()[0].close()
        elif way == "cancel":
            other, msgid = waiting.pop()
            other.ask("cancel_request", msgid)
            t.refused_answer(other, "cancelled", msgid)
        elif way == "abort":
            t.compare(client, None, "barrier.abort", "broken")
        for other, msgid in waiting:
            t.refused_answer(other, "broken_barrier", msgid)
        eventually(lambda: listed(client, "broken")["broken"])
        t.refused(client, "broken_barrier", "barrier.wait", "broken")
        t.refused(client, "broken_barrier", "barrier.wait", "broken", {"timeout": 0})
        t.compare(client, None, "barrier.reset", "broken")
        t.match(listed(client, "broken"), looks("broken", "barrier", parties=3, broken=False))
    t.refused(client, "not_ready", "barrier.wait", "broken", {"timeout": 0})
    t.match(listed(client, "broken")["broken"], False, "who does not wait breaks nothing")
    for other, msgid in (waiting := gathered(t, client))[:1]:
        client.ask("barrier.reset", "broken")
        t.refused_answer(other, "broken_barrier", msgid)
    t.refused_answer(*waiting[1][:1], "broken_barrier", waiting[1][1])
    waiting = gathered(t, client)
    t.match(client.ask("barrier.wait", "broken"), 2, "after reset")
    waiting = [(other, other.start("barrier.wait", "broken")) for other, _ in waiting]
    waits(client, "broken", 2)
    client.ask("shared.unlink", "broken")
    for other, msgid in waiting:
        t.refused_answer(other, "unknown_object", msgid)
    for method in ("barrier.reset", "barrier.abort"):
        t.refused(client, "unknown_object", method, "broken")
