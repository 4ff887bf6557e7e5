# bash completion for ganger and gangerd.
#
# Verbs and options are what the program itself says with --help, names are the daemon's own. A daemon that does not
# answer at once is not waited for: then nothing is offered.
# shellcheck shell=bash disable=SC2207

# What the words of fixed lists are: held against the tables by a test.
_ganger_states="delayed ready running unended succeeded failed cancelled expired"
_ganger_ends="worker_lost timed_out task_failed"
_ganger_levels="error warning info debug"
_ganger_kinds="value array lock event barrier queue dict list"
_ganger_types="i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bytes"
_ganger_events="task_succeeded task_failed task_cancelled task_expired user_over worker_started worker_lost worker_stuck
pool_degraded pool_recovered pool_paused pool_resumed pool_scaled reloaded reload_failed stopping"

# The lines of a daemon that answers soon. `program` and `daemon` are the caller's: what was typed.
_ganger_ask() {
        timeout -k 0.2 0.5 "$program" "${daemon[@]}" "$@" 2>/dev/null </dev/null
}

# The values of a key in lines of JSON, those that need no quotes.
_ganger_values() { # KEY
        sed -n "s/^{\(.*,\)\{0,1\}\"$1\":\"\{0,1\}\([A-Za-z0-9._:/+-]*\)\"\{0,1\}[,}].*/\2/p"
}

_ganger_functions() {
        _ganger_ask functions | while read -r name _; do echo "$name"; done | sort -u
}

_ganger_pools() {
        _ganger_ask functions | while read -r _ name _; do echo "$name"; done | sort -u
}

_ganger_tasks() { # [options of list]
        _ganger_ask --json list "$@" | sed -n 's/^{"id":\([0-9]*\),.*/\1/p'
}

_ganger_objects() { # [KIND]
        _ganger_ask --json shared list ${1:+--kind "$1"} | _ganger_values name
}

# What --help says of options: `options`, and in `taking` those that take an argument.
_ganger_read_help() {
        local line
        options=() taking=" "
        while IFS= read -r line; do
                [[ $line == "  -"* ]] || continue
                line=${line#  }
                line=${line%%  *}
                while [[ $line =~ ^(-([[:alnum:]]),\ )?(--[a-z-]+)(\ [A-Z][^ ,]*)?(,\ )?(.*)$ ]]; do
                        options+=("${BASH_REMATCH[3]}")
                        if [[ -n ${BASH_REMATCH[4]} ]]; then
                                taking+="${BASH_REMATCH[3]} ${BASH_REMATCH[2]:+-${BASH_REMATCH[2]} }"
                        fi
                        line=${BASH_REMATCH[6]}
                done
        done < <("$program" "$@" --help 2>/dev/null </dev/null)
        [[ " ${options[*]} " == *" --help "* ]] || options+=(--help)
}

# The verbs, or the words of a verb of verbs, in --help: lines of two blanks and a word.
_ganger_verbs() {
        "$program" "$@" --help 2>/dev/null </dev/null | sed -n '/^Exit status/q; /^`/q; s/^  \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p'
}

# Takes lines for what the word may become. What of it readline keeps, up to its last word break, is not said again; but an @
# it hands over with what follows.
_ganger_take() { # BEGINNING: of each
        local kept i
        kept=${word%"${word##*["$COMP_WORDBREAKS"]}"}
        kept=${kept%@}
        while IFS= read -r i; do
                i=$1$i
                if [[ -n $i ]]; then COMPREPLY+=("${i#"$kept"}"); fi
        done
}

# Offers words that begin as the one that is typed.
_ganger_offer() {
        _ganger_take "" < <(compgen -W "$*" -- "$word")
}

# Offers files for what stands behind a beginning of the word: @, --joblog=.
_ganger_offer_files() { # BEGINNING
        local i
        if [[ $1 == @ ]]; then
                # As a file's name readline would quote the @, and it does not know what is a directory behind it.
                _ganger_take @ < <(compgen -f -- "${word#@}" | while IFS= read -r i; do
                        if [[ -d $i ]]; then i=$i/; fi
                        printf '%q\n' "$i"
                done)
        else
                compopt -o filenames 2>/dev/null
                _ganger_take "$1" < <(compgen -f -- "${word#"$1"}")
        fi
        if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}

# The argument of an option.
_ganger_offer_argument() { # OPTION BEGINNING
        case $1 in
        --socket | --config | --arg-file | -a | --joblog) _ganger_offer_files "$2" ;;
        --pool) _ganger_offer_behind "$2" "$(_ganger_pools)" ;;
        --function) _ganger_offer_behind "$2" "$(_ganger_functions)" ;;
        --state) _ganger_offer_behind "$2" "$_ganger_states" ;;
        --retry-on) _ganger_offer_behind "$2" "$_ganger_ends" ;;
        --kind) _ganger_offer_behind "$2" "$_ganger_kinds" ;;
        --type) _ganger_offer_behind "$2" "$_ganger_types" ;;
        --log-level) _ganger_offer_behind "$2" "$_ganger_levels" ;;
        esac
}

_ganger_offer_behind() { # BEGINNING WORDS
        local i
        local -a behind=()
        for i in $2; do behind+=("$1$i"); done
        _ganger_offer "${behind[@]}"
}

# The n-th word of a verb that is no option.
_ganger_offer_word() { # VERB N
        local verb=$1 n=$2
        case $verb in
        call | submit | map) if ((n == 0)); then _ganger_offer "$(_ganger_functions)"; else _ganger_offer_files ""; fi ;;
        wait) _ganger_offer "$(_ganger_tasks)" ;;
        cancel) _ganger_offer "$(_ganger_tasks --state unended)" ;;
        result | attach | logs | show | why) if ((n == 0)); then _ganger_offer "$(_ganger_tasks)"; fi ;;
        events) _ganger_offer "$_ganger_events" ;;
        log-level) if ((n == 0)); then _ganger_offer "$_ganger_levels"; fi ;;
        pool) if ((n == 0)); then _ganger_offer scale pause resume drain reload; elif ((n == 1)); then _ganger_offer "$(_ganger_pools)"; fi ;;
        "shared open") if ((n == 0)); then _ganger_offer "$(_ganger_objects)"; elif ((n == 1)); then _ganger_offer "$_ganger_kinds"; fi ;;
        "shared unlink") _ganger_offer "$(_ganger_objects)" ;;
        sequence\ *) if ((n == 0)); then _ganger_offer "$(_ganger_objects list)"; fi ;;
        *\ * | lock | pipe) if ((n == 0)); then _ganger_offer "$(_ganger_objects "${verb%% *}")"; fi ;;
        esac
}

# A command and its arguments: what follows run, lock NAME, map --exec.
_ganger_offer_command() { # N
        if (($1 == 0)); then
                COMPREPLY+=($(compgen -c -- "$word"))
        else
                _ganger_offer_files ""
        fi
}

# Where among the words of a verb the typed one stands: `n` words before it that are no options, `waiting` the option that
# waits for its argument, `ended` whether there was a --, `execs` whether --exec.
_ganger_place() { # WORD...
        n=0 waiting="" ended="" execs=""
        while (($# > 1)); do
                if [[ -n $waiting ]]; then
                        waiting=""
                elif [[ -n $ended || $1 != -?* ]]; then
                        n=$((n + 1))
                        if [[ $verb == run || ($verb == map && -n $execs) || ($verb == lock && $n -gt 1) ]]; then ended=1; fi
                elif [[ $1 == -- ]]; then
                        ended=1
                elif [[ $taking == *" $1 "* ]]; then
                        waiting=$1
                elif [[ $1 == --exec || $1 == -x ]]; then
                        execs=1
                fi
                shift
        done
}

_ganger_complete_verb() { # WORD...: what stands behind the verb
        local n waiting ended execs options taking
        # shellcheck disable=SC2086 # two words
        _ganger_read_help $verb
        _ganger_place "$@"
        if [[ -n $waiting ]]; then
                _ganger_offer_argument "$waiting" ""
        elif [[ -z $ended && $word == --*=* ]]; then
                _ganger_offer_argument "${word%%=*}" "${word%%=*}="
        elif [[ -z $ended && $word == -* ]]; then
                _ganger_offer "${options[@]}"
        elif [[ $word == @* && $word != @@* ]]; then
                _ganger_offer_files @
        elif [[ $verb == run ]]; then
                _ganger_offer_command "$n"
        elif [[ $verb == map && -n $execs ]]; then
                _ganger_offer_command "$n"
        elif [[ $verb == lock && $n -gt 0 ]]; then
                _ganger_offer_command $((n - 1))
        else
                _ganger_offer_word "$verb" "$n"
        fi
}

# The words up to the cursor, as blanks part them: readline's own are parted at @ and = too.
_ganger_words() {
        local line=${COMP_LINE:0:COMP_POINT}
        read -ra words <<<"$line"
        if [[ $line == *[[:space:]] ]]; then words+=(""); fi
        word=${words[${#words[@]} - 1]}
}

_ganger() {
        local program=$1 words word verb="" i=1
        local -a daemon=()
        COMPREPLY=()
        _ganger_words
        while ((i < ${#words[@]} - 1)) && [[ ${words[i]} == -* ]]; do
                if [[ ${words[i]} == --socket ]]; then
                        daemon+=("${words[i]}" "${words[i + 1]}")
                        i=$((i + 1))
                elif [[ ${words[i]} == --socket=* || ${words[i]} == --user || ${words[i]} == --system ]]; then
                        daemon+=("${words[i]}")
                fi
                i=$((i + 1))
        done
        if ((i >= ${#words[@]})); then
                _ganger_offer_argument --socket ""
        elif ((i == ${#words[@]} - 1)) && [[ $word == --*=* ]]; then
                _ganger_offer_argument "${word%%=*}" "${word%%=*}="
        elif ((i == ${#words[@]} - 1)) && [[ $word == -* ]]; then
                local options taking
                _ganger_read_help
                _ganger_offer "${options[@]}"
        elif ((i == ${#words[@]} - 1)); then
                _ganger_offer "$(_ganger_verbs)"
        else
                verb=${words[i]}
                case $verb in
                shared | value | array | queue | dict | sequence | event | barrier)
                        if ((i == ${#words[@]} - 2)); then
                                _ganger_offer "$(_ganger_verbs "$verb")"
                                return
                        fi
                        verb="$verb ${words[i + 1]}"
                        i=$((i + 1))
                        ;;
                esac
                _ganger_complete_verb "${words[@]:i + 1}"
        fi
}

_gangerd() {
        local program=$1 words word options taking previous
        local -a daemon=()
        COMPREPLY=()
        _ganger_words
        previous=${words[${#words[@]} - 2]}
        if [[ $previous == --config || $previous == --socket || $previous == --log-level ]]; then
                _ganger_offer_argument "$previous" ""
        elif [[ $word == --*=* ]]; then
                _ganger_offer_argument "${word%%=*}" "${word%%=*}="
        else
                _ganger_read_help
                _ganger_offer "${options[@]}"
        fi
}

complete -o bashdefault -F _ganger ganger
complete -F _gangerd gangerd
