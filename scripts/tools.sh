#!/usr/bin/env bash
# Installs the pinned development tools into .tools/bin. What is there already in the pinned version is left alone.
#
#   scripts/tools.sh                   everything that `make test` and `make check` need
#   scripts/tools.sh mdbook ghz        some of them; the end of this file lists all
#
# Programs from crates are built into a folder that all checkouts of a user share, SYNCLINE_TOOLS_CACHE (by default
# ~/.cache/syncline-tools), because building them takes minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# buf's version is pinned in tools/package.json and package-lock.json.
# renovate: go=github.com/fullstorydev/grpcurl
GRPCURL_VERSION=v1.9.4
GRPCURL_GO_MINIMUM=1.25
# Any other version may print its reports differently: scripts/ghz.sh reads them.
GHZ_VERSION=v0.121.0
GHZ_GO_MINIMUM=1.23
# renovate: go=github.com/rhysd/actionlint
ACTIONLINT_VERSION=v1.7.12
ACTIONLINT_GO_MINIMUM=1.24
# For scripts/generate-client.sh go.
# renovate: go=google.golang.org/protobuf
PROTOC_GEN_GO_VERSION=v1.36.12
PROTOC_GEN_GO_GO_MINIMUM=1.23
# renovate: go=google.golang.org/grpc/cmd/protoc-gen-go-grpc
PROTOC_GEN_GO_GRPC_VERSION=v1.6.2
PROTOC_GEN_GO_GRPC_GO_MINIMUM=1.25
# renovate: crate=mdbook
MDBOOK_VERSION=0.5.4
# renovate: crate=cargo-deny
CARGO_DENY_VERSION=0.20.2
# renovate: crate=cargo-machete
CARGO_MACHETE_VERSION=0.9.2
# renovate: crate=cargo-deb
CARGO_DEB_VERSION=3.8.0
# renovate: crate=cargo-cyclonedx
CARGO_CYCLONEDX_VERSION=0.5.9
# renovate: crate=cargo-llvm-cov
CARGO_LLVM_COV_VERSION=0.9.1
BIN="$PWD/.tools/bin"
CACHE=${SYNCLINE_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/syncline-tools}

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

# needs_go PROGRAM VERSION MINIMUM: fails with what to do when Go is missing or too old.
needs_go() {
    go_is_at_least "$3" ||
        fail "$1 $2 needs Go $3 or newer to build and there is $(go_version | grep . || echo none): install Go (https://go.dev/doc/install; Debian 12's package is too old)"
}

# install_go PROGRAM VERSION PACKAGE
install_go() {
    echo "tools: building $1 $2 (a few minutes the first time)"
    GOBIN="$BIN" GOFLAGS="" go install "$3@$2" </dev/null
    rm -f .tools/"$1"-v*
    touch ".tools/$1-$2"
}

has_go() {
    [ -x "$BIN/$1" ] && [ -f ".tools/$1-$2" ]
}

install_grpcurl() {
    local on_path
    if has_go grpcurl "$GRPCURL_VERSION"; then
        return
    fi
    if ! go_is_at_least "$GRPCURL_GO_MINIMUM" && on_path=$(command -v grpcurl); then
        echo "tools: using $on_path, since there is no Go $GRPCURL_GO_MINIMUM to build grpcurl $GRPCURL_VERSION"
        return
    fi
    needs_go grpcurl "$GRPCURL_VERSION" "$GRPCURL_GO_MINIMUM"
    install_go grpcurl "$GRPCURL_VERSION" github.com/fullstorydev/grpcurl/cmd/grpcurl
}

install_ghz() {
    if ! has_go ghz "$GHZ_VERSION"; then
        needs_go ghz "$GHZ_VERSION" "$GHZ_GO_MINIMUM"
        install_go ghz "$GHZ_VERSION" github.com/bojand/ghz/cmd/ghz
    fi
}

install_actionlint() {
    if ! has_go actionlint "$ACTIONLINT_VERSION"; then
        needs_go actionlint "$ACTIONLINT_VERSION" "$ACTIONLINT_GO_MINIMUM"
        install_go actionlint "$ACTIONLINT_VERSION" github.com/rhysd/actionlint/cmd/actionlint
    fi
}

install_protoc_gen_go() {
    if ! has_go protoc-gen-go "$PROTOC_GEN_GO_VERSION"; then
        needs_go protoc-gen-go "$PROTOC_GEN_GO_VERSION" "$PROTOC_GEN_GO_GO_MINIMUM"
        install_go protoc-gen-go "$PROTOC_GEN_GO_VERSION" google.golang.org/protobuf/cmd/protoc-gen-go
    fi
}

install_protoc_gen_go_grpc() {
    if ! has_go protoc-gen-go-grpc "$PROTOC_GEN_GO_GRPC_VERSION"; then
        needs_go protoc-gen-go-grpc "$PROTOC_GEN_GO_GRPC_VERSION" "$PROTOC_GEN_GO_GRPC_GO_MINIMUM"
        install_go protoc-gen-go-grpc "$PROTOC_GEN_GO_GRPC_VERSION" google.golang.org/grpc/cmd/protoc-gen-go-grpc
    fi
}

# install_crate NAME VERSION [FLAG …]: a program of the crate's own name. It is built without optimisation, which takes a
# third of the time: none of these programs has much to do here.
install_crate() {
    local name=$1 version=$2 root
    root=$CACHE/$name-$version
    shift 2
    if [ ! -x "$root/bin/$name" ]; then
        command -v cargo >/dev/null || fail "cargo is missing: install rustup (https://rustup.rs)"
        echo "tools: building $name $version (a minute or two the first time)"
        CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 cargo install "$name@$version" "$@" \
            --locked --debug --quiet --root "$root" --target-dir "$PWD/.tools/build" </dev/null
    fi
    ln -sf "$root/bin/$name" "$BIN/$name"
}

mkdir -p "$BIN"
if [ $# -eq 0 ]; then
    set -- buf grpcurl actionlint mdbook cargo-deny cargo-machete
fi
# What several crates need is built once for all that are installed now.
trap 'rm -rf .tools/build' EXIT
for tool in "$@"; do
    case "$tool" in
    buf) install_buf ;;
    grpcurl) install_grpcurl ;;
    ghz) install_ghz ;;
    actionlint) install_actionlint ;;
    protoc-gen-go) install_protoc_gen_go ;;
    protoc-gen-go-grpc) install_protoc_gen_go_grpc ;;
    # Without its server and its watching of files.
    mdbook) install_crate mdbook "$MDBOOK_VERSION" --no-default-features --features search ;;
    cargo-deny) install_crate cargo-deny "$CARGO_DENY_VERSION" ;;
    cargo-machete) install_crate cargo-machete "$CARGO_MACHETE_VERSION" ;;
    cargo-deb) install_crate cargo-deb "$CARGO_DEB_VERSION" ;;
    cargo-cyclonedx) install_crate cargo-cyclonedx "$CARGO_CYCLONEDX_VERSION" ;;
    cargo-llvm-cov) install_crate cargo-llvm-cov "$CARGO_LLVM_COV_VERSION" ;;
    *)
        fail "there is no tool $tool: buf, grpcurl, ghz, actionlint, protoc-gen-go, protoc-gen-go-grpc, mdbook, cargo-deny, cargo-machete, cargo-deb, cargo-cyclonedx, cargo-llvm-cov"
        ;;
    esac
done
