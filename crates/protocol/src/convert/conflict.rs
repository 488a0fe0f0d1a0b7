//! Conflicts as they go out, and which of them a reader wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::causality::{context_to_pb, dot_to_pb, timestamp_to_pb};
use super::field::{label_from_pb, name_from_pb};
use super::value::value_to_pb;
use crate::pb;
use crate::status::{Failure, FieldViolation};
use syncline_core::causality::Seq;
use syncline_core::conflict::ConflictEventKind;
use syncline_core::conflict::{
    Alternative, AlternativeState, CloseReason, Conflict, ConflictEvent, ConflictKind, ConflictStatus,
    ConflictSummary, ScopePart, beginning,
};
use syncline_core::ids::ConflictId;
use syncline_core::merge::text::Hunk;
use syncline_core::operation::MutationKind;
use syncline_core::view::ConflictFilter;

/// The id of a conflict; for a text that cannot be one, no conflict is found.
pub fn conflict_id_from_pb(text: &str) -> Result<ConflictId, Failure> {
    text.parse().map_err(|()| Failure::conflict_not_found(text))
}

/// The value, if one was given and is valid; an invalid one is added to the violations.
fn taken<T>(converted: Option<Result<T, FieldViolation>>, violations: &mut Vec<FieldViolation>) -> Option<T> {
    converted.and_then(|converted| converted.map_err(|violation| violations.push(violation)).ok())
}

/// What a list of conflicts is narrowed to (see `ListConflictsRequest`).
pub fn conflict_filter_from_pb(
    statuses: &[i32],
    kind: i32,
    collection_id: Option<&str>,
    record_id: Option<&str>,
    assignee: Option<&str>,
) -> Result<ConflictFilter, Failure> {
    let mut violations: Vec<FieldViolation> = Vec::new();
    let collection = taken(collection_id.map(|id| name_from_pb(id, "collection_id")), &mut violations);
    let record = taken(record_id.map(|id| name_from_pb(id, "record_id")), &mut violations);
    let assignee = taken(assignee.map(|assignee| assignee_from_pb(assignee, "assignee")), &mut violations);
    if !violations.is_empty() {
        return Err(Failure::invalid_request(violations));
    }
    let (statuses, kind) = (statuses_from_pb(statuses)?, kind_from_pb(kind)?);
    Ok(ConflictFilter { statuses, kind, collection, record, assignee })
}

/// The one who should decide. For nobody, the field is left out.
pub fn assignee_from_pb(text: &str, field: &str) -> Result<Arc<str>, FieldViolation> {
    if text.is_empty() {
        return Err(FieldViolation::new(field, "must be 1 to 128 bytes; leave it out for nobody"));
    }
    label_from_pb(text, field)
}

fn statuses_from_pb(statuses: &[i32]) -> Result<Vec<ConflictStatus>, Failure> {
    if statuses.is_empty() {
        return Ok(vec![ConflictStatus::Open, ConflictStatus::Deferred]);
    }
    let mut wanted = Vec::new();
    for (index, number) in statuses.iter().enumerate() {
        let status = pb::ConflictStatus::try_from(*number)
            .map_err(|_| Failure::unknown_enum_value(&format!("statuses[{index}]"), *number))?;
        let more: &[ConflictStatus] = match status {
            pb::ConflictStatus::Unspecified => &[
                ConflictStatus::Open,
                ConflictStatus::Deferred,
                ConflictStatus::Resolved,
                ConflictStatus::Obsolete,
                ConflictStatus::Superseded,
            ],
            pb::ConflictStatus::Open => &[ConflictStatus::Open],
            pb::ConflictStatus::Deferred => &[ConflictStatus::Deferred],
            pb::ConflictStatus::Resolved => &[ConflictStatus::Resolved],
            pb::ConflictStatus::Obsolete => &[ConflictStatus::Obsolete],
            pb::ConflictStatus::Superseded => &[ConflictStatus::Superseded],
        };
        wanted.extend(more);
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}

fn kind_from_pb(number: i32) -> Result<Option<ConflictKind>, Failure> {
    let kind = pb::ConflictKind::try_from(number).map_err(|_| Failure::unknown_enum_value("kind", number))?;
    Ok(match kind {
        pb::ConflictKind::Unspecified => None,
        pb::ConflictKind::Register => Some(ConflictKind::Register),
        pb::ConflictKind::TextOverlap => Some(ConflictKind::TextOverlap),
        pb::ConflictKind::EditDelete => Some(ConflictKind::EditDelete),
        pb::ConflictKind::Relationship => Some(ConflictKind::Relationship),
    })
}

/// What clashed.
pub fn conflict_kind_to_pb(kind: ConflictKind) -> pb::ConflictKind {
    match kind {
        ConflictKind::Register => pb::ConflictKind::Register,
        ConflictKind::TextOverlap => pb::ConflictKind::TextOverlap,
        ConflictKind::EditDelete => pb::ConflictKind::EditDelete,
        ConflictKind::Relationship => pb::ConflictKind::Relationship,
    }
}

/// Where a conflict stands.
pub fn conflict_status_to_pb(status: ConflictStatus) -> pb::ConflictStatus {
    match status {
        ConflictStatus::Open => pb::ConflictStatus::Open,
        ConflictStatus::Deferred => pb::ConflictStatus::Deferred,
        ConflictStatus::Resolved => pb::ConflictStatus::Resolved,
        ConflictStatus::Obsolete => pb::ConflictStatus::Obsolete,
        ConflictStatus::Superseded => pb::ConflictStatus::Superseded,
    }
}

pub(super) fn event_kind_to_pb(kind: ConflictEventKind) -> pb::ConflictEventKind {
    match kind {
        ConflictEventKind::Opened => pb::ConflictEventKind::Opened,
        ConflictEventKind::Changed => pb::ConflictEventKind::Changed,
        ConflictEventKind::Deferred => pb::ConflictEventKind::Deferred,
        ConflictEventKind::Reminded => pb::ConflictEventKind::Reminded,
        ConflictEventKind::Assigned => pb::ConflictEventKind::Assigned,
        ConflictEventKind::Closed => pb::ConflictEventKind::Closed,
        ConflictEventKind::Reopened => pb::ConflictEventKind::Reopened,
    }
}

/// Why a conflict closed.
pub fn close_reason_to_pb(reason: CloseReason) -> pb::CloseReason {
    match reason {
        CloseReason::Resolved => pb::CloseReason::Resolved,
        CloseReason::Converged => pb::CloseReason::Converged,
        CloseReason::Deleted => pb::CloseReason::Deleted,
        CloseReason::Superseded => pb::CloseReason::Superseded,
        CloseReason::Policy => pb::CloseReason::Policy,
        CloseReason::Merged => pb::CloseReason::Merged,
    }
}

fn mutation_kind_to_pb(kind: MutationKind) -> pb::MutationKind {
    match kind {
        MutationKind::CreateRecord => pb::MutationKind::CreateRecord,
        MutationKind::DeleteRecord => pb::MutationKind::DeleteRecord,
        MutationKind::RestoreRecord => pb::MutationKind::RestoreRecord,
        MutationKind::SetField => pb::MutationKind::SetField,
        MutationKind::EditText => pb::MutationKind::EditText,
        MutationKind::ReplaceText => pb::MutationKind::ReplaceText,
        MutationKind::DecideText => pb::MutationKind::DecideText,
        MutationKind::IncrementCounter => pb::MutationKind::IncrementCounter,
        MutationKind::AssignCounter => pb::MutationKind::AssignCounter,
        MutationKind::AddElements => pb::MutationKind::AddElements,
        MutationKind::RemoveElements => pb::MutationKind::RemoveElements,
        MutationKind::ClearElements => pb::MutationKind::ClearElements,
        MutationKind::LinkRecord => pb::MutationKind::LinkRecord,
        MutationKind::UnlinkRecord => pb::MutationKind::UnlinkRecord,
        MutationKind::DeferConflict => pb::MutationKind::DeferConflict,
        MutationKind::AssignConflict => pb::MutationKind::AssignConflict,
        MutationKind::ReopenConflict => pb::MutationKind::ReopenConflict,
        // Only the server reminds, and a reminder is not a side of a conflict.
        MutationKind::RemindConflict => pb::MutationKind::Unspecified,
    }
}

/// A conflict without its context.
pub fn conflict_to_pb(summary: &ConflictSummary) -> pb::Conflict {
    let ConflictSummary {
        id,
        kind,
        scope,
        collection,
        status,
        revision,
        parent,
        assignee,
        remind_at_ms,
        defer_count,
        closing,
        alternative_count,
    } = summary;
    let target = match &scope.part {
        ScopePart::Record | ScopePart::Field(_) | ScopePart::Region(..) => None,
        ScopePart::Link(_, target) => Some(target.to_string()),
    };
    pb::Conflict {
        conflict_id: id.to_string(),
        kind: conflict_kind_to_pb(*kind).into(),
        status: conflict_status_to_pb(*status).into(),
        revision: *revision,
        collection_id: collection.to_string(),
        record_id: scope.record.to_string(),
        field_ids: scope.field().into_iter().map(ToString::to_string).collect(),
        target_record_id: target,
        opened_seq: id.opened_seq.0,
        closed_seq: closing.map(|c| c.seq).map(|it| it.0),
        assignee: Some(assignee.to_string()).filter(|assignee| !assignee.is_empty()),
        remind_time: remind_at_ms.map(timestamp_to_pb),
        defer_count: *defer_count,
        parent_conflict_id: parent.map(|p| p.to_string()),
        alternative_count: *alternative_count,
        close_reason: closing.map_or(pb::CloseReason::Unspecified, |c| close_reason_to_pb(c.reason)).into(),
    }
}

/// Something that happened to a conflict.
pub fn conflict_event_to_pb(conflict: ConflictId, event: &ConflictEvent) -> pb::ConflictEvent {
    let ConflictEvent { kind, seq, at_ms, actor, revision, status, detail, unknown: _ } = event;
    pb::ConflictEvent {
        conflict_id: conflict.to_string(),
        kind: event_kind_to_pb(*kind).into(),
        seq: seq.0,
        commit_time: Some(timestamp_to_pb(*at_ms)),
        actor: actor.to_string(),
        revision: *revision,
        status: conflict_status_to_pb(*status).into(),
        detail: detail.clone(),
        author: String::new(),
    }
}

/// All sides of a conflict, the one whose value is shown (at `provisional_seq`, none for texts and records) first.
pub fn alternatives_to_pb(conflict: &Conflict, provisional_seq: Option<Seq>) -> Vec<pb::Alternative> {
    let is_shown = |alternative: &Alternative| {
        alternative.state == AlternativeState::Head && Some(alternative.stamp.seq) == provisional_seq
    };
    let (shown, others): (Vec<_>, Vec<_>) = conflict.alternatives.iter().partition(|a| is_shown(a));
    let shown = shown.into_iter().map(|a| alternative_to_pb(a, true));
    shown.chain(others.into_iter().map(|a| alternative_to_pb(a, false))).collect()
}

fn alternative_to_pb(alternative: &Alternative, provisional: bool) -> pb::Alternative {
    let Alternative {
        stamp,
        rank: _,
        state,
        value,
        cut,
        suppressed_by: _,
        action,
        dot,
        actor,
        correlation_id,
        client_time_ms,
        committed_at_ms,
        author: _,
        context,
        siblings,
        unknown: _,
    } = alternative;
    // A version of a text is kept whole.
    let (value, cut) = match (value, cut) {
        (Some(whole), None) => {
            let (beginning, cut) = beginning(whole.clone());
            (Some(beginning), cut)
        }
        (value, cut) => (value.clone(), *cut),
    };
    let state = match state {
        AlternativeState::Head => pb::AlternativeState::Head,
        AlternativeState::Shadow => pb::AlternativeState::Shadow,
        AlternativeState::Suppressed => pb::AlternativeState::Suppressed,
    };
    pb::Alternative {
        seq: stamp.seq.0,
        dot: Some(dot_to_pb(*dot)),
        actor: actor.to_string(),
        client_time: client_time_ms.map(timestamp_to_pb),
        commit_time: Some(timestamp_to_pb(*committed_at_ms)),
        context: Some(context_to_pb(context)),
        value: value.as_ref().map(value_to_pb),
        state: state.into(),
        action: action.map_or(pb::MutationKind::Unspecified, mutation_kind_to_pb).into(),
        siblings: siblings.clone(),
        provisional,
        correlation_id: correlation_id.to_string(),
        values: BTreeMap::new(),
        author: String::new(),
        whole_value_bytes: cut.map(|cut| cut.whole_bytes),
    }
}

/// Every pair of operations that clashed, once.
pub fn pairs_to_pb(conflict: &Conflict) -> Vec<pb::ClashingPair> {
    let pair = |&(earlier_seq, later_seq): &(Seq, Seq)| pb::ClashingPair {
        earlier_seq: earlier_seq.0,
        later_seq: later_seq.0,
    };
    conflict.pairs.iter().map(pair).collect()
}

pub(super) fn hunk_to_pb(hunk: &Hunk) -> pb::TextHunk {
    let Hunk { pos, del, ins } = hunk;
    pb::TextHunk { position: *pos, delete_count: *del, insert: ins.clone() }
}

#[cfg(test)]
mod tests {
    use syncline_core::ids::{Dot, Epoch, ReplicaId};
    use tonic::Code;

    use super::*;
    use syncline_core::causality::{Author, Counter, ReplicaNo, Stamp};
    use syncline_core::conflict::{Closing, Scope};
    use syncline_core::limits::CONFLICT_VALUE_BYTES_MAX;
    use syncline_core::operation::CausalContext;
    use syncline_core::schema::Provisional;
    use syncline_core::unknown::Unknown;
    use syncline_core::value::Value;

    fn alternative(seq: Seq, state: AlternativeState) -> Alternative {
        Alternative {
            stamp: Stamp { seq, replica_no: ReplicaNo(1), counter: Counter::FIRST },
            rank: seq,
            state,
            value: Some(Value::Int(4)),
            cut: None,
            suppressed_by: None,
            action: Some(MutationKind::SetField),
            dot: Dot { replica: ReplicaId::from_u128(7), counter: Counter::FIRST },
            actor: "ann".into(),
            correlation_id: "trace".into(),
            client_time_ms: None,
            committed_at_ms: 5,
            author: Author {
                replica_no: ReplicaNo(1),
                counter: Counter::FIRST,
                base_seq: Seq(2),
                extras: vec![],
                own_requests: vec![],
            },
            context: CausalContext::at(Epoch(1), Seq(2)),
            siblings: vec!["also".into()],
            unknown: Unknown::NONE,
        }
    }

    fn conflict(part: ScopePart) -> Conflict {
        Conflict {
            id: ConflictId { opened_seq: Seq(6), index: 1 },
            kind: ConflictKind::Relationship,
            scope: Scope { record: "r".into(), part },
            collection: "notes".into(),
            status: ConflictStatus::Deferred,
            revision: 3,
            opened_at_ms: 1,
            parent: Some(ConflictId { opened_seq: Seq(2), index: 0 }),
            provisional: Provisional::Incumbent,
            base: None,
            base_exact: true,
            record_at_opening: vec![],
            alternatives: vec![
                alternative(Seq(4), AlternativeState::Shadow),
                alternative(Seq(5), AlternativeState::Head),
                alternative(Seq(6), AlternativeState::Head),
            ],
            region: None,
            pairs: vec![(Seq(4), Seq(6)), (Seq(5), Seq(6))],
            assignee: "bob".into(),
            remind_at_ms: Some(70_000),
            defer_count: 2,
            closing: None,
            events: vec![],
            unknown: Unknown::NONE,
        }
    }

    #[test]
    fn summaries_say_what_is_concerned() {
        let link = conflict_to_pb(&conflict(ScopePart::Link("f".into(), "t".into())).summary());
        assert_eq!((link.conflict_id.as_str(), link.parent_conflict_id.as_deref()), ("c6-1", Some("c2-0")));
        assert_eq!(
            (&link.field_ids[..], link.target_record_id.as_deref()),
            (&["f".to_owned()][..], Some("t"))
        );
        assert_eq!(
            (link.kind(), link.status()),
            (pb::ConflictKind::Relationship, pb::ConflictStatus::Deferred)
        );
        assert_eq!((link.opened_seq, link.closed_seq), (6, None));
        assert_eq!(link.close_reason(), pb::CloseReason::Unspecified);
        assert_eq!((link.revision, link.defer_count, link.alternative_count), (3, 2, 3));
        assert_eq!(
            (link.assignee.as_deref(), link.remind_time),
            (Some("bob"), Some(timestamp_to_pb(70_000)))
        );

        let field = conflict_to_pb(&conflict(ScopePart::Field("f".into())).summary());
        assert_eq!((&field.field_ids[..], field.target_record_id), (&["f".to_owned()][..], None));
        let closing = Some(Closing { seq: Seq(8), at_ms: 1, reason: CloseReason::Converged });
        let record = Conflict { closing, assignee: "".into(), parent: None, ..conflict(ScopePart::Record) };
        let record = conflict_to_pb(&record.summary());
        assert_eq!((record.field_ids.len(), record.closed_seq), (0, Some(8)));
        assert_eq!((&record.assignee, &record.parent_conflict_id), (&None, &None));
        assert_eq!(record.close_reason(), pb::CloseReason::Converged);
    }

    #[test]
    fn the_alternative_that_is_shown_comes_first() {
        let conflict = conflict(ScopePart::Field("f".into()));
        let order = |shown| {
            let sent = alternatives_to_pb(&conflict, shown);
            sent.iter().map(|a| (a.seq, a.provisional)).collect::<Vec<_>>()
        };
        assert_eq!(order(Some(Seq(6))), [(6, true), (4, false), (5, false)]);
        assert_eq!(order(None), [(4, false), (5, false), (6, false)]);
        // A shadow is offered, never shown.
        assert_eq!(order(Some(Seq(4))), [(4, false), (5, false), (6, false)]);
        let first = &alternatives_to_pb(&conflict, None)[0];
        assert_eq!(first.state(), pb::AlternativeState::Shadow);
        assert_eq!(first.value, Some(value_to_pb(&Value::Int(4))));
        assert_eq!((first.siblings.len(), first.action()), (1, pb::MutationKind::SetField));
        let pairs = pairs_to_pb(&conflict);
        assert_eq!((pairs[1].earlier_seq, pairs[1].later_seq), (5, 6));
    }

    #[test]
    fn long_versions_of_texts_are_sent_as_their_beginning() {
        let mut conflict =
            conflict(ScopePart::Region("f".into(), ConflictId { opened_seq: Seq(6), index: 1 }));
        let version = |len: usize| Alternative {
            value: Some(Value::string("x".repeat(len))),
            ..alternative(Seq(6), AlternativeState::Suppressed)
        };
        conflict.alternatives =
            vec![version(CONFLICT_VALUE_BYTES_MAX), version(CONFLICT_VALUE_BYTES_MAX + 1)];
        let sent = alternatives_to_pb(&conflict, None);
        assert_eq!(sent[0].whole_value_bytes, None);
        assert_eq!(sent[1].whole_value_bytes, Some(CONFLICT_VALUE_BYTES_MAX as u64 + 1));
        assert_eq!(sent[0].value, sent[1].value);
        assert_eq!((sent[1].state(), sent[1].provisional), (pb::AlternativeState::Suppressed, false));
    }

    #[test]
    fn events_name_their_conflict() {
        let event = ConflictEvent {
            kind: ConflictEventKind::Assigned,
            seq: Seq(9),
            at_ms: 5,
            actor: "ann".into(),
            revision: 2,
            status: ConflictStatus::Open,
            detail: "to bob".into(),
            unknown: Unknown::NONE,
        };
        let sent = conflict_event_to_pb(ConflictId { opened_seq: Seq(6), index: 1 }, &event);
        assert_eq!((sent.conflict_id.as_str(), sent.detail.as_str()), ("c6-1", "to bob"));
        assert_eq!((sent.kind(), sent.status()), (pb::ConflictEventKind::Assigned, pb::ConflictStatus::Open));
    }

    #[test]
    fn lists_are_narrowed() {
        let filter = conflict_filter_from_pb(&[], 0, None, None, None).expect("the default");
        assert_eq!(filter.statuses, [ConflictStatus::Open, ConflictStatus::Deferred]);
        assert_eq!(
            (filter.kind, filter.collection, filter.record, filter.assignee),
            (None, None, None, None)
        );
        let filter =
            conflict_filter_from_pb(&[3, 3], 2, Some("notes"), Some("n1"), Some("bob")).expect("a filter");
        assert_eq!(filter.statuses, [ConflictStatus::Resolved]);
        assert_eq!(
            (filter.kind, filter.collection.as_deref()),
            (Some(ConflictKind::TextOverlap), Some("notes"))
        );
        assert_eq!((filter.record.as_deref(), filter.assignee.as_deref()), (Some("n1"), Some("bob")));
        let any = conflict_filter_from_pb(&[1, 0], 0, None, None, None).expect("any status");
        assert_eq!(any.statuses.len(), 5);
    }

    #[test]
    fn bad_filters_are_named() {
        let failure = conflict_filter_from_pb(&[1, 99], 0, None, None, None).expect_err("no such status");
        assert_eq!(failure.reason(), pb::ErrorReason::UnknownEnumValue);
        assert_eq!(
            (failure.metadata()["field"].as_str(), failure.metadata()["value"].as_str()),
            ("statuses[1]", "99")
        );
        let failure = conflict_filter_from_pb(&[], -1, None, None, None).expect_err("no such kind");
        assert_eq!(failure.metadata()["field"], "kind");
        for (collection, record, assignee) in [("a b", "c d", "e\nf"), ("", "", "")] {
            let failure = conflict_filter_from_pb(&[], 0, Some(collection), Some(record), Some(assignee))
                .expect_err("bad names");
            let fields: Vec<_> = failure.violations().iter().map(|v| v.field.as_str()).collect();
            assert_eq!(fields, ["collection_id", "record_id", "assignee"]);
        }
    }

    #[test]
    fn ids_that_are_none_are_not_found() {
        assert_eq!(conflict_id_from_pb("c6-1").ok(), Some(ConflictId { opened_seq: Seq(6), index: 1 }));
        for text in ["", "c", "6-1", "c6", "c+6-1", "c6-70000", "C6-1"] {
            let failure = conflict_id_from_pb(text).expect_err(text);
            assert_eq!(
                (failure.code(), failure.reason()),
                (Code::NotFound, pb::ErrorReason::ConflictNotFound)
            );
        }
    }
}
