//! The one hash of the project: BLAKE3 cut to 128 bits.

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

fn truncate(full: blake3::Hash) -> Hash {
    let mut short = Hash::default();
    short.copy_from_slice(&full.as_bytes()[..16]);
    short
}
