//! The words for kinds and policies, as files, messages and metadata use them.

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

/// Declares the words of a choice. A value without a word does not compile, and every value with a word is in `ALL`.
macro_rules! words {
    ($type:ident, $what:literal, { $($value:ident = $word:literal),* $(,)? }) => {
        impl SchemaWord for $type {
            const WHAT: &'static str = $what;
            const ALL: &'static [$type] = &[$($type::$value),*];

            fn word(self) -> &'static str {
                match self {
                    $($type::$value => $word,)*
                }
            }
        }
    };
}

words!(FieldKind, "field kind", {
    Register = "register",
    Text = "text",
    Counter = "counter",
    Set = "set",
    ToOne = "to_one",
    ToMany = "to_many",
});

words!(Provisional, "provisional rule", {
    Incumbent = "incumbent",
    Latest = "latest",
    Min = "min",
    Max = "max",
});

words!(OnClash, "rule for clashes", { Open = "open", Settle = "settle" });

words!(OnDominate, "rule for dominating writes", { Keep = "keep", Supersede = "supersede" });

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check<W: SchemaWord + std::fmt::Debug>() {
        let words: BTreeSet<&str> = W::ALL.iter().map(|value| value.word()).collect();
        assert_eq!(words.len(), W::ALL.len(), "{words:?}");
        for value in W::ALL {
            assert_eq!(W::from_word(value.word()), Some(*value));
        }
        assert_eq!(W::from_word("Nothing of ours"), None);
    }

    #[test]
    fn every_value_has_a_word_of_its_own() {
        check::<FieldKind>();
        check::<Provisional>();
        check::<OnClash>();
        check::<OnDominate>();
    }
}
