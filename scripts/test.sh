#!/usr/bin/env bash
# The one test command. Installs what the tests need and is not there (as root or with sudo that asks nothing; else
# it says what is missing), runs every test, and sums up. Arguments go to cargo test: scripts/test.sh feed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.tools/bin:$PATH"

started=$SECONDS

# shellcheck disable=SC2034 # read by setup.sh
for_tests=yes
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

echo "==> tools"
tools_started=$SECONDS
scripts/tools.sh grpcurl
echo "    $((SECONDS - tools_started)) s"

echo
echo "==> build"
build_started=$SECONDS
cargo test --workspace --locked --no-run </dev/null
echo "    $((SECONDS - build_started)) s"

echo
echo "==> tests"
tests_started=$SECONDS
output=$(mktemp)
trap 'rm -f "$output"' EXIT
# All of them, even when one fails: the summary shall be whole.
outcome=0
cargo test --workspace --locked --no-fail-fast "$@" </dev/null 2>&1 | tee "$output" || outcome=$?
echo "    $((SECONDS - tests_started)) s"

# What clients see, once more on Postgres. What chooses its database itself has run already.
echo
echo "==> tests on Postgres"
postgres_started=$SECONDS
case " $* " in
*" -- "*) echo "    skipped: arguments after -- are for the first run only" ;;
*)
    SYNCLINE_TEST_DATABASE=postgres cargo test --workspace --locked --no-fail-fast --test it "$@" -- \
        --skip crash:: --skip harness:: --skip layering:: --skip newcomer:: --skip power_loss:: --skip proxies:: --skip replay:: \
        --skip scaling:: --skip servers:: --skip store_contract:: \
        </dev/null 2>&1 | sed 's/^test \(.* \.\.\.\)/test postgres: \1/' | tee -a "$output" || outcome=$?
    ;;
esac
echo "    $((SECONDS - postgres_started)) s"

echo
echo "==> tests of the TypeScript client"
typescript_started=$SECONDS
if [ $# -gt 0 ]; then
    echo "    skipped: arguments are for cargo test"
else
    scripts/typescript.sh test </dev/null 2>&1 | tee -a "$output" || outcome=$?
fi
echo "    $((SECONDS - typescript_started)) s"

echo
echo "==> summary"
awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
            if ($i == "ignored;") ignored += $(i - 1)
        }
    }
    # vitest: "      Tests  2 failed | 40 passed | 1 skipped (43)"
    { plain = $0; gsub(/\033\[[0-9;]*m/, "", plain) }
    plain ~ /^ +Tests +[0-9]/ {
        count = split(plain, words, " ")
        for (i = 2; i <= count; i++) {
            if (words[i] == "passed") passed += words[i - 1]
            if (words[i] == "failed") failed += words[i - 1]
            if (words[i] == "skipped") ignored += words[i - 1]
        }
    }
    plain ~ /^ +FAIL / { names = names "    FAILED: " plain "\n" }
    /^test .* \.\.\. FAILED$/ { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); names = names "    FAILED: " $0 "\n" }
    # Tests that this machine cannot run say so in a line of their own, and count as passed.
    /SKIPPED: / { sub(/^.*SKIPPED: /, ""); names = names "    NOT RUN HERE: " $0 "\n" }
    # A test binary that died without a verdict.
    /^  process didn.t exit successfully/ && !/exit status: 101/ { names = names "    FAILED: " $0 "\n" }
    END {
        printf "%s", names
        printf "total: %d passed, %d failed, %d skipped\n", passed, failed, ignored
    }
' "$output"
echo "    $((SECONDS - started)) s in all"
exit "$outcome"
