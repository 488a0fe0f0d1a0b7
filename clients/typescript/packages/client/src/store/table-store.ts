import type { ConfirmedRecord } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import type { Dot, RecordId, Seq } from '../domain/ids.js';
import { SETTLED_KEPT_MAX, SLOTS_MAX } from '../limits.js';
import type {
  FrameWrites,
  NewOperation,
  PendingRow,
  RejectedRow,
  SettledRow,
  SlotContents,
  SlotId,
  SlotRow,
  Store,
  StoreContents,
  StoreMeta,
} from './store.js';
import { StoreError } from './store-error.js';
import type { RecordRow, TableName, TableTransaction, Tables } from './tables.js';

/** The newest layout this code knows. */
export const LAYOUT = 3;

/** Records of a snapshot that are one row. Fewer are rows of their own, as are those of frames. */
const TOGETHER_MIN = 16;
const TOGETHER_MAX = 256;

type Copy = 0 | 1;
const RECORDS = ['records0', 'records1'] as const;
const CONFLICTS = ['conflicts0', 'conflicts1'] as const;

const FRAME_TABLES: readonly TableName[] = [
  'meta',
  'records0',
  'records1',
  'conflicts0',
  'conflicts1',
  'tail',
  'slots',
  'pending',
  'settled',
];

/** The laws of {@link Store}, once, over whatever keeps the tables. */
export class TableStore implements Store {
  /** Rows of many records in the snapshot that is being filled. */
  private together = 0;
  /** What it has as rows of their own. */
  private readonly apart = new Set<RecordId>();

  constructor(
    private readonly tables: Tables,
    /** For `settledAtMs` only. */
    private readonly nowMs: () => number,
  ) {}

  get durability(): 'durable' | 'memory' {
    return this.tables.durability;
  }

  // --- Reading ---------------------------------------------------------------------------------------------------------

  async load(): Promise<StoreContents> {
    const tables: readonly TableName[] = ['meta', 'records0', 'records1', 'conflicts0', 'conflicts1', 'tail'];
    return this.tables.run(tables, 'read', async (tx) => {
      const meta = await storedMeta(tx);
      const copy = await presentCopy(tx);
      const [records, conflicts, textTail] = await Promise.all([
        tx.all(RECORDS[copy]),
        tx.all(CONFLICTS[copy]),
        tx.all('tail'),
      ]);
      if (meta === undefined) {
        if (records.length > 0) throw new StoreError('corrupt', 'there are records but no position');
        return { records: [], conflicts: [], textTail: [] };
      }
      return { meta, records: latest(records), conflicts, textTail };
    });
  }

  async slots(): Promise<readonly SlotRow[]> {
    return this.tables.run(['slots'], 'read', (tx) => tx.all('slots'));
  }

  async loadSlot(slotId: SlotId): Promise<SlotContents> {
    return this.tables.run(['slots', 'pending', 'rejected'], 'read', async (tx) => {
      const [slot, pending, rejected] = await Promise.all([
        tx.get('slots', slotId),
        tx.all('pending', [slotId]),
        tx.all('rejected'),
      ]);
      if (slot === undefined) throw new StoreError('failed', `there is no slot ${slotId}`);
      return { slot, pending, rejected: rejected.filter((row) => row.slotId === slotId) };
    });
  }

  async settled(): Promise<readonly SettledRow[]> {
    const rows = await this.tables.run(['settled'], 'read', (tx) => tx.all('settled'));
    return rows.sort((a, b) => a.seq - b.seq);
  }

  // --- Slots -----------------------------------------------------------------------------------------------------------

  async createSlot(slot: SlotRow): Promise<void> {
    await this.tables.run(['slots'], 'strict', async (tx) => {
      const slots = await tx.all('slots');
      if (slots.some((other) => other.slotId === slot.slotId)) {
        throw new StoreError('failed', `slot ${slot.slotId} exists already`);
      }
      if (slots.length >= SLOTS_MAX) throw new StoreError('full', `there are ${SLOTS_MAX} slots already`);
      tx.put('slots', slot.slotId, slot);
    });
  }

  async removeSlot(slotId: SlotId): Promise<void> {
    await this.tables.run(['slots', 'pending', 'rejected'], 'strict', async (tx) => {
      const pending = await tx.all('pending', [slotId]);
      const rejected = await tx.all('rejected');
      if (pending.length > 0 || rejected.some((row) => row.slotId === slotId)) {
        throw new StoreError('failed', `slot ${slotId} is not empty`);
      }
      tx.delete('slots', slotId);
    });
  }

  // --- Own operations --------------------------------------------------------------------------------------------------

  async saveOperations(
    slotId: SlotId,
    operations: readonly NewOperation[],
    unsavedFrames: readonly FrameWrites[],
  ): Promise<void> {
    const tables: readonly TableName[] = unsavedFrames.length > 0 ? FRAME_TABLES : ['slots', 'pending'];
    await this.tables.run(tables, 'strict', async (tx) => {
      if (unsavedFrames.length > 0) await this.keepFrames(tx, unsavedFrames, 'skip what is kept');
      const slot = await tx.get('slots', slotId);
      if (slot === undefined) throw new StoreError('corrupt', `there is no slot ${slotId}`);
      let { nextCounter, lastBaseSeq } = slot;
      for (const { operation, bytes, pessimistic } of operations) {
        const { dot, context } = operation;
        if (dot.replicaId !== slot.replicaId || dot.counter !== nextCounter) {
          throw new StoreError('corrupt', `slot ${slotId} expects counter ${nextCounter}, not ${dot.counter}`);
        }
        nextCounter++;
        lastBaseSeq = Math.max(lastBaseSeq, context.baseSeq);
        tx.put('pending', [slotId, dot.counter], { slotId, operation, bytes, pessimistic });
      }
      tx.put('slots', slotId, { ...slot, nextCounter, lastBaseSeq });
    });
  }

  async saveAccepted(accepted: readonly { readonly dot: Dot; readonly seq: Seq }[]): Promise<void> {
    if (accepted.length === 0) return;
    await this.tables.run(['meta', 'slots', 'pending', 'settled'], 'strict', async (tx) => {
      const meta = await storedMeta(tx);
      const slots = await Slots.read(tx);
      for (const { dot, seq } of accepted) {
        const row = await slots.pending(dot);
        if (row === undefined) continue;
        const { cursor } = meta ?? {};
        const passed = cursor?.epoch === row.operation.context.epoch && seq <= cursor.seqInclusive;
        if (passed) this.settle(tx, row, seq);
        else tx.put('pending', [row.slotId, dot.counter], { ...row, acceptedSeq: seq });
        slots.settledUpTo(dot);
      }
      slots.write();
    });
  }

  async saveRejected(rejected: readonly RejectedRow[]): Promise<void> {
    if (rejected.length === 0) return;
    await this.tables.run(['slots', 'pending', 'rejected'], 'strict', async (tx) => {
      const slots = await Slots.read(tx);
      for (const row of rejected) {
        const { dot } = row.operation;
        const pending = await slots.pending(dot);
        if (pending === undefined) continue;
        tx.delete('pending', [pending.slotId, dot.counter]);
        tx.put('rejected', [dot.replicaId, dot.counter], row);
        slots.settledUpTo(dot);
      }
      slots.write();
    });
  }

  async cancelFrom(slotId: SlotId, counter: number, rejected: readonly RejectedRow[]): Promise<void> {
    await this.tables.run(['pending', 'rejected'], 'strict', async (tx) => {
      for (const row of await tx.all('pending', [slotId])) {
        if (row.operation.dot.counter < counter) continue;
        tx.put('pending', [slotId, row.operation.dot.counter], { ...row, cancelled: true });
      }
      for (const row of rejected) tx.put('rejected', dotKeyOf(row.operation.dot), row);
    });
  }

  async dropCancelled(dots: readonly Dot[]): Promise<void> {
    await this.tables.run(['slots', 'pending'], 'strict', async (tx) => {
      const slots = await Slots.read(tx);
      for (const dot of dots) {
        const row = await slots.pending(dot);
        if (row?.cancelled !== true) continue;
        tx.delete('pending', [row.slotId, dot.counter]);
        slots.settledUpTo(dot);
      }
      slots.write();
    });
  }

  async dismissRejected(dots: readonly Dot[]): Promise<void> {
    await this.tables.run(['rejected'], 'strict', (tx) => {
      for (const dot of dots) tx.delete('rejected', dotKeyOf(dot));
      return Promise.resolve();
    });
  }

  async pruneSettled(beforeMs: number): Promise<void> {
    await this.tables.run(['settled'], 'relaxed', async (tx) => {
      const rows = (await tx.all('settled')).sort((a, b) => b.settledAtMs - a.settledAtMs || b.seq - a.seq);
      for (const [index, row] of rows.entries()) {
        if (index >= SETTLED_KEPT_MAX || row.settledAtMs < beforeMs) tx.delete('settled', dotKeyOf(row.operation.dot));
      }
    });
  }

  async rebase(
    slotId: SlotId,
    replicaId: string,
    operations: readonly NewOperation[],
    rebasedDots: readonly Dot[],
    rejected: readonly RejectedRow[],
  ): Promise<void> {
    await this.tables.run(['slots', 'pending', 'settled', 'rejected'], 'strict', async (tx) => {
      const slot = await tx.get('slots', slotId);
      if (slot === undefined) throw new StoreError('corrupt', `there is no slot ${slotId}`);
      for (const row of await tx.all('pending', [slotId])) tx.delete('pending', [slotId, row.operation.dot.counter]);
      let lastBaseSeq = 0;
      for (const { operation, bytes, pessimistic } of operations) {
        lastBaseSeq = Math.max(lastBaseSeq, operation.context.baseSeq);
        tx.put('pending', [slotId, operation.dot.counter], { slotId, operation, bytes, pessimistic });
      }
      const nextCounter = (operations.at(-1)?.operation.dot.counter ?? 0) + 1;
      tx.put('slots', slotId, { slotId, replicaId, nextCounter, lastBaseSeq, lastSettledCounter: 0 });
      for (const dot of rebasedDots) tx.delete('settled', dotKeyOf(dot));
      for (const row of rejected) tx.put('rejected', dotKeyOf(row.operation.dot), row);
    });
  }

  // --- Confirmed state -------------------------------------------------------------------------------------------------

  async nextTerm(): Promise<number> {
    return this.tables.run(['meta'], 'strict', async (tx) => {
      const term = (await numberIn(tx, 'term')) + 1;
      tx.put('meta', 'term', term);
      return term;
    });
  }

  async saveFrames(term: number, frames: readonly FrameWrites[]): Promise<void> {
    if (frames.length === 0) return;
    await this.tables.run(FRAME_TABLES, 'relaxed', async (tx) => {
      await checkTerm(tx, term);
      await this.keepFrames(tx, frames, 'all are new');
    });
  }

  private async keepFrames(
    tx: TableTransaction,
    frames: readonly FrameWrites[],
    repeats: 'skip what is kept' | 'all are new',
  ): Promise<void> {
    const meta = await storedMeta(tx);
    const copy = await presentCopy(tx);
    const slots = await Slots.read(tx);
    let position = meta?.cursor.seqInclusive ?? 0;
    let epoch = meta?.cursor.epoch;
    for (const frame of frames) {
      const { cursor } = frame.meta;
      if (repeats === 'skip what is kept' && cursor.seqInclusive <= position && cursor.epoch === epoch) continue;
      if (frame.fromSeqExclusive !== position || (epoch !== undefined && epoch !== cursor.epoch)) {
        throw new StoreError(
          'fenced',
          `what is kept ends at ${position}, the frame begins at ${frame.fromSeqExclusive}`,
        );
      }
      position = cursor.seqInclusive;
      epoch = cursor.epoch;
      putConfirmed(tx, copy, frame.records, frame.conflicts);
      for (const row of frame.textTail) tx.put('tail', [row.recordId, row.fieldId, row.seq], row);
      for (const { recordId, fieldId, toSeqInclusive } of frame.textTailPruned) {
        tx.deleteUpTo('tail', [recordId, fieldId], toSeqInclusive);
      }
      for (const { dot, seq } of frame.ownDots) {
        if (!slots.owns(dot)) continue;
        const row = await slots.pending(dot);
        if (row !== undefined) this.settle(tx, row, seq);
        slots.settledUpTo(dot);
      }
      tx.put('meta', 'meta', frame.meta);
    }
    slots.write();
  }

  private settle(tx: TableTransaction, row: PendingRow, seq: Seq): void {
    const { slotId, operation, bytes } = row;
    tx.delete('pending', [slotId, operation.dot.counter]);
    tx.put('settled', dotKeyOf(operation.dot), { slotId, operation, bytes, seq, settledAtMs: this.nowMs() });
  }

  async beginSnapshot(term: number): Promise<void> {
    await this.tables.run(['meta', 'records0', 'records1', 'conflicts0', 'conflicts1'], 'relaxed', async (tx) => {
      await checkTerm(tx, term);
      const aside = otherCopy(await presentCopy(tx));
      tx.clear(RECORDS[aside]);
      tx.clear(CONFLICTS[aside]);
      this.together = 0;
      this.apart.clear();
    });
  }

  async addToSnapshot(
    term: number,
    records: readonly ConfirmedRecord[],
    conflicts: readonly ConflictSummary[],
  ): Promise<void> {
    await this.tables.run(['meta', 'records0', 'records1', 'conflicts0', 'conflicts1'], 'relaxed', async (tx) => {
      await checkTerm(tx, term);
      const aside = otherCopy(await presentCopy(tx));
      if (records.length < TOGETHER_MIN) {
        for (const { recordId } of records) this.apart.add(recordId);
        putConfirmed(tx, aside, records, conflicts);
        return;
      }
      putConfirmed(tx, aside, [], conflicts);
      // A row of one record is always the later one.
      for (const { recordId } of records) if (this.apart.delete(recordId)) tx.delete(RECORDS[aside], recordId);
      for (let from = 0; from < records.length; from += TOGETHER_MAX) {
        tx.put(RECORDS[aside], [this.together++], records.slice(from, from + TOGETHER_MAX));
      }
    });
  }

  async finishSnapshot(term: number, meta: StoreMeta): Promise<void> {
    await this.tables.run(FRAME_TABLES, 'strict', async (tx) => {
      await checkTerm(tx, term);
      const before = await presentCopy(tx);
      tx.put('meta', 'copy', otherCopy(before));
      tx.put('meta', 'meta', meta);
      tx.clear(RECORDS[before]);
      tx.clear(CONFLICTS[before]);
      tx.clear('tail');
      // What the snapshot has and no frame will bring any more.
      for (const row of await tx.all('pending')) {
        const { acceptedSeq, operation } = row;
        if (acceptedSeq === undefined || acceptedSeq > meta.cursor.seqInclusive) continue;
        if (operation.context.epoch === meta.cursor.epoch) this.settle(tx, row, acceptedSeq);
      }
    });
  }

  async estimate(): Promise<{ readonly usedBytes?: number; readonly quotaBytes?: number }> {
    return this.tables.estimate();
  }

  async close(): Promise<void> {
    await this.tables.close();
  }
}

/** The slots of a transaction, with what it learnt about them. */
class Slots {
  private readonly changed = new Set<SlotId>();

  private constructor(
    private readonly tx: TableTransaction,
    private readonly byReplica: Map<string, SlotRow>,
  ) {}

  static async read(tx: TableTransaction): Promise<Slots> {
    return new Slots(tx, new Map((await tx.all('slots')).map((slot) => [slot.replicaId, slot])));
  }

  owns(dot: Dot): boolean {
    return this.byReplica.has(dot.replicaId);
  }

  async pending(dot: Dot): Promise<PendingRow | undefined> {
    const slot = this.byReplica.get(dot.replicaId);
    return slot && this.tx.get('pending', [slot.slotId, dot.counter]);
  }

  settledUpTo(dot: Dot): void {
    const slot = this.byReplica.get(dot.replicaId);
    if (slot === undefined || slot.lastSettledCounter >= dot.counter) return;
    this.byReplica.set(dot.replicaId, { ...slot, lastSettledCounter: dot.counter });
    this.changed.add(slot.slotId);
  }

  write(): void {
    for (const slot of this.byReplica.values())
      if (this.changed.has(slot.slotId)) this.tx.put('slots', slot.slotId, slot);
  }
}

function dotKeyOf(dot: Dot): readonly [string, number] {
  return [dot.replicaId, dot.counter];
}

function otherCopy(copy: Copy): Copy {
  return copy === 0 ? 1 : 0;
}

async function presentCopy(tx: TableTransaction): Promise<Copy> {
  return (await numberIn(tx, 'copy')) === 1 ? 1 : 0;
}

async function numberIn(tx: TableTransaction, key: 'term' | 'copy'): Promise<number> {
  const row = await tx.get('meta', key);
  return typeof row === 'number' ? row : 0;
}

async function storedMeta(tx: TableTransaction): Promise<StoreMeta | undefined> {
  const row = await tx.get('meta', 'meta');
  if (row === undefined || typeof row === 'number') return undefined;
  if (row.layout > LAYOUT) {
    throw new StoreError('newer_layout', `the store has layout ${row.layout}; this version knows ${LAYOUT}`);
  }
  return row;
}

async function checkTerm(tx: TableTransaction, term: number): Promise<void> {
  const last = await numberIn(tx, 'term');
  if (term < last) throw new StoreError('fenced', `term ${term} is over: there was term ${last}`);
}

/** The latest row of each record: rows of many come one after the other, and those of one after all of them. */
function latest(rows: readonly RecordRow[]): readonly ConfirmedRecord[] {
  const found = new Map<RecordId, ConfirmedRecord>();
  for (const row of rows) if (isMany(row)) for (const record of row) found.set(record.recordId, record);
  if (found.size === 0) return rows as readonly ConfirmedRecord[];
  for (const row of rows) if (!isMany(row)) found.set(row.recordId, row);
  return [...found.values()];
}

function isMany(row: RecordRow): row is readonly ConfirmedRecord[] {
  return Array.isArray(row);
}

/** Closed conflicts are not kept. */
function putConfirmed(
  tx: TableTransaction,
  copy: Copy,
  records: readonly ConfirmedRecord[],
  conflicts: readonly ConflictSummary[],
): void {
  for (const record of records) tx.put(RECORDS[copy], record.recordId, record);
  for (const conflict of conflicts) {
    if (conflict.status === 'open' || conflict.status === 'deferred') {
      tx.put(CONFLICTS[copy], conflict.conflictId, conflict);
    } else {
      tx.delete(CONFLICTS[copy], conflict.conflictId);
    }
  }
}
