//! Text fields: positions in the author's view, merged through an order tree that exists only while edits are
//! concurrent. Hunks that overlap a concurrent one are suppressed and kept in a conflict.

use std::ops::Range;
use std::sync::Arc;

use super::regions::{TextEdit, TextSight};
use super::settle::Settling;
use crate::causality::{Author, Seq};
use crate::change::{Change, EffectKind};
use crate::conflict::{AlternativeState, Conflict, ConflictKind};
use crate::ids::{ConflictId, FieldId, RecordId};
use crate::limits::{TEXT_BYTES_MAX, TEXT_WINDOW_IDLE_MAX, TEXT_WINDOW_OPERATIONS_MAX};
use crate::merge::text::{
    Clash, CriticalBase, Hunk, Integrated, SettledHunk, Splice, TextError, TextOp, Window, apply_hunks,
    apply_splices, diff, slice_chars, undo_splices, validate_hunks,
};
use crate::operation::{Action, Mutation, RecordMutation, TextChoice};
use crate::refusal::Refusal;
use crate::schema::FieldKind;
use crate::state::{Attempt, FieldRow, FieldValue, Reach, TextMemory};
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
    /// The order of all characters, if it was needed.
    window: Option<Window>,
    /// What the author sees after it, if the order of the characters cannot be rebuilt any more.
    seen: Option<String>,
}

/// What an author wants: hunks, or a whole new text to be compared with what the author saw.
enum Wanted<'m> {
    Hunks(&'m [Hunk]),
    Text(&'m str),
    /// This text in the place of a region of the text as it is.
    Region(Range<u32>, &'m str),
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

    /// Decides a conflict of a text.
    pub(super) fn decide_text(
        &mut self,
        mutation: &RecordMutation,
        field: &FieldId,
        choice: &TextChoice,
    ) -> Attempt<()> {
        let named = self.text_conflict(mutation, field)?;
        let Some(conflict) = named else {
            let detail = "it decides a conflict; say which one in resolves_conflict_id".to_owned();
            return Err(Refusal::InvalidOperation { field: "decide_text".to_owned(), detail }.into());
        };
        let id = conflict.id;
        if !conflict.status.is_live() {
            return Err(Refusal::ConflictNotLive { conflict: id, status: conflict.status }.into());
        }
        if !self.knew_opening(mutation, &conflict) {
            return Err(Refusal::ConflictChanged { conflict: id, revision: conflict.revision }.into());
        }
        let row = self.field_row(&mutation.record, field, FieldKind::Text)?;
        let place = row.regions.iter().find(|place| place.conflict == id);
        let (FieldValue::Text(text), Some(place)) = (&row.value, place) else {
            let detail = format!("the text has no region of the live conflict {id}");
            return Err(Refusal::Inconsistent { detail }.into());
        };
        let shown = slice_chars(text, place.range.into());
        let chosen = chosen_version(&conflict, choice, shown)?;
        self.change_text(mutation, field, Wanted::Region(place.range.into(), chosen))
    }

    /// The conflict of a text that a mutation names.
    fn text_conflict(&self, mutation: &RecordMutation, field: &FieldId) -> Attempt<Option<Conflict>> {
        let Some(id) = mutation.resolves else { return Ok(None) };
        match self.tx.conflict(id)? {
            Some(conflict)
                if conflict.kind == ConflictKind::TextOverlap
                    && conflict.scope.record == mutation.record
                    && conflict.scope.field() == Some(field) =>
            {
                Ok(Some(conflict.clone()))
            }
            _ => Err(Refusal::ConflictNotFound { conflict: id }.into()),
        }
    }

    /// The live conflict of a text that a mutation decides, having seen it open.
    fn decided_text_conflict(
        &self,
        mutation: &RecordMutation,
        field: &FieldId,
    ) -> Attempt<Option<ConflictId>> {
        let named = self.text_conflict(mutation, field)?;
        let decided = named.filter(|c| c.status.is_live() && self.knew_opening(mutation, c));
        Ok(decided.map(|conflict| conflict.id))
    }

    /// Sides of the conflict that an operation decides that are in the text, and that its author has not seen. They are not
    /// decided with the rest.
    fn unseen_in_force(&self, decides: Option<ConflictId>) -> Attempt<Vec<Seq>> {
        let Some(id) = decides else { return Ok(Vec::new()) };
        let conflict = self.live_conflict(id)?;
        let sides = conflict.alternatives.iter().filter(|side| side.state == AlternativeState::Head);
        let mut unseen: Vec<Seq> =
            sides.map(|side| side.stamp).filter(|stamp| !self.knows(stamp)).map(|stamp| stamp.seq).collect();
        unseen.sort_unstable();
        Ok(unseen)
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
        let decides = self.decided_text_conflict(mutation, field)?;
        // What is not in memory interrupts the operation. It is better to notice before the order of characters is touched.
        for place in &row.regions {
            self.tx.conflict(place.conflict)?;
        }
        let mut memory = self.tx.take_text_memory(&mutation.record, field);
        let known_seq = self.known_seq(&mutation.record, field, row.last_seq, &mut memory)?;
        let unseen = self.unseen_in_force(decides)?;
        let before = TextField { row, text, known_seq };
        let Merged { text, hunks, integrated, window, seen } =
            self.integrate((&mutation.record, field), &before, wanted, &unseen, &mut memory)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::TextTooLarge { limit_bytes: TEXT_BYTES_MAX as u64 }.into());
        }
        self.remember_hunks(field, hunks);
        let author = Author { base_seq: known_seq, ..self.author.clone() };
        // Whoever saw the text as it is needs no order of its characters, even if there is one.
        let sight = match (&window, &seen) {
            (_, Some(seen)) => TextSight::Text(seen),
            (Some(window), None) if !before.in_step() => {
                let place = (&mutation.record, field);
                TextSight::Window(window, self.common_base(place, known_seq, &integrated)?)
            }
            (_, None) => TextSight::Trunk,
        };
        let edit = TextEdit {
            field,
            before: &before.text,
            after: &text,
            integrated: &integrated,
            author: &author,
            sight,
            decides,
        };
        let regions = self.follow_regions(mutation, &edit, before.row.regions)?;
        self.show_text_against_delete(&mutation.record, || edit.author_sees())?;
        memory.window = window;
        self.tx.put_text_memory(&mutation.record, field, memory);
        let effect = EffectKind::Text { splices: integrated.splices, hunks: integrated.hunks, known_seq };
        let row = FieldRow { value: FieldValue::Text(text), regions, ..before.row };
        self.put_field(mutation, field, row, effect);
        Ok(())
    }

    /// The position up to which the author knew every change of a text. Where a hunk that the author saw has been
    /// suppressed, its view differs from the text although it knew the change, so that ends the run as well.
    fn known_seq(
        &self,
        record: &RecordId,
        field: &FieldId,
        last_seq: Seq,
        memory: &mut TextMemory,
    ) -> Attempt<Seq> {
        let base = self.author.base_seq;
        let before =
            memory.reach.take().filter(|reach| reach.holds_for(&self.author) && reach.upto <= last_seq);
        let (upto, mut bound) = before.map_or((base, None), |reach| (reach.upto.max(base), reach.bound));
        let mut seq = last_seq;
        while seq > upto {
            let change = self.tx.change(seq)?;
            if !self.knows(&change.stamp()) {
                bound = Some(bound.map_or(seq - 1, |bound: Seq| bound.min(seq - 1)));
            }
            let Some((hunks, previous)) = text_effect(&change, record, field) else { break };
            for suppressor in hunks.iter().filter_map(|h| h.suppressed_by).filter(|s| *s > base) {
                bound = Some(bound.map_or(suppressor - 1, |bound| bound.min(suppressor - 1)));
            }
            seq = previous;
        }
        memory.reach = Some(Reach::new(&self.author, last_seq, bound));
        Ok(bound.unwrap_or(last_seq.max(base)))
    }

    /// Merges an edit; it clashes with `unseen` in any case.
    fn integrate(
        &mut self,
        (record, field): (&RecordId, &FieldId),
        before: &TextField,
        wanted: Wanted<'_>,
        unseen: &[Seq],
        memory: &mut TextMemory,
    ) -> Attempt<Merged> {
        let current = memory.window.take().filter(|w| w.last_seq() == before.row.last_seq);
        // Somebody may still be editing an older text, and extending the order is cheaper than finding it again.
        memory.window_idle = if before.in_step() { memory.window_idle + 1 } else { 0 };
        let is_kept = current.is_some() && memory.window_idle < TEXT_WINDOW_IDLE_MAX;
        if before.in_step() && !is_kept {
            let hunks = wanted_hunks(wanted, || before.text.clone(), |region| region);
            let mut text = before.text.clone();
            let splices = apply_hunks(&mut text, &hunks).map_err(refuse)?;
            let settled =
                hunks.iter().map(|h| SettledHunk { hunk: h.clone(), suppressed_by: None }).collect();
            let integrated = Integrated { splices, hunks: settled, clashes: Vec::new() };
            return Ok(Merged { text, hunks, integrated, window: None, seen: None });
        }
        let mut window = match self.window_for(record, field, before, current)? {
            Some(window) => window,
            None => return self.suppress_all((record, field), before, wanted),
        };
        let author = Author { base_seq: before.known_seq, ..self.author.clone() };
        let range_of = |region| window.view_range(&author, region);
        let hunks = wanted_hunks(wanted, || window.view(&author), range_of);
        let integrated = window.integrate_against(&author, self.stamp.seq, &hunks, unseen).map_err(refuse)?;
        self.settlement.merged |= !before.in_step();
        let text = apply_splices(&before.text, &integrated.splices).map_err(refuse)?;
        Ok(Merged { text, hunks, integrated, window: Some(window), seen: None })
    }

    /// The position whose text both sides of a clash started from: all of them knew everything up to it. It does not depend
    /// on how far back the tree happens to reach, since no tree begins after any of these positions.
    fn common_base(
        &self,
        scope: (&RecordId, &FieldId),
        known_seq: Seq,
        integrated: &Integrated,
    ) -> Attempt<Seq> {
        let mut base_seq = known_seq;
        for seq in integrated.clashes.iter().flat_map(|c| &c.partners) {
            let change = self.tx.change(*seq)?;
            base_seq = base_seq.min(known_seq_of(&change, scope.0, scope.1));
        }
        Ok(base_seq)
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
        // Of one that has more operations than may be merged with, only a look at the log says whether this author's edit may be:
        // that must not depend on what is in memory.
        let reconsider = |ops: usize| {
            ops > TEXT_WINDOW_OPERATIONS_MAX || (ops >= WINDOW_RECONSIDERED_AT && ops.is_power_of_two())
        };
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

    /// An edit from so long ago that its place cannot be found any more: the whole text is in conflict, and the author's
    /// version is kept.
    fn suppress_all(
        &mut self,
        place: (&RecordId, &FieldId),
        before: &TextField,
        wanted: Wanted<'_>,
    ) -> Attempt<Merged> {
        let mut seen = self.own_view(place, before)?;
        let hunks = wanted_hunks(wanted, || seen.clone(), |region| region);
        apply_hunks(&mut seen, &hunks).map_err(refuse)?;
        let partner = before.row.last_seq;
        let settled =
            hunks.iter().map(|h| SettledHunk { hunk: h.clone(), suppressed_by: Some(partner) }).collect();
        let len = u32::try_from(before.text.chars().count()).unwrap_or(u32::MAX);
        let clashes = match hunks.is_empty() {
            true => Vec::new(),
            false => vec![Clash { hunk_index: 0, partners: vec![partner], region: 0..len }],
        };
        let integrated = Integrated { splices: Vec::new(), hunks: settled, clashes };
        Ok(Merged { text: before.text.clone(), hunks, integrated, window: None, seen: Some(seen) })
    }

    /// What the author sees without the order of the characters: the text at its base, with its own edits since.
    fn own_view(&self, (record, field): (&RecordId, &FieldId), before: &TextField) -> Attempt<String> {
        let mut text = before.text.clone();
        let mut own: Vec<Arc<Change>> = Vec::new();
        let mut seq = before.row.last_seq;
        while seq > self.author.base_seq {
            let change = self.tx.change(seq)?;
            let Some((_, previous)) = text_effect(&change, record, field) else { break };
            if let Some(splices) = text_splices(&change, record, field) {
                text = undo_splices(&text, splices).map_err(refuse)?;
            }
            if self.knows(&change.stamp()) {
                own.push(change);
            }
            seq = previous;
        }
        for change in own.iter().rev() {
            let Some((settled, _)) = text_effect(change, record, field) else { continue };
            let hunks: Vec<Hunk> = settled.iter().map(|settled| settled.hunk.clone()).collect();
            apply_hunks(&mut text, &hunks).map_err(refuse)?;
        }
        Ok(text)
    }

    /// The log keeps hunks, not whole new texts.
    fn remember_hunks(&mut self, field: &FieldId, hunks: Vec<Hunk>) {
        if let Some(Mutation::Record(mutation)) = self.mutations.last_mut() {
            mutation.action = Action::EditText { field: field.clone(), hunks };
        }
    }
}

/// What a decision puts in the place of a region.
fn chosen_version<'c>(conflict: &'c Conflict, choice: &'c TextChoice, shown: &'c str) -> Attempt<&'c str> {
    let not_there = |what: &str| {
        let detail = format!("conflict {} has no {what}", conflict.id);
        Refusal::InvalidOperation { field: "decide_text".to_owned(), detail }
    };
    match choice {
        TextChoice::Current => Ok(shown),
        TextChoice::Text(text) => Ok(text),
        TextChoice::Base => {
            let base = conflict.base.as_ref().and_then(Value::as_str);
            base.ok_or_else(|| not_there("text that all sides started from; give a text").into())
        }
        TextChoice::Alternative(seq) => {
            let side = conflict.alternatives.iter().find(|side| side.stamp.seq == *seq);
            let version = side.and_then(|side| side.value.as_ref()).and_then(Value::as_str);
            version.ok_or_else(|| not_there(&format!("alternative at {seq}")).into())
        }
    }
}

/// What an author wants as hunks: `view` is the text it saw, `range_of` finds a region of the text as it is in there.
fn wanted_hunks(
    wanted: Wanted<'_>,
    view: impl FnOnce() -> String,
    range_of: impl FnOnce(Range<u32>) -> Range<u32>,
) -> Vec<Hunk> {
    match wanted {
        Wanted::Hunks(hunks) => hunks.to_vec(),
        Wanted::Text(text) => diff(&view(), text),
        Wanted::Region(region, chosen) => {
            let Range { start, end } = range_of(region);
            if slice_chars(&view(), start..end) == chosen {
                return Vec::new();
            }
            vec![Hunk { pos: start, del: end - start, ins: chosen.to_owned() }]
        }
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
