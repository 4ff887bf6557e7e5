# SPDX-License-Identifier: MIT
"""Dictionaries and lists: versions, conditions, several at once, changes to wait for."""
from cases_leases import PLAIN
from cases_locks import waits
from cases_shared import listed, looks
from expect import refusal, says
from suite import case
from wire import pack


@case
def dictionary_keys(t):
    """Set, get, delete, count: one key or several, any value; each request is one version"""
    client = t.connect()
    t.compare(client, [None, 0], "dict.get", "d", "a")
    t.compare(client, [[None, 0], [None, 0]], "dict.get", "d", ["a", "b"])
    t.compare(client, 0, "dict.len", "d")
    t.compare(client, [], "dict.items", "d")
    t.compare(client, 0, "dict.delete", "d", "a")
    t.match(listed(client, "d"), None, "what looking, and deleting what is not there, made")
    t.compare(client, 1, "dict.set", "d", {str(n): value for n, value in enumerate(PLAIN)})
    t.compare(client, [[value, 1] for value in PLAIN], "dict.get", "d", [str(n) for n in range(len(PLAIN))])
    t.compare(client, 2, "dict.set", "d", {"0": "new", "": "empty", "k" * 1024: 1, b"bin": 2})
    t.compare(client, [["new", 2], ["empty", 2], [1, 2], [2, 2], [True, 1]], "dict.get", "d", ["0", "", "k" * 1024, "bin", "1"])
    t.compare(client, len(PLAIN) + 3, "dict.len", "d")
    t.match(listed(client, "d"), looks("d", "dict", length=len(PLAIN) + 3, version=2))
    t.compare(client, 2, "dict.set", "d", {})
    t.compare(client, 2, "dict.delete", "d", ["0", "bin", "0", "not there"])
    t.compare(client, 0, "dict.delete", "d", "0")
    t.compare(client, [], "dict.get", "d", [])
    t.match(listed(client, "d")["version"], 3, "nothing deleted is no change")
    t.match(client.ask("dict.get", "d", ["0", "bin"]), [[None, 0]] * 2)
    for key in ("k" * 1025, "a\0b", b"\xff", 1, None, {"a": 1}, [["a"]], [1]):
        t.refused(client, refusal("invalid_params", says("key")), "dict.get", "d", key)
        t.refused(client, refusal("invalid_params", says("key")), "dict.delete", "d", key)
    for pairs in ({1: 1}, {None: 1}, {"k" * 1025: 1}, {"a\0b": 1}, {b"\xff": 1}):
        t.refused(client, refusal("invalid_params", says("key")), "dict.set", "d", pairs)
        t.refused(client, refusal("invalid_params", says("key")), "dict.set", "d", {"a": 1}, {"if_version": dict.fromkeys(pairs, 1)})
    for pairs in ([], "a", None, 1):
        t.refused(client, "invalid_params", "dict.set", "d", pairs)
    client.ask("shared.unlink", "d")


@case
def dictionary_refused_versions(t):
    """All of these versions, or nothing is done and nothing is made"""
    client = t.connect()
    t.refused(client, refusal("key_conflict", says("a")), "dict.set", "if", {"a": 1}, {"if_version": {"a": 1}})
    t.refused(client, refusal("key_conflict", says("a")), "dict.delete", "if", "a", {"if_version": {"a": 1}})
    t.match(listed(client, "if"), None, "what a refused request made")
    t.compare(client, 1, "dict.set", "if", {"a": 1, "b": 1}, {"if_version": {"a": 0, "b": 0, "c": 0}})
    t.refused(client, refusal("key_conflict", says('"a"', "1")), "dict.set", "if", {"a": 2}, {"if_version": {"a": 0}})
    t.refused(client, refusal("key_conflict", says('"c"')), "dict.set", "if", {"a": 2}, {"if_version": {"a": 1, "b": 1, "c": 1}})
    t.refused(client, refusal("key_conflict", says('"b"', "1")), "dict.delete", "if", ["a", "b"], {"if_version": {"a": 1, "b": 2}})
    t.match(client.ask("dict.get", "if", ["a", "b"]), [[1, 1], [1, 1]], "after what was refused")
    t.compare(client, 2, "dict.set", "if", {"a": 2}, {"if_version": {"a": 1}})
    t.compare(client, 1, "dict.delete", "if", "a", {"if_version": {"a": 2, "b": 1}})
    t.match(client.ask("dict.set", "if", {"a": 3}, {"if_version": {"a": 0}}), 4, "a key that was deleted is not there")
    t.match(client.ask("dict.set", "if", {"x": 1}, {"if_version": {}}), 5)
    for condition in (None, 1, [], {"a": -1}, {"a": "1"}, {"a": 1.0}, {"a": None}, {"b": 1, "a": []}):
        t.refused(client, "invalid_params", "dict.set", "if", {"a": 1}, {"if_version": condition})
    t.refused(client, refusal("invalid_params", says("also")), "dict.set", "if", {"a": 1}, {"if_version": {}, "also": 1})
    t.refused(client, refusal("invalid_params", says("also")), "dict.delete", "if", "a", {"also": 1})
    client.ask("shared.unlink", "if")


@case
def dictionary_key_twice(t):
    """A key that a request names twice has its last value, and is one change"""
    client = t.connect()
    msgid, _ = client.pack_request("dict.set")
    client.send_bytes(b"\x94\x00" + pack(msgid) + pack("dict.set") + b"\x92" + pack("twice") + b"\x82" + (pack("k") + pack("first" * 99)) + pack("k") + pack(2))
    t.match(client.finish(msgid), 1)
    t.match(client.ask("dict.items", "twice"), [["k", 2, 1]])
    before = listed(client, "twice")["bytes"]
    client.ask("dict.set", "twice", {"k": 3})
    t.match(listed(client, "twice")["bytes"], before, "bytes")
    client.ask("shared.unlink", "twice")


@case
def dictionary_sums(t):
    """Integers stay integers, over all 64 bits, and beyond is refused; fractions; what is no number"""
    client = t.connect()
    for number, total in ((1, 1), (-3, -2), (2**63 + 1, 2**63 - 1), (1, 2**63), (2**63 - 1, 2**64 - 1)):
        t.compare(client, total, "dict.add", "sum", "k", number)
    t.refused(client, refusal("invalid_params", says("fit")), "dict.add", "sum", "k", 1)
    t.match(client.ask("dict.get", "sum", "k"), [2**64 - 1, 5], "after what was refused")
    client.ask("dict.set", "sum", {"k": -2**63, "text": "1", "nil": None, "half": 0.5})
    t.refused(client, refusal("invalid_params", says("fit")), "dict.add", "sum", "k", -1)
    t.compare(client, 1.0, "dict.add", "sum", "half", 0.5)
    t.compare(client, 2.0, "dict.add", "sum", "half", 1)
    t.compare(client, 1.5, "dict.add", "sum", "new", 1.5)
    for key in ("text", "nil"):
        t.refused(client, "invalid_params", "dict.add", "sum", key, 1)
    for number in ("1", None, True, [], {"a": 1}):
        t.refused(client, "invalid_params", "dict.add", "sum", "k", number)
        t.refused(client, "invalid_params", "dict.add", "no sum", "k", number)
    t.refused(client, "invalid_params", "dict.add", "sum", "k" * 1025, 1)
    t.match(listed(client, "no sum"), None, "what a refused request made")
    client.ask("shared.unlink", "sum")


@case
def dictionary_items(t):
    """In the order of their last changes; pages that take no request apart"""
    client = t.connect()
    for pairs in ({"a": 1}, {"b": 2, "c": 2, "d": 2}, {"e": 3}, {"a": 4}):
        client.ask("dict.set", "items", pairs)
    client.ask("dict.delete", "items", "c")
    want = [["b", 2, 2], ["d", 2, 2], ["e", 3, 3], ["a", 4, 4]]
    t.compare(client, want, "dict.items", "items")
    t.compare(client, want[:2], "dict.items", "items", {"limit": 1})
    t.compare(client, want[2:], "dict.items", "items", {"after": 2, "limit": 2})
    t.compare(client, [], "dict.items", "items", {"after": 2**64 - 1})
    for options in ({"limit": 0}, {"limit": 10001}, {"after": -1}, {"after": 1.0}, {"limit": "1"}):
        t.refused(client, "invalid_params", "dict.items", "items", options)
    client.ask("dict.set", "items", {f"{n:05}": n for n in range(3000)})
    t.match(len(client.ask("dict.items", "items", {"after": 5})), 3000, "what one request set")
    client.ask("shared.unlink", "items")


@case
def dictionary_changes(t):
    """What has changed, each key once; what was deleted; waits for the next change; how long deletions are known"""
    client, other = t.connect(), t.connect()
    t.refused(client, "not_ready", "dict.watch", "watch", {"timeout": 0})
    t.refused(client, "not_ready", "dict.watch", "watch", {"after": 2**64 - 2, "timeout": 0.01})
    waiting = client.start("dict.watch", "watch")
    waits(other, "watch", 1)
    other.ask("dict.set", "watch", {"a": 1, "b": 1})
    t.compare_answer(client, {"version": 1, "changed": [["a", 1, 1], ["b", 1, 1]], "deleted": [], "complete": True}, "dict.watch", waiting)
    waiting = [client.start("dict.watch", "watch", {"after": after}) for after in (1, 99)]
    waits(other, "watch", 2)
    other.ask("dict.delete", "watch", "not there")
    other.ask("dict.set", "watch", {"a": 2}, {"if_version": {"a": 1}})
    for msgid in waiting:
        t.match(client.finish(msgid), {"version": 2, "changed": [["a", 2, 2]], "deleted": [], "complete": True})
    other.ask("dict.delete", "watch", "b")
    other.ask("dict.set", "watch", {"c": 4})
    want = {"version": 4, "changed": [["a", 2, 2], ["c", 4, 4]], "deleted": [["b", 3]], "complete": True}
    t.compare(client, want, "dict.watch", "watch", {"after": 0})
    other.ask("dict.set", "watch", {str(n): n for n in range(1001)})
    other.ask("dict.delete", "watch", [str(n) for n in range(1001)])
    watched = client.ask("dict.watch", "watch", {"after": 4})
    t.match((watched["version"], watched["changed"], len(watched["deleted"])), (6, [], 1000))
    t.match([client.ask("dict.watch", "watch", {"after": after})["complete"] for after in (2, 3, 5)], [False, False, False])
    t.refused(client, "not_ready", "dict.watch", "watch", {"after": 6, "timeout": 0})
    for after in (-1, 2**64 - 1, "1", None):
        t.refused(client, "invalid_params", "dict.watch", "watch", {"after": after})
    waiting = [client.start("dict.watch", "watch") for _ in range(2)]
    client.ask("cancel_request", waiting[0])
    t.refused_answer(client, "cancelled", waiting[0])
    other.ask("shared.unlink", "watch")
    t.refused_answer(client, "unknown_object", waiting[1])


@case
def list_places(t):
    """By place, from the end if negative; slices; what is not there"""
    client = t.connect()
    for method, *params in (("list.get", 0), ("list.set", 0, 1)):
        t.refused(client, "unknown_object", method, "p", *params)
    client.ask("list.push", "p", [3, 4])
    client.ask("list.push", "p", [0, 1, 2], {"front": True})
    for index, value in ((0, 0), (4, 4), (-1, 4), (-5, 0)):
        t.compare(client, [value, 2], "list.get", "p", index)
    for index in (5, -6, 2**63 - 1, -2**63):
        t.refused(client, refusal("invalid_params", says("no such place")), "list.get", "p", index)
        t.refused(client, refusal("invalid_params", says("no such place")), "list.set", "p", index, 1)
    for index in (2**63, 2**64 - 1, 1.0, "1", None):
        t.refused(client, "invalid_params", "list.get", "p", index)
        t.refused(client, "invalid_params", "list.set", "p", index, 1)
        t.refused(client, "invalid_params", "list.slice", "p", 0, index)
    places = (-2**63, -7, -5, -3, -1, 0, 1, 4, 5, 9, 2**63 - 1)
    for start in places:
        for stop in places:
            t.match(client.ask("list.slice", "p", start, stop), [list(range(5))[start:stop], 2], f"{start} to {stop}")
    t.compare(client, 3, "list.set", "p", -1, ["new"])
    t.compare(client, [["new"], 3], "list.get", "p", 4)
    client.ask("shared.unlink", "p")


@case
def list_if_version(t):
    """Just this version, or nothing is done and nothing is made"""
    client = t.connect()
    conflict = refusal("key_conflict", says("version"))
    t.refused(client, conflict, "list.push", "v", [1], {"if_version": 1})
    t.refused(client, conflict, "list.pop", "v", {"if_version": 1})
    t.match(client.ask("list.pop", "v", {"if_version": 0}), [])
    t.match(listed(client, "v"), None, "what refused requests made")
    t.compare(client, 1, "list.push", "v", [1, 2, 3], {"if_version": 0})
    for method, *params in (("list.push", [9]), ("list.pop",), ("list.set", 0, 9)):
        for version in (0, 2, 2**64 - 2):
            t.refused(client, conflict, method, "v", *params, {"if_version": version})
    t.match(client.ask("list.slice", "v", 0, 9), [[1, 2, 3], 1], "after what was refused")
    t.compare(client, 2, "list.set", "v", 0, 9, {"if_version": 1})
    t.compare(client, [3], "list.pop", "v", {"if_version": 2})
    t.compare(client, 4, "list.push", "v", [4], {"if_version": 3})
    client.ask("shared.unlink", "v")


@case
def stores_bytes(t):
    """What is replaced, deleted, popped costs nothing any more"""
    client = t.connect()
    client.ask("dict.set", "bytes", {"k": "x" * 1000})
    client.ask("list.push", "bytes list", [1] * 16)
    before = [listed(client, name)["bytes"] for name in ("bytes", "bytes list")]
    for n in range(50):
        client.ask("dict.set", "bytes", {"k": "y" * (1000 + 1000 * n)})
        client.ask("dict.set", "bytes", {"k": "z" * 1000})
        client.ask("list.set", "bytes list", n % 16, "y" * 1000 * n)
        client.ask("list.set", "bytes list", n % 16, 1)
        client.ask("list.push", "bytes list", client.ask("list.pop", "bytes list", {"max": 3, "front": True}))
    t.match([listed(client, name)["bytes"] for name in ("bytes", "bytes list")], before)
    for name in ("bytes", "bytes list"):
        client.ask("shared.unlink", name)
