//! Recording clashes: opening conflicts, adding alternatives, advancing and closing them.
//!
//! A conflict is sticky. It closes only by a resolution whose author knew its opening and every alternative, by
//! convergence of its values, by a delete that knew all of it, or (where the schema says so) by a plain write that
//! knew all of it. Nothing else ever drops an alternative.

use super::settle::Settling;
use crate::causality::{Seq, Stamp};
use crate::conflict::ConflictEventKind;
use crate::conflict::{
    AlternativeState, CloseReason, Conflict, ConflictEvent, ConflictKind, ConflictStatus, Scope,
};
use crate::fault;
use crate::ids::ConflictId;
use crate::limits::CONFLICT_PAIRS_MAX;
use crate::operation::RecordMutation;
use crate::refusal::Refusal;
use crate::schema::{Field, FieldKind, OnClash, OnDominate};
use crate::state::{Attempt, ScopeRow};
use crate::value::Value;

/// A writer that takes part in a clash.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub stamp: Stamp,
    pub rank: Seq,
    pub value: Option<Value>,
}

/// A write to a place that can be in conflict.
pub(super) struct Clash {
    pub scope: Scope,
    pub kind: ConflictKind,
    pub spec: Field,
    pub mine: Contender,
    /// Concurrent writers with another value.
    pub against: Vec<Contender>,
    /// Writers the author knew and now overwrites.
    pub dominated: Vec<Stamp>,
    /// Position of the field's previous change, where the search for the base value starts.
    pub last_seq: Seq,
}

impl Settling<'_, '_> {
    /// Records what a write of a register, counter base or to-one link means for the conflict of its place.
    pub(super) fn record_clash(&mut self, mutation: &RecordMutation, clash: Clash) -> Attempt<()> {
        let pairs = self.new_pairs(&clash.scope, &clash.against);
        let resolves = self.resolved_conflict(mutation, &clash.scope)?;
        let places = self.tx.scope(&clash.scope)?;
        let Some(live) = places.live.filter(|_| !fault!(SecondLiveConflict)) else {
            return self.open_if_clashing(mutation, clash, pairs, (places, resolves));
        };
        let mut conflict = self.live_conflict(live)?;
        if resolves == Some(live) && self.knew_opening(mutation, &conflict) {
            return self.resolve(mutation, conflict, clash, pairs);
        }
        add_pairs(&mut conflict, &pairs, self.stamp.seq);
        if resolves == Some(live) {
            let unseen = self.unseen(mutation, &conflict);
            self.settlement.remaining.push((live, unseen));
        }
        self.write_in_conflict(mutation, conflict, clash)
    }

    /// Those of the contenders with which no earlier mutation of this operation has clashed in this place.
    pub(super) fn new_pairs(&mut self, scope: &Scope, against: &[Contender]) -> Vec<Contender> {
        let known = |seq: Seq| self.pairs.iter().any(|(place, s)| place == scope && *s == seq);
        let new: Vec<Contender> = against.iter().filter(|c| !known(c.stamp.seq)).cloned().collect();
        self.pairs.extend(new.iter().map(|c| (scope.clone(), c.stamp.seq)));
        new
    }

    /// The conflict a mutation resolves, checked to be about this place.
    pub(super) fn resolved_conflict(
        &self,
        mutation: &RecordMutation,
        scope: &Scope,
    ) -> Attempt<Option<ConflictId>> {
        let Some(id) = mutation.resolves else { return Ok(None) };
        match self.tx.conflict(id)? {
            Some(conflict) if conflict.scope == *scope => Ok(Some(id)),
            _ => Err(Refusal::ConflictNotFound { conflict: id }.into()),
        }
    }

    pub(super) fn live_conflict(&self, id: ConflictId) -> Attempt<Conflict> {
        match self.tx.conflict(id)? {
            Some(conflict) => Ok(conflict.clone()),
            None => Err(Refusal::Inconsistent { detail: format!("live conflict {id} is missing") }.into()),
        }
    }

    /// Whether the author had seen the conflict open, or open again.
    pub(super) fn knew_opening(&self, mutation: &RecordMutation, conflict: &Conflict) -> bool {
        let opening =
            |e: &&ConflictEvent| matches!(e.kind, ConflictEventKind::Opened | ConflictEventKind::Reopened);
        let opened_seq = conflict.events.iter().rev().find(opening).map_or(conflict.id.opened_seq, |e| e.seq);
        opened_seq <= self.base_for(mutation) || opened_seq == self.stamp.seq || fault!(OpeningUnseen)
    }

    /// Positions of the alternatives that the author had not seen.
    pub(super) fn unseen(&self, mutation: &RecordMutation, conflict: &Conflict) -> Vec<Seq> {
        if fault!(CloseUnseen) {
            return Vec::new();
        }
        let mut unseen: Vec<Seq> = conflict
            .alternatives
            .iter()
            .filter(|a| !self.knows_for(mutation, &a.stamp))
            .map(|a| a.stamp.seq)
            .collect();
        unseen.dedup();
        unseen
    }

    fn open_if_clashing(
        &mut self,
        mutation: &RecordMutation,
        clash: Clash,
        pairs: Vec<Contender>,
        (places, resolves): (ScopeRow, Option<ConflictId>),
    ) -> Attempt<()> {
        if clash.against.is_empty() {
            return Ok(());
        }
        let mut alternatives = Vec::with_capacity(clash.against.len() + 1);
        for other in &clash.against {
            alternatives.push(self.alternative_of(other, &clash.scope)?);
        }
        alternatives.push(self.my_alternative(mutation, &clash.mine, AlternativeState::Head));
        let other_seq = clash.against.first().map_or(Seq::START, |c| c.stamp.seq);
        let (base, base_exact) = match clash.scope.field() {
            Some(field) => self.register_base(&clash.scope.record, field, clash.last_seq, other_seq)?,
            None => (None, true),
        };
        let parent = match resolves {
            Some(closed) => Some(closed),
            None => self.parent_of(places)?,
        };
        let mut conflict =
            self.new_conflict(mutation, clash.scope, clash.kind, alternatives, parent, (base, base_exact))?;
        if clash.spec.kind != FieldKind::Counter {
            conflict.provisional = clash.spec.provisional;
        }
        add_pairs(&mut conflict, &pairs, self.stamp.seq);
        if clash.spec.on_clash == OnClash::Settle {
            self.settlement.merged = true;
            return self.close(conflict, CloseReason::Policy);
        }
        self.settlement.conflicts.push(conflict.id);
        self.save(conflict, ConflictEventKind::Opened, "concurrent and different")
    }

    /// A new conflict follows the last one of its place if its author had not seen that one close.
    pub(super) fn parent_of(&self, places: ScopeRow) -> Attempt<Option<ConflictId>> {
        let Some(last) = places.last else { return Ok(None) };
        let closed_seq = self.tx.conflict(last)?.and_then(|c| c.closing).map(|c| c.seq);
        Ok(closed_seq.filter(|seq| *seq > self.author.base_seq).map(|_| last))
    }

    /// A resolution by someone who knew the opening: closes the conflict, or keeps the alternatives not seen.
    fn resolve(
        &mut self,
        mutation: &RecordMutation,
        mut conflict: Conflict,
        clash: Clash,
        pairs: Vec<Contender>,
    ) -> Attempt<()> {
        let unseen = self.unseen(mutation, &conflict);
        if unseen.is_empty() {
            let id = conflict.id;
            self.close(conflict, CloseReason::Resolved)?;
            // A head with an equal value may be missing among the alternatives; this write clashes with it anew.
            let places = self.tx.scope(&clash.scope)?;
            return self.open_if_clashing(mutation, clash, pairs, (places, Some(id)));
        }
        add_pairs(&mut conflict, &pairs, self.stamp.seq);
        conflict.alternatives.retain(|a| unseen.contains(&a.stamp.seq));
        self.add_heads(&mut conflict, &clash)?;
        let mine = self.my_alternative(mutation, &clash.mine, AlternativeState::Head);
        conflict.alternatives.push(mine);
        self.settlement.remaining.push((conflict.id, unseen));
        self.settlement.conflicts.push(conflict.id);
        self.save_or_converge(conflict, "a resolution had not seen everything")
    }

    /// A plain write to a place in conflict.
    fn write_in_conflict(
        &mut self,
        mutation: &RecordMutation,
        mut conflict: Conflict,
        clash: Clash,
    ) -> Attempt<()> {
        if clash.spec.on_dominate == OnDominate::Supersede
            && clash.against.is_empty()
            && self.unseen(mutation, &conflict).is_empty()
        {
            return self.close(conflict, CloseReason::Superseded);
        }
        let advancing: Vec<usize> = (0..conflict.alternatives.len())
            .filter(|i| {
                let a = &conflict.alternatives[*i];
                a.state == AlternativeState::Head && clash.dominated.contains(&a.stamp)
            })
            .collect();
        let mine = self.my_alternative(mutation, &clash.mine, AlternativeState::Head);
        let changed = !advancing.is_empty() || !clash.against.is_empty();
        if let Some(star) = advancing.iter().copied().min_by_key(|i| conflict.alternatives[*i].rank) {
            for i in &advancing {
                conflict.alternatives[*i].state = AlternativeState::Shadow;
            }
            conflict.alternatives.remove(star);
            if fault!(ForgetShadows) {
                conflict.alternatives.retain(|a| a.state != AlternativeState::Shadow);
            }
            conflict.alternatives.push(mine);
        } else if !clash.against.is_empty() {
            conflict.alternatives.push(mine);
        }
        if !changed {
            return Ok(());
        }
        self.add_heads(&mut conflict, &clash)?;
        if !clash.against.is_empty() {
            self.settlement.conflicts.push(conflict.id);
            reawaken(&mut conflict);
        }
        self.save_or_converge(conflict, "written to while in conflict")
    }

    /// Heads the newcomer clashes with belong to the alternatives, whatever the conflict was about so far. An operation that
    /// wrote again after its decision had closed the conflict is there with its first value.
    fn add_heads(&self, conflict: &mut Conflict, clash: &Clash) -> Attempt<()> {
        for other in &clash.against {
            match conflict.alternatives.iter_mut().find(|a| a.stamp == other.stamp) {
                Some(there) if there.offers(other.value.as_ref()) => {}
                Some(there) => *there = self.alternative_of(other, &clash.scope)?,
                None => conflict.alternatives.push(self.alternative_of(other, &clash.scope)?),
            }
        }
        Ok(())
    }

    /// Saves a changed conflict, or closes it if all its values have become equal.
    fn save_or_converge(&mut self, conflict: Conflict, detail: &str) -> Attempt<()> {
        let mut alternatives = conflict.alternatives.iter();
        let first = alternatives.next();
        if first.is_none_or(|first| alternatives.all(|other| first.offers_the_same(other))) {
            return self.close(conflict, CloseReason::Converged);
        }
        self.save(conflict, ConflictEventKind::Changed, detail)
    }
}

/// A new clash opens a deferred conflict again: whoever deferred it had not seen the clash.
pub(super) fn reawaken(conflict: &mut Conflict) {
    if conflict.status == ConflictStatus::Deferred {
        conflict.status = ConflictStatus::Open;
    }
}

/// Records clashing pairs, each once, as many as a conflict keeps.
pub(super) fn add_pairs(conflict: &mut Conflict, against: &[Contender], seq: Seq) {
    for other in against {
        if conflict.pairs.len() >= CONFLICT_PAIRS_MAX {
            return;
        }
        let pair = (other.stamp.seq, seq);
        if !conflict.pairs.contains(&pair) {
            conflict.pairs.push(pair);
        }
    }
}
