# shellcheck shell=bash
# lib.sh - what the scripts share. Sourced with bash; sets root (the work tree) and build.

set -euo pipefail

root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
build=$root/build
brokers=${WARREN_BROKERS:-$build/brokers} # what scripts/brokers installs

# A terminal gets progress that overwrites itself, anything else plain lines.
if [ -t 2 ]; then
    terminal=yes
else
    terminal=no
fi

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# progress TEXT: one line that the next one replaces; nothing where there is no terminal.
progress() {
    [ "$terminal" = yes ] && printf '\r\033[K%s' "$*" >&2
    return 0
}

progress_end() {
    [ "$terminal" = yes ] && printf '\r\033[K' >&2
    return 0
}

# Milliseconds of a clock that only serves to measure.
now_ms() {
    local up
    read -r up _ </proc/uptime
    printf '%s\n' "$((10#${up/./} * 10))"
}

# What is asked in a loop makes no process: that would cost more than what is waited for.

# wait_until MILLISECONDS COMMAND...: poll until the command succeeds; fails when time is over.
wait_until() {
    local up deadline never status=0
    read -r up _ </proc/uptime
    deadline=$((10#${up/./} * 10 + $1))
    shift
    exec {never}<> <(:) # nobody writes to it
    until "$@"; do
        read -r up _ </proc/uptime
        [ $((10#${up/./} * 10)) -lt "$deadline" ] || { status=1; break; }
        read -r -t 0.05 -u "$never" || true
    done
    exec {never}>&-
    return $status
}

# is_alive PID: true while the process runs; a zombie is dead. Read as a whole: between two lines the
# process may get another name, and the rest another place.
is_alive() {
    local status=''
    [ -n "${1:-}" ] || return 1
    read -r -d '' status 2>/dev/null <"/proc/$1/status" || true
    [[ $status =~ [[:space:]]State:[[:space:]]+[^Z[:space:]] ]]
}

is_dead() {
    ! is_alive "$1"
}

# port_answers PORT: true if something accepts a connection there.
port_answers() {
    { : <>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null
}

# free_port: a port of the loopback that nobody listens on, nor will: not that of a broker which is
# down for a while. Below the kernel's range for outgoing connections, so that none of those takes it.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM << 15 | RANDOM) % 12000))
        port_answers "$port" || grep -qs "_PORT=$port\$" "$build"/broker/*/env || break
    done
    printf '%s\n' "$port"
}

# broker_tree VERSION: the folder of a RabbitMQ that scripts/brokers installs.
broker_tree() {
    printf '%s\n' "$brokers/$1"
}

# ---- a Debian of its own in a folder, $tree; root's ----

# The mirror that this machine has its own packages from; without one debootstrap knows Debian's.
debian_mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep -m 1 '/debian/$' || true
}

# in_tree COMMAND...: inside the tree, with what a package's scripts expect. Mounts end with it.
in_tree() {
    # shellcheck disable=SC2016,SC2154
    unshare -m sh -c 'mount --bind /proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$@"' \
        "$tree" "$tree" "$@"
}

# make_debian SUITE: the smallest there is, in which no service starts; its package lists are there.
make_debian() {
    rm -rf "$tree"
    mkdir -p "$tree"
    # shellcheck disable=SC2046
    debootstrap --variant=minbase "$1" "$tree" $(debian_mirror)
    printf '127.0.0.1 localhost\n' >"$tree/etc/hosts"
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod 755 "$tree/usr/sbin/policy-rc.d"
    echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/warren" # it is made anew where it is damaged
    # The release file of unstable may be past its date: mirrors are not always fresh.
    in_tree apt-get -q -o Acquire::Check-Valid-Until=false update
}

# configure DIRECTORY PRESET ARGUMENT...: cmake into build/DIRECTORY, also where another generator
# was used before.
configure() {
    local fresh=()
    grep -qsx CMAKE_GENERATOR:INTERNAL=Ninja "$build/$1/CMakeCache.txt" || fresh=(--fresh)
    cmake -S "$root" -B "$build/$1" --preset "$2" "${fresh[@]}" "${@:3}"
}
