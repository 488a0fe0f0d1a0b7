//! What a feed that is behind costs: a store that counts the changes which are read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::time::Instant;

use super::feed::{FeedItem, Opened, Origin};
use super::lane::tests::write;
use super::{Engine, EngineOptions, SystemClock, SystemRandomness};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, StoreReader, StoreWriter};
use syncline_core::operation::{Action, Mutation, Operation};
use syncline_core::schema::SchemaUpdate;
use syncline_core::selection::Collections;
use syncline_core::value::Value;

/// Changes in the history, and the size of each: one fits into a frame, and two do not.
const CHANGES: usize = 100;
const CHANGE_BYTES: usize = 50_000;
/// What a feed may read of them: each change, each once more that did not fit, and what it reads before it knows how
/// large they are.
const READ_MAX: usize = 2 * CHANGES + 16;

struct Counting {
    inner: MemoryStore,
    read: Arc<AtomicUsize>,
}

struct CountingReader {
    inner: Box<dyn StoreReader>,
    read: Arc<AtomicUsize>,
}

macro_rules! read {
    ($self:ident, changes($ws:expr, $from:expr, $to:expr, $limit:expr)) => {{
        let changes = $self.inner.changes($ws, $from, $to, $limit).await?;
        $self.read.fetch_add(changes.len(), Ordering::Relaxed);
        Ok(changes)
    }};
    ($self:ident, $method:ident($($argument:expr),*)) => {
        $self.inner.$method($($argument),*).await
    };
}

crate::store_reader!(CountingReader, read);

#[async_trait]
impl Store for Counting {
    async fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        Ok(Box::new(CountingReader { inner: self.inner.reader().await?, read: Arc::clone(&self.read) }))
    }

    async fn writer(&self) -> Result<Box<dyn StoreWriter>, StoreError> {
        self.inner.writer().await
    }

    fn name(&self) -> &'static str {
        "counting"
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// Creates a record with a large value.
fn write_much(name: &str) -> Operation {
    let mut operation = write(name);
    if let Some(Mutation::Record(mutation)) = operation.mutations.first_mut()
        && let Action::Create { fields, .. } = &mut mutation.action
    {
        fields.push(("title".into(), Value::String("x".repeat(CHANGE_BYTES).into())));
    }
    operation
}

#[tokio::test]
async fn a_feed_that_is_behind_reads_about_what_it_sends() {
    let read = Arc::new(AtomicUsize::new(0));
    let store = Counting { inner: MemoryStore::new(), read: Arc::clone(&read) };
    // Nothing is kept in memory for feeds.
    let options = EngineOptions { recent_changes: 0, ..EngineOptions::default() };
    let started = Engine::start(Arc::new(store), options, Arc::new(SystemClock), Arc::new(SystemRandomness));
    let engine = started.await.expect("an engine");
    engine.create_workspace("w", "", &SchemaUpdate::default()).await.expect("a workspace");
    for n in 0..CHANGES {
        engine.submit("w", vec![write_much(&n.to_string())], false).await.expect("a receipt");
    }
    read.store(0, Ordering::Relaxed);
    let opened = engine.open_feed("w", Origin::Beginning, Collections::everything()).await.expect("a feed");
    let Opened::Feed(mut feed) = opened else { panic!("a feed can begin at the beginning") };
    let mut sent = 0;
    while sent < CHANGES {
        feed.ready().await;
        match feed.take(Instant::now()).await.expect("an item") {
            Some(FeedItem::Changes { changes, .. }) => sent += changes.len(),
            Some(_) => panic!("nothing but changes was to come"),
            None => {}
        }
    }
    let read = read.load(Ordering::Relaxed);
    assert!((CHANGES..=READ_MAX).contains(&read), "{read} changes were read to send {CHANGES}");
}
