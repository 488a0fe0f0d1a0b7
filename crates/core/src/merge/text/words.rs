//! Where words begin and end: the grain at which whole texts are compared and clashes are shown.
//!
//! A simple form of the word boundaries of UAX 29 that every client can repeat. A text is taken as graphemes, of
//! which ASCII characters always begin new ones. Letters,
//! digits and underscores stand together; so do blanks; everything else stands alone, and so does every character of
//! scripts that are written without blanks. An apostrophe between letters belongs to the word, a point or a comma between
//! digits to the number.

use unicode_segmentation::UnicodeSegmentation;

/// How many characters on either side are looked at to tell whether a word goes on. Longer words may be cut.
pub(super) const WORD_REACH_CHARS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Blank,
    Apostrophe,
    Separator,
    Alone,
}

/// Scripts that are written without blanks between words.
fn stands_alone(character: char) -> bool {
    matches!(character,
        '\u{0E00}'..='\u{0EFF}' // Thai, Lao
        | '\u{1000}'..='\u{109F}' // Myanmar
        | '\u{1780}'..='\u{17FF}' // Khmer
        | '\u{3040}'..='\u{309F}' // Hiragana
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // Han
        | '\u{20000}'..='\u{3FFFF}')
}

fn class_of(grapheme: &str) -> Class {
    match grapheme.chars().next() {
        Some('\n' | '\r') | None => Class::Alone,
        Some('\'' | '\u{2019}') => Class::Apostrophe,
        Some('.' | ',') => Class::Separator,
        Some(c) if c.is_whitespace() => Class::Blank,
        Some(c) if stands_alone(c) => Class::Alone,
        Some(c) if c.is_numeric() => Class::Digit,
        Some(c) if c.is_alphabetic() || c == '_' => Class::Letter,
        Some(_) => Class::Alone,
    }
}

/// The graphemes of a text, each with where it begins. A printable character of ASCII always begins one, also behind the few
/// characters that Unicode joins with whatever follows: so a client can take each stretch of other characters on its own.
fn parts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.grapheme_indices(true).flat_map(|(at, grapheme)| {
        let begins = |(offset, c): &(usize, char)| *offset == 0 || matches!(c, ' '..='~' | '\t');
        let starts: Vec<usize> = grapheme.char_indices().filter(begins).map(|(offset, _)| offset).collect();
        let ends = starts.clone().into_iter().skip(1).chain([grapheme.len()]);
        starts.into_iter().zip(ends).map(move |(start, end)| (at + start, &grapheme[start..end]))
    })
}

/// Cuts a text into words and what stands between them. Together they are the text.
pub(super) fn words(text: &str) -> Vec<&str> {
    let graphemes: Vec<(usize, Class)> = parts(text).map(|(at, grapheme)| (at, class_of(grapheme))).collect();
    let class = |index: usize| graphemes.get(index).map(|(_, class)| *class);
    let is_word = |class: Class| matches!(class, Class::Letter | Class::Digit);
    let goes_on = |index: usize| {
        let (Some(before), Some(here)) = (class(index.wrapping_sub(1)), class(index)) else { return false };
        match (before, here) {
            (Class::Blank, Class::Blank) => true,
            (before, here) if is_word(before) && is_word(here) => true,
            (Class::Letter, Class::Apostrophe) => class(index + 1) == Some(Class::Letter),
            (Class::Apostrophe, Class::Letter) => class(index.wrapping_sub(2)) == Some(Class::Letter),
            (Class::Digit, Class::Separator) => class(index + 1) == Some(Class::Digit),
            (Class::Separator, Class::Digit) => class(index.wrapping_sub(2)) == Some(Class::Digit),
            _ => false,
        }
    };
    let mut starts: Vec<usize> =
        (0..graphemes.len()).filter(|index| !goes_on(*index)).map(|index| graphemes[index].0).collect();
    starts.push(text.len());
    starts.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// Whether no word goes on from the first text into the second one. Only what stands near is looked at.
pub fn is_word_boundary(left: &str, right: &str) -> bool {
    if left.is_empty() || right.is_empty() {
        return true;
    }
    let left = last_chars(left, WORD_REACH_CHARS);
    let near = format!("{left}{}", first_chars(right, WORD_REACH_CHARS));
    let mut end = 0;
    words(&near).into_iter().any(|word| {
        end += word.len();
        end == left.len()
    })
}

/// The number of characters of the last word of a text, as far as words are looked at.
pub fn last_word_chars(text: &str) -> u32 {
    count(words(last_chars(text, WORD_REACH_CHARS)).last())
}

/// The number of characters of the first word of a text, as far as words are looked at.
pub fn first_word_chars(text: &str) -> u32 {
    count(words(first_chars(text, WORD_REACH_CHARS)).first())
}

fn count(word: Option<&&str>) -> u32 {
    word.map_or(0, |word| u32::try_from(word.chars().count()).unwrap_or(u32::MAX))
}

/// The first so many characters of a text.
pub(super) fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// The last so many characters of a text.
pub(super) fn last_chars(text: &str, count: usize) -> &str {
    match count.checked_sub(1).and_then(|before| text.char_indices().rev().nth(before)) {
        Some((start, _)) => &text[start..],
        None if count == 0 => "",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_stands_between_them() {
        for (text, wanted) in [
            ("", vec![]),
            ("ship on Monday", vec!["ship", " ", "on", " ", "Monday"]),
            ("don't, 3.14!", vec!["don't", ",", " ", "3.14", "!"]),
            ("a'", vec!["a", "'"]),
            ("end. Next", vec!["end", ".", " ", "Next"]),
            ("a  \n b", vec!["a", "  ", "\n", " ", "b"]),
            ("naïve cafe\u{301} x_1", vec!["naïve", " ", "cafe\u{301}", " ", "x_1"]),
            ("漢字とカナ", vec!["漢", "字", "と", "カナ"]),
            ("👩\u{200D}👩\u{200D}👧🇩🇪!", vec!["👩\u{200D}👩\u{200D}👧", "🇩🇪", "!"]),
            ("привет мир", vec!["привет", " ", "мир"]),
        ] {
            assert_eq!(words(text), wanted);
        }
    }

    #[test]
    fn a_boundary_is_where_no_word_goes_on() {
        assert!(is_word_boundary("on ", "Monday"));
        assert!(!is_word_boundary("Mon", "day"));
        assert!(!is_word_boundary("don", "'t"));
        assert!(is_word_boundary("don", "'"));
        assert!(is_word_boundary("", "x") && is_word_boundary("x", ""));
        assert!(!is_word_boundary("cafe", "\u{301}"));
        let long = "x".repeat(1000);
        assert!(!is_word_boundary(&long, &long));
        assert_eq!((last_word_chars("on Monday"), first_word_chars("Monday at")), (6, 6));
        assert_eq!(last_word_chars(&long), 64);
        assert_eq!((last_chars("abc", 0), last_chars("abc", 2), last_chars("abc", 9)), ("", "bc", "abc"));
    }
}
