#!/bin/sh
# headers.sh BUILD: every header compiles alone; the installed ones also as C99 and as C++.
set -eu
build=$1
failed=0
try() { # LANGUAGE FLAGS… HEADER
        language=$1
        shift
        header=$1
        shift
        printf '#include "%s"\n' "$header" |
                "${CC:-cc}" -x "$language" "$@" -D_GNU_SOURCE -I. -I"$build" -Wall -Wextra -Werror -fsyntax-only - || {
                echo "$header is not self-sufficient ($language $*)"
                failed=1
        }
}
for header in $(find proto daemon client tests -name '*.h' | sort); do
        try c "$header" -std=gnu17
done
for header in client/ganger.h proto/ganger_shared.h daemon/worker/ganger_module.h; do
        try c "$header" -std=c99 -pedantic
        try c++ "$header" -std=c++11 -pedantic
done
exit $failed
