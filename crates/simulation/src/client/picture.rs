//! What a client shows, in words: two clients at the same position must show the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use syncline_client::{Fold, FoldError, FoldedField, FoldedRecord};
use syncline_protocol::pb;

/// A record as everybody must show it.
pub(crate) fn of_record(fold: &Fold, record_id: &str) -> String {
    match fold.records.get(record_id) {
        Some(record) => shown(record, &record.targets().filter(|id| !fold.is_alive(id)).collect()),
        None => "none".to_owned(),
    }
}

/// A record of a read, in the words of [`of_record`].
pub(crate) fn of_read(record: &pb::Record) -> Result<String, FoldError> {
    let deleted_targets = record.deleted_target_record_ids.iter().map(String::as_str).collect();
    Ok(shown(&FoldedRecord::of(record)?, &deleted_targets))
}

/// All records, and the conflicts that wait for a decision.
pub(crate) fn of_everything(fold: &Fold) -> String {
    let mut text = String::new();
    for id in fold.records.keys() {
        let _ = writeln!(text, "{id}: {}", of_record(fold, id));
    }
    for id in fold.live_conflicts() {
        conflict(fold, id, &mut text);
    }
    text
}

/// What is in these collections, links as they are stored. Without any: everything.
pub(crate) fn of_collections(fold: &Fold, collections: &[&str]) -> String {
    let wanted = |collection: &str| collections.is_empty() || collections.contains(&collection);
    let mut text = String::new();
    for (id, record) in fold.records.iter().filter(|(_, record)| wanted(&record.collection_id)) {
        let _ = writeln!(text, "{id}: {}", shown(record, &BTreeSet::new()));
    }
    for id in fold.live_conflicts() {
        if wanted(&fold.conflicts[id].collection_id) {
            conflict(fold, id, &mut text);
        }
    }
    text
}

/// Whether there are records or conflicts of any other collections.
pub(crate) fn has_beside(fold: &Fold, collections: &[&str]) -> bool {
    let foreign = |collection: &str| !collections.is_empty() && !collections.contains(&collection);
    fold.records.values().any(|record| foreign(&record.collection_id))
        || fold.conflicts.values().any(|conflict| foreign(&conflict.collection_id))
}

fn conflict(fold: &Fold, id: &str, text: &mut String) {
    let conflict = &fold.conflicts[id];
    let _ = writeln!(text, "{id}: {:?} revision {}", conflict.status(), conflict.revision);
}

fn shown(record: &FoldedRecord, deleted_targets: &BTreeSet<&str>) -> String {
    let mut text = format!("{} {}", record.collection_id, if record.deleted { "deleted" } else { "alive" });
    for (id, field) in &record.fields {
        let _ = match field {
            FoldedField::Register(value) => write!(text, " {id}={:?}", value.kind),
            FoldedField::Text(value) => write!(text, " {id}={value:?}"),
            FoldedField::Counter(value) => write!(text, " {id}={value}"),
            FoldedField::Set(elements) => {
                let shown: Vec<_> = elements.values().map(|v| &v.kind).collect();
                write!(text, " {id}={shown:?}")
            }
            FoldedField::Link(target) => write!(text, " {id}={target:?}"),
            FoldedField::Links(targets) => write!(text, " {id}={targets:?}"),
        };
    }
    let _ = write!(text, " deleted targets {deleted_targets:?}");
    text
}
