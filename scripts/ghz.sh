#!/usr/bin/env bash
# Load tests with ghz (https://ghz.sh), one for each configuration in benches/ghz: starts a release server of its own on
# a temporary database, fills it, runs, checks that every counted call was real work, and prints a table. Reports land in
# target/ghz/. What it measures and what it cannot is in benches/ghz/README.md.
#
#   scripts/ghz.sh                     all scenarios
#   scripts/ghz.sh submit keep-alive   some of them
#
# Variables: GHZ_SECONDS (5), GHZ_CONCURRENCY (64) calls in flight, GHZ_CONNECTIONS (8), GHZ_STREAMS (64) open feeds and
# GHZ_WRITES (200) operations a second to them in the scenario subscribe, GHZ_CONFIGS (benches/ghz) the folder of the
# configurations, GHZ_SERVER a syncline to run instead of building one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SECONDS_EACH=${GHZ_SECONDS:-5}
CONCURRENCY=${GHZ_CONCURRENCY:-64}
CONNECTIONS=${GHZ_CONNECTIONS:-8}
STREAMS=${GHZ_STREAMS:-64}
WRITES_PER_SECOND=${GHZ_WRITES:-200}
CONFIGS=${GHZ_CONFIGS:-benches/ghz}
REPORTS=target/ghz

SCENARIOS=(noop submit get-record list-conflicts watch subscribe keep-alive)
# The configurations name these, and as many records.
WORKSPACE=ghz
FEED_WORKSPACE=ghz-feed
RECORDS=1000
CONFLICTS=100
# A stream that has a side of its own to close never ends a feed: the server does, when the feed has reached its greatest
# age, give or take 10 %. This is the least the server takes; streams get their writes well before it.
STREAM_AGE_SECONDS=10
STREAM_WRITE_SECONDS=4
# server.max_streams_per_connection, unless it is configured.
STREAMS_PER_CONNECTION=32
# ghz keeps the results of this many calls; from more no percentile can be made.
RESULTS_MAX=1000000
# The first run of a history this long has at least so many changes.
FIRST_RUN_CHANGES=256
COMPLAINT_BYTES_MAX=1000
# Polls of 100 ms.
READY_POLLS=100

fail() {
    echo "ghz: $*" >&2
    exit 1
}

wanted=("$@")
[ $# -gt 0 ] || wanted=("${SCENARIOS[@]}")
for scenario in "${wanted[@]}"; do
    case " ${SCENARIOS[*]} " in
    *" $scenario "*) ;;
    *) fail "there is no scenario $scenario: ${SCENARIOS[*]}" ;;
    esac
done
for number in "$SECONDS_EACH" "$CONCURRENCY" "$CONNECTIONS" "$STREAMS" "$WRITES_PER_SECOND"; do
    [[ "$number" =~ ^[1-9][0-9]*$ ]] || fail "GHZ_SECONDS, GHZ_CONCURRENCY, … are whole numbers from 1: $number"
done
# ghz spreads workers over connections and refuses more of these than of those.
[ "$CONNECTIONS" -le "$CONCURRENCY" ] || fail "GHZ_CONNECTIONS is at most GHZ_CONCURRENCY"
[ "$CONNECTIONS" -le "$STREAMS" ] || fail "GHZ_CONNECTIONS is at most GHZ_STREAMS"
# Further streams would wait in the client until others end, and miss what is written meanwhile.
[ "$STREAMS" -le "$((CONNECTIONS * STREAMS_PER_CONNECTION))" ] ||
    fail "GHZ_STREAMS is at most $STREAMS_PER_CONNECTION for each of GHZ_CONNECTIONS"
for tool in curl jq; do
    command -v "$tool" >/dev/null || fail "$tool is missing (Debian: apt-get install $tool)"
done

# shellcheck source=scripts/setup.sh
. scripts/setup.sh
scripts/tools.sh grpcurl ghz
export PATH="$PWD/.tools/bin:$PATH"
if [ -z "${GHZ_SERVER:-}" ]; then
    echo "ghz: building the server (a few minutes the first time)"
    cargo build --locked --release --quiet
    GHZ_SERVER=${CARGO_TARGET_DIR:-target}/release/syncline
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/syncline-ghz.XXXXXX")
server=
background=

# However this ends, nothing of it stays behind but the reports.
clean_up() {
    local outcome=$? process
    trap - EXIT
    for process in "$background" "$server"; do
        if [ -n "$process" ]; then
            kill "$process" 2>/dev/null || true
            wait "$process" 2>/dev/null || true
        fi
    done
    if [ "$outcome" -ne 0 ]; then
        # What the server complained of, if it did.
        grep -v '"level":"INFO"' "$scratch/server.log" | tail -n 5 >&2 || true
    fi
    rm -rf "$scratch"
    exit "$outcome"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_server() {
    touch "$scratch/server.out" "$scratch/server.log"
    SYNCLINE__SERVER__LISTEN=127.0.0.1:0 SYNCLINE__METRICS__LISTEN=127.0.0.1:0 \
        SYNCLINE__DATABASE__URL="sqlite:$scratch/ghz.db" SYNCLINE__LOG__FORMAT=json SYNCLINE__LOG__LEVEL=info \
        SYNCLINE__SERVER__MAX_STREAM_AGE_SECONDS=$STREAM_AGE_SECONDS SYNCLINE__SERVER__DRAIN_SECONDS=1 \
        "$GHZ_SERVER" serve >"$scratch/server.out" 2>"$scratch/server.log" &
    server=$!
    local poll
    for ((poll = 0; poll < READY_POLLS; poll++)); do
        address=$(sed -n 's|^syncline listens on http://||p' "$scratch/server.out")
        if [ -n "$address" ]; then
            metrics=$(jq -rn 'first(inputs | select(.message == "metrics")).address' "$scratch/server.log")
            return
        fi
        kill -0 "$server" 2>/dev/null || fail "the server does not start"
        sleep 0.1
    done
    fail "the server is not ready after $((READY_POLLS / 10)) s"
}

# call METHOD, with the message as its input.
call() {
    grpcurl -plaintext -import-path proto -proto syncline/v1/workspace_service.proto \
        -proto syncline/v1/operation_service.proto -proto syncline/v1/record_service.proto \
        -proto syncline/v1/conflict_service.proto -d @ "$address" "syncline.v1.$1"
}

# head WORKSPACE: its newest position, as a read tells it.
head_of() {
    jq -n --arg workspace "$1" '{workspaceId: $workspace}' | call WorkspaceService/GetWorkspace |
        jq -r '.workspace.headSeq // "0"'
}

# metric NAME [FIRST-LABEL]: a number of the server's own, summed over the labels that are not given.
metric() {
    curl -sf "http://$metrics/metrics" | awk -v start="$1${2:+{$2}" '
        index($0, start) == 1 && substr($0, length(start) + 1, 1) ~ /[ {,}]/ { sum += $NF }
        END { printf "%d", sum }'
}

# calls_of METHOD: ended calls as the server counts them, of every status.
calls_of() {
    local package=syncline.v1
    case $1 in DiagnosticsService/*) package=syncline.diagnostics.v1alpha1 ;; esac
    metric syncline_grpc_calls_total "method=\"$package.$1\""
}

# submit WORKSPACE, with a list of operations as its input: all must settle at a position.
submit() {
    jq --arg workspace "$1" '{workspaceId: $workspace, operations: .}' | call OperationService/Submit |
        jq -e 'all(.receipts[]; has("applied") or has("merged") or has("conflicted"))' >/dev/null ||
        fail "what the scenarios need could not be written"
}

# set_titles WHO KNOWLEDGE: operations that set the title of the first records, all knowing the same.
set_titles() {
    jq -n --arg who "$1" --argjson knowledge "$2" --argjson count "$CONFLICTS" '[range($count) | {
        requestId: "\($who)-\(.)", actor: $who,
        mutations: [{record: {collectionId: "conflicting", recordId: "conflicting-\(.)",
            setField: {fieldId: "title", value: {stringValue: "\($who) was here"}}}}]
    } + $knowledge]'
}

# create_records WORKSPACE COLLECTION PREFIX COUNT
create_records() {
    jq -n --arg collection "$2" --arg prefix "$3" --argjson count "$4" '[range($count) | {
        requestId: "create-\($prefix)-\(.)", latest: {},
        mutations: [{record: {collectionId: $collection, recordId: "\($prefix)-\(.)",
            createRecord: {fields: {title: {stringValue: ("title" + " " * 251)}}}}}]
    }]' | submit "$1"
}

fill() {
    local workspace before
    for workspace in "$WORKSPACE" "$FEED_WORKSPACE"; do
        jq -n --arg workspace "$workspace" '{workspaceId: $workspace}' | call WorkspaceService/CreateWorkspace >/dev/null
        create_records "$workspace" notes note "$RECORDS"
    done
    # Two people set the same titles, neither knowing of the other: a conflict each.
    create_records "$WORKSPACE" conflicting conflicting "$CONFLICTS"
    before=$(jq -n --arg workspace "$WORKSPACE" '{workspaceId: $workspace}' | call WorkspaceService/GetWorkspace |
        jq -c '{context: {epoch: .workspace.epoch, baseSeq: .workspace.headSeq}}')
    set_titles ada "$before" | submit "$WORKSPACE"
    set_titles grace "$before" | submit "$WORKSPACE"
    local conflicts
    conflicts=$(metric syncline_conflicts_opened_total)
    [ "$conflicts" = "$CONFLICTS" ] || fail "$conflicts conflicts where $CONFLICTS were made"
}

# run_ghz REPORT SCENARIO ARGUMENTS...: one run, whose report in HTML holds the result of every call.
run_ghz() {
    local report=$1 scenario=$2
    shift 2
    [ -f "$CONFIGS/$scenario.json" ] || fail "there is no $CONFIGS/$scenario.json"
    rm -f "$REPORTS/$report.html" "$REPORTS/$report.json"
    # What ghz says of messages it cannot make it says for each of them.
    ${exec_ghz:-} ghz --config "$CONFIGS/$scenario.json" --format html --output "$REPORTS/$report.html" "$@" "$address" \
        2>"$scratch/$report.err" || {
        head -c "$COMPLAINT_BYTES_MAX" "$scratch/$report.err" >&2
        echo >&2
        fail "$scenario: ghz failed"
    }
}

# summarize REPORT STATUS: the numbers of a report as JSON. ghz writes one format a run, but the HTML holds all results.
# Calls that did not end with the status that the scenario ends with are errors.
summarize() {
    local count
    count=$(sed -n 's/^[[:space:]]*const count = \([0-9]*\);$/\1/p' "$REPORTS/$1.html")
    [ -n "$count" ] || fail "$REPORTS/$1.html is no report"
    [ "$count" -le "$RESULTS_MAX" ] || fail "$1: $count calls are more than ghz keeps; make GHZ_SECONDS less"
    sed -n 's/^[[:space:]]*const rawData = \(.*\);$/\1/p' "$REPORTS/$1.html" |
        jq --arg scenario "$1" --arg status "$2" --argjson counted "$count" '
            # jq reads times to the second only. All are of one zone, so that this does for differences.
            def seconds: capture("^(?<whole>[^.Z+]*)(?<part>\\.[0-9]+)?")
                | (.whole + "Z" | fromdateiso8601) + ("0" + (.part // ".0") | tonumber);
            def percentile($sorted; $p): if ($sorted | length) == 0 then null
                else $sorted[[($sorted | length) - 1, (($sorted | length) * $p / 100 | floor)] | min] / 1000 | round end;
            (. // []) as $calls
            | [$calls[] | select(.status == $status)] as $good
            | ([$good[].latency] | sort) as $sorted
            | (if $calls == [] then 0 else
                ($calls | max_by(.timestamp).timestamp | seconds)
                - ($calls | min_by(.timestamp) | (.timestamp | seconds) - .latency / 1e9)
            end) as $seconds
            | {
                scenario: $scenario,
                count: $counted,
                ended_as: $status,
                errors: ($counted - ($good | length)),
                statuses: ($calls | group_by(.status) | map({key: .[0].status, value: length}) | from_entries),
                messages: ([$calls[] | select(.status != $status) | .error] | unique | .[:3]),
                seconds: $seconds,
                rate_per_s: (if $seconds > 0 then ($good | length) / $seconds else 0 end),
                p50_us: percentile($sorted; 50),
                p90_us: percentile($sorted; 90),
                p99_us: percentile($sorted; 99),
                max_us: percentile($sorted; 100)
            }' >"$REPORTS/$1.json"
}

# result REPORT KEY
result() {
    jq -r ".$2" "$REPORTS/$1.json"
}

failures=0

# complain SCENARIO TEXT: the scenario failed; the others still run.
complain() {
    echo "ghz: FAILED: $1: $2" >&2
    failures=$((failures + 1))
}

# check_statuses SCENARIO: no call ended otherwise than it should, and there was one.
check_statuses() {
    if [ "$(result "$1" errors)" != 0 ]; then
        complain "$1" "calls ended as $(result "$1" 'statuses | tostring'), $(result "$1" ended_as) was expected: $(result "$1" 'messages | join("; ")')"
    elif [ "$(result "$1" count)" = 0 ]; then
        complain "$1" "no call was made"
    fi
}

# equal SCENARIO WHAT THIS THAT
equal() {
    [ "$3" = "$4" ] || complain "$1" "$2: $3, where ghz counted $4"
}

# unary SCENARIO METHOD WRITES: each call writes so many operations.
unary() {
    local scenario=$1 method=$2 writes=$3 head calls
    head=$(head_of "$WORKSPACE")
    calls=$(calls_of "$method")
    run_ghz "$scenario" "$scenario" --concurrency "$CONCURRENCY" --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s"
    summarize "$scenario" OK
    check_statuses "$scenario"
    equal "$scenario" "calls the server answered" "$(($(calls_of "$method") - calls))" "$(result "$scenario" count)"
    # A receipt may say that nothing happened (a duplicate, a refusal) in an answer that is OK: only positions count.
    equal "$scenario" "operations settled" "$(($(head_of "$WORKSPACE") - head))" \
        "$(($(result "$scenario" count) * writes))"
}

noop() {
    unary noop DiagnosticsService/Noop 0
}

submit_scenario() {
    unary submit OperationService/Submit 1
}

get_record() {
    unary get-record RecordService/GetRecord 0
    jq -n --arg workspace "$WORKSPACE" '{workspaceId: $workspace, recordId: "note-0"}' | call RecordService/GetRecord |
        jq -e '.record.fields.title.registerValue.stringValue | length == 256' >/dev/null ||
        complain get-record "the record read is not the one written"
}

list_conflicts() {
    unary list-conflicts ConflictService/ListConflicts 0
    jq -n --arg workspace "$WORKSPACE" '{workspaceId: $workspace, pageSize: 50}' |
        call ConflictService/ListConflicts | jq -e '(.conflicts | length) == 50 and .nextPageToken != ""' >/dev/null ||
        complain list-conflicts "a page is not of 50 conflicts"
}

# The client ends a Watch, so that it ends as Canceled; two messages are the opening and a first run of the history.
watch() {
    local delivered count
    delivered=$(metric syncline_feed_changes_delivered_total)
    run_ghz watch watch --concurrency "$CONCURRENCY" --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s"
    summarize watch Canceled
    check_statuses watch
    count=$(result watch count)
    delivered=$(($(metric syncline_feed_changes_delivered_total) - delivered))
    [ "$delivered" -ge "$((count * FIRST_RUN_CHANGES))" ] ||
        complain watch "$count feeds got $delivered changes, fewer than $FIRST_RUN_CHANGES each"
}

# Feeds that stay open while others write: each gets every change, and the server ends it with go_away, which is OK.
subscribe() {
    local delivered expected poll
    delivered=$(metric syncline_feed_changes_delivered_total)
    # With exec, so that the process is ghz itself, to be waited for and to be ended.
    (exec_ghz="exec" && run_ghz subscribe subscribe --concurrency "$STREAMS" --connections "$CONNECTIONS" --total "$STREAMS") &
    background=$!
    for ((poll = 0; poll < READY_POLLS; poll++)); do
        [ "$(metric syncline_feed_subscribers)" != "$STREAMS" ] || break
        kill -0 "$background" 2>/dev/null || break
        sleep 0.1
    done
    run_ghz subscribe-writes subscribe-writes --concurrency "$CONCURRENCY" --connections "$CONNECTIONS" \
        --rps "$WRITES_PER_SECOND" --total "$((WRITES_PER_SECOND * STREAM_WRITE_SECONDS))"
    wait "$background" || complain subscribe "ghz failed"
    background=
    summarize subscribe-writes OK
    check_statuses subscribe-writes
    summarize subscribe OK
    check_statuses subscribe
    equal subscribe "feeds" "$STREAMS" "$(result subscribe count)"
    expected=$(($(head_of "$FEED_WORKSPACE")))
    equal subscribe-writes "operations settled" "$((expected - RECORDS))" "$(result subscribe-writes count)"
    delivered=$(($(metric syncline_feed_changes_delivered_total) - delivered))
    [ "$delivered" = "$((STREAMS * expected))" ] ||
        complain subscribe "$delivered changes reached $STREAMS feeds of $expected changes"
}

keep_alive() {
    local calls
    calls=$(calls_of ConnectionService/KeepAlive)
    run_ghz keep-alive keep-alive --concurrency "$CONCURRENCY" --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s"
    summarize keep-alive OK
    check_statuses keep-alive
    equal keep-alive "streams the server ended" "$(($(calls_of ConnectionService/KeepAlive) - calls))" \
        "$(result keep-alive count)"
}

# The table for people, in the order in which the scenarios ran.
print_table() {
    local scenario
    printf '\n%-18s %9s %10s %10s %10s %10s %7s\n' scenario count rate/s 'p50 ms' 'p90 ms' 'p99 ms' errors
    for scenario in "$@"; do
        [ -f "$REPORTS/$scenario.json" ] || continue
        jq -r '[.scenario, .count, .rate_per_s, (.p50_us // 0) / 1000, (.p90_us // 0) / 1000, (.p99_us // 0) / 1000, .errors] | @tsv' \
            "$REPORTS/$scenario.json" |
            awk -F '\t' '{ printf "%-18s %9d %10.0f %10.2f %10.2f %10.2f %7d\n", $1, $2, $3, $4, $5, $6, $7 }'
    done
    echo "watch, subscribe, keep-alive: a call is a whole stream, and its time the stream's life (benches/ghz/README.md)."
    echo "Reports: $REPORTS/*.html, *.json"
}

mkdir -p "$REPORTS"
start_server
echo "ghz: server on $address, $RECORDS records and $CONFLICTS conflicts"
fill
ran=()
for scenario in "${wanted[@]}"; do
    echo "ghz: $scenario"
    case "$scenario" in
    submit) submit_scenario ;;
    subscribe)
        subscribe
        ran+=(subscribe-writes)
        ;;
    *) "${scenario//-/_}" ;;
    esac
    ran+=("$scenario")
done
print_table "${ran[@]}"
if [ "$failures" -gt 0 ]; then
    fail "$failures checks failed"
fi
