//! Composes patches, each made on the text that the one before left, into one list of hunks on the original text.

use syncline_core::merge::text::Hunk;

/// One recorded patch.
pub(super) struct Patch {
    pub position: u32,
    pub deleted: u32,
    pub inserted: String,
}

/// A stretch of the text so far.
enum Piece {
    /// Characters of the original text.
    Original {
        start: u32,
        length: u32,
    },
    Inserted(Vec<char>),
}

impl Piece {
    fn length(&self) -> u32 {
        match self {
            Piece::Original { length, .. } => *length,
            Piece::Inserted(text) => u32::try_from(text.len()).unwrap_or(u32::MAX),
        }
    }

    /// Splits the piece in two, at an offset inside it.
    fn split(self, at: u32) -> (Piece, Piece) {
        match self {
            Piece::Original { start, length } => (
                Piece::Original { start, length: at },
                Piece::Original { start: start + at, length: length - at },
            ),
            Piece::Inserted(mut text) => {
                let rest = text.split_off((at as usize).min(text.len()));
                (Piece::Inserted(text), Piece::Inserted(rest))
            }
        }
    }
}

/// Composes patches into hunks that are sorted, disjoint and do not touch.
pub(super) fn compose(patches: impl Iterator<Item = Patch>) -> Vec<Hunk> {
    // The original's length does not matter: what is never touched needs no end.
    let mut pieces = vec![Piece::Original { start: 0, length: u32::MAX / 2 }];
    for patch in patches {
        let (mut left, right) = cut(pieces, patch.position);
        let (_, rest) = cut(right, patch.deleted);
        if !patch.inserted.is_empty() {
            left.push(Piece::Inserted(patch.inserted.chars().collect()));
        }
        left.extend(rest);
        pieces = left;
    }
    hunks(pieces)
}

/// The pieces up to a position, and those after it.
fn cut(pieces: Vec<Piece>, position: u32) -> (Vec<Piece>, Vec<Piece>) {
    let mut left = Vec::new();
    let mut right = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let length = piece.length();
        if at + length <= position {
            left.push(piece);
        } else if at >= position {
            right.push(piece);
        } else {
            let (before, after) = piece.split(position - at);
            left.push(before);
            right.push(after);
        }
        at = at.saturating_add(length);
    }
    (left, right)
}

/// What lies between stretches of the original.
fn hunks(pieces: Vec<Piece>) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let mut position = 0;
    let mut inserted = String::new();
    for piece in pieces {
        match piece {
            Piece::Inserted(text) => inserted.extend(text),
            Piece::Original { length: 0, .. } => {}
            Piece::Original { start, length } => {
                if start > position || !inserted.is_empty() {
                    hunks.push(Hunk {
                        pos: position,
                        del: start - position,
                        ins: std::mem::take(&mut inserted),
                    });
                }
                position = start + length;
            }
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(position: u32, deleted: u32, inserted: &str) -> Patch {
        Patch { position, deleted, inserted: inserted.to_owned() }
    }

    fn apply(text: &str, hunks: &[Hunk]) -> String {
        let mut text = text.to_owned();
        syncline_core::merge::text::apply_hunks(&mut text, hunks).expect("valid hunks");
        text
    }

    #[test]
    fn patches_in_sequence_become_hunks_of_the_first_text() {
        let patches =
            [patch(0, 1, "J"), patch(5, 0, ","), patch(7, 5, "wörld"), patch(12, 0, "!"), patch(12, 1, "?")];
        let mut expected: Vec<char> = "Hello world".chars().collect();
        for p in &patches {
            let range = p.position as usize..(p.position + p.deleted) as usize;
            expected.splice(range, p.inserted.chars());
        }
        let hunks = compose(patches.into_iter());
        syncline_core::merge::text::validate_hunks(&hunks).expect("valid hunks");
        assert_eq!(apply("Hello world", &hunks), expected.into_iter().collect::<String>());
    }

    #[test]
    fn what_is_inserted_and_deleted_again_leaves_no_hunk() {
        assert_eq!(compose([patch(3, 0, "abc"), patch(3, 3, "")].into_iter()), []);
    }
}
