//! What waits for a connection's peer, and the end of peers that do not read.
//!
//! HTTP/2 lets a peer decide how much it takes, and what it does not take waits here. So that a peer that never reads costs
//! little, feeds and snapshots claim room in what may wait for their connection before they produce anything
//! ([`Outflow::room`]), and everything that goes into a response's body is cut into pieces and counted until the transport
//! has sent it. A peer that takes nothing for too long is cut off; where it reads some of its streams, the others are
//! ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use metrics::counter;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::telemetry::SLOW_PEERS_TOTAL;

/// Bytes that may wait for a connection's peer, beside a single change that is larger.
pub const UNREAD_BYTES_MAX: usize = 256 * 1024;
/// How long a peer may leave unread what waits for it.
pub const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The same once the server is stopping.
pub const UNREAD_WHILE_STOPPING_TIMEOUT: Duration = Duration::from_secs(2);
/// How often all peers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who is at the other end of a connection; every request has it among its extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The peer's address, if the operating system knows it.
    pub address: Option<SocketAddr>,
    /// What waits for it.
    pub outflow: Arc<Outflow>,
}

/// What waits for one connection's peer.
#[derive(Debug, Default)]
pub struct Outflow {
    state: Mutex<State>,
    /// Somebody waits for room, and there may be some now.
    freed: Notify,
    cut: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Claimed by what is being produced.
    claimed_bytes: usize,
    /// In bodies, and in the transport below them.
    unread_bytes: usize,
    /// When the peer last took something, or when something began to wait for it.
    progress_at: Option<Instant>,
    streams: HashMap<u64, Stream>,
    last_stream: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let State { claimed_bytes, unread_bytes, progress_at: _, streams, last_stream: _ } = self;
        write!(f, "{claimed_bytes} bytes claimed, {unread_bytes} unread, {} streams", streams.len())
    }
}

struct Stream {
    /// Since when the peer has made no room for the next piece; `None` while it waits for us.
    unread_since: Option<Instant>,
    body: Weak<dyn End>,
}

/// Something that can be ended from outside.
pub(super) trait End: Send + Sync {
    /// Produces nothing more, and lets go of everything it holds.
    fn end(&self);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outflow {
    /// Waits until there is room for something that is about to be produced, and takes it. What is larger than all there
    /// may be gets it when nothing else waits.
    pub async fn room(self: &Arc<Outflow>, bytes: usize) -> Claim {
        loop {
            let freed = self.freed.notified();
            if let Some(claim) = self.try_claim(bytes) {
                return claim;
            }
            freed.await;
        }
    }

    fn try_claim(self: &Arc<Outflow>, bytes: usize) -> Option<Claim> {
        let mut state = lock(&self.state);
        let waiting = state.claimed_bytes + state.unread_bytes;
        if waiting > 0 && waiting.saturating_add(bytes) > UNREAD_BYTES_MAX {
            return None;
        }
        state.claimed_bytes += bytes;
        Some(Claim { outflow: Arc::clone(self), bytes })
    }

    /// Cancelled when the peer is to be cut off.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Enters a stream, whose turn is the peer's until it asks for the first piece.
    pub(super) fn enter(&self, body: Weak<dyn End>) -> u64 {
        let mut state = lock(&self.state);
        state.last_stream += 1;
        let id = state.last_stream;
        state.streams.insert(id, Stream { unread_since: Some(Instant::now()), body });
        id
    }

    pub(super) fn leave(&self, stream: u64) {
        lock(&self.state).streams.remove(&stream);
    }

    /// The peer has made room on the stream.
    pub(super) fn asked(&self, stream: u64) {
        if let Some(stream) = lock(&self.state).streams.get_mut(&stream) {
            stream.unread_since = None;
        }
    }

    /// A piece was given to the transport: it is the peer's turn.
    pub(super) fn handed(&self, stream: u64) {
        if let Some(stream) = lock(&self.state).streams.get_mut(&stream) {
            stream.unread_since = Some(Instant::now());
        }
    }

    /// These bytes wait from now on.
    pub(super) fn add(&self, bytes: usize) {
        let mut state = lock(&self.state);
        if state.unread_bytes == 0 {
            state.progress_at = Some(Instant::now());
        }
        state.unread_bytes += bytes;
    }

    /// These bytes wait no longer, since the transport has sent them, or since they were given up.
    pub(super) fn taken(&self, bytes: usize) {
        let mut state = lock(&self.state);
        state.unread_bytes = state.unread_bytes.saturating_sub(bytes);
        state.progress_at = Some(Instant::now());
        drop(state);
        self.freed.notify_waiters();
    }

    fn resize_claim(&self, from: usize, to: usize) {
        let mut state = lock(&self.state);
        state.claimed_bytes = state.claimed_bytes.saturating_sub(from).saturating_add(to);
        drop(state);
        if to < from {
            self.freed.notify_waiters();
        }
    }

    /// Ends what the peer has left unread for too long: the streams or, while the server stops or when nothing at all is
    /// read, the connection.
    fn look(&self, limit: Duration, stopping: bool) {
        let state = lock(&self.state);
        let late = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= limit);
        let streams: Vec<Weak<dyn End>> =
            state.streams.values().filter(|s| late(s.unread_since)).map(|s| Weak::clone(&s.body)).collect();
        let nothing_is_read = state.unread_bytes > 0 && late(state.progress_at);
        drop(state);
        if self.cut.is_cancelled() {
            return;
        }
        if nothing_is_read || (stopping && !streams.is_empty()) {
            counter!(SLOW_PEERS_TOTAL, "ended" => "connection").increment(1);
            self.cut.cancel();
            return;
        }
        for stream in streams.iter().filter_map(Weak::upgrade) {
            counter!(SLOW_PEERS_TOTAL, "ended" => "stream").increment(1);
            stream.end();
        }
    }
}

/// Room in what may wait for a peer, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    outflow: Arc<Outflow>,
    bytes: usize,
}

impl Claim {
    /// What was produced, with exactly its room until it is dropped.
    pub fn over(mut self, produced: Bytes) -> Bytes {
        self.outflow.resize_claim(self.bytes, produced.len());
        self.bytes = produced.len();
        Bytes::from_owner(Claimed { produced, _claim: self })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.outflow.resize_claim(self.bytes, 0);
    }
}

struct Claimed {
    produced: Bytes,
    _claim: Claim,
}

impl AsRef<[u8]> for Claimed {
    fn as_ref(&self) -> &[u8] {
        &self.produced
    }
}

/// The peers of a listener.
#[derive(Debug, Default)]
pub struct Peers {
    all: Mutex<Vec<Weak<Outflow>>>,
}

impl Peers {
    /// Watches over these until they and their listener are gone. `stopping` is cancelled when the server begins to stop.
    pub fn watched(stopping: CancellationToken) -> Arc<Peers> {
        let peers = Arc::new(Peers::default());
        let watched = Arc::downgrade(&peers);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(peers) = watched.upgrade() else { return };
                peers.look(stopping.is_cancelled());
            }
        });
        peers
    }

    /// A new peer's.
    pub fn outflow(&self) -> Arc<Outflow> {
        let outflow = Arc::default();
        lock(&self.all).push(Arc::downgrade(&outflow));
        outflow
    }

    fn look(&self, stopping: bool) {
        let limit = if stopping { UNREAD_WHILE_STOPPING_TIMEOUT } else { UNREAD_TIMEOUT };
        let mut all = lock(&self.all);
        all.retain(|outflow| outflow.strong_count() > 0);
        let there: Vec<Arc<Outflow>> = all.iter().filter_map(Weak::upgrade).collect();
        drop(all);
        there.iter().for_each(|outflow| outflow.look(limit, stopping));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ends(Mutex<bool>);

    impl End for Ends {
        fn end(&self) {
            *lock(&self.0) = true;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_produced_waits_until_the_peer_has_taken_enough() {
        let outflow = Arc::<Outflow>::default();
        let first = outflow.room(UNREAD_BYTES_MAX).await;
        assert!(outflow.try_claim(1).is_none());
        // It came out smaller: the rest is free again.
        let first = first.over(Bytes::from_static(b"small"));
        let second = outflow.room(UNREAD_BYTES_MAX - 5).await;
        let third = tokio::spawn({
            let outflow = Arc::clone(&outflow);
            async move { outflow.room(10).await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop((first, second));
        let third = third.await.expect("room");
        assert!(outflow.try_claim(UNREAD_BYTES_MAX).is_none());
        drop(third);
        assert!(outflow.try_claim(10 * UNREAD_BYTES_MAX).is_some(), "alone, even what is larger");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_cut_off_and_one_that_reads_a_little_is_not() {
        let peers = Peers::watched(CancellationToken::new());
        let (reads, never) = (peers.outflow(), peers.outflow());
        reads.add(100);
        never.add(100);
        for _ in 0..10 {
            tokio::time::sleep(UNREAD_TIMEOUT / 4).await;
            reads.taken(1);
        }
        assert!(!reads.cut().is_cancelled() && never.cut().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_not_read_ends_and_the_connection_goes_on() {
        let peers = Peers::watched(CancellationToken::new());
        let outflow = peers.outflow();
        let (unread, waiting): (Arc<Ends>, Arc<Ends>) =
            (Arc::new(Ends(Mutex::default())), Arc::new(Ends(Mutex::default())));
        let weak: Weak<Ends> = Arc::downgrade(&unread);
        outflow.enter(weak);
        let weak: Weak<Ends> = Arc::downgrade(&waiting);
        let asked = outflow.enter(weak);
        outflow.asked(asked);
        tokio::time::sleep(UNREAD_TIMEOUT * 2).await;
        assert!(*lock(&unread.0));
        assert!(!*lock(&waiting.0), "a stream that has nothing to send may be quiet");
        assert!(!outflow.cut().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_a_peer_that_does_not_read_for_two_seconds() {
        let stopping = CancellationToken::new();
        let peers = Peers::watched(stopping.clone());
        let outflow = peers.outflow();
        let unread = Arc::new(Ends(Mutex::default()));
        let weak: Weak<Ends> = Arc::downgrade(&unread);
        outflow.enter(weak);
        stopping.cancel();
        tokio::time::sleep(UNREAD_WHILE_STOPPING_TIMEOUT / 2).await;
        assert!(!outflow.cut().is_cancelled());
        tokio::time::sleep(UNREAD_WHILE_STOPPING_TIMEOUT).await;
        assert!(outflow.cut().is_cancelled());
    }
}
