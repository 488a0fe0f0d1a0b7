//! What operators see: log lines on standard error and metrics for Prometheus. Neither ever holds a payload.
//!
//! Metrics are named here and nowhere else. Recording one before `serve_metrics`, or without it, does
//! nothing.

use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use tokio::task::JoinHandle;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{LogConfig, LogFormat};

/// Operations that were submitted. Label `outcome`: applied, merged, conflicted, held, rejected, duplicate,
/// not_settled.
pub const OPERATIONS_TOTAL: &str = "syncline_operations_total";
/// From the arrival of a Submit to its receipts, which are on disk by then.
pub const SUBMIT_SECONDS: &str = "syncline_submit_seconds";
/// Operations in one commit.
pub const COMMIT_BATCH_OPERATIONS: &str = "syncline_commit_batch_operations";
/// One commit of the database, from its first statement until it is on disk.
pub const COMMIT_SECONDS: &str = "syncline_commit_seconds";
/// Writes that failed, whether the database or the work on them did. Label `kind`.
pub const STORE_ERRORS_TOTAL: &str = "syncline_store_errors_total";
/// Workspaces that are read-only because their stored data contradict themselves.
pub const WORKSPACES_READ_ONLY: &str = "syncline_workspaces_read_only";
/// Roughly what the write lanes keep of workspaces in memory.
pub const WORKING_SETS_BYTES: &str = "syncline_working_sets_bytes";
/// Roughly what is kept of recent changes in memory, for feeds.
pub const RECENT_CHANGES_BYTES: &str = "syncline_recent_changes_bytes";
/// Feeds that are open.
pub const FEED_SUBSCRIBERS: &str = "syncline_feed_subscribers";
/// Changes handed to feeds, counted once for each feed.
pub const FEED_CHANGES_DELIVERED_TOTAL: &str = "syncline_feed_changes_delivered_total";
/// From the commit of a change until a feed hands it to its stream.
pub const FEED_LAG_SECONDS: &str = "syncline_feed_lag_seconds";
/// Connections under a lease. Label `transport`: stream, unary.
pub const CONNECTIONS: &str = "syncline_connections";
/// Conflicts recorded. Label `kind`.
pub const CONFLICTS_OPENED_TOTAL: &str = "syncline_conflicts_opened_total";
/// Conflicts closed. Label `reason`.
pub const CONFLICTS_CLOSED_TOTAL: &str = "syncline_conflicts_closed_total";
/// Reminders of deferred conflicts that fired.
pub const REMINDERS_FIRED_TOTAL: &str = "syncline_reminders_fired_total";
/// Calls that ended. Labels `method` and `code`.
pub const GRPC_CALLS_TOTAL: &str = "syncline_grpc_calls_total";
/// Unary calls, from their arrival to the end of the response. Label `method`.
pub const GRPC_CALL_SECONDS: &str = "syncline_grpc_call_seconds";
/// Streaming calls that are open. Label `method`.
pub const GRPC_STREAMS_OPEN: &str = "syncline_grpc_streams_open";
/// TCP connections that are open.
pub const SOCKETS_OPEN: &str = "syncline_sockets_open";
/// TCP connections that were taken.
pub const SOCKETS_ACCEPTED_TOTAL: &str = "syncline_sockets_accepted_total";
/// TCP connections that were closed at once because there were `server.max_connections` already.
pub const SOCKETS_REFUSED_TOTAL: &str = "syncline_sockets_refused_total";
/// Peers that did not read what was sent to them. Label `ended`: stream, connection.
pub const SLOW_PEERS_TOTAL: &str = "syncline_slow_peers_total";
/// Failures to take a TCP connection. Label `reason`: too_many_files, other.
pub const SOCKET_ERRORS_TOTAL: &str = "syncline_socket_errors_total";

/// Upper bounds of histograms that end in `_seconds`: from 100 microseconds, less than an fsync, to 10 seconds.
const SECONDS_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the sizes of commits.
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];
/// How often recorded samples are folded into buckets; until then each is kept in memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric with its kind, unit and help.
const METRICS: &[(&str, Kind, Unit, &str)] = &[
    (OPERATIONS_TOTAL, Kind::Counter, Unit::Count, "Operations that were submitted, by outcome."),
    (SUBMIT_SECONDS, Kind::Histogram, Unit::Seconds, "From the arrival of a Submit to its durable receipts."),
    (COMMIT_BATCH_OPERATIONS, Kind::Histogram, Unit::Count, "Operations in one commit."),
    (COMMIT_SECONDS, Kind::Histogram, Unit::Seconds, "One commit of the database."),
    (STORE_ERRORS_TOTAL, Kind::Counter, Unit::Count, "Writes that failed, by kind."),
    (
        WORKSPACES_READ_ONLY,
        Kind::Gauge,
        Unit::Count,
        "Workspaces that are read-only because their stored data contradict themselves.",
    ),
    (WORKING_SETS_BYTES, Kind::Gauge, Unit::Bytes, "Roughly what write lanes keep of workspaces in memory."),
    (RECENT_CHANGES_BYTES, Kind::Gauge, Unit::Bytes, "Roughly what is kept of recent changes in memory."),
    (FEED_SUBSCRIBERS, Kind::Gauge, Unit::Count, "Feeds that are open."),
    (
        FEED_CHANGES_DELIVERED_TOTAL,
        Kind::Counter,
        Unit::Count,
        "Changes handed to feeds, once for each feed.",
    ),
    (FEED_LAG_SECONDS, Kind::Histogram, Unit::Seconds, "From the commit of a change until a feed sends it."),
    (CONNECTIONS, Kind::Gauge, Unit::Count, "Client connections under a lease, by transport."),
    (CONFLICTS_OPENED_TOTAL, Kind::Counter, Unit::Count, "Conflicts recorded, by kind."),
    (CONFLICTS_CLOSED_TOTAL, Kind::Counter, Unit::Count, "Conflicts closed, by reason."),
    (REMINDERS_FIRED_TOTAL, Kind::Counter, Unit::Count, "Reminders of deferred conflicts that fired."),
    (GRPC_CALLS_TOTAL, Kind::Counter, Unit::Count, "Calls that ended, by method and status code."),
    (GRPC_CALL_SECONDS, Kind::Histogram, Unit::Seconds, "Unary calls from arrival to end, by method."),
    (GRPC_STREAMS_OPEN, Kind::Gauge, Unit::Count, "Streaming calls that are open, by method."),
    (SOCKETS_OPEN, Kind::Gauge, Unit::Count, "TCP connections that are open."),
    (SOCKETS_ACCEPTED_TOTAL, Kind::Counter, Unit::Count, "TCP connections that were taken."),
    (SOCKETS_REFUSED_TOTAL, Kind::Counter, Unit::Count, "TCP connections closed at once for want of room."),
    (SLOW_PEERS_TOTAL, Kind::Counter, Unit::Count, "Peers that did not read, by what was ended of theirs."),
    (SOCKET_ERRORS_TOTAL, Kind::Counter, Unit::Count, "Failures to take a TCP connection, by reason."),
];

/// Why logging or metrics could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse; the configuration checks it before.
    #[error("log.level: {detail}")]
    InvalidFilter {
        /// What the parser said.
        detail: String,
    },
    /// Logging was started before in this process.
    #[error("logging was started twice in this process")]
    LogStarted,
    /// The metrics' address cannot be listened on.
    #[error("cannot listen on metrics.listen = {address}: {source}; choose another address, or none at all")]
    MetricsAddress {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Metrics were started before in this process.
    #[error("metrics were started twice in this process")]
    MetricsStarted,
    /// The exporter could not be built.
    #[error("cannot start metrics: {detail}")]
    Exporter {
        /// What it said.
        detail: String,
    },
}

/// Sends log lines to standard error as the configuration says, for the whole process.
pub fn init_log(log: &LogConfig) -> Result<(), TelemetryError> {
    let subscriber = subscriber(log, io::stderr, io::stderr().is_terminal())?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::LogStarted)
}

fn subscriber<W>(
    log: &LogConfig,
    writer: W,
    colours: bool,
) -> Result<impl tracing::Subscriber + Send + Sync + use<W>, TelemetryError>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&log.level)
        .map_err(|error| TelemetryError::InvalidFilter { detail: error.to_string() })?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Pretty => fmt::layer().with_writer(writer).with_ansi(colours).boxed(),
        // JSON escapes control characters by nature, so that a client's text cannot forge a line.
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(filter)))
}

/// The metrics' listener. Dropping it closes the port.
#[must_use = "dropping it closes the port"]
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts to record metrics and serves them at this address for Prometheus. Call it within a tokio runtime,
/// once in a process, before anything keeps a handle to a metric.
pub fn serve_metrics(address: SocketAddr) -> Result<MetricsServer, TelemetryError> {
    // The exporter binds by itself and hides why it cannot, and which port it got for port 0. So ask the operating
    // system first.
    let address = TcpListener::bind(address)
        .and_then(|probe| probe.local_addr())
        .map_err(|source| TelemetryError::MetricsAddress { address, source })?;
    let exporter_error = |error: BuildError| match error {
        BuildError::FailedToCreateHTTPListener(detail) => {
            TelemetryError::MetricsAddress { address, source: io::Error::other(detail) }
        }
        BuildError::FailedToSetGlobalRecorder(_) => TelemetryError::MetricsStarted,
        other => TelemetryError::Exporter { detail: other.to_string() },
    };
    // `build` spawns the upkeep as well.
    let (recorder, serve) =
        builder().and_then(|b| b.with_http_listener(address).build()).map_err(exporter_error)?;
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsStarted)?;
    describe();
    let task = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(?error, "the metrics' listener has failed");
        }
    });
    Ok(MetricsServer { address, task })
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .upkeep_timeout(UPKEEP_INTERVAL)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_BATCH_OPERATIONS.to_owned()), BATCH_BUCKETS)
}

fn describe() {
    for (name, kind, unit, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let config = LogConfig { level: level.to_owned(), format };
        let subscriber = subscriber(&config, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_escape_control_characters_and_carry_the_call() {
        let text = logged("info", LogFormat::Json, || {
            let span = tracing::info_span!("rpc", method = "a.B/C", workspace = tracing::field::Empty);
            span.record("workspace", "w\n\x1b[31m");
            let _entered = span.enter();
            tracing::info!(name = "x\n{\"forged\":1}", "said");
            tracing::debug!("not said");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert!(text.starts_with('{') && text.trim_end().ends_with('}'), "{text}");
        for part in ["\"message\":\"said\"", "\"method\":\"a.B/C\"", "\"level\":\"INFO\"", "\\u001b"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn lines_for_people_stay_one_line_and_without_control_characters() {
        let text = logged("info,quiet=off", LogFormat::Pretty, || {
            tracing::info!(name = "x\n\x1b[31m", "said");
            tracing::error!(target: "quiet", "not said");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\x1b') && text.contains("said"), "{text}");
    }

    #[test]
    fn a_filter_that_does_not_parse_is_an_error() {
        let config = LogConfig { level: "a=loud".to_owned(), format: LogFormat::Json };
        let error = subscriber(&config, io::sink, false).err().map(|error| error.to_string());
        assert!(error.unwrap().starts_with("log.level: "));
    }

    #[test]
    fn metric_names_follow_one_convention() {
        let mut names: Vec<_> = METRICS.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for (name, kind, unit, help) in METRICS {
            assert!(name.starts_with("syncline_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn histograms_are_rendered_with_buckets_and_help() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!(SUBMIT_SECONDS).record(0.003);
            metrics::histogram!(COMMIT_BATCH_OPERATIONS).record(300.0);
            metrics::counter!(OPERATIONS_TOTAL, "outcome" => "applied").increment(2);
        });
        handle.run_upkeep();
        let text = handle.render();
        for line in [
            "# HELP syncline_submit_seconds From the arrival of a Submit to its durable receipts.",
            "syncline_submit_seconds_bucket{le=\"0.0025\"} 0",
            "syncline_submit_seconds_bucket{le=\"0.005\"} 1",
            "syncline_commit_batch_operations_bucket{le=\"512\"} 1",
            "syncline_operations_total{outcome=\"applied\"} 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    async fn scrape(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    // One test, since a process has one recorder.
    #[tokio::test]
    async fn metrics_are_served_once_and_a_taken_port_is_a_clear_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = serve_metrics(address).expect_err("the port is taken").to_string();
        assert!(
            error.contains(&format!("metrics.listen = {address}")) && error.contains("in use"),
            "{error}"
        );

        let server = serve_metrics("127.0.0.1:0".parse().unwrap()).expect("a free port");
        metrics::counter!(REMINDERS_FIRED_TOTAL).increment(3);
        let text = scrape(server.address()).await.unwrap();
        assert!(text.contains("syncline_reminders_fired_total 3"), "{text}");

        let again = serve_metrics("127.0.0.1:0".parse().unwrap());
        assert!(matches!(again, Err(TelemetryError::MetricsStarted)), "{again:?}");

        let address = server.address();
        drop(server);
        while scrape(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}
