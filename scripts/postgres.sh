# Sourced by scripts that measure: a PostgreSQL of their own on a unix socket, with the durability of production, gone
# with the script. Sets POSTGRES_URL; call start_postgres, and stop_postgres from a trap.
# shellcheck shell=bash

POSTGRES_URL=
postgres_directory=
postgres_programs=
postgres_as=()

# PostgreSQL refuses to run as root: it runs as the user of Debian's package then.
start_postgres() {
    local programs
    for programs in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
        if [ -x "$programs/initdb" ] && [ -x "$programs/postgres" ]; then
            postgres_programs=$programs
        fi
    done
    if [ -z "$postgres_programs" ]; then
        echo "postgres: there is no PostgreSQL (Debian: apt-get install postgresql)" >&2
        return 1
    fi
    # A short path: that of a socket has at most 107 bytes.
    postgres_directory=$(mktemp -d /tmp/syncline-pg.XXXXXX)
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$postgres_directory"
        postgres_as=(setpriv --reuid postgres --regid postgres --clear-groups)
    fi
    (
        cd "$postgres_directory"
        "${postgres_as[@]}" "$postgres_programs/initdb" --pgdata data --username admin --auth trust --encoding UTF8 \
            --locale C --no-instructions >init.log
        "${postgres_as[@]}" "$postgres_programs/pg_ctl" -D data -w -l server.log \
            -o "-c listen_addresses= -c unix_socket_directories=$postgres_directory -c max_connections=200" start >/dev/null
        psql -q -h "$postgres_directory" -U admin -d postgres -v ON_ERROR_STOP=1 \
            -c "CREATE ROLE syncline LOGIN" -c "CREATE DATABASE syncline OWNER syncline"
    ) || return 1
    # shellcheck disable=SC2034 # read by whoever sources this
    POSTGRES_URL="postgres://syncline@localhost/syncline?host=$postgres_directory"
}

stop_postgres() {
    if [ -n "$postgres_directory" ]; then
        (cd "$postgres_directory" && "${postgres_as[@]}" "$postgres_programs/pg_ctl" -D data -m immediate stop) >/dev/null 2>&1 || true
        rm -rf "$postgres_directory"
        postgres_directory=
    fi
}
