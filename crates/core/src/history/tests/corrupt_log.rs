//! Faults in the log.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::script::{Item, Script, content};
use crate::causality::{Counter, Seq};
use crate::history::Outcome;
use crate::ids::{Dot, ReplicaId};

/// Any index of the log but the first and last few.
fn somewhere(script: &Script, random: &mut StdRng) -> usize {
    random.random_range(5..script.log.len() - 5)
}

fn of_a_client(item: &Item) -> bool {
    !item.dot.replica.is_server()
}

/// A random pair of entries of clients, in order, that fits.
fn pair(script: &Script, random: &mut StdRng, fits: impl Fn(&Item, &Item) -> bool) -> (usize, usize) {
    let mut pairs = Vec::new();
    for (i, a) in script.log.iter().enumerate().filter(|(_, a)| of_a_client(a)) {
        let later = script.log.iter().enumerate().skip(i + 1).filter(|(_, b)| of_a_client(b));
        pairs.extend(later.filter(|(_, b)| fits(a, b)).map(|(j, _)| (i, j)));
    }
    pairs[random.random_range(0..pairs.len())]
}

fn of_two_replicas(a: &Item, b: &Item) -> bool {
    a.dot.replica != b.dot.replica
}

/// Gives an entry, and what its author said, these extras.
fn set_extras(script: &mut Script, index: usize, extras: Vec<Dot>) {
    let dot = script.log[index].dot;
    script.made.iter_mut().filter(|m| m.dot == dot).for_each(|m| m.extras.clone_from(&extras));
    script.log[index].extras = extras;
}

fn set_dependency(script: &mut Script, index: usize, needed: Dot) {
    let dot = script.log[index].dot;
    script.made.iter_mut().filter(|m| m.dot == dot).for_each(|m| m.depends_on = vec![needed]);
}

fn set_base(script: &mut Script, index: usize, base_seq: Seq) {
    let dot = script.log[index].dot;
    script.made.iter_mut().filter(|m| m.dot == dot).for_each(|m| m.base_seq = base_seq);
    script.log[index].base_seq = base_seq;
}

fn stranger() -> Dot {
    Dot { replica: ReplicaId::from_u128(99), counter: Counter::FIRST }
}

pub fn drop_entry(script: &mut Script, random: &mut StdRng) {
    let index = somewhere(script, random);
    script.log.remove(index);
}

pub fn repeat_position(script: &mut Script, random: &mut StdRng) {
    let index = somewhere(script, random);
    script.log[index].seq -= 1;
}

pub fn drop_and_renumber(script: &mut Script, random: &mut StdRng) {
    let settled = script.settled();
    let (_, seq) = settled[random.random_range(0..settled.len())];
    script.log.remove(seq.0 as usize - 1);
    script.restamp();
}

pub fn cut_off(script: &mut Script, _: &mut StdRng) {
    let last = script.settled().iter().map(|(_, seq)| *seq).max().expect("something settled");
    script.log.truncate(last.0 as usize - 1);
    script.head = last - 1;
}

pub fn head_too_far(script: &mut Script, _: &mut StdRng) {
    script.head += 1;
}

pub fn other_head_chain(script: &mut Script, _: &mut StdRng) {
    script.head_chain = Some(content(stranger()));
}

pub fn settle_again(script: &mut Script, random: &mut StdRng) {
    let again = script.log[somewhere(script, random)].clone();
    script.log.push(again);
    script.restamp();
}

pub fn from_nobody(script: &mut Script, random: &mut StdRng) {
    let (index, dot) = (somewhere(script, random), stranger());
    let item = Item { dot, hash: content(dot), ..script.log[index].clone() };
    script.log.push(item);
    script.restamp();
}

pub fn swap(script: &mut Script, random: &mut StdRng) {
    let settled = script.settled();
    let seq = settled[random.random_range(0..settled.len())].1.0 as usize;
    let other = if seq == script.log.len() { seq - 2 } else { seq };
    script.log.swap(seq - 1, other);
    script.restamp();
}

pub fn fork_chain(script: &mut Script, random: &mut StdRng) {
    let index = somewhere(script, random);
    script.log[index].chain = content(stranger());
}

pub fn other_content(script: &mut Script, random: &mut StdRng) {
    let (index, _) = pair(script, random, |_, _| true);
    script.log[index].hash = content(stranger());
    script.restamp();
}

pub fn rewrite_context(script: &mut Script, random: &mut StdRng) {
    let (_, index) = pair(script, random, |a, b| a.seq > 1 && b.base_seq + 1 < b.seq);
    script.log[index].base_seq += 1;
}

pub fn foreign_epoch(script: &mut Script, random: &mut StdRng) {
    let (index, _) = pair(script, random, |_, _| true);
    let dot = script.log[index].dot;
    script.made.iter_mut().filter(|m| m.dot == dot).for_each(|m| m.epoch.0 += 1);
}

pub fn base_not_before(script: &mut Script, random: &mut StdRng) {
    let (index, _) = pair(script, random, |_, _| true);
    set_base(script, index, Seq(index as u64) + 1);
}

pub fn base_steps_back(script: &mut Script, random: &mut StdRng) {
    let (first, second) = pair(script, random, |a, b| a.dot.replica == b.dot.replica && a.base_seq > 0);
    let (replica, base) = (script.log[first].dot.replica, script.log[first].base_seq);
    // The next of the replica after the first.
    let next = (first + 1..=second).find(|i| script.log[*i].dot.replica == replica).expect("one");
    set_base(script, next, base - 1);
}

pub fn before_its_extra(script: &mut Script, random: &mut StdRng) {
    let (early, late) = pair(script, random, of_two_replicas);
    let dot = script.log[late].dot;
    set_extras(script, early, vec![dot]);
}

pub fn before_its_dependency(script: &mut Script, random: &mut StdRng) {
    let (early, late) = pair(script, random, of_two_replicas);
    let dot = script.log[late].dot;
    set_dependency(script, early, dot);
}

pub fn without_its_extra(script: &mut Script, random: &mut StdRng) {
    let index = pair(script, random, |_, _| true).0;
    set_extras(script, index, vec![stranger()]);
}

pub fn without_its_dependency(script: &mut Script, random: &mut StdRng) {
    let index = pair(script, random, |_, _| true).0;
    set_dependency(script, index, stranger());
}

pub fn depends_on_rejected(script: &mut Script, random: &mut StdRng) {
    let index = pair(script, random, |_, _| true).1;
    let was_rejected = script
        .submissions
        .iter()
        .find(|s| s.answer.is_some_and(|(_, a)| a.outcome == Outcome::Rejected))
        .expect("something was rejected")
        .dot;
    set_dependency(script, index, was_rejected);
}

pub fn extra_knew_more(script: &mut Script, random: &mut StdRng) {
    let (known, index) = pair(script, random, |a, b| of_two_replicas(a, b) && a.base_seq > b.base_seq);
    let dot = script.log[known].dot;
    set_extras(script, index, vec![dot]);
}

pub fn counters_out_of_order(script: &mut Script, random: &mut StdRng) {
    let (first, second) = pair(script, random, |a, b| a.dot.replica == b.dot.replica);
    script.log.swap(first, second);
    script.restamp();
}

pub fn counter_gap(script: &mut Script, random: &mut StdRng) {
    let (_, index) = pair(script, random, |_, _| true);
    let replica = script.log[index].dot.replica;
    let last = script.made.iter().filter(|m| m.dot.replica == replica).map(|m| m.dot.counter).max();
    // Its last in the log gets a counter far beyond all that were made.
    let index = script.log.iter().rposition(|i| i.dot.replica == replica).expect("one");
    let (old, new) =
        (script.log[index].dot, Dot { replica, counter: Counter(last.expect("one").0 + 1_000_000) });
    script.log[index].dot = new;
    script.made.iter_mut().filter(|m| m.dot == old).for_each(|m| m.dot = new);
    script.submissions.iter_mut().filter(|s| s.dot == old).for_each(|s| s.dot = new);
}
