#!/usr/bin/env bash
# Everything that is checked without running the program: formatting, lints, the protocol, dependencies, scripts and the
# docs site. Installs what it needs and is not there. See `make help`.
#
# A change that breaks the protocol for clients fails, unless a commit since the base has a line in its message
#   Protocol-break: REASON
# or, for what is not committed yet, the variable PROTOCOL_BREAK holds the reason. PROTOCOL_BASE names another base.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

# shellcheck disable=SC2034 # read by setup.sh
for_checks=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

failed=()

step() {
    local name=$1 started=$SECONDS
    shift
    echo
    echo "==> $name"
    if "$@" </dev/null; then
        echo "    ok, $((SECONDS - started)) s"
    else
        echo "    FAILED: $name, $((SECONDS - started)) s"
        failed+=("$name")
    fi
}

# The commit that the protocol is compared with; empty when there is none.
protocol_base() {
    local base
    if [ -n "${PROTOCOL_BASE:-}" ]; then
        git rev-parse --verify --quiet "$PROTOCOL_BASE^{commit}"
    elif ! git diff --quiet HEAD -- proto; then
        git rev-parse --verify --quiet HEAD
    elif base=$(git merge-base HEAD origin/main 2>/dev/null) && [ "$base" != "$(git rev-parse HEAD)" ]; then
        echo "$base"
    else
        git rev-parse --verify --quiet HEAD~1
    fi
}

protocol_breaking() {
    local base before reason
    if ! git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
        echo "    skipped: not a git work tree with a commit"
        return
    fi
    base=$(protocol_base) || base=
    if [ -z "$base" ]; then
        echo "    skipped: there is no earlier commit here to compare with (a first commit, or a shallow clone)"
        return
    fi
    if ! git cat-file -e "$base:proto" 2>/dev/null; then
        echo "    skipped: commit ${base:0:12} has no proto/"
        return
    fi
    reason=${PROTOCOL_BREAK:-$(git log --format=%B "$base..HEAD" | sed -n 's/^Protocol-break: *//p' | head -n 1)}
    before=$(mktemp -d)
    git archive "$base" proto | tar -x -C "$before"
    echo "    against commit ${base:0:12}"
    if buf breaking proto --against "$before/proto"; then
        rm -rf "$before"
    elif [ -n "$reason" ]; then
        rm -rf "$before"
        echo "    these changes break clients, deliberately: $reason"
    else
        rm -rf "$before"
        echo "    these changes break clients; if that is meant, say why in the commit: Protocol-break: REASON"
        return 1
    fi
}

# Offline: advisories are not looked at, so that an old commit gives the same answer next year. A build has fetched only what
# this machine needs; the licences are those of all platforms.
dependencies_allowed() {
    cargo fetch --locked --quiet && cargo deny --offline --locked check bans licenses sources
}

step "formatting (cargo fmt --check)" cargo fmt --all -- --check
step "lints (cargo clippy)" cargo clippy --workspace --all-targets --locked -- -D warnings
if scripts/tools.sh buf; then
    step "protocol lint (buf lint)" buf lint proto
    step "protocol formatting (buf format)" buf format proto --diff --exit-code
    step "protocol compatibility (buf breaking)" protocol_breaking
else
    failed+=("buf could not be installed")
fi
step "TypeScript client (types, eslint, prettier, generated code, build, embedded pages)" scripts/typescript.sh check
step "shell scripts (shellcheck)" shellcheck --external-sources .ci/run .devcontainer/*.sh scripts/*.sh
if scripts/tools.sh actionlint; then
    step "public workflows (actionlint)" actionlint
else
    failed+=("actionlint could not be installed")
fi
if scripts/tools.sh cargo-deny cargo-machete; then
    step "licences and sources of dependencies (cargo deny)" dependencies_allowed
    step "dependencies that nothing uses (cargo machete)" cargo machete --skip-target-dir
else
    failed+=("cargo-deny and cargo-machete could not be installed")
fi
step "docs site (mdbook, its links)" scripts/docs.sh

echo
if [ ${#failed[@]} -gt 0 ]; then
    printf 'check: failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "check: all passed, $SECONDS s"
