//! Reading records: each read shows one committed state, which is compared with the log's at the end.

use std::rc::Rc;

use rand::RngExt;

use pb::record_service_client::RecordServiceClient;

use super::author::RECORDS;
use super::{Client, WORKSPACE, picture, within};
use crate::record::Read;
use syncline_protocol::pb;

impl Client {
    /// Reads now and then, from any server.
    pub(super) async fn read(self: Rc<Client>) {
        let mut link = self.link();
        while self.working() {
            self.pause(50..400).await;
            if self.chance(0.3) {
                link = self.link();
            }
            let record_id = self.roll(|dice| RECORDS[dice.random_range(0..RECORDS.len())]).to_owned();
            let acknowledged = self.state.borrow().acknowledged.max(self.state.borrow().position);
            // Every other read names what it must contain; the others must contain it all the same.
            let at_least = self.chance(0.5).then(|| pb::Cursor {
                workspace_id: WORKSPACE.to_owned(),
                epoch: self.state.borrow().epoch,
                seq_inclusive: acknowledged,
                ..Default::default()
            });
            let workspace_id = WORKSPACE.to_owned();
            let request = pb::GetRecordRequest { workspace_id, record_id: record_id.clone(), at_least };
            let mut client = RecordServiceClient::new(link.channel.clone());
            match within(client.get_record(request)).await {
                Ok(response) => {
                    let response = response.into_inner();
                    let seq = response.context.unwrap_or_default().base_seq;
                    if seq < acknowledged {
                        self.wrong(format!(
                            "a read shows {seq}, {acknowledged} was acknowledged or seen before"
                        ));
                    }
                    match picture::of_read(&response.record.unwrap_or_default()) {
                        Ok(shown) => {
                            let read = Read { by: self.number, seq, record_id, shown };
                            self.record(|record| record.reads.push(read));
                        }
                        Err(wrong) => self.wrong(wrong.to_string()),
                    }
                }
                Err(status) if status.code() == tonic::Code::NotFound => {}
                Err(status) => self.trouble("GetRecord", &mut link, &status).await,
            }
        }
    }
}
