#!/bin/sh
# with-daemon.sh BUILD COMMAND...: runs a command beside a private gangerd from the build tree, in a temporary directory
# that is gone afterwards. The command finds it through GANGER_SOCKET, and the programs through PATH. A configuration may
# come in GANGER_TEST_CONFIG (a file). The daemon's log is in $GANGER_LOG, and shown if the command fails and
# GANGER_SHOW_LOG is set.
set -eu
build=$(cd "$1" && pwd)
shift
directory=$(mktemp -d "${TMPDIR:-/tmp}/ganger.XXXXXX")
daemon=
cleanup() {
        status=$?
        trap - EXIT INT TERM
        if [ -n "$daemon" ]; then
                kill -TERM "$daemon" 2>/dev/null || :
                wait "$daemon" 2>/dev/null || :
        fi
        if [ $status -ne 0 ] && [ -n "${GANGER_SHOW_LOG-}" ]; then
                sed 's/^/gangerd: /' "$directory/log" >&2 || :
        fi
        rm -rf "$directory"
        exit $status
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export GANGER_ZYGOTE="$build/daemon/worker/ganger-zygote"
export GANGER_SOCKET="$directory/socket"
export GANGER_LOG="$directory/log"
export PATH="$build/client/cli:$build/daemon:$PATH"
config=${GANGER_TEST_CONFIG-}
if [ -z "$config" ]; then
        config=$directory/conf
        cat >"$config" <<EOF
[daemon]
module_path = $build/daemon/modules
[pool default]
modules = digest text image
EOF
fi
# Standard output and error of the daemon go to its log; 3 tells when it is ready.
"$build/daemon/gangerd" --config "$config" --socket "$GANGER_SOCKET" >"$directory/log" 2>&1 </dev/null &
daemon=$!
tries=0
until [ -S "$GANGER_SOCKET" ] && ganger ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ] || ! kill -0 "$daemon" 2>/dev/null; then
                echo "with-daemon.sh: gangerd did not start:" >&2
                cat "$directory/log" >&2
                exit 1
        fi
        sleep 0.05
done
export GANGER_PID=$daemon
"$@"
