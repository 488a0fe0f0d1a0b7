//! Cursors, and what feeds are asked for.
//!
//! A cursor is opaque to clients, but it is still their input, so it is checked like any other input. Its two opaque
//! parts are encoded messages that belong to this module. Their fields have numbers as those of the protocol do,
//! because a server of another version has to read them.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::causality::{BELOW_SIGN, hash_to_pb};
use super::field::name_from_pb;
use crate::pb;
use crate::status::{Failure, FieldViolation};
use syncline_core::causality::Seq;
use syncline_core::hash::Hash;
use syncline_core::ids::{Epoch, is_name};
use syncline_core::limits::{FEED_COLLECTIONS_MAX, SEQ_MAX};
use syncline_core::resume::{Asked, HELD_NAMES_MAX, Loading, Resume, Stage, Walked};
use syncline_core::selection::Collections;
use syncline_core::view::FeedCursor;

/// How many bytes of names a cursor may have; a longer selection is given by a hash, since every frame has a cursor.
const SELECTION_BYTES_MAX: usize = 512;

/// `Cursor.selection`.
#[derive(Clone, PartialEq, prost::Message)]
struct Selection {
    #[prost(message, optional, tag = "1")]
    collections: Option<Names>,
    /// Given instead of the names.
    #[prost(bytes = "bytes", tag = "2")]
    fingerprint: Bytes,
}

/// A set of collections.
#[derive(Clone, PartialEq, prost::Message)]
struct Names {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
    /// Whether the set is all collections but these.
    #[prost(bool, tag = "2")]
    all_but: bool,
}

/// `Cursor.loading`.
#[derive(Clone, PartialEq, prost::Message)]
struct Loaded {
    #[prost(message, optional, tag = "1")]
    whole: Option<Names>,
    #[prost(message, optional, tag = "2")]
    partly: Option<Names>,
    /// 1 leaving, 2 entering, 3 loaded.
    #[prost(uint32, tag = "3")]
    stage: u32,
    /// The collection that a walk over one collection after the other is in.
    #[prost(string, tag = "4")]
    collection: String,
    /// The last record of the walk.
    #[prost(string, tag = "5")]
    after: String,
    #[prost(bool, tag = "6")]
    from_scratch: bool,
    #[prost(uint64, tag = "7")]
    loaded_count: u64,
    #[prost(uint64, optional, tag = "8")]
    read_seq: Option<u64>,
    #[prost(bytes = "bytes", tag = "9")]
    read_chain: Bytes,
}

const LEAVING: u32 = 1;
const ENTERING: u32 = 2;
const LOADED: u32 = 3;

/// The collections a feed wants.
pub fn collections_from_pb(filter: Option<pb::FeedFilter>) -> Result<Collections, Failure> {
    let Some(pb::FeedFilter { collection_ids }) = filter else { return Ok(Collections::everything()) };
    let mut violations = Vec::new();
    if collection_ids.len() > FEED_COLLECTIONS_MAX {
        let why = format!("at most {FEED_COLLECTIONS_MAX}");
        violations.push(FieldViolation::new("filter.collection_ids", why));
        return Err(Failure::invalid_request(violations));
    }
    let mut wanted = BTreeSet::new();
    for (index, id) in collection_ids.iter().enumerate() {
        match name_from_pb(id, &format!("filter.collection_ids[{index}]")) {
            Ok(collection) => {
                wanted.insert(collection);
            }
            Err(violation) => violations.push(violation),
        }
    }
    if !violations.is_empty() {
        return Err(Failure::invalid_request(violations));
    }
    Ok(if wanted.is_empty() { Collections::everything() } else { Collections::Only(wanted) })
}

/// A cursor, which must belong to the workspace that is asked for.
pub fn cursor_from_pb(cursor: pb::Cursor, workspace_id: &str, field: &str) -> Result<Resume, Failure> {
    let pb::Cursor { workspace_id: owner, epoch, seq_inclusive, chain, selection, loading } = cursor;
    if owner != workspace_id {
        return Err(Failure::cursor_mismatch(&owner));
    }
    let broken = |part: &str, why: &str| {
        Failure::invalid_request(vec![FieldViolation::new(format!("{field}.{part}"), why)])
    };
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
        bytes => Some(Hash::try_from(bytes).map_err(|_| broken("chain", "must be empty or 16 bytes"))?),
    };
    let not_ours = "is not what a cursor came with; start with a snapshot";
    let asked = selection_from_bytes(&selection).ok_or_else(|| broken("selection", not_ours))?;
    let loading = match loading.as_ref() {
        [] => None,
        bytes => Some(loading_from_bytes(bytes).ok_or_else(|| broken("loading", not_ours))?),
    };
    Ok(Resume {
        position: FeedCursor { epoch: Epoch(epoch), seq: Seq(seq_inclusive), chain },
        asked,
        loading,
    })
}

/// A cursor of a workspace, of a reader that has everything up to there.
pub fn cursor_to_pb(workspace_id: &str, cursor: &FeedCursor) -> pb::Cursor {
    feed_cursor_to_pb(workspace_id, cursor, Bytes::new(), None)
}

/// A cursor of a feed, with what it was asked for ([`selection_to_bytes`]).
pub fn feed_cursor_to_pb(
    workspace_id: &str,
    cursor: &FeedCursor,
    selection: Bytes,
    loading: Option<&Loading>,
) -> pb::Cursor {
    let FeedCursor { epoch, seq, chain } = cursor;
    pb::Cursor {
        workspace_id: workspace_id.to_owned(),
        epoch: epoch.0,
        seq_inclusive: seq.0,
        chain: chain.as_ref().map_or_else(Bytes::new, hash_to_pb),
        selection,
        loading: loading.map_or_else(Bytes::new, loading_to_bytes),
    }
}

/// What a feed was asked for, as its cursors say it: nothing for everything.
pub fn selection_to_bytes(collections: &Collections) -> Bytes {
    if collections.is_everything() {
        return Bytes::new();
    }
    let bytes: usize = collections.names().iter().map(|name| name.len() + 2).sum();
    let selection = if bytes > SELECTION_BYTES_MAX {
        Selection { fingerprint: hash_to_pb(&collections.fingerprint()), ..Selection::default() }
    } else {
        Selection { collections: Some(names_of(collections)), ..Selection::default() }
    };
    selection.encode_to_vec().into()
}

fn selection_from_bytes(bytes: &[u8]) -> Option<Asked> {
    if bytes.is_empty() {
        return Some(Asked::Collections(Collections::everything()));
    }
    let Selection { collections, fingerprint } = Selection::decode(bytes).ok()?;
    match collections {
        Some(names) if fingerprint.is_empty() => Some(Asked::Collections(collections_of(names)?)),
        Some(_) => None,
        None => Some(Asked::Fingerprint(Hash::try_from(fingerprint.as_ref()).ok()?)),
    }
}

fn loading_to_bytes(loading: &Loading) -> Bytes {
    let Loading { whole, partly, stage, from_scratch, loaded_count, read_at } = loading;
    let (stage, walked) = match stage {
        Stage::Leaving(walked) => (LEAVING, walked),
        Stage::Entering(walked) => (ENTERING, walked),
        Stage::Loaded => (LOADED, &Walked::Nothing),
    };
    let (collection, after) = match walked {
        Walked::Nothing => ("", ""),
        Walked::Records { after } => ("", &**after),
        Walked::Members { collection, after } => (&**collection, &**after),
    };
    let loaded = Loaded {
        whole: Some(names_of(whole)),
        partly: Some(names_of(partly)),
        stage,
        collection: collection.to_owned(),
        after: after.to_owned(),
        from_scratch: *from_scratch,
        loaded_count: *loaded_count,
        read_seq: (read_at.map(|(seq, _)| seq)).map(|it| it.0),
        read_chain: read_at.map_or_else(Bytes::new, |(_, chain)| hash_to_pb(&chain)),
    };
    loaded.encode_to_vec().into()
}

fn loading_from_bytes(bytes: &[u8]) -> Option<Loading> {
    let loaded = Loaded::decode(bytes).ok()?;
    let Loaded { whole, partly, stage, collection, after, from_scratch, loaded_count, read_seq, read_chain } =
        loaded;
    let walked = match (collection.as_str(), after.as_str()) {
        ("", "") => Walked::Nothing,
        ("", after) if is_name(after) => Walked::Records { after: after.into() },
        (collection, after) if is_name(collection) && is_name(after) => {
            Walked::Members { collection: collection.into(), after: after.into() }
        }
        _ => return None,
    };
    let stage = match stage {
        LEAVING => Stage::Leaving(walked),
        ENTERING => Stage::Entering(walked),
        LOADED if walked == Walked::Nothing => Stage::Loaded,
        _ => return None,
    };
    let read_at = match read_seq {
        Some(seq) => Some((Seq(seq), Hash::try_from(read_chain.as_ref()).ok()?)),
        None if read_chain.is_empty() => None,
        None => return None,
    };
    let (whole, partly) = (collections_of(whole?)?, collections_of(partly?)?);
    Some(Loading { whole, partly, stage, from_scratch, loaded_count, read_at })
}

/// Why one of a stream's feeds ended, while others go on.
pub fn failure_to_pb(failure: &Failure) -> pb::FeedFailed {
    let duration = |delay: Duration| prost_types::Duration {
        seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
        // Always fits: it is below 10^9.
        nanos: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
    };
    let violation = |violation: &FieldViolation| (violation.field.clone(), violation.description.clone());
    pb::FeedFailed {
        reason: failure.reason().into(),
        message: failure.message().to_owned(),
        metadata: failure.metadata().clone(),
        violations: failure.violations().iter().map(violation).collect(),
        retry_delay: failure.retry_delay().map(duration),
    }
}

fn names_of(collections: &Collections) -> Names {
    let names = collections.names().iter().map(|name| name.to_string()).collect();
    Names { names, all_but: matches!(collections, Collections::AllBut(_)) }
}

/// A set from its names; none if there are more than the parts of a cursor can have together, or one is not valid.
fn collections_of(names: Names) -> Option<Collections> {
    let Names { names, all_but } = names;
    if names.len() > HELD_NAMES_MAX || !names.iter().all(|name| is_name(name)) {
        return None;
    }
    let names = names.iter().map(|name| name.as_str().into()).collect();
    Some(if all_but { Collections::AllBut(names) } else { Collections::Only(names) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;
    use crate::pb::ErrorReason;

    fn position(chain: Option<Hash>) -> FeedCursor {
        FeedCursor { epoch: Epoch(3), seq: Seq(4), chain }
    }

    fn only(names: &[&str]) -> Collections {
        Collections::Only(names.iter().map(|&name| name.into()).collect())
    }

    #[test]
    fn filters_are_checked() {
        let filter =
            |ids: &[&str]| Some(pb::FeedFilter { collection_ids: ids.iter().map(|&id| id.into()).collect() });
        assert_eq!(collections_from_pb(None).expect("all"), Collections::everything());
        assert_eq!(collections_from_pb(filter(&[])).expect("all"), Collections::everything());
        assert_eq!(collections_from_pb(filter(&["a", "b", "a"])).expect("two"), only(&["b", "a"]));
        let failure = collections_from_pb(filter(&["a", "b c"])).expect_err("a bad name");
        assert_eq!(failure.violations()[0].field, "filter.collection_ids[1]");
        let failure = collections_from_pb(filter(&["a"; 101])).expect_err("too many");
        assert_eq!(failure.code(), Code::InvalidArgument);
    }

    #[test]
    fn cursors_of_positions_come_back_as_they_went() {
        for chain in [None, Some([7; 16])] {
            let back = cursor_from_pb(cursor_to_pb("w", &position(chain)), "w", "cursor").expect("a cursor");
            let asked = Asked::Collections(Collections::everything());
            assert_eq!(back, Resume { position: position(chain), asked, loading: None });
        }
    }

    #[test]
    fn no_epoch_and_no_position_has_64_bits() {
        let beyond = 1 << 63;
        for (epoch, seq_inclusive, at) in
            [(beyond, 4, "c.epoch"), (3, beyond, "c.seq_inclusive"), (3, u64::MAX, "c.seq_inclusive")]
        {
            let sent = pb::Cursor { epoch, seq_inclusive, ..cursor_to_pb("w", &position(None)) };
            let failure = cursor_from_pb(sent, "w", "c").expect_err("no cursor");
            assert_eq!(failure.reason(), ErrorReason::InvalidRequest);
            assert_eq!(failure.violations()[0].field, at);
        }
    }

    #[test]
    fn cursors_of_elsewhere_are_refused() {
        let cursor = cursor_to_pb("other", &position(None));
        let failure = cursor_from_pb(cursor.clone(), "w", "cursor").expect_err("another workspace");
        assert_eq!((failure.code(), failure.reason()), (Code::InvalidArgument, ErrorReason::CursorMismatch));
        let short = pb::Cursor { chain: Bytes::from_static(&[1; 15]), ..cursor };
        let failure = cursor_from_pb(short, "other", "start.cursor").expect_err("a short chain");
        assert_eq!(failure.violations()[0].field, "start.cursor.chain");
    }

    #[test]
    fn many_names_are_told_by_their_hash() {
        let names: Vec<String> = (0..100).map(|n| format!("{n:064}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (many, fewer) = (only(&names), only(&names[1..]));
        let selection = selection_to_bytes(&many);
        assert!(selection.len() < 32, "{} bytes in every frame", selection.len());
        let asked = selection_from_bytes(&selection).expect("a selection");
        assert!(asked.is(&many) && !asked.is(&fewer));
    }

    #[test]
    fn a_choice_is_told_the_same_way_in_whatever_order_it_came() {
        assert_eq!(selection_to_bytes(&only(&["a", "b"])), selection_to_bytes(&only(&["b", "a"])));
        assert_ne!(selection_to_bytes(&only(&["a", "b"])), selection_to_bytes(&only(&["ab"])));
    }

    fn names() -> impl Strategy<Value = Collections> {
        (proptest::collection::btree_set("[a-z]{1,8}", 0..5), any::<bool>()).prop_map(|(names, all_but)| {
            let names = names.iter().map(|name| name.as_str().into()).collect();
            if all_but { Collections::AllBut(names) } else { Collections::Only(names) }
        })
    }

    fn loadings() -> impl Strategy<Value = Loading> {
        let walked = prop_oneof![
            Just(Walked::Nothing),
            "[a-z]{1,8}".prop_map(|after| Walked::Records { after: after.as_str().into() }),
            ("[a-z]{1,8}", "[a-z]{1,8}").prop_map(|(collection, after)| Walked::Members {
                collection: collection.as_str().into(),
                after: after.as_str().into()
            }),
        ];
        let stage = prop_oneof![
            walked.clone().prop_map(Stage::Leaving),
            walked.prop_map(Stage::Entering),
            Just(Stage::Loaded)
        ];
        let read_at = proptest::option::of((any::<u64>().prop_map(Seq), any::<Hash>()));
        (names(), names(), stage, any::<bool>(), any::<u64>(), read_at).prop_map(
            |(whole, partly, stage, from_scratch, loaded_count, read_at)| Loading {
                whole,
                partly,
                stage,
                from_scratch,
                loaded_count,
                read_at,
            },
        )
    }

    proptest! {
        #[test]
        fn cursors_of_feeds_come_back_as_they_went(asked in names(), loading in proptest::option::of(loadings())) {
            let selection = selection_to_bytes(&asked);
            let sent = feed_cursor_to_pb("w", &position(None), selection, loading.as_ref());
            let back = cursor_from_pb(sent, "w", "cursor").map_err(|f| TestCaseError::fail(f.to_string()))?;
            prop_assert_eq!(back, Resume { position: position(None), asked: Asked::Collections(asked), loading });
        }

        #[test]
        fn made_up_cursors_are_refused_or_mean_something(
            selection in proptest::collection::vec(any::<u8>(), 0..40),
            loading in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let cursor = pb::Cursor {
                selection: selection.into(),
                loading: loading.into(),
                ..cursor_to_pb("w", &position(None))
            };
            if let Err(failure) = cursor_from_pb(cursor, "w", "start.cursor") {
                prop_assert_eq!(failure.reason(), ErrorReason::InvalidRequest);
                prop_assert!(failure.violations()[0].field.starts_with("start.cursor."));
            }
        }

        #[test]
        fn cut_off_cursors_do_not_panic(loading in loadings(), cut in 0..200_usize) {
            let mut bytes = loading_to_bytes(&loading);
            bytes.truncate(cut);
            let _ = loading_from_bytes(&bytes);
        }
    }
}
