#!/bin/sh
# lint.sh BUILD: all static checks, one after another; the last line says how many passed.
set -u
build=$1
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

check() { # NAME COMMAND…
        name=$1
        shift
        if "$@" >"$log" 2>&1; then
                passed=$((passed + 1))
                printf '%-14s ok\n' "$name"
        else
                failed=$((failed + 1))
                printf '%-14s FAILED\n' "$name"
                cat "$log"
        fi
}

sources() {
        find proto daemon client tests -name "$1" | sort
}

layout() {
        sources '*.[ch]' | xargs clang-format --dry-run --Werror
}

# Only files that the build knows how to compile. The analyzer looks at no more than so many states of a function: with
# its own bound of 225,000 it takes ten times as long and finds the same.
tidy() {
        mkdir -p "$build/tidy"
        sed 's/ [^ ]*-mmemset-strategy=[^ ]*//' "$build/compile_commands.json" >"$build/tidy/compile_commands.json" # gcc's own
        sources '*.c' | grep -v '^tests/' | while read -r file; do
                if grep -q "\"file\": \".*$file\"" "$build/compile_commands.json"; then echo "$file"; fi
        done | xargs -P "$(nproc)" -n 4 clang-tidy -p "$build/tidy" --quiet --warnings-as-errors='*' \
                --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=10000
}

# It reads no system headers, but the lists' macros it must know.
cpp() {
        queue=$(echo '#include <sys/queue.h>' | cc -M -x c - | tr -s ' \n' '\n' | grep 'sys/queue\.h$')
        cppcheck --quiet -j "$(nproc)" --error-exitcode=1 --inline-suppr --std=c11 --language=c \
                --enable=warning,performance,portability --suppress=missingInclude \
                --suppress=unknownMacro --suppress=preprocessorErrorDirective \
                -D_GNU_SOURCE -I. -Idaemon/worker -I"$build" --include="$queue" proto daemon client
}

scripts() {
        { echo dev && echo .ci/run && grep -rlE '^#!/bin/(ba)?sh' tests client/examples proto systemd && echo client/completions/ganger.bash; } | xargs shellcheck
}

check clang-format layout
check layers python3 tests/check/layers.py
check headers tests/check/headers.sh "$build"
check shellcheck scripts
check cppcheck cpp
check clang-tidy tidy

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
