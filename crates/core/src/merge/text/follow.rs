//! Where a stretch of a text is after an edit.

use super::Splice;
use super::splice::split_chars;
use std::ops::Range;

/// At which end of a stretch something was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Directly before its first character.
    Start,
    /// Directly behind its last character.
    End,
}

/// A stretch of a text after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Where it is in the text after the edit.
    pub range: Range<u32>,
    /// Whether the edit changed something in it.
    pub touched: bool,
    /// Text before it that the edit took away together with a part of it: it belongs to the stretch now.
    pub before: String,
    /// The same behind it.
    pub behind: String,
}

/// A replacement in an effect: what stands between two characters that stay.
struct Chunk {
    /// Where it begins in the text before, and in the text after.
    at: u32,
    deleted: String,
    deleted_len: u32,
    inserted: String,
    inserted_len: u32,
}

impl Chunk {
    fn end(&self) -> u32 {
        self.at + self.deleted_len
    }
}

/// Follows a stretch through an effect. A replacement that overlaps its edge widens it; `belongs` says whether what was only
/// inserted exactly at an edge is a part of it.
pub fn follow(splices: &[Splice], stretch: Range<u32>, belongs: impl Fn(Edge, &str) -> bool) -> Followed {
    let chunks = chunks(splices);
    let mut old = stretch.clone();
    let (mut before, mut behind) = (String::new(), String::new());
    let mut inside = vec![false; chunks.len()];
    for (chunk, inside) in chunks.iter().zip(&mut inside) {
        *inside = if chunk.deleted_len == 0 {
            (stretch.start < chunk.at && chunk.at < stretch.end)
                || (chunk.at == stretch.start && belongs(Edge::Start, &chunk.inserted))
                || (chunk.at == stretch.end && belongs(Edge::End, &chunk.inserted))
        } else if stretch.is_empty() {
            chunk.at < stretch.start && chunk.end() > stretch.end
        } else {
            chunk.at < stretch.end && chunk.end() > stretch.start
        };
        if !*inside {
            continue;
        }
        if chunk.at < stretch.start {
            let (taken, _) = split_chars(&chunk.deleted, stretch.start - chunk.at);
            taken.clone_into(&mut before);
            old.start = chunk.at;
        }
        if chunk.end() > stretch.end {
            let kept = chunk.deleted_len - (chunk.end() - stretch.end);
            split_chars(&chunk.deleted, kept).1.clone_into(&mut behind);
            old.end = chunk.end();
        }
    }
    let moved = |pos: u32, counts: &dyn Fn(&Chunk, bool) -> bool| {
        let counted = chunks.iter().zip(&inside).filter(|(chunk, inside)| counts(chunk, **inside));
        counted.fold(pos, |pos, (chunk, _)| pos + chunk.inserted_len - chunk.deleted_len)
    };
    // What is inserted at an edge without belonging there stands before an empty stretch.
    let start = moved(old.start, &|chunk, inside| !inside && chunk.end() <= old.start);
    let end = moved(old.end, &|chunk, inside| {
        inside || chunk.end() <= old.start || (chunk.end() <= old.end && chunk.at < old.end)
    });
    Followed { range: start..end.max(start), touched: inside.contains(&true), before, behind }
}

fn chunks(splices: &[Splice]) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let (mut pos, mut open) = (0, false);
    for splice in splices {
        let text = match splice {
            Splice::Retain(len) => {
                pos += len;
                open = false;
                continue;
            }
            Splice::Insert(text) | Splice::Delete(text) => text,
        };
        if !open {
            chunks.push(Chunk {
                at: pos,
                deleted: String::new(),
                deleted_len: 0,
                inserted: String::new(),
                inserted_len: 0,
            });
            open = true;
        }
        let Some(chunk) = chunks.last_mut() else { continue };
        let len = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        if matches!(splice, Splice::Insert(_)) {
            chunk.inserted.push_str(text);
            chunk.inserted_len += len;
        } else {
            chunk.deleted.push_str(text);
            chunk.deleted_len += len;
            pos += len;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::text::{Hunk, apply_hunks};
    use proptest::prelude::*;

    fn followed(
        text: &str,
        stretch: Range<u32>,
        hunk: (u32, u32, &str),
        belongs: bool,
    ) -> (String, Followed) {
        let mut text = text.to_owned();
        let hunk = Hunk { pos: hunk.0, del: hunk.1, ins: hunk.2.to_owned() };
        let splices = apply_hunks(&mut text, &[hunk]).expect("a hunk that fits");
        let followed = follow(&splices, stretch, |_, _| belongs);
        let range = followed.range.clone();
        let stretch = text.chars().skip(range.start as usize).take((range.end - range.start) as usize);
        (stretch.collect(), followed)
    }

    #[test]
    fn a_stretch_moves_with_what_stands_around_it() {
        // "cd" of "abcdef"
        for (hunk, belongs, stretch, touched, before, behind) in [
            ((0, 0, "x"), false, "cd", false, "", ""),
            ((0, 2, ""), false, "cd", false, "", ""),
            ((4, 2, "x"), false, "cd", false, "", ""),
            ((0, 2, "x"), false, "cd", false, "", ""),
            ((2, 0, "x"), false, "cd", false, "", ""),
            ((2, 0, "x"), true, "xcd", true, "", ""),
            ((4, 0, "x"), false, "cd", false, "", ""),
            ((4, 0, "x"), true, "cdx", true, "", ""),
            ((3, 0, "x"), false, "cxd", true, "", ""),
            ((2, 2, "x"), false, "x", true, "", ""),
            ((2, 2, ""), false, "", true, "", ""),
            ((1, 2, "x"), false, "xd", true, "b", ""),
            ((3, 2, "x"), false, "cx", true, "", "e"),
            ((0, 6, "x"), false, "x", true, "ab", "ef"),
        ] {
            let (text, followed) = followed("abcdef", 2..4, hunk, belongs);
            let wanted = (stretch.to_owned(), touched, before.to_owned(), behind.to_owned());
            assert_eq!((text, followed.touched, followed.before, followed.behind), wanted, "{hunk:?}");
        }
    }

    #[test]
    fn an_empty_stretch_stays_where_it_is() {
        for (hunk, belongs, range, touched) in [
            ((1, 0, "x"), false, 3..3, false),
            ((2, 0, "x"), false, 3..3, false),
            ((2, 0, "x"), true, 2..3, true),
            ((1, 1, ""), false, 1..1, false),
            ((2, 1, "x"), false, 2..2, false),
            ((1, 2, "x"), false, 1..2, true),
        ] {
            let (_, followed) = followed("abcd", 2..2, hunk, belongs);
            assert_eq!((followed.range, followed.touched), (range, touched), "{hunk:?}");
        }
    }

    proptest! {
        #[test]
        fn what_lies_outside_stays_outside(
            text in "[a-zé🦊]{0,20}", from in 0..20_usize, len in 0..20_usize, pos in 0..20_usize, del in 0..20_usize,
            ins in "[A-Z]{0,3}", belongs: bool,
        ) {
            let count = text.chars().count();
            let from = from.min(count);
            let to = (from + len).min(count);
            let pos = pos.min(count);
            let del = del.min(count - pos);
            prop_assume!(del > 0 || !ins.is_empty());
            let (stretch, followed) =
                followed(&text, from as u32..to as u32, (pos as u32, del as u32, &ins), belongs);
            let old: String = text.chars().skip(from).take(to - from).collect();
            if !followed.touched {
                prop_assert_eq!(stretch, old);
            } else {
                // Every character of the stretch is there, or deleted; no other one came in except the new ones.
                let widened = format!("{}{old}{}", followed.before, followed.behind);
                let mut rest = widened.chars();
                prop_assert!(
                    stretch.chars().all(|c| c.is_ascii_uppercase() || rest.any(|other| other == c)),
                    "{stretch:?} of {widened:?}"
                );
            }
        }
    }
}
