#compdef warren
# Completion of warren for zsh. The lines of its tables are those of the commands and options.

_warren_set() {
    if compset -P 1 '*='; then
        case ${${IPREFIX%=}##*=} in
#@values
        esac
    else
        local -a keys=(
#@settings
        )
        compadd -S '' -- $keys
    fi
}

_warren_commands() { # GROUP, or nothing
    local -a names
    case $1 in
#@words
    esac
    _describe -t commands command names
}

_warren() {
    local name
    integer words_of_name=1
    if [[ $words[2] == help ]] && ((CURRENT > 2)); then
        shift words
        ((CURRENT--))
        ((CURRENT == 2)) && _warren_commands '' && return
        ((CURRENT == 3)) && _warren_commands $words[2]
        return
    fi
    if ((CURRENT == 2)); then
        if [[ $PREFIX == -* ]]; then
            _arguments '(-h --help)'{-h,--help}'[Show a short help]' \
                '(-V --version)'{-V,--version}'[Show the version]'
        else
            _warren_commands ''
        fi
        return
    fi
    name=$words[2]
    case $name in
#@groups
        if ((CURRENT == 3)); then
            _warren_commands $name
            return
        fi
        name+=" $words[3]"
        words_of_name=2
        ;;
    esac
    shift $words_of_name words
    ((CURRENT -= words_of_name))
    case $name in
#@options
    esac
}

_warren "$@"
