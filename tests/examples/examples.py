# SPDX-License-Identifier: MIT
"""examples.py FILES: the example client in Python against a real daemon. Each answer is checked against Python's own."""
import hashlib
import os
import sys

import ganger_client
from ganger_client import Descriptor, Ganger


def refused(code, function, *args, **options):
    try:
        function(*args, **options)
    except ganger_client.Error as error:
        assert error.code == code, error.record
        return error.record
    raise AssertionError(f"{code} was expected")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


g = Ganger()
assert g.hello["protocol"] == 1 and g.request("ping") == "pong"
assert g.call("echo", ["ä"]) == "ä"
assert refused("unknown_function", g.call, "no.such")["message"]

# Answers out of order: the second request ends first.
slow, quick = g.start("call", "sleep", [0.3]), g.start("call", "echo", [1])
assert g.finish(quick) == 1 and slow not in g.answers and g.finish(slow) is None

# Queued, waited for, taken; cancelled.
ids = [g.submit("echo", [n]) for n in range(10)]
assert sorted(g.wait(ids)) == [[id, "succeeded"] for id in ids]
assert [g.result(id) for id in ids] == list(range(10))
endless = g.submit("sleep", [1000])
refused("not_ready", g.result, endless, timeout=0.01)
assert g.cancel([endless]) == 1
refused("cancelled", g.result, endless)

# A map, its items as they come, and another request while it runs.
with open(sys.argv[1], encoding="utf-8") as file:
    paths = file.read().split()
found = {}
for index, error, value in g.map("digest.sha256", [[path] for path in paths] + [["/none"]]):
    if not found:
        assert g.request("ping") == "pong"
    found[index] = value if error is None else error["code"]
assert g.map_sum == {"count": len(paths) + 1, "succeeded": len(paths), "failed": 1}, g.map_sum
assert found.pop(len(paths)) == "task_failed"
assert found == {index: digest(path) for index, path in enumerate(paths)}

# Descriptors: a program's standard streams.
read_end, write_end = os.pipe()
with open(paths[0], "rb") as file:
    result = g.call("exec", [["cat"], {"stdin": Descriptor(file.fileno()), "stdout": Descriptor(write_end)}])
os.close(write_end)
with open(read_end, "rb") as pipe, open(paths[0], "rb") as file:
    assert pipe.read() == file.read() and result["status"] == 0
