//! What is remembered of a text between operations: derived from the log, and rebuilt when it is not there.

use crate::causality::{Author, Seq};
use crate::fault;
use crate::merge::text::Window;

/// What is remembered of one text.
#[derive(Debug, Clone, Default)]
pub struct TextMemory {
    /// The order of its characters while edits are concurrent.
    pub window: Option<Window>,
    /// Operations in a row that did not need the order.
    pub window_idle: usize,
    /// How far back the last author knew the text.
    pub reach: Option<Reach>,
}

/// How far one author knew a text without a gap. An author who goes on writing on the same base is judged by what came
/// since, and not by its whole queue again.
#[derive(Debug, Clone)]
pub struct Reach {
    author: Author,
    /// The last change of the text that was looked at.
    pub upto: Seq,
    /// The position before the first change that the author did not know, if there is one.
    pub bound: Option<Seq>,
}

impl Reach {
    /// What was found for an author.
    pub fn new(author: &Author, upto: Seq, bound: Option<Seq>) -> Reach {
        Reach { author: author.clone(), upto, bound }
    }

    /// Whether it holds for an author as well: the same replica, which knew the same of others.
    pub fn holds_for(&self, author: &Author) -> bool {
        let Author { replica_no, counter, base_seq, extras, own_requests } = author;
        self.author.replica_no == *replica_no
            && self.author.counter <= *counter
            && (self.author.base_seq == *base_seq || fault!(ReachOutlivesBase))
            && self.author.extras == *extras
            && self.author.own_requests == *own_requests
    }
}
