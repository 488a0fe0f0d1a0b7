//! Reading a recorded session: gzipped JSON of transactions with their causes.

use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::compose::{Patch, compose};
use crate::BenchError;
use syncline_core::merge::text::Hunk;

/// Size of a trace, unpacked.
const TRACE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    end_content: String,
    num_agents: usize,
    txns: Vec<Transaction>,
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Transaction {
    parents: Vec<usize>,
    agent: usize,
    patches: Vec<(u32, u32, String)>,
}

/// A recorded session.
pub(super) struct Trace {
    pub authors: usize,
    pub final_text: String,
    pub transactions: Vec<Recorded>,
}

/// A recorded transaction.
pub(super) struct Recorded {
    pub author: usize,
    pub hunks: Vec<Hunk>,
    /// Per author, how many of its transactions were known when this one was made.
    pub known: Vec<u64>,
}

impl Trace {
    /// Reads a trace and works out what every author knew at every step.
    pub(super) fn read(path: &Path) -> Result<Trace, BenchError> {
        let failed = |detail: String| BenchError::Trace { path: path.display().to_string(), detail };
        let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .take(TRACE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| failed(format!("not a gzipped text: {error}")))?;
        let file: File = serde_json::from_str(&text)
            .map_err(|error| failed(format!("not a trace of a session: {error}")))?;
        if !file.kind.is_empty() && file.kind != "concurrent" {
            return Err(failed(format!(
                "a trace of kind {:?}; only \"concurrent\" ones can be replayed",
                file.kind
            )));
        }
        Trace::from_file(file).map_err(failed)
    }

    fn from_file(file: File) -> Result<Trace, String> {
        let mut transactions: Vec<Recorded> = Vec::with_capacity(file.txns.len());
        let mut known_after: Vec<Vec<u64>> = Vec::with_capacity(file.txns.len());
        let mut own = vec![0u64; file.num_agents];
        for (index, transaction) in file.txns.into_iter().enumerate() {
            let Transaction { parents, agent, patches } = transaction;
            let mut known = vec![0u64; file.num_agents];
            for parent in parents {
                let of_parent: &Vec<u64> = known_after
                    .get(parent)
                    .ok_or_else(|| format!("transaction {index} names a parent that comes later"))?;
                known.iter_mut().zip(of_parent).for_each(|(k, p)| *k = (*k).max(*p));
            }
            let count =
                own.get_mut(agent).ok_or_else(|| format!("transaction {index} has an unknown author"))?;
            if known[agent] != *count {
                return Err(format!(
                    "the author of transaction {index} does not know all its own earlier ones"
                ));
            }
            *count += 1;
            let mut after = known.clone();
            after[agent] += 1;
            known_after.push(after);
            let patches = patches.into_iter().map(|(position, deleted, inserted)| Patch {
                position,
                deleted,
                inserted,
            });
            transactions.push(Recorded { author: agent, hunks: compose(patches), known });
        }
        Ok(Trace { authors: file.num_agents, final_text: file.end_content, transactions })
    }

    /// The transactions in runs of `size`.
    pub(super) fn windows(&self, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.transactions.len();
        (0..count).step_by(size).map(move |start| start..(start + size).min(count))
    }
}
