# SPDX-License-Identifier: MIT
"""Maps: many calls in one request, their items as they are ready."""
import hashlib

from expect import PID, SECONDS, OneOf, failure, mismatch
from suite import Wrong, case
from wire import eventually


def items_of(client, msgid):
    return [item for data in client.streamed(msgid, "items") for item in data]


def mapped(client, function, args, fds=(), **options):
    """(answer, items in the order of their indices, indices in the order in which they came)"""
    msgid = client.start("map", function, args, options, fds=fds)
    answer = client.finish(msgid, 60)
    items = items_of(client, msgid)
    return answer, sorted(items, key=lambda item: item[0]), [item[0] for item in items]


def bad_item(index, task, function):
    return {**failure("task_failed", task=task, function=function, worker_pid=PID, ended_by="function", run_time=SECONDS,
                      attempt=1), "index": index}


@case
def map_items(t):
    """Every item once, with its value; the sums in the answer"""
    client = t.connect()
    msgid = client.start("map", "digest.sha256", [[b"%d" % n] for n in range(1000)], {})
    t.compare_answer(client, {"count": 1000, "succeeded": 1000, "failed": 0}, "map", msgid)
    want = [[n, None, hashlib.sha256(b"%d" % n).hexdigest()] for n in range(1000)]
    t.match(sorted(items_of(client, msgid)), want, "items")
    t.compare(client, {"count": 0, "succeeded": 0, "failed": 0}, "map", "echo", [], {})
    t.compare(client, {"count": 1, "succeeded": 1, "failed": 0}, "map", "echo", [[5]])


@case
def map_failures(t):
    """Failed items carry their records and do not fail the map"""
    client = t.connect()
    args = [[b"x"], [5], [b"y"], [], [b"z"]]
    msgid = client.start("map", "digest.sha256", args, {"label": "map_failures"})
    t.compare_answer(client, {"count": 5, "succeeded": 3, "failed": 2}, "map", msgid)
    record = client.ask("tasks", {"label": "map_failures"})[0]
    t.match((record["state"], record["items"]), ("succeeded", {"count": 5, "succeeded": 3, "failed": 2, "running": 0}))
    for index, error, value in items_of(client, msgid):
        if index in (1, 3):
            t.match([error, value], [bad_item(index, record["id"], "digest.sha256"), None], f"item {index}")
        else:
            t.match([error, value], [None, hashlib.sha256(args[index][0]).hexdigest()], f"item {index}")


@case
def map_collect(t):
    """For clients that read no streams: the values and the errors in the answer"""
    client = t.connect()
    id_before = client.submit("echo", 0)
    msgid = client.start("map", "text.count", [[b"a b a"], [1], [b"c"]], {"collect": True})
    answer = client.finish(msgid)
    t.match({**answer, "errors": None}, {"count": 3, "succeeded": 2, "failed": 1, "values": [{"a": 2, "b": 1}, None, {"c": 1}],
                                         "errors": None}, "the answer")
    [[index, record]] = answer["errors"]
    t.match(record["task"] > id_before, True, "the map's id is greater than those before")
    t.match(record, bad_item(index, record["task"], "text.count"))
    t.match(index, 1)


@case
def map_ordered(t):
    """In input order, though later ones are ready before"""
    client = t.connect()
    args = [[0.2 if n == 0 else 0] for n in range(50)]
    answer, _, order = mapped(client, "sleep", args, ordered=True, chunk=1)
    t.match(answer, {"count": 50, "succeeded": 50, "failed": 0})
    t.match(order, list(range(50)))
    answer, _, order = mapped(client, "sleep", args, chunk=1)
    t.match(order[-1], 0, "without the option the slow one comes last")
    answer, items, order = mapped(client, "echo", [[n] for n in range(5000)], ordered=True)
    t.match(order, list(range(5000)))


@case
def map_fail_fast(t):
    """The first failure ends it; what has not begun is cancelled"""
    client = t.connect()
    answer, items, _ = mapped(client, "sleep", [["none"]] + [[0.05]] * 500, fail_fast=True, chunk=1)
    t.match(answer["count"], 501)
    t.match(answer["failed"] >= 1 and answer["succeeded"] < 400, True, f"most did not run: {answer}")
    t.match(items[0][1]["code"], "task_failed")


@case
def map_limit(t):
    """At most so many at once"""
    client, watcher = t.connect(), t.connect()
    msgid = client.start("map", "sleep", [[0.05]] * 8, {"limit": 1, "chunk": 1, "label": "map_limit"})
    most = 0
    while msgid not in client.answers:
        record = watcher.ask("tasks", {"label": "map_limit"})[0]
        most = max(most, record["items"]["running"])
        client.until(lambda: msgid in client.answers or items_of(client, msgid))
        client.streams[msgid].clear()
    t.match(most, 1, "items running at once")


@case
def map_chunk(t):
    """Chunks of any size give the same items"""
    client = t.connect()
    for chunk in (1, 7, 1000, 2**32 - 1):
        answer, items, _ = mapped(client, "echo", [[n] for n in range(200)], chunk=chunk)
        t.match(items, [[n, None, n] for n in range(200)], f"items with chunk {chunk}")


@case
def feed(t):
    """Further items for an open map; it ends only after the last"""
    client = t.connect()
    msgid = client.start("map", "echo", [[0]], {"feed": True})
    client.until(lambda: len(items_of(client, msgid)) == 1)
    for n in range(1, 100):
        client.notify("feed", msgid, [[n], [n + 0.5]])
    client.until(lambda: len(items_of(client, msgid)) == 199)
    t.match(client.ask("ping"), "pong", "the map is open, and the connection served")
    t.match(msgid in client.open, True, "the map is open")
    client.notify("feed", msgid, [["last"]], True)
    t.compare_answer(client, {"count": 200, "succeeded": 200, "failed": 0}, "map", msgid)
    want = [[0, None, 0]] + [[i, None, v] for i, v in enumerate((x for n in range(1, 100) for x in (n, n + 0.5)), 1)]
    t.match(sorted(items_of(client, msgid)), want + [[199, None, "last"]], "items")
    t.methods.add("feed")
    empty = client.start("map", "echo", [], {"feed": True})
    client.notify("feed", empty, [], True)
    t.match(client.finish(empty), {"count": 0, "succeeded": 0, "failed": 0})


@case
def feed_that_is_wrong(t):
    """Items that are no arrays, or a map without the option, end the map; a map that is not open is nobody's"""
    client = t.connect()
    msgid = client.start("map", "echo", [[0]], {"feed": True})
    client.notify("feed", msgid, [5])
    t.refused_answer(client, "invalid_params", msgid)
    client.notify("feed", 4711, [[5]])
    unfed = client.start("map", "sleep", [[0.3]], {})
    client.notify("feed", unfed, [[5]])
    t.refused_answer(client, "invalid_params", unfed)
    for params in ([5], [], [[], True, 1], [[], 1]):
        msgid = client.start("map", "echo", [[0]], {"feed": True})
        client.notify("feed", msgid, *params)
        t.refused_answer(client, "invalid_params", msgid)
    call, fed = client.start("call", "sleep", [0.3], {}), client.start("map", "echo", [[0]], {"feed": True})
    for msgid in (call, fed + 2**32, fed + 2**64 - 2**32):
        client.notify("feed", msgid, [5])
        client.notify("feed", msgid, 5)
    t.match(client.finish(call), None, "a call is no map")
    client.notify("feed", fed, [], True)
    t.match(client.finish(fed), {"count": 1, "succeeded": 1, "failed": 0}, "a msgid beyond 2^32 is another")
    t.match(client.ask("ping"), "pong")


@case
def window_and_more(t):
    """No more items begin than the window and what `more` has confirmed"""
    client = t.connect()
    msgid = client.start("map", "echo", [[n] for n in range(100)], {"window": 10})
    have = 10
    while have < 100:
        client.until(lambda: len(items_of(client, msgid)) == have)
        client.ask("call", "sleep", [0.02], {})  # there is a worker for what should not begin
        t.match(len(items_of(client, msgid)), have, "items begun and not confirmed")
        client.notify("more", msgid, 10)
        have += 10
    t.compare_answer(client, {"count": 100, "succeeded": 100, "failed": 0}, "map", msgid)
    t.match(sorted(items_of(client, msgid)), [[n, None, n] for n in range(100)], "items")
    t.methods.add("more")
    for options in ({"window": 10}, {}):  # more than was delivered, or no window at all
        wrong = client.start("map", "sleep", [[0.2]] * 20, options)
        client.notify("more", wrong, 5)
        t.refused_answer(client, "invalid_params", wrong)


@case
def map_cancelled(t):
    """By its id, and by its request"""
    client, other = t.connect(), t.connect()
    for how in ("cancel", "cancel_request"):
        msgid = client.start("map", "sleep", [[30]] * 10, {"label": how})
        record = eventually(lambda: (r := other.ask("tasks", {"label": how, "state": "running"})) and r[0])
        if how == "cancel":
            other.ask("cancel", record["id"])
        else:
            client.ask("cancel_request", msgid)
        error, _ = client.outcome(msgid)
        wrong = mismatch(error, {**failure("cancelled", task=record["id"], function="sleep", ended_by="client", attempt=OneOf(0, 1),
                                           worker_pid=OneOf(None, PID), run_time=OneOf(None, SECONDS), by_uid=int, by_pid=PID)})
        if wrong:
            raise Wrong(f"{how}: {wrong}")
