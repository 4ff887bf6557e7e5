# SPDX-License-Identifier: MIT
"""One whole comparison for each method that is not about a single task's fate."""
import time

from expect import ANYTHING, COUNT, NUMBER, PID, SECONDS, TEXT, OneOf, Where, each, failure, refusal
from suite import Wrong, case
from wire import eventually

TOTALS = {key: COUNT for key in ("submitted", "succeeded", "failed", "cancelled", "expired", "retried", "workers_started",
                                 "workers_lost")}
POOL = {
    "name": str, "workers": {"target": COUNT, "starting": COUNT, "idle": COUNT, "busy": COUNT},
    "queued": {"ready": COUNT, "delayed": COUNT}, "running": COUNT, "paused": False, "degraded": bool, "totals": TOTALS,
}
WORKER = {
    "pid": OneOf(None, PID), "pool": str, "state": OneOf("starting", "idle", "busy", "stopping", "killed", "stuck"),
    "task": OneOf(None, COUNT), "function": OneOf(None, str), "since": OneOf(None, SECONDS), "tasks_done": COUNT,
    "rss": OneOf(None, COUNT), "cpu": OneOf(None, SECONDS),
}
TIMES = OneOf({"count": COUNT, **{key: SECONDS for key in ("mean", "p50", "p90", "p99", "max")}},
              {"count": 0, **{key: None for key in ("mean", "p50", "p90", "p99", "max")}})
FUNCTION = {"name": str, "pool": str, "wait": TIMES, "run": TIMES}
STATUS = {
    "version": str, "pid": PID, "uptime": SECONDS, "state": "running", "connections": COUNT, "memory": COUNT,
    "log_dropped": COUNT, "user": {f"user_{what}": [COUNT, COUNT] for what in ("connections", "tasks", "descriptors", "memory", "objects")},
    "pools": each(POOL), "workers": each(WORKER), "functions": each(FUNCTION), "totals": TOTALS,
}
RECORD = {
    "id": COUNT, "state": str, "function": str, "pool": "default", "label": None, "key": None, "uid": COUNT, "pid": PID,
    "priority": 0, "attempt": COUNT, "retries": 0, "submitted": NUMBER, "due": OneOf(None, NUMBER), "started": OneOf(None, NUMBER),
    "ended": OneOf(None, NUMBER), "expires": None, "timeout": None, "worker_pid": OneOf(None, PID), "progress": None,
    "args_size": COUNT, "result_size": OneOf(None, COUNT), "error": None,
}


@case
def hello(t):
    """Who one talks to; another protocol is refused and the connection lives on"""
    client = t.connect()
    want = {"protocol": 1, "server": "ganger", "version": str, "pid": PID, "max_message": 64 << 20, "pools": ["default"]}
    t.compare(client, want, "hello", {"protocol": 1, "client": "conformance", "descriptors": False})
    t.compare(t.connect(), want, "hello", {})
    stranger = t.connect()
    t.refused(stranger, refusal("invalid_params", protocols=[1]), "hello", {"protocol": 2})
    t.match(stranger.ask("ping"), "pong")


@case
def ping(t):
    """Alive"""
    t.compare(t.connect(), "pong", "ping")


VALUES = [
    None, True, False, 0, 1, 127, 128, 2**16, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -1, -32, -33, -2**31, -2**63, 0.0, -0.5, 1e300,
    float("inf"), float("nan"), "", "a", "ä" * 100, "x" * 70000, b"", b"\x00", b"\xff" * 300, b"y" * 70000, [], {}, [[], {}],
    {"a": 1, "b": [1, 2, {"c": None}]}, {1: 2}, list(range(70000)), {str(n): n for n in range(2000)},
]


@case
def call(t):
    """echo gives every kind of value back as it came"""
    client = t.connect()
    for value in VALUES:
        t.compare(client, value, "call", "echo", [value], {})
    t.compare(client, "no options", "call", "echo", ["no options"])
    t.compare(client, None, "call", "sleep", [0.01], {"timeout": 5, "priority": -100, "label": "x", "expires": 60.5})


@case
def ext_values(t):
    """Ext values of other types than ganger's are relayed as they are"""
    import msgpack
    client = t.connect()
    for value in (msgpack.ExtType(5, b"12345"), msgpack.ExtType(0, bytes(16)), msgpack.ExtType(127, bytes(300))):
        got = client.call("echo", value)
        t.match((type(got).__name__, got.code, got.data), ("ExtType", value.code, value.data))


@case
def functions(t):
    """What can be called"""
    client = t.connect()
    got = t.compare(client, each({"name": str, "pool": "default", "module": OneOf(None, str), "summary": str}), "functions")
    names = {function["name"]: function["module"] for function in got}
    for name in ("echo", "sleep", "exec"):
        t.match(names.get(name, "missing"), "core", f"the module of {name}")
    for name in ("digest.sha256", "digest.sha512", "text.count", "text.merge", "image.noise", "image.gamma"):
        t.match(names.get(name, "missing"), name.split(".")[0], f"the module of {name}")


def sum_holds(status):
    totals = status["totals"]
    ends = sum(totals[end] for end in ("succeeded", "failed", "cancelled", "expired"))
    live = sum(pool["running"] + pool["queued"]["ready"] + pool["queued"]["delayed"] for pool in status["pools"])
    return totals["submitted"] == ends + live


@case
def status(t):
    """The daemon, its pools, its workers, its sums"""
    client = t.connect()
    t.compare(client, STATUS, "status")
    before = client.ask("status")
    msgid = client.start("call", "sleep", [0.5], {})
    ids = [client.submit("echo", n) for n in range(10)]
    client.submit("echo", "later", delay=1000, label="status")
    busy = eventually(lambda: (s := client.ask("status")) and any(w["function"] == "sleep" for w in s["workers"]) and s)
    worker = next(w for w in busy["workers"] if w["function"] == "sleep")
    t.match(worker, {**WORKER, "state": "busy", "task": COUNT, "pid": PID})
    t.match(sum_holds(busy), True, f"submitted is the sum of the rest in {busy['totals']}")
    t.match(client.ask("wait", ids, {}), each([COUNT, "succeeded"]))
    client.finish(msgid)
    after = client.ask("status")
    t.match(sum_holds(after), True, f"submitted is the sum of the rest in {after['totals']}")
    more = {key: after["totals"][key] - before["totals"][key] for key in ("submitted", "succeeded", "failed", "cancelled")}
    t.match(more, {"submitted": 12, "succeeded": 11, "failed": 0, "cancelled": 0}, "what this case added to the totals")
    t.match(after["pools"][0]["queued"]["delayed"] >= 1, True, "a task is delayed")
    client.ask("cancel", [task["id"] for task in client.ask("tasks", {"label": "status"})])


@case
def task(t):
    """A task's record: delayed, running, succeeded, failed"""
    client = t.connect()
    began = time.time()
    now = Where("a time of this case", lambda at: isinstance(at, float) and began - 1 <= at <= time.time() + 1)
    later = client.submit("echo", 1, delay=500, expires=600, timeout=7, label="later", priority=5)
    t.compare(client, {**RECORD, "id": later, "state": "delayed", "function": "echo", "label": "later", "priority": 5,
                       "attempt": COUNT, "submitted": now, "due": NUMBER, "expires": NUMBER, "timeout": 7.0, "started": None,
                       "ended": None, "worker_pid": None, "result_size": OneOf(None, 0)}, "task", later)
    client.ask("cancel", later)
    running = client.submit("sleep", 30)
    eventually(lambda: client.ask("task", running)["state"] == "running")
    t.compare(client, {**RECORD, "id": running, "state": "running", "function": "sleep", "attempt": 1, "submitted": now,
                       "started": now, "ended": None, "worker_pid": PID, "result_size": OneOf(None, 0)}, "task", running)
    client.ask("cancel", running)
    done = client.submit("echo", "x" * 100)
    client.ask("wait", [done], {})
    t.compare(client, {**RECORD, "id": done, "state": "succeeded", "function": "echo", "attempt": 1, "submitted": now,
                       "started": now, "ended": now, "worker_pid": PID, "result_size": 102}, "task", done)
    bad = client.submit("text.count", 5)
    client.ask("wait", [bad], {})
    why = failure("task_failed", task=bad, function="text.count", attempt=1, worker_pid=PID, ended_by="function", run_time=SECONDS)
    t.compare(client, {**RECORD, "id": bad, "state": "failed", "function": "text.count", "attempt": 1, "submitted": now,
                       "started": now, "ended": now, "worker_pid": PID, "error": why}, "task", bad)
    t.refused(client, "unknown_task", "task", 1)
    t.refused(client, "unknown_task", "task", 2**53)


@case
def tasks(t):
    """Records of several, chosen by state, pool, function, label, id and number"""
    client = t.connect()
    ids = [client.submit("echo", n, delay=1000, label="tasks") for n in range(5)]
    done = [client.submit("echo", n, label="tasks") for n in range(3)]
    client.ask("wait", done, {})
    want = [{**RECORD, "id": id, "state": "delayed", "function": "echo", "label": "tasks"} for id in ids]
    t.compare(client, want, "tasks", {"label": "tasks", "state": "delayed"})
    chosen = {
        (): ids + done, (("state", "unended"),): ids, (("state", "succeeded"),): done, (("limit", 2),): ids[:2],
        (("after", ids[2]),): ids[3:] + done, (("function", "sleep"),): [], (("function", "echo"), ("limit", 6)): (ids + done)[:6],
        (("pool", "default"), ("after", done[1])): done[2:],
    }
    for options, wanted in chosen.items():
        got = client.ask("tasks", {"label": "tasks", **dict(options)})
        t.match([record["id"] for record in got], wanted, f"ids with {dict(options)}")
    t.match(client.ask("cancel", ids), 5)
    if len(client.ask("tasks")) < 8:
        raise Wrong("tasks without options lacks some")


@case
def cancel_request(t):
    """Gives up a call, a result, a wait; says whether there was one"""
    client = t.connect()
    sleeping = client.start("call", "sleep", [30], {})
    task_id = client.submit("sleep", 30)
    result = client.start("result", task_id, {})
    wait = client.start("wait", [task_id], {})
    attach = client.start("attach", task_id, {})
    for msgid in (result, wait, attach):
        t.compare(client, True, "cancel_request", msgid)
        t.refused_answer(client, "cancelled", msgid)
    t.match(client.ask("task", task_id)["state"], Where("not ended", lambda state: state in ("ready", "running")))
    t.compare(client, True, "cancel_request", sleeping)
    t.refused_answer(client, failure("cancelled", function="sleep", ended_by="client", by_uid=COUNT, by_pid=PID,
                                     worker_pid=OneOf(None, PID), run_time=ANYTHING), sleeping)
    t.compare(client, False, "cancel_request", sleeping)
    t.compare(client, False, "cancel_request", 4000000000)
    client.ask("cancel", task_id)
    again = client.start("call", "sleep", [30], {})
    client.notify("cancel_request", again)
    error, _ = client.outcome(again)
    t.match(error["code"], "cancelled")
    t.match(TEXT.true(error["message"]), True)
