import type { ConfirmedField, ConfirmedRecord, Effect } from './change.js';
import { EXACT_NULL, exactString, keyOf } from './exact.js';
import type { CollectionId, FieldId, RecordId, Seq } from './ids.js';
import { Problem } from './problem.js';
import type { Schema } from './schema.js';
import { applySplices } from './text/splice.js';
import type { ExactValue, FieldKind, FieldState } from './value.js';

/** A field's kind as far as it is known. */
export type KindOf = (collectionId: CollectionId, fieldId: FieldId) => FieldKind | undefined;

/** What a field shows that nobody wrote. */
export function emptyState(kind: FieldKind): FieldState {
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
  }
}

/**
 * A state in the kind its field is known to have. Effects do not tell registers from to-one links, nor sets from
 * to-many links, so that a field folded before its schema was read may have to be read again.
 */
export function asKind(state: FieldState, kind: FieldKind | undefined): FieldState {
  if (state.kind === 'register' && kind === 'to_one') {
    return { kind, target: state.value.kind === 'string' ? state.value.value : null };
  }
  if (state.kind === 'set' && kind === 'to_many') {
    const targets = [...state.elements.values()].flatMap((element) =>
      element.kind === 'string' ? [element.value] : [],
    );
    return { kind, targets: new Set(targets) };
  }
  return state;
}

/** Whether a field of one kind can be one of the other, as far as effects tell. */
export function compatibleKinds(state: FieldKind, kind: FieldKind): boolean {
  const coarse = (k: FieldKind): FieldKind => (k === 'to_one' ? 'register' : k === 'to_many' ? 'set' : k);
  return coarse(state) === coarse(kind);
}

/** The kind a schema declares. */
export function declaredKind(
  schema: Schema | undefined,
  collectionId: CollectionId,
  fieldId: FieldId,
): FieldKind | undefined {
  return schema?.collections.get(collectionId)?.get(fieldId)?.kind;
}

/** Folds one effect on a record. Throws a {@link Problem} when it does not fit. */
export function foldEffect(
  record: ConfirmedRecord | undefined,
  effect: Effect,
  seq: Seq,
  kindOf: KindOf,
): ConfirmedRecord {
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
    case 'set_changed': {
      const before = record.fields.get(effect.fieldId);
      const kind = kindOf(record.collectionId, effect.fieldId);
      const fields = new Map(record.fields);
      fields.set(effect.fieldId, { state: foldField(before, effect, kind), lastSeq: seq });
      return { ...record, fields, lastSeq: seq };
    }
  }
}

function newRecord(recordId: RecordId, collectionId: CollectionId, seq: Seq): ConfirmedRecord {
  return { recordId, collectionId, deleted: false, createdSeq: seq, lastSeq: seq, asOfSeq: 0, fields: new Map() };
}

type FieldEffect = Effect & {
  readonly type: 'register_changed' | 'text_changed' | 'counter_changed' | 'set_changed';
};

function foldField(before: ConfirmedField | undefined, effect: FieldEffect, kind: FieldKind | undefined): FieldState {
  const state = before?.state;
  switch (effect.type) {
    case 'register_changed':
      if (state?.kind === 'to_one' || kind === 'to_one') return { kind: 'to_one', target: targetOf(effect.value) };
      expectKind(state, 'register', effect);
      return { kind: 'register', value: effect.value };
    case 'text_changed': {
      expectKind(state, 'text', effect);
      return { kind: 'text', text: applySplices(state?.kind === 'text' ? state.text : '', effect.splices) };
    }
    case 'counter_changed':
      expectKind(state, 'counter', effect);
      return { kind: 'counter', value: effect.value };
    case 'set_changed':
      if (state?.kind === 'to_many' || kind === 'to_many') return foldTargets(state, effect);
      expectKind(state, 'set', effect);
      return foldElements(state, effect);
  }
}

function expectKind(state: FieldState | undefined, kind: FieldKind, effect: FieldEffect): void {
  if (state !== undefined && state.kind !== kind) {
    throw new Problem('effect', `field ${effect.recordId}/${effect.fieldId} is a ${state.kind}, not a ${kind}`);
  }
}

function targetOf(value: ExactValue): RecordId | null {
  return value.kind === 'string' && value.value !== '' ? value.value : null;
}

type SetEffect = Effect & { readonly type: 'set_changed' };

function foldElements(state: FieldState | undefined, effect: SetEffect): FieldState {
  const elements = new Map(state?.kind === 'set' ? state.elements : []);
  for (const element of effect.removed) elements.delete(keyOf(element));
  for (const element of effect.added) elements.set(keyOf(element), element);
  return { kind: 'set', elements };
}

function foldTargets(state: FieldState | undefined, effect: SetEffect): FieldState {
  const targets = new Set(state?.kind === 'to_many' ? state.targets : []);
  const strings = (values: readonly ExactValue[]): readonly RecordId[] =>
    values.flatMap((value) => (value.kind === 'string' ? [value.value] : []));
  if (state?.kind === 'set') for (const target of strings([...state.elements.values()])) targets.add(target);
  for (const target of strings(effect.removed)) targets.delete(target);
  for (const target of strings(effect.added)) targets.add(target);
  return { kind: 'to_many', targets };
}

/** A link as the protocol has it in effects. */
export function exactTarget(target: RecordId | null): ExactValue {
  return target === null ? EXACT_NULL : exactString(target);
}
