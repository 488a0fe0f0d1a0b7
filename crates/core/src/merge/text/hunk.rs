//! Hunks: what an author writes, and the fast path for authors who saw the trunk.

use super::{Splice, TextError, splice};
use crate::causality::{Author, Seq};
/// One replacement of text: `del` characters at `pos` of the author's view give way to `ins`.
///
/// All hunks of an operation count positions in the same view, the one before the operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hunk {
    /// Where it begins, in characters of the author's view.
    pub pos: u32,
    /// How many characters it deletes.
    pub del: u32,
    /// What it inserts in their place.
    pub ins: String,
}

impl Hunk {
    /// The first position behind what the hunk deletes.
    pub(super) fn end(&self) -> Option<u32> {
        self.pos.checked_add(self.del)
    }
}

/// A hunk with the server's decision on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledHunk {
    /// The hunk as its author wrote it.
    pub hunk: Hunk,
    /// The earliest operation it clashed with, if any (or its own, of a decision). It is absent from the trunk then, and its author
    /// sees it until that operation is in the author's base.
    pub suppressed_by: Option<Seq>,
}

/// A text operation with its place in the order.
///
/// A window takes one of these per operation: several mutations of one operation on one field are composed
/// into one list of hunks before they get here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextOp {
    /// Who wrote it and what they knew.
    pub author: Author,
    /// Its position.
    pub seq: Seq,
    /// What it changes, sorted by position, with the decision on each.
    pub hunks: Vec<SettledHunk>,
}

/// Checks what can be checked without the text: every hunk does something, and they are sorted with at
/// least one untouched character between any two.
///
/// # Errors
///
/// [`TextError::EmptyHunk`] or [`TextError::NotSorted`].
pub fn validate_hunks(hunks: &[Hunk]) -> Result<(), TextError> {
    validate(hunks.iter())
}

pub(super) fn validate<'a>(hunks: impl Iterator<Item = &'a Hunk>) -> Result<(), TextError> {
    let mut previous_end = None;
    for (index, hunk) in hunks.enumerate() {
        if hunk.del == 0 && hunk.ins.is_empty() {
            return Err(TextError::EmptyHunk { index });
        }
        if previous_end.is_some_and(|end| hunk.pos <= end) {
            return Err(TextError::NotSorted { index });
        }
        // What ends beyond any position is outside of every text: the bounds will say so.
        previous_end = Some(hunk.end().unwrap_or(u32::MAX));
    }
    Ok(())
}

/// Checks that sorted hunks lie within a view of `view_len` characters.
pub(super) fn check_bounds<'a>(
    mut hunks: impl DoubleEndedIterator<Item = &'a Hunk>,
    view_len: u32,
) -> Result<(), TextError> {
    // Sorted and disjoint: the last one reaches farthest.
    match hunks.next_back() {
        Some(hunk) if hunk.end().is_none_or(|end| end > view_len) => {
            Err(TextError::OutOfBounds { pos: hunk.pos, del: hunk.del, view_len })
        }
        _ => Ok(()),
    }
}

/// Applies hunks whose author saw exactly `text`, and returns their effect.
///
/// # Errors
///
/// Those of [`validate_hunks`], [`TextError::OutOfBounds`] and [`TextError::TooLong`]; `text` is unchanged.
pub fn apply_hunks(text: &mut String, hunks: &[Hunk]) -> Result<Vec<Splice>, TextError> {
    validate_hunks(hunks)?;
    let text_len = splice::char_count(text)?;
    check_bounds(hunks.iter(), text_len)?;

    let mut effect = splice::Builder::default();
    let mut result = String::with_capacity(text.len());
    let mut new_len = u64::from(text_len);
    let (mut rest, mut pos) = (text.as_str(), 0);
    for hunk in hunks {
        let (kept, from) = splice::split_chars(rest, hunk.pos - pos);
        let (deleted, behind) = splice::split_chars(from, hunk.del);
        effect.retain(hunk.pos - pos);
        effect.insert(&hunk.ins);
        effect.delete(deleted);
        result.push_str(kept);
        result.push_str(&hunk.ins);
        new_len += u64::from(splice::char_count(&hunk.ins)?);
        new_len -= u64::from(hunk.del);
        (rest, pos) = (behind, hunk.pos + hunk.del);
    }
    effect.retain(text_len - pos);
    result.push_str(rest);
    if new_len > u64::from(u32::MAX) {
        return Err(TextError::TooLong);
    }
    *text = result;
    Ok(effect.finish())
}
