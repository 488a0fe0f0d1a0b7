//! Where the replay of a window has to begin.

use crate::causality::Seq;
use crate::fault;

/// Finds the critical base of an operation: the latest position such that the operation, and every settled
/// one after that position, knew everything up to it. Characters settled by then need no history.
///
/// Feed it the field's settled text operations from the latest backwards, for as long as it wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriticalBase {
    seq: Seq,
}

impl CriticalBase {
    /// Starts from the base of the operation to be integrated.
    pub fn new(base_seq: Seq) -> Self {
        Self { seq: base_seq }
    }

    /// Takes the next earlier settled operation. Returns whether still earlier ones matter: `false` means
    /// that this one lies at or before the critical base, which is therefore final.
    pub fn offer(&mut self, seq: Seq, base_seq: Seq) -> bool {
        if seq <= self.seq {
            return false;
        }
        if !fault!(CriticalBaseNotIterated) {
            self.seq = self.seq.min(base_seq);
        }
        true
    }

    /// The critical base, final once [`CriticalBase::offer`] returned `false` or nothing is left to offer.
    pub fn seq(&self) -> Seq {
        self.seq
    }
}

/// [`CriticalBase`] over an iterator of `(seq, base_seq)` in descending order of `seq`. It takes no more
/// from the iterator than it needs: one item beyond the window.
pub fn critical_base(base_seq: Seq, settled: impl IntoIterator<Item = (Seq, Seq)>) -> Seq {
    let mut critical = CriticalBase::new(base_seq);
    for (seq, base_seq) in settled {
        if !critical.offer(seq, base_seq) {
            break;
        }
    }
    critical.seq()
}
