//! The order of all characters of a window, deleted and suppressed ones included.
//!
//! The characters form a tree, but only its in-order walk is ever needed, so that is what is kept: a list of
//! spans. A span is a stretch of one run that was never divided; it is split when an edit falls into
//! it. Of the tree itself each insertion remembers its parent: the first character hangs off it, and every
//! further character is the right child of the one before. Since operations arrive in settling order, a new
//! insertion is always the last among its siblings, so that its place is the end of its parent's subtree or
//! directly before its parent, and no list of siblings is needed.

use super::run::RunText;
use crate::causality::Seq;
use std::ops::Range;

/// One character: its insertion and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) run: usize,
    pub(super) offset: u32,
}

/// Characters that a hunk inserted, with those that the same author typed on directly behind them; or the text at the
/// window's base.
///
/// A letter typed behind the last one hangs off it exactly as the letters of one insertion hang off each other, so that a
/// sentence is one run, however many operations it took.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) text: RunText,
    /// The insertions, each with its first character, in their order. None for the base text, which everybody knows.
    pub(super) parts: Vec<Part>,
    /// What the first character hangs off; `None` for the root.
    pub(super) parent: Option<Place>,
    pub(super) suppressed_by: Option<Seq>,
}

/// What one hunk contributed to a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Its first character in the run.
    pub(super) start: u32,
    /// Index of the operation in the window.
    pub(super) op: usize,
    /// Number of the hunk in the window.
    pub(super) edit: usize,
}

impl Run {
    /// The insertions that some characters of the run come from, each with the stretch of it that lies among them.
    pub(super) fn parts_of(&self, start: u32, len: u32) -> impl Iterator<Item = (Part, Range<u32>)> + '_ {
        let end = start + len;
        let first = self.parts.partition_point(|part| part.start <= start).saturating_sub(1);
        let ends = self.parts.iter().skip(first + 1).map(|part| part.start).chain([self.text.char_len()]);
        self.parts[first..]
            .iter()
            .zip(ends)
            .take_while(move |(part, _)| part.start < end)
            .map(move |(part, part_end)| (*part, part.start.max(start)..part_end.min(end)))
    }

    /// The last insertion that has characters before a place in the run; none in the base text.
    pub(super) fn last_part(&self, end: u32) -> Option<&Part> {
        let count = self.parts.partition_point(|part| part.start < end);
        self.parts.get(count.checked_sub(1)?)
    }

    /// How many characters at its beginning come from operations that are known. Whoever knows one operation of an author
    /// knows the earlier ones.
    pub(super) fn known_len(&self, is_known: impl Fn(usize) -> bool) -> u32 {
        match &self.parts[..] {
            [] => return self.text.char_len(),
            [.., last] if is_known(last.op) => return self.text.char_len(),
            [only] if only.start == 0 => return 0,
            _ => {}
        }
        let known = self.parts.partition_point(|part| is_known(part.op));
        self.parts.get(known).map_or(self.text.char_len(), |part| part.start)
    }
}

/// The characters one hunk deleted, seen from the hunk.
#[derive(Debug, Clone)]
pub(super) struct Deletion {
    pub(super) op: usize,
    /// Number of the hunk in the window.
    pub(super) edit: usize,
    /// The hunk also inserts. Two hunks that only delete agree with each other; others clash.
    pub(super) replaces: bool,
    pub(super) suppressed_by: Option<Seq>,
}

/// What the operation being integrated did to a span's place in the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Entered,
    Left,
}

/// A stretch of one run whose characters have all been deleted or kept by the same operations.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) run: usize,
    pub(super) start: u32,
    pub(super) len: u32,
    /// Indices into [`Tree::deletions`], suppressed deletions included.
    pub(super) deletions: Vec<usize>,
    /// Neither suppressed nor deleted by an unsuppressed hunk.
    pub(super) in_trunk: bool,
    /// Visible to the author whose operation is being integrated. Scratch, set by `Window::locate`.
    pub(super) seen: bool,
    /// Scratch of the operation being integrated, reset by `Window::locate`.
    pub(super) change: Change,
}

impl Span {
    pub(super) fn first(&self) -> Place {
        Place { run: self.run, offset: self.start }
    }

    pub(super) fn last(&self) -> Place {
        Place { run: self.run, offset: self.start + self.len - 1 }
    }

    /// Cuts the span behind its first `len` characters and returns them; the rest stays.
    fn take_front(&mut self, len: u32) -> Span {
        let front = Span { len, ..self.clone() };
        self.start += len;
        self.len -= len;
        front
    }
}

/// A place inside a span: before its character `offset`, which is neither its first nor past its last.
pub(super) struct Cut {
    pub(super) span: usize,
    pub(super) offset: u32,
}

/// All characters of a window in their order.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) runs: Vec<Run>,
    pub(super) deletions: Vec<Deletion>,
    pub(super) spans: Vec<Span>,
}

impl Tree {
    pub(super) fn new(base_text: &str) -> Self {
        let mut tree = Self { runs: Vec::new(), deletions: Vec::new(), spans: Vec::new() };
        // One right-child chain from the root.
        let base = tree.add_run(Run {
            text: RunText::new(base_text.to_owned()),
            parts: Vec::new(),
            parent: None,
            suppressed_by: None,
        });
        if base.len > 0 {
            tree.spans.push(base);
        }
        tree
    }

    /// Registers an insertion and returns its span, which has no place yet.
    pub(super) fn add_run(&mut self, run: Run) -> Span {
        let in_trunk = run.suppressed_by.is_none();
        let span = Span {
            run: self.runs.len(),
            start: 0,
            len: run.text.char_len(),
            deletions: Vec::new(),
            in_trunk,
            seen: false,
            change: if in_trunk { Change::Entered } else { Change::None },
        };
        self.runs.push(run);
        span
    }

    /// Adds what an author typed directly behind the end of a run and returns its span, which has no place yet.
    pub(super) fn extend_run(&mut self, run: usize, more: &str, op: usize, edit: usize) -> Span {
        let Run { text, parts, suppressed_by, .. } = &mut self.runs[run];
        let start = text.char_len();
        text.push(more);
        parts.push(Part { start, op, edit });
        let in_trunk = suppressed_by.is_none();
        Span {
            run,
            start,
            len: text.char_len() - start,
            deletions: Vec::new(),
            in_trunk,
            seen: false,
            change: if in_trunk { Change::Entered } else { Change::None },
        }
    }

    /// Makes one span of two neighbours if nothing tells them apart any more.
    pub(super) fn join(&mut self, index: usize) {
        let Some([left, right]) = index.checked_sub(1).and_then(|left| self.spans.get(left..=index)) else {
            return;
        };
        let joined = left.run == right.run
            && left.start + left.len == right.start
            && left.in_trunk == right.in_trunk
            && left.deletions == right.deletions;
        if joined {
            let right = self.spans.remove(index);
            self.spans[index - 1].len += right.len;
        }
    }

    pub(super) fn run_of(&self, span: &Span) -> &Run {
        &self.runs[span.run]
    }

    pub(super) fn text_of(&self, span: &Span) -> &str {
        self.run_of(span).text.slice(span.start, span.len)
    }

    /// Whether `place` lies in the subtree of `ancestor`, which includes `ancestor` itself.
    pub(super) fn descends(&self, mut place: Place, ancestor: Place) -> bool {
        loop {
            if place.run == ancestor.run {
                return place.offset >= ancestor.offset;
            }
            // What an insertion hangs off existed before it, so numbers only fall on the way to the root.
            if place.run < ancestor.run {
                return false;
            }
            match self.runs[place.run].parent {
                Some(parent) => place = parent,
                None => return false,
            }
        }
    }

    /// Cuts spans in two; `cuts` are in ascending order and refer to the spans as they are now.
    pub(super) fn split(&mut self, cuts: &[Cut]) {
        let first = match cuts {
            [] => return,
            [cut] => {
                let front = self.spans[cut.span].take_front(cut.offset);
                self.spans.insert(cut.span, front);
                return;
            }
            [first, ..] => first.span,
        };
        let tail = self.spans.split_off(first);
        let mut cuts = cuts.iter().peekable();
        for (index, mut span) in (first..).zip(tail) {
            let mut taken = 0;
            while let Some(cut) = cuts.next_if(|cut| cut.span == index) {
                self.spans.push(span.take_front(cut.offset - taken));
                taken = cut.offset;
            }
            self.spans.push(span);
        }
    }

    /// Puts spans before the spans of the given indices; `arrivals` are in ascending order of index and
    /// the indices refer to the spans as they are now.
    pub(super) fn insert(&mut self, mut arrivals: Vec<(usize, Span)>) {
        let Some(first) = arrivals.first().map(|(index, _)| *index) else {
            return;
        };
        if arrivals.len() == 1 {
            self.spans.splice(first..first, arrivals.pop().map(|(_, arrival)| arrival));
            return;
        }
        let tail = self.spans.split_off(first);
        let mut arrivals = arrivals.into_iter().peekable();
        for (index, span) in (first..).zip(tail) {
            while let Some((_, arrival)) = arrivals.next_if(|(at, _)| *at <= index) {
                self.spans.push(arrival);
            }
            self.spans.push(span);
        }
        self.spans.extend(arrivals.map(|(_, arrival)| arrival));
    }
}
