//! Presence by unary beats. Towards the end a client goes without a word, and its lease has to end it.

use std::rc::Rc;
use std::time::Duration;

use pb::connection_service_client::ConnectionServiceClient;

use super::{Client, WORKSPACE, within};
use syncline_protocol::pb;

/// How often a client beats.
const BEAT: Duration = Duration::from_millis(250);

impl Client {
    /// Beats while there is work.
    pub(super) async fn beat(self: Rc<Client>) {
        let mut link = self.link();
        let mut beat_id = 0;
        while self.working() {
            tokio::time::sleep(BEAT).await;
            if !self.working() {
                return;
            }
            beat_id += 1;
            let connection_id = self.connection.borrow().clone();
            let start = connection_id.is_empty().then(|| pb::ConnectionStart {
                workspace_id: WORKSPACE.to_owned(),
                replica_id: self.replica_id.clone(),
                client_name: self.name.clone(),
                actor: self.name.clone(),
            });
            let seq = self.state.borrow().position;
            let beat = pb::Heartbeat { beat_id, echo_beat_id: 0, echo_delay_us: 0, seq };
            let request =
                pb::BeatRequest { connection_id, start, beat: Some(beat), measured_round_trip_us: 0 };
            let mut client = ConnectionServiceClient::new(link.channel.clone());
            match within(client.beat(request)).await {
                Ok(response) => {
                    let response = response.into_inner();
                    *self.connection.borrow_mut() = response.connection_id;
                    self.record(|record| record.count("beats"));
                }
                // The lease ran out, or the server that had the connection is gone.
                Err(status) if status.code() == tonic::Code::NotFound => self.connection.borrow_mut().clear(),
                Err(status) => self.trouble("Beat", &mut link, &status).await,
            }
        }
    }
}
