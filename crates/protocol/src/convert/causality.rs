//! Dots, causal contexts, cursors and times.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost_types::Timestamp;

use super::field::{REPLICA_ID_FORM, violation};
use crate::pb::{self, ErrorReason};
use crate::status::{Failure, FieldViolation};
use syncline_core::hash::Hash;
use syncline_core::ids::{Dot, parse_replica_id};
use syncline_core::limits::{EXTRAS_MAX, SEQ_MAX};
use syncline_core::operation::CausalContext;
use syncline_core::view::FeedCursor;

/// Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what a `google.protobuf.Timestamp` may hold.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
const NANOS_PER_SECOND: i32 = 1_000_000_000;
const NANOS_PER_MS: i32 = 1_000_000;

/// A dot of a client's replica.
pub fn dot_from_pb(dot: &pb::Dot, field: &str) -> Result<Dot, FieldViolation> {
    let pb::Dot { replica_id, counter } = dot;
    let Some(replica) = parse_replica_id(replica_id) else {
        return Err(FieldViolation::new(format!("{field}.replica_id"), REPLICA_ID_FORM));
    };
    if *counter == 0 {
        return Err(FieldViolation::new(format!("{field}.counter"), "counters start at 1"));
    }
    Ok(Dot { replica, counter: *counter })
}

/// A dot; the nil replica stands for the server.
pub fn dot_to_pb(dot: Dot) -> pb::Dot {
    pb::Dot { replica_id: dot.replica.to_string(), counter: dot.counter }
}

/// What is said of a position or an epoch that none can be.
const BELOW_SIGN: &str = "must be below 2^63; send back what the server told";

/// A causal context. What is wrong with it is added to `violations`; the context is to be used only without any.
pub fn context_from_pb(
    context: &pb::CausalContext,
    field: &str,
    violations: &mut Vec<FieldViolation>,
) -> CausalContext {
    let pb::CausalContext { epoch, base_seq, extras } = context;
    let mut out_of_limits = |at: String, description: &str| {
        violations.push(violation(at, description, ErrorReason::InvalidContext));
    };
    let mut known = CausalContext { epoch: *epoch, base_seq: *base_seq, extras: Vec::new() };
    for (name, number) in [("epoch", epoch), ("base_seq", base_seq)] {
        if *number > SEQ_MAX {
            out_of_limits(format!("{field}.{name}"), BELOW_SIGN);
        }
    }
    if extras.len() > EXTRAS_MAX {
        out_of_limits(format!("{field}.extras"), "at most 32 operations can be known beside the base");
        return known;
    }
    let mut replicas = BTreeSet::new();
    for (index, extra) in extras.iter().enumerate() {
        let at = format!("{field}.extras[{index}]");
        match dot_from_pb(extra, &at) {
            Ok(dot) if replicas.insert(dot.replica) => known.extras.push(dot),
            Ok(_) => out_of_limits(at, "the replica is named twice; its greatest counter says it all"),
            Err(FieldViolation { field, description, .. }) => out_of_limits(field, &description),
        }
    }
    known
}

/// A causal context.
pub fn context_to_pb(context: &CausalContext) -> pb::CausalContext {
    let CausalContext { epoch, base_seq, extras } = context;
    pb::CausalContext {
        epoch: *epoch,
        base_seq: *base_seq,
        extras: extras.iter().copied().map(dot_to_pb).collect(),
    }
}

/// A cursor, which must belong to the workspace that is asked for.
pub fn cursor_from_pb(cursor: pb::Cursor, workspace_id: &str, field: &str) -> Result<FeedCursor, Failure> {
    let pb::Cursor { workspace_id: owner, epoch, seq_inclusive, chain } = cursor;
    if owner != workspace_id {
        return Err(Failure::cursor_mismatch(&owner));
    }
    let mut violations = Vec::new();
    for (name, number) in [("epoch", epoch), ("seq_inclusive", seq_inclusive)] {
        if number > SEQ_MAX {
            violations.push(FieldViolation::new(format!("{field}.{name}"), BELOW_SIGN));
        }
    }
    if !violations.is_empty() {
        return Err(Failure::invalid_request(violations));
    }
    let chain = match chain.as_ref() {
        [] => None,
        bytes => Some(Hash::try_from(bytes).map_err(|_| {
            let at = format!("{field}.chain");
            Failure::invalid_request(vec![FieldViolation::new(at, "must be empty or 16 bytes")])
        })?),
    };
    Ok(FeedCursor { epoch, seq: seq_inclusive, chain })
}

/// A cursor of a workspace.
pub fn cursor_to_pb(workspace_id: &str, cursor: &FeedCursor) -> pb::Cursor {
    let FeedCursor { epoch, seq, chain } = cursor;
    pb::Cursor {
        workspace_id: workspace_id.to_owned(),
        epoch: *epoch,
        seq_inclusive: *seq,
        chain: chain.as_ref().map_or_else(Bytes::new, hash_to_pb),
    }
}

pub(super) fn hash_to_pb(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash)
}

/// Milliseconds since the Unix epoch; none when the timestamp is out of its documented range. What is finer than a
/// millisecond is dropped: times are for display.
pub fn timestamp_from_pb(timestamp: &Timestamp) -> Option<i64> {
    let Timestamp { seconds, nanos } = timestamp;
    if !TIMESTAMP_SECONDS.contains(seconds) || !(0..NANOS_PER_SECOND).contains(nanos) {
        return None;
    }
    Some(seconds * 1_000 + i64::from(nanos / NANOS_PER_MS))
}

/// A time of milliseconds since the Unix epoch.
pub fn timestamp_to_pb(ms: i64) -> Timestamp {
    // The remainder is below 1,000, so that the product fits.
    let nanos = i32::try_from(ms.rem_euclid(1_000)).unwrap_or(0) * NANOS_PER_MS;
    Timestamp { seconds: ms.div_euclid(1_000), nanos }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;
    use uuid::Uuid;

    use super::*;

    const REPLICA: &str = "6f2d0c3e-95b1-4c0a-8d2f-0123456789ab";

    fn dot(replica_id: &str, counter: u64) -> pb::Dot {
        pb::Dot { replica_id: replica_id.to_owned(), counter }
    }

    #[test]
    fn dots_come_back_as_they_went() {
        let there = dot(REPLICA, u64::MAX);
        assert_eq!(dot_from_pb(&there, "dot").map(dot_to_pb).ok(), Some(there));
        assert_eq!(dot_to_pb(Dot { replica: Uuid::nil(), counter: 1 }).replica_id, Uuid::nil().to_string());
    }

    #[test]
    fn bad_dots_are_named() {
        let upper = REPLICA.to_uppercase();
        let braced = format!("{{{REPLICA}}}");
        let nil = Uuid::nil().to_string();
        for id in ["", "x", &REPLICA[..35], &REPLICA.replace('-', ""), &upper, &braced, &nil] {
            let violation = dot_from_pb(&dot(id, 1), "a.dot").expect_err(id);
            assert_eq!(violation.field, "a.dot.replica_id");
        }
        let violation = dot_from_pb(&dot(REPLICA, 0), "a.dot").expect_err("counter 0");
        assert_eq!(violation.field, "a.dot.counter");
    }

    fn context(extras: Vec<pb::Dot>) -> pb::CausalContext {
        pb::CausalContext { epoch: SEQ_MAX, base_seq: 7, extras }
    }

    #[test]
    fn contexts_come_back_as_they_went() {
        let extras = (1..=32).map(|i| dot(&Uuid::from_u128(i).to_string(), 9)).collect();
        let there = context(extras);
        let mut violations = Vec::new();
        assert_eq!(context_to_pb(&context_from_pb(&there, "c", &mut violations)), there);
        assert!(violations.is_empty());
    }

    #[test]
    fn bad_contexts_are_named() {
        let many = (1..=33).map(|i| dot(&Uuid::from_u128(i).to_string(), 9)).collect();
        let nil = dot(&Uuid::nil().to_string(), 1);
        let cases = [
            (many, "c.extras"),
            (vec![dot(REPLICA, 1), dot(REPLICA, 2)], "c.extras[1]"),
            (vec![nil], "c.extras[0].replica_id"),
            (vec![dot(REPLICA, 0)], "c.extras[0].counter"),
        ];
        for (extras, field) in cases {
            let mut violations = Vec::new();
            context_from_pb(&context(extras), "c", &mut violations);
            assert_eq!(violations.len(), 1);
            assert_eq!(
                (violations[0].field.as_str(), violations[0].reason.as_str()),
                (field, "INVALID_CONTEXT")
            );
        }
    }

    #[test]
    fn no_epoch_and_no_position_has_64_bits() {
        let beyond = 1 << 63;
        let contexts = [(beyond, 7, "c.epoch"), (1, beyond, "c.base_seq"), (1, u64::MAX, "c.base_seq")];
        for (epoch, base_seq, field) in contexts {
            let mut violations = Vec::new();
            let sent = pb::CausalContext { epoch, base_seq, extras: vec![] };
            context_from_pb(&sent, "c", &mut violations);
            let told: Vec<_> = violations.iter().map(|v| (v.field.as_str(), v.reason.as_str())).collect();
            assert_eq!(told, [(field, "INVALID_CONTEXT")]);
        }
        let cursors =
            [(beyond, 4, "c.epoch"), (3, beyond, "c.seq_inclusive"), (3, u64::MAX, "c.seq_inclusive")];
        for (epoch, seq_inclusive, field) in cursors {
            let workspace_id = "w".to_owned();
            let sent = pb::Cursor { workspace_id, epoch, seq_inclusive, chain: Bytes::new() };
            let failure = cursor_from_pb(sent, "w", "c").expect_err("no cursor");
            assert_eq!(failure.reason(), ErrorReason::InvalidRequest);
            assert_eq!(failure.violations()[0].field, field);
        }
    }

    #[test]
    fn cursors_come_back_as_they_went() {
        for chain in [None, Some([7; 16])] {
            let cursor = FeedCursor { epoch: SEQ_MAX, seq: SEQ_MAX, chain };
            assert_eq!(cursor_from_pb(cursor_to_pb("w", &cursor), "w", "cursor").ok(), Some(cursor));
        }
    }

    #[test]
    fn cursors_of_elsewhere_are_refused() {
        let cursor = cursor_to_pb("other", &FeedCursor { epoch: 3, seq: 4, chain: None });
        let failure = cursor_from_pb(cursor.clone(), "w", "cursor").expect_err("another workspace");
        assert_eq!((failure.code(), failure.reason()), (Code::InvalidArgument, ErrorReason::CursorMismatch));
        let short = pb::Cursor { chain: Bytes::from_static(&[1; 15]), ..cursor };
        let failure = cursor_from_pb(short, "other", "start.cursor").expect_err("a short chain");
        assert_eq!(failure.violations()[0].field, "start.cursor.chain");
    }

    proptest! {
        #[test]
        fn times_come_back_as_they_went(ms in -62_135_596_800_000i64..253_402_300_800_000) {
            prop_assert_eq!(timestamp_from_pb(&timestamp_to_pb(ms)), Some(ms));
        }

        #[test]
        fn no_time_panics(ms in any::<i64>(), seconds in any::<i64>(), nanos in any::<i32>()) {
            let there = timestamp_to_pb(ms);
            prop_assert!((0..NANOS_PER_SECOND).contains(&there.nanos));
            let _ = timestamp_from_pb(&Timestamp { seconds, nanos });
        }
    }

    #[test]
    fn times_out_of_range_are_none() {
        let (first, last) = (*TIMESTAMP_SECONDS.start(), *TIMESTAMP_SECONDS.end());
        for (seconds, nanos) in [(first - 1, 0), (last + 1, 0), (0, -1), (0, NANOS_PER_SECOND), (i64::MIN, 0)]
        {
            assert_eq!(timestamp_from_pb(&Timestamp { seconds, nanos }), None);
        }
        assert_eq!(timestamp_from_pb(&Timestamp { seconds: -1, nanos: 999_999_999 }), Some(-1));
    }
}
