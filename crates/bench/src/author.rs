//! An author under load: a replica that writes to records of its own and writes down what it is told.

use syncline_core::causality::{Counter, Seq};
use syncline_core::ids::ReplicaId;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::load::{Caller, Due};
use crate::scratch::fresh_id;
use crate::workspace::{Workspace, record_id, set, text};
use syncline_client::Replica;
use syncline_core::history::{Outcome, Recorder};
use syncline_protocol::convert::{answer_from_pb, record_operation};
use syncline_protocol::pb;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;

/// How an author writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habit {
    /// Its records: `records` ones from this number on, taken in turn.
    pub first_record: u64,
    pub records: u64,
    pub value_bytes: u32,
    pub operations_per_call: u32,
    /// The run's clock starts here; correlation ids tell when an operation was due, in nanoseconds.
    pub clock: Instant,
}

/// A replica that writes.
pub(super) struct Author {
    service: OperationServiceClient<Channel>,
    workspace: Workspace,
    habit: Habit,
    replica: Replica,
    value: String,
    next_record: u64,
    /// A call whose outcome is unknown: it is made again before any other.
    unknown: Option<pb::SubmitRequest>,
    recorder: Recorder,
}

impl Author {
    pub(super) fn new(channel: Channel, workspace: &Workspace, habit: Habit) -> Author {
        Author {
            service: OperationServiceClient::new(channel),
            workspace: workspace.clone(),
            habit,
            replica: Replica::new(ReplicaId(fresh_id()), workspace.epoch, Seq(workspace.head_seq)),
            value: text(habit.value_bytes),
            next_record: 0,
            unknown: None,
            recorder: Recorder::default(),
        }
    }

    /// Which workspace it writes to.
    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// What it wrote down.
    pub(super) fn into_recorder(self) -> Recorder {
        self.recorder
    }

    /// From now on its calls carry this many operations.
    pub(super) fn operations_per_call(&mut self, count: u32) {
        self.habit.operations_per_call = count;
    }

    /// The position up to which it knows everything.
    pub(super) fn base_seq(&self) -> u64 {
        self.replica.base_seq().0
    }

    /// The next call.
    fn request(&mut self, due_ns: u64) -> Result<pb::SubmitRequest, String> {
        let mut operations = Vec::with_capacity(self.habit.operations_per_call as usize);
        for _ in 0..self.habit.operations_per_call {
            let record = record_id(self.habit.first_record + self.next_record);
            self.next_record = (self.next_record + 1) % self.habit.records.max(1);
            let mutations = vec![set(&record, &self.value)];
            let mut made = self.replica.operation(mutations);
            made.correlation_id = due_ns.to_string();
            record_operation(&mut self.recorder, &made, None).map_err(|error| error.to_string())?;
            operations.push(made);
        }
        Ok(pb::SubmitRequest { workspace_id: self.workspace.id.clone(), operations, ..Default::default() })
    }

    fn now_ns(&self) -> u64 {
        nanoseconds(self.habit.clock, Instant::now())
    }
}

/// Nanoseconds of the run's clock.
pub(super) fn nanoseconds(clock: Instant, at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(clock).as_nanos()).unwrap_or(u64::MAX)
}

impl Caller for Author {
    async fn call(&mut self, due: Due) -> Result<u64, String> {
        let request = match self.unknown.take() {
            Some(request) => request,
            None => self.request(nanoseconds(self.habit.clock, due.at))?,
        };
        let sent_at = self.now_ns();
        let replica = self.replica.id();
        let counters = request.operations.iter().filter_map(|o| match &o.identity {
            Some(pb::operation::Identity::Dot(dot)) => Some(dot.counter),
            _ => None,
        });
        let sent: Vec<_> = counters
            .map(|counter| {
                self.recorder.sent(syncline_core::ids::Dot { replica, counter: Counter(counter) }, sent_at)
            })
            .collect();
        // Kept only until the answer: a call without one is made again, with the same dots.
        let again = request.clone();
        let answer = match self.service.submit(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => {
                self.unknown = Some(again);
                return Err(format!("{}: {}", status.code(), status.message()));
            }
        };
        let answered_at = self.now_ns();
        if answer.receipts.len() != sent.len() {
            return Err(format!("{} receipts for {} operations", answer.receipts.len(), sent.len()));
        }
        for (submission, receipt) in sent.iter().zip(&answer.receipts) {
            let (_, told) = answer_from_pb(receipt).map_err(|error| error.to_string())?;
            self.recorder.answered(*submission, answered_at, told);
            match told.outcome {
                Outcome::Settled(seq) => self.replica.saw_up_to(seq),
                other => return Err(format!("an operation did not settle: {other:?}")),
            }
        }
        Ok(sent.len() as u64)
    }
}
