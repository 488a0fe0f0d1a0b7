//! Hunks from two whole texts, for callers that replace a text instead of editing it.
//!
//! Texts are compared word by word. Compared letter by letter, "Monday" and "Tuesday" share their last three letters by
//! chance; if two people each replaced the day, the letters they kept would run together into a word that neither wrote.
//! Only a stretch to which letters were merely added, or from which they were merely removed, is narrowed down to those
//! letters, so that two people can still type into the same word.

use super::Hunk;
use super::shortest::{Kept, kept};
use super::words::{WORD_REACH_CHARS, words};
use crate::limits::TEXT_HUNKS_MAX;

/// Bound on the product of the numbers of words in the differing middles. Beyond it the middle becomes one hunk.
///
/// A bound on the size of the problem, unlike a deadline, gives the same hunks on every machine.
pub const DIFF_WORK_LIMIT: u64 = 16_000_000;

/// The hunks that turn `old` into `new`; they satisfy [`validate_hunks`](super::validate_hunks). Neither text may have more
/// characters than a `u32` counts.
pub fn diff(old: &str, new: &str) -> Vec<Hunk> {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let prefix = common_len(old.iter(), new.iter());
    if prefix == old.len() && prefix == new.len() {
        return Vec::new();
    }
    let suffix = common_len(old[prefix..].iter().rev(), new[prefix..].iter().rev());
    // Words at the edges of what differs are compared whole.
    let start = prefix.saturating_sub(WORD_REACH_CHARS);
    let behind = suffix.saturating_sub(WORD_REACH_CHARS);
    let old: String = old[start..old.len() - behind].iter().collect();
    let new: String = new[start..new.len() - behind].iter().collect();
    let mut pos = to_u32(start);
    let mut hunks = Vec::new();
    for step in few(cleaned(steps(&words(&old), &words(&new)))) {
        match step {
            Step::Kept(text) => pos += char_count(&text),
            Step::Changed { old, new } => {
                hunks.push(hunk(pos, &old, &new));
                pos += char_count(&old);
            }
        }
    }
    hunks
}

/// A stretch of two texts, in their order.
enum Step {
    Kept(String),
    Changed { old: String, new: String },
}

/// The two texts word by word. Kept and changed stretches take turns.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let prefix = common_len(old.iter(), new.iter());
    let suffix = common_len(old[prefix..].iter().rev(), new[prefix..].iter().rev());
    let (old_end, new_end) = (old.len() - suffix, new.len() - suffix);
    let (old_middle, new_middle) = (&old[prefix..old_end], &new[prefix..new_end]);

    let mut steps = vec![Step::Kept(old[..prefix].concat())];
    let mut gap = (0, 0);
    let change = |steps: &mut Vec<Step>, from: (usize, usize), to: (usize, usize)| {
        if from != to {
            let (old, new) = (old_middle[from.0..to.0].concat(), new_middle[from.1..to.1].concat());
            steps.push(Step::Changed { old, new });
        }
    };
    let work = len_u64(old_middle).saturating_mul(len_u64(new_middle));
    if !old_middle.is_empty() && !new_middle.is_empty() && work <= DIFF_WORK_LIMIT {
        for Kept { old, new, len } in kept(old_middle, new_middle) {
            change(&mut steps, gap, (old, new));
            steps.push(Step::Kept(old_middle[old..old + len].concat()));
            gap = (old + len, new + len);
        }
    }
    change(&mut steps, gap, (old_middle.len(), new_middle.len()));
    steps.push(Step::Kept(old[old_end..].concat()));
    steps
}

/// Takes what stays between two changes for chance, and for a part of one change, when it is not longer than either of
/// them. Between two insertions, or two deletions, it is meant.
fn cleaned(steps: Vec<Step>) -> Vec<Step> {
    let mut cleaned: Vec<Step> = Vec::new();
    for step in steps {
        cleaned.push(step);
        while let [
            ..,
            Step::Changed { old: old_1, new: new_1 },
            Step::Kept(kept),
            Step::Changed { old: old_2, new: new_2 },
        ] = &cleaned[..]
        {
            let len = char_count(kept);
            let longest = |old: &str, new: &str| char_count(old).max(char_count(new));
            let one_way = old_1.is_empty() && old_2.is_empty() || new_1.is_empty() && new_2.is_empty();
            if one_way || len > longest(old_1, new_1) || len > longest(old_2, new_2) {
                break;
            }
            let whole =
                Step::Changed { old: format!("{old_1}{kept}{old_2}"), new: format!("{new_1}{kept}{new_2}") };
            cleaned.truncate(cleaned.len() - 3);
            cleaned.push(whole);
        }
    }
    cleaned
}

/// Makes one change of all, if there are more than an edit may have.
fn few(steps: Vec<Step>) -> Vec<Step> {
    let changed = |step: &Step| matches!(step, Step::Changed { .. });
    if steps.iter().filter(|step| changed(step)).count() <= TEXT_HUNKS_MAX {
        return steps;
    }
    let first = steps.iter().position(changed).unwrap_or(0);
    let last = steps.iter().rposition(changed).unwrap_or(0);
    let (mut old, mut new) = (String::new(), String::new());
    for step in &steps[first..=last] {
        match step {
            Step::Kept(text) => {
                old.push_str(text);
                new.push_str(text);
            }
            Step::Changed { old: before, new: after } => {
                old.push_str(before);
                new.push_str(after);
            }
        }
    }
    let mut few: Vec<Step> = steps;
    few.splice(first..=last, [Step::Changed { old, new }]);
    few
}

/// The change of one stretch: what was inserted or deleted if it is only that, else a replacement of the whole.
fn hunk(pos: u32, old: &str, new: &str) -> Hunk {
    let (old_len, new_len) = (char_count(old), char_count(new));
    let prefix = to_u32(common_len(old.chars(), new.chars()));
    let suffix = to_u32(common_len(old.chars().rev(), new.chars().rev()));
    let shorter = old_len.min(new_len);
    if prefix + suffix < shorter {
        return Hunk { pos, del: old_len, ins: new.to_owned() };
    }
    let ins = new.chars().skip(prefix as usize).take((new_len - shorter) as usize).collect();
    Hunk { pos: pos + prefix, del: old_len - shorter, ins }
}

fn common_len<T: PartialEq>(old: impl Iterator<Item = T>, new: impl Iterator<Item = T>) -> usize {
    old.zip(new).take_while(|(a, b)| a == b).count()
}

fn len_u64(words: &[&str]) -> u64 {
    u64::try_from(words.len()).unwrap_or(u64::MAX)
}

/// Exact within the stated bound on the texts.
fn char_count(text: &str) -> u32 {
    to_u32(text.chars().count())
}

/// Exact within the stated bound on the texts.
fn to_u32(pos: usize) -> u32 {
    u32::try_from(pos).unwrap_or(u32::MAX)
}
