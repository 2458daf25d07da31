# shellcheck shell=bash disable=SC2034
# lib.sh - an installed warren of one's own, and a virtual host for it on the broker that
# WARREN_TEST_NODE names. Sourced; then begin_package BUILD_DIRECTORY.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

broker=${WARREN_TEST_NODE:-test}
scratch='' # these three: begin_package
prefix=''
lib=''
vhosts=() # of begin_vhost
pids=()   # to be killed at the end

end_package() {
    local pid vhost
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
    done
    for vhost in "${vhosts[@]}"; do
        "$root/scripts/broker" eval "$broker" "rabbit_vhost:delete(<<\"$vhost\">>, <<\"test\">>)." \
            >/dev/null 2>&1 || true
    done
    rm -rf "$scratch"
}

# begin_package BUILD_DIRECTORY: sets scratch, prefix and lib; from here on nothing of the work tree or
# of the build is needed.
begin_package() {
    local tree
    tree=$(cd "$1" && pwd)
    scratch=$(mktemp -d "$tree/package-XXXXXX")
    prefix=$scratch/prefix
    trap end_package EXIT
    say "== install"
    cmake --install "$tree" --prefix "$prefix" >"$scratch/install.log"
    export PATH=$prefix/bin:$PATH
    lib=$(dirname "$(find "$prefix" -name libwarren.a)")
    [ "$(command -v warren)" = "$prefix/bin/warren" ] || fail "warren is not installed"
}

# begin_vhost: a new virtual host, which WARREN_BROKER_URI names.
begin_vhost() {
    local uri vhost=package-$$-${#vhosts[@]}
    uri=$("$root/scripts/broker" uri "$broker")
    vhosts+=("$vhost")
    "$root/scripts/broker" eval "$broker" "ok = rabbit_vhost:add(<<\"$vhost\">>, <<\"test\">>),
        ok = rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"$vhost\">>,
            <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"test\">>)." >/dev/null
    export WARREN_BROKER_URI=$uri$vhost
}

# expect FILE TEXT: wait until the file has it.
expect() {
    wait_until 20000 grep -qsF -- "$2" "$1" && return
    cat "$1" >&2
    fail "no \"$2\" in $1"
}
