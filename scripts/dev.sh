#!/usr/bin/env bash
# Sets up what a build needs, builds, and runs a server with an example workspace. Arguments go to `syncline dev`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
echo "building (a few minutes the first time)"
exec cargo run --locked --quiet -- dev "$@"
