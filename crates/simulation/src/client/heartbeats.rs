//! Presence by heartbeats in unary calls. Towards the end a client leaves silently, and its lease has to end it.

use std::rc::Rc;
use std::time::Duration;

use pb::connection_service_client::ConnectionServiceClient;
use pb::send_heartbeat_request::Connection;

use super::{Client, WORKSPACE, within};
use syncline_protocol::pb;

/// How often a client sends a heartbeat.
const HEARTBEAT_EVERY: Duration = Duration::from_millis(250);

impl Client {
    /// Sends heartbeats while there is work.
    pub(super) async fn send_heartbeats(self: Rc<Client>) {
        let mut link = self.link();
        let mut heartbeat_id = 0;
        while self.working() {
            tokio::time::sleep(HEARTBEAT_EVERY).await;
            if !self.working() {
                return;
            }
            heartbeat_id += 1;
            let connection_id = self.connection.borrow().clone();
            let connection = if connection_id.is_empty() {
                Connection::Start(pb::ConnectionStart {
                    workspace_id: String::new(),
                    replica_id: self.replica_id.clone(),
                    client_name: self.name.clone(),
                    actor: self.name.clone(),
                })
            } else {
                Connection::ConnectionId(connection_id)
            };
            let seq = self.state.borrow().position;
            let heartbeat = pb::Heartbeat { heartbeat_id, echo_heartbeat_id: 0, echo_delay_us: 0, seq };
            let request = pb::SendHeartbeatRequest {
                workspace_id: WORKSPACE.to_owned(),
                connection: Some(connection),
                heartbeat: Some(heartbeat),
                measured_round_trip_us: 0,
            };
            let mut client = ConnectionServiceClient::new(link.channel.clone());
            match within(client.send_heartbeat(request)).await {
                Ok(response) => {
                    let response = response.into_inner();
                    *self.connection.borrow_mut() = response.connection_id;
                    self.record(|record| record.count("heartbeats"));
                }
                // The lease ran out, or the server that had the connection is gone.
                Err(status) if status.code() == tonic::Code::NotFound => self.connection.borrow_mut().clear(),
                Err(status) => self.trouble("SendHeartbeat", &mut link, &status).await,
            }
        }
    }
}
