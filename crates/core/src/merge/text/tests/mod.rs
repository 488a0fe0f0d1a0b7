//! The text rules against a per-character reference model and against their promises.
//!
//! Histories are random and seeded. `SYNCLINE_MODEL_RUNS` sets the number of seeds, `SYNCLINE_MODEL_SEED`
//! runs one seed alone.

mod oracle;
mod promises;
mod reference;
mod seeded_faults;
mod session;
mod units;
mod vectors;

use super::{Hunk, Integrated, SettledHunk, Splice, TextError, TextOp, Window};
use crate::causality::{Author, Counter, ReplicaNo, Seq};
use std::ops::Range;

/// A character with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Character {
    pub(super) ch: char,
    pub(super) inserted_by: Option<Seq>,
    pub(super) suppressed_by: Option<Seq>,
    pub(super) deletions: Vec<(Seq, Option<Seq>)>,
    pub(super) in_trunk: bool,
}

/// What was decided on an operation, in a form both implementations give.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decision {
    suppressed_by: Vec<Option<Seq>>,
    partners: Vec<(usize, Vec<Seq>)>,
    /// Only the window computes an effect.
    splices: Option<Vec<Splice>>,
    /// For each clash, where it stands, and what the author sees there after its operation. Only the window computes it.
    regions: Option<Vec<(Range<u32>, String)>>,
}

/// What the promises are checked on: the window, and the reference model to check the checks.
trait Engine: Sized {
    fn open(text_at_base: &str, base_seq: Seq) -> Self;
    fn decide(&mut self, author: &Author, seq: Seq, hunks: &[Hunk]) -> Result<Decision, TextError>;
    fn repeat(&mut self, op: &TextOp) -> Result<(), TextError>;
    fn seen_by(&self, author: &Author) -> String;
    fn trunk(&self) -> String;
    fn all_characters(&self) -> Vec<Character>;
}

impl Engine for Window {
    fn open(text_at_base: &str, base_seq: Seq) -> Self {
        Window::new(text_at_base, base_seq)
    }

    fn decide(&mut self, author: &Author, seq: Seq, hunks: &[Hunk]) -> Result<Decision, TextError> {
        let integrated = self.integrate(author, seq, hunks)?;
        let regions = integrated.clashes.iter().map(|c| {
            let version = self.version(&author.after(), c.region.clone());
            (c.region.clone(), version)
        });
        let regions = regions.collect();
        Ok(Decision { regions: Some(regions), ..Decision::from(integrated) })
    }

    fn repeat(&mut self, op: &TextOp) -> Result<(), TextError> {
        self.replay(op)
    }

    fn seen_by(&self, author: &Author) -> String {
        self.view(author)
    }

    fn trunk(&self) -> String {
        self.text()
    }

    fn all_characters(&self) -> Vec<Character> {
        self.characters()
    }
}

impl From<Integrated> for Decision {
    fn from(integrated: Integrated) -> Self {
        let clashes = integrated.clashes.iter();
        Self {
            suppressed_by: integrated.hunks.iter().map(|h| h.suppressed_by).collect(),
            partners: clashes.map(|c| (c.hunk_index, c.partners.clone())).collect(),
            splices: Some(integrated.splices),
            regions: None,
        }
    }
}

fn hunk(pos: u32, del: u32, ins: &str) -> Hunk {
    Hunk { pos, del, ins: ins.to_owned() }
}

fn author(replica_no: u32, counter: u64, base_seq: Seq) -> Author {
    Author {
        replica_no: ReplicaNo(replica_no),
        counter: Counter(counter),
        base_seq,
        extras: Vec::new(),
        own_requests: Vec::new(),
    }
}

fn settled(hunks: &[Hunk], suppressed_by: &[Option<Seq>]) -> Vec<SettledHunk> {
    hunks
        .iter()
        .cloned()
        .zip(suppressed_by.iter().copied())
        .map(|(hunk, suppressed_by)| SettledHunk { hunk, suppressed_by })
        .collect()
}

/// Number of seeds: `weight` times the unit, which the environment may set.
fn run_count(weight: u64) -> u64 {
    let unit = std::env::var("SYNCLINE_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(100);
    unit * weight
}

/// Runs a check over seeds and reports the first that fails, with the command that repeats it.
fn for_seeds(test: &str, weight: u64, check: impl Fn(u64) -> Result<(), String>) {
    let only: Option<u64> = std::env::var("SYNCLINE_MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..run_count(weight), |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(problem) = check(seed) {
            panic!(
                "seed {seed}: {problem}\nrepeat: SYNCLINE_MODEL_SEED={seed} cargo test -p syncline-core {test}"
            );
        }
    }
}
