//! Dots, causal contexts and times.

use std::collections::BTreeSet;
use syncline_core::causality::{Counter, Seq};

use bytes::Bytes;
use prost_types::Timestamp;

use super::field::{REPLICA_ID_FORM, violation};
use crate::pb::{self, ErrorReason};
use crate::status::FieldViolation;
use syncline_core::hash::Hash;
use syncline_core::ids::{Dot, Epoch, parse_replica_id};
use syncline_core::limits::{EXTRAS_MAX, SEQ_MAX};
use syncline_core::operation::CausalContext;

/// Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what a `google.protobuf.Timestamp` may hold.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Counters lie below this: they fit a signed number of 64 bits.
const COUNTER_LIMIT: u64 = 1 << 63;
const COUNTER_FORM: &str = "counters start at 1 and lie below 2^63";
const NANOS_PER_SECOND: i32 = 1_000_000_000;
const NANOS_PER_MS: i32 = 1_000_000;

/// A dot of a client's replica.
pub fn dot_from_pb(dot: &pb::Dot, field: &str) -> Result<Dot, FieldViolation> {
    let pb::Dot { replica_id, counter } = dot;
    let Some(replica) = parse_replica_id(replica_id) else {
        return Err(FieldViolation::new(format!("{field}.replica_id"), REPLICA_ID_FORM));
    };
    if !(1..COUNTER_LIMIT).contains(counter) {
        return Err(FieldViolation::new(format!("{field}.counter"), COUNTER_FORM));
    }
    Ok(Dot { replica, counter: Counter(*counter) })
}

/// A dot; the nil replica stands for the server.
pub fn dot_to_pb(dot: Dot) -> pb::Dot {
    pb::Dot { replica_id: dot.replica.to_string(), counter: dot.counter.0 }
}

/// The description of a violation by a position or an epoch that is out of range.
pub(super) const BELOW_SIGN: &str = "must be below 2^63; send back what the server told";

/// A causal context. What is wrong with it is added to `violations`; the context is to be used only without any.
pub fn context_from_pb(
    context: &pb::CausalContext,
    field: &str,
    violations: &mut Vec<FieldViolation>,
) -> CausalContext {
    let pb::CausalContext { epoch, base_seq, extras, base_chain } = context;
    let mut out_of_limits = |at: String, description: &str| {
        violations.push(violation(at, description, ErrorReason::InvalidContext));
    };
    let mut known = CausalContext::at(Epoch(*epoch), Seq(*base_seq));
    for (name, number) in [("epoch", epoch), ("base_seq", base_seq)] {
        if *number > SEQ_MAX {
            out_of_limits(format!("{field}.{name}"), BELOW_SIGN);
        }
    }
    match chain_from_pb(base_chain) {
        Ok(chain) => known.base_chain = chain,
        Err(description) => out_of_limits(format!("{field}.base_chain"), description),
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
    let CausalContext { epoch, base_seq, base_chain, extras } = context;
    pb::CausalContext {
        epoch: epoch.0,
        base_seq: base_seq.0,
        base_chain: base_chain.as_ref().map_or_else(Bytes::new, hash_to_pb),
        extras: extras.iter().copied().map(dot_to_pb).collect(),
    }
}

/// A hash chain, when it is known.
pub(super) fn chain_from_pb(chain: &[u8]) -> Result<Option<Hash>, &'static str> {
    match chain {
        [] => Ok(None),
        bytes => Hash::try_from(bytes).map(Some).map_err(|_| "must be empty or 16 bytes"),
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
    use syncline_core::ids::ReplicaId;
    use uuid::Uuid;

    use super::*;

    const REPLICA: &str = "6f2d0c3e-95b1-4c0a-8d2f-0123456789ab";

    fn dot(replica_id: &str, counter: u64) -> pb::Dot {
        pb::Dot { replica_id: replica_id.to_owned(), counter }
    }

    #[test]
    fn dots_come_back_as_they_went() {
        let there = dot(REPLICA, u64::MAX >> 1);
        assert_eq!(dot_from_pb(&there, "dot").map(dot_to_pb).ok(), Some(there));
        assert_eq!(
            dot_to_pb(Dot { replica: ReplicaId::SERVER, counter: Counter::FIRST }).replica_id,
            Uuid::nil().to_string()
        );
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
        for counter in [0, 1 << 63, u64::MAX] {
            let violation = dot_from_pb(&dot(REPLICA, counter), "a.dot").expect_err("a counter");
            assert_eq!(violation.field, "a.dot.counter");
        }
    }

    fn context(extras: Vec<pb::Dot>) -> pb::CausalContext {
        pb::CausalContext { epoch: SEQ_MAX, base_seq: 7, extras, base_chain: vec![5; 16].into() }
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
        let short = pb::CausalContext { base_chain: vec![5; 15].into(), ..context(vec![]) };
        let cases = cases.map(|(extras, field)| (context(extras), field));
        for (context, field) in cases.into_iter().chain([(short, "c.base_chain")]) {
            let mut violations = Vec::new();
            context_from_pb(&context, "c", &mut violations);
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
            let sent = pb::CausalContext { epoch, base_seq, ..Default::default() };
            context_from_pb(&sent, "c", &mut violations);
            let told: Vec<_> = violations.iter().map(|v| (v.field.as_str(), v.reason.as_str())).collect();
            assert_eq!(told, [(field, "INVALID_CONTEXT")]);
        }
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
