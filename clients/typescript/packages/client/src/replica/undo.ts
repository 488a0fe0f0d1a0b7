import { dotKey, fieldKey } from '../domain/dot.js';
import { keyOf, sameExact } from '../domain/exact.js';
import { emptyState } from '../domain/fold.js';
import type { Dot, FieldId, RecordId } from '../domain/ids.js';
import type { Action, Hunk, Mutation, Operation } from '../domain/operation.js';
import { diff, diffCharacters } from '../domain/text/diff.js';
import { Composition } from '../domain/text/compose.js';
import { applyHunks } from '../domain/text/hunk.js';
import { ScalarText, scalarCount } from '../domain/text/scalars.js';
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

const NOTHING: ReadonlySet<object> = new Set();

/** What own operations of this run did, as far as needed to take it back. */
export class UndoLog {
  private readonly operations = new Map<string, DoneOperation>();
  /** Which edits an inverse takes back: known by the very action when it is made. */
  private readonly undoing = new WeakMap<Action, ReadonlySet<object>>();
  /** Texts with edits that are followed, as they were shown last. */
  private readonly followed = new Map<RecordId, Map<FieldId, { text: string; readonly traces: Set<TextTrace> }>>();

  /**
   * Notes what an operation meets, before it is put on top. Of one that is not shown yet (pessimistic) no text is
   * followed: undoing it leaves its texts alone.
   */
  record(operation: Operation, state: ReplicaState, isShown: boolean): void {
    const records = new Map<RecordId, OverlayRecord | undefined>();
    const texts = new Map<string, TextTrace>();
    const done = operation.mutations.map((mutation) => {
      const { recordId, action } = mutation;
      if (!records.has(recordId)) records.set(recordId, state.overlayCopy(recordId));
      const record = records.get(recordId);
      const before = 'fieldId' in action ? record?.fields.get(action.fieldId) : undefined;
      const noted = { mutation, before, ...elementsOf(action, before) };
      if (isShown && (action.type === 'edit_text' || action.type === 'replace_text')) {
        const text = before?.kind === 'text' ? before.text : '';
        const hunks = action.type === 'edit_text' ? action.hunks : diff(text, action.text);
        texts.set(fieldKey(recordId, action.fieldId), this.follow(mutation, action.fieldId, text, hunks));
      }
      records.set(recordId, applyOwn(record, mutation, state.kindOf, 'apply'));
      return noted;
    });
    this.operations.set(dotKey(operation.dot), { done, texts });
    this.forgetOldest();
  }

  /** Follows an edit from now on; those before it move with it. */
  private follow(mutation: Mutation, fieldId: FieldId, before: string, hunks: readonly Hunk[]): TextTrace {
    const { recordId, action } = mutation;
    let fields = this.followed.get(recordId);
    if (fields === undefined) this.followed.set(recordId, (fields = new Map()));
    let field = fields.get(fieldId);
    if (field === undefined) fields.set(fieldId, (field = { text: before, traces: new Set() }));
    const trace = TextTrace.of(before, hunks);
    const undone = this.undoing.get(action) ?? NOTHING;
    const step = { before: new ScalarText(before), hunks, by: trace.identity, undone };
    for (const other of field.traces) other.follow(step);
    field.text = applyHunks(before, hunks);
    field.traces.add(trace);
    return trace;
  }

  /** A record is shown anew: places in its texts may have moved. */
  shown(recordId: RecordId, state: ReplicaState): void {
    for (const [fieldId, field] of this.followed.get(recordId) ?? []) {
      const { text } = state.text(recordId, fieldId);
      if (text === field.text) continue;
      const hunks = diffCharacters(field.text, text);
      const step = { before: new ScalarText(field.text), hunks, by: undefined, undone: NOTHING };
      for (const trace of field.traces) trace.follow(step);
      field.text = text;
    }
  }

  private forgetOldest(): void {
    for (const [key, { texts }] of this.operations) {
      if (this.operations.size <= OPERATIONS_MAX) return;
      this.operations.delete(key);
      for (const [field, trace] of texts) {
        const [recordId = '', fieldId = ''] = field.split('/');
        const fields = this.followed.get(recordId);
        const traces = fields?.get(fieldId)?.traces;
        traces?.delete(trace);
        if (traces?.size === 0) fields?.delete(fieldId);
        if (fields?.size === 0) this.followed.delete(recordId);
      }
    }
  }

  /** The mutations that take back these operations, the latest first, against what is shown now. */
  inverse(
    dots: readonly Dot[],
    state: ReplicaState,
  ): { readonly mutations: readonly Mutation[]; readonly skipped: readonly string[] } {
    const inverse = new Inverse(state, this.undoing);
    const latestFirst = [...dots].sort((a, b) => b.counter - a.counter);
    for (const dot of latestFirst) {
      const operation = this.operations.get(dotKey(dot));
      if (operation === undefined) continue;
      for (const done of [...operation.done].reverse()) inverse.takeBack(done);
      for (const [field, trace] of operation.texts) {
        // A snapshot may have changed texts without saying which.
        this.shown(field.slice(0, field.indexOf('/')), state);
        inverse.takeBackText(field, trace);
      }
    }
    return inverse.finish();
  }
}

/** The hunks that take back edits of one text, the latest first, one after the other and in one. */
function inverseOfAll(text: string, traces: readonly TextTrace[]): readonly Hunk[] {
  const composition = new Composition(scalarCount(text));
  const left = traces.map((trace) => trace.copy());
  let now = text;
  for (const [index, trace] of left.entries()) {
    const hunks = trace.inverse();
    if (hunks.length === 0) continue;
    composition.add(hunks);
    const step = { before: new ScalarText(now), hunks, by: undefined, undone: new Set([trace.identity]) };
    for (const other of left.slice(index + 1)) other.follow(step);
    now = applyHunks(now, hunks);
  }
  return composition.hunks();
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

  constructor(
    private readonly state: ReplicaState,
    private readonly undoing: WeakMap<Action, ReadonlySet<object>>,
  ) {}

  finish(): { readonly mutations: readonly Mutation[]; readonly skipped: readonly string[] } {
    for (const { mutation, fieldId, traces } of this.texts.values()) {
      const record = this.record(mutation.recordId);
      if (record === undefined || record.deleted) continue;
      const hunks = inverseOfAll(this.state.text(mutation.recordId, fieldId).text, traces);
      if (hunks.length === 0) continue;
      const inverse = this.textMutation(mutation, fieldId, hunks);
      this.undoing.set(inverse.action, new Set(traces.map((trace) => trace.identity)));
      this.mutations.push(inverse);
    }
    return { mutations: this.mutations, skipped: [...this.skipped] };
  }

  private textMutation(mutation: Omit<Mutation, 'action'>, fieldId: FieldId, hunks: readonly Hunk[]): Mutation {
    const shown = this.state.text(mutation.recordId, fieldId);
    if (shown.exact) return { ...mutation, action: { type: 'edit_text', fieldId, hunks } };
    return { ...mutation, action: { type: 'replace_text', fieldId, text: applyHunks(shown.text, hunks) } };
  }

  takeBackText(field: string, trace: TextTrace): void {
    const entry = this.texts.get(field);
    if (entry !== undefined) {
      entry.traces.push(trace);
      return;
    }
    const [recordId = '', fieldId = ''] = field.split('/');
    const record = this.record(recordId);
    if (record === undefined) return;
    this.texts.set(field, { mutation: { collectionId: record.collectionId, recordId }, fieldId, traces: [trace] });
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
    if (record.deleted || record.fields.get(action.fieldId)?.kind === 'opaque') {
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
    if (this.state.kindOf(collectionId, fieldId) === 'to_one' || before?.kind === 'to_one' || now?.kind === 'to_one') {
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
