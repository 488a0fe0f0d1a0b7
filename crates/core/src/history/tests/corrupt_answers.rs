//! Faults in answers, their times, snapshots and states.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::script::{Script, Sent, content};
use crate::causality::Seq;
use crate::history::{Answer, Outcome};
use crate::ids::Dot;

/// A submission that was told to have settled, and where.
fn acknowledged(script: &Script, random: &mut StdRng) -> (usize, Seq) {
    let settled = script.settled();
    settled[random.random_range(0..settled.len())]
}

/// Every submission of the operation moves behind everything that happened.
fn send_later(script: &mut Script, dot: Dot) {
    let now = script.now;
    for sent in script.submissions.iter_mut().filter(|s| s.dot == dot) {
        sent.sent_at += now;
        sent.answer.iter_mut().for_each(|(at, _)| *at += now);
    }
}

/// Another submission, after everything, with this answer.
fn ask_again(script: &mut Script, dot: Dot, outcome: Outcome) {
    let (sent_at, answered_at) = (script.now + 1, script.now + 2);
    let answer = Some((answered_at, Answer { outcome, repeated: true }));
    script.submissions.push(Sent { dot, sent_at, answer });
}

pub fn invert_real_time(script: &mut Script, random: &mut StdRng) {
    // Of a client, and before something that was acknowledged.
    let last = script.settled().iter().map(|(_, seq)| *seq).max().expect("something settled");
    let early: Vec<Dot> =
        script.log[..last.0 as usize - 1].iter().map(|i| i.dot).filter(|d| !d.replica.is_server()).collect();
    let dot = early[random.random_range(0..early.len())];
    send_later(script, dot);
}

pub fn answer_before_sent(script: &mut Script, random: &mut StdRng) {
    let (index, _) = acknowledged(script, random);
    let sent = &mut script.submissions[index];
    let (_, answer) = sent.answer.expect("an answer");
    sent.answer = Some((sent.sent_at - 1, answer));
}

pub fn knew_before_sent(script: &mut Script, random: &mut StdRng) {
    let knowing: Vec<(Dot, Seq)> = script
        .log
        .iter()
        .filter(|i| i.base_seq > 0 && !i.dot.replica.is_server())
        .map(|i| (i.dot, i.base_seq))
        .filter(|(_, base)| script.log[..base.0 as usize].iter().any(|i| !i.dot.replica.is_server()))
        .collect();
    let (dot, _) = knowing[random.random_range(0..knowing.len())];
    script.submissions.iter_mut().filter(|s| s.dot == dot).for_each(|s| s.sent_at = 0);
}

pub fn other_position(script: &mut Script, random: &mut StdRng) {
    let (index, seq) = acknowledged(script, random);
    let other = if seq == script.head { seq - 1 } else { seq + 1 };
    let (at, answer) = script.submissions[index].answer.expect("an answer");
    script.submissions[index].answer = Some((at, Answer { outcome: Outcome::Settled(other), ..answer }));
}

pub fn second_position(script: &mut Script, random: &mut StdRng) {
    let (index, seq) = acknowledged(script, random);
    let other = if seq == script.head { seq - 1 } else { seq + 1 };
    ask_again(script, script.submissions[index].dot, Outcome::Settled(other));
}

pub fn settled_then_rejected(script: &mut Script, random: &mut StdRng) {
    let (index, _) = acknowledged(script, random);
    ask_again(script, script.submissions[index].dot, Outcome::Rejected);
}

pub fn rejected_in_log(script: &mut Script, random: &mut StdRng) {
    let (index, _) = acknowledged(script, random);
    let dot = script.submissions[index].dot;
    for sent in script.submissions.iter_mut().filter(|s| s.dot == dot) {
        sent.answer.iter_mut().for_each(|(_, answer)| answer.outcome = Outcome::Rejected);
    }
}

pub fn settled_twice(script: &mut Script, random: &mut StdRng) {
    let first: Vec<Sent> = script
        .submissions
        .iter()
        .filter(|s| s.answer.is_some_and(|(_, a)| a.outcome.is_final() && !a.repeated))
        .cloned()
        .collect();
    let sent = first[random.random_range(0..first.len())].clone();
    script.submissions.push(sent);
}

pub fn held_again(script: &mut Script, random: &mut StdRng) {
    let (index, _) = acknowledged(script, random);
    ask_again(script, script.submissions[index].dot, Outcome::Held);
}

pub fn forgotten(script: &mut Script, random: &mut StdRng) {
    let (index, _) = acknowledged(script, random);
    ask_again(script, script.submissions[index].dot, Outcome::Unknown);
}

pub fn without_outcome(script: &mut Script, random: &mut StdRng) {
    let dot = alive(script, random);
    script.submissions.iter_mut().filter(|s| s.dot == dot).for_each(|s| s.answer = None);
}

pub fn stays_held(script: &mut Script, random: &mut StdRng) {
    let dot = alive(script, random);
    for sent in script.submissions.iter_mut().filter(|s| s.dot == dot) {
        sent.answer.iter_mut().for_each(|(_, answer)| answer.outcome = Outcome::Held);
    }
}

/// An acknowledged operation of a client that was there to the end.
fn alive(script: &Script, random: &mut StdRng) -> Dot {
    loop {
        let dot = script.submissions[acknowledged(script, random).0].dot;
        if !script.ended.contains(&dot.replica) {
            return dot;
        }
    }
}

pub fn other_snapshot(script: &mut Script, _: &mut StdRng) {
    let dot = script.log[0].dot;
    script.snapshots[0].1 = content(dot);
}

pub fn snapshot_ahead(script: &mut Script, _: &mut StdRng) {
    script.snapshots[0].0 = script.head + 1;
}

pub fn states_differ(script: &mut Script, _: &mut StdRng) {
    let dot = script.log[0].dot;
    script.states[1].1 = content(dot);
}
