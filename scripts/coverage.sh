#!/usr/bin/env bash
# Runs the Rust tests with instrumentation and prints, for each file, how many of its lines they reach; the lines themselves
# are in target/llvm-cov/html. Takes longer than `make test` and builds everything a second time. Arguments go to cargo test:
#
#   scripts/coverage.sh                 all tests
#   scripts/coverage.sh --lib           unit tests only, some minutes
#
# What is not counted: tests of the TypeScript client, and servers that a test kills, because a killed process writes no
# counters.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2034 # read by setup.sh
for_tests=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
scripts/tools.sh grpcurl cargo-llvm-cov
export PATH="$PWD/.tools/bin:$PATH"

# The programs that read the counters belong to the compiler's version.
if command -v rustup >/dev/null; then
    rustup component add llvm-tools
fi

cargo llvm-cov clean --workspace
# The report is made even when a test fails: what was reached was reached.
outcome=0
cargo llvm-cov --workspace --locked --no-report --no-fail-fast "$@" </dev/null || outcome=$?
# A report is of the packages it is told; and what a killed program left half-written is left out of it.
packages=(--package syncline)
for manifest in crates/*/Cargo.toml; do
    packages+=(--package "$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)")
done
cargo llvm-cov report --failure-mode all --html "${packages[@]}"
cargo llvm-cov report --failure-mode all "${packages[@]}"
exit "$outcome"
