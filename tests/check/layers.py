#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the arrows between the rooms: who may include whom. Run in the root of the tree."""
import pathlib
import re
import sys

# room: the rooms whose headers it may include (its own is understood). The longest matching room counts.
ALLOWED = {
    "proto": [],
    "daemon/core": ["proto"],
    "daemon/worker": ["proto"],
    "daemon/modules": ["daemon/worker/ganger_module.h"],
    "daemon": ["proto", "daemon/core"],
    "client": ["proto"],
    "client/cli": ["proto", "client"],
    "client/examples": ["client/ganger.h"],
    "tests": ["proto", "daemon", "client", "tests"],
}
# a library's header: the only files that may include it (None: whole rooms, by prefix)
LIBRARIES = {
    r"systemd/": ["daemon/systemd.c"],
    r"event2/": ["daemon/", "tests/"],
    r"msgpack": ["proto/pack.h", "proto/pack.c", "client/cli/", "tests/"],
    r"jansson\.h": ["client/cli/", "daemon/log", "tests/"],
    r"ini\.h": ["daemon/configuration", "tests/"],
    r"n?curses|term\.h": ["client/cli/top/"],
    r"png\.h": ["daemon/modules/", "tests/"],
    r"openssl/": ["daemon/modules/", "client/cli/", "tests/"],
}
CORE_FORBIDDEN = re.compile(r"<(event2/|systemd/|sys/socket\.h|time\.h|unistd\.h|poll\.h|pthread\.h)")


def room_of(path):
    rooms = [r for r in ALLOWED if path.startswith(r + "/")]
    return max(rooms, key=len) if rooms else None


def bad_includes(path, text):
    room = room_of(path)
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        kind, name = match.groups()
        where = f"{path}:{number}: includes {name}"
        if kind == '"' and name != "config.h":
            target = room_of(name)
            if target is None:
                if name != "ganger_module.h" and name != "ganger.h":
                    yield f"{where}: own headers are included by their path from the root"
            elif target != room and not any(name.startswith(a) and (room_of(name) == a or name == a)
                                            for a in ALLOWED[room]) and not path.startswith("tests/"):
                yield f"{where}: {room} may not know {target}"
        for library, users in LIBRARIES.items():
            if kind == "<" and re.match(library, name) and not any(path.startswith(u) for u in users):
                yield f"{where}: that library is for {', '.join(users)}"
        if path.startswith("daemon/core/") and CORE_FORBIDDEN.match(line.split("include", 1)[1].strip()):
            yield f"{where}: the core is pure"


def main():
    failures = []
    files = [p for d in ("proto", "daemon", "client", "tests") for p in pathlib.Path(d).rglob("*.[ch]")]
    for path in sorted(files):
        failures += bad_includes(str(path), path.read_text())
    for failure in failures:
        print(failure)
    if len(files) < 20:
        failures.append("too few files were looked at: is this the root of the tree?")
        print(failures[-1])
    sys.exit(1 if failures else 0)


main()
