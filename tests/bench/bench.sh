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
with_daemon() {
        "$here/../support/with-daemon.sh" "$build" "$@"
}
with_daemon "$build/tests/bench/bench_calls" 3
# What of a round trip is the kernel's own: alternating, and with all processes on one CPU.
for cpus in "0-$(($(nproc) - 1))" 0; do
        printf 'on the CPUs %s:\n' "$cpus"
        for _ in 1 2 3 4 5; do
                taskset -c "$cpus" "$build/tests/bench/bench_floor" 0.5
                taskset -c "$cpus" "$here/../support/with-daemon.sh" "$build" "$build/tests/bench/bench_calls" 0.5 one | tail -1
        done
done
with_daemon python3 "$here/bench_shared.py" "$build/tests/bench/bench_shared" "${GANGER_BENCH_ROUNDS:-5}"
