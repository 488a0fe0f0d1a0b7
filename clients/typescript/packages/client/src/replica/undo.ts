import { dotKey, fieldKey } from '../domain/dot.js';
import { keyOf, sameExact } from '../domain/exact.js';
import { declaredKind, emptyState } from '../domain/fold.js';
import type { Dot, FieldId, RecordId } from '../domain/ids.js';
import type { Action, Hunk, Mutation, Operation } from '../domain/operation.js';
import { diff } from '../domain/text/diff.js';
import type { ExactValue, FieldState } from '../domain/value.js';
import { UNDO_STEPS_MAX } from '../limits.js';
import { type OverlayRecord, applyOwn } from './overlay.js';
import type { ReplicaState } from './state.js';
import { TextTrace } from './text-trace.js';

/** Operations whose effects are remembered: what undo keeps, and as much again for redo and groups of typing. */
const OPERATIONS_MAX = UNDO_STEPS_MAX * 20;

/** One mutation of an own operation, with what it met. */
interface Done {
  readonly mutation: Mutation;
  /** The field before it; undefined when nobody had set it, or the mutation is about the record. */
  readonly before: FieldState | undefined;
  /** Elements or targets that were really added or removed. */
  readonly added: readonly ExactValue[];
  readonly removed: readonly ExactValue[];
}

interface DoneOperation {
  readonly done: readonly Done[];
  /** By field key: what the operation inserted and deleted, followed through later changes. */
  readonly texts: Map<string, TextTrace>;
}

/** What own operations of this run did, as far as needed to take it back. */
export class UndoLog {
  private readonly operations = new Map<string, DoneOperation>();
  private readonly traces = new Map<string, Set<TextTrace>>();

  /** Notes what an operation meets, before it is put on top. */
  record(operation: Operation, state: ReplicaState): void {
    const records = new Map<RecordId, OverlayRecord | undefined>();
    const texts = new Map<string, TextTrace>();
    const done = operation.mutations.map((mutation) => {
      const { recordId, action } = mutation;
      if (!records.has(recordId)) records.set(recordId, state.overlayCopy(recordId));
      const record = records.get(recordId);
      const before = 'fieldId' in action ? record?.fields.get(action.fieldId) : undefined;
      const noted = { mutation, before, ...elementsOf(action, before) };
      if (action.type === 'edit_text' || action.type === 'replace_text') {
        const text = before?.kind === 'text' ? before.text : '';
        const hunks = action.type === 'edit_text' ? action.hunks : diff(text, action.text);
        texts.set(fieldKey(recordId, action.fieldId), new TextTrace(text, hunks));
      }
      records.set(recordId, applyOwn(record, mutation, state.kindOf, 'apply'));
      return noted;
    });
    const key = dotKey(operation.dot);
    this.operations.set(key, { done, texts });
    // Those of this very operation are told of its own change, which they stand behind already.
    for (const [field, trace] of texts) {
      const traces = this.traces.get(field);
      if (traces === undefined) this.traces.set(field, new Set([trace]));
      else traces.add(trace);
    }
    this.forgetOldest();
  }

  private forgetOldest(): void {
    for (const [key, { texts }] of this.operations) {
      if (this.operations.size <= OPERATIONS_MAX) return;
      this.operations.delete(key);
      for (const [field, trace] of texts) {
        const traces = this.traces.get(field);
        traces?.delete(trace);
        if (traces?.size === 0) this.traces.delete(field);
      }
    }
  }

  /** A text is shown differently now: places in it move. */
  follow(recordId: RecordId, fieldId: FieldId, before: string, after: string): void {
    const traces = this.traces.get(fieldKey(recordId, fieldId));
    if (traces === undefined || before === after) return;
    let hunks: readonly Hunk[] | undefined;
    for (const trace of traces) {
      if (trace.isBorn(after)) continue;
      hunks ??= diff(before, after);
      trace.follow(hunks);
    }
  }

  /** The mutations that take back these operations, the latest first, against what is shown now. */
  inverse(
    dots: readonly Dot[],
    state: ReplicaState,
  ): { readonly mutations: readonly Mutation[]; readonly skipped: readonly string[] } {
    const inverse = new Inverse(state);
    const latestFirst = [...dots].sort((a, b) => b.counter - a.counter);
    for (const dot of latestFirst) {
      const operation = this.operations.get(dotKey(dot));
      if (operation === undefined) continue;
      for (const done of [...operation.done].reverse()) inverse.takeBack(done);
      for (const [field, trace] of operation.texts) inverse.takeBackText(field, trace);
    }
    return inverse.finish();
  }
}

/** Elements that really joined or left. */
function elementsOf(action: Action, before: FieldState | undefined): Pick<Done, 'added' | 'removed'> {
  const has = (element: ExactValue): boolean =>
    before?.kind === 'set'
      ? before.elements.has(keyOf(element))
      : before?.kind === 'to_many' && element.kind === 'string' && before.targets.has(element.value);
  switch (action.type) {
    case 'add_elements':
      return { added: action.elements.filter((element) => !has(element)), removed: [] };
    case 'remove_elements':
      return { added: [], removed: action.elements.filter(has) };
    case 'clear_elements':
      return { added: [], removed: allElements(before) };
    case 'link': {
      const target: ExactValue = { kind: 'string', value: action.targetRecordId };
      return { added: has(target) ? [] : [target], removed: [] };
    }
    case 'unlink': {
      const target: ExactValue = { kind: 'string', value: action.targetRecordId ?? '' };
      return { added: [], removed: has(target) ? [target] : [] };
    }
    default:
      return { added: [], removed: [] };
  }
}

function allElements(state: FieldState | undefined): readonly ExactValue[] {
  if (state?.kind === 'set') return [...state.elements.values()];
  if (state?.kind === 'to_many') return [...state.targets].map((value) => ({ kind: 'string', value }));
  return [];
}

/** One inverse operation in the making, with what it changes so far. */
class Inverse {
  private readonly mutations: Mutation[] = [];
  private readonly skipped = new Set<string>();
  private readonly records = new Map<RecordId, OverlayRecord | undefined>();
  private readonly texts = new Map<
    string,
    { readonly mutation: Omit<Mutation, 'action'>; fieldId: FieldId; traces: TextTrace[] }
  >();

  constructor(private readonly state: ReplicaState) {}

  finish(): { readonly mutations: readonly Mutation[]; readonly skipped: readonly string[] } {
    for (const { mutation, fieldId, traces } of this.texts.values()) {
      const record = this.record(mutation.recordId);
      if (record === undefined || record.deleted) continue;
      const hunks = TextTrace.inverse(traces);
      if (hunks.length === 0) continue;
      this.mutations.push(this.textMutation(mutation, fieldId, hunks));
    }
    return { mutations: this.mutations, skipped: [...this.skipped] };
  }

  private textMutation(mutation: Omit<Mutation, 'action'>, fieldId: FieldId, hunks: readonly Hunk[]): Mutation {
    const shown = this.state.text(mutation.recordId, fieldId);
    if (shown.exact) return { ...mutation, action: { type: 'edit_text', fieldId, hunks } };
    return { ...mutation, action: { type: 'replace_text', fieldId, text: TextTrace.apply(shown.text, hunks) } };
  }

  takeBackText(_field: string, trace: TextTrace): void {
    const entry = this.texts.get(_field);
    if (entry !== undefined) {
      entry.traces.push(trace);
      return;
    }
    const [recordId = '', fieldId = ''] = _field.split('/');
    const record = this.record(recordId);
    if (record === undefined) return;
    this.texts.set(_field, { mutation: { collectionId: record.collectionId, recordId }, fieldId, traces: [trace] });
  }

  takeBack({ mutation, before, added, removed }: Done): void {
    const { recordId, collectionId, action } = mutation;
    const record = this.record(recordId);
    if (record === undefined) return;
    const put = (next: Action): void => this.put({ collectionId, recordId, action: next });
    switch (action.type) {
      case 'create':
      case 'restore':
        if (!record.deleted) put({ type: 'delete' });
        return;
      case 'delete':
        if (record.deleted) put({ type: 'restore' });
        return;
      case 'edit_text':
      case 'replace_text':
      case 'defer_conflict':
      case 'assign_conflict':
      case 'reopen_conflict':
        return;
      default:
    }
    if (record.deleted) {
      this.skipped.add(fieldKey(recordId, action.fieldId));
      return;
    }
    switch (action.type) {
      case 'increment':
        put({ type: 'increment', fieldId: action.fieldId, by: -action.by });
        return;
      case 'set':
      case 'assign_counter':
        this.putBack(mutation, record, action, before);
        return;
      default:
        this.putBackMembers(mutation, record, action, before, added, removed);
    }
  }

  /** Only while the field still has what the operation wrote. */
  private putBack(
    mutation: Mutation,
    record: OverlayRecord,
    action: Extract<Action, { readonly type: 'set' | 'assign_counter' }>,
    before: FieldState | undefined,
  ): void {
    const { collectionId, recordId } = mutation;
    const { fieldId } = action;
    const now = record.fields.get(fieldId);
    const ours =
      (action.type === 'set' && now?.kind === 'register' && sameExact(now.value, action.value)) ||
      (action.type === 'assign_counter' && now?.kind === 'counter' && now.value === action.value);
    if (!ours) {
      this.skipped.add(fieldKey(recordId, fieldId));
      return;
    }
    if (action.type === 'set') {
      const old = before ?? emptyState('register');
      if (old.kind === 'register') this.put({ collectionId, recordId, action: { ...action, value: old.value } });
    } else {
      const value = before?.kind === 'counter' ? before.value : 0n;
      this.put({ collectionId, recordId, action: { ...action, value } });
    }
  }

  private putBackMembers(
    mutation: Mutation,
    record: OverlayRecord,
    action: Extract<
      Action,
      { readonly type: 'link' | 'unlink' | 'add_elements' | 'remove_elements' | 'clear_elements' }
    >,
    before: FieldState | undefined,
    added: readonly ExactValue[],
    removed: readonly ExactValue[],
  ): void {
    const { collectionId, recordId } = mutation;
    const { fieldId } = action;
    const now = record.fields.get(fieldId);
    if (
      declaredKind(this.state.schema, collectionId, fieldId) === 'to_one' ||
      before?.kind === 'to_one' ||
      now?.kind === 'to_one'
    ) {
      const wrote = action.type === 'link' ? action.targetRecordId : null;
      const target = now?.kind === 'to_one' ? now.target : null;
      if (target !== wrote) {
        this.skipped.add(fieldKey(recordId, fieldId));
        return;
      }
      const old = before?.kind === 'to_one' ? before.target : null;
      if (old === target) return;
      if (old !== null && !this.state.isShown(old)) this.skipped.add(fieldKey(recordId, fieldId));
      else if (old !== null)
        this.put({ collectionId, recordId, action: { type: 'link', fieldId, targetRecordId: old } });
      else this.put({ collectionId, recordId, action: { type: 'unlink', fieldId, targetRecordId: target } });
      return;
    }
    const present = new Set(allElements(now).map(keyOf));
    const leave = added.filter((element) => present.has(keyOf(element)));
    const join = removed.filter((element) => !present.has(keyOf(element)));
    if (now?.kind === 'to_many') this.putBackLinks(mutation, fieldId, leave, join);
    else {
      if (leave.length > 0)
        this.put({ collectionId, recordId, action: { type: 'remove_elements', fieldId, elements: leave } });
      if (join.length > 0)
        this.put({ collectionId, recordId, action: { type: 'add_elements', fieldId, elements: join } });
    }
  }

  private putBackLinks(
    mutation: Mutation,
    fieldId: FieldId,
    leave: readonly ExactValue[],
    join: readonly ExactValue[],
  ): void {
    const { collectionId, recordId } = mutation;
    const put = (type: 'link' | 'unlink', element: ExactValue): void => {
      if (element.kind !== 'string') return;
      this.put({ collectionId, recordId, action: { type, fieldId, targetRecordId: element.value } });
    };
    for (const element of leave) put('unlink', element);
    for (const element of join) {
      if (element.kind === 'string' && this.state.isShown(element.value)) put('link', element);
      else this.skipped.add(fieldKey(recordId, fieldId));
    }
  }

  private put(mutation: Mutation): void {
    this.mutations.push(mutation);
    const { recordId } = mutation;
    this.records.set(recordId, applyOwn(this.record(recordId), mutation, this.state.kindOf, 'leave'));
  }

  private record(id: RecordId): OverlayRecord | undefined {
    if (!this.records.has(id)) this.records.set(id, this.state.overlayCopy(id));
    return this.records.get(id);
  }
}
