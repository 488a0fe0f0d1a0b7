//! Writing: a client makes up operations from what it sees.

use std::collections::BTreeMap;
use std::rc::Rc;

use rand::RngExt;

use pb::record_mutation::Action;

use syncline_client::FoldedField;

use super::{Client, Queued, replica_id};
use crate::ambient::{self, BEGINNING_MS};
use crate::record::{Dot, Sent};
use syncline_core::causality::Counter;
use syncline_core::history::Made;
use syncline_protocol::convert::record_operation;
use syncline_protocol::pb;

/// Records that everybody writes to.
pub(super) const RECORDS: [&str; 4] = ["r1", "r2", "r3", "p1"];
const CARDS: [&str; 3] = ["r1", "r2", "r3"];
/// Operations of others that a client may know before it saw them in the feed.
const EXTRAS_MAX: usize = 8;

/// Cards with a field of every kind, and people they can be linked to.
pub(super) fn schema() -> pb::Schema {
    use pb::FieldKind::{Counter, Register, Set, Text, ToMany, ToOne};
    let collection = |fields: &[(&str, pb::FieldKind)]| pb::CollectionSchema {
        fields: fields.iter().map(|(id, kind)| ((*id).to_owned(), field(*kind))).collect(),
    };
    let cards = collection(&[
        ("title", Register),
        ("notes", Text),
        ("votes", Counter),
        ("tags", Set),
        ("owner", ToOne),
        ("blocks", ToMany),
    ]);
    let people = collection(&[("name", Register)]);
    pb::Schema {
        strict: Some(true),
        collections: [("cards".to_owned(), cards), ("people".to_owned(), people)].into(),
    }
}

fn field(kind: pb::FieldKind) -> pb::FieldSchema {
    pb::FieldSchema {
        kind: kind.into(),
        provisional: pb::ProvisionalRule::Incumbent.into(),
        on_clash: pb::ClashRule::Open.into(),
        on_dominate: pb::DominateRule::Keep.into(),
    }
}

/// What goes into an operation, and what is to be remembered of it.
#[derive(Default)]
struct Draft {
    mutations: Vec<pb::Mutation>,
    depends_on: Vec<pb::Dot>,
    sent: Sent,
}

impl Client {
    /// Writes while there is work.
    pub(super) async fn write(self: Rc<Client>) {
        while self.working() {
            self.pause(1..self.habits().pause_ms + 2).await;
            if self.chance(0.1) {
                self.hear_of_a_peer();
            }
            if self.chance(0.03) {
                self.lose_a_counter();
            } else if self.working() {
                self.make();
            }
        }
        self.note(format_args!("has written {} operations", self.state.borrow().counter));
    }

    /// The next operation: made, and never changed again.
    fn make(&self) {
        let counter = self.state.borrow().counter + 1;
        let draft = self.draft(counter);
        let (context, extras) = {
            let mut state = self.state.borrow_mut();
            state.counter = counter;
            let dot = |(replica, counter): (&usize, &u64)| pb::Dot {
                replica_id: replica_id(*replica),
                counter: *counter,
            };
            let extras = state.extras.clone();
            let context = pb::CausalContext {
                epoch: state.epoch,
                base_seq: state.position,
                extras: extras.iter().map(dot).collect(),
                base_chain: state.chain.map(|chain| chain.to_vec()).unwrap_or_default().into(),
            };
            (context, extras)
        };
        let base_seq = context.base_seq;
        let operation = pb::Operation {
            identity: Some(pb::operation::Identity::Dot(pb::Dot {
                replica_id: self.replica_id.clone(),
                counter,
            })),
            knowledge: Some(pb::operation::Knowledge::Context(context)),
            mutations: draft.mutations,
            depends_on: draft.depends_on,
            actor: self.name.clone(),
            ..Default::default()
        };
        let kinds: Vec<&str> = operation.mutations.iter().map(name_of).collect();
        self.note(format_args!("makes {counter} at {base_seq} with {extras:?}: {kinds:?}"));
        let made = record_operation(&mut self.story.borrow_mut(), &operation, None);
        self.judge(made.map(drop).map_err(|unreadable| unreadable.to_string()));
        self.record(|record| {
            record.count("made");
            record.sent.insert(self.dot(counter), draft.sent);
        });
        let queued = Queued { counter, operation: Some(operation), base_seq, extras };
        self.state.borrow_mut().queue.push_back(queued);
    }

    /// The client's disk lost an operation it had numbered: later ones are held until the counter is given up.
    fn lose_a_counter(&self) {
        let mut state = self.state.borrow_mut();
        state.counter += 1;
        let (counter, base_seq, extras) = (state.counter, state.position, state.extras.clone());
        state.queue.push_back(Queued { counter, operation: None, base_seq, extras });
        drop(state);
        self.note(format_args!("loses {counter}"));
        let dot = syncline_core::ids::Dot { replica: self.replica(), counter: Counter(counter) };
        let made = Made { dot, context: None, extras: &[], depends_on: &[], content_hash: None };
        self.story.borrow_mut().made(&made);
        let lost = Sent { lost: true, ..Sent::default() };
        self.record(|record| record.sent.insert(self.dot(counter), lost));
    }

    /// Learns of operations of another client before their order is known, as tabs of one browser do. Only what
    /// builds on nothing unknown can be taken over.
    fn hear_of_a_peer(&self) {
        let peers = self.world.clients.borrow();
        let peer = &peers[self.roll(|dice| dice.random_range(0..peers.len()))];
        if peer.number == self.number {
            return;
        }
        let theirs = peer.state.borrow();
        let mut state = self.state.borrow_mut();
        let known = |queued: &&Queued| {
            let knows = |(replica, counter): (&usize, &u64)| {
                *replica == self.number || state.extras.get(replica).is_some_and(|known| known >= counter)
            };
            queued.operation.is_some() && queued.base_seq <= state.position && queued.extras.iter().all(knows)
        };
        let Some(last) = theirs.queue.iter().take_while(known).last() else { return };
        if state.extras.len() < EXTRAS_MAX && state.extras.get(&peer.number).is_none_or(|c| *c < last.counter)
        {
            state.extras.insert(peer.number, last.counter);
            drop(state);
            self.note(format_args!("hears of {:?}", (peer.number, last.counter)));
        }
    }

    fn draft(&self, counter: u64) -> Draft {
        let mut draft = Draft::default();
        let record = self.roll(|dice| CARDS[dice.random_range(0..CARDS.len())]);
        let state = self.state.borrow();
        let creates = |mutation: &pb::Mutation| {
            name_of(mutation) == "create" && on_record(mutation).is_some_and(|m| m.record_id == record)
        };
        let pending = state.queue.iter().filter_map(|queued| queued.operation.as_ref());
        let exists = state.fold.records.contains_key(record)
            || pending.flat_map(|operation| &operation.mutations).any(creates);
        drop(state);
        if !exists {
            draft.mutations.push(on(record, Action::CreateRecord(pb::CreateRecord::default())));
            return draft;
        }
        for part in 0..self.roll(|dice| dice.random_range(1..=2)) {
            self.mutate(&mut draft, record, &format!("c{}.{counter}.{part}", self.number));
            if draft.mutations.iter().any(|mutation| name_of(mutation) == "defer") {
                // A deferral comes last, so that its operation does not change the conflict that it defers.
                break;
            }
        }
        if self.chance(0.08) {
            self.depend(&mut draft);
        }
        draft
    }

    fn mutate(&self, draft: &mut Draft, record: &str, piece: &str) {
        let (id, text) = (record.to_owned(), |text: &str| text.to_owned());
        let action = match self.roll(|dice| dice.random_range(0..40)) {
            0..8 => Action::SetField(pb::SetField { field_id: text("title"), value: Some(string(piece)) }),
            8..16 => {
                let by = self.roll(|dice| dice.random_range(1..=9));
                draft.sent.increments.push((id, by));
                Action::IncrementCounter(pb::IncrementCounter { field_id: text("votes"), by })
            }
            16..20 => {
                draft.sent.elements.push((id, text(piece)));
                Action::AddElements(pb::AddElements { field_id: text("tags"), elements: vec![string(piece)] })
            }
            20..22 => match self.some_tag(record) {
                Some(value) => {
                    draft.sent.removes.push((id, tag_name(&value)));
                    Action::RemoveElements(pb::RemoveElements {
                        field_id: text("tags"),
                        elements: vec![value],
                    })
                }
                None => return self.mutate(draft, record, piece),
            },
            22..26 if !draft.mutations.iter().any(|m| name_of(m) == "edit") => {
                let insert = format!("<{piece}>");
                draft.sent.pieces.push((id, insert.clone()));
                let hunks = vec![pb::TextHunk { position: 0, delete_count: 0, insert }];
                Action::EditText(pb::EditText { field_id: text("notes"), hunks })
            }
            26..28 => Action::LinkRecord(pb::LinkRecord {
                field_id: text("blocks"),
                target_record_id: self.a_card(),
            }),
            28 => {
                let target_record_id = Some(self.a_card());
                Action::UnlinkRecord(pb::UnlinkRecord { field_id: text("blocks"), target_record_id })
            }
            29 => Action::LinkRecord(pb::LinkRecord {
                field_id: text("owner"),
                target_record_id: self.a_card(),
            }),
            30..32 if draft.mutations.is_empty() => {
                match self.state.borrow().fold.records.get(record).is_some_and(|card| card.deleted) {
                    true => Action::RestoreRecord(pb::RestoreRecord {}),
                    false => Action::DeleteRecord(pb::DeleteRecord {}),
                }
            }
            32..38 => return self.on_a_conflict(draft, piece),
            38 if draft.mutations.is_empty() => {
                draft.sent.invalid = true;
                Action::IncrementCounter(pb::IncrementCounter { field_id: text("title"), by: 1 })
            }
            39 if draft.mutations.is_empty() => {
                let create = Action::CreateRecord(pb::CreateRecord::default());
                let person = pb::RecordMutation { collection_id: text("people"), ..on_card("p1", create) };
                return draft.mutations.push(person.into());
            }
            _ => Action::SetField(pb::SetField { field_id: text("title"), value: Some(string(piece)) }),
        };
        draft.mutations.push(on(record, action));
    }

    /// Puts a live conflict aside for a moment, or decides it.
    fn on_a_conflict(&self, draft: &mut Draft, piece: &str) {
        let state = self.state.borrow();
        let live: Vec<_> = state.fold.live_conflicts().into_iter().collect();
        if live.is_empty() || !draft.mutations.is_empty() {
            drop(state);
            return self.mutate(draft, CARDS[0], piece);
        }
        let conflict = &state.fold.conflicts[live[self.roll(|dice| dice.random_range(0..live.len()))]];
        if self.chance(0.7) {
            let at_ms = BEGINNING_MS
                + (ambient::elapsed_ms() + self.roll(|dice| dice.random_range(100..2_500))) as i64;
            let remind_time = prost_types::Timestamp {
                seconds: at_ms.div_euclid(1_000),
                nanos: (at_ms.rem_euclid(1_000) * 1_000_000) as i32,
            };
            let defer = pb::DeferConflict { revision: conflict.revision, remind_time: Some(remind_time) };
            let mutation = pb::ConflictMutation {
                conflict_id: conflict.conflict_id.clone(),
                action: Some(pb::conflict_mutation::Action::Defer(defer)),
            };
            draft.mutations.push(mutation.into());
        } else if conflict.kind() == pb::ConflictKind::Register && conflict.field_ids == ["title"] {
            let action =
                Action::SetField(pb::SetField { field_id: "title".to_owned(), value: Some(string(piece)) });
            let resolves_conflict_id = Some(conflict.conflict_id.clone());
            let decision =
                pb::RecordMutation { resolves_conflict_id, ..on_card(&conflict.record_id, action) };
            draft.mutations.push(decision.into());
        } else {
            drop(state);
            self.mutate(draft, CARDS[1], piece);
        }
    }

    /// Needs something that the client heard of, or an earlier operation of its own.
    fn depend(&self, draft: &mut Draft) {
        let state = self.state.borrow();
        let own = state.queue.iter().find(|q| q.operation.is_some()).map(|q| self.dot(q.counter));
        let heard = state.extras.iter().next().map(|(replica, counter)| (*replica, *counter));
        let Some(dot): Option<Dot> = heard.or(own) else { return };
        draft.depends_on.push(pb::Dot { replica_id: replica_id(dot.0), counter: dot.1 });
    }

    fn a_card(&self) -> String {
        self.roll(|dice| CARDS[dice.random_range(0..CARDS.len())]).to_owned()
    }

    fn some_tag(&self, record: &str) -> Option<pb::Value> {
        let state = self.state.borrow();
        let Some(FoldedField::Set(elements)) = state.fold.records.get(record)?.fields.get("tags") else {
            return None;
        };
        let elements: BTreeMap<_, _> = elements.iter().collect();
        let at = self.roll(|dice| dice.random_range(0..elements.len().max(1)));
        elements.into_values().nth(at).cloned()
    }
}

fn tag_name(value: &pb::Value) -> String {
    match &value.kind {
        Some(pb::value::Kind::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    }
}

pub(super) fn on(record_id: &str, action: Action) -> pb::Mutation {
    on_card(record_id, action).into()
}

fn on_card(record_id: &str, action: Action) -> pb::RecordMutation {
    let (collection_id, record_id) = ("cards".to_owned(), record_id.to_owned());
    pb::RecordMutation { collection_id, record_id, action: Some(action), ..Default::default() }
}

fn on_record(mutation: &pb::Mutation) -> Option<&pb::RecordMutation> {
    match &mutation.mutation {
        Some(pb::mutation::Mutation::Record(mutation)) => Some(mutation),
        _ => None,
    }
}

/// The mutation in a word.
fn name_of(mutation: &pb::Mutation) -> &'static str {
    let Some(mutation) = on_record(mutation) else { return "defer" };
    match &mutation.action {
        Some(Action::CreateRecord(_)) => "create",
        Some(Action::DeleteRecord(_)) => "delete",
        Some(Action::RestoreRecord(_)) => "restore",
        Some(Action::SetField(_)) => "set",
        Some(Action::EditText(_)) => "edit",
        Some(Action::IncrementCounter(_)) => "increment",
        Some(Action::AddElements(_)) => "add",
        Some(Action::RemoveElements(_)) => "remove",
        Some(Action::LinkRecord(_)) => "link",
        Some(Action::UnlinkRecord(_)) => "unlink",
        _ => "other",
    }
}

/// A text as a value.
pub(crate) fn string(text: &str) -> pb::Value {
    pb::Value { kind: Some(pb::value::Kind::StringValue(text.to_owned())) }
}
