//! Records as reads show them, and which of them a reader wants.

use super::causality::{dot_to_pb, timestamp_to_pb};
use super::field::{name_from_pb, violation_of};
use super::value::{element_from_pb, value_from_pb, value_to_pb};
use crate::pb::{self, field_filter::Condition, field_state::State};
use crate::status::{Failure, FieldViolation};
use syncline_core::view::{
    CandidateView, FieldCondition, FieldFilter, FieldStateView, FieldView, RecordView,
};

/// Conditions of one list.
const FILTERS_MAX: usize = 10;

/// A record with its fields.
pub fn record_to_pb(view: &RecordView) -> pb::Record {
    let RecordView { collection, record, fields, deleted, created_seq, last_seq, live_conflicts } = view;
    pb::Record {
        collection_id: collection.to_string(),
        record_id: record.to_string(),
        fields: fields.iter().map(|(field, view)| (field.to_string(), field_to_pb(view))).collect(),
        deleted: *deleted,
        created_seq: *created_seq,
        last_seq: *last_seq,
        live_conflict_ids: live_conflicts.iter().map(ToString::to_string).collect(),
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
            State::TargetRecordId(target.as_deref().unwrap_or_default().to_owned())
        }
        FieldStateView::Targets(targets) => State::TargetRecordIds(pb::RecordIdList {
            record_ids: targets.iter().map(ToString::to_string).collect(),
        }),
    };
    pb::FieldState {
        last_seq: *last_seq,
        candidates: candidates.iter().map(candidate_to_pb).collect(),
        state: Some(state),
    }
}

fn candidate_to_pb(view: &CandidateView) -> pb::Candidate {
    let CandidateView { value, dot, seq, committed_at_ms } = view;
    pb::Candidate {
        value: Some(value_to_pb(value)),
        dot: Some(dot_to_pb(*dot)),
        seq: *seq,
        commit_time: committed_at_ms.map(timestamp_to_pb),
    }
}

/// The conditions of a list, all of which must hold.
pub fn field_filters_from_pb(filters: &[pb::FieldFilter]) -> Result<Vec<FieldFilter>, Failure> {
    if filters.len() > FILTERS_MAX {
        let why = format!("at most {FILTERS_MAX}");
        return Err(Failure::invalid_request(vec![FieldViolation::new("filters", why)]));
    }
    let mut taken = Vec::with_capacity(filters.len());
    let mut violations = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        match field_filter_from_pb(filter, &format!("filters[{index}]")) {
            Ok(filter) => taken.push(filter),
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() { Ok(taken) } else { Err(Failure::invalid_request(violations)) }
}

fn field_filter_from_pb(filter: &pb::FieldFilter, at: &str) -> Result<FieldFilter, FieldViolation> {
    let pb::FieldFilter { field_id, condition } = filter;
    let field = name_from_pb(field_id, &format!("{at}.field_id"))?;
    let value =
        |name: &str, value| value_from_pb(value).map_err(|r| violation_of(format!("{at}.{name}"), &r));
    let condition = match condition {
        None => return Err(FieldViolation::new(at, "needs a condition this server knows")),
        Some(Condition::Equals(v)) => FieldCondition::Equals(value("equals", v)?),
        Some(Condition::NotEquals(v)) => FieldCondition::NotEquals(value("not_equals", v)?),
        Some(Condition::Contains(v)) => FieldCondition::Contains(
            element_from_pb(v).map_err(|refusal| violation_of(format!("{at}.contains"), &refusal))?,
        ),
        Some(Condition::ContainsText(text)) => FieldCondition::ContainsText(text.as_str().into()),
    };
    Ok(FieldFilter { field, condition })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use syncline_core::ids::{ConflictId, Dot, FieldId};
    use syncline_core::value::Value;

    fn field(state: FieldStateView) -> FieldView {
        FieldView { state, last_seq: 6, candidates: vec![] }
    }

    #[test]
    fn records_are_shown_by_kind() {
        let candidate = CandidateView {
            value: Value::Int(2),
            dot: Dot { replica: Uuid::from_u128(7), counter: 1 },
            seq: 5,
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
            created_seq: 2,
            last_seq: 6,
            live_conflicts: vec![ConflictId { opened_seq: 6, index: 0 }],
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
        assert_eq!(state("one"), State::TargetRecordId("t".into()));
        assert_eq!(state("none"), State::TargetRecordId(String::new()));
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(state("many"), State::TargetRecordIds(pb::RecordIdList { record_ids: ids }));
        let candidate = &sent.fields["register"].candidates[0];
        assert_eq!((candidate.seq, &candidate.commit_time), (5, &None));
        assert_eq!(candidate.value, Some(value_to_pb(&Value::Int(2))));
    }

    fn filter(field_id: &str, condition: Option<Condition>) -> pb::FieldFilter {
        pb::FieldFilter { field_id: field_id.into(), condition }
    }

    #[test]
    fn conditions_are_taken() {
        let one = || value_to_pb(&Value::Int(1));
        let filters = [
            filter("a", Some(Condition::Equals(one()))),
            filter("b", Some(Condition::NotEquals(one()))),
            filter("c", Some(Condition::Contains(one()))),
            filter("d", Some(Condition::ContainsText("x".into()))),
        ];
        let taken = field_filters_from_pb(&filters).expect("conditions");
        let conditions: Vec<_> = taken.into_iter().map(|f| f.condition).collect();
        let text: Arc<str> = "x".into();
        assert_eq!(
            conditions,
            [
                FieldCondition::Equals(Value::Int(1)),
                FieldCondition::NotEquals(Value::Int(1)),
                FieldCondition::Contains(Value::Int(1)),
                FieldCondition::ContainsText(text),
            ]
        );
    }

    #[test]
    fn bad_conditions_are_named() {
        let list = pb::Value { kind: Some(pb::value::Kind::ListValue(pb::ListValue { values: vec![] })) };
        let filters = [
            filter("a b", None),
            filter("a", None),
            filter("a", Some(Condition::Equals(pb::Value::default()))),
            filter("a", Some(Condition::Contains(list))),
            filter("a", Some(Condition::NotEquals(crate::convert::value::tests::nested(17)))),
        ];
        let failure = field_filters_from_pb(&filters).expect_err("all bad");
        let found: Vec<_> =
            failure.violations().iter().map(|v| (v.field.as_str(), v.reason.as_str())).collect();
        assert_eq!(
            found,
            [
                ("filters[0].field_id", ""),
                ("filters[1]", ""),
                ("filters[2].equals", "INVALID_VALUE"),
                ("filters[3].contains", "INVALID_VALUE"),
                ("filters[4].not_equals", "VALUE_TOO_DEEP"),
            ]
        );
        let many = vec![filter("a", Some(Condition::ContainsText("x".into()))); 11];
        assert_eq!(field_filters_from_pb(&many).expect_err("too many").violations()[0].field, "filters");
    }
}
