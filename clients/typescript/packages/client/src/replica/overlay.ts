import type { ConfirmedRecord } from '../domain/change.js';
import { emptyState, type KindOf } from '../domain/fold.js';
import { keyOf } from '../domain/exact.js';
import type { CollectionId, FieldId, RecordId } from '../domain/ids.js';
import type { Action, Mutation, Operation } from '../domain/operation.js';
import { applyHunks } from '../domain/text/hunk.js';
import type { ExactValue, FieldState, KnownKind } from '../domain/value.js';

/** A record with own mutations on top. Its fields are replaced, never changed in place. */
export interface OverlayRecord {
  readonly collectionId: CollectionId;
  deleted: boolean;
  /** Deleted by an own operation: an edit that comes later does not bring it back. */
  ownDeleted: boolean;
  readonly fields: Map<FieldId, FieldState>;
}

export function overlayOf(record: ConfirmedRecord): OverlayRecord {
  const fields = new Map<FieldId, FieldState>();
  for (const [id, field] of record.fields) fields.set(id, field.state);
  return { collectionId: record.collectionId, deleted: record.deleted, ownDeleted: false, fields };
}

export function copyOverlay(record: OverlayRecord): OverlayRecord {
  return { ...record, fields: new Map(record.fields) };
}

/** A text edit among the mutations, with what it wants; a text given to `create` included. */
export interface TextWish {
  readonly recordId: RecordId;
  readonly fieldId: FieldId;
  readonly wanted: Extract<Action, { readonly type: 'edit_text' }>['hunks'] | string;
}

/** The text edits of an operation. A text in `create` starts from nothing. */
export function textWishes(operation: Pick<Operation, 'mutations'>, kindOf: KindOf): readonly TextWish[] {
  const wishes: TextWish[] = [];
  for (const { recordId, collectionId, action } of operation.mutations) {
    if (action.type === 'edit_text') wishes.push({ recordId, fieldId: action.fieldId, wanted: action.hunks });
    else if (action.type === 'replace_text') wishes.push({ recordId, fieldId: action.fieldId, wanted: action.text });
    else if (action.type === 'create') {
      for (const [fieldId, value] of action.fields) {
        if (kindOf(collectionId, fieldId) !== 'text' || value.kind !== 'string') continue;
        const hunks = value.value === '' ? [] : [{ position: 0, deleteCount: 0, insert: value.value }];
        wishes.push({ recordId, fieldId, wanted: hunks });
      }
    }
  }
  return wishes;
}

/**
 * One own mutation on top of a record, as it will look when it settles undisturbed. It was checked when it was made;
 * what does not fit any more is left out. Texts are applied here only when told so: on top of what others settled, the
 * order tree decides.
 */
export function applyOwn(
  record: OverlayRecord | undefined,
  mutation: Mutation,
  kindOf: KindOf,
  texts: 'apply' | 'leave',
): OverlayRecord | undefined {
  const { action } = mutation;
  if (action.type === 'create') {
    const created = record ?? {
      collectionId: mutation.collectionId,
      deleted: false,
      ownDeleted: false,
      fields: new Map<FieldId, FieldState>(),
    };
    revive(created);
    for (const [fieldId, value] of action.fields) {
      const state = initialState(kindOf(mutation.collectionId, fieldId) ?? 'register', value);
      // A concurrent creation may have written the text already; then the order tree decides.
      if (state.kind === 'text' && texts === 'leave') touchText(created, fieldId);
      else created.fields.set(fieldId, state);
    }
    return created;
  }
  if (record === undefined || record.collectionId !== mutation.collectionId) return record;
  if (action.type === 'delete') {
    record.deleted = true;
    record.ownDeleted = true;
    return record;
  }
  if (action.type === 'restore') {
    record.deleted = false;
    record.ownDeleted = false;
    return record;
  }
  if (!('fieldId' in action)) return record;
  const kind = kindOf(mutation.collectionId, action.fieldId);
  const before = record.fields.get(action.fieldId);
  const state = applyToField(before, action, kind, texts);
  if (state === undefined) return record;
  revive(record);
  record.fields.set(action.fieldId, state);
  return record;
}

/** On a record somebody deleted meanwhile an edit shows it alive: the edit wins at the server too. */
function revive(record: OverlayRecord): void {
  if (!record.ownDeleted) record.deleted = false;
}

function touchText(record: OverlayRecord, fieldId: FieldId): void {
  if (!record.fields.has(fieldId)) record.fields.set(fieldId, emptyState('text'));
}

function initialState(kind: KnownKind, value: ExactValue): FieldState {
  if (kind === 'text' && value.kind === 'string') return { kind, text: value.value };
  if (kind === 'counter' && value.kind === 'int') return { kind, value: value.value };
  if (kind === 'to_one' && value.kind === 'string') return { kind, target: value.value };
  return { kind: 'register', value };
}

type FieldAction = Extract<Action, { readonly fieldId: FieldId }>;

/** Undefined when the field has another kind by now. */
function applyToField(
  state: FieldState | undefined,
  action: FieldAction,
  kind: KnownKind | undefined,
  texts: 'apply' | 'leave',
): FieldState | undefined {
  switch (action.type) {
    case 'set':
      return !state || state.kind === 'register' ? { kind: 'register', value: action.value } : undefined;
    case 'edit_text':
    case 'replace_text': {
      if (state && state.kind !== 'text') return undefined;
      const before = state ?? { kind: 'text' as const, text: '' };
      if (texts === 'leave') return before;
      return { kind: 'text', text: action.type === 'edit_text' ? applyHunks(before.text, action.hunks) : action.text };
    }
    case 'increment':
      if (state && state.kind !== 'counter') return undefined;
      return { kind: 'counter', value: (state?.value ?? 0n) + action.by };
    case 'assign_counter':
      return !state || state.kind === 'counter' ? { kind: 'counter', value: action.value } : undefined;
    case 'add_elements':
    case 'remove_elements': {
      if (state && state.kind !== 'set') return undefined;
      const elements = new Map(state?.elements);
      for (const element of action.elements) {
        const key = keyOf(element);
        // An equal element stays as it was first added.
        if (action.type === 'remove_elements') elements.delete(key);
        else if (!elements.has(key)) elements.set(key, element);
      }
      return { kind: 'set', elements };
    }
    case 'clear_elements':
      if (state && state.kind !== 'set' && state.kind !== 'to_many') return undefined;
      return emptyState(state?.kind ?? kind ?? 'set');
    case 'link':
    case 'unlink':
      return applyLink(state, action, kind);
  }
}

function applyLink(
  state: FieldState | undefined,
  action: Extract<Action, { readonly type: 'link' | 'unlink' }>,
  kind: KnownKind | undefined,
): FieldState | undefined {
  const target = action.targetRecordId;
  const shape = state?.kind ?? kind ?? 'to_many';
  if (shape === 'to_one') return { kind: 'to_one', target: action.type === 'link' ? target : null };
  if (shape === 'to_many') {
    const targets = new Set(state?.kind === 'to_many' ? state.targets : []);
    if (action.type === 'link' && target !== null) targets.add(target);
    else if (target !== null) targets.delete(target);
    return { kind: 'to_many', targets };
  }
  return undefined;
}
