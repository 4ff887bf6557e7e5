#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh BUILD TARGET [SECONDS]: runs one harness from its corpus. What is new and covers more is kept in BUILD/corpus/TARGET,
# an input that fails in BUILD/failures, and the command that replays it is printed.
# fuzz.sh BUILD --all SECONDS: each target so long, as many at a time as there are processors, then the scanner with a known defect, which must be found in the
# same time from nothing. The last line says how many passed.
set -u
build=$1 target=${2-} seconds=${3-30}
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$build/failures"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

known() {
        for file in tests/fuzz/fuzz_*.c; do basename "$file" .c | sed 's/^fuzz_//'; done
}

fuzz() { # TARGET
        log=$build/failures/$1.log
        mkdir -p "$build/corpus/$1"
        if "$build/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len=4096 -entropic=0 -timeout=20 -rss_limit_mb=2048 \
                -print_final_stats=1 -artifact_prefix="$build/failures/$1-" \
                "$build/corpus/$1" "tests/fuzz/corpus/$1" >"$log" 2>&1; then
                echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $seconds s, none failed"
                return 0
        fi
        tail -n 60 "$log"
        sed -n 's/.*Test unit written to \(.*\)/\1/p' "$log" | while read -r file; do
                echo "The input is $file; to replay it: $build/tests/fuzz/fuzz_$1 $file"
        done
        return 1
}

case $seconds in
'' | 0 | *[!0-9]*)
        echo "fuzz: SECONDS is a number above 0, not '$seconds'" >&2
        exit 2
        ;;
esac
if [ "$target" != --all ]; then
        known | grep -qxF -e "$target" || {
                echo "fuzz: no target '$target'; there are: $(known | tr '\n' ' ')(or --all)" >&2
                exit 2
        }
        fuzz "$target"
        exit
fi
# One to a processor; what they print goes to standard error, their statuses are counted.
# shellcheck disable=SC2016 # the inner shell's own
statuses=$(known | xargs -P "$(nproc)" -n 1 sh -c '"$0" "$1" "$3" "$2" >&2; echo $?' "$PWD/tests/fuzz/fuzz.sh" "$build" "$seconds")
passed=$(echo "$statuses" | grep -cx 0)
failed=$(($(known | wc -l) - passed))
if tests/fuzz/finds-bug "$build/tests/fuzz/fuzz_scan-past-end" -max_total_time="$seconds" \
        -artifact_prefix="$build/failures/known-"; then
        passed=$((passed + 1))
else
        failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
