//! The place of a stream that all its feeds send through.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::engine::feed::FRAME_BYTES;
use crate::grpc::outflow::{Claim, Outflow};

use super::{FRAMES_AHEAD, Item};

/// Sends frames on a stream, as its client reads them. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    items: mpsc::Sender<Item>,
    outflow: Arc<Outflow>,
}

/// The stream is gone.
#[derive(Debug)]
pub(super) struct Gone;

/// Room for one frame.
pub(super) struct Place<'s> {
    item: mpsc::Permit<'s, Item>,
    room: Claim,
}

impl Sender {
    /// A stream to this peer.
    pub(super) fn channel(outflow: Arc<Outflow>) -> (Sender, mpsc::Receiver<Item>) {
        let (items, receiver) = mpsc::channel(FRAMES_AHEAD);
        (Sender { items, outflow }, receiver)
    }

    /// Waits for room on the stream, and in what may wait for its peer. Cancelling loses nothing.
    pub(super) async fn reserve(&self) -> Result<Place<'_>, Gone> {
        let item = self.items.reserve().await.map_err(|_| Gone)?;
        tokio::select! {
            room = self.outflow.room(FRAME_BYTES) => Ok(Place { item, room }),
            () = self.items.closed() => Err(Gone),
        }
    }

    /// Sends something small as soon as there is a place on the stream.
    pub(super) async fn send(&self, item: Item) -> Result<(), Gone> {
        self.items.send(item).await.map_err(|_| Gone)
    }

    /// Waits until the stream is gone.
    pub(super) async fn closed(&self) {
        self.items.closed().await;
    }
}

impl Place<'_> {
    /// Sends a frame, which keeps its room until it is encoded into the stream.
    pub(super) fn send(self, item: Item) {
        let Place { item: place, room } = self;
        place.send(item.map(|frame| room.over(frame)));
    }
}
