# SPDX-License-Identifier: MIT
"""Tasks and items that are tried again."""
import os
import tempfile

from expect import failure
from suite import case
from wire import eventually

# Leaves a line for each attempt, and does well at the third one.
THIRD = 'echo >> "$0"; [ "$(wc -l < "$0")" -ge 3 ]'
LOST = 'echo >> "$0"; [ "$(wc -l < "$0")" -ge 2 ] || kill -9 $PPID'


def lines(path):
    with open(path, encoding="ascii") as file:
        return len(file.readlines())


class Notes:
    """A directory that programs of another user may write into."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()

    def __enter__(self):
        os.chmod(self.directory.name, 0o777)
        return lambda name: os.path.join(self.directory.name, name)

    def __exit__(self, *_):
        self.directory.cleanup()


@case
def retried_until_it_succeeds(t):
    """retries with retry_on: tried again until it does well; the record says at which attempt"""
    client = t.connect()
    with Notes() as note:
        before = client.ask("status")["totals"]["retried"]
        id = client.submit("exec", ["sh", "-c", THIRD, note("a")], retries=5, retry_on=["task_failed"], backoff=0.02)
        t.match(client.ask("wait", [id], {}), [[id, "succeeded"]])
        record = client.ask("task", id)
        t.match((record["attempt"], record["retries"], lines(note("a"))), (3, 5, 3), "attempts")
        t.match(client.ask("status")["totals"]["retried"], before + 2, "retried")


@case
def retries_used_up(t):
    """After the last attempt the caller is told of that one; without retry_on no failure of the function is tried again"""
    client = t.connect()
    with Notes() as note:
        want = failure("task_failed", attempt=2)
        script = ["sh", "-c", 'echo >> "$0"; exit 3', note("a")]
        error, _ = client.outcome(client.start("call", "exec", [script], {"retries": 1, "retry_on": ["task_failed"], "backoff": 0}))
        t.match((error["code"], error["attempt"], lines(note("a"))), (want["code"], 2, 2), "the failure")
        error, _ = client.outcome(client.start("call", "exec", [script], {"retries": 4, "backoff": 0}))
        t.match((error["attempt"], lines(note("a"))), (1, 3), "the failure that is not in retry_on")
        error, _ = client.outcome(client.start("call", "sleep", [30], {"retries": 1, "retry_on": ["timed_out"], "timeout": 0.05,
                                                                       "backoff": 0}))
        t.match((error["code"], error["attempt"]), ("timed_out", 2), "a timeout")


@case
def lost_worker_is_retried(t):
    """By default it is the loss of the worker that is tried again"""
    client = t.connect()
    with Notes() as note:
        done = client.ask("call", "exec", [["sh", "-c", LOST, note("a")]], {"retries": 1, "backoff": 0})
        t.match((done["status"], lines(note("a"))), (0, 2), "the second attempt")


@case
def attempts_made_before(t):
    """Attempts count on from those that were made before, of a map each item's; the retries are as many as ever"""
    client = t.connect()
    with Notes() as note:
        script = ["sh", "-c", 'echo >> "$0"; exit 3', note("a")]
        again = {"attempts_before": 4, "retries": 2, "retry_on": ["task_failed"], "backoff": 0}
        error, _ = client.outcome(client.start("call", "exec", [script], again))
        t.match((error["attempt"], lines(note("a"))), (7, 3), "the failure")
    id = client.submit("echo", 1, attempts_before=1)
    t.match(client.ask("wait", [id], {}), [[id, "succeeded"]])
    t.match(client.ask("task", id)["attempt"], 2, "the record")
    msgid = client.start("map", "exec", [[["false"]], [["true"]]], {"attempts_before": 2})
    t.match(client.finish(msgid), {"count": 2, "succeeded": 1, "failed": 1})
    t.match([item[1]["attempt"] for batch in client.streamed(msgid, "items") for item in batch if item[1]], [3], "the item")


@case
def waiting_for_a_retry(t):
    """While it waits it is delayed, and can be cancelled"""
    client = t.connect()
    id = client.submit("exec", ["sh", "-c", "exit 1"], retries=1, retry_on=["task_failed"], backoff=100)
    eventually(lambda: client.ask("task", id)["attempt"] == 2)
    record = client.ask("task", id)
    t.match((record["state"], record["started"], record["error"]), ("delayed", None, None), "the record")
    t.match(record["due"] - record["submitted"] > 49, True, "the pause")
    t.compare(client, 1, "cancel", id)
    t.match(client.ask("wait", [id], {}), [[id, "cancelled"]])


@case
def items_are_retried_alone(t):
    """Of a map each item has its own attempts; the others run once"""
    client = t.connect()
    with Notes() as note:
        items = [[["sh", "-c", THIRD if i == 7 else 'echo >> "$0"', note(str(i))]] for i in range(20)]
        msgid = client.start("map", "exec", items, {"retries": 2, "retry_on": ["task_failed"], "backoff": 0.01, "chunk": 5})
        t.match(client.finish(msgid), {"count": 20, "succeeded": 20, "failed": 0})
        t.match([lines(note(str(i))) for i in range(20)], [3 if i == 7 else 1 for i in range(20)], "how often each item ran")
        items = [[["sh", "-c", "kill -9 $PPID" if i == 3 else "true"]] for i in range(6)]
        msgid = client.start("map", "exec", items, {"retries": 1, "backoff": 0, "ordered": True})
        t.match(client.finish(msgid), {"count": 6, "succeeded": 5, "failed": 1})
        bad = [item for batch in client.streamed(msgid, "items") for item in batch if item[1]]
        t.match([(index, error["code"], error["attempt"]) for index, error, _ in bad], [(3, "worker_lost", 2)], "the poisoned item")
