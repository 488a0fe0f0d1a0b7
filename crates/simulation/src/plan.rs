//! What a seed stands for: how many servers and clients there are, how they behave, and which faults come when.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// No fault comes before this, in milliseconds of simulated time.
const FAULTS_FROM_MS: u64 = 600;
/// Clients write up to here, at the latest.
const WORK_MS_MAX: u64 = 4_500;
/// A day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A run.
#[derive(Debug)]
pub(super) struct Plan {
    pub servers: usize,
    /// Whether the servers expect other servers; if there are several, they have to.
    pub shared: bool,
    pub clients: Vec<ClientProfile>,
    /// Everything is repaired at this time, and nobody writes any more.
    pub mended_at_ms: u64,
    pub faults: Vec<Fault>,
    /// From then on servers never hear each other's announcements again, so that polling has to do.
    pub silent_to_the_end: bool,
    /// Settings of the servers.
    pub recent_changes: usize,
    pub chunk_records: usize,
    pub stream_age_ms: u64,
    /// Slowest delivery of a message in normal times.
    pub latency_ms: u64,
}

/// How a client behaves.
#[derive(Debug)]
pub(super) struct ClientProfile {
    /// When the client begins, with a snapshot; if absent, it begins at once and from the beginning of the feed.
    pub late_ms: Option<u64>,
    /// Pause between two operations, at most.
    pub pause_ms: u64,
    /// Reads frames with pauses up to this.
    pub slow_ms: u64,
    /// Whether it reads its feed by Subscribe instead of Watch.
    pub subscribes: bool,
    /// Follows changing choices of collections through a feed of their own.
    pub chooses: bool,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub at_ms: u64,
    pub for_ms: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// The server's process ends between two ticks, and starts again.
    Crash { server: usize },
    /// The server's process ends at its n-th call of the store from now, before or after the call took effect.
    CrashAtCall { server: usize, calls: u32, after: bool },
    /// The server is told to stop, and starts again.
    Stop { server: usize },
    /// Nothing passes between the two; what was on the way is lost.
    Partition { client: usize, server: usize },
    /// Nothing passes one way.
    OneWay { client: usize, server: usize, to_server: bool },
    /// Everything between the two waits.
    Hold { client: usize, server: usize },
    /// Messages take up to this long, everywhere.
    Slow { latency_ms: u64 },
    /// Messages are lost with this probability, everywhere. A lost one breaks its connection silently.
    Loss { per_mille: u16 },
    /// A server's clock steps, and stays there for a while.
    ClockStep { server: usize, by_ms: i64 },
    /// Calls of the store wait until it is over.
    StoreStall,
    /// Calls of the store take up to this long each.
    StoreSlow { call_ms: u64 },
    /// Commits fail with these probabilities in percent: refused, unknown and lost, unknown and stored.
    BadCommits { full: u8, lost: u8, stored: u8 },
    /// Servers do not hear each other.
    Silence,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Plan {
        let mut dice = StdRng::seed_from_u64(seed ^ 0x5eed);
        let servers = dice.random_range(1..=super::SERVERS_MAX);
        let clients: Vec<ClientProfile> =
            (0..dice.random_range(2..=5)).map(|n| habits(n, &mut dice)).collect();
        let mended_at_ms = dice.random_range(WORK_MS_MAX / 2..WORK_MS_MAX);
        let mut faults: Vec<Fault> = (0..dice.random_range(2..=9))
            .map(|_| fault(servers, clients.len(), mended_at_ms, &mut dice))
            .collect();
        faults.sort_by_key(|fault| fault.at_ms);
        Plan {
            servers,
            shared: servers > 1 || dice.random_bool(0.3),
            clients,
            mended_at_ms,
            faults,
            silent_to_the_end: dice.random_bool(0.3),
            chunk_records: [1, 3, 2_000][dice.random_range(0..3)],
            recent_changes: [2, 8, 64, 1_024][dice.random_range(0..4)],
            stream_age_ms: [700, 2_000, 60_000][dice.random_range(0..3)],
            latency_ms: [2, 10, 40][dice.random_range(0..3)],
        }
    }
}

fn habits(n: usize, dice: &mut StdRng) -> ClientProfile {
    // The first one is there from the beginning: it makes the workspace.
    let late = n > 0 && dice.random_bool(0.3);
    ClientProfile {
        late_ms: late.then(|| dice.random_range(500..2_500)),
        pause_ms: [30, 100, 300][dice.random_range(0..3)],
        slow_ms: if dice.random_bool(0.2) { dice.random_range(20..200) } else { 0 },
        subscribes: dice.random_bool(0.5),
        chooses: dice.random_bool(0.4),
    }
}

fn fault(servers: usize, clients: usize, mended_at_ms: u64, dice: &mut StdRng) -> Fault {
    let at_ms = dice.random_range(FAULTS_FROM_MS..mended_at_ms);
    let for_ms =
        if dice.random_bool(0.3) { dice.random_range(400..2_000) } else { dice.random_range(20..400) };
    let server = dice.random_range(0..servers);
    let client = dice.random_range(0..clients);
    let kind = match dice.random_range(0..24) {
        0..3 => Kind::Crash { server },
        3..8 => Kind::CrashAtCall { server, calls: dice.random_range(1..40), after: dice.random_bool(0.5) },
        8..10 => Kind::Stop { server },
        10..12 => Kind::Partition { client, server },
        12 => Kind::OneWay { client, server, to_server: dice.random_bool(0.5) },
        13..15 => Kind::Hold { client, server },
        15 => Kind::Slow { latency_ms: dice.random_range(50..300) },
        16 => Kind::Loss { per_mille: dice.random_range(5..50) },
        17 => Kind::ClockStep { server, by_ms: dice.random_range(-DAY_MS..DAY_MS) },
        18 => Kind::StoreStall,
        19 => Kind::StoreSlow { call_ms: dice.random_range(5..40) },
        20..22 => Kind::BadCommits {
            full: dice.random_range(0..30),
            lost: dice.random_range(0..30),
            stored: dice.random_range(0..30),
        },
        _ => Kind::Silence,
    };
    Fault { at_ms, for_ms, kind }
}
