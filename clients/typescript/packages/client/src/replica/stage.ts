import type { RecordView } from '../api.js';
import { isInt64 } from '../domain/exact.js';
import { isId } from '../domain/dot.js';
import type { CollectionId, FieldId, RecordId } from '../domain/ids.js';
import type { Action, Mutation } from '../domain/operation.js';
import { Problem } from '../domain/problem.js';
import type { ExactValue, FieldKind, FieldState, KnownKind } from '../domain/value.js';
import { SynclineError } from '../errors.js';
import { ELEMENTS_PER_MUTATION_MAX, ELEMENT_BYTES_MAX, TEXT_BYTES_MAX, TEXT_HUNKS_MAX } from '../limits.js';
import { type OverlayRecord, applyOwn } from './overlay.js';
import type { ReplicaState } from './state.js';
import { checkBounds, validateHunks } from '../domain/text/hunk.js';
import { scalarCount } from '../domain/text/scalars.js';

/** The kinds an action fits; the first is what a field becomes that nobody declared. */
const KINDS: Readonly<Record<string, readonly FieldKind[]>> = {
  set: ['register'],
  edit_text: ['text'],
  replace_text: ['text'],
  increment: ['counter'],
  assign_counter: ['counter'],
  add_elements: ['set'],
  remove_elements: ['set'],
  clear_elements: ['set', 'to_many'],
  link: ['to_many', 'to_one'],
  unlink: ['to_many', 'to_one'],
};

/**
 * What is shown with mutations of one operation on top, before it is made. Every mutation is checked against it; a
 * mutation that does not fit throws and changes nothing.
 */
export class Stage {
  private readonly states = new Map<RecordId, OverlayRecord | undefined>();
  private readonly kinds = new Map<string, FieldKind>();

  constructor(private readonly replica: ReplicaState) {}

  /** The staged records. */
  touched(): ReadonlyMap<RecordId, OverlayRecord> {
    const touched = new Map<RecordId, OverlayRecord>();
    for (const [id, state] of this.states) if (state !== undefined) touched.set(id, state);
    return touched;
  }

  /** Kinds that fields got by these mutations. */
  derivedKinds(): ReadonlyMap<string, FieldKind> {
    return this.kinds;
  }

  get(id: RecordId): RecordView | undefined {
    const state = this.state(id);
    if (!this.states.has(id)) return this.replica.view(id);
    return this.replica.viewOf(id, state, undefined, undefined, (target) => this.isShown(target));
  }

  /** A field as staged; undefined when nobody set it. */
  field(id: RecordId, fieldId: FieldId): FieldState | undefined {
    return this.state(id)?.fields.get(fieldId);
  }

  /** The fields of a record of a collection that is shown as deleted. */
  deleted(id: RecordId, collectionId: CollectionId): ReadonlyMap<FieldId, FieldState> | undefined {
    const state = this.state(id);
    return state?.deleted === true && state.collectionId === collectionId ? state.fields : undefined;
  }

  collectionOf(id: RecordId): CollectionId {
    return this.existing(id).collectionId;
  }

  readonly kindOf = (collectionId: CollectionId, fieldId: FieldId): KnownKind | undefined =>
    this.replica.kindOf(collectionId, fieldId) ?? this.kinds.get(`${collectionId}.${fieldId}`);

  isShown(id: RecordId): boolean {
    if (!this.states.has(id)) return this.replica.isShown(id);
    const state = this.states.get(id);
    return state !== undefined && !state.deleted;
  }

  /** Checks a mutation and puts it on top. */
  apply(mutation: Mutation): void {
    const { action, recordId } = mutation;
    if (action.type === 'defer_conflict' || action.type === 'assign_conflict' || action.type === 'reopen_conflict')
      return;
    if (!isId(recordId)) throw argument(`"${recordId}" cannot be the id of a record`);
    if (!isId(mutation.collectionId)) throw argument(`"${mutation.collectionId}" cannot be the id of a collection`);
    if (action.type === 'create') this.checkCreate(mutation, action);
    else if (action.type === 'restore') this.checkCollection(mutation);
    else if (action.type === 'delete') {
      this.checkCollection(mutation);
      if (this.existing(recordId).deleted && mutation.resolvesConflictId === undefined) {
        throw misfit(`record ${recordId} is deleted already`);
      }
    } else this.checkField(mutation, action);
    const before = this.state(recordId);
    this.states.set(recordId, applyOwn(before, mutation, this.kindOf, 'apply'));
  }

  private checkCreate(mutation: Mutation, action: Extract<Action, { readonly type: 'create' }>): void {
    const { recordId, collectionId } = mutation;
    if (this.deleted(recordId, collectionId) !== undefined)
      throw misfit(`record ${recordId} is deleted: restore it, or create it with replaceDeleted`);
    if (this.state(recordId) !== undefined) throw misfit(`record ${recordId} exists already`);
    this.checkDeclared(mutation.collectionId);
    for (const [fieldId, value] of action.fields) {
      const kind = this.kind(mutation.collectionId, fieldId, 'create', ['register', 'text', 'counter', 'to_one']);
      const fits =
        kind === 'register' ||
        (kind === 'counter' && value.kind === 'int') ||
        ((kind === 'text' || kind === 'to_one') && value.kind === 'string');
      if (!fits) throw misfit(`${mutation.collectionId}.${fieldId} is a ${kind}`);
      if (kind === 'text' && value.kind === 'string') checkText(value.value);
      if (kind === 'to_one' && value.kind === 'string') this.checkTarget(value.value);
    }
  }

  private checkField(mutation: Mutation, action: Extract<Action, { readonly fieldId: FieldId }>): void {
    this.checkCollection(mutation);
    const { recordId, collectionId } = mutation;
    if (this.existing(recordId).deleted) throw misfit(`record ${recordId} is deleted`);
    const state = this.field(recordId, action.fieldId);
    const kind = this.kind(collectionId, action.fieldId, action.type, KINDS[action.type] ?? [], state?.kind);
    if (state !== undefined && state.kind !== kind) {
      throw misfit(`${collectionId}.${action.fieldId} is a ${state.kind}, not a ${kind}`);
    }
    switch (action.type) {
      case 'edit_text':
        this.checkHunks(state, action);
        break;
      case 'replace_text':
        checkText(action.text);
        break;
      case 'increment':
      case 'assign_counter': {
        const value = state?.kind === 'counter' ? state.value : 0n;
        if (!isInt64(action.type === 'increment' ? value + action.by : action.value)) {
          throw misfit(`${collectionId}.${action.fieldId} would exceed 64 bits`);
        }
        break;
      }
      case 'add_elements':
      case 'remove_elements':
        checkElements(action);
        break;
      case 'link':
        this.checkTarget(action.targetRecordId);
        break;
      case 'unlink':
        if (kind === 'to_many' && action.targetRecordId === null) {
          throw argument(`${collectionId}.${action.fieldId} has many targets: say which one to unlink`);
        }
        break;
      case 'set':
      case 'clear_elements':
        break;
    }
  }

  private checkHunks(state: FieldState | undefined, action: Extract<Action, { readonly type: 'edit_text' }>): void {
    const text = state?.kind === 'text' ? state.text : '';
    if (action.hunks.length > TEXT_HUNKS_MAX) throw tooLarge(`a text edit has more than ${TEXT_HUNKS_MAX} hunks`);
    try {
      validateHunks(action.hunks);
      checkBounds(action.hunks, scalarCount(text));
    } catch (error) {
      if (error instanceof Problem) throw misfit(error.message);
      throw error;
    }
    checkText(
      text,
      action.hunks.reduce((bytes, hunk) => bytes + hunk.insert.length, 0),
    );
  }

  private checkTarget(target: RecordId): void {
    if (!isId(target)) throw argument(`"${target}" cannot be the id of a record`);
    const state = this.state(target);
    if (state === undefined) throw misfit(`there is no record ${target} to link to`);
    if (state.deleted) throw misfit(`record ${target} is deleted`);
  }

  private checkCollection(mutation: Mutation): void {
    const { collectionId } = this.existing(mutation.recordId);
    if (collectionId !== mutation.collectionId) {
      throw misfit(`record ${mutation.recordId} is in collection ${collectionId}`);
    }
  }

  /** The field's kind, which must be among those; the first of them when nobody declared it, and it has no state. */
  private kind(
    collectionId: CollectionId,
    fieldId: FieldId,
    action: string,
    fits: readonly FieldKind[],
    present?: KnownKind,
  ): FieldKind {
    if (!isId(fieldId)) throw argument(`"${fieldId}" cannot be the id of a field`);
    this.checkDeclared(collectionId, fieldId);
    const known = this.kindOf(collectionId, fieldId) ?? present;
    if (known === 'opaque' || present === 'opaque') {
      throw tooNew(`${collectionId}.${fieldId} holds something that a newer version of this program wrote: update it`);
    }
    if (known !== undefined) {
      if (fits.includes(known)) return known;
      throw misfit(`${collectionId}.${fieldId} is a ${known}, which takes no ${action}`);
    }
    const kind = fits[0] ?? 'register';
    this.kinds.set(`${collectionId}.${fieldId}`, kind);
    return kind;
  }

  /** A strict schema, be it the server's or the program's, has what is written to. */
  private checkDeclared(collectionId: CollectionId, fieldId?: FieldId): void {
    const without = this.replica.strictWithout(collectionId, fieldId);
    if (without === undefined) return;
    const what = fieldId === undefined ? `collection ${collectionId}` : `field ${collectionId}.${fieldId}`;
    const isProgram = without === 'program';
    throw misfit(`there is no ${what} in the ${isProgram ? 'schema of the program: define it' : "server's schema"}`);
  }

  existing(id: RecordId): OverlayRecord {
    const state = this.state(id);
    if (state === undefined) throw misfit(`there is no record ${id}`);
    return state;
  }

  /** A staged record, which may be changed. */
  private state(id: RecordId): OverlayRecord | undefined {
    if (this.states.has(id)) return this.states.get(id);
    return this.replica.overlayCopy(id);
  }
}

function checkText(text: string, more = 0): void {
  // UTF-16 units are at most bytes; only near the limit it is worth encoding.
  const units = text.length + more;
  if (units * 3 <= TEXT_BYTES_MAX) return;
  if (new TextEncoder().encode(text).length + more > TEXT_BYTES_MAX) {
    throw tooLarge(`a text has more than ${TEXT_BYTES_MAX} bytes`);
  }
}

function checkElements(action: Extract<Action, { readonly type: 'add_elements' | 'remove_elements' }>): void {
  if (action.elements.length === 0 || action.elements.length > ELEMENTS_PER_MUTATION_MAX) {
    throw argument(`${action.elements.length} elements: 1 to ${ELEMENTS_PER_MUTATION_MAX} are possible`);
  }
  if (action.elements.some((element) => element.kind === 'list' || element.kind === 'map')) {
    throw argument('lists and maps cannot be elements of a set');
  }
  // Of what is written in several bytes a letter, the server says it.
  const isLong = (element: ExactValue): boolean =>
    element.kind === 'string' && element.value.length > ELEMENT_BYTES_MAX;
  if (action.type === 'add_elements' && action.elements.some(isLong)) {
    throw argument(`an element of a set has at most ${ELEMENT_BYTES_MAX} bytes`);
  }
}

export function misfit(message: string): SynclineError {
  return new SynclineError('INVALID_MUTATION', message);
}

export function argument(message: string): SynclineError {
  return new SynclineError('INVALID_ARGUMENT', message);
}

/** Only a newer version of this program can do it. */
export function tooNew(message: string): SynclineError {
  return new SynclineError('NEEDS_NEWER_VERSION', message);
}

export function tooLarge(message: string): SynclineError {
  return new SynclineError('OPERATION_TOO_LARGE', message);
}
