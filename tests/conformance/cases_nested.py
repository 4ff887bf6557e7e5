# SPDX-License-Identifier: MIT
"""Tasks that wait for tasks. Only a task is ever told so; a function that asks for what it is told reports the code."""
from suite import Skipped, case
from wire import Refused


def told(t, function, *args):
    """The code that the function, which does not get what it asks for, was told."""
    client = t.connect()
    if not any(known["name"] == function for known in client.ask("functions")):
        raise Skipped(f"needs a function {function} (tests/support/modules/nest.c)")
    try:
        client.call(function, *args)
    except Refused as refused:
        t.match(refused.code, "task_failed", f"the end of {function}")
        t.codes.add(refused.error["function_code"])
        return refused.error["function_code"]
    return None


@case
def deadlock(t):
    """Who waits for himself, or for a task that waits for him"""
    t.match(told(t, "nest.self"), "deadlock", "who waits for himself")
    t.match(told(t, "nest.ancestor"), "deadlock", "who waits for his caller")


@case
def nesting_limit(t):
    """As deep as it goes, and one more; afterwards all is as before"""
    t.match(told(t, "nest.deep", 200), "nesting_limit", "who is too deep")
    t.match(t.connect().call("nest.deep", 20), 20, "who is not")
