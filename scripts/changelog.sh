#!/usr/bin/env bash
# Prints what CHANGELOG.md says about one version, for the text of a release:
#
#   scripts/changelog.sh 0.1.0
#   scripts/changelog.sh Unreleased
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -ne 1 ]; then
    echo "usage: scripts/changelog.sh VERSION" >&2
    exit 2
fi
text=$(awk -v version="$1" '
    /^## / { inside = index($0, "## [" version "]") == 1; next }
    /^\[[^]]*\]: / { inside = 0 }
    inside
' CHANGELOG.md)
if [ -z "${text//[[:space:]]/}" ]; then
    echo "changelog: CHANGELOG.md says nothing about $1" >&2
    exit 1
fi
printf '%s\n' "$text"
