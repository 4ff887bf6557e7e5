# SPDX-License-Identifier: MIT
"""Workers that are killed: in the middle of a task, or with many before them."""
import collections
import os
import pathlib
import signal
import time

from gangerd import eventually
from wire import TooLate

OUTSTANDING = 256
BEGUN = 0.005  # seconds after which a task has begun, if its worker got a processor


def kill_in_the_middle(caller, msgid, watcher, label, *signals):
    """Kills the worker that runs the task with this label. Returns when that began, the seconds from before kill() to after the
    answer, the error and the pid. A task that its worker has not begun (nobody outside can see that) goes to another one unharmed:
    then again."""
    killed = set()
    while True:
        def running():
            records = watcher.ask("tasks", {"label": label, "state": "running"})
            record = records and records[0]
            return record and record["worker_pid"] not in killed and time.time() - record["started"] > BEGUN and record
        pid = eventually(running)["worker_pid"]
        killed.add(pid)
        began = time.monotonic()
        for number in signals or (signal.SIGKILL,):
            os.kill(pid, number)
        try:
            error, _ = caller.outcome(msgid, 2)
        except TooLate:
            [record] = watcher.ask("tasks", {"label": label})
            assert record["state"] == "running" and record["worker_pid"] != pid, f"nobody was told: {record}"
            continue
        return began, time.monotonic() - began, error, pid


class Killing:
    """What came of so many tasks, each of which writes its number as a line, by its last act, into one file."""

    def __init__(self):
        self.n = self.n_killed = 0
        self.succeeded, self.failed = set(), {}  # numbers; failed: its worker's pid
        self.lines = collections.Counter()

    def with_line(self):
        """Those that failed after they had written their line."""
        return [number for number in self.failed if self.lines[number]]

    def most_at_once(self, numbers):
        """How many of these that failed one death took, at most. A pid comes again, but not while its last death's tasks are open."""
        first, deaths = {}, collections.Counter()
        for number in sorted(numbers):
            pid = self.failed[number]
            if pid not in first or number - first[pid] > 2 * OUTSTANDING:
                first[pid] = number
            deaths[pid, first[pid]] += 1
        return max(deaths.values(), default=0)


def kill_at_random(client, watcher, path, n_kills, choose):
    """Kills so many workers of a pool with the module `notes` while many tasks are before them. Ends when all tasks have."""
    found, open_calls = Killing(), collections.deque()
    os.chmod(path, 0o666)

    def start():
        open_calls.append((found.n, client.start("call", "notes.line", [path, found.n], {})))
        found.n += 1
    for _ in watcher.ask("status")["workers"]:
        start()
        client.finish(open_calls[-1][1])
        found.succeeded.add(open_calls.pop()[0])
    while found.n_killed < n_kills or open_calls:
        while found.n_killed < n_kills and len(open_calls) < OUTSTANDING:
            start()
        number, msgid = open_calls.popleft()
        error, result = client.outcome(msgid)
        assert error["code"] == "worker_lost" if error else result == number, (error, result, number)
        if error:
            found.failed[number] = error["worker_pid"]
        else:
            found.succeeded.add(number)
        if found.n_killed < n_kills and choose.randrange(100) == 0:
            busy = [worker["pid"] for worker in watcher.ask("status")["workers"] if worker["state"] == "busy"]
            if busy:
                try:
                    os.kill(choose.choice(busy), signal.SIGKILL)
                    found.n_killed += 1
                except ProcessLookupError:
                    pass  # it died of the last one
    found.lines.update(int(line) for line in pathlib.Path(path).read_text(encoding="ascii").split())
    return found
