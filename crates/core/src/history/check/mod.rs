//! The check: facts about every operation first, then one pass for each group of properties.

mod causal;
mod counters;
mod facts;
mod feeds;
mod log;
mod receipts;
mod states;
mod table;

use facts::Facts;

use super::gather::History;
use super::report::{Counts, Report};

/// Judges a history. Takes time and memory in proportion to its length.
pub fn check(history: &History) -> Report {
    let mut report = Report::new(counts(history));
    let facts = Facts::of(history);
    log::check(history, &facts, &mut report);
    counters::check(history, &facts, &mut report);
    causal::check(history, &facts, &mut report);
    receipts::check(history, &facts, &mut report);
    feeds::check(history, &facts, &mut report);
    states::check(history, &facts, &mut report);
    report
}

fn counts(history: &History) -> Counts {
    let mut counts = Counts { log_entries: history.log.entries.len() as u64, ..Counts::default() };
    for client in &history.clients {
        counts.operations += client.intents.len() as u64;
        counts.submissions += client.submissions.len() as u64;
        counts.answers += client.submissions.iter().filter(|s| s.answer().is_some()).count() as u64;
    }
    counts.feeds = history.feeds.len() as u64;
    for feed in &history.feeds {
        counts.sessions += feeds::sessions(feed);
        counts.frames += feed.events.iter().filter(|e| feeds::is_frame(e)).count() as u64;
        counts.delivered += feed.delivered.len() as u64;
    }
    counts
}
