//! What can be wrong with a text edit.

use crate::causality::Seq;
use std::fmt;

/// Why a text edit, an effect or a replay does not fit. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    /// A hunk neither deletes nor inserts.
    EmptyHunk {
        /// Which hunk, from 0.
        index: usize,
    },
    /// A hunk overlaps or touches the one before it, or stands before it.
    NotSorted {
        /// Which hunk, from 0.
        index: usize,
    },
    /// A hunk reaches past the end of what its author saw.
    OutOfBounds {
        /// Where the hunk begins.
        pos: u32,
        /// How many characters it deletes.
        del: u32,
        /// How many characters its author saw.
        view_len: u32,
    },
    /// The text, deleted characters of the window included, would exceed what a position can express.
    TooLong,
    /// An operation was offered to a window out of the order of the workspace.
    OutOfOrder {
        /// Position of the operation.
        seq: Seq,
        /// The last position in the window.
        last_seq: Seq,
    },
    /// The author's base lies before the window's, so its view cannot be rebuilt from there.
    StaleBase {
        /// The author's base.
        base_seq: Seq,
        /// The window's base.
        window_base_seq: Seq,
    },
    /// An effect covers another number of characters than the text has.
    SpliceLength {
        /// Which splice, from 0.
        index: usize,
    },
    /// An effect mentions other characters than the text has in that place.
    SpliceContent {
        /// Which splice, from 0.
        index: usize,
    },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyHunk { index } => {
                write!(f, "hunk {index} neither deletes nor inserts anything")
            }
            Self::NotSorted { index } => {
                write!(f, "hunk {index} overlaps, touches or precedes the hunk before it")
            }
            Self::OutOfBounds { pos, del, view_len } => {
                write!(f, "a hunk at {pos} deleting {del} does not fit a text of {view_len} characters")
            }
            Self::TooLong => write!(f, "the text is longer than a position can express"),
            Self::OutOfOrder { seq, last_seq } => {
                write!(f, "operation {seq} does not follow operation {last_seq}")
            }
            Self::StaleBase { base_seq, window_base_seq } => {
                write!(f, "base {base_seq} lies before the window's base {window_base_seq}")
            }
            Self::SpliceLength { index } => {
                write!(f, "the effect does not cover the text: its splice {index} does not fit")
            }
            Self::SpliceContent { index } => {
                write!(f, "splice {index} of the effect mentions other text")
            }
        }
    }
}

impl std::error::Error for TextError {}
