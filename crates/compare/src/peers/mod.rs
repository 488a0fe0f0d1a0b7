//! Clients of the peers: what they write, and how they follow.

pub(crate) mod etcd;
pub(crate) mod nats;
