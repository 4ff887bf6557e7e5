#!/bin/sh
# fresh-root.sh: the two commands on a bare Debian 12. Makes one with mmdebstrap, clones the committed tree into it, and runs
# ./dev demo and ./dev test, twice: as root, who installs what is missing, then as an ordinary user. Needs root (mount and
# pid namespaces, chroot). Everything is gone afterwards.
set -eu

if [ "$(id -u)" != 0 ]; then
        echo "SKIP: fresh-root: needs root"
        exit 77
fi
tree=$(cd "$(dirname "$0")/../.." && pwd)

if [ -z "${FRESH_ROOT-}" ]; then
        FRESH_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/ganger-fresh.XXXXXX")
        export FRESH_ROOT
        trap 'rm -rf --one-file-system "$FRESH_ROOT"' EXIT
        chmod 755 "$FRESH_ROOT"
        mmdebstrap --quiet --variant=minbase --include=git,ca-certificates bookworm "$FRESH_ROOT"
        git -c safe.directory="$tree" -C "$tree" bundle create -q "$FRESH_ROOT/ganger.bundle" HEAD
        # A pid namespace of its own: whatever is left running in it ends with it. Its mounts go with the mount namespace.
        unshare --mount --pid --fork --kill-child "$0"
        exit 0
fi

cp /etc/resolv.conf "$FRESH_ROOT/etc/resolv.conf"
mount -t proc proc "$FRESH_ROOT/proc"
mount --rbind /sys "$FRESH_ROOT/sys"
mount --rbind /dev "$FRESH_ROOT/dev"
mount -t tmpfs -o mode=1777 tmpfs "$FRESH_ROOT/dev/shm"

inside() { # COMMAND as root, on an empty environment
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 chroot "$FRESH_ROOT" "$@"
}
as_user() {
        inside setpriv --reuid=tester --regid=tester --init-groups env HOME=/home/tester "$@"
}

both() { # RUNNER DIRECTORY
        run=$1
        directory=$2
        $run git clone -q /ganger.bundle "$directory"
        for command in demo test; do
                began=$(date +%s)
                echo "--- $run: ./dev $command"
                $run "$directory/dev" $command >"$FRESH_ROOT/log" 2>&1 </dev/null || {
                        tail -n 150 "$FRESH_ROOT/log"
                        echo "fresh-root: ./dev $command failed ($run)"
                        exit 1
                }
                tail -n 3 "$FRESH_ROOT/log"
                echo "--- $(($(date +%s) - began)) s"
        done
}

both inside /root/ganger
inside useradd --create-home tester
both as_user /home/tester/ganger
