# shellcheck shell=bash
# Completion of warren for bash. The lines of its tables are those of the commands and options.

# What these functions find: rows of a table, and whether the last one stands for all behind it.
# Of an argument a row says: text, file, folder, setting (KEY=VALUE), or words:A|B. Of an option it
# is its name, and what its argument is; - is none.

_warren_find_words() # GROUP: the words behind it
{
    _warren_rows=()
    case $1 in
#@words
    esac
}

_warren_find_options() # COMMAND
{
    _warren_rows=()
    case $1 in
#@options
    esac
}

_warren_find_arguments() # COMMAND
{
    _warren_rows=() _warren_more=no
    case $1 in
#@arguments
    esac
}

_warren_find_values() # KEY
{
    _warren_rows=()
    case $1 in
#@values
    esac
}

_warren_settings()
{
    cat <<'END'
#@settings
END
}

# The options that the rows name.
_warren_option_names()
{
    printf '%s\n' "${_warren_rows[@]%% *}"
}

# _warren_kind COMMAND OPTION: what its argument is; - is none, "" an option that is none.
_warren_kind()
{
    local row
    _warren_find_options "$1"
    kind=
    for row in "${_warren_rows[@]}"; do
        [[ ${row%% *} == "$2" ]] && kind=${row#* }
    done
}

# _warren_value KIND TEXT: what TEXT may become.
_warren_value()
{
    local rest=$2
    case $1 in
    file)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        ;;
    folder)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$2")
        ;;
    words:*)
        rest=${1#words:}
        mapfile -t COMPREPLY < <(compgen -W "${rest//|/ }" -- "$2")
        ;;
    setting)
        if [[ $2 == *=* ]]; then
            _warren_find_values "${2%%=*}"
            before+=${2%%=*}=
            [ ${#_warren_rows[@]} -eq 0 ] || _warren_value "${_warren_rows[0]}" "${2#*=}"
        else
            compopt -o nospace 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W "$(_warren_settings)" -- "$2")
        fi
        ;;
    esac
}

_warren()
{
    local all=() i word command option='' kind='' before='' count=0 words=1
    local _warren_rows=() _warren_more=no
    COMPREPLY=()
    # bash cuts words at =.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 1)) && [[ $word == =* || ${COMP_WORDS[i - 1]} == *= ]]; then
            all[${#all[@]} - 1]+=$word
        else
            all+=("$word")
        fi
    done
    word=${all[${#all[@]} - 1]}
    unset "all[${#all[@]} - 1]"
    [ "${all[0]:-}" = help ] && all=("${all[@]:1}") option=help

    # The words of the command.
    command=${all[0]:-}
    if [ ${#all[@]} -gt 0 ]; then
        _warren_find_words "$command"
        if [ ${#_warren_rows[@]} -gt 0 ]; then
            command+=" ${all[1]:-}"
            words=2
        fi
    fi
    if [ ${#all[@]} -lt $words ]; then
        _warren_find_words "${all[0]:-}"
        [[ $word != -* ]] || _warren_rows=(--help)
        [[ $word != -* || ${#all[@]} -gt 0 ]] || _warren_rows+=(--version)
        mapfile -t COMPREPLY < <(compgen -W "${_warren_rows[*]}" -- "$word")
        return
    fi
    [ "$option" != help ] || return

    # Options and arguments before this word.
    for i in "${all[@]:words}"; do
        if [ -n "$option" ]; then
            option=
        elif [[ $i == --*=* ]]; then
            :
        elif [[ $i == -?* ]]; then
            _warren_kind "$command" "$i"
            [[ -z $kind || $kind == - ]] || option=$i
        else
            count=$((count + 1))
        fi
    done

    if [ -n "$option" ]; then
        _warren_kind "$command" "$option"
        _warren_value "$kind" "$word"
    elif [[ $word == --*=* ]]; then
        _warren_kind "$command" "${word%%=*}"
        before=${word%%=*}=
        _warren_value "$kind" "${word#*=}"
    elif [[ $word == -* ]]; then
        _warren_find_options "$command"
        mapfile -t COMPREPLY < <(compgen -W "$(_warren_option_names)" -- "$word")
    else
        _warren_find_arguments "$command"
        if ((count >= ${#_warren_rows[@]})) && [ $_warren_more = yes ]; then
            count=$((${#_warren_rows[@]} - 1))
        fi
        [ -z "${_warren_rows[count]:-}" ] || _warren_value "${_warren_rows[count]}" "$word"
    fi
    # Where it does not cut them there, the whole word is wanted.
    [[ $COMP_WORDBREAKS == *=* || -z $before ]] || COMPREPLY=("${COMPREPLY[@]/#/$before}")
}

complete -F _warren warren
