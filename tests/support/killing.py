# SPDX-License-Identifier: MIT
"""Workers that are killed in the middle of a task."""
import os
import signal
import time

from gangerd import eventually
from wire import TooLate

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
