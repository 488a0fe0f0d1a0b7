import type { CreateOptions, RecordOf, ResolveOptions, Transaction, WriteOptions } from '../api.js';
import { isId } from '../domain/dot.js';
import { exactOf, isInt64, wellFormed } from '../domain/exact.js';
import type { CollectionId, FieldId, RecordId } from '../domain/ids.js';
import type { Action, Hunk, Mutation } from '../domain/operation.js';
import { Problem } from '../domain/problem.js';
import { Composition } from '../domain/text/compose.js';
import { diff } from '../domain/text/diff.js';
import { scalarCount } from '../domain/text/scalars.js';
import type { ExactValue, FieldState, WritableValue } from '../domain/value.js';
import { SynclineError } from '../errors.js';
import { ELEMENTS_PER_MUTATION_MAX, TEXT_HUNKS_MAX } from '../limits.js';
import type { Id, Untyped } from '../typed.js';
import { initialAction } from './rebase-mutations.js';
import type { Replica, Staging } from './replica.js';
import { argument, misfit } from './stage.js';

/**
 * Runs the function an application passes to `mutate` and returns its mutations. Throws what the function throws as
 * `TRANSACTION_FAILED`, except for errors of this client; nothing is made then.
 */
export function collectMutations(replica: Replica, build: (tx: Transaction) => void): readonly Mutation[] {
  const transaction = new TransactionBuilder(replica);
  let result: unknown;
  try {
    result = build(transaction) as unknown;
  } catch (error) {
    if (error instanceof SynclineError) throw error;
    throw new SynclineError('TRANSACTION_FAILED', 'the transaction function threw', undefined, { cause: error });
  } finally {
    transaction.close();
  }
  if (result instanceof Promise) {
    // Nobody else looks at it.
    result.catch(() => undefined);
    throw new SynclineError(
      'TRANSACTION_FAILED',
      'the transaction function returned a promise; it must be synchronous',
    );
  }
  return transaction.finish();
}

/** A text edited in this transaction: all its edits become one mutation, which stands where the first was made. */
interface EditedText {
  readonly index: number;
  readonly composition: Composition;
  readonly exact: boolean;
}

class TransactionBuilder implements Transaction {
  private readonly staging: Staging;
  private readonly mutations: Mutation[] = [];
  private readonly texts = new Map<string, EditedText>();
  private open = true;

  constructor(private readonly replica: Replica) {
    this.staging = replica.stage();
  }

  close(): void {
    this.open = false;
  }

  finish(): readonly Mutation[] {
    const mutations = this.mutations.flatMap((mutation, index) => this.finished(mutation, index));
    return mutations;
  }

  private finished(mutation: Mutation, index: number): readonly Mutation[] {
    const { action, recordId } = mutation;
    if (action.type !== 'edit_text') return [mutation];
    const text = this.texts.get(`${recordId}/${action.fieldId}`);
    if (text?.index !== index) return [mutation];
    const hunks = text.composition.hunks();
    if (hunks.length === 0 && mutation.resolvesConflictId === undefined) return [];
    if (text.exact && hunks.length <= TEXT_HUNKS_MAX) return [{ ...mutation, action: { ...action, hunks } }];
    const state = this.staging.field(recordId, action.fieldId);
    const now = state?.kind === 'text' ? state.text : '';
    return [{ ...mutation, action: { type: 'replace_text', fieldId: action.fieldId, text: now } }];
  }

  // --- Transaction -----------------------------------------------------------------------------------------------------

  get<C extends CollectionId>(id: Id<C>): RecordOf<Untyped, C> | undefined {
    this.check();
    // Of which collection a record is, is said by the type of its id alone.
    return this.staging.get(id) as RecordOf<Untyped, C> | undefined;
  }

  create(
    collection: CollectionId,
    id: RecordId,
    fields: Readonly<Record<FieldId, WritableValue | undefined>> = {},
    options?: CreateOptions,
  ): void {
    this.check();
    if (!isId(collection)) throw argument(`"${collection}" cannot be the id of a collection`);
    const initial = new Map<FieldId, ExactValue>();
    const later: (() => void)[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      const kind = this.staging.kindOf(collection, field) ?? 'register';
      if (kind === 'text' && typeof value === 'string' && value !== '') {
        later.push(() => {
          this.replaceText(id, field, value);
        });
      } else if (this.onlyProgramKnows(collection, field) && (kind === 'text' || kind === 'counter')) {
        // The server would make a register of it: the kind is said by what is done to the field.
        if (kind === 'text' && value !== '') throw misfit(`${collection}.${field} is a text: it takes a string`);
        if (kind === 'counter') {
          later.push(() => {
            this.assignCounter(id, field, numberIn(value));
          });
        }
      } else if (kind === 'set' || kind === 'to_many') {
        if (!Array.isArray(value)) throw misfit(`${collection}.${field} is a ${kind}: it takes an array`);
        const elements = value as readonly WritableValue[];
        later.push(() => {
          this.join(id, field, kind, elements);
        });
      } else if (kind === 'to_one') {
        if (value !== null)
          later.push(() => {
            this.link(id, field, idOf(value));
          });
      } else {
        initial.set(field, exactly(value));
      }
    }
    const emptied = options?.replaceDeleted === true ? this.staging.deleted(id, collection) : undefined;
    if (emptied === undefined) {
      this.put({ collectionId: collection, recordId: id, action: { type: 'create', fields: initial } });
    } else {
      this.restoreEmpty(id, emptied);
      for (const [fieldId, value] of initial) {
        this.write(id, initialAction(this.staging.kindOf(collection, fieldId), fieldId, value));
      }
    }
    for (const step of later) step();
  }

  /** Restores a deleted record and takes everything out of it. */
  private restoreEmpty(id: RecordId, fields: ReadonlyMap<FieldId, FieldState>): void {
    this.restore(id);
    for (const [field, { kind }] of fields) {
      if (kind === 'register') this.set(id, field, null);
      else if (kind === 'text') this.replaceText(id, field, '');
      else if (kind === 'counter') this.assignCounter(id, field, 0);
      else if (kind === 'to_one') this.unlink(id, field);
      else if (kind !== 'opaque') this.clear(id, field);
    }
  }

  /** Whether the field's kind is known by the schema of the program and not, or not yet, by the server's. */
  private onlyProgramKnows(collection: CollectionId, field: FieldId): boolean {
    return this.replica.schema?.collections.get(collection)?.has(field) !== true;
  }

  private join(id: RecordId, field: FieldId, kind: 'set' | 'to_many', elements: readonly WritableValue[]): void {
    if (kind === 'set') this.add(id, field, ...elements);
    else for (const target of elements) this.link(id, field, idOf(target));
  }

  delete(id: RecordId, options?: ResolveOptions): void {
    this.write(id, { type: 'delete' }, options);
  }

  restore(id: RecordId, options?: ResolveOptions): void {
    this.write(id, { type: 'restore' }, options);
  }

  set(id: RecordId, field: FieldId, value: WritableValue, options?: WriteOptions & ResolveOptions): void {
    this.write(id, { type: 'set', fieldId: field, value: exactly(value) }, options);
  }

  editText(id: RecordId, field: FieldId, hunks: readonly Hunk[], options?: ResolveOptions): void {
    this.check();
    const collectionId = this.staging.collectionOf(id);
    const clean = hunks.map((hunk) => ({ ...hunk, insert: wellFormed(hunk.insert) }));
    const state = this.staging.field(id, field);
    const before = state?.kind === 'text' ? state.text : '';
    const mutation = mutationOf(collectionId, id, { type: 'edit_text', fieldId: field, hunks: clean }, options);
    this.staging.apply(mutation);
    const key = `${id}/${field}`;
    let text = this.texts.get(key);
    if (text === undefined) {
      const composition = new Composition(scalarCount(before));
      text = { index: this.mutations.length, composition, exact: this.replica.isTextExact(id, field) };
      this.texts.set(key, text);
      this.mutations.push(mutation);
    } else if (mutation.resolvesConflictId !== undefined) {
      const first = this.mutations[text.index];
      if (first !== undefined) {
        this.mutations[text.index] = { ...first, resolvesConflictId: mutation.resolvesConflictId };
      }
    }
    text.composition.add(clean);
  }

  replaceText(id: RecordId, field: FieldId, text: string, options?: ResolveOptions): void {
    this.check();
    if (typeof text !== 'string') throw argument('a text is replaced by a string');
    const state = this.staging.field(id, field);
    const before = state?.kind === 'text' ? state.text : '';
    this.editText(id, field, diff(before, wellFormed(text)), options);
  }

  increment(id: RecordId, field: FieldId, by: number | bigint = 1): void {
    this.write(id, { type: 'increment', fieldId: field, by: whole(by) });
  }

  assignCounter(id: RecordId, field: FieldId, value: number | bigint, options?: WriteOptions & ResolveOptions): void {
    this.write(id, { type: 'assign_counter', fieldId: field, value: whole(value) }, options);
  }

  add(id: RecordId, field: FieldId, ...elements: readonly WritableValue[]): void {
    this.eachPart(elements, (part) => {
      this.write(id, { type: 'add_elements', fieldId: field, elements: part });
    });
  }

  remove(id: RecordId, field: FieldId, ...elements: readonly WritableValue[]): void {
    this.eachPart(elements, (part) => {
      this.write(id, { type: 'remove_elements', fieldId: field, elements: part });
    });
  }

  clear(id: RecordId, field: FieldId): void {
    this.write(id, { type: 'clear_elements', fieldId: field });
  }

  link(id: RecordId, field: FieldId, target: RecordId, options?: WriteOptions & ResolveOptions): void {
    this.write(id, { type: 'link', fieldId: field, targetRecordId: target }, options);
  }

  unlink(id: RecordId, field: FieldId, target?: RecordId, options?: WriteOptions & ResolveOptions): void {
    this.write(id, { type: 'unlink', fieldId: field, targetRecordId: target ?? null }, options);
  }

  // --- Inside ----------------------------------------------------------------------------------------------------------

  private eachPart(elements: readonly WritableValue[], run: (part: readonly ExactValue[]) => void): void {
    const exact = elements.map(exactly);
    for (let from = 0; from < exact.length; from += ELEMENTS_PER_MUTATION_MAX) {
      run(exact.slice(from, from + ELEMENTS_PER_MUTATION_MAX));
    }
  }

  private write(id: RecordId, action: Action, options?: WriteOptions & ResolveOptions): void {
    this.check();
    const mutation = mutationOf(this.staging.collectionOf(id), id, action, options);
    const { observedSeq, ...rest } = mutation;
    // What was shown at the base was shown last: nothing to say.
    const isOld = observedSeq !== undefined && observedSeq < this.replica.position;
    this.put(isOld ? mutation : rest);
  }

  private put(mutation: Mutation): void {
    this.staging.apply(mutation);
    this.mutations.push(mutation);
  }

  private check(): void {
    if (!this.open) throw new SynclineError('TRANSACTION_FAILED', 'the transaction is over');
  }
}

function mutationOf(
  collectionId: CollectionId,
  recordId: RecordId,
  action: Action,
  options: (WriteOptions & ResolveOptions) | undefined,
): Mutation {
  return {
    collectionId,
    recordId,
    action,
    ...(options?.observed !== undefined && { observedSeq: options.observed }),
    ...(options?.resolves !== undefined && { resolvesConflictId: options.resolves }),
  };
}

function exactly(value: WritableValue): ExactValue {
  try {
    return exactOf(value);
  } catch (error) {
    if (error instanceof Problem) throw argument(error.message);
    throw error;
  }
}

function whole(value: number | bigint): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw argument(`${value} is not a whole number`);
  const exact = BigInt(value);
  if (!isInt64(exact)) throw argument('a counter has 64 bits');
  return exact;
}

function numberIn(value: WritableValue): number | bigint {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw argument('a counter takes a whole number');
  return value;
}

function idOf(value: WritableValue): RecordId {
  if (typeof value !== 'string') throw argument('a link takes the id of a record');
  return value;
}
