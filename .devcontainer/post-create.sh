#!/usr/bin/env bash
# Runs once in a new development container: installs the same packages and pinned tools that `make test` and
# `make check` would install at their first run, so that those start at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2034 # read by setup.sh
for_tests=yes
# shellcheck disable=SC2034 # read by setup.sh
for_checks=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
scripts/tools.sh
