//! A model client: confirmed state, immutable pending operations, and a compact causal context beside the explicit
//! set of everything it knows.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::Check;
use super::fold::{Confirmed, Place, Shown};
use super::server::EPOCH;
use super::truth::{Made, Truth};
use crate::causality::{Author, Counter, Extra, ReplicaNo, Seq};
use crate::change::{Change, EffectKind};
use crate::hash::{CHAIN_START, Hash, chain};
use crate::ids::{Dot, ReplicaId};
use crate::limits::EXTRAS_MAX;
use crate::merge::text::{Hunk, TextOp, Window, apply_hunks, diff};
use crate::operation::{Action, CausalContext, Identity, Knowledge, Mutation, Operation};
use crate::value::Value;

/// Where a client puts its own text edits that are not confirmed: behind everything.
const PENDING_SEQ: Seq = Seq(1_000_000);
/// A replica's number as long as it has none.
const NO_NUMBER: ReplicaNo = ReplicaNo(u32::MAX);

pub(super) struct Client {
    pub replica: ReplicaId,
    counter: Counter,
    pub base_seq: Seq,
    chain: Hash,
    extras: BTreeMap<ReplicaId, Counter>,
    /// For comparison with the context: every operation known, and the same as a vector.
    pub known: BTreeSet<Dot>,
    vector: BTreeMap<ReplicaId, Counter>,
    /// Operations are never edited once they are here.
    pub pending: Vec<Rc<Made>>,
    /// Pending operations that will be rejected, since what they build on was: not shown any more.
    doomed: BTreeSet<Dot>,
    pub confirmed: Confirmed,
    feed: Vec<Arc<Change>>,
    /// Replicas met in the feed, with their numbers and highest counters.
    met: BTreeMap<ReplicaId, (ReplicaNo, Counter)>,
}

impl Client {
    pub(super) fn new(number: u128) -> Client {
        Client {
            replica: ReplicaId::from_u128(number),
            counter: Counter::NONE,
            base_seq: Seq(0),
            chain: CHAIN_START,
            extras: BTreeMap::new(),
            known: BTreeSet::new(),
            vector: BTreeMap::new(),
            pending: Vec::new(),
            doomed: BTreeSet::new(),
            confirmed: Confirmed::default(),
            feed: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    pub(super) fn context(&self) -> CausalContext {
        let extras = self.extras.iter().map(|(&replica, &counter)| Dot { replica, counter }).collect();
        CausalContext { extras, ..CausalContext::at(EPOCH, self.base_seq) }
    }

    /// Writes an operation. Text edits on top of pending ones depend on them: were those rejected, the positions
    /// would mean nothing.
    pub(super) fn write(
        &mut self,
        mutations: Vec<Mutation>,
        depends_on: Vec<Dot>,
    ) -> Result<Rc<Made>, String> {
        let mut seen_texts = BTreeMap::new();
        let mut needed: BTreeSet<Dot> = depends_on.into_iter().collect();
        for place in mutations.iter().filter_map(text_place) {
            needed.extend(self.shown_pending().rev().find(|p| edits(&p.operation, &place)).map(|p| p.dot));
            seen_texts.insert(place.clone(), self.text(&place)?);
        }
        self.counter = self.counter.next();
        let dot = Dot { replica: self.replica, counter: self.counter };
        let operation = Operation {
            identity: Identity::Dot(dot),
            knowledge: Knowledge::Context(self.context()),
            mutations,
            depends_on: needed.into_iter().collect(),
            after_requests: Vec::new(),
            await_records: false,
            correlation_id: format!("{dot}").into(),
            actor: "a model client".into(),
            client_time_ms: None,
            malformed: None,
        };
        Ok(self.keep(dot, operation, seen_texts))
    }

    fn keep(&mut self, dot: Dot, operation: Operation, seen_texts: BTreeMap<Place, String>) -> Rc<Made> {
        let made = Rc::new(Made {
            dot,
            operation,
            known: self.known.clone(),
            vector: self.vector.clone(),
            own_requests: BTreeSet::new(),
            seen_texts,
        });
        self.learn(dot);
        self.pending.push(made.clone());
        made
    }

    fn learn(&mut self, dot: Dot) {
        self.known.insert(dot);
        let counter = self.vector.entry(dot.replica).or_default();
        *counter = dot.counter.max(*counter);
    }

    /// Takes the next changes of the feed: nothing twice, nothing skipped (invariants 3, 4, 42), the same chain as
    /// the server's (7), and nothing before what its author knew (43).
    pub(super) fn receive(&mut self, truth: &Truth, changes: &[Arc<Change>]) -> Check {
        for change in changes {
            if change.seq != self.base_seq + 1 {
                return Err(format!("a client at {} was sent {}", self.base_seq, change.seq));
            }
            self.chain = chain(&self.chain, &change.operation_hash);
            if self.chain != change.chain {
                return Err(format!("the chain broke at {}", change.seq));
            }
            let unheard = |d: &&Dot| !self.known.contains(d) && !truth.rejected.contains(d);
            if let Some(missing) = truth.of(&change.dot)?.known.iter().find(unheard) {
                return Err(format!("{} was delivered before {missing}, which its author knew", change.dot));
            }
            self.confirmed.apply(change)?;
            self.base_seq = change.seq;
            self.learn(change.dot);
            let met = self.met.entry(change.dot.replica).or_insert((change.author.replica_no, Counter::NONE));
            if met.1 >= change.dot.counter {
                return Err(format!("{} was delivered after {}", change.dot, met.1));
            }
            met.1 = change.dot.counter;
            self.pending.retain(|p| p.dot != change.dot);
            self.feed.push(change.clone());
        }
        // What the feed has brought need not be listed.
        let met = &self.met;
        self.extras.retain(|replica, counter| met.get(replica).is_none_or(|(_, seen)| seen < counter));
        self.check_compaction(truth)
    }

    /// The context stands for exactly what the client knows (invariant 18); rejected operations do not count.
    pub(super) fn check_compaction(&self, truth: &Truth) -> Check {
        for dot in truth.made.keys().filter(|dot| !truth.rejected.contains(dot)) {
            let received = self.feed.iter().any(|c| c.dot == *dot);
            if (received || self.represents(dot)) != self.known.contains(dot) {
                return Err(format!(
                    "{dot} is known: {}, in the context: {received}",
                    self.known.contains(dot)
                ));
            }
        }
        Ok(())
    }

    /// Whether the context beyond its base contains a dot.
    fn represents(&self, dot: &Dot) -> bool {
        (dot.replica == self.replica && dot.counter <= self.counter)
            || self.extras.get(&dot.replica).is_some_and(|c| dot.counter <= *c)
    }

    fn contains(&self, dot: &Dot) -> bool {
        self.represents(dot) || self.met.get(&dot.replica).is_some_and(|(_, seen)| dot.counter <= *seen)
    }

    /// Learns of another tab's unsequenced operation: only when everything that one builds on is known. Text edits
    /// are not taken over: their place among others is not known yet, so they cannot be shown.
    pub(super) fn import(&mut self, made: &Made, truth: &Truth) -> Check {
        let Some(base_seq) = made.base_seq() else { return Ok(()) };
        let Knowledge::Context(context) = &made.operation.knowledge else { return Ok(()) };
        let previous = Dot { counter: made.dot.counter.previous(), ..made.dot };
        let full = self.extras.len() == EXTRAS_MAX && !self.extras.contains_key(&made.dot.replica);
        let fits = base_seq <= self.base_seq
            && context.extras.iter().all(|e| self.contains(e))
            && (previous.counter == Counter::NONE || self.contains(&previous))
            && !made.operation.mutations.iter().any(|m| text_place(m).is_some());
        if self.contains(&made.dot) || full || !fits {
            return Ok(());
        }
        self.learn(made.dot);
        self.extras.insert(made.dot.replica, made.dot.counter);
        match made.known.iter().find(|d| !self.known.contains(d) && !truth.rejected.contains(d)) {
            Some(missing) => Err(format!("imported {} without {missing}", made.dot)),
            None => self.check_compaction(truth),
        }
    }

    /// Its own texts show what it just wrote (invariant 41), whatever the others do.
    pub(super) fn check_shows(&self, made: &Made) -> Check {
        for mutation in &made.operation.mutations {
            let Some(place) = text_place(mutation) else { continue };
            let seen = made.seen_texts.get(&place).map_or("", String::as_str);
            let mut wanted = seen.to_owned();
            apply_hunks(&mut wanted, &hunks_of(mutation, seen)).map_err(|e| e.to_string())?;
            let shown = self.text(&place)?;
            if shown != wanted {
                return Err(format!("{} wrote {wanted:?}, and sees {shown:?}", made.dot));
            }
        }
        Ok(())
    }

    /// With nothing pending, what is shown is what is confirmed (invariant 23).
    pub(super) fn check_settled(&self) -> Check {
        for (place, confirmed) in &self.confirmed.fields {
            let Shown::Text(confirmed) = confirmed else { continue };
            let shown = self.text(place)?;
            if shown != *confirmed {
                return Err(format!("{place:?} shows {shown:?}, {confirmed:?} is confirmed"));
            }
        }
        Ok(())
    }

    /// A rejection ends a pending operation.
    pub(super) fn on_rejection(&mut self, dot: Dot) {
        self.pending.retain(|p| p.dot != dot);
        self.doomed.insert(dot);
        for made in &self.pending {
            if made.operation.depends_on.iter().any(|d| self.doomed.contains(d)) {
                self.doomed.insert(made.dot);
            }
        }
    }

    fn shown_pending(&self) -> impl DoubleEndedIterator<Item = &Rc<Made>> {
        self.pending.iter().filter(|p| !self.doomed.contains(&p.dot))
    }

    fn number(&self) -> ReplicaNo {
        self.met.get(&self.replica).map_or(NO_NUMBER, |(no, _)| *no)
    }

    fn author(&self, made: Option<&Made>) -> Author {
        let (counter, context) = match made.map(|m| (m.dot.counter, &m.operation.knowledge)) {
            Some((counter, Knowledge::Context(context))) => (counter, context.clone()),
            _ => (self.counter.next(), self.context()),
        };
        let number = |dot: &Dot| {
            let (replica_no, _) = self.met.get(&dot.replica)?;
            Some(Extra { replica_no: *replica_no, counter: dot.counter })
        };
        Author {
            replica_no: self.number(),
            counter,
            base_seq: context.base_seq,
            extras: context.extras.iter().filter_map(number).collect(),
            own_requests: Vec::new(),
        }
    }

    /// A text as the client shows it: what the feed brought, and its own pending edits on top.
    pub(super) fn text(&self, place: &Place) -> Result<String, String> {
        let failed = |error| format!("the client's own text: {error}");
        let mut window = Window::new("", Seq(0));
        for change in &self.feed {
            if let Some(op) = text_op(change, place) {
                window.replay(&op).map_err(failed)?;
            }
        }
        for (seq, made) in (PENDING_SEQ.0..).map(Seq).zip(self.shown_pending()) {
            let author = self.author(Some(made));
            for mutation in made.operation.mutations.iter().filter(|m| text_place(m).as_ref() == Some(place))
            {
                let seen = made.seen_texts.get(place).map_or("", String::as_str);
                window.integrate(&author, seq, &hunks_of(mutation, seen)).map_err(failed)?;
            }
        }
        Ok(window.view(&self.author(None)))
    }
}

/// What a change did to a text, as the window reads it back.
pub(super) fn text_op(change: &Change, place: &Place) -> Option<TextOp> {
    match &change.effect_on(&place.0, &place.1)?.kind {
        EffectKind::Text { hunks, .. } => {
            Some(TextOp { author: change.author.clone(), seq: change.seq, hunks: hunks.clone() })
        }
        _ => None,
    }
}

/// The text a mutation edits; a creation can begin one.
pub(super) fn text_place(mutation: &Mutation) -> Option<Place> {
    let mutation = mutation.on_record()?;
    let field = match &mutation.action {
        Action::EditText { field, .. } | Action::ReplaceText { field, .. } => field.clone(),
        Action::Create { fields, .. } => fields.iter().find(|(field, _)| &**field == "text")?.0.clone(),
        _ => return None,
    };
    Some((mutation.record.clone(), field))
}

/// What a mutation of a text comes to for somebody who saw it like this.
fn hunks_of(mutation: &Mutation, seen: &str) -> Vec<Hunk> {
    let Some(mutation) = mutation.on_record() else { return Vec::new() };
    match &mutation.action {
        Action::EditText { hunks, .. } => hunks.clone(),
        Action::ReplaceText { text, .. } => diff(seen, text),
        Action::Create { fields, .. } => match fields.iter().find(|(field, _)| &**field == "text") {
            Some((_, Value::String(text))) => diff(seen, text),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn edits(operation: &Operation, place: &Place) -> bool {
    operation.mutations.iter().any(|m| text_place(m).as_ref() == Some(place))
}
