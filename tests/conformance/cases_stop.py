# SPDX-License-Identifier: MIT
"""The end of a daemon, as its clients see it. Last, for the server behind --stop is gone then."""
import os
import signal

from expect import ANYTHING, PID, SECONDS, OneOf, failure
from suite import case
from wire import eventually

WAITING = [["lock.acquire", "l"], ["queue.get", "q"], ["barrier.wait", "b", {"parties": 3}], ["barrier.wait", "b"], ["event.wait", "e"], ["dict.watch", "d"]]


@case
def shutting_down(t):
    """Nothing new is taken; what has not begun is cancelled, what runs may finish, and all who wait are told"""
    client, other = t.connect("stop"), t.connect("stop")
    pid = client.ask("status")["pid"]
    running = client.start("call", "sleep", [1.0], {})
    eventually(lambda: other.ask("status")["pools"][0]["running"] == 1)
    delayed = client.start("call", "echo", [1], {"delay": 100})
    waiting = client.start("wait", [other.submit("echo", 1, delay=100)], {})
    other.ask( "lock.acquire", "l")
    at_objects = [client.start(*request) for request in WAITING]
    os.kill(pid, signal.SIGTERM)
    want = failure("cancelled", function="echo", attempt=OneOf(0, 1), ended_by="shutdown", worker_pid=OneOf(None, PID),
                   run_time=OneOf(None, SECONDS), detail=ANYTHING)
    t.refused_answer(client, want, delayed)
    t.match(client.finish(waiting)[0][1], "cancelled")
    t.match(other.ask("status")["state"], "stopping")
    for method, args in (("call", [1]), ("submit", [1]), ("map", [[1]])):
        t.refused(other, "shutting_down", method, "echo", args, {})
    t.match(client.finish(running), None, "what ran is finished")
    for msgid in at_objects:
        t.refused_answer(client, "shutting_down", msgid)
    t.match(client.end_of_file(), [])
    eventually(lambda: not os.path.exists(t.socket("stop")))
