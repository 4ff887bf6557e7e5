#!/bin/sh
# bench.sh BUILD: starts a private daemon and prints how fast it is. Judges nothing.
set -eu
build=$1
here=$(dirname "$0")
uname -srm
printf '%s CPUs\n' "$(nproc)"
if [ "$(meson introspect "$build" --buildoptions | python3 -c '
import json, sys
print({o["name"]: o["value"] for o in json.load(sys.stdin)}["b_sanitize"])')" != none ]; then
        echo "bench: a build with sanitizers measures nothing" >&2
        exit 1
fi
exec "$here/../support/with-daemon.sh" "$build" "$build/tests/bench/bench_calls" 3
