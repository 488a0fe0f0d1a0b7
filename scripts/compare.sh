#!/usr/bin/env bash
# Syncline and its peers (etcd, NATS JetStream) side by side on this machine: installs the peers' packages when it may,
# builds, and runs the comparison of crates/compare. Arguments go to it:
#
#   scripts/compare.sh                    everything, about eight minutes
#   scripts/compare.sh --quick            whether it works, half a minute
#   scripts/compare.sh --only fanout      one scenario; --help names them
#   scripts/compare.sh --json             one object for programs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Peers that are named, and peers that are not wanted, need no package.
# shellcheck disable=SC2034 # read by setup.sh
for_compare=yes
case " $* " in
*" --etcd"* | *" --nats-server"* | *" --peers"* | *" --help "*) for_compare=no ;;
esac
# What is said on the way is not part of the result.
# shellcheck source=scripts/setup.sh
. scripts/setup.sh >&2

cargo build --release --locked --quiet --package syncline --package syncline-compare >&2
programs=${CARGO_TARGET_DIR:-target}/release
exec "$programs/syncline-compare" "$@"
