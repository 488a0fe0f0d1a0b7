#!/usr/bin/env bash
# Installs the pinned development tools into .tools/bin: buf (protocol lint, format, breaking changes), grpcurl (the
# newcomer's test) and ghz (load tests, scripts/ghz.sh). What is there already in the pinned version is left alone.
#
#   scripts/tools.sh            buf and grpcurl, which tests and checks need
#   scripts/tools.sh ghz        one of the three
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# buf's version is pinned in tools/package.json and package-lock.json.
GRPCURL_VERSION=v1.9.4
GRPCURL_GO_MINIMUM=1.25
# Any other version may print its reports differently: scripts/ghz.sh reads them.
GHZ_VERSION=v0.121.0
GHZ_GO_MINIMUM=1.23
BIN="$PWD/.tools/bin"

fail() {
    echo "tools: $*" >&2
    exit 1
}

install_buf() {
    local platform version binary
    version=$(sed -n 's/.*"@bufbuild\/buf-linux-x64": "\([^"]*\)".*/\1/p' tools/package.json)
    if [ "$("$BIN/buf" --version 2>/dev/null)" = "$version" ]; then
        return
    fi
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) platform=linux-x64 ;;
        Linux-aarch64 | Linux-arm64) platform=linux-aarch64 ;;
        *)
            # The lock file covers Linux; elsewhere a buf of the same version on the PATH does.
            binary=$(command -v buf) || fail "install buf $version and put it on the PATH (https://buf.build/docs/cli/installation)"
            [ "$(buf --version 2>/dev/null)" = "$version" ] || fail "$binary is not the pinned version $version of buf"
            ln -sf "$binary" "$BIN/buf"
            return
            ;;
    esac
    command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm), or buf $version on the PATH"
    echo "tools: installing buf $version"
    rm -rf .tools/npm
    mkdir -p .tools/npm
    cp tools/package.json tools/package-lock.json tools/.npmrc .tools/npm/
    npm ci --prefix .tools/npm --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null
    ln -sf "../npm/node_modules/@bufbuild/buf-$platform/bin/buf" "$BIN/buf"
    "$BIN/buf" --version >/dev/null || fail "the installed buf does not run"
}

# The oldest of two versions.
oldest() {
    printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1
}

# The version of Go, without its prefix; nothing when there is none.
go_version() {
    go env GOVERSION 2>/dev/null | sed 's/^go//; s/[^0-9.].*//' || true
}

# go_is_at_least MINIMUM
go_is_at_least() {
    local version
    version=$(go_version)
    [ -n "$version" ] && [ "$(oldest "$version" "$1")" = "$1" ]
}

install_grpcurl() {
    local on_path
    if [ -x "$BIN/grpcurl" ] && [ -f ".tools/grpcurl-$GRPCURL_VERSION" ]; then
        return
    fi
    if ! go_is_at_least "$GRPCURL_GO_MINIMUM"; then
        if on_path=$(command -v grpcurl); then
            echo "tools: using $on_path, since there is no Go $GRPCURL_GO_MINIMUM to build grpcurl $GRPCURL_VERSION"
            return
        fi
        fail "grpcurl needs Go $GRPCURL_GO_MINIMUM or newer to build and there is $(go_version | grep . || echo none): install Go (https://go.dev/doc/install; Debian 12's package is too old), or put grpcurl on the PATH (https://github.com/fullstorydev/grpcurl)"
    fi
    echo "tools: building grpcurl $GRPCURL_VERSION (a few minutes the first time)"
    GOBIN="$BIN" GOFLAGS="" go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION" </dev/null
    rm -f .tools/grpcurl-*
    touch ".tools/grpcurl-$GRPCURL_VERSION"
}

install_ghz() {
    if [ -x "$BIN/ghz" ] && [ -f ".tools/ghz-$GHZ_VERSION" ]; then
        return
    fi
    go_is_at_least "$GHZ_GO_MINIMUM" ||
        fail "ghz needs Go $GHZ_GO_MINIMUM or newer to build and there is $(go_version | grep . || echo none): install Go (https://go.dev/doc/install)"
    echo "tools: building ghz $GHZ_VERSION (a few minutes the first time)"
    GOBIN="$BIN" GOFLAGS="" go install "github.com/bojand/ghz/cmd/ghz@$GHZ_VERSION" </dev/null
    rm -f .tools/ghz-*
    touch ".tools/ghz-$GHZ_VERSION"
}

mkdir -p "$BIN"
for tool in "${@:-all}"; do
    case "$tool" in
        buf) install_buf ;;
        grpcurl) install_grpcurl ;;
        ghz) install_ghz ;;
        all)
            install_buf
            install_grpcurl
            ;;
        *) fail "there is no tool $tool: buf, grpcurl, ghz or all" ;;
    esac
done
