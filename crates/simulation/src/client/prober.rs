//! Coming with what no server may take: cursors and operations of another history.

use std::rc::Rc;

use rand::RngExt;
use tonic::Status;

use pb::change_service_client::ChangeServiceClient;
use pb::frame::Content;
use pb::operation_service_client::OperationServiceClient;
use pb::receipt::Outcome as Told;

use super::{Client, Link, WORKSPACE, replica_id, within};
use crate::CLIENTS_MAX;
use syncline_protocol::pb;

/// Further than any head.
const FAR_AHEAD: u64 = 1_000_000;

impl Client {
    /// Tries it now and then.
    pub(super) async fn probe(self: Rc<Client>) {
        while self.working() {
            self.pause(200..2_000).await;
            let mut link = self.link();
            let probed = match self.roll(|dice| dice.random_range(0..4)) {
                0 => self.foreign_operation(&link).await,
                kind => self.foreign_cursor(&link, kind).await,
            };
            if let Err(status) = probed {
                self.trouble("a probe", &mut link, &status).await;
            }
        }
    }

    async fn foreign_cursor(&self, link: &Link, kind: u32) -> Result<(), Status> {
        let (position, epoch) = (self.state.borrow().position, self.state.borrow().epoch);
        let wrong_chain = [0xa5; 16].to_vec();
        let (epoch, seq_inclusive, chain, expected) = match kind {
            1 => (epoch ^ 1, position, Vec::new(), pb::ResetReason::WrongEpoch),
            2 => (epoch, position + FAR_AHEAD, Vec::new(), pb::ResetReason::FutureCursor),
            _ => (epoch, position, wrong_chain, pb::ResetReason::WrongEpoch),
        };
        let cursor =
            pb::Cursor { workspace_id: WORKSPACE.to_owned(), epoch, seq_inclusive, chain: chain.into() };
        let start = pb::FeedStart {
            workspace_id: WORKSPACE.to_owned(),
            cursor: Some(cursor),
            filter: None,
            client_name: self.name.clone(),
        };
        let mut client = ChangeServiceClient::new(link.channel.clone());
        let mut stream = within(client.watch(pb::WatchRequest { start: Some(start) })).await?.into_inner();
        let first = within(stream.message()).await?.and_then(|message| message.frame);
        match first.and_then(|frame| frame.content) {
            Some(Content::Reset(reset)) if reset.reason() == expected => {}
            other => {
                self.wrong(format!("a cursor that has to be reset for {expected:?} was answered {other:?}"))
            }
        }
        Ok(())
    }

    async fn foreign_operation(&self, link: &Link) -> Result<(), Status> {
        let dot = pb::Dot { replica_id: replica_id(CLIENTS_MAX + self.number), counter: 1 };
        let context = pb::CausalContext { epoch: self.state.borrow().epoch ^ 1, ..Default::default() };
        let create = pb::mutation::Action::Create(pb::CreateRecord::default());
        let operation = pb::Operation {
            identity: Some(pb::operation::Identity::Dot(dot)),
            knowledge: Some(pb::operation::Knowledge::Context(context)),
            mutations: vec![super::author::on("foreign", create)],
            ..Default::default()
        };
        let request = pb::SubmitRequest { workspace_id: WORKSPACE.to_owned(), operations: vec![operation] };
        let mut client = OperationServiceClient::new(link.channel.clone());
        let response = within(client.submit(request)).await?.into_inner();
        match response.receipts.first().and_then(|receipt| receipt.outcome.as_ref()) {
            Some(Told::NotSettled(not)) if not.reason() == pb::ErrorReason::WrongEpoch => {}
            other => self.wrong(format!("an operation of another history was answered {other:?}")),
        }
        Ok(())
    }
}
