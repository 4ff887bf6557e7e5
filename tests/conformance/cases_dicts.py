# SPDX-License-Identifier: MIT
"""Dictionaries and lists: values with versions."""
from cases_locks import waits
from cases_objects import forget
from expect import COUNT, refusal, says
from suite import case

VALUES = [None, False, 12, -3, 0.25, "text", b"\0\xff", [1, [2, {}]], {"a": {"b": 1}}, "y" * 70000]


@case
def dictionary(t):
    """Set, get, several keys at once, delete; each change has the next version"""
    client = t.connect()
    t.compare(client, [None, 0], "dict.get", "d", "a")
    t.compare(client, 0, "dict.len", "d")
    first = t.compare(client, COUNT, "dict.set", "d", {"a": 1, "b": [2]})
    t.compare(client, [1, first], "dict.get", "d", "a")
    t.compare(client, [[1, first], [[2], first], [None, 0]], "dict.get", "d", ["a", "b", "c"])
    for i, value in enumerate(VALUES):
        t.compare(client, first + 1 + i, "dict.set", "d", {"v": value})
        t.compare(client, [value, first + 1 + i], "dict.get", "d", "v")
    last = first + len(VALUES)
    t.compare(client, 3, "dict.len", "d")
    t.compare(client, [["a", 1, first], ["b", [2], first], ["v", VALUES[-1], last]], "dict.items", "d")
    t.compare(client, [["v", VALUES[-1], last]], "dict.items", "d", {"after": first})
    t.compare(client, [["a", 1, first], ["b", [2], first]], "dict.items", "d", {"limit": 1})
    t.compare(client, 1, "dict.delete", "d", "v")
    t.compare(client, 2, "dict.delete", "d", ["a", "b", "c"])
    t.compare(client, 0, "dict.delete", "d", "a")
    t.compare(client, 0, "dict.len", "d")
    t.compare(client, [], "dict.items", "d")
    for keys in (5, [5], "x" * 1025):
        t.refused(client, refusal("invalid_params", says("key")), "dict.get", "d", keys)
    t.refused(client, refusal("invalid_params", says("key")), "dict.set", "d", {5: 1})
    many = [str(i) for i in range(65537)]
    t.refused(client, refusal("too_large"), "dict.set", "d", dict.fromkeys(many, 0))
    t.refused(client, refusal("too_large"), "dict.set", "d", {"a": 1}, {"if_version": dict.fromkeys(many, 0)})
    t.refused(client, refusal("too_large"), "dict.get", "d", many)
    t.refused(client, refusal("too_large"), "dict.delete", "d", many)
    forget(client, "d")


@case
def dictionary_if_version(t):
    """Compare and swap, of several keys whole or not at all"""
    client = t.connect()
    first = client.ask("dict.set", "i", {"a": 1}, {"if_version": {"a": 0, "b": 0}})
    t.refused(client, refusal("key_conflict", says("a")), "dict.set", "i", {"a": 2, "c": 3}, {"if_version": {"a": 0}})
    t.refused(client, refusal("key_conflict", says("b")), "dict.set", "i", {"a": 2}, {"if_version": {"a": first, "b": first}})
    t.match(client.ask("dict.get", "i", ["a", "c"]), [[1, first], [None, 0]])
    second = t.compare(client, first + 1, "dict.set", "i", {"a": 2, "b": 3}, {"if_version": {"a": first, "b": 0}})
    t.refused(client, refusal("key_conflict", says("a")), "dict.delete", "i", "b", {"if_version": {"a": first}})
    t.match(client.ask("dict.delete", "i", "b", {"if_version": {"a": second, "b": second}}), 1)
    t.refused(client, refusal("invalid_params", says("if_version")), "dict.set", "i", {"a": 1}, {"if_version": 5})
    forget(client, "i")


@case
def dictionary_add(t):
    """Adds to a number, atomically"""
    client = t.connect()
    t.compare(client, 5, "dict.add", "n", "a", 5)
    t.compare(client, -2, "dict.add", "n", "a", -7)
    t.compare(client, -1.5, "dict.add", "n", "a", 0.5)
    t.compare(client, 0.25, "dict.add", "n", "f", 0.25)
    client.ask("dict.set", "n", {"big": 2**64 - 1, "text": "1"})
    t.refused(client, "invalid_params", "dict.add", "n", "big", 1)
    t.refused(client, "invalid_params", "dict.add", "n", "text", 1)
    t.refused(client, "invalid_params", "dict.add", "n", "a", "1")
    t.match(client.ask("dict.get", "n", ["big", "text"]), [[2**64 - 1, COUNT], ["1", COUNT]])
    forget(client, "n")


@case
def dictionary_watch(t):
    """Told of what changes after a version"""
    client, other = t.connect(), t.connect()
    waiting = client.start("dict.watch", "w")
    waits(other, "w")
    first = other.ask("dict.set", "w", {"a": 1})
    t.compare_answer(client, {"version": first, "changed": [["a", 1, first]], "deleted": [], "complete": True}, "dict.watch", waiting)
    second = other.ask("dict.set", "w", {"b": 2})
    third = other.ask("dict.set", "w", {"a": 3})
    t.compare(client, {"version": third, "changed": [["b", 2, second], ["a", 3, third]], "deleted": [], "complete": True},
              "dict.watch", "w", {"after": first})
    other.ask("dict.delete", "w", "b")
    t.compare(client, {"version": third + 1, "changed": [], "deleted": [["b", third + 1]], "complete": True},
              "dict.watch", "w", {"after": third})
    t.refused(client, "not_ready", "dict.watch", "w", {"after": third + 1, "timeout": 0.02})
    for i in range(1100):
        other.ask("dict.set", "w", {f"k{i}": 0})
    other.ask("dict.delete", "w", [f"k{i}" for i in range(1100)])
    got = client.ask("dict.watch", "w", {"after": third})
    t.match((got["complete"], len(got["deleted"]), got["changed"]), (False, 1000, []))
    forget(client, "w")


@case
def list_(t):
    """Pushed and popped at both ends, read and set by place"""
    client = t.connect()
    t.compare(client, 0, "list.len", "l")
    t.compare(client, [], "list.pop", "l")
    first = t.compare(client, COUNT, "list.push", "l", ["c", "d"])
    t.compare(client, first + 1, "list.push", "l", ["a", "b"], {"front": True})
    t.compare(client, 4, "list.len", "l")
    t.compare(client, [["a", "b", "c", "d"], first + 1], "list.slice", "l", 0, 99)
    t.compare(client, [["b", "c"], first + 1], "list.slice", "l", 1, -1)
    t.compare(client, [[], first + 1], "list.slice", "l", 3, 1)
    t.compare(client, ["d", first + 1], "list.get", "l", -1)
    t.compare(client, ["a", first + 1], "list.get", "l", 0)
    t.refused(client, refusal("invalid_params", says("4")), "list.get", "l", 4)
    t.refused(client, "invalid_params", "list.set", "l", -5, 0)
    t.compare(client, first + 2, "list.set", "l", 1, "B")
    t.refused(client, refusal("key_conflict"), "list.set", "l", 1, "x", {"if_version": first})
    t.refused(client, refusal("key_conflict"), "list.push", "l", ["x"], {"if_version": 0})
    t.refused(client, refusal("too_large"), "list.push", "l", [0] * 65537)
    t.refused(client, refusal("key_conflict"), "list.pop", "l", {"if_version": first})
    t.compare(client, ["d", "c"], "list.pop", "l", {"max": 2})
    t.compare(client, ["a", "B"], "list.pop", "l", {"max": 9, "front": True})
    for i, value in enumerate(VALUES):
        client.ask("list.push", "l", [value])
        t.compare(client, [value, COUNT], "list.get", "l", i)
    forget(client, "l")
