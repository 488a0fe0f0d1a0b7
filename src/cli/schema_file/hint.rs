//! What a mistaken word may have meant.

/// The word that is nearest to a mistaken one, if any is near: at most one slip in three letters.
fn nearest<'w>(mistaken: &str, words: &[&'w str]) -> Option<&'w str> {
    let slips_max = (mistaken.chars().count() / 3).max(1);
    let folded = mistaken.to_ascii_lowercase().replace('-', "_");
    let scored = words.iter().map(|word| (strsim::osa_distance(&folded, word), *word));
    scored.filter(|(slips, _)| *slips <= slips_max).min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

/// What to say after "there is no …": the word that may have been meant, or all there are.
pub(super) fn hint(mistaken: &str, words: &[&str]) -> String {
    match nearest(mistaken, words) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there are {}", listed(words)),
    }
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => format!("only `{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hint;

    const KINDS: [&str; 4] = ["register", "text", "to_one", "to_many"];

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        for (mistaken, meant) in
            [("regster", "register"), ("To-One", "to_one"), ("txet", "text"), ("tomany", "to_many")]
        {
            assert_eq!(hint(mistaken, &KINDS), format!("did you mean `{meant}`?"), "{mistaken}");
        }
        for mistaken in ["string", "", "enum", "список"] {
            assert_eq!(hint(mistaken, &KINDS), "there are `register`, `text`, `to_one` and `to_many`");
        }
    }
}
