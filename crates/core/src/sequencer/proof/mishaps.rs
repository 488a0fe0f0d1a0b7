//! What else happens in a run: callers without a replica, forgeries, expiry, and the server's own work.

use crate::causality::{Counter, Seq};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rand::RngExt;

use super::Check;
use super::client::{text_op, text_place};
use super::fold::Place;
use super::inbox;
use super::network::World;
use super::refusals::check_refusal;
use super::script::{Script, Theme, mutation, resolving, written_char};
use super::server::EPOCH;
use super::truth::{Made, Truth};
use crate::change::Change;
use crate::conflict::{Conflict, ConflictKind};
use crate::ids::{Dot, ReplicaId};
use crate::merge::text::SettledHunk;
use crate::operation::{
    Action, CausalContext, Identity, Knowledge, Mutation, Operation, Outcome, TextChoice,
};
use crate::refusal::Refusal;
use crate::state::{Key, Row};

impl World {
    /// A caller without a replica, who knows everything, or what it read some time ago.
    pub(super) fn request(&mut self) -> Check {
        let head = self.server.shelf.head_seq();
        let base_seq =
            if self.dice.random_bool(0.5) { head } else { Seq(self.dice.random_range(1..=head.0)) };
        let mut script = Script {
            client: &self.clients[0],
            theme: if matches!(self.theme, Theme::Texts) { Theme::Registers } else { self.theme },
            dice: &mut self.dice,
            fresh: &mut self.fresh,
            now_ms: self.server.now_ms,
        };
        let mut mutations = script.operation()?;
        mutations.retain(|m| text_place(m).is_none() && m.resolves().is_none());
        let decision = self.decision_of_a_text();
        let expected = decision.as_ref().and_then(|decision| self.text_after(decision)).transpose()?;
        mutations.extend(decision.clone());
        for mutation in &mut mutations {
            if let Mutation::Record(mutation) = mutation {
                mutation.observed_seq = None;
            }
        }
        let context = CausalContext::at(EPOCH, base_seq);
        let latest = base_seq == head;
        self.requests += 1;
        let operation = Operation {
            identity: Identity::Request(format!("request-{}", self.requests).into()),
            knowledge: if latest { Knowledge::Latest } else { Knowledge::Context(context) },
            mutations,
            depends_on: Vec::new(),
            after_requests: Vec::new(),
            await_records: false,
            correlation_id: "".into(),
            actor: "a job".into(),
            client_time_ms: None,
            malformed: None,
        };
        let (known, vector) = Truth::prefix(&self.server.shelf, base_seq);
        let made = Made {
            dot: self.next_of_server(),
            operation,
            known,
            vector,
            own_requests: BTreeSet::new(),
            seen_texts: BTreeMap::new(),
        };
        let accepted = self.submit_request(made)?;
        match expected {
            Some((place, text)) if accepted && latest => {
                let now = self.server.shelf.text(&place.0, &place.1);
                if now == text { Ok(()) } else { Err(format!("{decision:?} came to {now:?}, not {text:?}")) }
            }
            _ => Ok(()),
        }
    }

    /// The characters of a text that somebody who saw them deleted, in force or not.
    fn given_up(&self, place: &Place) -> BTreeSet<char> {
        let mut given_up = BTreeSet::new();
        for change in &self.server.shelf.changes {
            let Some(op) = text_op(change, place) else { continue };
            let made = self.truth.made.get(&change.dot);
            let Some(seen) = made.and_then(|made| made.seen_texts.get(place)) else { continue };
            for SettledHunk { hunk, .. } in &op.hunks {
                given_up.extend(seen.chars().skip(hunk.pos as usize).take(hunk.del as usize));
            }
        }
        given_up
    }

    /// What a decision of a text comes to for somebody who knows everything: the text before the region, what is chosen, and
    /// the text behind it. Whatever it takes out of the text is in a version.
    fn text_after(&self, decision: &Mutation) -> Option<Result<(Place, String), String>> {
        let decision = decision.on_record()?;
        let Action::DecideText { field, choice } = &decision.action else { return None };
        let Row::Field(row) =
            &**self.server.shelf.rows.get(&Key::Field(decision.record.clone(), field.clone()))?
        else {
            return None;
        };
        let Row::Conflict(conflict) = &**self.server.shelf.rows.get(&Key::Conflict(decision.resolves?))?
        else {
            return None;
        };
        let place = row.regions.iter().find(|place| Some(place.conflict) == decision.resolves)?;
        let text: Vec<char> = self.server.shelf.text(&decision.record, field).chars().collect();
        let (start, end) = (place.range.start as usize, place.range.end as usize);
        let chosen = match choice {
            TextChoice::Current => text[start..end].iter().collect(),
            TextChoice::Text(text) => text.clone(),
            TextChoice::Base => conflict.base.as_ref()?.as_str()?.to_owned(),
            TextChoice::Alternative(seq) => {
                let side = conflict.alternatives.iter().find(|side| side.stamp.seq == *seq)?;
                side.value.as_ref()?.as_str()?.to_owned()
            }
        };
        let versions = conflict.alternatives.iter().filter_map(|side| side.value.as_ref()?.as_str());
        let kept: BTreeSet<char> = versions.chain([chosen.as_str()]).flat_map(str::chars).collect();
        let place_of_text = (decision.record.clone(), field.clone());
        let given_up = self.given_up(&place_of_text);
        if let Some(lost) = text[start..end].iter().find(|c| !kept.contains(c) && !given_up.contains(c)) {
            return Some(Err(format!(
                "{lost:?} is shown in the region of {}, and in no version",
                conflict.id
            )));
        }
        let around = |part: &[char]| part.iter().collect::<String>();
        let after = format!("{}{chosen}{}", around(&text[..start]), around(&text[end..]));
        Some(Ok((place_of_text, after)))
    }

    /// Takes one side of a text's conflict, or what all sides started from, or what is there, or something else.
    fn decision_of_a_text(&mut self) -> Option<Mutation> {
        let live: Vec<Conflict> = inbox::all(&self.server.shelf)
            .filter(|c| c.kind == ConflictKind::TextOverlap && c.status.is_live())
            .cloned()
            .collect();
        if live.is_empty() {
            return None;
        }
        let conflict = &live[self.dice.random_range(0..live.len())];
        let side = &conflict.alternatives[self.dice.random_range(0..conflict.alternatives.len())];
        let choice = match self.dice.random_range(0..6) {
            0 => TextChoice::Base,
            1 => TextChoice::Current,
            2 => {
                self.fresh += 1;
                TextChoice::Text(written_char(self.fresh).into_iter().collect())
            }
            _ => TextChoice::Alternative(side.stamp.seq),
        };
        let field = conflict.scope.field()?.clone();
        let decision = mutation(&conflict.scope.record, Action::DecideText { field, choice });
        Some(resolving(decision, conflict.id))
    }

    /// Invariant 9 for request ids: sent twice, settled once, with the same answer; refused, it leaves nothing behind.
    /// Says whether it settled.
    pub(super) fn submit_request(&mut self, made: Made) -> Result<bool, String> {
        let made = Rc::new(made);
        let at_seq = self.server.shelf.head_seq();
        let (receipt, wrote) = self.server.submit(&made.operation)?;
        if let Outcome::NotSettled { refusal: Some(refusal), .. } = &receipt.outcome {
            if !wrote.is_empty() || receipt.dot.is_some() {
                return Err(format!("{} was refused, and left {wrote:?}", made.dot));
            }
            check_refusal(&self.truth, &self.server.shelf, &made, refusal, at_seq)?;
            return Ok(false);
        }
        self.truth.add(&made);
        self.judge_receipt(made.dot, &receipt)?;
        self.after(&wrote)?;
        self.send(&made)?;
        Ok(true)
    }

    /// The dot that the server will give its next operation.
    pub(super) fn next_of_server(&self) -> Dot {
        let counter = self.truth.made.keys().filter(|d| d.replica.is_server()).count() as u64 + 1;
        Dot { replica: ReplicaId::SERVER, counter: Counter(counter) }
    }

    /// Invariant 10: a dot with another content is a fork, and changes nothing.
    pub(super) fn forge(&mut self) -> Check {
        let client = self.dice.random_range(0..self.clients.len());
        let replica = self.clients[client].replica;
        let settled: Vec<Dot> = self.outcomes.keys().filter(|d| d.replica == replica).copied().collect();
        if settled.is_empty() {
            return Ok(());
        }
        let made = &self.truth.made[&settled[self.dice.random_range(0..settled.len())]];
        let forged = Operation { actor: "somebody else".into(), ..made.operation.clone() };
        let dot = made.dot;
        let (receipt, wrote) = self.server.submit(&forged)?;
        let forked = matches!(
            &receipt.outcome,
            Outcome::NotSettled { refusal: Some(Refusal::ReplicaForked { dot: d }), .. } if *d == dot
        );
        if !forked || !wrote.is_empty() {
            return Err(format!("{dot} with another content: {receipt:?}, {wrote:?}"));
        }
        Ok(())
    }

    /// Invariant 13: expiry changes nothing but what is held; the client will send it again.
    pub(super) fn expire(&mut self) -> Check {
        let now_ms = self.server.now_ms;
        self.server.now_ms += 25 * 60 * 60 * 1000;
        let (_, wrote) = self.server.expire_holds()?;
        self.server.now_ms = now_ms;
        let about_holding = |key: &Key| matches!(key, Key::Held(_) | Key::Waiter(..) | Key::HoldUsage(_));
        if !wrote.changes.is_empty() || !wrote.rows.iter().all(|(key, _)| about_holding(key)) {
            return Err(format!("expiry wrote {wrote:?}"));
        }
        Ok(())
    }

    /// The server's own work: reminders that are due, releases that were cut off.
    pub(super) fn upkeep(&mut self) -> Check {
        for id in self.server.due_reminders() {
            let (known, vector) = Truth::prefix(&self.server.shelf, self.server.shelf.head_seq());
            let dot = self.next_of_server();
            let (fired, wrote) = self.server.remind(id)?;
            if !fired || wrote.changes.len() != 1 {
                return Err(format!("the reminder of {id} was due and did not fire"));
            }
            let operation = reminder(&wrote.changes[0]);
            let (own_requests, seen_texts) = (BTreeSet::new(), BTreeMap::new());
            self.truth.add(&Rc::new(Made { dot, operation, known, vector, own_requests, seen_texts }));
            self.after(&wrote)?;
        }
        let (_, wrote) = self.server.wake()?;
        self.after(&wrote)
    }
}

/// The operation that the server made of a reminder, as far as it can be told from outside.
fn reminder(change: &Change) -> Operation {
    Operation {
        identity: Identity::Request(change.request_id.clone().unwrap_or_default()),
        knowledge: Knowledge::Latest,
        mutations: change.mutations.clone(),
        depends_on: Vec::new(),
        after_requests: Vec::new(),
        await_records: false,
        correlation_id: change.correlation_id.clone(),
        actor: change.actor.clone(),
        client_time_ms: None,
        malformed: None,
    }
}
