//! What a mistaken name may have meant.

use super::keys::{KEYS, Key};

/// Maximum number of edits between a name and what may have been meant, for its section and for the rest each.
const HINT_DISTANCE_MAX: usize = 3;
/// Longest name that is compared with the keys.
const HINT_NAME_CHARS_MAX: usize = 64;

/// The key that a mistaken dotted name may have meant.
pub(super) fn suggest(name: &str) -> Option<&'static Key> {
    if name.chars().count() > HINT_NAME_CHARS_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    let (section, own) = name.rsplit_once('.').unwrap_or(("", &name));
    let plausible_edits = (own.chars().count() / 3).clamp(1, HINT_DISTANCE_MAX);
    let score = |key: &Key| {
        let (key_section, key_own) = key.name.split_once('.').unwrap_or(("", key.name));
        // A shortened name, such as `drain`, counts as a single slip.
        let cut = own.len() >= 4 && key_own.starts_with(own) && own != key_own;
        let own_edits = if cut { 1 } else { distance(own, key_own) };
        let section_edits = distance(section, key_section).min(HINT_DISTANCE_MAX);
        (own_edits <= plausible_edits).then_some(own_edits + section_edits)
    };
    let scored = KEYS.iter().filter_map(|key| score(key).map(|edits| (edits, key)));
    scored.min_by_key(|(edits, _)| *edits).map(|(_, key)| key)
}

/// What to say about a mistaken dotted name.
pub(super) fn hint(name: &str) -> String {
    if let Some(key) = suggest(name) {
        return format!("did you mean `{}`?", key.name);
    }
    let section = name.split('.').next().unwrap_or(name);
    let within: Vec<&str> = KEYS
        .iter()
        .filter_map(|key| key.name.split_once('.').filter(|(of, _)| *of == section).map(|(_, own)| own))
        .collect();
    if within.is_empty() {
        "--print-effective-config lists what there is".to_owned()
    } else {
        format!("section [{section}] has {}", within.join(", "))
    }
}

/// Edits between two names: insert, delete, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}
