//! Flags that scenarios share.

use clap::Args;

/// Which server is measured.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// A running server, as http://127.0.0.1:7447; without it, one is started on a temporary database
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// The database of the server that is started; default: a temporary SQLite file
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    pub database_url: Option<String>,
    /// The process of the running server, when it is on this machine: its memory is measured
    #[arg(long, value_name = "PID", requires = "target")]
    pub server_pid: Option<u32>,
}

/// How the result is shown.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// How long and how hard.
#[derive(Debug, Clone, Args)]
pub struct PaceArgs {
    /// TCP connections that calls are spread over
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Calls on their way at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// Calls a second, begun on time whatever the server does (open loop); without it, as many as come back (closed loop)
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub rate: Option<f64>,
    /// How long is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// How long runs before, unmeasured
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub warmup_seconds: u32,
}

/// What is written.
#[derive(Debug, Clone, Copy, Args)]
pub struct ValueArgs {
    /// Size of a written value
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=200_000))]
    pub value_bytes: u32,
    /// Records that each author has for itself and writes to in turn
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub records: u32,
}

/// Parses a rate.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 && rate <= 1e7 => Ok(rate),
        _ => Err("must be a number above 0, at most 10,000,000".to_owned()),
    }
}
