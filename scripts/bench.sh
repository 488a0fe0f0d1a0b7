#!/usr/bin/env bash
# Everything that `syncline bench` measures, held against the project's bars: builds a release, starts a PostgreSQL of its
# own, and prints a table. About a quarter of an hour and 4 GB of disk under TMPDIR. Arguments go to `syncline bench all`:
#
#   scripts/bench.sh --quick          minutes, small sizes, no bars
#   scripts/bench.sh --only feed      some lines
#
# SYNCLINE_TRACE names a recorded session to replay; without it that line is left out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2034 # read by setup.sh
for_tests=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
# shellcheck source=scripts/postgres.sh
. scripts/postgres.sh

echo "building a release (a few minutes the first time)"
cargo build --locked --release --quiet

trap stop_postgres EXIT
start_postgres
arguments=(--postgres-url "$POSTGRES_URL")
if [ -n "${SYNCLINE_TRACE:-}" ]; then
    arguments+=(--trace "$SYNCLINE_TRACE")
fi
"${CARGO_TARGET_DIR:-target}/release/syncline" bench all "${arguments[@]}" "$@"
