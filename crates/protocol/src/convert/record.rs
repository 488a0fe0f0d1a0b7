//! Records as reads show them.

use super::causality::{dot_to_pb, timestamp_to_pb};
use super::value::value_to_pb;
use crate::pb::{self, field_state::State};
use syncline_core::view::{CandidateView, FieldStateView, FieldView, RecordView};

/// A record with its fields.
pub fn record_to_pb(view: &RecordView) -> pb::Record {
    let RecordView {
        collection,
        record,
        fields,
        deleted,
        created_seq,
        last_seq,
        live_conflicts,
        deleted_targets,
    } = view;
    pb::Record {
        collection_id: collection.to_string(),
        record_id: record.to_string(),
        fields: fields.iter().map(|(field, view)| (field.to_string(), field_to_pb(view))).collect(),
        deleted: *deleted,
        created_seq: created_seq.0,
        last_seq: last_seq.0,
        live_conflict_ids: live_conflicts.iter().map(ToString::to_string).collect(),
        deleted_target_record_ids: deleted_targets.iter().map(ToString::to_string).collect(),
    }
}

fn field_to_pb(view: &FieldView) -> pb::FieldState {
    let FieldView { state, last_seq, candidates } = view;
    let state = match state {
        FieldStateView::Register(value) => State::RegisterValue(value_to_pb(value)),
        FieldStateView::Text(text) => State::Text(text.clone()),
        FieldStateView::Counter(value) => State::Counter(*value),
        FieldStateView::Elements(values) => {
            State::Elements(pb::ElementList { values: values.iter().map(value_to_pb).collect() })
        }
        FieldStateView::Target(target) => {
            State::Link(pb::LinkState { target_record_id: target.as_ref().map(ToString::to_string) })
        }
        FieldStateView::Targets(targets) => {
            State::Links(pb::RecordIdList { record_ids: targets.iter().map(ToString::to_string).collect() })
        }
    };
    pb::FieldState {
        last_seq: last_seq.0,
        candidates: candidates.iter().map(candidate_to_pb).collect(),
        state: Some(state),
    }
}

fn candidate_to_pb(view: &CandidateView) -> pb::Candidate {
    let CandidateView { value, dot, seq, committed_at_ms } = view;
    pb::Candidate {
        value: Some(value_to_pb(value)),
        dot: Some(dot_to_pb(*dot)),
        seq: seq.0,
        commit_time: committed_at_ms.map(timestamp_to_pb),
        author: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncline_core::causality::{Counter, Seq};
    use syncline_core::ids::{ConflictId, Dot, FieldId, ReplicaId};
    use syncline_core::value::Value;

    fn field(state: FieldStateView) -> FieldView {
        FieldView { state, last_seq: Seq(6), candidates: vec![] }
    }

    #[test]
    fn records_are_shown_by_kind() {
        let candidate = CandidateView {
            value: Value::Int(2),
            dot: Dot { replica: ReplicaId::from_u128(7), counter: Counter::FIRST },
            seq: Seq(5),
            committed_at_ms: None,
        };
        let clashing =
            FieldView { candidates: vec![candidate], ..field(FieldStateView::Register(Value::Int(1))) };
        let fields: Vec<(&str, FieldView)> = vec![
            ("register", clashing),
            ("text", field(FieldStateView::Text("t".into()))),
            ("counter", field(FieldStateView::Counter(-3))),
            ("set", field(FieldStateView::Elements(vec![Value::Null]))),
            ("one", field(FieldStateView::Target(Some("t".into())))),
            ("none", field(FieldStateView::Target(None))),
            ("many", field(FieldStateView::Targets(vec!["a".into(), "b".into()]))),
        ];
        let view = RecordView {
            collection: "notes".into(),
            record: "n1".into(),
            fields: fields.into_iter().map(|(id, view)| (FieldId::from(id), view)).collect(),
            deleted: true,
            created_seq: Seq(2),
            last_seq: Seq(6),
            live_conflicts: vec![ConflictId { opened_seq: Seq(6), index: 0 }],
            deleted_targets: vec!["b".into()],
        };
        let sent = record_to_pb(&view);
        assert_eq!(
            (sent.collection_id.as_str(), sent.record_id.as_str(), sent.deleted),
            ("notes", "n1", true)
        );
        assert_eq!(
            (sent.created_seq, sent.last_seq, &sent.live_conflict_ids[..]),
            (2, 6, &["c6-0".to_owned()][..])
        );
        let state = |id: &str| sent.fields[id].state.clone().expect("a state");
        assert_eq!(state("register"), State::RegisterValue(value_to_pb(&Value::Int(1))));
        assert_eq!(state("text"), State::Text("t".into()));
        assert_eq!(state("counter"), State::Counter(-3));
        assert_eq!(
            state("set"),
            State::Elements(pb::ElementList { values: vec![value_to_pb(&Value::Null)] })
        );
        assert_eq!(state("one"), State::Link(pb::LinkState { target_record_id: Some("t".into()) }));
        assert_eq!(state("none"), State::Link(pb::LinkState { target_record_id: None }));
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(state("many"), State::Links(pb::RecordIdList { record_ids: ids }));
        assert_eq!(sent.deleted_target_record_ids, ["b"]);
        let candidate = &sent.fields["register"].candidates[0];
        assert_eq!((candidate.seq, &candidate.commit_time), (5, &None));
        assert_eq!(candidate.value, Some(value_to_pb(&Value::Int(2))));
    }
}
