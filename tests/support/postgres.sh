#!/usr/bin/env bash
# A throw-away PostgreSQL cluster for tests: it lives in one directory and goes with it.
#
#   postgres.sh start DIR [KEY=VALUE …]   make the cluster at the first call, start it, print its address
#   postgres.sh stop DIR                  stop it; its data stay
#   postgres.sh crash DIR                 end it as a crash does (SIGQUIT): what is not on the disk is lost
#   postgres.sh promote DIR               make a standby the primary
#   postgres.sh remove DIR                stop it at once and delete DIR
#   postgres.sh hold DIR [KEY=VALUE …]    start; wait until the input closes, however its writer died; remove
#   postgres.sh hold-standby DIR PRIMARY  the same for a standby of the running cluster in PRIMARY
#   postgres.sh follow DIR PRIMARY        end the cluster in DIR at once; at its address there is a new standby of PRIMARY
#   postgres.sh find                      print the directory of PostgreSQL's programs, or fail
#
# KEY=VALUE goes to postgresql.conf. Where DIR holds server.crt and server.key, only TLS connections are taken.
set -euo pipefail

fail() {
    echo "postgres.sh: $*" >&2
    exit 1
}

# Distributions keep the server's programs out of PATH.
find_programs() {
    local candidate found=
    for candidate in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/opt/postgresql*/bin \
        /opt/homebrew/opt/postgresql*/bin /opt/homebrew/bin /usr/local/pgsql/bin "$(dirname "$(command -v initdb || echo /)")"; do
        if [[ -x $candidate/initdb && -x $candidate/pg_ctl && -x $candidate/pg_basebackup ]]; then found=$candidate; fi
    done
    [[ -n $found ]] || return 1
    echo "$found"
}

# PostgreSQL refuses to run as root.
as_owner() {
    if [[ $(id -u) != 0 ]]; then
        "$@"
    elif command -v setpriv >/dev/null; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        # shellcheck disable=SC2016 # the inner shell expands them
        su -s /bin/sh postgres -c 'exec "$0" "$@"' -- "$@"
    fi
}

pg_ctl() {
    as_owner "$programs/pg_ctl" --silent --wait --pgdata="$directory/data" --log="$directory/log" "$@"
}

locale_of_this_machine() {
    local known
    known=$(locale -a 2>/dev/null || true)
    if grep -qix 'C\.utf-\?8' <<<"$known"; then echo C.UTF-8; else echo C; fi
}

create() {
    mkdir -p "$directory"
    if [[ $(id -u) == 0 ]]; then chown -R postgres: "$directory"; fi
    if [[ -n $primary ]]; then copy; return; fi
    local output
    output=$(as_owner "$programs/initdb" --auth=trust --username=postgres --no-sync --encoding=UTF8 \
        --locale="$(locale_of_this_machine)" --pgdata="$directory/data" 2>&1) || fail "initdb failed: $output"
    configure "$@" >>"$directory/data/postgresql.conf"
}

# A standby says where its socket is, and all else as its primary does.
copy() {
    local output
    output=$(as_owner "$programs/pg_basebackup" --host=127.0.0.1 --port="$(<"$primary/port")" --username=postgres \
        --checkpoint=fast --no-sync --write-recovery-conf --pgdata="$directory/data" 2>&1) || fail "pg_basebackup failed: $output"
    echo "unix_socket_directories = '$directory'" >>"$directory/data/postgresql.conf"
}

# What a crash of the machine would lose is nothing here; what a commit means stays as in production.
configure() {
    cat <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$directory'
max_connections = 300
fsync = off
synchronous_commit = on
CONF
    if [[ -f $directory/server.crt ]]; then
        printf "ssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\n" "$directory/server.crt" "$directory/server.key"
        echo "hostssl all all 127.0.0.1/32 trust" >"$directory/data/pg_hba.conf"
    fi
    local setting
    for setting in "$@"; do printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"; done
}

# Ports of outgoing connections begin at 32768: below it, a stopped cluster finds its port free again.
start() {
    [[ -d $directory/data ]] || create "$@"
    local port attempt output
    if [[ -f $directory/port ]]; then
        port=$(<"$directory/port")
        pg_ctl start --options="-p $port" >&2
    else
        for attempt in 1 2 3 4 5 6 7 8; do
            port=$((15000 + RANDOM % 17000))
            if output=$(pg_ctl start --options="-p $port" 2>&1); then break; fi
            [[ $attempt != 8 ]] || fail "the cluster does not start: $output $(tail -n 20 "$directory/log")"
        done
        echo "$port" >"$directory/port"
    fi
    echo "postgres://postgres@127.0.0.1:$port/postgres"
}

follow() {
    pg_ctl stop --mode=immediate >/dev/null 2>&1 || true
    rm -rf "$directory/data"
    start
}

remove() {
    pg_ctl stop --mode=immediate >/dev/null 2>&1 || true
    rm -rf "$directory"
}

hold() {
    exec 2>&1
    trap remove EXIT
    start "$@"
    cat >/dev/null
}

primary=
programs=$(find_programs) || fail "no PostgreSQL server (initdb, pg_ctl) on this machine"
command=${1:-}
[[ $command != find ]] || { echo "$programs" && exit; }
directory=${2:?the directory of the cluster}
shift 2
# The postgres user may not enter where we are.
cd /
case $command in
    start) start "$@" ;;
    stop) pg_ctl stop --mode=fast ;;
    crash) pg_ctl stop --mode=immediate ;;
    promote) pg_ctl promote ;;
    remove) remove ;;
    hold) hold "$@" ;;
    follow) primary=${1:?the directory of the primary} && follow ;;
    hold-standby) primary=${1:?the directory of the primary} && hold ;;
    *) fail "unknown command: $command" ;;
esac
