#!/usr/bin/env bash
# Whether console/dist, which the server embeds, is what these sources build. Leaves it as they build it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
npm run build:console
if [ -n "$(git status --porcelain -- ../../console/dist)" ]; then
    echo "console/dist differs from what the sources build; commit it:" >&2
    git status --short -- ../../console/dist >&2
    exit 1
fi
