# Sourced by the other scripts: what a build needs, with for_checks=yes what the checks need, with for_tests=yes what the
# tests need, with for_compare=yes the servers that Syncline is compared with, and with for_release=yes what packages are
# made with. Installs Debian packages when it may (as root, or with sudo that asks nothing);
# otherwise says exactly what is missing and ends.
# shellcheck shell=bash

if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
    # shellcheck source=/dev/null
    . "$HOME/.cargo/env"
fi

missing=()

# need COMMAND PACKAGE: the Debian package that brings the command, if it is not there.
need() {
    command -v "$1" >/dev/null || missing+=("$2")
}

# Whether there is a PostgreSQL that the tests can start: initdb and postgres, 15 or newer.
has_postgres() {
    local programs version
    for programs in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
        if [ -x "$programs/initdb" ] && [ -x "$programs/postgres" ]; then
            version=$("$programs/postgres" --version | sed -n 's/^[^0-9]*\([0-9]\{1,\}\).*/\1/p')
            if [ "${version:-0}" -ge 15 ]; then
                return 0
            fi
        fi
    done
    return 1
}

# Debian's package makes and starts a cluster of its own, which nobody asked for.
no_system_cluster() {
    local file=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$file" ]; then
        "$@" mkdir -p "$(dirname "$file")"
        echo 'create_main_cluster = false' | "$@" tee "$file" >/dev/null
    fi
}

# Debian's packages of servers start a service, now and at every boot, which nobody asked for. These forbid it while
# packages are installed (unless the system has a policy of its own), and keep what was installed from starting later.
POLICY=/usr/sbin/policy-rc.d
our_policy=no
# What a command is begun with so that root runs it; set by install_missing.
as_root=()

forbid_services() {
    if [ ! -e "$POLICY" ]; then
        our_policy=yes
        trap allow_services EXIT
        printf '#!/bin/sh\n# Made by scripts/setup.sh of Syncline while it installs packages.\nexit 101\n' |
            "${as_root[@]}" tee "$POLICY" >/dev/null
        "${as_root[@]}" chmod 755 "$POLICY"
    fi
}

allow_services() {
    if [ "$our_policy" = yes ]; then
        "${as_root[@]}" rm -f "$POLICY"
        our_policy=no
        trap - EXIT
    fi
}

# The service of a package that was just installed stays off.
no_service() {
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --quiet --now "$1.service"
    elif [ -x "/etc/init.d/$1" ] && command -v update-rc.d >/dev/null; then
        "${as_root[@]}" update-rc.d "$1" disable
    fi || echo "setup: the service $1 may start at boot; you may want to disable it" >&2
}

# Whether packages can be installed from here without a question.
may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

install_missing() {
    local services=() package service
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
    fi
    if ! may_install; then
        echo "setup: these packages are missing and cannot be installed from here: ${missing[*]}" >&2
        echo "setup: install them (Debian, Ubuntu: sudo apt-get install ${missing[*]}) and try again" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    case " ${missing[*]} " in
    *" postgresql "*) no_system_cluster "${as_root[@]}" ;;
    esac
    for package in "${missing[@]}"; do
        case $package in
        etcd-server) services+=(etcd) ;;
        nats-server) services+=(nats-server) ;;
        esac
    done
    if [ ${#services[@]} -gt 0 ]; then
        forbid_services
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null
    for service in ${services[@]+"${services[@]}"}; do
        no_service "$service"
    done
    allow_services
}

# The C compiler builds the bundled SQLite, and with make the allocator.
need cc gcc
need make make
[ -e /usr/include/stdlib.h ] || [ "$(uname -s)" != Linux ] || missing+=(libc6-dev)
need git git
if [ "${for_checks:-no}" = yes ]; then
    need shellcheck shellcheck
fi
if [ "${for_tests:-no}" = yes ]; then
    has_postgres || missing+=(postgresql)
    need chromium chromium
    # What stands in front of a server; it is where the PATH of ordinary users may not lead.
    PATH=$PATH:/usr/sbin
    need nginx nginx-light
    need haproxy haproxy
    need caddy caddy
    # Power cuts of a disk need one that root makes; without root they are not run.
    if [ "$(id -u)" = 0 ] && [ "$(uname -s)" = Linux ]; then
        need mkfs.ext4 e2fsprogs
        need mount mount
    fi
fi
if [ "${for_compare:-no}" = yes ]; then
    # Where programs of servers are, which the PATH of ordinary users may leave out.
    PATH=$PATH:/usr/sbin
    need etcd etcd-server
    need nats-server nats-server
fi
if [ "${for_release:-no}" = yes ] && [ "$(uname -s)" = Linux ]; then
    # dpkg-shlibdeps finds out which libraries a package depends on.
    need dpkg-shlibdeps dpkg-dev
    # Without this one a program for glibc is built instead, so it is only taken where nobody has to be asked.
    if may_install; then
        need musl-gcc musl-tools
    fi
fi
if [ ${#missing[@]} -gt 0 ]; then
    install_missing
fi

if [ "${for_tests:-no}" = yes ] && ! has_postgres; then
    echo "setup: the tests need PostgreSQL 15 or newer (initdb and postgres); what is installed is older" >&2
    exit 1
fi

if ! command -v cargo >/dev/null; then
    echo "setup: there is no Rust toolchain. Install rustup (https://rustup.rs); it then takes the version that" >&2
    echo "setup: rust-toolchain.toml names by itself. A distribution's Rust works if it is at least as new." >&2
    exit 1
fi
if ! cargo --version >/dev/null; then
    echo "setup: cargo is there and does not run; rust-toolchain.toml names the version to install:" >&2
    cat rust-toolchain.toml >&2
    exit 1
fi
