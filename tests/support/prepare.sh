# shellcheck shell=bash
# Sourced by tests/run and .ci/run, from the top of the project: what the build and the tests need of the machine.
# Installs what is missing where apt-get may be used; elsewhere says what to install, and stops.

step() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# A program that Debian puts where only administrators look.
has_daemon() {
    has "$1" || [[ -x /usr/sbin/$1 ]]
}

has_apache_module() {
    [[ -e /usr/lib/apache2/modules/mod_$1.so ]]
}

has_openssl() {
    has pkg-config && pkg-config --exists openssl
}

has_venv() {
    has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null
}

# What is missing, as names of Debian packages, one a line.
missing_packages() {
    has cc || echo gcc libc6-dev
    has curl || echo curl
    has node || echo nodejs
    has npm || echo npm
    has_venv || echo python3 python3-venv
    # An application in PHP: its example is run.
    has php || echo php-cli
    # And one in Go.
    has go || echo golang-go
    tests/support/postgres.sh find >/dev/null 2>&1 || echo postgresql
    has_daemon pgbouncer || echo pgbouncer
    # What stands in front of applications: the recipes of examples/proxies are run.
    has_daemon nginx || echo nginx
    has_daemon caddy || echo caddy
    has_daemon haproxy || echo haproxy
    has_daemon apache2 || echo apache2-bin
    has_apache_module auth_openidc || echo libapache2-mod-auth-openidc
    has_apache_module oauth2 || echo libapache2-mod-oauth2
    # In which the pages are shown.
    has chromium || echo chromium
    has firefox-esr || echo firefox-esr
    # By which a browser of a test trusts an authority.
    has certutil || echo libnss3-tools
    # The bundled OpenSSL is configured by perl and built by make.
    has_openssl || has make || echo make
    has_openssl || has perl || echo perl
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o=Dpkg::Use-Pty=0 "$@"
}

may_use_apt() {
    has apt-get && { [[ $(id -u) == 0 ]] || { has sudo && sudo -n true 2>/dev/null; }; }
}

install_packages() {
    may_use_apt || fail "please install these, or what your system calls them, and run again: $*
    (a PostgreSQL server of any supported version; PgBouncer; Node.js 18 or later with npm; Python 3 with venv; PHP; Go;
    nginx, Caddy, HAProxy with Lua, Apache with mod_auth_openidc and mod_oauth2;
    Chromium and Firefox ESR, as the programs chromium and firefox-esr; certutil, of NSS)"
    step "installing $*"
    apt update
    if [[ " $* " == *" postgresql "* ]]; then install_without_running_postgresql; fi
    install_without_starting "$@"
}

# The tests start servers of their own. Debian starts these when they are installed, and again when the machine starts.
install_without_starting() {
    local policy=/usr/sbin/policy-rc.d is_ours=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        is_ours=yes
    fi
    local outcome=0
    apt install --yes --no-install-recommends "$@" || outcome=$?
    if [[ -n $is_ours ]]; then as_root rm -f "$policy"; fi
    local service
    for service in pgbouncer nginx caddy haproxy; do
        if [[ " $* " == *" $service "* ]]; then disable_service "$service"; fi
    done
    return "$outcome"
}

disable_service() {
    if has update-rc.d; then as_root update-rc.d "$1" disable >/dev/null 2>&1 || true; fi
    if has systemctl; then as_root systemctl disable "$1" >/dev/null 2>&1 || true; fi
}

# The tests start clusters of their own: Debian need not make and start one.
install_without_running_postgresql() {
    apt install --yes --no-install-recommends postgresql-common
    local settings=/etc/postgresql-common/createcluster.conf
    if [[ -f $settings ]]; then as_root sed -i -E 's/^#? *create_main_cluster *=.*/create_main_cluster = false/' "$settings"; fi
}

prepare_machine() {
    has cargo || fail "please install Rust first: https://rustup.rs"
    local packages
    packages=$(missing_packages)
    # shellcheck disable=SC2086 # a list of names
    if [[ -n $packages ]]; then install_packages $packages; fi
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || fail "Node.js 18 or later is needed; this is $(node --version)"
    # The machine's own OpenSSL saves the minutes of building the bundled one.
    if has_openssl; then export OPENSSL_NO_VENDOR="${OPENSSL_NO_VENDOR:-1}"; fi
}

prepare_machine
