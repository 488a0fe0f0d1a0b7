#!/usr/bin/env bash
# Builds the docs site from docs/ and from the comments of the protocol into target/docs, and checks its links and the files
# that documents name. Open target/docs/index.html.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

if ! command -v node >/dev/null; then
    echo "docs: node is missing: install Node.js 20.19 or newer (https://nodejs.org)" >&2
    exit 1
fi
scripts/tools.sh buf mdbook

site=target/docs
# A page that is no more must not stay, or links to it would seem to work.
rm -rf "$site"
mdbook build docs
node scripts/docs/check-links.mjs "$site"
node scripts/docs/check-paths.mjs
