# SPDX-License-Identifier: MIT
"""Watching: what happens is told as it happens; figures for Prometheus."""
from expect import COUNT, PID, SECONDS, OneOf, Where, refusal, says
from suite import case

EVENT = {"seq": COUNT, "time": SECONDS, "kind": str, "pool": OneOf(None, str), "worker_pid": OneOf(None, PID), "task": OneOf(None, COUNT),
         "function": OneOf(None, str), "uid": OneOf(None, COUNT), "code": OneOf(None, str), "run_time": OneOf(None, SECONDS)}


@case
def subscribe(t):
    """Events of the kinds asked for, with growing numbers, until it is given up; who comes back is told what he missed"""
    client, other = t.connect(), t.connect()
    msgid = client.start("subscribe", ["task_succeeded", "task_cancelled"])
    client.until(lambda: client.streams[msgid])
    t.match(client.streams[msgid], [["event", {"seq": COUNT, "time": SECONDS, "kind": "subscribed"}]])
    begin = client.streams[msgid][0][1]["seq"]
    id = other.submit("echo", 1)
    other.ask("result", id)
    client.until(lambda: len(client.streams[msgid]) == 2)
    done = {**EVENT, "kind": "task_succeeded", "pool": "default", "task": id, "function": "echo", "code": None, "uid": COUNT, "run_time": SECONDS}
    t.match(client.streams[msgid][1], ["event", done])
    t.match(client.streams[msgid][1][1]["seq"] > begin, True, "the number grows")
    t.match(client.ask("cancel_request", msgid), True)
    t.refused_answer(client, "cancelled", msgid)
    again = client.start("subscribe", ["task_succeeded"], {"after": begin})
    client.until(lambda: len(client.streams[again]) == 2)
    t.match(client.streams[again][1], ["event", done])
    t.refused(client, refusal("invalid_params", says("task_begun")), "subscribe", ["task_begun"])
    t.refused(client, refusal("invalid_params", says("strings")), "subscribe", [1])
    t.methods.add("subscribe")


@case
def metrics(t):
    """Prometheus' text"""
    is_text = Where("lines of Prometheus' text", lambda text: isinstance(text, str) and text.endswith("\n") and all(
        line.startswith("# ") or len(line.rsplit(" ", 1)) == 2 for line in text.splitlines()))
    t.compare(t.connect(), is_text, "metrics")
