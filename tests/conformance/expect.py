# SPDX-License-Identifier: MIT
"""What an answer is to be, as a value with holes.

A pattern is a value (equal, and of the same type), a type, a list or map of patterns (the same length, the same keys), OneOf
several, or a Where for a condition. mismatch() says where the first difference is.
"""


class Where:
    """A condition, with a name for messages."""

    def __init__(self, name, true):
        self.name, self.true = name, true

    def __repr__(self):
        return self.name


class OneOf:
    def __init__(self, *patterns):
        self.patterns = patterns

    def __repr__(self):
        return " or ".join(map(repr, self.patterns))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


NUMBER = Where("a number", is_number)
TEXT = Where("a sentence", lambda value: isinstance(value, str) and len(value) > 2)
COUNT = Where("an integer >= 0", lambda value: type(value) is int and value >= 0)
PID = Where("a pid", lambda value: type(value) is int and value > 1)
SECONDS = Where("seconds >= 0", lambda value: is_number(value) and value >= 0)
BYTES_OR_NIL = OneOf(None, COUNT)
ANYTHING = Where("anything", lambda value: True)


def near(wanted, by):
    return Where(f"{wanted} ± {by}", lambda value: is_number(value) and abs(value - wanted) <= by)


def says(*words):
    """A text in which all these occur."""
    return Where(f"a text with {', '.join(words)}", lambda value: isinstance(value, str) and all(w in value for w in words))


def each(pattern):
    """A list of which every element is so."""
    return Where(f"a list of {pattern!r}", lambda value: isinstance(value, list) and not any(mismatch(e, pattern) for e in value))


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def mismatch(got, want, where="it"):
    """None if `got` is what the pattern says, else a sentence."""
    if isinstance(want, Where):
        return None if want.true(got) else f"{where} is {short(got)}, wanted {want!r}"
    if isinstance(want, OneOf):
        return None if any(mismatch(got, p, where) is None for p in want.patterns) else f"{where} is {short(got)}, wanted {want!r}"
    if isinstance(want, type):
        return None if type(got) is want else f"{where} is {short(got)}, wanted a {want.__name__}"
    if type(got) is not type(want):
        return f"{where} is {short(got)}, wanted {short(want)}"
    if isinstance(want, dict):
        return mismatch_map(got, want, where)
    if isinstance(want, (list, tuple)):
        if len(got) != len(want):
            return f"{where} has {len(got)} elements, wanted {len(want)}: {short(got)}"
        return next((m for i, (g, w) in enumerate(zip(got, want)) if (m := mismatch(g, w, f"{where}[{i}]"))), None)
    same = got == want or (got != got and want != want)  # a NaN is what was wanted if that was
    return None if same else f"{where} is {short(got)}, wanted {short(want)}"


def mismatch_map(got, want, where):
    if missing := [key for key in want if key not in got]:
        return f"{where} lacks {', '.join(map(str, missing))}: {short(got)}"
    if beyond := [key for key in got if key not in want]:
        return f"{where} has {', '.join(map(str, beyond))} too: {short(got)}"
    return next((m for key in want if (m := mismatch(got[key], want[key], f"{where}.{key}"))), None)


def failure(code, **known):
    """The pattern of a failure record."""
    record = {
        "code": code, "message": TEXT, "task": COUNT, "function": str, "attempt": COUNT, "worker_pid": OneOf(None, PID),
        "exit_status": None, "signal": None, "ended_by": None, "by_uid": None, "by_pid": None, "run_time": OneOf(None, SECONDS),
        "max_rss": BYTES_OR_NIL, "stderr": None, "detail": None,
    }
    return {**record, **known}


def refusal(code, message=TEXT, **known):
    return {"code": code, "message": message, **known}
