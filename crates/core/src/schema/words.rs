//! The words for kinds and policies, as files, messages and metadata have them.

use super::{FieldKind, OnClash, OnDominate, Provisional};

/// A choice within a schema that has a word for each of its values.
pub trait SchemaWord: Copy + PartialEq + 'static {
    /// What is chosen, for messages.
    const WHAT: &'static str;
    /// Every value.
    const ALL: &'static [Self];

    /// The word for a value.
    fn word(self) -> &'static str;

    /// The value that a word stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == word)
    }
}

impl SchemaWord for FieldKind {
    const WHAT: &'static str = "field kind";
    const ALL: &'static [FieldKind] = &[
        FieldKind::Register,
        FieldKind::Text,
        FieldKind::Counter,
        FieldKind::Set,
        FieldKind::ToOne,
        FieldKind::ToMany,
    ];

    fn word(self) -> &'static str {
        match self {
            FieldKind::Register => "register",
            FieldKind::Text => "text",
            FieldKind::Counter => "counter",
            FieldKind::Set => "set",
            FieldKind::ToOne => "to_one",
            FieldKind::ToMany => "to_many",
        }
    }
}

impl SchemaWord for Provisional {
    const WHAT: &'static str = "provisional rule";
    const ALL: &'static [Provisional] =
        &[Provisional::Incumbent, Provisional::Latest, Provisional::Min, Provisional::Max];

    fn word(self) -> &'static str {
        match self {
            Provisional::Incumbent => "incumbent",
            Provisional::Latest => "latest",
            Provisional::Min => "min",
            Provisional::Max => "max",
        }
    }
}

impl SchemaWord for OnClash {
    const WHAT: &'static str = "rule for clashes";
    const ALL: &'static [OnClash] = &[OnClash::Open, OnClash::Settle];

    fn word(self) -> &'static str {
        match self {
            OnClash::Open => "open",
            OnClash::Settle => "settle",
        }
    }
}

impl SchemaWord for OnDominate {
    const WHAT: &'static str = "rule for dominating writes";
    const ALL: &'static [OnDominate] = &[OnDominate::Keep, OnDominate::Supersede];

    fn word(self) -> &'static str {
        match self {
            OnDominate::Keep => "keep",
            OnDominate::Supersede => "supersede",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check<W: SchemaWord + std::fmt::Debug>(count: usize) {
        let words: BTreeSet<&str> = W::ALL.iter().map(|value| value.word()).collect();
        assert_eq!((words.len(), W::ALL.len()), (count, count), "{words:?}");
        for value in W::ALL {
            assert_eq!(W::from_word(value.word()), Some(*value));
        }
        assert_eq!(W::from_word("Nothing of ours"), None);
    }

    #[test]
    fn every_value_has_a_word_of_its_own() {
        check::<FieldKind>(6);
        check::<Provisional>(4);
        check::<OnClash>(2);
        check::<OnDominate>(2);
    }
}
