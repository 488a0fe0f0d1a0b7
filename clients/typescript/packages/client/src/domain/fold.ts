import type { ConfirmedField, ConfirmedRecord, Effect } from './change.js';
import { EXACT_NULL, keyOf } from './exact.js';
import type { CollectionId, FieldId, RecordId, Seq } from './ids.js';
import { Problem } from './problem.js';
import type { Schema } from './schema.js';
import { applySplices } from './text/splice.js';
import type { FieldState, KnownKind } from './value.js';

/** Effects of a newer version that are kept of one field. Whoever knows them reads the field anew, should there be more. */
const PARTS_MAX = 64;

/** A field's kind as far as it is known. */
export type KindOf = (collectionId: CollectionId, fieldId: FieldId) => KnownKind | undefined;

/** What a field shows that nobody wrote. */
export function emptyState(kind: KnownKind): FieldState {
  switch (kind) {
    case 'register':
      return { kind, value: EXACT_NULL };
    case 'text':
      return { kind, text: '' };
    case 'counter':
      return { kind, value: 0n };
    case 'set':
      return { kind, elements: new Map() };
    case 'to_one':
      return { kind, target: null };
    case 'to_many':
      return { kind, targets: new Set() };
    case 'opaque':
      return { kind, parts: [] };
  }
}

/** The kind a schema declares. */
export function declaredKind(
  schema: Schema | undefined,
  collectionId: CollectionId,
  fieldId: FieldId,
): KnownKind | undefined {
  return schema?.collections.get(collectionId)?.get(fieldId)?.kind;
}

/** Folds one effect on a record. Throws a {@link Problem} when it does not fit. */
export function foldEffect(record: ConfirmedRecord | undefined, effect: Effect, seq: Seq): ConfirmedRecord {
  if (effect.type === 'record_created') {
    if (record !== undefined) throw new Problem('effect', `record ${effect.recordId} is created twice`);
    return newRecord(effect.recordId, effect.collectionId, seq);
  }
  if (record === undefined) throw new Problem('effect', `record ${effect.recordId} does not exist`);
  switch (effect.type) {
    case 'record_deleted':
      return { ...record, deleted: true, lastSeq: seq };
    case 'record_restored':
      return { ...record, deleted: false, lastSeq: seq };
    case 'conflict_changed':
      return record;
    case 'register_changed':
    case 'text_changed':
    case 'counter_changed':
    case 'set_changed':
    case 'link_changed':
    case 'links_changed':
    case 'opaque': {
      const fields = new Map(record.fields);
      fields.set(effect.fieldId, { state: foldField(record.fields.get(effect.fieldId), effect), lastSeq: seq });
      return { ...record, fields, lastSeq: seq };
    }
  }
}

function newRecord(recordId: RecordId, collectionId: CollectionId, seq: Seq): ConfirmedRecord {
  return { recordId, collectionId, deleted: false, createdSeq: seq, lastSeq: seq, asOfSeq: 0, fields: new Map() };
}

type FieldEffect = Effect & {
  readonly type:
    | 'register_changed'
    | 'text_changed'
    | 'counter_changed'
    | 'set_changed'
    | 'link_changed'
    | 'links_changed'
    | 'opaque';
};

function foldField(before: ConfirmedField | undefined, effect: FieldEffect): FieldState {
  const state = before?.state;
  switch (effect.type) {
    // These say all of a field's state, whatever it was before.
    case 'register_changed':
      return inPlaceOf(state, { kind: 'register', value: effect.value }, effect);
    case 'counter_changed':
      return inPlaceOf(state, { kind: 'counter', value: effect.value }, effect);
    case 'link_changed':
      return inPlaceOf(state, { kind: 'to_one', target: effect.target }, effect);
    case 'opaque':
      return {
        kind: 'opaque',
        parts: [...(state?.kind === 'opaque' ? state.parts : []), effect.bytes].slice(-PARTS_MAX),
      };
    // These go on from what was there.
    case 'text_changed': {
      if (state?.kind === 'opaque') return state;
      const { text } = stateOf(state, { kind: 'text', text: '' }, effect);
      return { kind: 'text', text: applySplices(text, effect.splices) };
    }
    case 'set_changed': {
      if (state?.kind === 'opaque') return state;
      const elements = new Map(stateOf(state, { kind: 'set', elements: new Map() }, effect).elements);
      for (const element of effect.removed) elements.delete(keyOf(element));
      for (const element of effect.added) elements.set(keyOf(element), element);
      return { kind: 'set', elements };
    }
    case 'links_changed': {
      if (state?.kind === 'opaque') return state;
      const targets = new Set(stateOf(state, { kind: 'to_many', targets: new Set() }, effect).targets);
      for (const target of effect.removed) targets.delete(target);
      for (const target of effect.added) targets.add(target);
      return { kind: 'to_many', targets };
    }
  }
}

/** A whole new state; an opaque field is one that this client knows again. */
function inPlaceOf(before: FieldState | undefined, now: FieldState, effect: FieldEffect): FieldState {
  if (before?.kind !== 'opaque') stateOf(before, now, effect);
  return now;
}

/** The state before, which is of the same kind; the empty one when there is none. */
function stateOf<S extends FieldState>(before: FieldState | undefined, empty: S, effect: FieldEffect): S {
  if (before === undefined) return empty;
  if (before.kind === empty.kind) return before as S;
  throw new Problem('effect', `field ${effect.recordId}/${effect.fieldId} is a ${before.kind}, not a ${empty.kind}`);
}
