#!/bin/sh
# shellcheck disable=SC2016 # what is in single quotes is for the inner shell
# test_cli.sh BUILD: the command line as people use it, on a real daemon. Prints each case; ends with 1 if one failed.
set -u
build=$1
if [ -z "${GANGER_CLI_INSIDE-}" ]; then
        here=$(cd "$(dirname "$0")" && pwd)
        GANGER_CLI_INSIDE=1 GANGER_SHOW_LOG=1 exec "$here/../support/with-daemon.sh" "$build" "$here/$(basename "$0")" "$@"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/ganger-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0
count=0

# expect STATUS STDOUT COMMAND...: runs it and compares both. STDOUT may hold shell patterns.
expect() {
        want_status=$1
        want=$2
        shift 2
        count=$((count + 1))
        timeout 30 "$@" >out 2>err </dev/null
        status=$?
        got=$(cat out)
        # shellcheck disable=SC2254 # a pattern is wanted
        case $got in
        $want) matches=yes ;;
        *) matches=no ;;
        esac
        if [ $status = "$want_status" ] && [ $matches = yes ]; then
                return
        fi
        failed=$((failed + 1))
        printf 'FAILED: %s\n  status %s, wanted %s\n  output %s\n  wanted %s\n  errors %s\n' \
                "$*" $status "$want_status" "$got" "$want" "$(cat err)"
}
# says TEXT: the last command's standard error holds the text.
says() {
        count=$((count + 1))
        if ! grep -qF -- "$1" err; then
                failed=$((failed + 1))
                printf 'FAILED: the message should hold: %s\n  it is: %s\n' "$1" "$(cat err)"
        fi
}

# Values in and out.
expect 0 '5' ganger call echo 5
expect 0 '-5' ganger call echo -- -5
expect 0 '"hello"' ganger call echo hello
expect 0 'hello' ganger call --raw echo hello
expect 0 '"5"' ganger call -s echo 5
expect 0 '{"a":*1,2.5,null,true*}' ganger call echo '{"a": [1, 2.5, null, true]}'
expect 0 '0.1' ganger call echo 0.1
expect 0 '[[]0.1,1795572466.0274096,1e-5,1e300,-2.5,3.0]' ganger call echo '[0.1, 1795572466.0274096, 0.00001, 1e300, -2.5, 3.0]'
expect 0 '"@x"' ganger call echo @@x
expect 2 '' ganger call -J echo '{broken'
says "is no JSON"
expect 2 '' ganger call digest.sha256 @/does/not/exist
says "No such file"
printf abc >abc
expect 0 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ganger call --raw digest.sha256 @abc
expect 0 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad ganger call --raw digest.sha256 "$work/abc"

# Errors, and what to do about them.
expect 125 '' ganger call no.such
says "no.such"
says "ganger functions"
expect 125 '' ganger call --pool nowhere echo 1
says "nowhere"
expect 2 '' ganger nonsense
says "there is no verb 'nonsense'"
expect 2 '' ganger call
expect 2 '' ganger call --priority 101 echo 1
says "-100 to 100"
expect 2 '' ganger show x
expect 2 '' ganger submit --raw echo 1
expect 2 '' ganger submit -r echo 1
expect 125 '' ganger --socket "$work/none" ping
says "is gangerd running?"
long=$work/$(printf '%0120d' 0)
expect 125 '' ganger --socket "$long" ping
says "107"
expect 125 '' ganger show 1
expect 2 '' ganger list --state nonsense
says '"delayed"'
expect 2 '' ganger call --label "$(printf '%02000d' 0)" echo 1
says "label"
for verb in list show 'call echo' 'map echo' ping status cancel; do
        # shellcheck disable=SC2086 # words are wanted
        expect 2 '' ganger $verb --json 1
        says "--json goes before the verb"
done
for verb in show why attach logs result; do
        expect 2 '' ganger $verb
        says "which task?"
        expect 2 '' ganger $verb 1 2
        says "one task, not '2'"
        expect 2 '' ganger $verb --nonsense 1
        says "--nonsense"
        expect 125 '' ganger $verb -- 1
        says "no such task"
done
expect 2 '' ganger cancel -x
expect 2 '' ganger ping 1
expect 2 '' ganger --user --system ping
says "exclude each other"
expect 2 '' ganger call echo -5
says "behind --"
expect 1 '' ganger call digest.sha256 /does/not/exist
says "/does/not/exist"

# Submit and what follows.
id=$(ganger submit --label mine echo '[1, "two"]')
expect 0 "$id succeeded" ganger wait "$id"
expect 0 '*"mine"*' ganger --json show "$id"
expect 0 '*succeeded*' ganger show "$id"
failing=$(ganger submit digest.sha256 /does/not/exist)
expect 1 "$failing failed" ganger wait -- "$failing"
expect 0 '' sh -c "ganger show $failing | grep -w null || :" # what is not there is not shown
expect 0 '[[]1,"two"]' ganger result --keep "$id"
expect 0 '[[]1,"two"]' ganger result "$id"
expect 125 '' ganger result "$id"
id=$(ganger submit sleep 60)
expect 124 '' ganger result --timeout 50ms "$id"
expect 124 '' ganger wait --timeout 50ms "$id"
expect 0 "*$id*running*" ganger list --state running
expect 0 '1 cancelled' ganger cancel "$id"
expect 1 "$id cancelled" ganger wait "$id"
expect 0 '0 cancelled' ganger cancel "$id"
id=$(ganger submit --delay 1h echo 1)
expect 0 "*$id*delayed*" ganger list --state delayed
expect 0 '1 cancelled' ganger cancel "$id"
expect 124 '' ganger call --timeout 100ms sleep 60
says "timeout"
expect 124 '' ganger call --delay 10 --expires 100ms echo 1

expect 1 '1 unknown' ganger wait --count 5 1
expect 0 '0' ganger --json cancel 1 2

# What is closed or full: never a wrong success, and no other descriptor in its place.
expect 125 '' sh -c 'ganger call echo hi >&-'
says "standard output: Bad file descriptor"
expect 125 '' sh -c 'ganger map echo 1 2 3 >&-'
says "standard output: Bad file descriptor"
expect 2 '' sh -c 'ganger map echo <&-'
says "standard input: Bad file descriptor"
expect 2 '' ganger map -a . echo
says ".: Is a directory"
expect 125 '' sh -c 'ganger map echo 1 >/dev/full'
for words in --help --version 'map --help' list status 'submit echo 1' 'call echo 1'; do
        expect 125 '' sh -c "ganger $words >/dev/full"
        says "standard output: No space left on device"
done
says "No space left on device"
expect 0 'hi' sh -c 'ganger run -- echo hi <&- 2>&-'
expect 0 '' sh -c 'ganger run -- echo hi >&-'

# Commands.
expect 0 'hi' ganger run -- echo hi
expect 3 '' ganger run -- sh -c 'exit 3'
expect 143 '' ganger run -- sh -c 'kill -TERM $$'
expect 127 '' ganger run -- no-such-command-here
says "no-such-command-here"
touch plain
expect 126 '' ganger run -- ./plain
expect 0 "$work" ganger run -- pwd
expect 125 '' sh -c 'mkdir gone && cd gone && rmdir ../gone && ganger run -- pwd'
says "the current directory"
expect 0 'value' ganger run --env NAME=value -- sh -c 'echo $NAME'
expect 2 '' ganger run --key k -- echo hi
says "--detach"
id=$(ganger run -d --key k -- echo hi)
expect 0 "$id" ganger run -d --key k -- echo hi
expect 0 '0027' sh -c 'umask 27; ganger run -- sh -c umask'
expect 0 'C B A ' sh -c 'printf "A\nB\nC\n" | ganger run -- sort -r | tr "\n" " "'
expect 0 'out' sh -c 'ganger run -- sh -c "echo out; echo err >&2" 2>redirected'
expect 0 'err' cat redirected
expect 141 'y' bash -o pipefail -c 'ganger run -- yes | head -n 1'
id=$(ganger run -d -- sh -c 'echo started; echo oops >&2; sleep 0.2; echo done; exit 4')
expect 4 'started
done' ganger attach "$id"
says "oops"
expect 0 'started
done' ganger logs "$id"
id=$(ganger run -d -- sh -c 'echo going; sleep 60')
until ganger logs "$id" | grep -q going; do :; done
expect 0 'going' ganger logs "$id"
expect 0 '1 cancelled' ganger cancel "$id"

# Ctrl-C cancels what is waited for.
count=$((count + 2))
ganger run -- sleep 61 &
runner=$!
until ganger list --state running | grep -q exec; do :; done
kill -TERM $runner
wait $runner
[ $? = 143 ] || { failed=$((failed + 1)); echo "FAILED: a run that was terminated should say 143"; }
ganger list --state running | grep -q core && { failed=$((failed + 1)); echo "FAILED: its task still runs"; }

# What blocks before there is a task, or where nobody reads, ends by a signal all the same.
# timeout sends SIGCONT too, and a leak checker that has just stopped its process for its last look would wait for ever.
cat >briefly <<'EOF'
#!/bin/sh
ASAN_OPTIONS=${ASAN_OPTIONS-}:detect_leaks=0 exec timeout 1 "$@"
EOF
chmod +x briefly
mkfifo fifo
expect 124 '' ./briefly ganger call echo @fifo
sleep 60 <>fifo &
sleeper=$!
expect 124 '' ./briefly sh -c 'seq 100000 | exec ganger map echo >fifo'
kill $sleeper
expect 124 '' ./briefly ganger run -- sleep 62
while ganger list --state running | grep -q exec; do :; done

# Map.
expect 0 '1
2
3' ganger map -k echo 1 2 3
expect 0 '"a"
"b"' sh -c 'printf "a\nb" | ganger map -k echo'
expect 0 '"a b"
"c"' sh -c 'printf "a b\0c\0" | ganger map -0 -k echo'
expect 0 '3' ganger map --array echo '[3]'
expect 0 'one
two' sh -c 'printf "one\ntwo\n" | ganger map -k --exec -- echo'
expect 0 'x-one-x
x-two-x' sh -c 'printf "one\ntwo\n" | ganger map -k --exec -- echo x-{}-x'
expect 0 ' ff fe' sh -c 'echo a | ganger map --exec -- sh -c "printf \"\\377\\376\"" | od -An -tx1' # bytes, not only text
expect 0 ' ff' sh -c 'echo a | ganger map --exec -- sh -c "printf \"\\377\"; exit 1" | od -An -tx1'
expect 0 '-n-a' sh -c 'echo a | ganger map --exec printf %s%s -n-'
expect 0 '-5' ganger map -- echo -5
expect 0 '-5
-6' ganger map echo -k -- -5 -6
expect 2 '' sh -c 'python3 -c "print(40 * chr(91) + 40 * chr(93))" | ganger map echo'
says "nested too deep"
expect 2 '' ganger map echo @/none 1
says "item 0: /none: No such file"
expect 123 'good' sh -c 'echo good >good; printf "good\nbad\n" | ganger map -k --exec -- cat'
says "item 1 (bad)"
says "1 of 2 items failed"
expect 123 '{"index":0,"item":"/none","error":*}' ganger --json map digest.sha256 /none
expect 0 '50005000' sh -c 'seq 10000 | ganger map echo | awk "{ s += \$1 } END { print s }"'
expect 0 '' sh -c 'ganger map echo </dev/null'
expect 0 "$(seq 1000)" sh -c 'seq 1000 | ganger map -k -j 3 echo'
expect 0 1 ganger map -k --ordered -k -j 0 echo 1
expect 2 '' ganger map -j 2 -j 3 echo 1
says "once"
expect 2 '' ganger map --limit 2 -j 3 echo 1
says 'takes one of --jobs and --limit, once'
expect 2 '' ganger map -j 3 --limit 2 echo 1
says 'takes one of --jobs and --limit, once'
expect 2 '' ganger map -a abc -a plain echo
expect 2 '' ganger map --array --string echo '[1]'
expect 2 '' ganger map --env A=1 echo 1
says "--exec"
for option in --array --string --insist-json; do
        expect 2 '' ganger map --exec $option -- echo
done
expect 2 '' ganger map -J echo '{broken'
expect 123 '' ganger map digest.sha256 "$(printf '/no\n\033[2Jsuch')"
says "item 0 (\$'/no\n\033[2Jsuch'): "
expect 125 '' ganger map no.such 1

# Looking. Whoever names a task does not write on the terminal of whoever looks.
id=$(ganger submit --label "$(printf '\033[2Jfoul')" echo 1)
expect 0 '*[?]?2Jfoul' ganger list --function echo
expect 0 '*"?u001B?2Jfoul"*' ganger show "$id"
expect 0 'pong in * ms' ganger ping
expect 0 '*echo*digest.sha256*' ganger functions
expect 0 '*default*' ganger status
expect 0 '{*"pools":*}' ganger --json status
expect 0 '' ganger status -q
expect 0 'ganger *' ganger --version
expect 0 'usage: ganger map*--fail-fast*' ganger map --help
expect 0 'usage: ganger ping' sh -c 'ganger ping --help | head -n 1'

# For admins.
expect 0 '' ganger pool pause default
expect 0 '*default*paused*' ganger status
expect 1 '' ganger status -q
expect 124 '' ganger call --expires 100ms echo 1
expect 0 '' ganger pool resume default
expect 0 '' ganger pool scale default 3
expect 0 '' ganger pool drain --timeout 5s default
expect 0 '' ganger pool resume default
ganger submit sleep 1 >/dev/null
until ganger status | grep -q busy; do :; done
expect 124 '' ganger pool drain -t 50ms default
expect 0 'null' ganger --json pool resume default
expect 125 '' ganger pool pause nowhere
says "nowhere"
expect 0 '' ganger pool reload -w default
expect 125 '' ganger pool reload nowhere
expect 0 'default' ganger reload
expect 0 'default' ganger reload --wait
expect 0 '{"pools":[[]"default"]}' ganger --json reload
expect 2 '' ganger reload default
says "ganger pool reload"
expect 2 '' ganger pool
says "scale, pause, resume, drain, reload"
expect 2 '' ganger pool scale default many
expect 2 '' ganger pool drain
expect 0 'info' ganger log-level debug
expect 0 'debug' ganger log-level
expect 0 'debug' ganger log-level info
expect 2 '' ganger log-level loud
says "warning"

echo "$((count - failed)) passed, $failed failed"
[ $failed = 0 ]
