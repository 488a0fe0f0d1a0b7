//! Text fields: positions in the author's view, merged through an order tree that exists only while edits are
//! concurrent. Hunks that overlap a concurrent one are suppressed and kept in a conflict.

use std::sync::Arc;

use super::conflict::{Contender, add_pairs, reawaken};
use super::settle::Settling;
use crate::causality::{Author, Counter, ReplicaNo, Seq};
use crate::change::{Change, EffectKind};
use crate::conflict::ConflictEventKind;
use crate::conflict::{AlternativeHunk, AlternativeState, CloseReason, ConflictKind, Scope, ScopePart};
use crate::ids::{ConflictId, FieldId, RecordId};
use crate::limits::{TEXT_BYTES_MAX, TEXT_WINDOW_OPERATIONS_MAX};
use crate::merge::text::{
    Clash, CriticalBase, Hunk, Integrated, SettledHunk, Splice, TextError, TextOp, Window, apply_hunks,
    apply_splices, diff, undo_splices, validate_hunks,
};
use crate::operation::{Action, Mutation, RecordMutation};
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{Attempt, FieldRow, FieldValue};
use crate::value::Value;

/// From this many operations on, the server looks for a smaller order tree.
const WINDOW_RECONSIDERED_AT: usize = 128;

/// A text field about to be edited.
struct TextField {
    row: FieldRow,
    text: String,
    /// The author knew all changes of the field up to here, and nothing after its base suppressed what it saw of them.
    /// For this field this is as good a base as the context's own, and often a later one.
    known_seq: Seq,
}

impl TextField {
    /// Whether the author's view is the current text.
    fn in_step(&self) -> bool {
        self.known_seq >= self.row.last_seq
    }
}

/// The result of merging an edit into a text.
struct Merged {
    text: String,
    hunks: Vec<Hunk>,
    integrated: Integrated,
    /// For a clash: the text both sides started from, and whether that could still be found out.
    base: (Option<Value>, bool),
}

/// What an author wants: hunks, or a whole new text to be compared with what the author saw.
enum Wanted<'m> {
    Hunks(&'m [Hunk]),
    Text(&'m str),
}

impl Settling<'_, '_> {
    /// Edits a text by position.
    pub(super) fn edit_text(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        hunks: &[Hunk],
    ) -> Attempt<()> {
        validate_hunks(hunks).map_err(refuse)?;
        self.change_text(mutation, field, Wanted::Hunks(hunks))
    }

    /// Replaces a text.
    pub(super) fn replace_text(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        text: &str,
    ) -> Attempt<()> {
        self.change_text(mutation, field, Wanted::Text(text))
    }

    fn change_text(&mut self, mutation: &RecordMutation, field: &FieldId, wanted: Wanted<'_>) -> Attempt<()> {
        self.field_spec(mutation, field, &[FieldKind::Text])?;
        self.touch_record(mutation)?;
        let row = self.field_row(&mutation.record, field, FieldKind::Text)?;
        if row.last_seq == self.stamp.seq {
            let detail = "an operation edits a text once; put all hunks into one edit".to_owned();
            return Err(Refusal::InvalidTextEdit { hunk_index: 0, detail }.into());
        }
        let text = match &row.value {
            FieldValue::Text(text) => text.clone(),
            _ => String::new(),
        };
        let known_seq = self.known_seq(&mutation.record, field, row.last_seq)?;
        let before = TextField { row, text, known_seq };
        let Merged { text, hunks, integrated, base } = self.integrate(mutation, field, &before, wanted)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::TextTooLarge { limit_bytes: TEXT_BYTES_MAX as u64 }.into());
        }
        self.remember_hunks(field, hunks);
        self.record_overlaps(mutation, field, base, &integrated)?;
        let effect = EffectKind::Text { splices: integrated.splices, hunks: integrated.hunks, known_seq };
        let row = FieldRow { value: FieldValue::Text(text), ..before.row };
        self.put_field(mutation, field, row, effect);
        Ok(())
    }

    /// The position up to which the author knew every change of a text. Where a hunk that the author saw has been
    /// suppressed, its view differs from the text although it knew the change, so that ends the run as well.
    fn known_seq(&self, record: &RecordId, field: &FieldId, last_seq: Seq) -> Attempt<Seq> {
        let base = self.author.base_seq;
        let mut known = last_seq.max(base);
        let mut seq = last_seq;
        while seq > base {
            let change = self.tx.change(seq)?;
            if !self.knows(&change.stamp()) {
                known = known.min(seq - 1);
            }
            let Some((hunks, previous)) = text_effect(&change, record, field) else { break };
            for suppressor in hunks.iter().filter_map(|h| h.suppressed_by).filter(|s| *s > base) {
                known = known.min(suppressor - 1);
            }
            seq = previous;
        }
        Ok(known)
    }

    fn integrate(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        before: &TextField,
        wanted: Wanted<'_>,
    ) -> Attempt<Merged> {
        let record = &mutation.record;
        let cached = self.tx.take_window(record, field);
        let current = cached.filter(|w| w.last_seq() == before.row.last_seq);
        // Somebody may still be editing an older text, and a small tree is cheaper to extend than to rebuild.
        let small = current.as_ref().is_some_and(|w| w.op_count() < WINDOW_RECONSIDERED_AT);
        if before.in_step() && !small {
            let hunks = wanted_hunks(wanted, || before.text.clone());
            let mut text = before.text.clone();
            let splices = apply_hunks(&mut text, &hunks).map_err(refuse)?;
            let settled =
                hunks.iter().map(|h| SettledHunk { hunk: h.clone(), suppressed_by: None }).collect();
            let integrated = Integrated { splices, hunks: settled, clashes: Vec::new() };
            return Ok(Merged { text, hunks, integrated, base: (None, true) });
        }
        let mut window = match self.window_for(record, field, before, current)? {
            Some(window) => window,
            None => return self.suppress_all(before, wanted),
        };
        let author = Author { base_seq: before.known_seq, ..self.author.clone() };
        let hunks = wanted_hunks(wanted, || window.view(&author));
        let integrated = window.integrate(&author, self.stamp.seq, &hunks).map_err(refuse)?;
        self.settlement.merged |= !before.in_step();
        let text = apply_splices(&before.text, &integrated.splices).map_err(refuse)?;
        let base = self.common_base((record, field), before.known_seq, &window, &integrated)?;
        self.tx.put_window(record, field, window);
        Ok(Merged { text, hunks, integrated, base })
    }

    /// The text that both sides of a clash started from: as an author sees it who knows exactly what both of them knew.
    /// It does not depend on how far back the tree happens to reach, since no tree begins after any of these positions.
    fn common_base(
        &self,
        scope: (&RecordId, &FieldId),
        known_seq: Seq,
        window: &Window,
        integrated: &Integrated,
    ) -> Attempt<(Option<Value>, bool)> {
        if integrated.clashes.is_empty() {
            return Ok((None, true));
        }
        let mut base_seq = known_seq;
        for seq in integrated.clashes.iter().flat_map(|c| &c.partners) {
            let change = self.tx.change(*seq)?;
            base_seq = base_seq.min(known_seq_of(&change, scope.0, scope.1));
        }
        let anybody = Author {
            replica_no: ReplicaNo::SERVER,
            counter: Counter::NONE,
            base_seq,
            extras: Vec::new(),
            own_requests: Vec::new(),
        };
        Ok((Some(Value::string(window.view(&anybody))), true))
    }

    /// The order tree from the critical base to the head: the cached one, or rebuilt from the log.
    fn window_for(
        &self,
        record: &RecordId,
        field: &FieldId,
        before: &TextField,
        cached: Option<Window>,
    ) -> Attempt<Option<Window>> {
        let mut critical = CriticalBase::new(before.known_seq);
        let mut changes: Vec<Arc<Change>> = Vec::new();
        let mut seq = before.row.last_seq;
        // A cached tree begins at a critical base, and what it covers was walked when it was built. It only grows, so
        // now and then (ever more rarely) it is worth checking whether a later base would do.
        let cached = cached.filter(|w| w.base_seq() <= before.known_seq);
        let reconsider = |ops: usize| ops >= WINDOW_RECONSIDERED_AT && ops.is_power_of_two();
        let covered = match cached {
            Some(window) if !reconsider(window.op_count()) => return Ok(Some(window)),
            covered => covered,
        };
        while seq > 0 {
            let change = self.tx.change(seq)?;
            let base_seq = known_seq_of(&change, record, field);
            if !critical.offer(change.seq, base_seq) {
                break;
            }
            if changes.len() == TEXT_WINDOW_OPERATIONS_MAX {
                return Ok(None);
            }
            let Some((_, previous)) = text_effect(&change, record, field) else { break };
            changes.push(change);
            seq = previous;
        }
        if let Some(window) = covered.filter(|w| changes.len() * 2 > w.op_count()) {
            return Ok(Some(window));
        }
        let mut text = before.text.clone();
        for change in &changes {
            if let Some(splices) = text_splices(change, record, field) {
                text = undo_splices(&text, splices).map_err(refuse)?;
            }
        }
        let mut window = Window::new(&text, critical.seq());
        for change in changes.iter().rev() {
            let Some((hunks, _)) = text_effect(change, record, field) else { continue };
            let base_seq = known_seq_of(change, record, field);
            let author = Author { base_seq, ..change.author.clone() };
            let op = TextOp { author, seq: change.seq, hunks: hunks.to_vec() };
            window.replay(&op).map_err(refuse)?;
        }
        Ok(Some(window))
    }

    /// An edit from so long ago that its place cannot be found any more: all of it is kept in the conflict.
    fn suppress_all(&mut self, before: &TextField, wanted: Wanted<'_>) -> Attempt<Merged> {
        let hunks = match wanted {
            Wanted::Hunks(hunks) => hunks.to_vec(),
            Wanted::Text(text) => {
                vec![Hunk { pos: 0, del: 0, ins: text.to_owned() }]
            }
        };
        let partner = before.row.last_seq;
        let settled =
            hunks.iter().map(|h| SettledHunk { hunk: h.clone(), suppressed_by: Some(partner) }).collect();
        let clashes = (0..hunks.len())
            .map(|hunk_index| Clash {
                hunk_index,
                partners: vec![partner],
                deleted: String::new(),
                before: String::new(),
                after: String::new(),
                trunk_pos: 0,
            })
            .collect();
        let integrated = Integrated { splices: Vec::new(), hunks: settled, clashes };
        let base = (Some(Value::string(before.text.as_str())), false);
        Ok(Merged { text: before.text.clone(), hunks, integrated, base })
    }

    /// The log keeps hunks, not whole new texts.
    fn remember_hunks(&mut self, field: &FieldId, hunks: Vec<Hunk>) {
        if let Some(Mutation::Record(mutation)) = self.mutations.last_mut() {
            mutation.action = Action::EditText { field: field.clone(), hunks };
        }
    }

    /// Suppressed hunks become alternatives of the field's conflict; a resolution closes it if its author had seen
    /// all of it.
    fn record_overlaps(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        base: (Option<Value>, bool),
        integrated: &Integrated,
    ) -> Attempt<()> {
        let scope = Scope { record: mutation.record.clone(), part: ScopePart::Field(field.clone()) };
        let resolves = self.resolved_conflict(mutation, &scope)?;
        self.resolve_text(mutation, &scope, resolves, integrated)?;
        let places = self.tx.scope(&scope)?;
        if integrated.clashes.is_empty() {
            return Ok(());
        }
        let mut conflict = match places.live {
            Some(live) => self.live_conflict(live)?,
            None => {
                let parent = match resolves {
                    Some(closed) => Some(closed),
                    None => self.parent_of(places)?,
                };
                let kind = ConflictKind::TextOverlap;
                self.new_conflict(mutation, scope.clone(), kind, Vec::new(), parent, base)?
            }
        };
        for clash in &integrated.clashes {
            self.add_overlap(mutation, &scope, &mut conflict, clash, integrated)?;
        }
        self.settlement.conflicts.push(conflict.id);
        reawaken(&mut conflict);
        let event =
            if conflict.revision == 0 { ConflictEventKind::Opened } else { ConflictEventKind::Changed };
        self.save(conflict, event, "overlapping edits")
    }

    /// A decision about a live text conflict: closes it, or keeps what its author had not seen, with the decision.
    fn resolve_text(
        &mut self,
        mutation: &RecordMutation,
        scope: &Scope,
        resolves: Option<ConflictId>,
        integrated: &Integrated,
    ) -> Attempt<()> {
        let Some(id) = resolves else { return Ok(()) };
        if self.tx.scope(scope)?.live != Some(id) {
            return Ok(());
        }
        let mut conflict = self.live_conflict(id)?;
        let unseen = self.unseen(mutation, &conflict);
        let knew_opening = self.knew_opening(mutation, &conflict);
        if knew_opening && unseen.is_empty() {
            return self.close(conflict, CloseReason::Resolved);
        }
        self.settlement.remaining.push((id, unseen.clone()));
        if !knew_opening {
            return Ok(());
        }
        conflict.alternatives.retain(|a| unseen.contains(&a.stamp.seq));
        let offers: String = integrated.hunks.iter().map(|h| h.hunk.ins.as_str()).collect();
        let me = Contender { stamp: self.stamp, rank: self.stamp.seq, value: Some(Value::string(offers)) };
        conflict.alternatives.push(self.my_alternative(mutation, &me, AlternativeState::Head, None));
        self.settlement.conflicts.push(id);
        reawaken(&mut conflict);
        self.save(conflict, ConflictEventKind::Changed, "a resolution had not seen everything")
    }

    fn add_overlap(
        &mut self,
        mutation: &RecordMutation,
        scope: &Scope,
        conflict: &mut crate::conflict::Conflict,
        clash: &Clash,
        integrated: &Integrated,
    ) -> Attempt<()> {
        let mut partners = Vec::with_capacity(clash.partners.len());
        for seq in &clash.partners {
            let change = self.tx.change(*seq)?;
            let partner = Contender { stamp: change.stamp(), rank: *seq, value: None };
            if !conflict.alternatives.iter().any(|a| a.stamp == partner.stamp) {
                let mut alternative = self.alternative_of(&partner, scope)?;
                let hunk = partner_hunk(&change, scope);
                alternative.value = hunk.as_ref().map(|h| Value::string(h.hunk.ins.as_str()));
                alternative.hunk = hunk;
                conflict.alternatives.push(alternative);
            }
            partners.push(partner);
        }
        // The author's own earlier suppressed edits are not partners in a clash, only reasons for it.
        partners.retain(|p| !self.knows(&p.stamp));
        add_pairs(conflict, &partners, self.stamp.seq);
        let Some(settled) = integrated.hunks.get(clash.hunk_index) else { return Ok(()) };
        let me = Contender {
            stamp: self.stamp,
            rank: self.stamp.seq,
            value: Some(Value::string(settled.hunk.ins.as_str())),
        };
        let hunk = AlternativeHunk {
            index: u16::try_from(clash.hunk_index).unwrap_or(u16::MAX),
            hunk: settled.hunk.clone(),
            replaced: clash.deleted.clone(),
            trunk_position: clash.trunk_pos,
        };
        let alternative = self.my_alternative(mutation, &me, AlternativeState::Suppressed, Some(hunk));
        conflict.alternatives.push(alternative);
        Ok(())
    }
}

fn wanted_hunks(wanted: Wanted<'_>, view: impl FnOnce() -> String) -> Vec<Hunk> {
    match wanted {
        Wanted::Hunks(hunks) => hunks.to_vec(),
        Wanted::Text(text) => diff(&view(), text),
    }
}

/// What a change did to a text: its hunks, and where the text was changed before.
fn text_effect<'c>(change: &'c Change, record: &str, field: &str) -> Option<(&'c [SettledHunk], Seq)> {
    let effect = change.effect_on(record, field)?;
    match &effect.kind {
        EffectKind::Text { hunks, .. } => Some((hunks, effect.previous_seq)),
        _ => None,
    }
}

/// The base that a change had for a text.
fn known_seq_of(change: &Change, record: &str, field: &str) -> Seq {
    match change.effect_on(record, field).map(|e| &e.kind) {
        Some(EffectKind::Text { known_seq, .. }) => *known_seq,
        _ => change.author.base_seq,
    }
}

fn text_splices<'c>(change: &'c Change, record: &str, field: &str) -> Option<&'c [Splice]> {
    match &change.effect_on(record, field)?.kind {
        EffectKind::Text { splices, .. } => Some(splices),
        _ => None,
    }
}

/// The hunk a partner shows in a conflict: its first one that took effect.
fn partner_hunk(change: &Change, scope: &Scope) -> Option<AlternativeHunk> {
    let field = scope.field()?;
    let (hunks, _) = text_effect(change, &scope.record, field)?;
    let mut numbered = hunks.iter().enumerate();
    let (index, settled) = numbered.clone().find(|(_, h)| h.suppressed_by.is_none()).or(numbered.next())?;
    let replaced = text_splices(change, &scope.record, field)
        .map(|splices| {
            splices
                .iter()
                .filter_map(|s| match s {
                    Splice::Delete(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect::<String>()
        })
        .unwrap_or_default();
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    Some(AlternativeHunk { index, hunk: settled.hunk.clone(), replaced, trunk_position: settled.hunk.pos })
}

fn refuse(error: TextError) -> Refusal {
    match error {
        TextError::OutOfBounds { pos, del, view_len } => {
            Refusal::PositionOutOfBounds { position: pos, delete_count: del, text_length: view_len }
        }
        TextError::EmptyHunk { index } | TextError::NotSorted { index } => Refusal::InvalidTextEdit {
            hunk_index: u32::try_from(index).unwrap_or(u32::MAX),
            detail: error.to_string(),
        },
        TextError::TooLong => Refusal::TextTooLarge { limit_bytes: TEXT_BYTES_MAX as u64 },
        TextError::OutOfOrder { .. }
        | TextError::StaleBase { .. }
        | TextError::SpliceLength { .. }
        | TextError::SpliceContent { .. } => Refusal::Inconsistent { detail: error.to_string() },
    }
}
