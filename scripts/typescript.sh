#!/usr/bin/env bash
# The TypeScript client: everything that is checked without running it (scripts/typescript.sh check), all of its tests,
# those in a real browser and against the real server included (scripts/typescript.sh test), or the packages as they are
# published (scripts/typescript.sh pack FOLDER). All install the pinned packages first. SYNCLINE_BIN names the server; without it the debug build is used, which must be there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

NODE_MINIMUM=20.19

fail() {
    echo "typescript: $*" >&2
    exit 1
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail "node and npm are missing: install Node.js $NODE_MINIMUM or newer (https://nodejs.org)"
fi
version=$(node --version)
printf '%s\n%s\n' "$NODE_MINIMUM" "${version#v}" | sort -V -C ||
    fail "Node.js $version is too old: install $NODE_MINIMUM or newer (https://nodejs.org)"

# The packages of the lock file, if they are not there yet.
install() {
    local lock=package-lock.json installed=node_modules/.syncline-lock
    if ! cmp -s "$lock" "$installed"; then
        npm ci --no-audit --no-fund --loglevel=error
        cp "$lock" "$installed"
    fi
}

case "${1:-}" in
check)
    scripts/tools.sh buf
    cd clients/typescript
    install
    npm run --silent typecheck
    npm run --silent lint
    npm run --silent format:check
    npm run --silent gen:check
    npm run --silent build
    npm run --silent console:check
    npm run --silent size
    ;;
test)
    # Where cargo puts it, from wherever the tests look.
    export SYNCLINE_BIN=${SYNCLINE_BIN:-$(realpath -m "${CARGO_TARGET_DIR:-target}")/debug/syncline}
    [ -x "$SYNCLINE_BIN" ] || fail "there is no server at $SYNCLINE_BIN: cargo build"
    cd clients/typescript
    install
    npm run --silent test
    # Browsers import the packages as they are shipped.
    npm run --silent build
    npm run --silent test:browser
    ;;
pack)
    folder=$(cd "${2:?a folder for the packages}" && pwd)
    cd clients/typescript
    install
    npm run --silent build -w @syncline/client -w @syncline/react
    npm pack --silent -w @syncline/client -w @syncline/react --pack-destination "$folder"
    # What somebody gets who installs both: their dependencies, as npm resolves them today.
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    # npm names the project after its folder. No path of this machine shall get into the list.
    mkdir "$scratch/syncline-typescript"
    cp "$folder"/syncline-*.tgz "$scratch/syncline-typescript/"
    cd "$scratch/syncline-typescript"
    printf '{ "name": "syncline-typescript", "version": "0.0.0", "private": true }\n' >package.json
    npm install --silent --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error ./syncline-*.tgz
    npm sbom --package-lock-only --sbom-format cyclonedx | sed "s|file:$PWD/|file:./|" >"$folder/syncline-typescript.cdx.json"
    ;;
*)
    fail "usage: scripts/typescript.sh check | test | pack FOLDER"
    ;;
esac
