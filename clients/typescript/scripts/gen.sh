#!/usr/bin/env bash
# Generates packages/client/src/gen from ../../proto with the pinned buf and protoc-gen-es.
#
#   scripts/gen.sh            writes the code
#   scripts/gen.sh --check    fails when the committed code is not what the protocol says
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ROOT=../..
OUT=packages/client/src/gen
# What the client speaks; the rest of the protocol is none of its business.
FILES=(causality change change_service conflict conflict_service connection connection_service error operation
    operation_service record record_service value workspace workspace_service)

"$ROOT/scripts/tools.sh" buf
export PATH="$PWD/node_modules/.bin:$PATH"

generate() {
    local paths=() file
    for file in "${FILES[@]}"; do
        paths+=(--path "$ROOT/proto/syncline/v1/$file.proto")
    done
    "$ROOT/.tools/bin/buf" generate "$ROOT/proto" --template buf.gen.yaml --output "$1" "${paths[@]}"
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
