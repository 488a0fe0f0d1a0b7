//! Sending what is queued until all of it has an outcome.

use std::rc::Rc;

use rand::RngExt;

use pb::operation_service_client::OperationServiceClient;
use pb::receipt::Outcome as Told;

use super::{Client, IDLE, Link, WORKSPACE, within};
use crate::ambient;
use crate::record::Outcome;
use syncline_core::causality::Counter;
use syncline_core::history::SubmissionId;
use syncline_core::ids::Dot;
use syncline_protocol::convert::answer_from_pb;
use syncline_protocol::pb;

/// Operations in a call.
const CALL_OPERATIONS_MAX: usize = 8;
/// Settled operations that a client remembers for sending them again.
const DONE_MAX: usize = 12;

impl Client {
    /// Sends, until the simulation is over.
    pub(super) async fn send(self: Rc<Client>) {
        let mut link = self.link();
        loop {
            let lost = self.state.borrow().queue.front().is_some_and(|first| first.operation.is_none());
            if lost && self.chance(0.7) {
                self.abandon(&mut link).await;
                continue;
            }
            let batch = self.batch();
            if batch.is_empty() {
                tokio::time::sleep(IDLE).await;
                continue;
            }
            self.submit(&mut link, batch).await;
            if self.chance(0.1) {
                link = self.link();
            }
        }
    }

    /// What goes out now: mostly all that waits in its order, sometimes only a part from the middle, sometimes
    /// something that has an outcome already.
    fn batch(&self) -> Vec<pb::Operation> {
        let state = self.state.borrow();
        let from = if self.chance(0.15) && !state.queue.is_empty() {
            self.roll(|dice| dice.random_range(0..state.queue.len()))
        } else {
            0
        };
        let waiting = state.queue.iter().skip(from).filter_map(|queued| queued.operation.clone());
        let mut batch: Vec<_> = waiting.take(CALL_OPERATIONS_MAX).collect();
        if !state.done.is_empty() && self.chance(0.06) {
            let again = self.roll(|dice| dice.random_range(0..state.done.len()));
            batch.push(state.done[again].clone());
        }
        batch
    }

    async fn submit(&self, link: &mut Link, operations: Vec<pb::Operation>) {
        let counters: Vec<u64> = operations.iter().map(counter_of).collect();
        self.note(format_args!("submits {counters:?} to server {}", link.server));
        let sent: Vec<SubmissionId> = counters.iter().map(|counter| self.sends(*counter)).collect();
        let request = pb::SubmitRequest {
            workspace_id: WORKSPACE.to_owned(),
            operations: operations.clone(),
            ..Default::default()
        };
        let mut client = OperationServiceClient::new(link.channel.clone());
        match within(client.submit(request)).await {
            Ok(response) => {
                let response = response.into_inner();
                if response.receipts.len() != operations.len() {
                    self.wrong(format!("{} receipts for {}", response.receipts.len(), operations.len()));
                }
                for ((operation, sent), receipt) in operations.into_iter().zip(sent).zip(&response.receipts) {
                    self.hears(sent, receipt);
                    self.take_receipt(operation, receipt, response.head_seq);
                }
                let held = response.receipts.iter().any(|r| matches!(r.outcome, Some(Told::Held(_))));
                if held {
                    self.pause(10..60).await;
                }
            }
            Err(status) => self.trouble("Submit", link, &status).await,
        }
    }

    fn sends(&self, counter: u64) -> SubmissionId {
        let dot = Dot { replica: self.replica(), counter: Counter(counter) };
        self.story.borrow_mut().sent(dot, ambient::elapsed_ms())
    }

    fn hears(&self, sent: SubmissionId, receipt: &pb::Receipt) {
        match answer_from_pb(receipt) {
            Ok((_, answer)) => self.story.borrow_mut().answered(sent, ambient::elapsed_ms(), answer),
            Err(unreadable) => self.wrong(unreadable.to_string()),
        }
    }

    fn take_receipt(&self, operation: pb::Operation, receipt: &pb::Receipt, head_seq: u64) {
        let counter = counter_of(&operation);
        let dot = receipt.dot.clone().unwrap_or_default();
        if (dot.replica_id.as_str(), dot.counter) != (self.replica_id.as_str(), counter) {
            return self.wrong(format!("{counter} was answered as {dot:?}"));
        }
        let told = match &receipt.outcome {
            Some(Told::Duplicate(duplicate)) => duplicate.stored.as_ref().and_then(|s| s.outcome.clone()),
            outcome => outcome.clone(),
        };
        let outcome = match told {
            Some(Told::Applied(applied)) => Outcome::Settled { seq: applied.seq },
            Some(Told::Merged(merged)) => Outcome::Settled { seq: merged.seq },
            Some(Told::Conflicted(conflicted)) => Outcome::Settled { seq: conflicted.seq },
            Some(Told::Rejected(rejected)) => {
                Outcome::Rejected { reason: rejected.reason().as_str_name().to_owned() }
            }
            Some(Told::Held(_)) => return self.note(format_args!("{counter} is held")),
            other => return self.wrong(format!("{counter} was answered with {other:?}")),
        };
        if let Outcome::Settled { seq } = outcome {
            if seq > head_seq {
                self.wrong(format!("{counter} settled at {seq}, beyond the head {head_seq}"));
            }
            let mut state = self.state.borrow_mut();
            state.acknowledged = state.acknowledged.max(seq);
        }
        self.settled(counter, outcome);
        let mut state = self.state.borrow_mut();
        if state.done.len() < DONE_MAX {
            state.done.push(operation);
        } else {
            let place = (counter as usize) % DONE_MAX;
            state.done[place] = operation;
        }
    }

    fn settled(&self, counter: u64, outcome: Outcome) {
        self.note(format_args!("{counter} is {outcome:?}"));
        self.record(|record| {
            record.count(if matches!(outcome, Outcome::Settled { .. }) { "settled" } else { "rejected" })
        });
        self.state.borrow_mut().queue.retain(|queued| queued.counter != counter);
        self.judge(self.record(|record| record.answered(self.dot(counter), outcome)));
    }

    async fn abandon(&self, link: &mut Link) {
        let Some(counter) = self.state.borrow().queue.front().map(|first| first.counter) else { return };
        let dot = pb::Dot { replica_id: self.replica_id.clone(), counter };
        let request = pb::AbandonCounterRequest { workspace_id: WORKSPACE.to_owned(), dot: Some(dot) };
        let sent = self.sends(counter);
        let mut client = OperationServiceClient::new(link.channel.clone());
        match within(client.abandon_counter(request)).await {
            Ok(response) => {
                let receipt = response.into_inner().receipt.unwrap_or_default();
                self.hears(sent, &receipt);
                let told = match receipt.outcome {
                    Some(Told::Duplicate(duplicate)) => duplicate.stored.and_then(|s| s.outcome),
                    outcome => outcome,
                };
                match told {
                    Some(Told::Rejected(rejected)) => {
                        let reason = rejected.reason().as_str_name().to_owned();
                        self.settled(counter, Outcome::Rejected { reason });
                    }
                    other => self.wrong(format!("the abandoned {counter} was answered with {other:?}")),
                }
            }
            Err(status) => self.trouble("AbandonCounter", link, &status).await,
        }
    }
}

fn counter_of(operation: &pb::Operation) -> u64 {
    match &operation.identity {
        Some(pb::operation::Identity::Dot(dot)) => dot.counter,
        _ => 0,
    }
}
