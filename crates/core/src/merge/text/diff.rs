//! Hunks from two whole texts, for callers that replace a text instead of editing it.

use super::Hunk;
use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Bound on the product of the lengths of the differing middles. Beyond it the middle becomes one hunk.
///
/// A bound on the size of the problem, unlike a deadline, gives the same hunks on every machine.
pub const DIFF_WORK_LIMIT: u64 = 16_000_000;

/// The hunks that turn `old` into `new`, by characters; they satisfy [`validate_hunks`](super::validate_hunks).
/// Neither text may have more characters than a `u32` counts.
pub fn diff(old: &str, new: &str) -> Vec<Hunk> {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let prefix = common_len(old.iter(), new.iter());
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let suffix = common_len(old.iter().rev(), new.iter().rev());
    let (old, new) = (&old[..old.len() - suffix], &new[..new.len() - suffix]);

    let work = len_u64(old).saturating_mul(len_u64(new));
    if old.is_empty() || new.is_empty() || work > DIFF_WORK_LIMIT {
        return Gap { old: 0, new: 0 }.hunk(prefix, old, new, old.len(), new.len()).into_iter().collect();
    }

    // One hunk per stretch between characters that stay, which also keeps hunks from touching.
    let mut hunks = Vec::new();
    let mut gap = Gap { old: 0, new: 0 };
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if op.tag() != DiffTag::Equal {
            continue;
        }
        let (kept_old, kept_new) = (op.old_range(), op.new_range());
        hunks.extend(gap.hunk(prefix, old, new, kept_old.start, kept_new.start));
        gap = Gap { old: kept_old.end, new: kept_new.end };
    }
    hunks.extend(gap.hunk(prefix, old, new, old.len(), new.len()));
    hunks
}

/// Where a stretch of difference begins in either text.
struct Gap {
    old: usize,
    new: usize,
}

impl Gap {
    /// The hunk from here to the given ends, if there is any difference.
    fn hunk(
        &self,
        offset: usize,
        old: &[char],
        new: &[char],
        old_end: usize,
        new_end: usize,
    ) -> Option<Hunk> {
        let deleted = &old[self.old..old_end];
        let inserted = &new[self.new..new_end];
        if deleted.is_empty() && inserted.is_empty() {
            return None;
        }
        Some(Hunk {
            pos: to_u32(offset + self.old),
            del: to_u32(deleted.len()),
            ins: inserted.iter().collect(),
        })
    }
}

fn common_len<'a>(old: impl Iterator<Item = &'a char>, new: impl Iterator<Item = &'a char>) -> usize {
    old.zip(new).take_while(|(a, b)| a == b).count()
}

fn len_u64(chars: &[char]) -> u64 {
    u64::try_from(chars.len()).unwrap_or(u64::MAX)
}

/// Exact within the stated bound on the texts.
fn to_u32(pos: usize) -> u32 {
    u32::try_from(pos).unwrap_or(u32::MAX)
}
