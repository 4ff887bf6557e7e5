#!/bin/sh
# exports.sh LIBRARY SYM HEADER CC: what the library exports, what ganger.sym lists and what ganger.h declares are the
# same names; and the header compiles alone, as C99 and as C++.
set -eu
library=$1 sym=$2 header=$3 cc=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$library" | sed -n 's/.* T \([a-z_]*\)@@GANGER_[0-9]*$/\1/p' | sort >"$work/exported"
nm -D --defined-only "$library" | grep -v ' A GANGER_[0-9]*$' | grep -v ' T ganger_[a-z_]*@@' >"$work/strange" || true
sed -n 's/^ *\(ganger_[a-z_]*\);$/\1/p' "$sym" | sort >"$work/listed"
sed -n '/^GANGER_API/,/;/p' "$header" | grep -o '\bganger_[a-z_]*(' | tr -d '(' | sort -u >"$work/declared"

[ -s "$work/exported" ] || { echo "no exports found in $library"; exit 1; }
[ ! -s "$work/strange" ] || { echo "exported without need:"; cat "$work/strange"; exit 1; }
diff "$work/listed" "$work/exported" || { echo "ganger.sym (<) and the library (>) differ"; exit 1; }
diff "$work/declared" "$work/exported" || { echo "ganger.h (<) and the library (>) differ"; exit 1; }

printf '#include "%s"\nint main(void) { struct ganger_options o = GANGER_OPTIONS_INIT; return o.priority; }\n' "$header" \
        >"$work/alone.c"
# shellcheck disable=SC2086 # CC may be several words
$cc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only "$work/alone.c"
# shellcheck disable=SC2086
if ! echo 'int x;' | $cc -x c++ -fsyntax-only - 2>"$work/why"; then
        echo "no C++ compiler: the header as C++ was not tried"
        exit 77
fi
# shellcheck disable=SC2086
$cc -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only "$work/alone.c"
echo "$(wc -l <"$work/exported") names"
