//! Beginning with a snapshot while others write.

use syncline_core::causality::Seq;
use syncline_core::ids::Epoch;
use tonic::Status;

use pb::change_service_client::ChangeServiceClient;

use super::{Client, Link, WORKSPACE, picture, within};
use crate::ambient;
use syncline_client::Fold;
use syncline_core::hash::Hash;
use syncline_core::history::Snapshot;
use syncline_protocol::pb;

impl Client {
    /// Takes a snapshot, beginning again until one comes through.
    pub(super) async fn take_snapshot(&self) {
        let mut link = self.link();
        loop {
            match self.try_snapshot(&link).await {
                Ok(Ok(())) => return,
                Ok(Err(wrong)) => {
                    self.wrong(wrong);
                    std::future::pending::<()>().await;
                }
                Err(status) => self.trouble("Snapshot", &mut link, &status).await,
            }
        }
    }

    async fn try_snapshot(&self, link: &Link) -> Result<Result<(), String>, Status> {
        let mut client = ChangeServiceClient::new(link.channel.clone());
        let request = pb::SnapshotRequest { workspace_id: WORKSPACE.to_owned(), ..Default::default() };
        let mut stream = within(client.snapshot(request)).await?.into_inner();
        let mut fold = Fold::default();
        let mut first: Option<pb::Cursor> = None;
        let mut last = 0;
        loop {
            let Some(chunk) = within(stream.message()).await? else {
                return Ok(Err("a snapshot ended before it was complete".to_owned()));
            };
            let cursor = chunk.cursor.clone().unwrap_or_default();
            if cursor.seq_inclusive < last {
                return Ok(Err(format!("a snapshot goes from {last} back to {}", cursor.seq_inclusive)));
            }
            last = cursor.seq_inclusive;
            first.get_or_insert(cursor);
            if let Err(wrong) = fold.take_snapshot(&chunk) {
                return Ok(Err(wrong.to_string()));
            }
            if chunk.complete {
                break;
            }
            self.pause(0..30).await;
        }
        let cursor = first.unwrap_or_default();
        self.note(format_args!("took a snapshot from {} to {last}", cursor.seq_inclusive));
        self.record(|record| record.count("snapshots"));
        self.story.borrow_mut().snapshot(Snapshot {
            epoch: Epoch(cursor.epoch),
            seq: Seq(cursor.seq_inclusive),
            chain: Hash::try_from(cursor.chain.as_ref()).ok(),
            at: ambient::elapsed_ms(),
        });
        let mut state = self.state.borrow_mut();
        state.position = cursor.seq_inclusive;
        state.chain = Hash::try_from(cursor.chain.as_ref()).ok();
        state.whole_from = last;
        fold.seq = Seq(cursor.seq_inclusive);
        state.fold = fold;
        if last == cursor.seq_inclusive {
            let picture = picture::of_everything(&state.fold);
            drop(state);
            self.judge(self.record(|record| record.state(self.number, last, picture)));
        }
        Ok(Ok(()))
    }
}
