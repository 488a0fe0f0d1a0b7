//! One author of a replayed session: a replica, a feed, a context.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use syncline_core::causality::{Counter, Seq};

use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic::transport::Channel;

use super::trace::Trace;
use super::{COLLECTION, FIELD, RECORD, RESPONSE_BYTES_MAX};
use crate::BenchError;
use syncline_client::{FeedReader, Heard, Replica};
use syncline_core::ids::{Dot, ReplicaId};
use syncline_core::operation::CausalContext;
use syncline_protocol::convert::dot_to_pb;
use syncline_protocol::pb;
use syncline_protocol::pb::change_service_client::ChangeServiceClient;
use syncline_protocol::pb::operation_service_client::OperationServiceClient;

/// Operations in a call: several calls a window keep a message far below its limit.
const OPERATIONS_PER_CALL: usize = 500;

/// An author with its own connection.
pub(super) struct Author {
    index: usize,
    replica: Replica,
    operations: OperationServiceClient<Channel>,
    feed: Streaming<pb::WatchResponse>,
    workspace: String,
    reader: FeedReader,
    /// Everything up to here is in the context.
    base_seq: u64,
    /// Dots of the feed after the base, in order.
    ahead: VecDeque<(ReplicaId, u64)>,
    /// Per replica, operations within the base.
    in_base: HashMap<ReplicaId, u64>,
    pub merged: u64,
    pub rejected: u64,
}

impl Author {
    /// Opens the author's feed at the position everybody starts from.
    pub(super) async fn start(
        channel: Channel,
        index: usize,
        workspace: &str,
        created_seq: u64,
        replica: ReplicaId,
    ) -> Result<Author, BenchError> {
        let mut reader = FeedReader::from_the_beginning(workspace);
        let start = reader.start(&format!("replay author {index}"));
        let mut feed = ChangeServiceClient::new(channel.clone())
            .max_decoding_message_size(RESPONSE_BYTES_MAX)
            .watch(pb::WatchRequest { start: Some(start) })
            .await?
            .into_inner();
        // The first frame tells the epoch.
        let epoch = loop {
            next_heard(&mut feed, &mut reader).await?;
            if let Some(epoch) = reader.epoch() {
                break epoch;
            }
        };
        let mut author = Author {
            index,
            replica: Replica::new(replica, epoch, Seq(created_seq)),
            operations: OperationServiceClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX),
            feed,
            workspace: workspace.to_owned(),
            reader,
            base_seq: created_seq,
            ahead: VecDeque::new(),
            in_base: HashMap::new(),
            merged: 0,
            rejected: 0,
        };
        author.catch_up(created_seq).await?;
        author.ahead.clear();
        Ok(author)
    }

    pub(super) fn replica(&self) -> ReplicaId {
        self.replica.id()
    }

    /// Submits this author's transactions of a window, each with the context the recording gives it.
    pub(super) async fn submit(
        &mut self,
        trace: &Trace,
        window: Range<usize>,
        names: &[ReplicaId],
    ) -> Result<(), BenchError> {
        let mut operations = Vec::new();
        let index = self.index;
        for recorded in trace.transactions[window].iter().filter(|r| r.author == index) {
            let context = self.context(&recorded.known, names);
            let hunks = recorded
                .hunks
                .iter()
                .map(|h| pb::TextHunk { position: h.pos, delete_count: h.del, insert: h.ins.clone() })
                .collect();
            let mutation: pb::Mutation = pb::RecordMutation {
                collection_id: COLLECTION.to_owned(),
                record_id: RECORD.to_owned(),
                action: Some(pb::record_mutation::Action::EditText(pb::EditText {
                    field_id: FIELD.to_owned(),
                    hunks,
                })),
                ..Default::default()
            }
            .into();
            operations.push(self.replica.operation_knowing(&context, vec![mutation]));
        }
        while !operations.is_empty() {
            let rest = operations.split_off(operations.len().min(OPERATIONS_PER_CALL));
            let workspace_id = self.workspace.clone();
            let answer = self
                .operations
                .submit(pb::SubmitRequest { workspace_id, operations, ..Default::default() })
                .await?
                .into_inner();
            self.refuse_lost(&answer.receipts)?;
            operations = rest;
        }
        Ok(())
    }

    /// Nothing that an honest client sends is refused without settling.
    fn refuse_lost(&mut self, receipts: &[pb::Receipt]) -> Result<(), BenchError> {
        for receipt in receipts {
            match &receipt.outcome {
                Some(pb::receipt::Outcome::NotSettled(why)) => {
                    return Err(BenchError::Other(format!("an operation was not taken: {}", why.message)));
                }
                Some(pb::receipt::Outcome::Rejected(why)) => {
                    self.rejected += 1;
                    tracing::warn!(message = %why.message, "an operation was rejected");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The context of a transaction: the longest prefix of the order that its author knew, and the rest as extras.
    fn context(&mut self, known: &[u64], names: &[ReplicaId]) -> CausalContext {
        let known_of = |replica: &ReplicaId| names.iter().position(|n| n == replica).map_or(0, |i| known[i]);
        while let Some((replica, counter)) = self.ahead.front().copied() {
            let own = replica == self.replica.id();
            if !own && counter > known_of(&replica) {
                break;
            }
            self.ahead.pop_front();
            self.base_seq += 1;
            self.in_base.insert(replica, counter);
        }
        let extras = names
            .iter()
            .zip(known)
            .filter(|(name, _)| **name != self.replica.id())
            .filter(|(name, count)| **count > self.in_base.get(name).copied().unwrap_or(0))
            .map(|(name, count)| Dot { replica: *name, counter: Counter(*count) })
            .collect();
        CausalContext { extras, ..CausalContext::at(self.replica.context().epoch, Seq(self.base_seq)) }
    }

    /// The position at which the author's last operation settled.
    pub(super) async fn settled(&mut self, workspace: &str) -> Result<u64, BenchError> {
        let counter = self.replica.last_counter();
        if counter == Counter::NONE {
            return Ok(0);
        }
        let dot = dot_to_pb(Dot { replica: self.replica.id(), counter });
        let request = pb::GetReceiptsRequest {
            workspace_id: workspace.to_owned(),
            dots: vec![dot],
            request_ids: Vec::new(),
        };
        let answer = self.operations.get_receipts(request).await?.into_inner();
        match answer.receipts.into_iter().next().and_then(|r| r.outcome) {
            Some(pb::receipt::Outcome::Applied(pb::Applied { seq }))
            | Some(pb::receipt::Outcome::Merged(pb::Merged { seq }))
            | Some(pb::receipt::Outcome::Conflicted(pb::Conflicted { seq, .. })) => Ok(seq),
            Some(pb::receipt::Outcome::Rejected(_)) => Ok(0),
            other => Err(BenchError::Other(format!("operation {counter} did not settle: {other:?}"))),
        }
    }

    /// Follows the feed up to a position.
    pub(super) async fn catch_up(&mut self, seq: u64) -> Result<(), BenchError> {
        while self.reader.seq() < seq {
            if let Heard::Changes(changes) = next_heard(&mut self.feed, &mut self.reader).await? {
                changes.into_iter().for_each(|change| self.take(change));
            }
        }
        Ok(())
    }

    fn take(&mut self, change: pb::Change) {
        let outcome = change.outcome();
        let Some(dot) = change.dot else { return };
        let replica = dot.replica_id.parse().unwrap_or_default();
        if replica == self.replica.id() && outcome != pb::ChangeOutcome::Applied {
            self.merged += 1;
        }
        self.ahead.push_back((replica, dot.counter));
    }
}

/// Waits for the next frame and checks it. A feed that ends, or is told to, fails the replay.
async fn next_heard(
    feed: &mut Streaming<pb::WatchResponse>,
    reader: &mut FeedReader,
) -> Result<Heard, BenchError> {
    let failed = BenchError::Other;
    let message = feed.next().await.ok_or_else(|| failed("the feed ended".to_owned()))??;
    let heard = reader.take(message.frame.unwrap_or_default()).map_err(|error| failed(error.to_string()))?;
    match heard {
        Heard::Opened(_) | Heard::Changes(_) | Heard::Checkpoint(_) | Heard::Unknown => Ok(heard),
        Heard::GoAway(_) | Heard::Reset(_) | Heard::Loading(_) | Heard::Failed(_) => {
            Err(failed(format!("the server ended the feed: {heard:?}")))
        }
    }
}
