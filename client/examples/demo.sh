#!/bin/sh
# demo.sh BUILD: the main job, shown on real input with a private daemon. `./dev demo` runs it. It leaves nothing running;
# pictures stay in build/demo/.
set -eu
build=$1
here=$(dirname "$0")
if [ -z "${GANGER_DEMO_INSIDE-}" ]; then
        export GANGER_DEMO_INSIDE=1
        exec "$here/../../tests/support/with-daemon.sh" "$build" "$0" "$@"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/ganger-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
out=$build/demo
mkdir -p "$out"

title() {
        printf '\n== %s\n' "$*"
}
fail() {
        printf 'demo: %s\n' "$*" >&2
        exit 1
}
now() {
        date +%s.%N
}
seconds() { # FROM TO
        awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f s", b - a }'
}

title "1. digest.sha256 over every file under /usr/include, against sha256sum"
find /usr/include -type f -size -16M | sort >"$work/files"
printf '%s files\n' "$(wc -l <"$work/files")"
a=$(now)
ganger map -k -s --raw digest.sha256 --arg-file "$work/files" >"$work/ours"
b=$(now)
xargs -d '\n' sha256sum <"$work/files" | cut -d ' ' -f 1 >"$work/theirs"
c=$(now)
cmp "$work/ours" "$work/theirs" || fail "the digests differ"
printf 'every line equal: ganger map %s, sha256sum %s\n' "$(seconds "$a" "$b")" "$(seconds "$b" "$c")"

title "2. one large text, cut into parts, counted by map, merged in workers as a tree"
find /usr/include -name '*.h' -type f -size -1000k | sort | head -n 2000 | xargs -d '\n' cat >"$work/text"
size=$(wc -c <"$work/text")
part=1048576
offset=0
: >"$work/parts"
while [ "$offset" -lt "$size" ]; do
        printf '["%s", {"offset": %s, "length": %s}]\n' "$work/text" "$offset" "$part" >>"$work/parts"
        offset=$((offset + part))
done
ganger map --array text.count --arg-file "$work/parts" >"$work/counts"
printf '%s bytes in %s parts\n' "$size" "$(wc -l <"$work/parts")"
while [ "$(wc -l <"$work/counts")" -gt 1 ]; do
        # Two counts a merge: each line of the next level is the sum of two of this one.
        paste -d '\n' "$work/counts" | awk 'NR % 2 { a = $0; next } { print "[" a "," $0 "]"; a = "" }
                END { if (a != "") print "[" a "]" }' >"$work/pairs"
        ganger map --array text.merge --arg-file "$work/pairs" >"$work/counts"
        printf '  merged to %s\n' "$(wc -l <"$work/counts")"
done
python3 - "$work/counts" "$work/text" <<'EOF'
import collections, json, re, sys
ours = json.load(open(sys.argv[1]))
words = re.findall(rb"[0-9A-Za-z\x80-\xff]+", open(sys.argv[2], "rb").read())
theirs = collections.Counter(w.lower() for w in words)
# A word that is not UTF-8 comes out of JSON as {"$bin": ...}: only keys that are text are compared one by one.
text = {w.decode(): n for w, n in theirs.items() if w.isascii()}
ours = {w: n for w, n in ours.items() if w.isascii() and not w.startswith("{")}
assert ours == text, "the counts differ"
print("%d different words, as Python counts them; the most frequent:" % len(ours))
for word, n in sorted(ours.items(), key=lambda x: -x[1])[:5]:
    print("  %8d %s" % (n, word))
EOF

title "3. noise and gamma on a picture"
python3 - "$out/picture.png" <<'EOF'
import math, struct, sys, zlib
w, h = 480, 320
rows = bytearray()
for y in range(h):
    rows.append(0)
    for x in range(w):
        r = math.hypot(x - w / 2, y - h / 2) / 12
        rows += bytes((int(127 + 127 * math.sin(r)), 255 * x // w, 255 * y // h))
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open(sys.argv[1], "wb") as f:
    f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))
EOF
picture=$(cd "$out" && pwd)
ganger call image.noise "$picture/picture.png" "$picture/noise.png" '{"mode": "gaussian", "var": 0.01, "seed": 1}'
ganger call image.noise "$picture/picture.png" "$picture/pepper.png" '{"mode": "s&p", "amount": 0.05, "seed": 1}'
ganger call image.gamma "$picture/picture.png" "$picture/gamma.png" '{"gamma": 2.2}'
ls -l "$out"

title "4. a command in a pipeline"
n=$(seq 100000 | ganger run -- sort -r | head -n 1)
printf 'seq 100000 | ganger run -- sort -r | head -n 1  ->  %s\n' "$n"
[ "$n" = 99999 ] || fail "sort said $n"

title "5. a worker is killed in the middle of a map"
yes 0.2 | head -n 40 >"$work/items" # so long that a kill hardly falls between two: then nothing is lost
ganger map sleep --arg-file "$work/items" >"$work/slept" 2>"$work/said" &
map=$!
victim=
while [ -z "$victim" ]; do
        victim=$(ganger --json status | python3 -c '
import json, sys
busy = [w for w in json.load(sys.stdin)["workers"] if w["state"] == "busy"]
print(busy[0]["pid"] if busy else "")')
        kill -0 $map || fail "the map ended before a worker could be killed"
done
kill -KILL "$victim"
status=0
wait $map || status=$?
printf 'killed worker %s; the map ended with status %s, %s results; it said:\n' "$victim" "$status" "$(wc -l <"$work/slept")"
tail -n 4 "$work/said"
[ "$status" = 123 ] || fail "123 was expected: one item failed"
[ "$(wc -l <"$work/slept")" = 39 ] || fail "39 results were expected"

title "6. the status at the end"
ganger status
