//! The same work by several servers in turn, so that changes in the machine's speed affect all alike.

use serde::Serialize;

/// What one server's turn came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Turn {
    pub rate_per_s: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub operations: u64,
    /// What was wrong: failed calls, or a history that is not what was promised.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// In which order servers have their turn: each begins as often as the others.
pub(crate) fn order(servers: usize, turn: u32) -> impl Iterator<Item = usize> {
    let first = turn as usize % servers.max(1);
    (0..servers).map(move |n| (first + n) % servers)
}

/// The median: of an even number of values, the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    if values.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn every_server_begins_a_turn() {
        let firsts: Vec<_> = (0..3).filter_map(|turn| order(3, turn).next()).collect();
        assert_eq!(firsts, [0, 1, 2]);
        assert_eq!(order(3, 1).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
