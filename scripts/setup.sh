# Sourced by the other scripts: what a build needs. Installs Debian packages when it may (as root, or with sudo that
# asks nothing); otherwise says exactly what is missing and ends.
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

install_missing() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            as_root=(none)
        else
            as_root=(sudo -n)
        fi
    fi
    if [ "${as_root[*]:-}" = none ] || ! command -v apt-get >/dev/null; then
        echo "setup: these packages are missing and cannot be installed from here: ${missing[*]}" >&2
        echo "setup: install them (Debian, Ubuntu: sudo apt-get install ${missing[*]}) and try again" >&2
        exit 1
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
}

# The C compiler builds the bundled SQLite.
need cc gcc
[ -e /usr/include/stdlib.h ] || [ "$(uname -s)" != Linux ] || missing+=(libc6-dev)
need git git
if [ ${#missing[@]} -gt 0 ]; then
    install_missing
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
