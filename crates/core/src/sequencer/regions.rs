//! Text conflicts: regions of a text, with what each author sees there.
//!
//! A clash concerns a *region*: the stretch that the overlapping edits share, widened to whole words. The conflict keeps one
//! *version* of it for each author: what that author's own view shows there, whole. Further edits of the same author in its
//! region change its version. Regions that grow into each other become one conflict, the oldest.

use std::ops::Range;

use super::conflict::{Contender, reawaken};
use super::region_union::{Union, widen};
use super::settle::Settling;
use crate::causality::{Author, ReplicaNo, Seq};
use crate::conflict::{
    Alternative, AlternativeState, CloseReason, Conflict, ConflictEventKind, ConflictKind, Scope, ScopePart,
};
use crate::fault;
use crate::ids::{ConflictId, FieldId};
use crate::limits::CONFLICT_PAIRS_MAX;
use crate::merge::text::{
    Clash, Edge, Integrated, Window, first_word_chars, follow, is_word_boundary, last_word_chars, slice_chars,
};
use crate::operation::RecordMutation;
use crate::state::{Attempt, Key, RegionPlace, Row, ScopeRow};
use crate::value::Value;

/// What an operation did to a text, for the conflicts about it.
pub(super) struct TextEdit<'e> {
    pub field: &'e FieldId,
    pub before: &'e str,
    pub after: &'e str,
    pub integrated: &'e Integrated,
    /// Who made it, with the position up to which it knew this text as its base.
    pub author: &'e Author,
    pub sight: TextSight<'e>,
    /// The live conflict that the operation decides, and that it has seen open.
    pub decides: Option<ConflictId>,
}

/// How to tell what authors see.
pub(super) enum TextSight<'e> {
    /// This author saw the text as it was.
    Trunk,
    /// By the order of all characters; others saw the text at this base.
    Window(&'e Window, Seq),
    /// The order of the characters cannot be rebuilt any more. This is what the author sees after its operation.
    Text(&'e str),
}

impl TextEdit<'_> {
    /// What the operation's author sees in a region after it.
    pub fn version(&self, region: Range<u32>) -> String {
        match self.sight {
            TextSight::Trunk => slice_chars(self.after, region).to_owned(),
            TextSight::Window(window, _) => window.version(&self.author.after(), region),
            TextSight::Text(text) => text.to_owned(),
        }
    }

    /// The whole text as the operation's author sees it after it.
    pub fn author_sees(&self) -> String {
        match self.sight {
            TextSight::Trunk => self.after.to_owned(),
            TextSight::Window(window, _) => window.view(&self.author.after()),
            TextSight::Text(text) => text.to_owned(),
        }
    }

    pub fn shown(&self, region: Range<u32>) -> &str {
        slice_chars(self.after, region)
    }

    /// What all sides started from; none if that cannot be told any more.
    pub fn base(&self, region: Range<u32>) -> Option<String> {
        let TextSight::Window(window, base_seq) = self.sight else { return None };
        let anybody = Author {
            replica_no: ReplicaNo::SERVER,
            base_seq,
            extras: Vec::new(),
            own_requests: Vec::new(),
            ..self.author.clone()
        };
        Some(window.version(&anybody, region))
    }
}

/// A region on its way through an operation, with its conflict if that had to be looked at.
struct Site {
    id: ConflictId,
    range: Range<u32>,
    changed: Option<Box<Conflict>>,
}

impl Settling<'_, '_> {
    /// Takes the conflicts of a text through an operation on it: moves their regions, updates the versions of its author,
    /// opens conflicts for what clashed, and decides. Returns where the live regions are now.
    pub(super) fn follow_regions(
        &mut self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        regions: Vec<RegionPlace>,
    ) -> Attempt<Vec<RegionPlace>> {
        let mut sites = Vec::with_capacity(regions.len());
        for place in regions {
            sites.push(self.follow_region(mutation, edit, place)?);
        }
        for clash in &edit.integrated.clashes {
            self.enter_clash(mutation, edit, &mut sites, clash)?;
        }
        self.unite_touching(mutation, edit, &mut sites)?;
        let mut live = Vec::with_capacity(sites.len());
        for mut site in sites {
            if edit.decides == Some(site.id) && site.changed.is_none() {
                site.changed = Some(Box::new(self.live_conflict(site.id)?));
            }
            if let Some(mut conflict) = site.changed {
                conflict.region = Some(site.range.clone().into());
                if !self.settle_region(mutation, edit, *conflict, site.range.clone())? {
                    continue;
                }
            }
            live.push(RegionPlace { conflict: site.id, range: site.range.into() });
        }
        live.sort_by_key(|place| place.range.start);
        Ok(live)
    }

    /// Makes one conflict of regions that nothing separates any more.
    fn unite_touching(
        &mut self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        sites: &mut Vec<Site>,
    ) -> Attempt<()> {
        loop {
            sites.sort_by_key(|site| site.range.start);
            let touching = sites.windows(2).find(|pair| pair[0].range.end >= pair[1].range.start);
            let Some([first, _]) = touching.filter(|_| !fault!(RegionsStayApart)) else { return Ok(()) };
            let region = first.range.clone();
            let union = self.union_around(edit, sites, region)?;
            let range = union.range.clone();
            let conflict = self.united(mutation, edit, union)?;
            sites.push(Site { id: conflict.id, range, changed: Some(Box::new(conflict)) });
        }
    }

    /// Moves a region through the operation's effect. If that changed something inside, it is the author's version now.
    fn follow_region(
        &self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        place: RegionPlace,
    ) -> Attempt<Site> {
        let splices = &edit.integrated.splices;
        let range: Range<u32> = place.range.into();
        let at_edge = std::cell::Cell::new(false);
        let mut followed = follow(splices, range.clone(), |_, _| {
            at_edge.set(true);
            false
        });
        if at_edge.get() {
            let takes_part = self.takes_part(self.tx.conflict(place.conflict)?);
            let region = slice_chars(edit.before, range.clone());
            followed = follow(splices, range, |edge, inserted| {
                takes_part
                    || !match edge {
                        Edge::Start => is_word_boundary(inserted, region),
                        Edge::End => is_word_boundary(region, inserted),
                    }
            });
        }
        let range = if fault!(RegionStandsStill) { place.range.into() } else { followed.range };
        let mut site = Site { id: place.conflict, range, changed: None };
        if followed.touched {
            let mut conflict = self.live_conflict(site.id)?;
            widen(&mut conflict, &followed.before, &followed.behind);
            site.range = self.with_own_suppressed(edit, &mut conflict, site.range);
            if edit.decides != Some(site.id) {
                self.put_version(mutation, &mut conflict, edit.version(site.range.clone()), None);
            }
            site.changed = Some(Box::new(conflict));
        }
        Ok(site)
    }

    /// Takes back into a region what its author's version has, and what text inserted at the region's edge has shifted out of
    /// it: the version is about to be replaced by what the author sees in the region now.
    fn with_own_suppressed(
        &self,
        edit: &TextEdit<'_>,
        conflict: &mut Conflict,
        region: Range<u32>,
    ) -> Range<u32> {
        let TextSight::Window(window, _) = edit.sight else { return region };
        let mine =
            conflict.alternatives.iter().filter(|side| self.is_mine(side) && side.suppressed_by.is_some());
        let Some(since) = mine.map(|side| side.stamp.seq).min() else { return region };
        let wider = window.with_suppressed(&edit.author.after(), region.clone(), since);
        widen(conflict, edit.shown(wider.start..region.start), edit.shown(region.end..wider.end));
        wider
    }

    /// Whether the operation's author wrote one of a conflict's versions and has not seen the conflict yet: it is still
    /// writing what clashed, and has no reason to know where that ends.
    fn takes_part(&self, conflict: Option<&Conflict>) -> bool {
        conflict.is_some_and(|conflict| {
            self.author.base_seq < conflict.id.opened_seq
                && conflict.alternatives.iter().any(|side| self.is_mine(side))
        })
    }

    /// Whether a side comes from the same author as this operation.
    fn is_mine(&self, side: &Alternative) -> bool {
        if side.author.replica_no != self.author.replica_no {
            return false;
        }
        // Independent authors share the server's replica.
        self.author.replica_no != ReplicaNo::SERVER
            || self.author.own_requests.contains(&side.stamp.counter)
            || (self.knows(&side.stamp) && side.actor == self.operation.actor)
    }

    /// Makes a text the version of the operation's author. It stands in for all that the author wrote there and still saw, in
    /// force or not, and for what it wrote before in the same words.
    fn put_version(
        &self,
        mutation: &RecordMutation,
        conflict: &mut Conflict,
        version: String,
        suppressed_by: Option<Seq>,
    ) {
        let value = Some(Value::string(version));
        let still_saw = |side: &Alternative| {
            side.suppressed_by.is_none_or(|seq| seq > self.author.base_seq) || fault!(VersionForgotten)
        };
        let goes_on = |side: &Alternative| self.is_mine(side) && (still_saw(side) || side.value == value);
        let place = conflict.alternatives.iter().position(goes_on);
        // Its author sees all of it until the first of the operations that suppressed a part of it is known.
        let seen = conflict.alternatives.iter().filter(|side| self.is_mine(side) && still_saw(side));
        let earlier = seen.filter_map(|side| side.suppressed_by);
        let suppressed_by = earlier.chain(suppressed_by).min();
        let state = match suppressed_by {
            Some(_) => AlternativeState::Suppressed,
            None => AlternativeState::Head,
        };
        let rank = place.map_or(self.stamp.seq, |index| conflict.alternatives[index].rank);
        let me = Contender { stamp: self.stamp, rank, value: None };
        let mine =
            Alternative { value: value.clone(), suppressed_by, ..self.my_alternative(mutation, &me, state) };
        conflict.alternatives.retain(|side| !goes_on(side));
        let place = place.unwrap_or(usize::MAX).min(conflict.alternatives.len());
        conflict.alternatives.insert(place, mine);
    }

    /// A hunk that clashed: finds its region, with the conflicts that are there already, and keeps the version of everybody
    /// who wrote in it.
    fn enter_clash(
        &mut self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        sites: &mut Vec<Site>,
        clash: &Clash,
    ) -> Attempt<()> {
        let union = self.union_around(edit, sites, clash.region.clone())?;
        let range = union.range.clone();
        let mine = edit.version(range.clone());
        // Somebody else wrote exactly this: nothing is lost, and there is nothing to decide.
        if union.pieces.is_empty() && mine == edit.shown(range.clone()) {
            return Ok(());
        }
        let mut conflict = self.united(mutation, edit, union)?;
        self.put_versions_of_others(edit, &mut conflict, range.clone())?;
        let settled = edit.integrated.hunks.get(clash.hunk_index);
        let suppressed_by = settled.and_then(|hunk| hunk.suppressed_by);
        self.put_version(mutation, &mut conflict, mine, suppressed_by);
        self.add_text_pairs(&mut conflict, &clash.partners)?;
        self.settlement.conflicts.push(conflict.id);
        reawaken(&mut conflict);
        sites.push(Site { id: conflict.id, range, changed: Some(Box::new(conflict)) });
        Ok(())
    }

    /// Widens a clash's region to whole words in every version, and takes in the regions it grows into.
    fn union_around(&self, edit: &TextEdit<'_>, sites: &mut Vec<Site>, region: Range<u32>) -> Attempt<Union> {
        let mut union = Union { range: region, pieces: Vec::new() };
        loop {
            while let Some(index) = sites
                .iter()
                .position(|site| site.range.start <= union.range.end && site.range.end >= union.range.start)
            {
                let site = sites.swap_remove(index);
                let conflict = match site.changed {
                    Some(conflict) => *conflict,
                    None => self.live_conflict(site.id)?,
                };
                union.range = union.range.start.min(site.range.start)..union.range.end.max(site.range.end);
                union.pieces.push((site.range, conflict));
                union.pieces.sort_by_key(|(range, _)| range.start);
            }
            union.range = union.with_suppressed(edit);
            let versions = union.all_versions(edit);
            let before = slice_chars(edit.after, 0..union.range.start);
            let behind = slice_chars(edit.after, union.range.end..u32::MAX);
            let (mut start, mut end) = (union.range.start, union.range.end);
            if versions.iter().any(|version| !is_word_boundary(before, version)) {
                start -= last_word_chars(before);
            }
            if versions.iter().any(|version| !is_word_boundary(version, behind)) {
                end += first_word_chars(behind);
            }
            if union.range == (start..end) {
                return Ok(union);
            }
            union.range = start..end;
        }
    }

    /// One conflict for regions that became one: the oldest that was there, or a new one.
    fn united(&mut self, mutation: &RecordMutation, edit: &TextEdit<'_>, union: Union) -> Attempt<Conflict> {
        if union.pieces.is_empty() {
            return self.new_region(mutation, edit, union.range);
        }
        let (mut alternatives, mut base) = union.sides(edit);
        let has_grown = !matches!(&union.pieces[..], [(piece, _)] if *piece == union.range);
        if let (TextSight::Window(window, base_seq), true) = (&edit.sight, has_grown) {
            base = union.see_again(window, *base_seq, edit, &mut alternatives).or(base);
        }
        let mut conflicts: Vec<Conflict> = union.pieces.into_iter().map(|(_, conflict)| conflict).collect();
        conflicts.sort_by_key(|conflict| conflict.id);
        let mut conflicts = conflicts.into_iter();
        let Some(mut oldest) = conflicts.next() else {
            return self.new_region(mutation, edit, union.range);
        };
        for merged in conflicts {
            for pair in &merged.pairs {
                if oldest.pairs.len() < CONFLICT_PAIRS_MAX && !oldest.pairs.contains(pair) {
                    oldest.pairs.push(*pair);
                }
            }
            if merged.revision == 0 {
                // Another hunk of this operation was about to open it.
                self.settlement.conflicts.retain(|id| *id != merged.id);
                continue;
            }
            self.close_in_place(merged, CloseReason::Merged)?;
        }
        oldest.alternatives = alternatives;
        oldest.base = base.map(Value::string);
        Ok(oldest)
    }

    fn new_region(
        &mut self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        range: Range<u32>,
    ) -> Attempt<Conflict> {
        let of_field = Scope { record: mutation.record.clone(), part: ScopePart::Field(edit.field.clone()) };
        let parent = self.parent_of_region(mutation, &of_field)?;
        let base = edit.base(range);
        let exact = base.is_some();
        let base = (base.map(Value::string), exact);
        let kind = ConflictKind::TextOverlap;
        let mut conflict = self.new_conflict(mutation, of_field.clone(), kind, Vec::new(), parent, base)?;
        conflict.scope.part = ScopePart::Region(edit.field.clone(), conflict.id);
        let places = ScopeRow { live: None, last: Some(conflict.id), ..self.tx.scope(&of_field)? };
        self.tx.put(Key::Scope(of_field), Row::Scope(places));
        Ok(conflict)
    }

    /// The closed conflict that a new one follows: the one whose decision this operation names, or the field's last one if
    /// the author had written in it and had not seen it close.
    fn parent_of_region(&self, mutation: &RecordMutation, of_field: &Scope) -> Attempt<Option<ConflictId>> {
        if mutation.resolves.is_some() {
            return Ok(mutation.resolves);
        }
        let Some(last) = self.parent_of(self.tx.scope(of_field)?)? else { return Ok(None) };
        let conflict = self.live_conflict(last)?;
        Ok(conflict.alternatives.iter().any(|side| self.is_mine(side)).then_some(last))
    }

    /// The versions of the authors that this operation's author did not know, as far as they are in the text.
    fn put_versions_of_others(
        &self,
        edit: &TextEdit<'_>,
        conflict: &mut Conflict,
        region: Range<u32>,
    ) -> Attempt<()> {
        let TextSight::Window(window, _) = edit.sight else { return Ok(()) };
        if fault!(BystandersForgotten) {
            return Ok(());
        }
        for (stamp, author) in window.writers(&edit.author.after(), region.clone()) {
            let same_author = |side: &Alternative| {
                side.stamp == stamp
                    || (side.author.replica_no == stamp.replica_no && stamp.replica_no != ReplicaNo::SERVER)
            };
            let sides = &conflict.alternatives;
            if sides.iter().any(|side| same_author(side) && side.stamp.seq >= stamp.seq) {
                continue;
            }
            let still_saw = |side: &Alternative| side.suppressed_by.is_none_or(|seq| seq > author.base_seq);
            let known = sides.iter().position(|side| same_author(side) && still_saw(side));
            let before = known.map(|index| (sides[index].state, sides[index].suppressed_by));
            let version = Some(Value::string(window.version(&author, region.clone())));
            let rank = known.map_or(stamp.seq, |index| conflict.alternatives[index].rank);
            let other = Contender { stamp, rank, value: None };
            let mut side = Alternative { value: version, ..self.alternative_of(&other, &conflict.scope)? };
            (side.state, side.suppressed_by) = before.unwrap_or((side.state, side.suppressed_by));
            match known {
                Some(index) => conflict.alternatives[index] = side,
                None => conflict.alternatives.push(side),
            }
        }
        Ok(())
    }

    /// Records with whom a version clashes: each operation once, and not again while somebody only goes on typing.
    fn add_text_pairs(&self, conflict: &mut Conflict, partners: &[Seq]) -> Attempt<()> {
        let mine = conflict.alternatives.iter().filter(|side| self.is_mine(side)).map(|side| side.rank);
        let first_of_mine = mine.min().unwrap_or(self.stamp.seq);
        for partner in partners {
            if conflict.pairs.len() >= CONFLICT_PAIRS_MAX {
                break;
            }
            let told = |(one, other): &(Seq, Seq)| one == partner && first_of_mine <= *other;
            // The author's own earlier suppressed edits are not partners in a clash, only reasons for it.
            if !conflict.pairs.iter().any(told) && !self.knows(&self.tx.change(*partner)?.stamp()) {
                conflict.pairs.push((*partner, self.stamp.seq));
            }
        }
        Ok(())
    }

    /// Writes a conflict that an operation changed. Returns whether it is still live.
    fn settle_region(
        &mut self,
        mutation: &RecordMutation,
        edit: &TextEdit<'_>,
        mut conflict: Conflict,
        region: Range<u32>,
    ) -> Attempt<bool> {
        let id = conflict.id;
        let shown = edit.shown(region);
        if edit.decides == Some(id) {
            let mut unseen = self.unseen(mutation, &conflict);
            unseen.retain(|seq| *seq != self.stamp.seq);
            let is_suppressed = |a: &Alternative| a.stamp == self.stamp && a.suppressed_by.is_some();
            let in_force = !conflict.alternatives.iter().any(is_suppressed);
            if unseen.is_empty() && in_force {
                self.close_in_place(conflict, CloseReason::Resolved)?;
                return Ok(false);
            }
            // A decision that is not in force has decided nothing yet: it is one version more.
            conflict
                .alternatives
                .retain(|a| !in_force || unseen.contains(&a.stamp.seq) || a.stamp == self.stamp);
            if !conflict.alternatives.iter().any(|a| a.stamp == self.stamp) {
                self.put_version(mutation, &mut conflict, shown.to_owned(), None);
            }
            self.settlement.remaining.push((id, unseen));
            self.settlement.conflicts.push(id);
            reawaken(&mut conflict);
            self.save(conflict, ConflictEventKind::Changed, "a resolution had not seen everything")?;
            return Ok(true);
        }
        if mutation.resolves == Some(id) {
            // Its author has not even seen the conflict open: an edit like any other.
            let mut unseen = self.unseen(mutation, &conflict);
            unseen.retain(|seq| *seq != self.stamp.seq);
            self.settlement.remaining.push((id, unseen));
        }
        let agree = |side: &Alternative| side.value.as_ref().and_then(Value::as_str) == Some(shown);
        if conflict.alternatives.iter().all(agree) {
            self.close_in_place(conflict, CloseReason::Converged)?;
            return Ok(false);
        }
        let event = match conflict.revision {
            0 => ConflictEventKind::Opened,
            _ => ConflictEventKind::Changed,
        };
        self.save(conflict, event, "overlapping edits")?;
        Ok(true)
    }
}
