//! Callers without a replica that write several times on one reading, and name what they wrote before.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::RngExt;

use super::Check;
use super::client::Client;
use super::network::World;
use super::script::Script;
use super::server::EPOCH;
use super::truth::{Made, Truth};
use crate::ids::Dot;
use crate::operation::{CausalContext, Identity, Knowledge, Operation};

/// Jobs at work at a time.
const JOBS_MAX: usize = 3;
/// Jobs are no replicas; the model client behind each needs an id all the same.
const FIRST_JOB: u128 = 1_000_000;

/// A job: what it read, with what it wrote since on top. The server never hears of the client.
pub(super) struct Job {
    client: Client,
    /// Its accepted operations, in order.
    accepted: Vec<(Arc<str>, Dot)>,
}

impl World {
    /// A job writes once more, or a new one reads and writes.
    pub(super) fn job_writes(&mut self) -> Check {
        let mut job = match self.jobs.pop() {
            Some(job) if self.dice.random_bool(0.8) => job,
            _ => self.job_reads()?,
        };
        let mut script = Script {
            client: &job.client,
            theme: self.theme,
            dice: &mut self.dice,
            fresh: &mut self.fresh,
            now_ms: self.server.now_ms,
        };
        let mutations = script.operation()?;
        let written = job.client.write(mutations, Vec::new())?;
        job.client.check_shows(&written)?;
        // Whoever names its last operation names those that this one named.
        let from = if self.dice.random_bool(0.5) { job.accepted.len().saturating_sub(1) } else { 0 };
        self.requests += 1;
        let id: Arc<str> = format!("job-{}", self.requests).into();
        let base_seq = job.client.base_seq;
        let operation = Operation {
            identity: Identity::Request(id.clone()),
            knowledge: Knowledge::Context(CausalContext::at(EPOCH, base_seq)),
            depends_on: Vec::new(),
            after_requests: job.accepted[from..].iter().map(|(id, _)| id.clone()).collect(),
            ..written.operation.clone()
        };
        let own_requests: BTreeSet<Dot> = job.accepted.iter().map(|(_, dot)| *dot).collect();
        let (mut known, vector) = Truth::prefix(&self.server.shelf, base_seq);
        known.extend(&own_requests);
        let dot = self.next_of_server();
        let seen_texts = written.seen_texts.clone();
        if self.submit_request(Made { dot, operation, known, vector, own_requests, seen_texts })? {
            job.accepted.push((id, dot));
            self.jobs.push(job);
            // Another job has its turn.
            self.jobs.rotate_left(1);
            self.jobs.truncate(JOBS_MAX);
        }
        Ok(())
    }

    fn job_reads(&mut self) -> Result<Job, String> {
        let mut client = Client::new(FIRST_JOB + u128::from(self.requests));
        let upto = self.dice.random_range(1..=self.server.shelf.changes.len());
        client.receive(&self.truth, &self.server.shelf.changes[..upto])?;
        Ok(Job { client, accepted: Vec::new() })
    }
}
