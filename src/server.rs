//! The composition root: store, engine, services, layers, listener.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use http::HeaderName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::{Config, CorsOrigin, DatabaseUrl, PostgresUrl};
use crate::engine::{Clock, Engine, EngineError, EngineOptions, Randomness, SystemClock, SystemRandomness};
use crate::grpc::health::health_server;
use crate::grpc::layer::ErrorInfoLayer;
use crate::grpc::listener::{ListenError, Listener};
use crate::grpc::outflow_layer::OutflowLayer;
use crate::grpc::services;
use crate::grpc::trace::TraceLayer;
use crate::grpc::unbuffered::unbuffered;
use crate::store::memory::MemoryStore;
use crate::store::postgres::{PostgresOptions, PostgresStore};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Store, StoreError};
use crate::web::WebLayer;
use syncline_core::limits::MESSAGE_BYTES_MAX;
use syncline_protocol::pb;

/// Flow control of a connection and of a stream: many small frames must not close a window.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// A silent connection is probed after the first time, and dropped if no answer comes within the second.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a call's headers.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Streams reset by a peer before its connection is closed: the defence against rapid resets.
const RESET_STREAMS_MAX: usize = 128;
/// Streams of a connection that this server resets because its peer breaks the protocol, before the connection is closed:
/// the same defence against peers that provoke the resets. The transport's own default is none at all.
const PROVOKED_RESETS_MAX: usize = 1_024;

/// Why a server could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The engine could not be started.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The embedded description of the protocol is damaged.
    #[error("the embedded protocol description is damaged: {0}")]
    Descriptors(String),
}

/// A server, listening and not yet serving.
pub struct Server {
    service: Service,
    listener: Listener,
}

/// A server without its port: everything behind the connections, whoever provides those.
pub struct Service {
    engine: Engine,
    /// Cancelled when no more connections are to be taken.
    stop: CancellationToken,
    config: Config,
    health: tonic_health::server::HealthReporter,
    router: Routes,
}

/// Opens the store that the configuration names.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    match &config.database.url {
        DatabaseUrl::Memory => Ok(Arc::new(MemoryStore::new())),
        DatabaseUrl::Sqlite(path) => {
            let options = SqliteOptions { readers: config.database.readers, ..SqliteOptions::new(path) };
            Ok(Arc::new(SqliteStore::open(options).await?))
        }
        DatabaseUrl::Postgres(url) => {
            Ok(Arc::new(PostgresStore::open(postgres_options(config, url)?).await?))
        }
    }
}

/// What the configuration says about a Postgres database.
pub fn postgres_options(config: &Config, url: &PostgresUrl) -> Result<PostgresOptions, StoreError> {
    let mut options = PostgresOptions::new(url.reveal())?;
    options.readers = config.database.readers;
    Ok(options)
}

impl Server {
    /// Opens the store, starts the engine and binds the port.
    pub async fn build(config: Config) -> Result<Server, ServerError> {
        let store = open_store(&config).await?;
        let service =
            Service::assemble(config, store, Arc::new(SystemClock), Arc::new(SystemRandomness)).await?;
        let server = &service.config.server;
        let listener = Listener::bind(server.listen, server.max_connections, service.stop.clone())?;
        Ok(Server { service, listener })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// How long a stop waits for clients to leave.
    pub fn drain(&self) -> Duration {
        self.service.config.server.drain
    }

    /// The engine it serves.
    pub fn engine(&self) -> &Engine {
        &self.service.engine
    }

    /// Serves until `shutdown` is cancelled, then drains: it reports that it is not ready, tells streams where to
    /// resume and finishes calls, and returns within the drain time whatever peers do.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        self.service.run(self.listener, shutdown).await
    }
}

impl Service {
    /// Starts the engine over a store and puts the services over it. It takes no connections yet.
    pub async fn assemble(
        config: Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Service, ServerError> {
        let options = EngineOptions {
            recent_changes: config.feed.recent_changes,
            heartbeat_interval_ms: millis(config.heartbeat.interval),
            chunk_records_max: config.feed.chunk_records,
            stream_age_max_ms: millis(config.server.max_stream_age),
        };
        let engine = Engine::start(store, options, clock, randomness).await?;
        let health = tonic_health::server::HealthReporter::new();
        let mut router =
            routes(&engine).add_service(health_server(health.clone(), engine.draining().clone()));
        if config.server.reflection {
            router = add_reflection(router)?;
        }
        Ok(Service { engine, stop: CancellationToken::new(), config, health, router })
    }

    /// Serves these connections until `shutdown` is cancelled, then drains as [`Server::run`] says.
    pub async fn run<C>(
        self,
        connections: impl Stream<Item = Result<C, Infallible>> + Send + 'static,
        shutdown: CancellationToken,
    ) -> Result<(), ServerError>
    where
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let Service { engine, stop, config, health, router } = self;
        let server = &config.server;
        let trace = TraceLayer::new(pb::FILE_DESCRIPTOR_SET)
            .map_err(|error| ServerError::Descriptors(error.to_string()))?;
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let serving = tonic::transport::Server::builder()
            .accept_http1(true)
            .tcp_nodelay(true)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_AFTER))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
            .http2_max_local_error_reset_streams(Some(PROVOKED_RESETS_MAX))
            .max_concurrent_streams(server.max_streams_per_connection)
            .layer(OutflowLayer)
            .layer(cors(&server.cors_origins))
            .layer(WebLayer::new(server.console))
            .layer(unbuffered())
            .layer(GrpcWebLayer::new())
            .layer(trace)
            .layer(ErrorInfoLayer::with_default_timeout(server.request_timeout))
            .add_routes(router)
            .serve_with_incoming_shutdown(connections, stop.clone().cancelled_owned());
        let mut serving = tokio::spawn(serving);
        tokio::select! {
            // The listener broke: nothing more can come in.
            ended = &mut serving => {
                engine.stop().await;
                return finished(ended);
            }
            () = shutdown.cancelled() => {}
        }
        tracing::info!(drain_seconds = server.drain.as_secs(), "stopping: streams are told where to resume");
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        engine.draining().cancel();
        stop.cancel();
        let ended = tokio::time::timeout(server.drain, &mut serving).await;
        if ended.is_err() {
            tracing::warn!("peers did not go within the drain time; their connections are cut");
            serving.abort();
        }
        engine.stop().await;
        match ended {
            Ok(ended) => finished(ended),
            Err(_) => Ok(()),
        }
    }
}

fn finished(
    ended: Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>,
) -> Result<(), ServerError> {
    match ended {
        Ok(result) => Ok(result?),
        Err(error) => Err(ServerError::Descriptors(error.to_string())),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// All services over an engine.
fn routes(engine: &Engine) -> Routes {
    use crate::grpc::served::change_service_server::ChangeServiceServer;
    use crate::grpc::served::conflict_service_server::ConflictServiceServer;
    use crate::grpc::served::connection_service_server::ConnectionServiceServer;
    use crate::grpc::served::diagnostics::diagnostics_service_server::DiagnosticsServiceServer;
    use crate::grpc::served::operation_service_server::OperationServiceServer;
    use crate::grpc::served::record_service_server::RecordServiceServer;
    use crate::grpc::served::server_service_server::ServerServiceServer;
    use crate::grpc::served::workspace_service_server::WorkspaceServiceServer;
    let e = || engine.clone();
    let operations = OperationServiceServer::new(services::Operations::new(e()));
    let changes = ChangeServiceServer::new(services::Changes::new(e()));
    let connections = ConnectionServiceServer::new(services::Connections::new(e()));
    let conflicts = ConflictServiceServer::new(services::Conflicts::new(e()));
    let diagnostics = DiagnosticsServiceServer::new(services::Diagnostics);
    let server = ServerServiceServer::new(services::ServerInformation);
    let records = RecordServiceServer::new(services::Records::new(e()));
    let workspaces = WorkspaceServiceServer::new(services::Workspaces::new(e()));
    Routes::new(operations.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(changes.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(connections.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(diagnostics.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(server.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(conflicts.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(records.max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add_service(workspaces.max_decoding_message_size(MESSAGE_BYTES_MAX))
}

fn add_reflection(router: Routes) -> Result<Routes, ServerError> {
    let describe = |error: tonic_reflection::server::Error| ServerError::Descriptors(error.to_string());
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(router
        .add_service(builder().build_v1().map_err(describe)?)
        .add_service(builder().build_v1alpha().map_err(describe)?))
}

/// Which web pages may call, and what they may send and read.
fn cors(origins: &[CorsOrigin]) -> CorsLayer {
    let headers = ["content-type", "x-grpc-web", "x-user-agent", "grpc-timeout", "authorization"];
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    let allowed: Vec<CorsOrigin> = origins.to_vec();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| allowed.iter().any(|a| a.matches(origin)))
        }))
        .allow_methods([http::Method::POST])
        .allow_headers(headers.map(HeaderName::from_static))
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(Duration::from_secs(3600))
}
