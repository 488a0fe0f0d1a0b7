//! What the outside world was told, and what the disk still knows of it.

use std::collections::{BTreeMap, HashMap};

/// Who wrote an operation (a number; 0 is the server), and its counter.
pub type Dot = (u64, u64);

/// What one run of a server told before its power was cut.
#[derive(Debug, Default)]
pub struct Told {
    /// The log after the position that was asked for, as it was found when the database was opened.
    pub log: Vec<(u64, Dot)>,
    /// The database was opened and its log read to the end.
    pub opened: bool,
    pub acknowledged: Vec<(Dot, u64)>,
    /// Acknowledged by a process that went on after its power was cut, which no machine does: no promise. While the
    /// file system stops, it can report a sync as done that is not.
    pub too_late: Vec<(Dot, u64)>,
    pub delivered: Vec<(u64, Dot)>,
}

/// Everything that was told by all runs over one disk.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The log as it was last found: the operation at position 1 comes first.
    log: Vec<Dot>,
    places: HashMap<Dot, u64>,
    acknowledged: BTreeMap<Dot, u64>,
    delivered: BTreeMap<u64, Dot>,
    too_late: Vec<(Dot, u64)>,
    too_late_count: usize,
    too_late_gone_count: usize,
}

/// How the log that was found differs from what was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Operations that were acknowledged and are not in the log.
    pub acknowledged: Vec<(Dot, u64)>,
    /// Changes that a feed delivered and that are not in the log.
    pub delivered: Vec<(u64, Dot)>,
}

impl Ledger {
    /// The position up to which the log was found before.
    pub fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The next counter of a writer: after the last one that was acknowledged.
    pub fn next_counter(&self, writer: u64) -> u64 {
        let own = (writer, 0)..=(writer, u64::MAX);
        self.acknowledged.range(own).next_back().map_or(1, |((_, counter), _)| counter + 1)
    }

    /// How many operations were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many operations were acknowledged after the power was cut, and how many of these are gone.
    pub fn too_late(&self) -> (usize, usize) {
        (self.too_late_count, self.too_late_gone_count)
    }

    /// Takes in what a run found and told. What it found must be a whole history, whatever is missing at its end.
    pub fn take(&mut self, told: Told) -> Loss {
        let loss = if told.opened { self.compare(&told.log) } else { Loss::default() };
        self.too_late_count += told.too_late.len();
        self.too_late.extend(told.too_late);
        for (dot, seq) in told.acknowledged {
            let before = self.acknowledged.insert(dot, seq);
            assert!(
                before.is_none_or(|b| b == seq),
                "the outcome of {dot:?} changed: {before:?}, then {seq}"
            );
        }
        for (seq, dot) in told.delivered {
            let before = self.delivered.insert(seq, dot);
            assert!(before.is_none_or(|b| b == dot), "feeds delivered {before:?} and {dot:?} at {seq}");
        }
        loss
    }

    fn compare(&mut self, found: &[(u64, Dot)]) -> Loss {
        for (seq, dot) in found {
            assert_eq!(*seq, self.head() + 1, "positions have no gap");
            let doubled = self.places.insert(*dot, *seq);
            assert_eq!(doubled, None, "{dot:?} is in the log twice");
            self.log.push(*dot);
        }
        let known = |seq: u64, dot: Dot| self.log.get(seq as usize - 1) == Some(&dot);
        let lost = |(dot, seq): (&Dot, &u64)| (!known(*seq, *dot)).then_some((*dot, *seq));
        let withdrawn = |(seq, dot): (&u64, &Dot)| (!known(*seq, *dot)).then_some((*seq, *dot));
        let loss = Loss {
            acknowledged: self.acknowledged.iter().filter_map(lost).collect(),
            delivered: self.delivered.iter().filter_map(withdrawn).collect(),
        };
        let gone = |(dot, seq): &&(Dot, u64)| !known(*seq, *dot);
        self.too_late_gone_count += self.too_late.iter().filter(gone).count();
        self.too_late.clear();
        for ((dot, seq), what) in loss
            .acknowledged
            .iter()
            .map(|l| (*l, "acknowledged"))
            .chain(loss.delivered.iter().map(|(seq, dot)| ((*dot, *seq), "delivered")))
        {
            // Lost is what lies beyond the end. Another operation in its place would be worse than a loss.
            assert!(seq > self.head(), "{dot:?} was {what} at {seq}, where the log has something else");
        }
        loss
    }
}

mod tests {
    use super::*;

    fn told(log: &[(u64, Dot)], acknowledged: &[(Dot, u64)], delivered: &[(u64, Dot)]) -> Told {
        let (log, acknowledged) = (log.to_vec(), acknowledged.to_vec());
        Told { log, opened: true, acknowledged, delivered: delivered.to_vec(), ..Told::default() }
    }

    #[test]
    fn the_ledger_names_what_was_acknowledged_or_delivered_and_is_gone() {
        let mut ledger = Ledger::default();
        let first = told(&[], &[((1, 1), 1), ((1, 2), 2)], &[(1, (1, 1)), (2, (1, 2))]);
        assert_eq!(ledger.take(first), Loss::default());
        let loss = ledger.take(told(&[(1, (1, 1))], &[], &[]));
        assert_eq!(loss.acknowledged, [((1, 2), 2)]);
        assert_eq!(loss.delivered, [(2, (1, 2))]);
    }

    #[test]
    #[should_panic(expected = "no gap")]
    fn the_ledger_refuses_a_gap() {
        Ledger::default().take(told(&[(1, (1, 1)), (3, (1, 2))], &[], &[]));
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn the_ledger_refuses_an_operation_twice() {
        Ledger::default().take(told(&[(1, (1, 1)), (2, (1, 1))], &[], &[]));
    }

    #[test]
    #[should_panic(expected = "something else")]
    fn the_ledger_refuses_another_operation_in_an_acknowledged_place() {
        let mut ledger = Ledger::default();
        ledger.take(told(&[], &[((1, 1), 1)], &[]));
        ledger.take(told(&[(1, (2, 1))], &[], &[]));
    }
}
