//! The characters of one insertion, addressable by character without scanning them all.

/// Distance between two entries of the byte index of a text that is not plain ASCII.
const MARK_CHARS: u32 = 128;

/// A text that only grows at its end, with quick access by character position.
#[derive(Debug, Clone)]
pub(super) struct RunText {
    text: String,
    char_len: u32,
    /// Byte offset of every [`MARK_CHARS`]th character; empty for ASCII, where characters are bytes.
    marks: Vec<usize>,
}

impl RunText {
    /// `text` must not have more characters than a `u32` counts; the window checks that before.
    pub(super) fn new(text: String) -> Self {
        if text.is_ascii() {
            let char_len = saturating_u32(text.len());
            return Self { text, char_len, marks: Vec::new() };
        }
        let mut marks = Vec::new();
        let mut char_len = 0u32;
        for (offset, _) in text.char_indices() {
            if char_len.is_multiple_of(MARK_CHARS) {
                marks.push(offset);
            }
            char_len = char_len.saturating_add(1);
        }
        Self { text, char_len, marks }
    }

    /// Adds characters at the end. Together they must not have more characters than a `u32` counts.
    pub(super) fn push(&mut self, more: &str) {
        if self.marks.is_empty() && more.is_ascii() {
            self.char_len = self.char_len.saturating_add(saturating_u32(more.len()));
            self.text.push_str(more);
            return;
        }
        if self.marks.is_empty() {
            // All characters so far are bytes.
            self.marks = (0..to_usize(self.char_len)).step_by(to_usize(MARK_CHARS)).collect();
        }
        let before = self.text.len();
        for (offset, _) in more.char_indices() {
            if self.char_len.is_multiple_of(MARK_CHARS) {
                self.marks.push(before + offset);
            }
            self.char_len = self.char_len.saturating_add(1);
        }
        self.text.push_str(more);
    }

    pub(super) fn char_len(&self) -> u32 {
        self.char_len
    }

    /// `len` characters from character `start` on.
    pub(super) fn slice(&self, start: u32, len: u32) -> &str {
        let from = self.byte_offset(start);
        let to = self.byte_offset(start.saturating_add(len));
        self.text.get(from..to).unwrap_or_default()
    }

    fn byte_offset(&self, pos: u32) -> usize {
        if pos >= self.char_len {
            return self.text.len();
        }
        if self.marks.is_empty() {
            return to_usize(pos);
        }
        let mark = self.marks.get(to_usize(pos / MARK_CHARS)).copied().unwrap_or(self.text.len());
        let mut chars = self.text.get(mark..).unwrap_or_default().chars();
        if let Some(last) = (pos % MARK_CHARS).checked_sub(1) {
            chars.nth(to_usize(last));
        }
        self.text.len() - chars.as_str().len()
    }
}

fn to_usize(pos: u32) -> usize {
    usize::try_from(pos).unwrap_or(usize::MAX)
}

fn saturating_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
