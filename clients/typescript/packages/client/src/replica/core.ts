import type { RecordView, SyncMark } from '../api.js';
import type { ChangesFrame, ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import { contextAt } from '../domain/dot.js';
import type {
  CausalContext,
  CollectionId,
  ConflictId,
  Cursor,
  Dot,
  Epoch,
  FieldId,
  RecordId,
  ReplicaId,
  Seq,
} from '../domain/ids.js';
import type { Mutation, Operation, ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import { schemaOf, type SchemaDefinition } from '../schema.js';
import { MUTATIONS_PER_OPERATION_MAX, OPERATION_BYTES_MAX, QUEUE_OPERATIONS_MAX } from '../limits.js';
import { SynclineError } from '../errors.js';
import type { PendingRow, RejectedRow, SlotContents, StoreContents } from '../store/store.js';
import { checkObserved, checkTexts } from './checks.js';
import { dependenciesOf } from './dependencies.js';
import { type Folded, foldFrame, isLive } from './fold-frame.js';
import { Outcomes } from './outcomes.js';
import { isVisible, touchedRecords } from './queue.js';
import type {
  CreateReplica,
  Draft,
  EncodeOperation,
  FrameVerdict,
  NextChain,
  PendingOperation,
  Replica,
  SettledOwn,
  SnapshotBuilder,
  ViewChange,
  WholeSnapshot,
} from './replica.js';
import { type RebaseCause, type Rebased, rebaseOperations } from './rebase.js';
import { Snapshot } from './snapshot.js';
import { Stage, misfit, tooLarge } from './stage.js';
import { type Changing, ReplicaState, noChange } from './state.js';
import { UndoLog } from './undo.js';

/** Of an epoch nobody told yet; the server answers it with WRONG_EPOCH. */
const NO_EPOCH: Epoch = '0';

/** The implementation of {@link Replica}. */
export class ReplicaCore implements Replica {
  readonly state: ReplicaState;
  private readonly undoLog = new UndoLog();
  private isLoaded = false;
  private slotId = '';
  private id: ReplicaId = '';
  private counter = 1;
  /** Greatest own counter known to have settled. */
  private lastSettled = 0;
  /** After a fork: what the old replica settled, until the feed has passed it. */
  private forkExtra: { readonly dot: Dot; readonly untilSeq: Seq } | undefined;
  private readonly outcomes: Outcomes;

  constructor(
    private readonly workspaceId: string,
    private readonly encode: EncodeOperation,
    private readonly nextChain: NextChain,
    program?: SchemaDefinition,
  ) {
    this.state = new ReplicaState(
      (recordId) => {
        this.undoLog.shown(recordId, this.state);
      },
      program && schemaOf(program),
    );
    this.outcomes = new Outcomes(this.state);
  }

  get replicaId(): ReplicaId {
    return this.id;
  }

  get epoch(): Epoch {
    return this.state.cursor?.epoch ?? NO_EPOCH;
  }

  get position(): Seq {
    return this.state.position;
  }

  get cursor(): Cursor {
    return (
      this.state.cursor ?? { workspaceId: this.workspaceId, epoch: NO_EPOCH, seqInclusive: 0, chain: new Uint8Array() }
    );
  }

  get nextCounter(): number {
    return this.counter;
  }

  get loaded(): boolean {
    return this.isLoaded;
  }

  get whole(): boolean {
    return this.state.whole;
  }

  get schema(): Schema | undefined {
    return this.state.schema;
  }

  // --- Starting --------------------------------------------------------------------------------------------------------

  load(contents: StoreContents, slot: SlotContents): ViewChange {
    const records = new Map<RecordId, ConfirmedRecord>();
    for (const record of contents.records) records.set(record.recordId, record);
    const conflicts = new Map<ConflictId, ConflictSummary>();
    for (const conflict of contents.conflicts) if (isLive(conflict)) conflicts.set(conflict.conflictId, conflict);
    this.state.queue.clear();
    this.state.texts.clearPending();
    this.state.replace(contents.meta, records, conflicts, contents.textTail);
    this.useSlot(slot);
    this.isLoaded = true;
    return everything();
  }

  useSlot(slot: SlotContents): ViewChange {
    const { queue, texts } = this.state;
    this.id = slot.slot.replicaId;
    this.slotId = slot.slot.slotId;
    this.counter = slot.slot.nextCounter;
    this.lastSettled = slot.slot.lastSettledCounter;
    this.forkExtra = undefined;
    const change = noChange();
    const left = new Set(queue.touchedRecords());
    queue.clear();
    texts.clearPending();
    for (const id of left) this.state.recompute(id, change);
    for (const row of slot.pending) {
      this.counter = Math.max(this.counter, row.operation.dot.counter + 1);
      if (row.acceptedSeq !== undefined && row.acceptedSeq <= this.position) continue;
      queue.add(pendingOf(row));
      this.deriveKinds(row.operation.mutations);
    }
    // What was rejected before a restart dooms what depends on it as it did then.
    for (const { operation } of slot.rejected) {
      for (const { operation: dependent } of queue.dependents(operation.dot))
        queue.update(dependent.dot, { doomed: true });
    }
    this.state.showTexts(queue.all());
    for (const id of queue.touchedRecords()) this.state.recompute(id, change);
    return change;
  }

  private deriveKinds(mutations: readonly Mutation[]): void {
    for (const { collectionId, action } of mutations) {
      const kind = KIND_OF_ACTION[action.type];
      if (kind !== undefined && 'fieldId' in action) this.state.deriveKind(collectionId, action.fieldId, kind);
    }
  }

  setSchema(schema: Schema): ViewChange {
    this.state.useSchema(schema);
    return everything();
  }

  // --- Reading ---------------------------------------------------------------------------------------------------------

  view(id: RecordId): RecordView | undefined {
    return this.state.view(id);
  }

  idsOf(collection: CollectionId): Iterable<RecordId> {
    return this.state.idsOf(collection);
  }

  linkedFrom(target: RecordId, collection: CollectionId, field: FieldId): Iterable<RecordId> {
    return this.state.linkedFrom(target, collection, field);
  }

  confirmed(id: RecordId): ConfirmedRecord | undefined {
    return this.state.records.get(id);
  }

  conflicts(): ReadonlyMap<ConflictId, ConflictSummary> {
    return this.state.conflicts;
  }

  pending(): readonly PendingOperation[] {
    return this.state.queue.all();
  }

  mark(id: RecordId, field?: FieldId): SyncMark {
    const view = this.view(id);
    if (view === undefined) return 'synced';
    return field === undefined ? view.sync : (view.fieldSync[field] ?? 'synced');
  }

  // --- Own operations --------------------------------------------------------------------------------------------------

  make(draft: Draft): { readonly pending: PendingOperation; readonly view: ViewChange } {
    if (this.id === '') throw misfit('the client has no replica yet');
    if (this.state.queue.size >= QUEUE_OPERATIONS_MAX) {
      throw new SynclineError('QUEUE_FULL', `${QUEUE_OPERATIONS_MAX} operations wait already`);
    }
    const { length } = draft.mutations;
    if (length === 0) throw misfit('an operation without mutations does nothing');
    if (length > MUTATIONS_PER_OPERATION_MAX) {
      throw tooLarge(`an operation has at most ${MUTATIONS_PER_OPERATION_MAX} mutations, not ${length}`);
    }
    const stage = new Stage(this.state);
    checkTexts(draft.mutations, this.state);
    for (const mutation of draft.mutations) {
      checkObserved(mutation, this.position);
      stage.apply(mutation);
    }
    const operation: Operation = {
      dot: { replicaId: this.id, counter: this.counter },
      context: this.context(),
      mutations: draft.mutations,
      correlationId: draft.correlationId,
      dependsOn: dependenciesOf(draft.mutations, this.state),
      actor: draft.actor,
      clientTimeMs: draft.clientTimeMs,
    };
    const bytes = this.encode(operation);
    if (bytes.length > OPERATION_BYTES_MAX) {
      throw tooLarge(`an operation has at most ${OPERATION_BYTES_MAX} bytes, not ${bytes.length}`);
    }
    const pending: PendingOperation = {
      operation,
      bytes,
      saved: false,
      pessimistic: draft.pessimistic,
      cancelled: false,
      doomed: false,
    };
    this.counter++;
    this.undoLog.record(operation, this.state, isVisible(pending));
    const change = noChange();
    for (const [key, kind] of stage.derivedKinds()) {
      const [collection = '', field = ''] = key.split('.');
      this.state.deriveKind(collection, field, kind);
    }
    this.state.push(pending, stage.touched(), change);
    return { pending, view: change };
  }

  /** Everything up to the position, and nothing else. */
  private context(): CausalContext {
    return { ...contextAt(this.cursor), extras: this.forkExtra ? [this.forkExtra.dot] : [] };
  }

  /** Whether positions in a text may be sent; otherwise an edit replaces it. */
  isTextExact(recordId: RecordId, fieldId: FieldId): boolean {
    return this.state.text(recordId, fieldId).exact;
  }

  stage(): Stage {
    return new Stage(this.state);
  }

  markSaved(dots: readonly Dot[]): ViewChange {
    const change = noChange();
    for (const dot of dots) {
      const pending = this.state.queue.update(dot, { saved: true });
      if (pending !== undefined) for (const id of touchedRecords(pending)) this.state.touch(id, change);
    }
    return change;
  }

  inverse(dots: Dot | readonly Dot[]): {
    readonly mutations: readonly Mutation[];
    readonly skipped: readonly string[];
  } {
    return this.undoLog.inverse('replicaId' in dots ? [dots] : dots, this.state);
  }

  // --- The server's word -----------------------------------------------------------------------------------------------

  applyFrame(frame: ChangesFrame): FrameVerdict {
    const { state } = this;
    const wasWhole = state.whole;
    const before = state.position;
    const folded = foldFrame(
      {
        cursor: state.cursor,
        record: (id) => state.records.get(id),
        conflict: (id) => state.conflicts.get(id),
        nextChain: this.nextChain,
      },
      frame,
    );
    if (folded.type !== 'folded') return folded;

    const change = noChange();
    for (const [id, record] of folded.records) {
      state.records.set(id, record);
    }
    state.cursor = folded.cursor;
    for (const row of folded.tail) state.texts.settle(row);
    const settled = this.settleOwn(frame, change);
    const touched = new Set([...folded.records.keys(), ...change.recordIds]);
    for (const id of touched) state.recompute(id, change);
    state.useConflicts(folded.conflicts, isLive, change);
    if (!wasWhole && state.whole) {
      for (const id of state.records.keys()) state.recompute(id, change);
      change.all = true;
    }
    if (this.forkExtra !== undefined && this.forkExtra.untilSeq <= state.position) this.forkExtra = undefined;
    return { type: 'applied', view: change, writes: this.writes(frame, folded, before), settled };
  }

  /** Own operations that came by leave the queue here. */
  private settleOwn(frame: ChangesFrame, change: Changing): readonly SettledOwn[] {
    const settled: SettledOwn[] = [];
    for (const { dot, seq, outcome, effects } of frame.changes) {
      if (dot.replicaId === this.id) this.lastSettled = Math.max(this.lastSettled, dot.counter);
      const pending = this.state.queue.remove(dot);
      if (pending === undefined) continue;
      this.state.hideTexts(pending);
      for (const id of touchedRecords(pending)) change.recordIds.add(id);
      const conflictIds = effects.flatMap((effect) =>
        effect.type === 'conflict_changed' && isLive(effect.conflict) ? [effect.conflict.conflictId] : [],
      );
      settled.push({ dot, seq, outcome, conflictIds: outcome === 'conflicted' ? conflictIds : [] });
    }
    return settled;
  }

  private writes(
    frame: ChangesFrame,
    folded: Folded,
    fromSeqExclusive: Seq,
  ): Extract<FrameVerdict, { type: 'applied' }>['writes'] {
    const textTailPruned = new Map<string, { recordId: RecordId; fieldId: FieldId; toSeqInclusive: Seq }>();
    for (const { recordId, fieldId } of folded.tail) {
      const toSeqInclusive = this.state.texts.prune(recordId, fieldId);
      if (toSeqInclusive !== undefined)
        textTailPruned.set(`${recordId}/${fieldId}`, { recordId, fieldId, toSeqInclusive });
    }
    const meta = this.state.meta();
    if (meta === undefined) throw new Error('a frame was applied without a cursor');
    return {
      fromSeqExclusive,
      meta,
      records: [...folded.records.values()],
      conflicts: [...folded.conflicts.values()],
      textTail: folded.tail,
      textTailPruned: [...textTailPruned.values()],
      ownDots: frame.changes.map(({ dot, seq }) => ({ dot, seq })),
    };
  }

  applyReceipt(
    receipt: ServerReceipt,
    nowMs: number,
    row?: PendingRow,
  ): { readonly view: ViewChange; readonly rejected?: RejectedRow } {
    const { type } = receipt.outcome;
    const settles = type !== 'held' && type !== 'not_settled' && type !== 'unknown';
    if (settles && receipt.dot.replicaId === this.id)
      this.lastSettled = Math.max(this.lastSettled, receipt.dot.counter);
    return this.outcomes.take(receipt, nowMs, this.slotId, row);
  }

  cancelFrom(counter: number, nowMs: number): { readonly view: ViewChange; readonly rejected: readonly RejectedRow[] } {
    const taken = this.state.queue.all().filter(({ operation: { dot }, cancelled }) => {
      return dot.replicaId === this.id && dot.counter >= counter && !cancelled;
    });
    return this.outcomes.cancel(taken, nowMs, this.slotId);
  }

  // --- Recovery -------------------------------------------------------------------------------------------------------

  beginSnapshot(cursor: Cursor, from: 'scratch' | 'here'): SnapshotBuilder {
    const base = from === 'here' ? this.state : undefined;
    return new Snapshot(cursor, base, this.nextChain, () => this.state.schema);
  }

  adopt(snapshot: WholeSnapshot): ViewChange {
    const { state } = this;
    const before = state.texts.editedFields().map(({ recordId, fieldId }) => ({
      recordId,
      fieldId,
      text: state.confirmedText(recordId, fieldId),
      known: state.records.has(recordId),
    }));
    for (const pending of state.queue.all()) {
      if (pending.acceptedSeq === undefined || pending.acceptedSeq > snapshot.meta.cursor.seqInclusive) continue;
      state.queue.remove(pending.operation.dot);
      state.hideTexts(pending);
    }
    state.replace(snapshot.meta, new Map(snapshot.records), liveOf(snapshot.conflicts), snapshot.textTail);
    for (const { recordId, fieldId, text, known } of before) {
      if (known) state.texts.bridge(recordId, fieldId, state.position, text, state.confirmedText(recordId, fieldId));
    }
    const change = everything();
    for (const id of state.queue.touchedRecords()) state.recompute(id, change);
    return change;
  }

  rebase(replicaId: ReplicaId, cause: RebaseCause): Rebased {
    const made = rebaseOperations(replicaId, cause, this.state, this.encode, this.slotId, this.lastSettled);
    const kept = cause.type === 'forked' ? this.state.queue.all().filter((p) => p.acceptedSeq !== undefined) : [];
    this.state.queue.clear();
    this.state.texts.clearPending();
    this.outcomes.forget();
    if (cause.type === 'rewound') {
      const { snapshot } = cause;
      this.state.replace(snapshot.meta, new Map(snapshot.records), liveOf(snapshot.conflicts), snapshot.textTail);
    } else {
      const untilSeq = Math.max(0, ...kept.map((pending) => pending.acceptedSeq ?? 0));
      this.forkExtra = made.extra && untilSeq > this.position ? { dot: made.extra, untilSeq } : undefined;
    }
    this.id = replicaId;
    this.counter = made.operations.length + 1;
    this.lastSettled = 0;
    for (const pending of [...kept, ...made.operations]) this.state.queue.add(pending);
    this.state.reorderTexts();
    const change = everything();
    for (const id of this.state.records.keys()) this.state.recompute(id, change);
    for (const id of this.state.queue.touchedRecords()) this.state.recompute(id, change);
    return { operations: made.operations, rebasedDots: made.rebasedDots, rejected: made.rejected, view: change };
  }
}

const KIND_OF_ACTION: Readonly<
  Partial<Record<Mutation['action']['type'], 'register' | 'text' | 'counter' | 'set' | 'to_many'>>
> = {
  set: 'register',
  edit_text: 'text',
  replace_text: 'text',
  increment: 'counter',
  assign_counter: 'counter',
  add_elements: 'set',
  remove_elements: 'set',
};

function everything(): Changing {
  return { ...noChange(), all: true };
}

function liveOf(conflicts: ReadonlyMap<ConflictId, ConflictSummary>): ReadonlyMap<ConflictId, ConflictSummary> {
  return new Map([...conflicts].filter(([, conflict]) => isLive(conflict)));
}

function pendingOf(row: PendingRow): PendingOperation {
  return {
    operation: row.operation,
    bytes: row.bytes,
    saved: true,
    pessimistic: row.pessimistic,
    cancelled: row.cancelled === true,
    doomed: false,
    ...(row.acceptedSeq !== undefined && { acceptedSeq: row.acceptedSeq }),
  };
}

export const createReplica: CreateReplica = (workspaceId, encode, nextChain, program) =>
  new ReplicaCore(workspaceId, encode, nextChain, program);
