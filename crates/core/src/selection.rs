//! Sets of collections, possibly all collections but some, with complement, intersection, union and difference.

use std::collections::BTreeSet;

use super::hash::{Hash, hash};
use super::ids::CollectionId;

/// A set of collections. Equal sets are written in the same way, unless one of them lists all collections there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collections {
    /// These.
    Only(BTreeSet<CollectionId>),
    /// All but these, including collections that are created later.
    AllBut(BTreeSet<CollectionId>),
}

impl Collections {
    /// All of them.
    pub const fn everything() -> Collections {
        Collections::AllBut(BTreeSet::new())
    }

    /// None of them.
    pub const fn nothing() -> Collections {
        Collections::Only(BTreeSet::new())
    }

    /// Whether no collection is left out.
    pub fn is_everything(&self) -> bool {
        matches!(self, Collections::AllBut(left_out) if left_out.is_empty())
    }

    /// Whether no collection is in it.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Collections::Only(named) if named.is_empty())
    }

    /// Whether this collection is in it.
    pub fn contains(&self, collection: &str) -> bool {
        match self {
            Collections::Only(named) => named.contains(collection),
            Collections::AllBut(left_out) => !left_out.contains(collection),
        }
    }

    /// The names that the set is written with: those in it, or those left out.
    pub fn names(&self) -> &BTreeSet<CollectionId> {
        match self {
            Collections::Only(names) | Collections::AllBut(names) => names,
        }
    }

    /// What is not in it.
    #[must_use]
    pub fn complement(self) -> Collections {
        match self {
            Collections::Only(names) => Collections::AllBut(names),
            Collections::AllBut(names) => Collections::Only(names),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Collections) -> Collections {
        use Collections::{AllBut, Only};
        match (self, other) {
            (Only(a), Only(b)) => Only(a & b),
            (Only(named), AllBut(left_out)) | (AllBut(left_out), Only(named)) => Only(named - left_out),
            (AllBut(a), AllBut(b)) => AllBut(a | b),
        }
    }

    /// What is in one of them, or in both.
    #[must_use]
    pub fn union(&self, other: &Collections) -> Collections {
        self.clone().complement().intersection(&other.clone().complement()).complement()
    }

    /// What is in it and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Collections) -> Collections {
        self.intersection(&other.clone().complement())
    }

    /// A hash by which a set is recognized without its names: equal for equal sets, however they came about.
    pub fn fingerprint(&self) -> Hash {
        let mut bytes = vec![u8::from(matches!(self, Collections::AllBut(_)))];
        for name in self.names() {
            // Names are of at most 64 bytes, and none contains a line break.
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'\n');
        }
        hash(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn sets() -> impl Strategy<Value = Collections> {
        (proptest::collection::btree_set(0..4_usize, 0..=4), any::<bool>()).prop_map(|(names, but)| {
            let names = names.into_iter().map(|n| NAMES[n].into()).collect();
            if but { Collections::AllBut(names) } else { Collections::Only(names) }
        })
    }

    proptest! {
        #[test]
        fn sets_of_collections_are_sets(a in sets(), b in sets()) {
            // No set lists the last name: it stands for all other collections there may be.
            for name in NAMES {
                let (in_a, in_b) = (a.contains(name), b.contains(name));
                prop_assert_eq!(a.intersection(&b).contains(name), in_a && in_b);
                prop_assert_eq!(a.union(&b).contains(name), in_a || in_b);
                prop_assert_eq!(a.difference(&b).contains(name), in_a && !in_b);
                prop_assert_eq!(a.clone().complement().contains(name), !in_a);
            }
            prop_assert_eq!(a == b, a.fingerprint() == b.fingerprint());
            let same = a.difference(&b).is_nothing() && b.difference(&a).is_nothing();
            prop_assert_eq!(same, a == b);
            prop_assert_eq!(a.clone().complement().is_nothing(), a.is_everything());
        }
    }
}
