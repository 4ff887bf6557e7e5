#!/bin/sh
# examples.sh BUILD PYTHON: the examples of client/examples, against a real daemon (tests/support/with-daemon.sh runs it
# beside one). What they print is compared with sha256sum's own.
set -eu
build=$1 python=$2
examples=$(cd "$(dirname "$0")/../../client/examples" && pwd)
here=$build/client/examples
work=$(mktemp -d "${TMPDIR:-/tmp}/ganger-examples.XXXXXX")
trap 'rm -rf "$work"' EXIT

same() { # WHAT FILE FILE
        diff -u "$2" "$3" || { echo "examples: $1 is wrong" >&2; exit 1; }
}

# call
sha256sum /etc/passwd >"$work/expected"
"$here/example-call" /etc/passwd >"$work/got"
same call "$work/expected" "$work/got"
if "$here/example-call" "$work/none" 2>"$work/error"; then
        echo "examples: call of a file that is not there succeeded" >&2
        exit 1
fi
grep -q '^call: .' "$work/error"

# map, of lines and of arguments
seq 3000 | while read -r n; do echo "$n" >"$work/file-$n"; done
find "$work" -name 'file-*' | sort >"$work/files"
xargs sha256sum <"$work/files" | cut -d ' ' -f 1 >"$work/expected"
"$here/example-map" <"$work/files" | sort -n | cut -d ' ' -f 2 >"$work/got"
same map "$work/expected" "$work/got"
head -1 "$work/expected" >"$work/first"
"$here/example-map" "$(head -1 "$work/files")" | cut -d ' ' -f 2 >"$work/got"
same "map of one" "$work/first" "$work/got"
if "$here/example-map" "$work/none" 2>"$work/error"; then
        echo "examples: map of a file that is not there succeeded" >&2
        exit 1
fi
grep -q '^map: item 0: .' "$work/error"

# async
"$here/example-async" one two three </dev/null | sort >"$work/got"
printf 'one: one\nthree: three\ntwo: two\n' >"$work/expected"
same async "$work/expected" "$work/got"

# stage: two of them between two queues; a third one is stopped while it has a name, and killed
leased() {
        ganger --json shared list | grep '"name":"names"' | grep -q '"leased":1'
}
head -300 "$work/files" | ganger queue put -s names
ganger queue put -s names "$work/none"
"$here/example-stage" names digests & killed=$!
kill -STOP "$killed"
until leased; do
        kill -CONT "$killed"
        kill -STOP "$killed"
done
"$here/example-stage" names digests 2>"$work/error" & one=$!
"$here/example-stage" names digests 2>>"$work/error" & two=$!
kill -KILL "$killed"
wait "$killed" && exit 1
wait "$one"
wait "$two"
ganger queue join -t 0 names
ganger queue get --all-there digests | tr -d '[]"' | tr , ' ' | while read -r name digest; do
        printf '%s  %s\n' "$digest" "$name"
done | sort -u >"$work/got"
head -300 "$work/files" | xargs sha256sum | sort >"$work/expected"
same stage "$work/expected" "$work/got"
grep -q "^stage: $work/none: ." "$work/error"

# rate.sh: eight at most three in a second take three seconds at least; the exit status is the command's
began=$(date +%s%3N)
seq 8 | xargs -P 8 -I '{}' "$examples/rate.sh" 3 rate echo '{}' | sort >"$work/got"
took=$(($(date +%s%3N) - began))
seq 8 >"$work/expected"
same rate.sh "$work/expected" "$work/got"
[ "$took" -ge 2990 ] || { echo "examples: rate.sh ran eight in $took ms" >&2; exit 1; }
status=0
"$examples/rate.sh" 3 rate sh -c 'exit 7' || status=$?
[ "$status" = 7 ]
# counter, twice: what the first one counted is there
for n in 2500 5000; do
        PYTHONDONTWRITEBYTECODE=1 "$python" "$examples/counter.py" >"$work/got"
        echo 2500 >"$work/expected"
        same counter "$work/expected" "$work/got"
        ganger value get hits >"$work/got"
        echo $n >"$work/expected"
        same "the counter's value" "$work/expected" "$work/got"
done

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$examples "$python" "$(dirname "$0")/examples.py" "$work/files"
echo "examples: all as they should"
