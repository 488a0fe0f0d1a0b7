import type { RecordView, SyncMark } from '../api.js';
import { keyOf, numberOf, valueOf } from '../domain/exact.js';
import type { CollectionId, ConflictId, FieldId, RecordId, Seq } from '../domain/ids.js';
import { compareStrings, compareValues, sameValue } from '../domain/order.js';
import type { FieldState, Value } from '../domain/value.js';

/** What a view is made from. */
export interface ViewSource {
  readonly recordId: RecordId;
  readonly collectionId: CollectionId;
  readonly deleted: boolean;
  readonly fields: Iterable<readonly [FieldId, FieldState]>;
  /** Those of them that are opaque. */
  readonly opaque: readonly FieldId[];
  readonly seq: Seq;
  readonly sync: SyncMark;
  readonly fieldSync: Readonly<Record<FieldId, SyncMark>>;
  readonly conflictIds: readonly ConflictId[];
}

/** Whether a link may be shown: its target is there and not deleted. */
export type IsShown = (target: RecordId) => boolean;

/**
 * A record as shown. Returns `before` itself when nothing is different, and keeps the values of fields that are the
 * same, so that what did not change stays the same object.
 */
export function recordView(source: ViewSource, before: RecordView | undefined, isShown: IsShown): RecordView {
  const fields: Record<FieldId, Value> = {};
  let same = before !== undefined;
  let count = 0;
  for (const [fieldId, state] of source.fields) {
    const value = fieldValue(state, isShown);
    const old = before?.fields[fieldId];
    const kept = old !== undefined && typeof old === typeof value && sameValue(old, value) ? old : value;
    if (kept !== old) same = false;
    fields[fieldId] = kept;
    count++;
  }
  const sameFields = before !== undefined && same && Object.keys(before.fields).length === count;
  const sameSync = before !== undefined && sameMarks(before.fieldSync, source.fieldSync);
  const sameOpaque = before !== undefined && sameList(before.opaque, source.opaque);
  const sameConflicts = before !== undefined && sameList(before.conflictIds, source.conflictIds);
  if (
    sameFields &&
    sameSync &&
    sameConflicts &&
    sameOpaque &&
    before.deleted === source.deleted &&
    before.seq === source.seq &&
    before.sync === source.sync &&
    before.collection === source.collectionId
  ) {
    return before;
  }
  return {
    id: source.recordId,
    collection: source.collectionId,
    deleted: source.deleted,
    fields: sameFields ? before.fields : fields,
    opaque: sameOpaque ? before.opaque : source.opaque,
    seq: source.seq,
    sync: source.sync,
    fieldSync: sameSync ? before.fieldSync : source.fieldSync,
    conflictIds: sameConflicts ? before.conflictIds : source.conflictIds,
  };
}

/** What an application reads of a field. */
export function fieldValue(state: FieldState, isShown: IsShown): Value {
  switch (state.kind) {
    case 'register':
      return valueOf(state.value);
    case 'text':
      return state.text;
    case 'counter':
      return numberOf(state.value);
    case 'set':
      return sortedElements(
        [...state.elements.values()].map((element) => ({ key: keyOf(element), value: valueOf(element) })),
      );
    case 'to_one':
      return state.target !== null && isShown(state.target) ? state.target : null;
    case 'to_many':
      return [...state.targets].filter(isShown).sort(compareStrings);
    case 'opaque':
      return null;
  }
}

function sortedElements(elements: { readonly key: string; readonly value: Value }[]): readonly Value[] {
  elements.sort((a, b) => compareValues(a.value, b.value) || compareStrings(a.key, b.key));
  return elements.map((element) => element.value);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function sameMarks(a: Readonly<Record<FieldId, SyncMark>>, b: Readonly<Record<FieldId, SyncMark>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
