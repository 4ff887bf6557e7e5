# SPDX-License-Identifier: MIT
"""Tasks that are submitted: result, wait, attach, cancel, and their options."""
import time

from expect import ANYTHING, COUNT, PID, SECONDS, OneOf, Where, each, failure, near
from suite import case
from wire import eventually

EPOCH_2020 = 1577836800


@case
def submit(t):
    """Ids grow, lie below 2^53 and beyond those of any daemon before"""
    client = t.connect()
    least = (EPOCH_2020 and int(time.time()) - EPOCH_2020 - 86400 * 30) << 20
    id_of_today = Where(f"an id between {least} and 2^53", lambda id: type(id) is int and least < id < 2**53)
    ids = [t.compare(client, id_of_today, "submit", "echo", [n], {}) for n in range(5)]
    t.match(ids, sorted(set(ids)), "ids, each greater than the one before")
    t.match([client.ask("result", id, {}) for id in ids], list(range(5)))


@case
def result(t):
    """Taken once, unless it is to be kept; waited for as long as is said"""
    client = t.connect()
    kept = client.submit("echo", {"a": [1]})
    for _ in range(3):
        t.compare(client, {"a": [1]}, "result", kept, {"keep": True})
    t.compare(client, {"a": [1]}, "result", kept)
    t.refused(client, "unknown_task", "result", kept, {})
    slow = client.submit("sleep", 0.4)
    t.refused(client, "not_ready", "result", slow, {"timeout": 0})
    began = time.monotonic()
    t.refused(client, "not_ready", "result", slow, {"timeout": 0.1})
    t.match(time.monotonic() - began, near(0.15, 0.1), "the seconds that it took")
    t.compare(client, None, "result", slow, {"timeout": 10})
    t.refused(client, "unknown_task", "result", 12345, {})


@case
def result_of_two(t):
    """Two wait for the same result: one takes it"""
    first, second = t.connect(), t.connect()
    id = first.submit("sleep", 0.2)
    asked = [(client, client.start("result", id, {})) for client in (first, second)]
    outcomes = [client.outcome(msgid) for client, msgid in asked]
    t.match(sorted("result" if error is None else error["code"] for error, _ in outcomes),
            OneOf(["result", "unknown_task"], ["result", "result"]))


@case
def result_after_ttl(t):
    """After its ttl a result that nobody took is gone; its record is not"""
    client = t.connect()
    id = client.submit("echo", 1, ttl=0.05)
    client.ask("wait", [id], {})
    eventually(lambda: client.outcome(client.start("result", id, {"keep": True, "timeout": 0}))[0])
    t.refused(client, "unknown_task", "result", id, {})
    t.match(client.ask("task", id)["state"], "succeeded")


@case
def wait(t):
    """All, some, until a time; unknown ids count as ended"""
    client = t.connect()
    quick, slow = client.submit("echo", 1), client.submit("sleep", 0.4)
    late = client.submit("echo", 1, delay=100)
    bad = client.submit("digest.sha256", 5)
    t.compare(client, [[quick, "succeeded"], [bad, "failed"]], "wait", [quick, bad], {})
    t.compare(client, [[bad, "failed"], [777, "unknown"], [quick, "succeeded"]], "wait", [bad, 777, quick])
    t.compare(client, [[quick, "succeeded"]], "wait", [slow, quick, late], {"count": 1})
    t.compare(client, [[777, "unknown"]], "wait", [late, 777], {"count": 1})
    began = time.monotonic()
    t.compare(client, [], "wait", [late], {"timeout": 0.1})
    t.match(time.monotonic() - began, near(0.15, 0.1), "the seconds that it took")
    t.compare(client, [[slow, "succeeded"]], "wait", [slow, late], {"count": 1, "timeout": 10})
    asked = client.start("wait", [late], {})
    client.ask("cancel", late)
    t.compare_answer(client, [[late, "cancelled"]], "wait", asked)
    t.compare(client, [], "wait", [], {})
    t.match(client.ask("result", quick, {}), 1, "a wait takes no result")


@case
def attach(t):
    """As result with keep; with the tail of what was written, then what comes"""
    client = t.connect()
    script = "printf first; printf second >&2; sleep 0.3; printf third"
    id = client.submit("exec", ["sh", "-c", script])
    done = {"status": 0, "signal": None, "stdout": b"firstthird", "stderr": b"second", "wall": SECONDS, "user": SECONDS,
            "system": SECONDS, "max_rss": COUNT}
    following = client.start("attach", id, {"stream": ["stdout", "stderr"], "tail": 65536})
    t.compare_answer(client, done, "attach", following)
    t.match(b"".join(client.streamed(following, "stdout")), b"firstthird", "stdout")
    t.match(b"".join(client.streamed(following, "stderr")), b"second", "stderr")
    again = client.start("attach", id, {"stream": ["stdout"], "tail": 3})
    t.compare_answer(client, done, "attach", again)
    t.match(client.streams[again], [["stdout", b"ird"]], "the tail of three bytes")
    t.compare(client, done, "attach", id)
    t.compare(client, done, "result", id, {})
    t.refused(client, "unknown_task", "attach", id, {})


@case
def cancel(t):
    """Delayed, running, ended, several, unknown"""
    client = t.connect()
    delayed, ended = client.submit("echo", 1, delay=100), client.submit("echo", 1)
    running = client.submit("sleep", 30)
    client.ask("wait", [ended], {})
    eventually(lambda: client.ask("task", running)["state"] == "running")
    t.compare(client, 1, "cancel", delayed)
    t.compare(client, 0, "cancel", delayed)
    t.compare(client, 0, "cancel", ended)
    t.compare(client, 1, "cancel", [running, delayed, 555, ended])
    t.refused(client, "unknown_task", "cancel", 555)
    t.compare(client, 0, "cancel", [])
    t.refused(client, failure("cancelled", task=delayed, function="echo", attempt=OneOf(0, 1), worker_pid=None, run_time=None,
                              max_rss=None, ended_by="client", by_uid=COUNT, by_pid=PID), "result", delayed, {})
    began = time.monotonic()
    t.refused(client, failure("cancelled", task=running, function="sleep", attempt=1, worker_pid=PID, run_time=SECONDS,
                              ended_by="client", by_uid=COUNT, by_pid=PID), "result", running, {})
    t.match(time.monotonic() - began < 2, True, "sleep ends at once when it is told")


@case
def cancel_of_a_call(t):
    """Another connection of the same user cancels a call: its caller is told"""
    caller, other = t.connect(), t.connect()
    msgid = caller.start("call", "sleep", [30], {"label": "cancel_of_a_call"})
    id = eventually(lambda: other.ask("tasks", {"label": "cancel_of_a_call"}))[0]["id"]
    t.match(other.ask("cancel", [id]), 1)
    t.refused_answer(caller, failure("cancelled", task=id, function="sleep", ended_by="client", by_uid=COUNT, by_pid=PID,
                                     attempt=COUNT, run_time=ANYTHING), msgid)


@case
def gone_caller(t):
    """Who goes has his calls and maps cancelled; what he submitted stays"""
    client, watcher = t.connect(), t.connect()
    client.start("call", "sleep", [30], {"label": "gone"})
    client.start("map", "sleep", [[30]] * 4, {"label": "gone"})
    client.submit("sleep", 0.1, label="gone")
    client.close()
    records = eventually(lambda: (r := watcher.ask("tasks", {"label": "gone"})) and
                         len(r) == 3 and all(x["ended"] for x in r) and r)
    t.match(sorted(record["state"] for record in records), ["cancelled", "cancelled", "succeeded"])


@case
def delay_and_due(t):
    """Not before its time"""
    client = t.connect()
    began = time.monotonic()
    t.match(client.call("echo", 1, delay=0.3), 1)
    t.match(time.monotonic() - began, near(0.4, 0.101), "the seconds that it took")


@case
def priority(t):
    """Within a user higher ones first; equals in the order in which they came"""
    client = t.connect("limits")

    def sleep(seconds, **options):
        return client.submit("sleep", seconds, pool="wide", **options)  # it has one worker

    blocker = sleep(0.3)
    eventually(lambda: client.ask("task", blocker)["state"] == "running")
    ids = {n: sleep(0.01, priority=n) for n in (-5, 1, 5, 100, -100, 50)}
    equals = [sleep(0.01) for _ in range(4)]
    client.ask("wait", [*ids.values(), *equals], {})
    began = {n: client.ask("task", id)["started"] for n, id in ids.items()}
    t.match(sorted(began, key=began.get, reverse=True), sorted(began), "priorities, the last that began first")
    in_order = [client.ask("task", id)["started"] for id in equals]
    t.match(in_order, sorted(in_order), "the times at which equals began")


@case
def options_of_values(t):
    """args_size, result_size, timeout and label are told as they were given"""
    client = t.connect()
    id = client.submit("echo", "ä", label="ü" * 512, timeout=1e9, expires=1e9, ttl=0)
    t.match(client.ask("task", id)["label"], "ü" * 512)
    t.match(client.ask("wait", [id], {}), each([COUNT, "succeeded"]))
