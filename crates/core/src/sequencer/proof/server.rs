//! The sequencer under test, run twice in step: with everything in memory, and over a shelf of written rows that it has
//! to ask for everything. Both must say and write the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Check;
use crate::causality::{Counter, ReplicaNo, Seq};
use crate::change::Change;
use crate::hash::Secret;
use crate::ids::{ConflictId, Dot, Epoch};
use crate::operation::{Operation, Receipt};
use crate::schema::Schema;
use crate::sequencer::{self, Environment, Together};
use crate::state::{
    FieldRow, FieldValue, Key, Missing, Prefix, Row, WorkspaceHead, WorkspaceState, WriteBatch,
};

pub(super) const EPOCH: Epoch = Epoch(7);
/// How many misses are served for one step before it counts as endless.
const NEEDS_MAX: usize = 5_000;

/// What was written so far: a store, as far as the sequencer is concerned.
#[derive(Default)]
pub(super) struct Shelf {
    pub rows: BTreeMap<Key, Arc<Row>>,
    pub changes: Vec<Arc<Change>>,
    settled_as: BTreeMap<(ReplicaNo, Counter), Seq>,
    /// Rows and changes handed out.
    pub reads: u64,
}

impl Shelf {
    pub(super) fn take(&mut self, batch: &WriteBatch) -> Check {
        for (key, row) in &batch.rows {
            match row {
                Some(row) => self.rows.insert(key.clone(), row.clone()),
                None => self.rows.remove(key),
            };
        }
        for change in &batch.changes {
            if change.seq != Seq(self.changes.len() as u64) + 1 {
                return Err(format!("change {} follows {}", change.seq, self.changes.len()));
            }
            self.settled_as.insert((change.author.replica_no, change.author.counter), change.seq);
            self.changes.push(change.clone());
        }
        Ok(())
    }

    /// A text field.
    pub(super) fn text(&self, record: &str, field: &str) -> String {
        match self.rows.get(&Key::Field(record.into(), field.into())).map(|row| &**row) {
            Some(Row::Field(FieldRow { value: FieldValue::Text(text), .. })) => text.clone(),
            _ => String::new(),
        }
    }

    /// Gives a working set what it asks for.
    pub(super) fn serve(&mut self, state: &mut WorkspaceState, need: Missing) -> Check {
        match need {
            Missing::Row(key) => {
                self.reads += 1;
                let row = self.rows.get(&key).map(|row| (**row).clone());
                state.learn_rows([(key, row)]);
            }
            Missing::Rows(keys) => {
                self.reads += keys.len() as u64;
                let rows = keys.into_iter().map(|key| {
                    let row = self.rows.get(&key).map(|row| (**row).clone());
                    (key, row)
                });
                let rows: Vec<_> = rows.collect();
                state.learn_rows(rows);
            }
            Missing::Range(prefix) => {
                let rows: Vec<(Key, Row)> =
                    self.range(&prefix).map(|(k, r)| (k.clone(), r.clone())).collect();
                self.reads += rows.len() as u64;
                state.learn_range(prefix, rows);
            }
            Missing::ChangesUpTo(seq) => self.lend(state, seq)?,
            Missing::ChainAt(seq) => {
                self.reads += 1;
                state.learn_chain(seq, self.change(seq).map(|change| change.chain));
            }
            Missing::ChangeOf(replica_no, counter) => match self.settled_as.get(&(replica_no, counter)) {
                Some(seq) => self.lend(state, *seq)?,
                None => {
                    return Err(format!("asked for {replica_no}:{counter}, which never settled as a change"));
                }
            },
        }
        Ok(())
    }

    fn lend(&mut self, state: &mut WorkspaceState, seq: Seq) -> Check {
        self.reads += 1;
        match self.change(seq) {
            Some(change) => state.learn_changes([change.clone()]),
            None => return Err(format!("asked for change {seq} of {}", self.changes.len())),
        }
        Ok(())
    }

    pub(super) fn range<'s>(&'s self, prefix: &'s Prefix) -> impl Iterator<Item = (&'s Key, &'s Row)> + 's {
        self.rows
            .range(prefix.start()..)
            .take_while(|(key, _)| prefix.contains(key))
            .map(|(key, row)| (key, &**row))
    }

    pub(super) fn change(&self, seq: Seq) -> Option<&Arc<Change>> {
        self.changes.get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }

    pub(super) fn head_seq(&self) -> Seq {
        Seq(self.changes.len() as u64)
    }
}

/// The workspace's secret.
pub(super) const SECRET: Secret = Secret::new([1; 32]);

/// Both servers, with what they wrote and a clock.
pub(super) struct Server {
    resident: WorkspaceState,
    cold: WorkspaceState,
    pub shelf: Shelf,
    cold_shelf: Shelf,
    pub now_ms: i64,
    /// Whether the cold server forgets between steps what it has read.
    pub forgetful: bool,
    dice: StdRng,
}

impl Server {
    pub(super) fn new(schema: Schema, seed: u64) -> Result<Server, String> {
        let mut server = Server {
            resident: WorkspaceState::resident(EPOCH),
            cold: WorkspaceState::new(WorkspaceHead::new(EPOCH)),
            shelf: Shelf::default(),
            cold_shelf: Shelf::default(),
            now_ms: 1_000_000,
            forgetful: true,
            dice: StdRng::seed_from_u64(seed ^ 0x5eed),
        };
        server.step(|state, _| {
            state.put(Key::Schema, Some(Row::Schema(schema.clone())));
            state.put(Key::Secret, Some(Row::Secret(SECRET)));
            Ok(())
        })?;
        Ok(server)
    }

    /// A resident server alone would not notice what is read wrongly from a store: every step runs on both.
    pub(super) fn step<T: PartialEq + Debug>(
        &mut self,
        step: impl Fn(&mut WorkspaceState, Environment) -> Result<T, Missing>,
    ) -> Result<(T, WriteBatch), String> {
        let env = Environment { now_ms: self.now_ms };
        let said =
            step(&mut self.resident, env).map_err(|need| format!("a resident state lacks {need:?}"))?;
        let wrote = self.resident.take_writes();
        let cold_said = self.cold_step(&step, env)?;
        let cold_wrote = self.cold.take_writes();
        if said != cold_said {
            return Err(format!("in memory: {said:?}\nfrom the store: {cold_said:?}"));
        }
        if wrote.rows != cold_wrote.rows || wrote.changes != cold_wrote.changes {
            return Err(format!("in memory: {wrote:?}\nfrom the store: {cold_wrote:?}"));
        }
        if self.resident.head() != self.cold.head() {
            return Err(format!("heads: {:?} and {:?}", self.resident.head(), self.cold.head()));
        }
        self.shelf.take(&wrote)?;
        self.cold_shelf.take(&cold_wrote)?;
        self.forget();
        Ok((said, wrote))
    }

    fn cold_step<T>(
        &mut self,
        step: &impl Fn(&mut WorkspaceState, Environment) -> Result<T, Missing>,
        env: Environment,
    ) -> Result<T, String> {
        let mut last = None;
        for _ in 0..NEEDS_MAX {
            match step(&mut self.cold, env) {
                Ok(said) => return Ok(said),
                Err(need) if last.as_ref() == Some(&need) => return Err(format!("asked twice for {need:?}")),
                Err(need) => {
                    last = Some(need.clone());
                    self.cold_shelf.serve(&mut self.cold, need)?;
                }
            }
        }
        Err("a step never has enough".to_owned())
    }

    /// The cold server forgets: nothing, some, all, or it starts again.
    fn forget(&mut self) {
        match self.dice.random_range(0..10) {
            _ if !self.forgetful => {}
            0..3 => self.cold.trim(0, 0, 0),
            3..5 => self.cold.trim(40, 3, 1),
            5 => self.cold = WorkspaceState::new(*self.cold.head()),
            _ => {}
        }
    }

    pub(super) fn submit(&mut self, operation: &Operation) -> Result<(Receipt, WriteBatch), String> {
        self.step(|state, env| sequencer::submit(state, operation, env))
    }

    pub(super) fn submit_together(
        &mut self,
        operations: &[Operation],
    ) -> Result<(Vec<Receipt>, WriteBatch), String> {
        let begun = RefCell::new(None);
        self.step(|state, env| {
            let mut begun = begun.borrow_mut();
            let call = begun.get_or_insert_with(|| Together::new(state, operations, env));
            let receipts = call.resume(state)?;
            *begun = None;
            Ok(receipts)
        })
    }

    pub(super) fn abandon(&mut self, dot: Dot) -> Result<(Result<Receipt, Counter>, WriteBatch), String> {
        self.step(|state, env| sequencer::abandon(state, dot, env))
    }

    pub(super) fn remind(&mut self, conflict: ConflictId) -> Result<(bool, WriteBatch), String> {
        self.step(|state, env| sequencer::remind(state, conflict, env))
    }

    pub(super) fn wake(&mut self) -> Result<(bool, WriteBatch), String> {
        self.step(sequencer::wake)
    }

    pub(super) fn expire_holds(&mut self) -> Result<(usize, WriteBatch), String> {
        self.step(sequencer::expire_holds)
    }

    pub(super) fn due_reminders(&self) -> Vec<ConflictId> {
        sequencer::due_reminders(&self.resident, self.now_ms)
    }

    pub(super) fn head(&self) -> &WorkspaceHead {
        self.resident.head()
    }
}
