//! Sends what no server may take: cursors and operations of another history.

use std::rc::Rc;

use rand::RngExt;
use tonic::{Code, Status};

use pb::change_service_client::ChangeServiceClient;
use pb::frame::Content;
use pb::operation_service_client::OperationServiceClient;
use pb::receipt::Outcome as Told;
use pb::record_service_client::RecordServiceClient;

use super::author::RECORDS;
use super::{Client, Link, WORKSPACE, replica_id, within};
use crate::CLIENTS_MAX;
use syncline_protocol::pb;

/// Further ahead than any head.
const FAR_AHEAD: u64 = 1_000_000;
/// A chain that no history has.
const WRONG_CHAIN: [u8; 16] = [0xa5; 16];

impl Client {
    /// Probes the servers now and then.
    pub(super) async fn probe(self: Rc<Client>) {
        while self.working() {
            self.pause(200..2_000).await;
            let mut link = self.link();
            let probed = match self.roll(|dice| dice.random_range(0..5)) {
                0 => self.foreign_operations(&link).await,
                1 => self.foreign_read(&link).await,
                kind => self.foreign_cursor(&link, kind).await,
            };
            if let Err(status) = probed {
                self.trouble("a probe", &mut link, &status).await;
            }
        }
    }

    async fn foreign_cursor(&self, link: &Link, kind: u32) -> Result<(), Status> {
        let (position, epoch) = (self.state.borrow().position, self.state.borrow().epoch);
        let wrong_chain = WRONG_CHAIN.to_vec();
        let (epoch, seq_inclusive, chain, expected) = match kind {
            2 => (epoch ^ 1, position, Vec::new(), pb::ResetReason::WrongEpoch),
            3 => (epoch, position + FAR_AHEAD, Vec::new(), pb::ResetReason::FutureCursor),
            _ => (epoch, position, wrong_chain, pb::ResetReason::WrongEpoch),
        };
        let cursor = pb::Cursor {
            workspace_id: WORKSPACE.to_owned(),
            epoch,
            seq_inclusive,
            chain: chain.into(),
            ..Default::default()
        };
        let start = pb::FeedStart {
            workspace_id: WORKSPACE.to_owned(),
            origin: Some(pb::feed_start::Origin::Cursor(cursor)),
            client_name: self.name.clone(),
            ..Default::default()
        };
        let mut client = ChangeServiceClient::new(link.channel.clone());
        let mut stream = within(client.watch(pb::WatchRequest { start: Some(start) })).await?.into_inner();
        let first = within(stream.message()).await?.and_then(|message| message.frame);
        match first.and_then(|frame| frame.content) {
            Some(Content::HistoryReset(reset)) if reset.reason() == expected => {}
            other => {
                self.wrong(format!("a cursor that has to be reset for {expected:?} was answered {other:?}"))
            }
        }
        Ok(())
    }

    /// A read of a position that is of another history, not there yet, or on a chain that is not this one.
    async fn foreign_read(&self, link: &Link) -> Result<(), Status> {
        let (position, epoch) = (self.state.borrow().position, self.state.borrow().epoch);
        let wrong_chain = WRONG_CHAIN.to_vec();
        let (epoch, seq_inclusive, chain, expected) = match self.roll(|dice| dice.random_range(0..3)) {
            0 => (epoch ^ 1, position, Vec::new(), Code::FailedPrecondition),
            1 => (epoch, position + FAR_AHEAD, Vec::new(), Code::Unavailable),
            _ => (epoch, position, wrong_chain, Code::FailedPrecondition),
        };
        let workspace_id = WORKSPACE.to_owned();
        let cursor = pb::Cursor {
            workspace_id: workspace_id.clone(),
            epoch,
            seq_inclusive,
            chain: chain.into(),
            ..Default::default()
        };
        let request =
            pb::GetRecordRequest { workspace_id, record_id: RECORDS[0].to_owned(), at_least: Some(cursor) };
        let read = within(RecordServiceClient::new(link.channel.clone()).get_record(request)).await;
        match read {
            Ok(_) => {
                self.wrong(format!("a read that has to fail with {expected:?} was answered"));
                Ok(())
            }
            Err(status) if status.code() == expected => Ok(()),
            // The server is in trouble.
            Err(status) => Err(status),
        }
    }

    /// Operations of another epoch, and of the right one with another chain at a position that is there.
    async fn foreign_operations(&self, link: &Link) -> Result<(), Status> {
        let (epoch, base_seq) = (self.state.borrow().epoch, self.state.borrow().position);
        let operations = vec![
            self.foreign(pb::CausalContext { epoch: epoch ^ 1, ..Default::default() }),
            self.foreign(pb::CausalContext {
                epoch,
                base_seq,
                base_chain: WRONG_CHAIN.to_vec().into(),
                ..Default::default()
            }),
        ];
        let request =
            pb::SubmitRequest { workspace_id: WORKSPACE.to_owned(), operations, ..Default::default() };
        let mut client = OperationServiceClient::new(link.channel.clone());
        let response = within(client.submit(request)).await?.into_inner();
        let expected = [pb::ErrorReason::WrongEpoch, pb::ErrorReason::HistoryRewound];
        for (receipt, expected) in response.receipts.iter().zip(expected) {
            match receipt.outcome.as_ref() {
                Some(Told::NotSettled(not)) if not.reason() == expected => {}
                other => self.wrong(format!("an operation of another history was answered {other:?}")),
            }
        }
        Ok(())
    }

    /// An operation that nobody may take.
    fn foreign(&self, context: pb::CausalContext) -> pb::Operation {
        let dot = pb::Dot { replica_id: replica_id(CLIENTS_MAX + self.number), counter: 1 };
        let create = pb::record_mutation::Action::CreateRecord(pb::CreateRecord::default());
        pb::Operation {
            identity: Some(pb::operation::Identity::Dot(dot)),
            knowledge: Some(pb::operation::Knowledge::Context(context)),
            mutations: vec![super::author::on("foreign", create)],
            ..Default::default()
        }
    }
}
