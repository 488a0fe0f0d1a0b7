import type { Change, ChangesFrame, Effect } from '../../src/domain/change.js';
import type { ConflictSummary } from '../../src/domain/conflict.js';
import { keyOf } from '../../src/domain/exact.js';
import type { Cursor, Dot } from '../../src/domain/ids.js';
import type { Mutation, Operation, ServerReceipt } from '../../src/domain/operation.js';
import type { Schema } from '../../src/domain/schema.js';
import { authorOf, knows, type TextAuthor } from '../../src/domain/text/author.js';
import { diff } from '../../src/domain/text/diff.js';
import { TextWindow } from '../../src/domain/text/window.js';
import type { ExactValue, FieldKind } from '../../src/domain/value.js';

/** Not a hash, but it chains. */
export function nextChain(previous: Uint8Array, operationHash: Uint8Array): Uint8Array {
  return previous.map((byte, index) => (byte * 31 + (operationHash[index % operationHash.length] ?? 0) + index) & 0xff);
}

/** An encoder for tests: stable bytes. */
export function encode(operation: Operation): Uint8Array {
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === 'bigint' ? `${value}n` : value instanceof Map ? [...(value as Map<unknown, unknown>)] : value;
  return new TextEncoder().encode(JSON.stringify(operation, plain));
}

export function schemaOf(
  collections: Readonly<Record<string, Readonly<Record<string, FieldKind>>>>,
  strict = false,
): Schema {
  return {
    version: 1,
    strict,
    collections: new Map(
      Object.entries(collections).map(([id, fields]) => [
        id,
        new Map(
          Object.entries(fields).map(([field, kind]) => [
            field,
            { kind, provisional: 'incumbent', onClash: 'open', onDominate: 'keep' } as const,
          ]),
        ),
      ]),
    ),
  };
}

interface ServerField {
  kind: FieldKind;
  heads: { readonly author: TextAuthor; readonly seq: number; readonly rank: number; readonly value: ExactValue }[];
  value: bigint;
  /** Counter increments and when. */
  increments: { readonly dot: Dot; readonly seq: number; readonly by: bigint }[];
  elements: Map<string, { readonly value: ExactValue; readonly adds: { readonly dot: Dot; readonly seq: number }[] }>;
  window: TextWindow;
}

/**
 * A server for tests: settles operations as the real one does, in a simple way. Texts are merged over the whole history;
 * a delete yields to edits its author did not know.
 */
export class TestServer {
  readonly changes: Change[] = [];
  private readonly records = new Map<
    string,
    {
      collection: string;
      deleted: boolean;
      deleters: { readonly dot: Dot; readonly seq: number }[];
      edits: { readonly dot: Dot; readonly seq: number }[];
      fields: Map<string, ServerField>;
    }
  >();
  private readonly settledCounters = new Map<string, number>();
  private readonly rejectedDots = new Set<string>();
  private conflicts = 0;

  constructor(
    readonly schema: Schema,
    readonly epoch = '7',
  ) {}

  get head(): number {
    return this.changes.length;
  }

  /** What an author would see of a text. */
  textFor(id: string, field: string, author: TextAuthor): string {
    return this.records.get(id)?.fields.get(field)?.window.view(author) ?? '';
  }

  cursor(seq: number): Cursor {
    return { workspaceId: 'w', epoch: this.epoch, seqInclusive: seq, chain: this.chainAt(seq) };
  }

  private chainAt(seq: number): Uint8Array {
    return this.changes[seq - 1]?.chain ?? new Uint8Array(16);
  }

  frame(from: number, to: number): ChangesFrame {
    return {
      type: 'changes',
      cursor: this.cursor(to),
      fromSeqExclusive: from,
      toSeqInclusive: to,
      changes: this.changes.slice(from, to),
      headSeq: this.head,
      schemaVersion: this.schema.version,
    };
  }

  /** Settles an operation; `refuse` rejects it whatever it says. */
  submit(operation: Operation, refuse = false): ServerReceipt {
    const { dot, context } = operation;
    const key = `${dot.replicaId}:${dot.counter}`;
    const done = this.changes.find((change) => `${change.dot.replicaId}:${change.dot.counter}` === key);
    if (done !== undefined) return { dot, outcome: { type: 'applied', seq: done.seq }, remaining: [] };
    if (this.rejectedDots.has(key)) return rejectedReceipt(dot, 'REJECTED_BEFORE');
    const last = this.settledCounters.get(dot.replicaId) ?? 0;
    if (dot.counter !== last + 1) {
      const missing = { replicaId: dot.replicaId, counter: last + 1 };
      return { dot, outcome: { type: 'held', missing, expectedCounter: last + 1 }, remaining: [] };
    }
    this.settledCounters.set(dot.replicaId, dot.counter);
    const depends = operation.dependsOn.find((on) => this.rejectedDots.has(`${on.replicaId}:${on.counter}`));
    if (refuse || depends !== undefined || context.epoch !== this.epoch) {
      this.rejectedDots.add(key);
      return rejectedReceipt(dot, depends ? 'DEPENDENCY_REJECTED' : 'REFUSED');
    }
    const seq = this.head + 1;
    const author = authorOf(dot, context);
    const effects: Effect[] = [];
    try {
      for (const mutation of operation.mutations) this.settle(mutation, author, seq, effects);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.rejectedDots.add(key);
      return rejectedReceipt(dot, error.message);
    }
    const operationHash = encode(operation).slice(-16);
    const conflicted = effects.some((effect) => effect.type === 'conflict_changed');
    const outcome = conflicted ? 'conflicted' : 'applied';
    this.changes.push({
      seq,
      dot,
      context,
      correlationId: operation.correlationId,
      actor: operation.actor,
      commitTimeMs: 0,
      effects,
      outcome,
      operationHash,
      chain: nextChain(this.chainAt(seq - 1), operationHash),
    });
    return conflicted
      ? { dot, outcome: { type: 'conflicted', seq, conflictIds: [] }, remaining: [] }
      : { dot, outcome: { type: 'applied', seq }, remaining: [] };
  }

  private settle(mutation: Mutation, author: TextAuthor, seq: number, effects: Effect[]): void {
    const { recordId, collectionId, action } = mutation;
    const about = (fieldId = ''): { collectionId: string; recordId: string; fieldId: string } => ({
      collectionId,
      recordId,
      fieldId,
    });
    const stamp = { dot: author.dot, seq };
    let record = this.records.get(recordId);
    if (action.type === 'create') {
      if (record === undefined) {
        record = { collection: collectionId, deleted: false, deleters: [], edits: [stamp], fields: new Map() };
        this.records.set(recordId, record);
        effects.push({ ...about(), type: 'record_created' });
      } else {
        // A concurrent creation merges with the first one.
        if (record.edits[0] !== undefined && knows(author, record.edits[0])) throw new Refused('RECORD_EXISTS');
        if (record.deleted && record.deleters.some((d) => knows(author, d))) throw new Refused('RECORD_DELETED');
        if (record.deleted) effects.push({ ...about(), type: 'record_restored' });
        record.deleted = false;
        record.edits.push(stamp);
      }
      for (const [field, value] of action.fields)
        this.settle({ ...mutation, action: this.initial(collectionId, field, value) }, author, seq, effects);
      return;
    }
    if (record === undefined) throw new Refused('RECORD_NOT_FOUND');
    if (action.type === 'delete') {
      if (record.deleted && record.deleters.some((d) => knows(author, d))) throw new Refused('RECORD_DELETED');
      const concurrent = record.edits.some((edit) => edit.seq !== seq && !knows(author, edit));
      record.deleters.push(stamp);
      if (concurrent || record.deleted) return;
      record.deleted = true;
      effects.push({ ...about(), type: 'record_deleted' });
      return;
    }
    if (action.type === 'restore') {
      if (record.deleted) effects.push({ ...about(), type: 'record_restored' });
      record.deleted = false;
      record.edits.push(stamp);
      return;
    }
    if (!('fieldId' in action)) return;
    if (record.deleted) {
      if (record.deleters.some((d) => knows(author, d))) throw new Refused('RECORD_DELETED');
      record.deleted = false;
      effects.push({ ...about(), type: 'record_restored' });
    }
    record.edits.push(stamp);
    const field = this.field(record.fields, action.fieldId);
    switch (action.type) {
      case 'set':
        this.write(field, author, seq, action.value);
        effects.push({ ...about(action.fieldId), type: 'register_changed', value: shown(field) });
        break;
      case 'edit_text':
      case 'replace_text': {
        const hunks = action.type === 'edit_text' ? action.hunks : diff(field.window.view(author), action.text);
        const integrated = field.window.integrate(author, seq, hunks);
        effects.push({ ...about(action.fieldId), type: 'text_changed', ...integrated });
        if (integrated.hunks.some((hunk) => hunk.suppressedBySeq !== undefined)) {
          const conflict = this.conflict(collectionId, recordId, action.fieldId, seq);
          effects.push({ ...about(action.fieldId), type: 'conflict_changed', event: 'opened', conflict });
        }
        break;
      }
      case 'increment':
        field.value += action.by;
        field.increments.push({ ...stamp, by: action.by });
        effects.push({ ...about(action.fieldId), type: 'counter_changed', value: field.value });
        break;
      case 'assign_counter': {
        const unknown = field.increments.filter((i) => !knows(author, i) && i.seq !== seq);
        field.value = action.value + unknown.reduce((sum, i) => sum + i.by, 0n);
        effects.push({ ...about(action.fieldId), type: 'counter_changed', value: field.value });
        break;
      }
      case 'add_elements':
        effects.push({
          ...about(action.fieldId),
          type: 'set_changed',
          added: this.add(field, action.elements, stamp),
          removed: [],
        });
        break;
      case 'remove_elements':
        effects.push({
          ...about(action.fieldId),
          type: 'set_changed',
          added: [],
          removed: this.remove(field, action.elements, author, seq),
        });
        break;
      case 'clear_elements': {
        const all = [...field.elements.values()].map((e) => e.value);
        const removed = this.remove(field, all, author, seq);
        if (field.kind === 'to_many') {
          const targets = removed.flatMap((value) => (value.kind === 'string' ? [value.value] : []));
          effects.push({ ...about(action.fieldId), type: 'links_changed', added: [], removed: targets });
        } else effects.push({ ...about(action.fieldId), type: 'set_changed', added: [], removed });
        break;
      }
      case 'link':
      case 'unlink': {
        const target: ExactValue = { kind: 'string', value: action.targetRecordId ?? '' };
        if (action.type === 'link' && !this.records.has(target.value)) throw new Refused('RECORD_NOT_FOUND');
        if (field.kind === 'to_one') {
          this.write(field, author, seq, action.type === 'link' ? target : { kind: 'null' });
          const now = shown(field);
          effects.push({
            ...about(action.fieldId),
            type: 'link_changed',
            target: now.kind === 'string' ? now.value : null,
          });
        } else if (action.type === 'link') {
          const added = this.add(field, [target], stamp).map(() => target.value);
          effects.push({ ...about(action.fieldId), type: 'links_changed', added, removed: [] });
        } else {
          const removed = this.remove(field, [target], author, seq).map(() => target.value);
          effects.push({ ...about(action.fieldId), type: 'links_changed', added: [], removed });
        }
      }
    }
  }

  private initial(collection: string, fieldId: string, value: ExactValue): Mutation['action'] {
    const kind = this.schema.collections.get(collection)?.get(fieldId)?.kind ?? 'register';
    if (kind === 'text' && value.kind === 'string') return { type: 'replace_text', fieldId, text: value.value };
    if (kind === 'counter' && value.kind === 'int') return { type: 'assign_counter', fieldId, value: value.value };
    if (kind === 'to_one' && value.kind === 'string') return { type: 'link', fieldId, targetRecordId: value.value };
    return { type: 'set', fieldId, value };
  }

  private field(fields: Map<string, ServerField>, id: string): ServerField {
    let field = fields.get(id);
    if (field === undefined) {
      const kinds = [...this.schema.collections.values()].flatMap((c) => [...c]);
      const declared = kinds.find(([name]) => name === id)?.[1].kind;
      const kind = declared === undefined || declared === 'opaque' ? 'register' : declared;
      field = { kind, heads: [], value: 0n, increments: [], elements: new Map(), window: TextWindow.over('', 0) };
      fields.set(id, field);
    }
    return field;
  }

  private write(field: ServerField, author: TextAuthor, seq: number, value: ExactValue): void {
    const known = field.heads.filter(
      (head) => head.seq === seq || knows(author, { dot: head.author.dot, seq: head.seq }),
    );
    const rank = Math.min(seq, ...known.map((head) => head.rank));
    field.heads = [...field.heads.filter((head) => !known.includes(head)), { author, seq, rank, value }];
  }

  private add(
    field: ServerField,
    elements: readonly ExactValue[],
    stamp: { readonly dot: Dot; readonly seq: number },
  ): ExactValue[] {
    const added: ExactValue[] = [];
    for (const value of elements) {
      const present = field.elements.get(keyOf(value));
      if (present === undefined) added.push(value);
      field.elements.set(keyOf(value), { value, adds: [...(present?.adds ?? []), stamp] });
    }
    return added;
  }

  private remove(field: ServerField, elements: readonly ExactValue[], author: TextAuthor, seq: number): ExactValue[] {
    const removed: ExactValue[] = [];
    for (const value of elements) {
      const present = field.elements.get(keyOf(value));
      if (present === undefined) continue;
      const adds = present.adds.filter((add) => add.seq !== seq && !knows(author, add));
      if (adds.length > 0) {
        field.elements.set(keyOf(value), { value, adds });
        continue;
      }
      field.elements.delete(keyOf(value));
      removed.push(value);
    }
    return removed;
  }

  private conflict(collectionId: string, recordId: string, fieldId: string, seq: number): ConflictSummary {
    return {
      conflictId: `c-${++this.conflicts}`,
      kind: 'text_overlap',
      status: 'open',
      revision: 1,
      collectionId,
      recordId,
      fieldIds: [fieldId],
      openedSeq: seq,
      deferCount: 0,
      alternativeCount: 2,
    };
  }
}

class Refused extends Error {}

function shown(field: ServerField): ExactValue {
  const first = [...field.heads].sort((a, b) => a.rank - b.rank || a.seq - b.seq)[0];
  return first?.value ?? { kind: 'null' };
}

function rejectedReceipt(dot: Dot, reason: string): ServerReceipt {
  return { dot, outcome: { type: 'rejected', refusal: { reason, message: reason, metadata: {} } }, remaining: [] };
}
