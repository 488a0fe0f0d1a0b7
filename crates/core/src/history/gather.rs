//! One history from what many observers wrote down.

use std::collections::HashSet;

use super::dot::Replicas;
use super::feed::{FeedRecorder, Log};
use super::record::Recorder;
use crate::ids::{Epoch, ReplicaId};

/// What the observer knows about the run as a whole.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// Replicas whose submissions are not all in the history, possibly the server's own (nil). What they wrote may be
    /// in the log.
    pub others: HashSet<ReplicaId>,
    /// Histories before the log's that the run itself brought to an end (a restore). What belongs to them is
    /// not judged.
    pub earlier_epochs: HashSet<Epoch>,
    /// Old changes may have been compacted, so that a feed may be reset for that reason.
    pub compacted: bool,
    /// Rights were withdrawn, so that a feed may be reset for that reason.
    pub forbidden: bool,
    /// The run ended before everything was answered: operations may be without an outcome.
    pub unanswered: bool,
}

/// Everything that was seen of one workspace.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) replicas: Replicas,
    pub(super) clients: Vec<Recorder>,
    pub(super) feeds: Vec<FeedRecorder>,
    pub(super) log: Log,
    pub(super) expectations: Expectations,
}

impl History {
    /// A history that ended in this log.
    pub fn new(mut log: Log, expectations: Expectations) -> History {
        let mut replicas = Replicas::default();
        let names = replicas.absorb(&log.replicas);
        log.rename(&names);
        History { replicas, clients: Vec::new(), feeds: Vec::new(), log, expectations }
    }

    /// What one task saw of its clients.
    pub fn add(&mut self, mut recorder: Recorder) {
        let names = self.replicas.absorb(&recorder.replicas);
        recorder.rename(&names);
        recorder.replicas = Replicas::default();
        self.clients.push(recorder);
    }

    /// What one reader was given.
    pub fn add_feed(&mut self, mut feed: FeedRecorder) {
        let names = self.replicas.absorb(&feed.replicas);
        feed.rename(&names);
        feed.replicas = Replicas::default();
        self.feeds.push(feed);
    }
}
