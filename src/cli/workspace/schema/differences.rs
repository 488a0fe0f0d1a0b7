//! What a schema update changes, in the words of schema files.

use std::fmt;

use serde::Serialize;
use syncline_protocol::pb::{self, SchemaAspect};

/// Prefixes of the protocol's words, which files do without.
const PREFIXES: [&str; 4] = ["FIELD_KIND_", "PROVISIONAL_RULE_", "CLASH_RULE_", "DOMINATE_RULE_"];

/// One thing that a schema update changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    collection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_id: Option<String>,
    /// `strict`, `collection`, `field`, or the key of a policy.
    aspect: String,
    /// Absent for what was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    after: String,
}

impl Difference {
    /// What a server said.
    pub(super) fn of(difference: pb::SchemaDifference) -> Difference {
        let aspect = match difference.aspect() {
            SchemaAspect::Unspecified => "something newer than this program",
            SchemaAspect::Strict => "strict",
            SchemaAspect::Collection => "collection",
            SchemaAspect::Field => "field",
            SchemaAspect::Provisional => "provisional",
            SchemaAspect::OnClash => "on_clash",
            SchemaAspect::OnDominate => "on_dominate",
        };
        let pb::SchemaDifference { collection_id, field_id, aspect: _, before, after } = difference;
        Difference {
            collection_id,
            field_id,
            aspect: aspect.to_owned(),
            before: (!before.is_empty()).then(|| word(&before)),
            after: word(&after),
        }
    }
}

/// A word of the protocol as files have it: `CLASH_RULE_SETTLE` is `settle`.
fn word(of_protocol: &str) -> String {
    let short = PREFIXES.iter().find_map(|prefix| of_protocol.strip_prefix(prefix));
    short.unwrap_or(of_protocol).to_ascii_lowercase()
}

/// One line: what is new begins with `+`, what changes with `~`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { collection_id, field_id, aspect, before, after } = self;
        f.write_str(if before.is_none() { "+ " } else { "~ " })?;
        let place = match (collection_id, field_id) {
            (Some(collection), Some(field)) => format!("{collection}.{field}"),
            (Some(collection), None) => collection.clone(),
            (None, _) => String::new(),
        };
        match (aspect.as_str(), before) {
            ("collection", _) => write!(f, "collection {place}"),
            ("field", _) => write!(f, "field {place}: {after}"),
            (policy, None) => write!(f, "field {place}: {policy} {after}"),
            (policy, Some(before)) if place.is_empty() => write!(f, "{policy}: {before} -> {after}"),
            (policy, Some(before)) => write!(f, "field {place}: {policy} {before} -> {after}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(place: (&str, &str), aspect: SchemaAspect, before: &str, after: &str) -> String {
        let given = |id: &str| (!id.is_empty()).then(|| id.to_owned());
        let difference = pb::SchemaDifference {
            collection_id: given(place.0),
            field_id: given(place.1),
            aspect: aspect.into(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        Difference::of(difference).to_string()
    }

    #[test]
    fn differences_read_like_the_file_they_come_from() {
        let cases = [
            (difference(("", ""), SchemaAspect::Strict, "false", "true"), "~ strict: false -> true"),
            (difference(("cards", ""), SchemaAspect::Collection, "", "declared"), "+ collection cards"),
            (
                difference(("cards", "due"), SchemaAspect::Field, "", "FIELD_KIND_TO_ONE"),
                "+ field cards.due: to_one",
            ),
            (
                difference(("cards", "due"), SchemaAspect::OnClash, "", "CLASH_RULE_SETTLE"),
                "+ field cards.due: on_clash settle",
            ),
            (
                difference(
                    ("cards", "due"),
                    SchemaAspect::Provisional,
                    "PROVISIONAL_RULE_INCUMBENT",
                    "PROVISIONAL_RULE_LATEST",
                ),
                "~ field cards.due: provisional incumbent -> latest",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
