#!/bin/sh
# fresh-root.sh: the two commands on a bare Debian 12. Makes one with mmdebstrap, clones the committed tree into it, and runs
# ./dev demo and ./dev test, twice: as root, who installs what is missing, then as an ordinary user. Needs root (mount and
# pid namespaces, chroot). Everything is gone afterwards; if FRESH_ROOT_LOGS names a directory, what was said is kept there.
set -eu

skip() { # WHY
        echo "SKIP: fresh-root: $1"
        exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
command -v mmdebstrap >/dev/null || skip "needs mmdebstrap"
tree=$(cd "$(dirname "$0")/../.." && pwd)

now() {
        date +%s
}

if [ -z "${FRESH_ROOT-}" ]; then
        FRESH_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/ganger-fresh.XXXXXX")
        export FRESH_ROOT
        child=
        # shellcheck disable=SC2317 # the trap calls it
        clean() {
                if [ -n "$child" ]; then
                        kill "$child" 2>/dev/null || :
                        wait "$child" || :
                fi
                rm -rf --one-file-system "$FRESH_ROOT"
        }
        trap clean EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        run() { # COMMAND…, so that a signal meanwhile is acted upon at once
                status=0
                "$@" &
                child=$!
                wait "$child" || status=$?
                child=
                return $status
        }
        chmod 755 "$FRESH_ROOT"
        began=$(now)
        # Nothing in it outlives this script, so dpkg need not wait for the disk.
        run mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include=git,ca-certificates bookworm "$FRESH_ROOT" ||
                skip "mmdebstrap makes no bare Debian here"
        git -c safe.directory="$tree" -C "$tree" bundle create -q "$FRESH_ROOT/ganger.bundle" HEAD
        echo "--- a bare Debian 12, $(($(now) - began)) s"
        # A pid namespace of its own: whatever is left running in it ends with it. Its mounts go with the mount namespace.
        run unshare --mount --pid --fork --kill-child "$0"
        exit 0
fi

# A mount of its own, or nothing inside could have private mounts.
mount --bind "$FRESH_ROOT" "$FRESH_ROOT"
cp /etc/resolv.conf "$FRESH_ROOT/etc/resolv.conf"
mount -t proc proc "$FRESH_ROOT/proc"
mount --rbind /sys "$FRESH_ROOT/sys"
mount --rbind /dev "$FRESH_ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$FRESH_ROOT/dev/shm"

inside() { # COMMAND as root, on an environment that says nothing but how to reach the network
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 ${http_proxy+"http_proxy=$http_proxy"} \
                ${https_proxy+"https_proxy=$https_proxy"} chroot "$FRESH_ROOT" "$@"
}
as_user() {
        inside setpriv --reuid=tester --regid=tester --init-groups env HOME=/home/tester "$@"
}

both() { # WHO RUNNER DIRECTORY
        who=$1
        run=$2
        directory=$3
        $run git -c advice.detachedHead=false clone -q /ganger.bundle "$directory"
        for command in demo test; do
                began=$(now)
                echo "--- $who: ./dev $command"
                status=0
                $run "$directory/dev" $command >"$FRESH_ROOT/log" 2>&1 </dev/null || status=$?
                [ -z "${FRESH_ROOT_LOGS-}" ] || mkdir -p "$FRESH_ROOT_LOGS"
                [ -z "${FRESH_ROOT_LOGS-}" ] || cp "$FRESH_ROOT/log" "$FRESH_ROOT_LOGS/$who-$command.log"
                if [ $status -ne 0 ]; then
                        awk '/^ *[0-9]+\/[0-9]+ / { failed = / (FAIL|TIMEOUT|ERROR) / }
                             /^Summary of Failures/ { exit }
                             failed' "$FRESH_ROOT/log"
                        tail -n 30 "$FRESH_ROOT/log"
                        echo "fresh-root: ./dev $command failed ($who)"
                        exit 1
                fi
                case $command in
                demo) tail -n 3 "$FRESH_ROOT/log" ;;
                test) grep -E '^(Ok|Fail|Skipped|Timeout): |SKIP' "$FRESH_ROOT/log" ;;
                esac
                echo "--- $(($(now) - began)) s"
        done
}

both root inside /root/ganger
inside useradd --create-home tester
both user as_user /home/tester/ganger
