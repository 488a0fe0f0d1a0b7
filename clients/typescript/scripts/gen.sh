#!/usr/bin/env bash
# Generates packages/client/src/gen from ../../proto with the pinned buf: types by protoc-gen-es, tables by
# scripts/protoc-gen-tables.mjs. After a change of the protocol this is the one command to run; `npm run typecheck` then
# points at what the client has to be adapted to.
#
#   scripts/gen.sh            writes the code
#   scripts/gen.sh --check    fails when the committed code is not what the protocol says
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ROOT=../..
OUT=packages/client/src/gen
# The package that clients speak.
PACKAGE=$ROOT/proto/syncline/v1

"$ROOT/scripts/tools.sh" buf
export PATH="$PWD/node_modules/.bin:$PATH"

generate() {
    "$ROOT/.tools/bin/buf" generate "$ROOT/proto" --template buf.gen.yaml --output "$1" --path "$PACKAGE"
}

if [ "${1:-}" = --check ]; then
    fresh=$(mktemp -d)
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    diff -r "$fresh/$OUT" "$OUT" || {
        echo "gen: $OUT is not what proto/ says; run: npm run gen" >&2
        exit 1
    }
else
    rm -rf "$OUT"
    generate .
fi
