#!/usr/bin/env bash
# Everything that is checked without running the program: formatting, lints, the protocol. See `make help`.
#
# A change that breaks the protocol for clients fails, unless a commit since the base has a line in its message
#   Protocol-break: REASON
# or, for what is not committed yet, the variable PROTOCOL_BREAK holds the reason. PROTOCOL_BASE names another base.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

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
if command -v shellcheck >/dev/null; then
    step "shell scripts (shellcheck)" shellcheck .ci/run scripts/*.sh
else
    echo
    echo "==> shell scripts (shellcheck): skipped, shellcheck is not installed"
fi
if command -v cargo-deny >/dev/null; then
    step "licences and sources of dependencies (cargo deny)" cargo deny --offline --locked check bans licenses sources
else
    echo
    echo "==> licences and sources of dependencies (cargo deny): skipped, cargo-deny is not installed"
fi

echo
if [ ${#failed[@]} -gt 0 ]; then
    printf 'check: failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "check: all passed, $SECONDS s"
