#!/usr/bin/env bash
# The one test command. Installs what the tests need and is not there (as root or with sudo that asks nothing; else
# it says what is missing), runs every test, and sums up. Arguments go to cargo test: scripts/test.sh feed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

started=$SECONDS

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
        echo "test: these packages are missing and cannot be installed from here: ${missing[*]}" >&2
        echo "test: install them (Debian, Ubuntu: sudo apt-get install ${missing[*]}) and try again" >&2
        exit 1
    fi
    echo "test: installing ${missing[*]}"
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
    echo "test: there is no Rust toolchain. Install rustup (https://rustup.rs); it then takes the version that" >&2
    echo "test: rust-toolchain.toml names by itself. A distribution's Rust works if it is at least as new." >&2
    exit 1
fi
if ! cargo --version >/dev/null; then
    echo "test: cargo is there and does not run; rust-toolchain.toml names the version to install:" >&2
    cat rust-toolchain.toml >&2
    exit 1
fi

echo "==> tools"
tools_started=$SECONDS
scripts/tools.sh grpcurl
echo "    $((SECONDS - tools_started)) s"

echo
echo "==> build"
build_started=$SECONDS
cargo test --workspace --locked --no-run </dev/null
echo "    $((SECONDS - build_started)) s"

echo
echo "==> tests"
tests_started=$SECONDS
output=$(mktemp)
trap 'rm -f "$output"' EXIT
# All of them, even when one fails: the summary shall be whole.
outcome=0
cargo test --workspace --locked --no-fail-fast "$@" </dev/null 2>&1 | tee "$output" || outcome=$?
echo "    $((SECONDS - tests_started)) s"

echo
echo "==> summary"
awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
            if ($i == "ignored;") ignored += $(i - 1)
        }
    }
    /^test .* \.\.\. FAILED$/ { names = names "    FAILED: " $2 "\n" }
    # A test binary that died without a verdict.
    /^  process didn.t exit successfully/ && !/exit status: 101/ { names = names "    FAILED: " $0 "\n" }
    END {
        printf "%s", names
        printf "total: %d passed, %d failed, %d skipped\n", passed, failed, ignored
    }
' "$output"
echo "    $((SECONDS - started)) s in all"
exit "$outcome"
