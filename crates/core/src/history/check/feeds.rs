//! Every reader saw a prefix of the log at every moment: frames tile over all sessions and equal the log.

use super::facts::Facts;
use crate::causality::Seq;
use crate::hash::CHAIN_START;
use crate::history::feed::{Delivered, FeedEvent, FeedEventKind, FeedRecorder, Mark, Reset, mark};
use crate::history::gather::History;
use crate::history::report::Report;
use crate::history::violation::Violation;
use crate::ids::Epoch;

pub(super) fn check(history: &History, facts: &Facts<'_>, report: &mut Report) {
    for feed in &history.feeds {
        let mut reader = Reader {
            history,
            feed,
            facts,
            report,
            session: 0,
            asked: Seq::START,
            position: Seq::START,
            epoch: None,
            next: 0,
        };
        feed.events.iter().for_each(|event| reader.see(event));
        reader.end();
    }
}

/// The number of connections of a reader.
pub(super) fn sessions(feed: &FeedRecorder) -> u64 {
    let asks = |e: &&FeedEvent| matches!(e.kind, FeedEventKind::Asked | FeedEventKind::AskedAnew);
    feed.events.iter().filter(asks).count() as u64
}

/// Whether the event is a frame from the server.
pub(super) fn is_frame(event: &FeedEvent) -> bool {
    !matches!(event.kind, FeedEventKind::Asked | FeedEventKind::AskedAnew)
}

struct Reader<'r, 'h> {
    history: &'h History,
    feed: &'h FeedRecorder,
    facts: &'r Facts<'h>,
    report: &'r mut Report,
    session: u32,
    asked: Seq,
    /// Everything up to here was delivered.
    position: Seq,
    /// The epoch of what was delivered; none before the first session and after a reset.
    epoch: Option<Epoch>,
    /// The index of the next delivered change.
    next: usize,
}

impl<'h> Reader<'_, 'h> {
    fn name(&self) -> String {
        self.feed.name.clone()
    }

    fn see(&mut self, event: &FeedEvent) {
        let from = self.next;
        self.next += event.count as usize;
        let delivered = self.feed.delivered.get(from..self.next).unwrap_or_default();
        if !self.is_of_this_history(event) {
            return;
        }
        match event.kind {
            FeedEventKind::Asked => {
                self.session += 1;
                self.goes_on_after(event.to);
                (self.asked, self.position) = (event.to, event.to);
            }
            FeedEventKind::AskedAnew => {
                self.session += 1;
                (self.asked, self.position) = (event.to, event.to);
            }
            FeedEventKind::Opened => self.opened(event),
            FeedEventKind::Changes => self.changes(event, delivered),
            FeedEventKind::Checkpoint | FeedEventKind::GoAway | FeedEventKind::Loading => {
                self.checkpoint(event)
            }
            FeedEventKind::Reset(reason) => self.reset(event, reason),
        }
    }

    /// Follows the epoch, and returns whether the event belongs to the history of the log.
    fn is_of_this_history(&mut self, event: &FeedEvent) -> bool {
        let Some(epoch) = self.feed.epochs.get(usize::from(event.epoch)).copied() else { return false };
        let known =
            epoch == self.history.log.epoch || self.history.expectations.earlier_epochs.contains(&epoch);
        let before = self.epoch.replace(epoch);
        let announced = event.kind == FeedEventKind::AskedAnew || before.is_none_or(|b| b == epoch);
        if !announced || (!known && before != Some(epoch)) {
            self.report.add(Violation::EpochChanged { feed: self.name(), session: self.session, epoch });
        }
        epoch == self.history.log.epoch
    }

    fn goes_on_after(&mut self, found: Seq) {
        let (feed, session, position) = (self.name(), self.session, self.position);
        if found > position {
            self.report.add(Violation::FeedGap { feed, session, position, found });
        } else if found < position {
            self.report.add(Violation::FeedRepeats { feed, session, position, found });
        }
    }

    fn opened(&mut self, event: &FeedEvent) {
        if event.to != self.asked {
            let (feed, session, asked) = (self.name(), self.session, self.asked);
            self.report.add(Violation::OpenedElsewhere { feed, session, asked, opened: event.to });
        }
        self.position = event.to;
        self.head_told(event);
        self.chain_told(event.to, event.chain);
    }

    fn head_told(&mut self, event: &FeedEvent) {
        let (head, last, position) = (event.from, self.facts.last(), event.to);
        if head < position || head > last {
            let (feed, session) = (self.name(), self.session);
            self.report.add(Violation::HeadImpossible { feed, session, position, head, last });
        }
        self.nothing_sent_later(head.min(last), event);
    }

    fn nothing_sent_later(&mut self, position: Seq, event: &FeedEvent) {
        if let Some((entry, sent_at)) = self.facts.sent_later(position, event.at) {
            let (feed, dot) = (self.name(), self.facts.full(entry.dot));
            let (at, seq) = (event.at, entry.seq);
            self.report.add(Violation::DeliveredBeforeSent { feed, position, at, dot, seq, sent_at });
        }
    }

    fn chain_told(&mut self, seq: Seq, told: Mark) {
        let there = if seq == 0 { Some(CHAIN_START) } else { self.facts.entry(seq).map(|e| e.chain) };
        if told != 0 && there.is_some_and(|there| mark(&there) != told) {
            let (feed, session) = (self.name(), self.session);
            self.report.add(Violation::FeedOtherChain { feed, session, seq });
        }
    }

    fn changes(&mut self, event: &FeedEvent, delivered: &[Delivered]) {
        let (from, to) = (event.from, event.to);
        self.goes_on_after(from);
        if to <= from {
            let (feed, session) = (self.name(), self.session);
            self.report.add(Violation::FrameEmpty { feed, session, from, to });
        }
        self.position = from;
        for change in delivered {
            let seq = from + u64::from(change.distance);
            if seq <= self.position || (seq > self.position + 1 && !self.feed.filtered) {
                self.goes_on_after(seq - 1);
            }
            self.position = seq;
            self.compare(seq, change);
        }
        if self.position != to && (self.position > to || !self.feed.filtered) {
            self.goes_on_after(to);
        }
        self.position = to;
        self.chain_told(to, event.chain);
        self.nothing_sent_later(to.min(self.facts.last()), event);
        if to > self.facts.last() && delivered.is_empty() {
            self.beyond_log(to);
        }
    }

    fn beyond_log(&mut self, seq: Seq) {
        let (feed, session, head) = (self.name(), self.session, self.facts.last());
        self.report.add(Violation::FeedBeyondLog { feed, session, seq, head });
    }

    fn compare(&mut self, seq: Seq, change: &Delivered) {
        let Some(entry) = self.facts.entry(seq) else { return self.beyond_log(seq) };
        let (feed, session, dot) = (self.name_if(entry.dot != change.dot), self.session, entry.dot);
        if entry.dot != change.dot {
            let (dot, found) = (self.facts.full(dot), self.facts.full(change.dot));
            self.report.add(Violation::FeedOtherDot { feed, session, seq, dot, found });
        } else if mark(&entry.operation_hash) != change.operation {
            let (feed, dot) = (self.name(), self.facts.full(dot));
            self.report.add(Violation::FeedOtherContent { feed, session, seq, dot });
        }
        if mark(&entry.chain) != change.chain {
            self.report.add(Violation::FeedOtherChain { feed: self.name(), session, seq });
        }
    }

    /// The name if it is wanted, so that changes that are right need no allocation.
    fn name_if(&self, wanted: bool) -> String {
        if wanted { self.name() } else { String::new() }
    }

    fn checkpoint(&mut self, event: &FeedEvent) {
        let (feed, session, position, seq) = (self.name(), self.session, self.position, event.to);
        if seq > position {
            self.report.add(Violation::CheckpointAhead { feed, session, position, seq });
        } else if seq < position {
            self.report.add(Violation::CheckpointBehind { feed, session, position, seq });
        }
        self.head_told(event);
        self.chain_told(seq, event.chain);
    }

    fn reset(&mut self, event: &FeedEvent, reason: Reset) {
        let expected = &self.history.expectations;
        let has_cause = match reason {
            Reset::Compacted => expected.compacted,
            Reset::Forbidden => expected.forbidden,
            // The cursor is of the log's own history and was delivered by it, so these have no cause.
            Reset::WrongEpoch | Reset::FutureCursor => false,
        };
        if !has_cause {
            let (feed, session) = (self.name(), self.session);
            let position = event.to;
            self.report.add(Violation::ResetWithoutCause { feed, session, position, reason });
        }
        self.epoch = None;
    }

    fn end(self) {
        let head = self.facts.last();
        if self.feed.ends_at_head && self.position != head {
            let (feed, position) = (self.name(), self.position);
            self.report.add(Violation::FeedBehind { feed, position, head });
        }
    }
}
