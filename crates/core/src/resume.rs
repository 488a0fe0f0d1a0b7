//! Where a feed goes on: a position, what the client asked for until then, and how much of that has been loaded.
//!
//! When a feed of some collections becomes a feed of others, the server has to send what the two differ in: the records
//! that enter, and the ids of those that leave. Meanwhile the feed's position stands still. Three things then describe
//! all that the client may have: the collections of which it has every record, those of which it may have some, and how
//! far the walk over them is. They are part of the cursor, so that any server that gets it back can go on from there,
//! even with another choice of collections.

use super::causality::Seq;
use super::hash::Hash;
use super::ids::{CollectionId, RecordId};
use super::limits::FEED_COLLECTIONS_MAX;
use super::selection::Collections;
use super::view::FeedCursor;

/// How many names the sets of a loading may have; with more, everything is loaded from scratch.
pub const HELD_NAMES_MAX: usize = 2 * FEED_COLLECTIONS_MAX;

/// What a feed goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The place in the history up to which the changes were delivered; it stands still while anything is loaded.
    pub position: FeedCursor,
    /// What the client asked for.
    pub asked: Asked,
    /// How much of that has been loaded, if not all of it has.
    pub loading: Option<Loading>,
}

/// What a client asked for, as its cursor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The collections themselves, by name.
    Collections(Collections),
    /// Their [`Collections::fingerprint`], if there are too many names for a cursor.
    Fingerprint(Hash),
}

/// The loading of records for a client that does not have all of what it asked for, or did not as of its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loading {
    /// Collections of which the client had every record when this began.
    pub whole: Collections,
    /// Collections of which it may have had some.
    pub partly: Collections,
    /// Which part of the loading is under way, and how far that is.
    pub stage: Stage,
    /// Whether the client has to drop everything first and has not been told so yet.
    pub from_scratch: bool,
    /// Records loaded so far.
    pub loaded_count: u64,
    /// The newest position at which anything was read, with its chain: the client has seen this history at least up to
    /// there.
    pub read_at: Option<(Seq, Hash)>,
}

/// The stage of a loading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The server says which records leave.
    Leaving(Walked),
    /// The server sends those that enter.
    Entering(Walked),
    /// Everything is loaded; changes up to where it was read are still to come.
    Loaded,
}

/// How far a walk over records has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walked {
    /// The walk has not passed any record yet.
    Nothing,
    /// Over all records, by their ids.
    Records {
        /// The last record that was passed; the walk goes on after it.
        after: RecordId,
    },
    /// Over one collection after the other, by their ids.
    Members {
        /// The collection that the walk is in; those before it, by name, are done.
        collection: CollectionId,
        /// The last record of it that was passed.
        after: RecordId,
    },
}

impl Asked {
    /// Whether the client asked for these.
    pub fn is(&self, collections: &Collections) -> bool {
        match self {
            Asked::Collections(asked) => asked == collections,
            Asked::Fingerprint(fingerprint) => *fingerprint == collections.fingerprint(),
        }
    }
}

impl Resume {
    /// What has to be loaded for a client that goes on from here and asks for `wanted`; `None` for nothing.
    pub fn loading_of(&self, wanted: &Collections) -> Option<Loading> {
        if self.asked.is(wanted) {
            return self.loading.clone();
        }
        match (&self.asked, &self.loading) {
            (Asked::Fingerprint(_), loading) => Some(Loading {
                read_at: loading.as_ref().and_then(|loading| loading.read_at),
                ..Loading::from_scratch()
            }),
            (Asked::Collections(asked), Some(loading)) => Some(loading.turned(asked, wanted)),
            (Asked::Collections(asked), None) => Loading::difference(asked, wanted),
        }
    }
}

impl Loading {
    /// A loading of everything, for a client whose state is unknown.
    pub fn from_scratch() -> Loading {
        Loading {
            whole: Collections::nothing(),
            partly: Collections::nothing(),
            stage: Stage::Leaving(Walked::Nothing),
            from_scratch: true,
            loaded_count: 0,
            read_at: None,
        }
    }

    /// A loading of what two choices differ in; `None` if they are the same.
    pub fn difference(had: &Collections, wanted: &Collections) -> Option<Loading> {
        (had != wanted).then(|| Loading::turn(had))
    }

    /// A loading that leads from a choice of which the client has everything to any other choice.
    pub fn turn(had: &Collections) -> Loading {
        Loading { whole: had.clone(), ..Loading::from_scratch() }.differing()
    }

    /// Loads only the difference if it takes few enough names, and otherwise everything.
    fn differing(self) -> Loading {
        if self.whole.names().len() + self.partly.names().len() > HELD_NAMES_MAX {
            return Loading { read_at: self.read_at, ..Loading::from_scratch() };
        }
        Loading { from_scratch: false, ..self }
    }

    /// What has to be loaded when the client, on its way to what it asked for, asks for something else.
    pub fn turned(&self, asked: &Collections, wanted: &Collections) -> Loading {
        if self.from_scratch {
            return Loading { read_at: self.read_at, ..Loading::from_scratch() };
        }
        if self.stage == Stage::Loaded {
            return Loading { read_at: self.read_at, ..Loading::turn(asked) };
        }
        if asked == wanted {
            return self.clone();
        }
        // What is in both was not touched; of everything else some may have come, and some may have gone.
        let whole = self.whole.intersection(asked);
        let partly = self.whole.union(&self.partly).union(asked).difference(&whole);
        Loading { whole, partly, read_at: self.read_at, ..Loading::from_scratch() }.differing()
    }

    /// Collections whose records leave a client that asked for these.
    pub fn leaving(&self, asked: &Collections) -> Collections {
        self.whole.union(&self.partly).difference(asked)
    }

    /// Collections whose records enter.
    pub fn entering(&self, asked: &Collections) -> Collections {
        asked.difference(&self.whole)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::Epoch;

    const COLLECTIONS: [&str; 3] = ["a", "b", "c"];
    const RECORDS_EACH: usize = 3;

    /// Every record there is, as collection and id; the ids of the collections are interleaved.
    fn world() -> BTreeSet<(CollectionId, RecordId)> {
        let record = |n: usize| (COLLECTIONS[n % COLLECTIONS.len()].into(), format!("r{n}").as_str().into());
        (0..COLLECTIONS.len() * RECORDS_EACH).map(record).collect()
    }

    #[derive(Debug, Clone)]
    enum Event {
        /// The server sends some records.
        Step,
        /// The client asks for something else; by its cursor, or on the open stream.
        Turn(Collections),
        Reopen(Collections),
    }

    fn choices() -> impl Strategy<Value = Collections> {
        prop_oneof![
            Just(Collections::everything()),
            proptest::collection::btree_set(0..COLLECTIONS.len(), 1..=COLLECTIONS.len()).prop_map(|names| {
                Collections::Only(names.into_iter().map(|n| COLLECTIONS[n].into()).collect())
            }),
        ]
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            5 => Just(Event::Step),
            1 => choices().prop_map(Event::Turn),
            1 => choices().prop_map(Event::Reopen),
        ];
        proptest::collection::vec(event, 0..60)
    }

    /// A client and what its server knows of it.
    struct Feed {
        asked: Collections,
        loading: Option<Loading>,
        records: BTreeSet<(CollectionId, RecordId)>,
    }

    impl Feed {
        /// One record, or one step to the next stage.
        fn step(&mut self) {
            let Some(loading) = &mut self.loading else { return };
            if std::mem::take(&mut loading.from_scratch) {
                self.records.clear();
                return;
            }
            let (entering, leaving) = (loading.entering(&self.asked), loading.leaving(&self.asked));
            let (walked, of) = match &mut loading.stage {
                Stage::Leaving(walked) => (walked, leaving),
                Stage::Entering(walked) => (walked, entering.clone()),
                Stage::Loaded => return self.loading = None,
            };
            let mut by_id: Vec<_> = world().into_iter().collect();
            by_id.sort_by(|(_, a), (_, b)| a.cmp(b));
            let next = by_id.into_iter().find(|(collection, record)| {
                let before = match walked {
                    Walked::Records { after } => record <= after,
                    _ => false,
                };
                !before && of.contains(collection)
            });
            let is_leaving = matches!(loading.stage, Stage::Leaving(_));
            let Some((collection, record)) = next else {
                loading.stage = if is_leaving { Stage::Entering(Walked::Nothing) } else { Stage::Loaded };
                return;
            };
            let walked = Walked::Records { after: record.clone() };
            if is_leaving {
                self.records.remove(&(collection, record));
                loading.stage = Stage::Leaving(walked);
            } else {
                self.records.insert((collection, record));
                loading.stage = Stage::Entering(walked);
            }
        }

        fn ends(&mut self) {
            for _ in 0..100 {
                self.step();
            }
            assert_eq!(self.loading, None, "loading ends");
            let wanted: BTreeSet<_> = world().into_iter().filter(|(c, _)| self.asked.contains(c)).collect();
            assert_eq!(self.records, wanted, "asked for {:?}", self.asked);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_in_turn_the_client_has_what_it_asked_for_last(
            first in choices(),
            events in events(),
            nameless in any::<bool>(),
        ) {
            let records = world().into_iter().filter(|(c, _)| first.contains(c)).collect();
            let mut feed = Feed { asked: first, loading: None, records };
            for event in events {
                match event {
                    Event::Step => feed.step(),
                    Event::Turn(wanted) => {
                        feed.loading = Some(match feed.loading.take() {
                            Some(loading) => loading.turned(&feed.asked, &wanted),
                            None => Loading::turn(&feed.asked),
                        });
                        feed.asked = wanted;
                    }
                    Event::Reopen(wanted) => {
                        let asked = match nameless {
                            true => Asked::Fingerprint(feed.asked.fingerprint()),
                            false => Asked::Collections(feed.asked.clone()),
                        };
                        let position = FeedCursor { epoch: Epoch(1), seq: Seq(0), chain: None };
                        let resume = Resume { position, asked, loading: feed.loading.take() };
                        feed.loading = resume.loading_of(&wanted);
                        feed.asked = wanted;
                    }
                }
            }
            feed.ends();
        }
    }

    #[test]
    fn what_did_not_change_is_not_loaded() {
        let a = Collections::Only(["a".into()].into());
        let ab = Collections::Only(["a".into(), "b".into()].into());
        assert_eq!(Loading::difference(&a, &a), None);
        let wider = Loading::difference(&a, &ab).expect("a difference");
        assert!(!wider.from_scratch);
        assert!(wider.leaving(&ab).is_nothing());
        assert_eq!(wider.entering(&ab), Collections::Only(["b".into()].into()));
        let narrower = Loading::difference(&Collections::everything(), &a).expect("a difference");
        assert_eq!(narrower.leaving(&a), a.clone().complement());
        assert!(narrower.entering(&a).is_nothing());
    }

    #[test]
    fn more_names_than_a_cursor_can_hold_are_loaded_from_scratch() {
        let many = Collections::Only((0..HELD_NAMES_MAX).map(|n| format!("c{n}").as_str().into()).collect());
        let other = Collections::Only(["x".into()].into());
        let begun = Loading::difference(&many, &other).expect("a difference");
        assert!(!begun.from_scratch);
        let turned = begun.turned(&other, &Collections::everything());
        assert!(turned.from_scratch);
    }
}
