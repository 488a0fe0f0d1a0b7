//! Operations as protobuf JSON, for vectors that other languages read.

use prost_types::Timestamp;
use serde_json::{Map, Value as Json, json};

use crate::pb::conflict_mutation::Action as ConflictAction;
use crate::pb::decide_text::Choice;
use crate::pb::mutation::Mutation;
use crate::pb::record_mutation::Action;
use crate::pb::{self, operation::Identity, operation::Knowledge, value::Kind};

/// An object without what is absent.
fn object<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    let present = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(present.collect::<Map<_, _>>())
}

fn text(text: &str) -> Option<Json> {
    (!text.is_empty()).then(|| json!(text))
}

/// 64 bits are a text in protobuf JSON: not every language has such numbers.
fn long(number: impl ToString + Default + PartialEq) -> Option<Json> {
    (number != Default::default()).then(|| json!(number.to_string()))
}

fn short(number: u32) -> Option<Json> {
    (number != 0).then(|| json!(number))
}

fn list<T>(items: &[T], of: impl Fn(&T) -> Json) -> Option<Json> {
    (!items.is_empty()).then(|| items.iter().map(of).collect())
}

pub fn operation(operation: &pb::Operation) -> Json {
    let pb::Operation {
        identity,
        knowledge,
        mutations,
        correlation_id,
        depends_on,
        actor,
        client_time,
        await_records,
        after_request_ids,
    } = operation;
    let (mut own, mut request, mut known, mut latest) = (None, None, None, None);
    match identity {
        Some(Identity::Dot(id)) => own = Some(dot(id)),
        Some(Identity::RequestId(id)) => request = Some(json!(id)),
        None => {}
    }
    match knowledge {
        Some(Knowledge::Context(context)) => {
            let pb::CausalContext { epoch, base_seq, extras, base_chain } = context;
            known = Some(object([
                ("epoch", long(*epoch)),
                ("baseSeq", long(*base_seq)),
                ("extras", list(extras, dot)),
                ("baseChain", (!base_chain.is_empty()).then(|| json!(base64(base_chain)))),
            ]));
        }
        Some(Knowledge::Latest(pb::Latest {})) => latest = Some(json!({})),
        None => {}
    }
    object([
        ("dot", own),
        ("requestId", request),
        ("context", known),
        ("latest", latest),
        ("mutations", list(mutations, mutation)),
        ("correlationId", text(correlation_id)),
        ("dependsOn", list(depends_on, dot)),
        ("actor", text(actor)),
        ("clientTime", client_time.as_ref().map(time)),
        ("awaitRecords", await_records.then(|| json!(true))),
        ("afterRequestIds", list(after_request_ids, |id| json!(id))),
    ])
}

fn dot(dot: &pb::Dot) -> Json {
    object([("replicaId", text(&dot.replica_id)), ("counter", long(dot.counter))])
}

fn mutation(mutation: &pb::Mutation) -> Json {
    match &mutation.mutation {
        Some(Mutation::Record(mutation)) => object([("record", Some(record_mutation(mutation)))]),
        Some(Mutation::Conflict(mutation)) => object([("conflict", Some(conflict_mutation(mutation)))]),
        None => json!({}),
    }
}

fn conflict_mutation(mutation: &pb::ConflictMutation) -> Json {
    let pb::ConflictMutation { conflict_id, action } = mutation;
    let (name, content) = match action {
        Some(ConflictAction::Defer(pb::DeferConflict { revision, remind_time })) => {
            let remind = ("remindTime", remind_time.as_ref().map(time));
            ("defer", Some(object([("revision", long(*revision)), remind])))
        }
        Some(ConflictAction::Assign(pb::AssignConflict { assignee })) => {
            ("assign", Some(object([("assignee", assignee.as_ref().map(|name| json!(name)))])))
        }
        Some(ConflictAction::Reopen(pb::ReopenConflict {})) => ("reopen", Some(json!({}))),
        None => ("none", None),
    };
    object([("conflictId", text(conflict_id)), (name, content)])
}

fn record_mutation(mutation: &pb::RecordMutation) -> Json {
    let pb::RecordMutation { collection_id, record_id, action: done, observed_seq, resolves_conflict_id } =
        mutation;
    let (name, content) = match done {
        Some(done) => action(done),
        None => ("none", None),
    };
    object([
        ("collectionId", text(collection_id)),
        ("recordId", text(record_id)),
        (name, content),
        ("observedSeq", observed_seq.map(|seq| json!(seq.to_string()))),
        ("resolvesConflictId", resolves_conflict_id.as_ref().map(|id| json!(id))),
    ])
}

fn action(action: &Action) -> (&'static str, Option<Json>) {
    let (name, content) = match action {
        Action::CreateRecord(pb::CreateRecord { fields, replace_deleted }) => {
            let fields: Map<String, Json> = fields.iter().map(|(id, v)| (id.clone(), value(v))).collect();
            let fields = ("fields", (!fields.is_empty()).then_some(Json::Object(fields)));
            ("createRecord", object([fields, ("replaceDeleted", replace_deleted.then_some(json!(true)))]))
        }
        Action::DeleteRecord(_) => ("deleteRecord", json!({})),
        Action::RestoreRecord(_) => ("restoreRecord", json!({})),
        Action::SetField(set) => {
            ("setField", object([("fieldId", text(&set.field_id)), ("value", set.value.as_ref().map(value))]))
        }
        Action::EditText(edit) => {
            let hunk = |h: &pb::TextHunk| {
                let delete_count = ("deleteCount", short(h.delete_count));
                object([("position", short(h.position)), delete_count, ("insert", text(&h.insert))])
            };
            ("editText", object([("fieldId", text(&edit.field_id)), ("hunks", list(&edit.hunks, hunk))]))
        }
        Action::ReplaceText(new) => {
            ("replaceText", object([("fieldId", text(&new.field_id)), ("text", text(&new.text))]))
        }
        Action::DecideText(decide) => {
            let choice = match &decide.choice {
                Some(Choice::AlternativeSeq(seq)) => ("alternativeSeq", Some(json!(seq.to_string()))),
                Some(Choice::Base(_)) => ("base", Some(json!({}))),
                Some(Choice::Current(_)) => ("current", Some(json!({}))),
                // A member of a oneof is there even if it is empty.
                Some(Choice::Text(text)) => ("text", Some(json!(text))),
                None => ("text", None),
            };
            ("decideText", object([("fieldId", text(&decide.field_id)), choice]))
        }
        Action::IncrementCounter(add) => {
            ("incrementCounter", object([("fieldId", text(&add.field_id)), ("by", long(add.by))]))
        }
        Action::AssignCounter(new) => {
            ("assignCounter", object([("fieldId", text(&new.field_id)), ("value", long(new.value))]))
        }
        Action::AddElements(add) => {
            let elements = ("elements", list(&add.elements, value));
            ("addElements", object([("fieldId", text(&add.field_id)), elements]))
        }
        Action::RemoveElements(remove) => {
            let elements = ("elements", list(&remove.elements, value));
            ("removeElements", object([("fieldId", text(&remove.field_id)), elements]))
        }
        Action::ClearElements(clear) => ("clearElements", object([("fieldId", text(&clear.field_id))])),
        Action::LinkRecord(link) => {
            let target = ("targetRecordId", text(&link.target_record_id));
            ("linkRecord", object([("fieldId", text(&link.field_id)), target]))
        }
        Action::UnlinkRecord(link) => {
            let target = ("targetRecordId", link.target_record_id.as_ref().map(|id| json!(id)));
            ("unlinkRecord", object([("fieldId", text(&link.field_id)), target]))
        }
    };
    (name, Some(content))
}

fn value(value: &pb::Value) -> Json {
    let (name, content) = match &value.kind {
        None => return json!({}),
        Some(Kind::NullValue(pb::Null {})) => ("nullValue", json!({})),
        Some(Kind::BoolValue(truth)) => ("boolValue", json!(truth)),
        Some(Kind::IntValue(number)) => ("intValue", json!(number.to_string())),
        Some(Kind::DoubleValue(number)) => ("doubleValue", double(*number)),
        Some(Kind::StringValue(text)) => ("stringValue", json!(text)),
        Some(Kind::BytesValue(bytes)) => ("bytesValue", json!(base64(bytes))),
        Some(Kind::TimestampValue(at)) => ("timestampValue", time(at)),
        Some(Kind::ListValue(pb::ListValue { values })) => {
            ("listValue", object([("values", list(values, self::value))]))
        }
        Some(Kind::MapValue(pb::MapValue { entries })) => {
            let entries: Map<String, Json> =
                entries.iter().map(|(k, v)| (k.clone(), self::value(v))).collect();
            ("mapValue", object([("entries", (!entries.is_empty()).then_some(Json::Object(entries)))]))
        }
    };
    object([(name, Some(content))])
}

fn double(number: f64) -> Json {
    if number.is_nan() {
        json!("NaN")
    } else if number.is_infinite() {
        json!(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(number)
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = char::from(ALPHABET[(group >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

/// RFC 3339 in UTC. Days are counted in eras of 400 years, whose calendars are alike.
fn time(time: &Timestamp) -> Json {
    let (days, second) = (time.seconds.div_euclid(86_400), time.seconds.rem_euclid(86_400));
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let fraction = match time.nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}"),
    };
    json!(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

#[test]
fn times_and_bytes_are_spelled_as_protobuf_json_spells_them() {
    let spelled = |seconds, nanos| time(&Timestamp { seconds, nanos });
    assert_eq!(spelled(0, 0), "1970-01-01T00:00:00Z");
    assert_eq!(spelled(951_782_400, 5_000_000), "2000-02-29T00:00:00.005000000Z");
    assert_eq!(spelled(-62_135_596_800, 0), "0001-01-01T00:00:00Z");
    assert_eq!(spelled(253_402_300_799, 999_999_999), "9999-12-31T23:59:59.999999999Z");
    assert_eq!(base64(b"Ma"), "TWE=");
    assert_eq!(base64(b"Man"), "TWFu");
    assert_eq!(base64(b"M"), "TQ==");
}
