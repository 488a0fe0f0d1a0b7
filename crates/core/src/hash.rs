//! The one hash of the project: BLAKE3 cut to 128 bits.

use std::fmt;

use super::ids::Dot;

/// 128 bits of BLAKE3.
pub type Hash = [u8; 16];

/// Hash chain before the first operation.
pub const CHAIN_START: Hash = [0; 16];

/// BLAKE3-128 of `bytes`.
pub fn hash(bytes: &[u8]) -> Hash {
    truncate(blake3::hash(bytes))
}

/// `chain(n) = BLAKE3-128(chain(n-1) ‖ operation_hash(n))`: any two histories that agree at a position
/// agree on everything before it.
pub fn chain(previous: &Hash, operation: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    hasher.update(operation);
    truncate(hasher.finalize())
}

/// `operation_hash = BLAKE3-128(hash_salt ‖ content_hash)`: what the feed says of an operation's content. Without the
/// salt nobody can check a guess of the content.
pub fn operation_hash(salt: &Hash, content: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt);
    hasher.update(content);
    truncate(hasher.finalize())
}

/// A workspace's secret, from which the salts of its operations come. It never leaves the server, and its debug output
/// hides it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret from its stored bytes.
    pub const fn new(bytes: [u8; 32]) -> Secret {
        Secret(bytes)
    }

    /// A secret from random ids, which have 122 random bits each.
    pub fn drawn(ids: [uuid::Uuid; 3]) -> Secret {
        let mut hasher = blake3::Hasher::new();
        for id in ids {
            hasher.update(id.as_bytes());
        }
        Secret(*hasher.finalize().as_bytes())
    }

    /// The bytes to store.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `hash_salt = BLAKE3-128(secret; replica ‖ counter)`, keyed with the secret; the replica's 16 bytes and the
    /// counter's 8, the highest first.
    pub fn salt(&self, dot: &Dot) -> Hash {
        let mut input = [0; 24];
        let (replica, counter) = input.split_at_mut(16);
        replica.copy_from_slice(dot.replica.0.as_bytes());
        counter.copy_from_slice(&dot.counter.0.to_be_bytes());
        truncate(blake3::keyed_hash(&self.0, &input))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn truncate(full: blake3::Hash) -> Hash {
    let mut short = Hash::default();
    short.copy_from_slice(&full.as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use crate::causality::Counter;
    use crate::ids::ReplicaId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_salt_is_of_one_workspace_and_one_operation() {
        let dot = |id, counter| Dot { replica: ReplicaId::from_u128(id), counter: Counter(counter) };
        let secrets = [1, 2].map(|byte| Secret::new([byte; 32]));
        let mut salts: Vec<Hash> = secrets
            .iter()
            .flat_map(|secret| [dot(1, 1), dot(1, 2), dot(2, 1), dot(1, 1 << 8)].map(|dot| secret.salt(&dot)))
            .collect();
        assert_eq!(salts[0], secrets[0].salt(&dot(1, 1)));
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 8);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new([7; 32])), "Secret(..)");
    }

    #[test]
    fn secrets_that_are_drawn_differ_in_any_of_the_ids() {
        let ids = [1, 2, 3].map(Uuid::from_u128);
        for at in 0..3 {
            let mut other = ids;
            other[at] = Uuid::from_u128(9);
            assert_ne!(Secret::drawn(ids), Secret::drawn(other));
        }
    }
}
