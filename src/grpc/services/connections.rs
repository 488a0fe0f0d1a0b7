//! ConnectionService: heartbeats both ways, by stream or by unary calls, and who is here.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use syncline_core::causality::Seq;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::engine::Engine;
use crate::engine::connections::{Connection, Heartbeat, LinkQuality, Transport};
use crate::grpc::served::connection_service_server::ConnectionService;
use syncline_protocol::convert::{replica_id_from_pb, shown_label_from_pb, timestamp_to_pb};
use syncline_protocol::pb::{
    self, keep_alive_request::Message, send_heartbeat_request::Connection as Presented,
};
use syncline_protocol::status::{Failure, FieldViolation};

use super::{OVERLOADED_RETRY, failed, note_workspace, page_size, page_token, parsed_token};

/// Maximum number of messages between a connection's task and its stream.
const MESSAGES_AHEAD: usize = 4;
/// How long a client may take to send `start`.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of connections on streams at a time on this server.
const STREAMS_MAX: usize = 20_000;
/// Round trips above this are a clock fault or a made-up echo.
const ROUND_TRIP_US_MAX: u64 = 600_000_000;

/// ConnectionService over an engine.
pub struct Connections {
    engine: Engine,
    permits: Arc<Semaphore>,
}

impl Connections {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Connections {
        Connections::with_room(engine, STREAMS_MAX)
    }

    /// The same for this many streams.
    fn with_room(engine: Engine, streams_max: usize) -> Connections {
        Connections { engine, permits: Arc::new(Semaphore::new(streams_max)) }
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.permits.clone().try_acquire_owned().map_err(|_| Failure::overloaded(OVERLOADED_RETRY))
    }

    /// Opens a connection as its start message describes it.
    async fn open(
        &self,
        start: pb::ConnectionStart,
        transport: Transport,
    ) -> Result<(Uuid, Arc<str>), Status> {
        let pb::ConnectionStart { workspace_id, replica_id, client_name, actor } = start;
        let invalid = |violation| Status::from(Failure::invalid_request(vec![violation]));
        let replica = match replica_id.as_str() {
            "" => None,
            id => Some(replica_id_from_pb(id, "start.replica_id").map_err(invalid)?),
        };
        let (client_name, actor) = (shown_label_from_pb(&client_name), shown_label_from_pb(&actor));
        let opened = self.engine.open_connection(&workspace_id, replica, client_name, actor, transport);
        Ok((opened.await.map_err(failed)?, workspace_id.into()))
    }
}

#[tonic::async_trait]
impl ConnectionService for Connections {
    type KeepAliveStream = Pin<Box<dyn Stream<Item = Result<pb::KeepAliveResponse, Status>> + Send>>;

    async fn keep_alive(
        &self,
        request: Request<Streaming<pb::KeepAliveRequest>>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        let permit = self.permit()?;
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(START_TIMEOUT, incoming.message())
            .await
            .map_err(|_| Failure::stream_protocol("no start within 10 seconds"))??;
        let Some(pb::KeepAliveRequest { message: Some(Message::Start(start)) }) = first else {
            return Err(Failure::stream_protocol("the first message must be start").into());
        };
        note_workspace(&start.workspace_id);
        let (id, workspace) = self.open(start, Transport::Stream).await?;
        let (outgoing, receiver) = mpsc::channel(MESSAGES_AHEAD);
        let session = Session {
            engine: self.engine.clone(),
            id,
            workspace,
            sent: 0,
            sent_at: Instant::now(),
            heard: 0,
            heard_at: Instant::now(),
            quality: LinkQuality::default(),
            _permit: permit,
        };
        tokio::spawn(session.serve(incoming, outgoing));
        Ok(Response::new(Box::pin(unboxed(receiver))))
    }

    async fn send_heartbeat(
        &self,
        request: Request<pb::SendHeartbeatRequest>,
    ) -> Result<Response<pb::SendHeartbeatResponse>, Status> {
        let pb::SendHeartbeatRequest { workspace_id, connection, heartbeat, measured_round_trip_us } =
            request.into_inner();
        note_workspace(&workspace_id);
        let id = match connection {
            Some(Presented::Start(start)) => {
                self.open(of_workspace(start, &workspace_id)?, Transport::Unary).await?.0
            }
            Some(Presented::ConnectionId(text)) => {
                Uuid::try_parse(&text).map_err(|_| Failure::unknown_connection(&text))?
            }
            None => {
                let missing =
                    FieldViolation::new("connection", "needs connection_id, or start for a new one");
                return Err(Failure::invalid_request(vec![missing]).into());
            }
        };
        let pb::Heartbeat { heartbeat_id, echo_heartbeat_id: _, echo_delay_us: _, seq } =
            heartbeat.unwrap_or_default();
        let measured = Some(measured_round_trip_us).filter(|us| (1..ROUND_TRIP_US_MAX).contains(us));
        let taken = Heartbeat { seq: Seq(seq), round_trip_us: measured };
        let quality = self.engine.take_heartbeat(&workspace_id, id, taken).await.map_err(failed)?;
        let answer =
            pb::Heartbeat { heartbeat_id, echo_heartbeat_id: heartbeat_id, echo_delay_us: 0, seq: 0 };
        Ok(Response::new(pb::SendHeartbeatResponse {
            connection_id: id.to_string(),
            heartbeat: Some(answer),
            server: Some(server_state(&self.engine, &workspace_id, quality).await?),
        }))
    }

    async fn disconnect(
        &self,
        request: Request<pb::DisconnectRequest>,
    ) -> Result<Response<pb::DisconnectResponse>, Status> {
        let pb::DisconnectRequest { workspace_id, connection_id } = request.into_inner();
        note_workspace(&workspace_id);
        if let Ok(id) = Uuid::try_parse(&connection_id) {
            self.engine.close_connection(&workspace_id, id).await.map_err(failed)?;
        }
        Ok(Response::new(pb::DisconnectResponse {}))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<pb::ListConnectionsResponse>, Status> {
        let pb::ListConnectionsRequest { workspace_id, page_size: size, page_token: token } =
            request.into_inner();
        note_workspace(&workspace_id);
        let limit = page_size(size, 100, 1_000);
        let after = parsed_token("connections", &token)?;
        let listed = self.engine.list_connections(&workspace_id, after, limit + 1).await;
        let mut found = listed.map_err(failed)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|c| page_token("connections", c.id)).unwrap_or_default();
        Ok(Response::new(pb::ListConnectionsResponse {
            connections: found.iter().map(|c| connection_to_pb(c, self.engine.now_ms())).collect(),
            next_page_token: next,
        }))
    }
}

/// The start message of a unary call: its workspace is the one of the call, or left out.
fn of_workspace(start: pb::ConnectionStart, workspace_id: &str) -> Result<pb::ConnectionStart, Failure> {
    if !start.workspace_id.is_empty() && start.workspace_id != workspace_id {
        let other = FieldViolation::new("start.workspace_id", "must be that of the request, or empty");
        return Err(Failure::invalid_request(vec![other]));
    }
    Ok(pb::ConnectionStart { workspace_id: workspace_id.to_owned(), ..start })
}

/// A connection on a stream.
struct Session {
    engine: Engine,
    id: Uuid,
    workspace: Arc<str>,
    /// The last heartbeat sent, and when.
    sent: u64,
    sent_at: Instant,
    /// The last heartbeat heard, and when.
    heard: u64,
    heard_at: Instant,
    quality: LinkQuality,
    _permit: OwnedSemaphorePermit,
}

/// A channel allocates room for 32 items at once, whatever its capacity: boxes keep that small.
type Item = Box<Result<pb::KeepAliveResponse, Status>>;
type Outgoing = mpsc::Sender<Item>;

fn unboxed(
    receiver: mpsc::Receiver<Item>,
) -> impl Stream<Item = Result<pb::KeepAliveResponse, Status>> + Send {
    use tokio_stream::StreamExt as _;
    ReceiverStream::new(receiver).map(|item| *item)
}

impl Session {
    /// Sends heartbeats until the client goes, its lease runs out, or the server stops. However this ends, presence
    /// ends with it.
    async fn serve(mut self, incoming: Streaming<pb::KeepAliveRequest>, outgoing: Outgoing) {
        let outcome = self.run(incoming, &outgoing).await;
        self.engine.connections().close(self.id);
        if let Err(status) = outcome {
            let _ = outgoing.send(Box::new(Err(status))).await;
        }
    }

    async fn run(
        &mut self,
        mut incoming: Streaming<pb::KeepAliveRequest>,
        outgoing: &Outgoing,
    ) -> Result<(), Status> {
        let mut due = Instant::now();
        let interval = Duration::from_millis(self.engine.connections().heartbeat_interval_ms());
        let lease = Duration::from_millis(self.engine.connections().lease_ms());
        let draining = self.engine.draining().clone();
        loop {
            tokio::select! {
                message = incoming.message() => match message? {
                    None => return Ok(()),
                    Some(pb::KeepAliveRequest { message: Some(Message::Heartbeat(heartbeat)) }) => {
                        self.hear(heartbeat)?;
                        // Answers at once, unless the client's heartbeat was itself an answer: otherwise both would
                        // never stop.
                        let echo = heartbeat.echo_heartbeat_id;
                        if echo < self.sent || echo == 0 {
                            due = Instant::now();
                        }
                    }
                    Some(pb::KeepAliveRequest { message: Some(Message::Start(_)) }) => {
                        return Err(Failure::stream_protocol("start comes once").into());
                    }
                    Some(pb::KeepAliveRequest { message: None }) => {
                        let detail = "a message is neither start nor heartbeat; is the client newer?";
                        return Err(Failure::stream_protocol(detail).into());
                    }
                },
                () = tokio::time::sleep_until(due) => {
                    due = Instant::now() + interval;
                    let message = self.heartbeat(pb::ConnectionEnd::Unspecified).await?;
                    if outgoing.send(Box::new(Ok(message))).await.is_err() {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(self.heard_at + lease) => {
                    return Err(Failure::unknown_connection(&self.id.to_string()).into());
                }
                () = outgoing.closed() => return Ok(()),
                () = draining.cancelled() => {
                    let message = self.heartbeat(pb::ConnectionEnd::Draining).await?;
                    let _ = outgoing.send(Box::new(Ok(message))).await;
                    return Ok(());
                }
            }
        }
    }

    /// Takes in a heartbeat; an echo of the last one sent times the round trip.
    fn hear(&mut self, heartbeat: pb::Heartbeat) -> Result<(), Status> {
        let pb::Heartbeat { heartbeat_id, echo_heartbeat_id, echo_delay_us, seq } = heartbeat;
        let now = Instant::now();
        let round_trip_us = (echo_heartbeat_id == self.sent && echo_heartbeat_id > 0)
            .then(|| u64::try_from(now.duration_since(self.sent_at).as_micros()).unwrap_or(u64::MAX))
            .and_then(|us| us.checked_sub(echo_delay_us))
            .filter(|us| *us < ROUND_TRIP_US_MAX);
        self.heard = heartbeat_id;
        self.heard_at = now;
        let taken = Heartbeat { seq: Seq(seq), round_trip_us };
        self.quality =
            self.engine.connections().take_heartbeat(self.id, taken, self.engine.now_ms()).map_err(failed)?;
        Ok(())
    }

    /// The next heartbeat, and why the stream ends after it, if it does.
    async fn heartbeat(&mut self, end: pb::ConnectionEnd) -> Result<pb::KeepAliveResponse, Status> {
        self.sent += 1;
        self.sent_at = Instant::now();
        let echo_delay_us = u64::try_from(self.heard_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(pb::KeepAliveResponse {
            connection_id: self.id.to_string(),
            heartbeat: Some(pb::Heartbeat {
                heartbeat_id: self.sent,
                echo_heartbeat_id: self.heard,
                echo_delay_us,
                seq: 0,
            }),
            server: Some(server_state(&self.engine, &self.workspace, self.quality).await?),
            end: end.into(),
        })
    }
}

async fn server_state(
    engine: &Engine,
    workspace: &str,
    quality: LinkQuality,
) -> Result<pb::ServerState, Status> {
    let head = engine.shown_head(workspace).await.map_err(failed)?;
    Ok(pb::ServerState {
        head_seq: head.seq.0,
        epoch: head.epoch.0,
        heartbeat_interval_ms: engine.connections().heartbeat_interval_ms(),
        lease_ms: engine.connections().lease_ms(),
        server_time: Some(timestamp_to_pb(engine.now_ms())),
        quality: Some(quality_to_pb(quality)),
    })
}

fn quality_to_pb(quality: LinkQuality) -> pb::LinkQuality {
    let LinkQuality { round_trip_us, jitter_us, received_count, missed_count } = quality;
    pb::LinkQuality { round_trip_us, jitter_us, received_count, missed_count }
}

fn connection_to_pb(connection: &Connection, now_ms: i64) -> pb::Connection {
    let lease_ends_ms = now_ms.saturating_add_unsigned(connection.lease_left_ms());
    pb::Connection {
        connection_id: connection.id.to_string(),
        replica_id: connection.replica.map(|r| r.to_string()).unwrap_or_default(),
        client_name: connection.client_name.to_string(),
        actor: connection.actor.to_string(),
        connect_time: Some(timestamp_to_pb(connection.connected_at_ms)),
        last_heartbeat_time: Some(timestamp_to_pb(connection.last_heartbeat_at_ms)),
        lease_expire_time: Some(timestamp_to_pb(lease_ends_ms)),
        seq: connection.seq.0,
        quality: Some(quality_to_pb(connection.quality)),
        transport: match connection.transport {
            Transport::Stream => pb::ConnectionTransport::Stream,
            Transport::Unary => pb::ConnectionTransport::Unary,
        }
        .into(),
        author: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineOptions, SystemClock, SystemRandomness};
    use crate::store::memory::MemoryStore;
    use syncline_protocol::pb::ErrorReason as Reason;

    #[tokio::test]
    async fn streams_beyond_their_number_are_refused_until_one_ends() {
        let started = Engine::start(
            Arc::new(MemoryStore::new()),
            EngineOptions::default(),
            Arc::new(SystemClock),
            Arc::new(SystemRandomness),
        );
        let connections = Connections::with_room(started.await.expect("an engine"), 1);
        let open = connections.permit().expect("room");
        assert_eq!(connections.permit().expect_err("no room").reason(), Reason::Overloaded);
        drop(open);
        drop(connections.permit().expect("room again"));
    }
}
