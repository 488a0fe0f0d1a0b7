//! Regions of a text that become one: what everybody sees in the whole of it.

use std::ops::Range;

use super::regions::{TextEdit, TextSight};
use crate::causality::{Author, ReplicaNo, Seq};
use crate::conflict::{Alternative, Conflict};
use crate::merge::text::Window;
use crate::value::Value;

/// Regions that become one, from left to right, with their conflicts.
pub(super) struct Union {
    pub range: Range<u32>,
    pub pieces: Vec<(Range<u32>, Conflict)>,
}

impl Union {
    /// Every version of the region, the one that is shown included.
    pub fn all_versions(&self, edit: &TextEdit<'_>) -> Vec<String> {
        let (sides, base) = self.sides(edit);
        let text = |side: Alternative| side.value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let mut versions: Vec<String> = sides.into_iter().filter_map(text).collect();
        versions.extend(base.or_else(|| edit.base(self.range.clone())));
        versions.push(edit.shown(self.range.clone()).to_owned());
        versions.push(edit.version(self.range.clone()));
        versions
    }

    /// The region with the suppressed text that the sides have, and that text inserted at the region's edge has shifted out of
    /// it: they are about to be replaced by what their authors see in the region now.
    pub fn with_suppressed(&self, edit: &TextEdit<'_>) -> Range<u32> {
        let TextSight::Window(window, _) = edit.sight else { return self.range.clone() };
        let sides = self.pieces.iter().flat_map(|(_, conflict)| &conflict.alternatives);
        let suppressed = sides.filter(|side| side.suppressed_by.is_some());
        suppressed.fold(self.range.clone(), |range, side| match window.author_of(side.stamp.seq) {
            Some(author) => window.with_suppressed(&author.after(), range, side.stamp.seq),
            None => range,
        })
    }

    /// The sides of the conflicts, and what they started from, for the whole region: where an author has no version of its
    /// own, it is what is shown.
    pub fn sides(&self, edit: &TextEdit<'_>) -> (Vec<Alternative>, Option<String>) {
        let mut sides: Vec<Alternative> = Vec::new();
        for (_, conflict) in &self.pieces {
            for side in &conflict.alternatives {
                match sides.iter_mut().find(|other| same_lineage(other, side)) {
                    Some(other) if other.stamp.seq < side.stamp.seq => *other = side.clone(),
                    Some(_) => {}
                    None => sides.push(side.clone()),
                }
            }
        }
        for side in &mut sides {
            let version = self.filled(edit, |conflict| {
                let own = conflict.alternatives.iter().find(|other| same_lineage(other, side));
                own.and_then(|own| own.value.as_ref()).and_then(Value::as_str)
            });
            side.value = Some(Value::string(version));
        }
        let base = |conflict: &Conflict| conflict.base.as_ref().and_then(Value::as_str).map(str::to_owned);
        let bases: Vec<Option<String>> = self.pieces.iter().map(|(_, conflict)| base(conflict)).collect();
        if bases.is_empty() || bases.contains(&None) {
            return (sides, None);
        }
        let base = self.filled(edit, |conflict| conflict.base.as_ref().and_then(Value::as_str));
        (sides, Some(base))
    }

    /// What the authors of the sides see in the region now that it has grown, as far as their operations are among those in
    /// order, and if nothing is missing in it that they had there before. Returns what all of them started from, if that can
    /// be told.
    pub fn see_again(
        &self,
        window: &Window,
        base_seq: Seq,
        edit: &TextEdit<'_>,
        sides: &mut [Alternative],
    ) -> Option<String> {
        let mut common = Some(base_seq);
        for side in sides {
            // Whatever came after the author's base is in every order that is found again; what came before may not be.
            let is_later = side.stamp.seq > edit.author.base_seq;
            let Some(author) = window.author_of(side.stamp.seq).filter(|_| is_later) else {
                common = None;
                continue;
            };
            common = common.map(|common| common.min(author.base_seq));
            let version = window.version(&author.after(), self.range.clone());
            let before = self.pieces.iter().flat_map(|(_, conflict)| &conflict.alternatives);
            let mut own =
                before.filter(|other| same_lineage(other, side)).filter_map(|own| own.value.as_ref());
            if own.all(|own| own.as_str().is_some_and(|own| version.contains(own))) {
                side.value = Some(Value::string(version));
            }
        }
        let anybody = Author {
            replica_no: ReplicaNo::SERVER,
            base_seq: common?,
            extras: Vec::new(),
            own_requests: Vec::new(),
            ..edit.author.clone()
        };
        Some(window.version(&anybody, self.range.clone()))
    }

    /// The text of the region with some pieces of it in another version.
    fn filled<'s>(
        &'s self,
        edit: &'s TextEdit<'_>,
        version: impl Fn(&'s Conflict) -> Option<&'s str>,
    ) -> String {
        let mut text = String::new();
        let mut pos = self.range.start;
        for (range, conflict) in &self.pieces {
            text.push_str(edit.shown(pos..range.start));
            text.push_str(version(conflict).unwrap_or_else(|| edit.shown(range.clone())));
            pos = range.end;
        }
        text.push_str(edit.shown(pos..self.range.end));
        text
    }
}

/// Whether two sides are versions of one author.
fn same_lineage(one: &Alternative, other: &Alternative) -> bool {
    let server = one.author.replica_no == ReplicaNo::SERVER;
    one.stamp == other.stamp && one.state == other.state
        || (!server
            && one.author.replica_no == other.author.replica_no
            && (one.state, one.suppressed_by) == (other.state, other.suppressed_by))
}

/// Adds text on both sides to every version of a region.
pub(super) fn widen(conflict: &mut Conflict, before: &str, behind: &str) {
    if before.is_empty() && behind.is_empty() {
        return;
    }
    let versions = conflict.alternatives.iter_mut().map(|side| &mut side.value);
    for version in versions.chain([&mut conflict.base]) {
        if let Some(text) = version.as_ref().and_then(Value::as_str) {
            *version = Some(Value::string(format!("{before}{text}{behind}")));
        }
    }
}
