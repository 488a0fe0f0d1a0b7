//! A small number for every dot of a history, so that facts about operations are plain arrays.

use std::collections::HashMap;

use crate::history::dot::ShortDot;
use crate::history::gather::History;

/// For each time a replica is mentioned, this many of its counters get consecutive slots. Counters of a replica that
/// jumps further are kept in a map.
const SLOTS_PER_MENTION: u64 = 2;
/// This many counters of every replica get consecutive slots in addition.
const SLOTS_PER_REPLICA: u64 = 64;

/// Finds the slot of a dot.
pub(super) struct DotTable {
    /// Where each replica's slots begin, and at the end where the last ones end.
    begins: Vec<usize>,
    far: HashMap<ShortDot, usize>,
    len: usize,
}

impl DotTable {
    pub(super) fn of(history: &History) -> DotTable {
        let replicas = history.replicas.ids().len();
        let (mut greatest, mut mentions) = (vec![0u64; replicas], vec![0u64; replicas]);
        each_dot(history, |dot| {
            let replica = dot.replica as usize;
            greatest[replica] = greatest[replica].max(u64::from(dot.counter));
            mentions[replica] += 1;
        });
        let mut begins = vec![0];
        let mut len = 0;
        for (greatest, mentions) in greatest.iter().zip(&mentions) {
            len += (*greatest).min(mentions * SLOTS_PER_MENTION + SLOTS_PER_REPLICA) as usize;
            begins.push(len);
        }
        let mut table = DotTable { begins, far: HashMap::new(), len };
        each_dot(history, |dot| {
            if table.near(dot).is_none() && !table.far.contains_key(&dot) {
                table.far.insert(dot, table.len);
                table.len += 1;
            }
        });
        table
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A dot's slot; none for a dot that is nowhere in the log or the submissions.
    pub(super) fn slot(&self, dot: ShortDot) -> Option<usize> {
        self.near(dot).or_else(|| self.far.get(&dot).copied())
    }

    fn near(&self, dot: ShortDot) -> Option<usize> {
        let begin = *self.begins.get(dot.replica as usize)?;
        let end = *self.begins.get(dot.replica as usize + 1)?;
        let slot = begin + (dot.counter as usize).checked_sub(1)?;
        (slot < end).then_some(slot)
    }
}

fn each_dot(history: &History, mut see: impl FnMut(ShortDot)) {
    history.log.entries.iter().for_each(|e| see(e.dot));
    for client in &history.clients {
        client.intents.iter().for_each(|i| see(i.dot));
        client.submissions.iter().for_each(|s| see(s.dot));
    }
}
