#!/bin/sh
# rate.sh N NAME COMMAND...: runs the command; at most N of the same NAME begin in any second, whichever programs and users'
# shells start them: each holds a place of a semaphore for a second at least. One that is killed gives it back.
#
#       xargs -P 20 -n 1 rate.sh 5 api curl -O <urls
set -eu
if [ $# -lt 3 ]; then
        echo "usage: rate.sh N NAME COMMAND..." >&2
        exit 2
fi
limit=$1 name=$2
shift 2
# shellcheck disable=SC2016 # expanded by the inner shell
exec ganger lock --limit "$limit" "$name" -- sh -c 'sleep 1 & "$@"; status=$?; wait; exit "$status"' rate.sh "$@"
