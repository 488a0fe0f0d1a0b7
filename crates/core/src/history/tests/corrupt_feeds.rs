//! Faults in what feeds delivered.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::script::{Event, Item, Script, What, content};
use crate::causality::Seq;
use crate::history::Reset;

/// The feed that leaves changes out.
const FILTERED: usize = 2;

fn events(script: &mut Script) -> &mut Vec<Event> {
    &mut script.feeds[0].1
}

/// A random event of a feed that fits, but never the first two.
fn pick(script: &Script, feed: usize, random: &mut StdRng, fits: impl Fn(&Event) -> bool) -> usize {
    let found: Vec<usize> = script.feeds[feed]
        .1
        .iter()
        .enumerate()
        .skip(2)
        .filter(|(_, event)| fits(event))
        .map(|(index, _)| index)
        .collect();
    found[random.random_range(0..found.len())]
}

fn items(event: &Event) -> &[Item] {
    match &event.what {
        What::Changes { items, .. } => items,
        _ => &[],
    }
}

fn is_changes(event: &Event) -> bool {
    matches!(event.what, What::Changes { .. })
}

/// Some frame of changes of the first feed.
fn frame(script: &Script, random: &mut StdRng) -> usize {
    pick(script, 0, random, is_changes)
}

fn with_items(event: &mut Event, change: impl FnOnce(&mut Seq, &mut Vec<Item>)) {
    if let What::Changes { from, items } = &mut event.what {
        change(from, items);
    }
}

/// Loses a frame that is not the feed's last: without that one a feed is behind, which is another fault.
fn lose(script: &mut Script, feed: usize, random: &mut StdRng) {
    let head = script.head;
    let index = pick(script, feed, random, |event| is_changes(event) && event.to < head);
    script.feeds[feed].1.remove(index);
}

pub fn lose_frame(script: &mut Script, random: &mut StdRng) {
    lose(script, 0, random);
}

pub fn lose_frame_filtered(script: &mut Script, random: &mut StdRng) {
    lose(script, FILTERED, random);
}

pub fn lose_change(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    let at = random.random_range(0..items(&events(script)[index]).len());
    with_items(&mut events(script)[index], |_, items| {
        items.remove(at);
    });
}

pub fn repeat_frame(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    let again = events(script)[index].clone();
    events(script).insert(index + 1, again);
}

pub fn repeat_change(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    with_items(&mut events(script)[index], |_, items| items.push(items[items.len() - 1].clone()));
}

/// The first frame of a resumed session begins one before or after where the feed was, with everything in it right.
fn shift_frame(script: &mut Script, random: &mut StdRng, early: bool) {
    let resumed: Vec<u64> = script.feeds[0]
        .1
        .windows(2)
        .filter(|pair| matches!(pair[0].what, What::Opened { .. }) && pair[0].to > 0)
        .map(|pair| pair[1].at)
        .collect();
    let index = pick(script, 0, random, |event| resumed.contains(&event.at) && is_changes(event));
    let log = script.log.clone();
    with_items(&mut events(script)[index], |from, items| {
        if early {
            *from -= 1;
            items.insert(0, log[from.0 as usize].clone());
        } else {
            *from += 1;
            items.remove(0);
        }
    });
}

pub fn resume_too_early(script: &mut Script, random: &mut StdRng) {
    shift_frame(script, random, true);
}

pub fn resume_too_late(script: &mut Script, random: &mut StdRng) {
    shift_frame(script, random, false);
}

pub fn open_elsewhere(script: &mut Script, random: &mut StdRng) {
    let index = opening(script, random);
    events(script)[index].to -= 1;
}

fn opening(script: &Script, random: &mut StdRng) -> usize {
    pick(script, 0, random, |event| matches!(event.what, What::Opened { .. }) && event.to > 0)
}

pub fn empty_frame(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    let place = events(script)[index].clone();
    let what = What::Changes { from: place.to, items: Vec::new() };
    events(script).insert(index + 1, Event { what, ..place });
}

fn deliver_other(script: &mut Script, feed: usize, random: &mut StdRng) {
    let index = pick(script, feed, random, |event| !items(event).is_empty());
    let (first, last) = (script.log[0].dot, script.log[script.log.len() - 1].dot);
    with_items(&mut script.feeds[feed].1[index], |_, items| {
        items[0].dot = if items[0].dot == first { last } else { first };
    });
}

pub fn other_dot(script: &mut Script, random: &mut StdRng) {
    deliver_other(script, 0, random);
}

pub fn other_dot_filtered(script: &mut Script, random: &mut StdRng) {
    deliver_other(script, FILTERED, random);
}

pub fn other_content(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    with_items(&mut events(script)[index], |_, items| items[0].hash = items[0].chain);
}

pub fn stale_chain(script: &mut Script, random: &mut StdRng) {
    let index = pick(script, 0, random, |event| items(event).len() > 1);
    with_items(&mut events(script)[index], |_, items| items[1].chain = items[0].chain);
}

pub fn stale_cursor(script: &mut Script, random: &mut StdRng) {
    let index = pick(script, 0, random, |event| !matches!(event.what, What::Asked));
    let dot = script.log[0].dot;
    events(script)[index].chain = Some(content(dot));
}

/// Adds a checkpoint to the feed for a position at which the feed is not.
fn add_checkpoint(script: &mut Script, random: &mut StdRng, place: impl Fn(&Event) -> Seq) {
    let index = pick(script, 0, random, |event| is_changes(event) && event.to > 1);
    let (after, head) = (events(script)[index].clone(), script.head);
    let (to, chain) = (place(&after), None);
    events(script).insert(index + 1, Event { to, chain, what: What::Checkpoint { head }, ..after });
}

pub fn checkpoint_ahead(script: &mut Script, random: &mut StdRng) {
    add_checkpoint(script, random, |event| event.to + 1);
}

pub fn checkpoint_behind(script: &mut Script, random: &mut StdRng) {
    add_checkpoint(script, random, |event| event.to - 1);
}

pub fn impossible_head(script: &mut Script, random: &mut StdRng) {
    let index = opening(script, random);
    let head = if random.random_bool(0.5) { script.head + 1 } else { Seq(0) };
    events(script)[index].what = What::Opened { head };
}

pub fn delivered_before_sent(script: &mut Script, random: &mut StdRng) {
    let of_a_client = |event: &Event| items(event).iter().any(|i| !i.dot.replica.is_server());
    let index = pick(script, 0, random, of_a_client);
    events(script)[index].at = 0;
}

pub fn change_epoch(script: &mut Script, random: &mut StdRng) {
    let index = frame(script, random);
    events(script)[index].epoch.0 += 1;
}

pub fn resume_in_another_epoch(script: &mut Script, random: &mut StdRng) {
    let index = opening(script, random);
    events(script)[index].epoch.0 += 1;
}

pub fn reset_without_cause(script: &mut Script, random: &mut StdRng) {
    let index = pick(script, 0, random, |event| matches!(event.what, What::Opened { .. }));
    let reasons = [Reset::Compacted, Reset::WrongEpoch, Reset::FutureCursor, Reset::Forbidden];
    events(script)[index].what = What::Reset(reasons[random.random_range(0..reasons.len())]);
}

pub fn stay_behind(script: &mut Script, _: &mut StdRng) {
    let last = script.feeds[0].1.iter().rposition(is_changes).expect("a frame");
    events(script).truncate(last);
}
