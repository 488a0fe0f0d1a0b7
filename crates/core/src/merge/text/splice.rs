//! Effects: what an operation did to the trunk, in a form that can be applied and undone.

use super::TextError;
use std::ops::Range;

/// A step over the text, from its beginning to its end.
///
/// An effect keeps the deleted text, so that the text before it can be restored from the text after it, and
/// it covers the whole text, so that applying it to the wrong text is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Splice {
    /// This many characters stay.
    Retain(u32),
    /// This text is new.
    Insert(String),
    /// This text is gone.
    Delete(String),
}

/// Applies an effect to the text it was computed for.
///
/// # Errors
///
/// [`TextError::SpliceLength`] or [`TextError::SpliceContent`] when `text` is not the text the effect belongs to.
pub fn apply_splices(text: &str, splices: &[Splice]) -> Result<String, TextError> {
    walk(text, splices, Direction::Forward)
}

/// Takes an effect back: from the text after it to the text before it.
///
/// # Errors
///
/// [`TextError::SpliceLength`] or [`TextError::SpliceContent`] when `text` is not what the effect led to.
pub fn undo_splices(text: &str, splices: &[Splice]) -> Result<String, TextError> {
    walk(text, splices, Direction::Backward)
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

fn walk(text: &str, splices: &[Splice], direction: Direction) -> Result<String, TextError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    for (index, splice) in splices.iter().enumerate() {
        match (splice, direction) {
            (Splice::Retain(len), _) => {
                let (kept, behind) = try_split_chars(rest, *len).ok_or(TextError::SpliceLength { index })?;
                result.push_str(kept);
                rest = behind;
            }
            (Splice::Insert(new), Direction::Forward) | (Splice::Delete(new), Direction::Backward) => {
                result.push_str(new)
            }
            (Splice::Delete(old), Direction::Forward) | (Splice::Insert(old), Direction::Backward) => {
                rest = rest.strip_prefix(old.as_str()).ok_or(TextError::SpliceContent { index })?;
            }
        }
    }
    if rest.is_empty() { Ok(result) } else { Err(TextError::SpliceLength { index: splices.len() }) }
}

/// Builds an effect; neighbours of one kind become one splice and empty ones disappear.
#[derive(Default)]
pub(super) struct Builder {
    splices: Vec<Splice>,
}

impl Builder {
    pub(super) fn retain(&mut self, len: u32) {
        if len == 0 {
            return;
        }
        match self.splices.last_mut() {
            // The sum is the length of a part of a text whose length is known to fit.
            Some(Splice::Retain(before)) => *before = before.saturating_add(len),
            _ => self.splices.push(Splice::Retain(len)),
        }
    }

    pub(super) fn insert(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.splices.last_mut() {
            Some(Splice::Insert(before)) => before.push_str(text),
            _ => self.splices.push(Splice::Insert(text.to_owned())),
        }
    }

    pub(super) fn delete(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.splices.last_mut() {
            Some(Splice::Delete(before)) => before.push_str(text),
            _ => self.splices.push(Splice::Delete(text.to_owned())),
        }
    }

    pub(super) fn finish(self) -> Vec<Splice> {
        self.splices
    }
}

/// Number of characters, if a position can express it.
pub(super) fn char_count(text: &str) -> Result<u32, TextError> {
    u32::try_from(text.chars().count()).map_err(|_| TextError::TooLong)
}

/// Splits behind the first `len` characters; `None` when there are fewer.
pub(super) fn try_split_chars(text: &str, len: u32) -> Option<(&str, &str)> {
    let len = usize::try_from(len).ok()?;
    let at = str_indices::chars::to_byte_idx(text, len);
    // For a length beyond the end, the library returns the end.
    if at == text.len() && str_indices::chars::count(text) < len {
        return None;
    }
    Some(text.split_at(at))
}

/// A stretch of a text by its characters; what reaches beyond the end is left out.
pub fn slice_chars(text: &str, range: Range<u32>) -> &str {
    let (_, from) = split_chars(text, range.start);
    split_chars(from, range.end.saturating_sub(range.start)).0
}

/// Splits behind the first `len` characters, or behind the last one when there are fewer.
pub(super) fn split_chars(text: &str, len: u32) -> (&str, &str) {
    try_split_chars(text, len).unwrap_or((text, ""))
}
