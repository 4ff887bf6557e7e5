# SPDX-License-Identifier: MIT
"""Each error code, provoked and compared in full."""
import os
import resource
import socket

from expect import ANYTHING, COUNT, PID, SECONDS, TEXT, OneOf, Where, failure, refusal, says
from suite import Skipped, case
from wire import Client, Closed, Refused, eventually

MIB = 1 << 20


@case
def unknown_method(t):
    """A method that does not exist; nor do those that are yet to come"""
    client = t.connect()
    for method in ("none", "", "Ping", "ping ", "top", "x" * 10000):
        t.refused(client, refusal("unknown_method"), method)
    t.match(client.ask("ping"), "pong")


@case
def unknown_function(t):
    """A function that does not exist"""
    client = t.connect()
    for method, args in (("call", []), ("submit", []), ("map", [[]])):
        t.refused(client, refusal("unknown_function", says("no.such")), method, "no.such", args, {})
    t.refused(client, "unknown_function", "call", "core", [], {})
    t.refused(client, "unknown_function", "call", "", [], {})


@case
def unknown_pool(t):
    """A pool that does not exist"""
    t.refused(t.connect(), refusal("unknown_pool", says("nowhere")), "call", "echo", [1], {"pool": "nowhere"})


@case
def unknown_task(t):
    """Of each method that takes an id"""
    client = t.connect()
    for method in ("task", "result", "attach", "cancel"):
        t.refused(client, "unknown_task", method, 4)


@case
def not_ready(t):
    """A result that is not there in time"""
    client = t.connect()
    id = client.submit("echo", 1, delay=100)
    t.refused(client, refusal("not_ready"), "result", id, {"timeout": 0})
    client.ask("cancel", id)


WRONG = [
    ("hello", [5], ""), ("hello", [{"protocol": "1"}], "protocol"), ("hello", [{"descriptors": 1}], "descriptors"),
    ("hello", [{"none": 1}], "none"), ("ping", [1], ""),
    ("call", [], ""), ("call", ["echo"], ""), ("call", [5, []], ""), ("call", ["echo", 5], ""),
    ("call", ["echo", {}], ""), ("call", ["echo", [1], 5], ""), ("call", ["echo", [1], {}, {}], ""),
    ("call", ["echo", [1], {"none": 1}], "none"), ("call", ["echo", [1], {5: 1}], ""),
    ("call", ["echo", [1], {"priority": 101}], "priority"), ("call", ["echo", [1], {"priority": 1.5}], "priority"),
    ("call", ["echo", [1], {"delay": -1}], "delay"), ("call", ["echo", [1], {"delay": "1"}], "delay"),
    ("call", ["echo", [1], {"delay": float("nan")}], "delay"), ("call", ["echo", [1], {"delay": 1.1e9}], "delay"),
    ("call", ["echo", [1], {"timeout": float("inf")}], "timeout"), ("call", ["echo", [1], {"expires": True}], "expires"),
    ("call", ["echo", [1], {"label": "x" * 1025}], "label"), ("call", ["echo", [1], {"label": 5}], "label"),
    ("call", ["echo", [1], {"label": b"\xff"}], "label"), ("call", ["echo", [1], {"detached": 1}], "detached"),
    ("call", ["echo", [1], {"stream": "stdout"}], "stream"), ("call", ["echo", [1], {"stream": ["stdin"]}], "stream"),
    ("call", ["echo", [1], {"chunk": 1}], "chunk"), ("call", ["echo", [1], {"key": 5}], "key"),
    ("map", ["echo", [[1]], {"key": "k"}], "key"), ("call", ["echo", [1], {"key": "k" * 256}], "key"),
    ("call", ["echo", [1], {"retries": -1}], "retries"), ("call", ["echo", [1], {"retries": 1000001}], "retries"),
    ("call", ["echo", [1], {"retry_on": "worker_lost"}], "retry_on"), ("call", ["echo", [1], {"retry_on": ["cancelled"]}], "retry_on"),
    ("map", ["echo", [[1]], {"backoff": -1}], "backoff"),
    ("call", ["echo", [1], {"pool": 5}], "pool"), ("call", ["echo", [1], {"ttl": -1}], "ttl"),
    ("submit", ["echo", [1], {"window": 1}], "window"), ("submit", [b"\xff", [1]], ""),
    ("map", ["echo", [1]], ""), ("map", ["echo", {}], ""), ("map", ["echo", [[1]], {"chunk": 0}], "chunk"),
    ("map", ["echo", [[1]], {"limit": -1}], "limit"), ("map", ["echo", [[1]], {"window": 2**32}], "window"),
    ("map", ["echo", [[1]], {"ttl": 1}], "ttl"), ("map", ["echo", [[1]], {"stream": []}], "stream"),
    ("result", [], ""), ("result", ["1"], ""), ("result", [-1], ""), ("result", [1.0], ""), ("result", [1, {"tail": 1}], "tail"),
    ("result", [1, {"timeout": "x"}], "timeout"), ("result", [1, {"keep": 1}], "keep"), ("wait", [5], ""), ("wait", [["a"]], ""),
    ("wait", [[1], {"count": -1}], "count"), ("wait", [[1], {"timeout": -1}], "timeout"), ("wait", [list(range(65537))], ""),
    ("attach", [1, {"stream": ["items"]}], "stream"), ("attach", [1, {"tail": -1}], "tail"), ("cancel", ["x"], ""),
    ("cancel", [[1, "x"]], ""), ("cancel", [], ""), ("task", ["x"], ""), ("task", [], ""), ("task", [1, 2], ""),
    ("tasks", [{"state": "none"}], "state"), ("tasks", [{"limit": 0}], "limit"), ("tasks", [{"limit": 10001}], "limit"),
    ("tasks", [{"none": 1}], "none"), ("tasks", [5], ""), ("tasks", [{"after": "x"}], "after"), ("functions", [1], ""),
    ("status", [{}], ""), ("cancel_request", ["x"], ""), ("cancel_request", [], ""),
    ("feed", [1, []], ""), ("more", [1, 1], ""),
    ("log_level", ["loud"], "debug"), ("log_level", [5], ""), ("pool.scale", ["default"], ""), ("pool.scale", ["default", -1], ""),
    ("pool.scale", ["default", 4097], "4096"), ("pool.pause", [], ""), ("pool.resume", [5], ""), ("pool.drain", ["default", 5], ""),
    ("pool.drain", ["default", {"timeout": -1}], "timeout"), ("pool.drain", ["default", {"wait": True}], "wait"),
    ("reload", [5], ""), ("reload", [{"wait": 1}], "wait"), ("reload", [{"now": True}], "now"), ("pool.reload", [], ""),
    ("pool.reload", ["default", {"wait": "yes"}], "wait"),
]


@case
def invalid_params(t):
    """Every method with too few, too many, of the wrong type, out of range; the option at fault is named"""
    client = t.connect()
    for method, params, named in WRONG:
        try:
            t.refused(client, refusal("invalid_params", says(named)), method, *params)
        except Exception as error:
            raise type(error)(f"{method} {str(params)[:100]}: {error}") from error
    t.match(client.ask("ping"), "pong")


@case
def task_failed(t):
    """A function's own error; a program's status, with its last words"""
    client = t.connect()
    bad = failure("task_failed", function="digest.sha256", attempt=1, worker_pid=PID, ended_by="function", run_time=SECONDS)
    t.refused(client, {**bad, "message": says("/no/such")}, "call", "digest.sha256", ["/no/such"], {})
    detail = {"status": 3, "signal": None, "stdout": b"out", "stderr": b"words", "wall": SECONDS, "user": SECONDS,
              "system": SECONDS, "max_rss": COUNT}
    want = {**bad, "function": "exec", "detail": detail, "stderr": OneOf(b"words", "words"), "message": TEXT}
    t.refused(client, want, "call", "exec", [["sh", "-c", "printf out; printf words >&2; exit 3"]], {})
    want["detail"] = {**detail, "status": None, "signal": 15}
    t.refused(client, want, "call", "exec", [["sh", "-c", "printf out; printf words >&2; kill $$"]], {})
    missing = {**bad, "function": "exec", "detail": ANYTHING, "message": says("no-such-program")}
    t.refused(client, missing, "call", "exec", [["no-such-program"]], {})


@case
def worker_lost(t):
    """A worker that is killed from outside: by the program that it runs"""
    client = t.connect()
    bystander = client.start("call", "sleep", [0.5], {})
    want = failure("worker_lost", function="exec", attempt=1, worker_pid=PID, signal=9, ended_by="outside", run_time=SECONDS,
                   message=TEXT)
    error = t.refused(client, want, "call", "exec", [["sh", "-c", "kill -9 $PPID"]], {})
    t.match(client.finish(bystander), None)
    gone = error["worker_pid"]
    eventually(lambda: (w := client.ask("status")["pools"][0]["workers"])["idle"] + w["busy"] == w["target"])
    t.match(gone in [worker["pid"] for worker in client.ask("status")["workers"]], False, "the lost worker is listed")


@case
def over_limit(t):
    """A worker that its pool's memory_limit leaves no memory; a function that says so itself"""
    client = t.connect("limits")
    if not any(function["name"] == "hoard.take" for function in client.ask("functions")):
        raise Skipped("needs a function hoard.take (tests/support/modules/hoard.c)")
    if is_sanitized(client.ask("status")["pid"]):
        raise Skipped("AddressSanitizer takes its own memory, and ends otherwise")
    want = failure("worker_lost", function="hoard.take", attempt=1, worker_pid=PID, signal=6, ended_by="limit", run_time=SECONDS,
                   message=says("memory_limit = 64M"), stderr=OneOf(None, bytes, str))
    t.refused(client, want, "call", "hoard.take", ["chunks", "abort"], {})
    want = {**want, "signal": None, "exit_status": 3}
    t.refused(client, want, "call", "hoard.take", ["large", "exit"], {})
    want = failure("task_failed", function="hoard.take", attempt=1, worker_pid=PID, ended_by="function", run_time=SECONDS,
                   message=says("memory_limit = 64M"))
    t.refused(client, want, "call", "hoard.take", ["large", "say"], {})


@case
def timed_out(t):
    """A task that runs longer than it may; and items of a map, of which others are not"""
    client = t.connect()
    want = failure("timed_out", function="sleep", attempt=1, worker_pid=PID, ended_by="timeout", run_time=SECONDS)
    t.refused(client, want, "call", "sleep", [30], {"timeout": 0.1})
    want = {**want, "function": "exec", "stderr": OneOf(None, b"", b"words"), "detail": ANYTHING}
    t.refused(client, want, "call", "exec", [["sh", "-c", "printf words >&2; exec sleep 30"]], {"timeout": 0.2})
    msgid = client.start("map", "sleep", [[0], [30], [0.01]], {"timeout": 0.2, "collect": True, "chunk": 3})
    answer = client.finish(msgid)
    t.match((answer["count"], answer["succeeded"], answer["failed"]), (3, 2, 1))
    t.match([(index, error["code"], error["index"]) for index, error in answer["errors"]], [(1, "timed_out", 1)])


@case
def cancelled(t):
    """A call that is given up"""
    client = t.connect()
    msgid = client.start("call", "sleep", [30], {"delay": 50})
    client.notify("cancel_request", msgid)
    want = failure("cancelled", function="sleep", attempt=OneOf(0, 1), ended_by="client", by_uid=os.geteuid(), by_pid=os.getpid())
    t.refused_answer(client, want, msgid)


@case
def expired(t):
    """A task that has not begun in time, delayed or queued"""
    client = t.connect()
    want = failure("expired", function="echo", attempt=OneOf(0, 1))
    t.refused(client, want, "call", "echo", [1], {"delay": 10, "expires": 0.05})
    blockers = [client.start("call", "sleep", [0.4], {}) for _ in range(2)]
    t.refused(client, want, "call", "echo", [1], {"expires": 0.1})
    for msgid in blockers:
        client.finish(msgid)
    id = client.submit("echo", 1, delay=10, expires=0.01)
    t.refused(client, want, "result", id, {})


@case
def queue_full(t):
    """More than the pool's queue takes"""
    client = t.connect("limits")
    ids = []
    try:
        for _ in range(11):
            ids.append(client.submit("sleep", 20))
    except Refused as refused:
        t.match(refused.error, refusal("queue_full", says("the limit queue_limit would be exceeded: 4 of 4 are used"), what="queue_limit", used=4, limit=4))
        t.codes.add("queue_full")
    t.match(4 <= len(ids) <= 8, True, f"{len(ids)} accepted: those that run, and a queue of 4")
    client.ask("cancel", ids)
    client.ask("wait", ids, {})
    t.match(client.call("echo", "again"), "again")


@case
def quota_exceeded(t):
    """Tasks, open requests, connections: which limit, how much of it is used"""
    client = t.connect("limits")
    ids = [client.submit("echo", n, delay=100) for n in range(4)]
    asked = [client.start("wait", ids, {}) for _ in range(8)]
    t.refused(client, refusal("quota_exceeded", what="max_requests", used=8, limit=8), "wait", ids, {})
    t.match(client.ask("ping"), "pong", "what answers at once is no open request")
    client.ask("cancel", ids)
    for msgid in asked:
        client.finish(msgid)
    t.refused(client, refusal("quota_exceeded", what="user_tasks", used=COUNT, limit=12), "map", "sleep",
              [[0.01]] * 13, {"pool": "wide"})
    t.match(client.call("echo", "again"), "again")


@case
def too_large(t):
    """An answer that is larger than a message may be"""
    client = t.connect("limits")
    args = [[["head", "-c", "300000", "/dev/zero"]]] * 5
    t.refused(client, refusal("too_large"), "map", "exec", args, {"collect": True, "pool": "wide"})
    t.match(client.call("echo", "again"), "again")


def is_sanitized(pid):
    """AddressSanitizer reserves so much that no limit of address space can be set."""
    return address_space(pid) > 1 << 40


def address_space(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


@case
def out_of_memory(t):
    """A daemon that gets no more memory refuses what it cannot keep, keeps what it has, and lives"""
    client, other = t.connect("stop"), t.connect("stop")
    pid = client.ask("status")["pid"]
    if is_sanitized(pid):
        raise Skipped("the server is built with AddressSanitizer")
    before = resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid) + 24 * MIB, resource.RLIM_INFINITY))
    n = 0
    try:
        while n < 100:
            client.submit("echo", bytes(MIB), delay=1000, label="out_of_memory")
            n += 1
    except Refused as refused:
        t.match(refused.error, refusal("out_of_memory"))
        t.codes.add("out_of_memory")
    except Closed:  # there was none even to read the request
        t.ended_by_error(client, "out_of_memory")
    finally:
        t.match(other.call("echo", "alive"), "alive")
        resource.prlimit(pid, resource.RLIMIT_AS, before)
    ids = [record["id"] for record in other.ask("tasks", {"state": "delayed", "label": "out_of_memory"})]
    t.match(len(ids), n, "how many tasks there are of those that were accepted")
    t.match(other.ask("cancel", ids), n)
    t.match(other.call("echo", bytes(MIB)) == bytes(MIB), True, "with memory it is taken")


@case
def not_permitted(t):
    """Where others than the daemon's user may connect, that user is refused: every task has his uid"""
    path = t.socket("shared")
    owner = os.stat(path).st_uid
    if owner == 0:
        raise Skipped("the server's user is root")
    me = os.geteuid()
    if me not in (0, owner):
        raise Skipped("only root and the server's user can show it")
    os.seteuid(owner)
    try:
        client = Client(path)
    finally:
        os.seteuid(me)
    t.clients.append(client)
    try:
        client.start("ping")
    except (Closed, OSError):
        pass
    t.ended_by_error(client, refusal("not_permitted"))
    if me == 0:
        guest = t.connect("shared")
        names = [function["name"] for function in guest.ask("functions")]
        t.match("exec" in names, False, "exec exists where others may connect")


@case
def connections_of_a_user(t):
    """The connection that is one too many is told so and closed"""
    first = t.connect("limits")
    limit, clients = 40, []
    for _ in range(limit):
        client = Client(t.socket("limits"))
        t.clients.append(client)
        clients.append(client)
        try:
            client.start("ping")
        except Closed:
            pass
    told = [error for client in clients if (error := refusal_of(client))]
    want = refusal("quota_exceeded", what="user_connections", used=COUNT, limit=Where("a limit", lambda n: n == 32))
    t.match(told, [want] * (limit + 1 - 32))
    t.match(first.ask("ping"), "pong")


def refusal_of(client):
    """None if the client's ping is answered, else why it was not."""
    try:
        client.until(lambda: client.order)
    except (Closed, socket.error):
        return client.errors[0] if client.errors else "closed without a word"
    return None
