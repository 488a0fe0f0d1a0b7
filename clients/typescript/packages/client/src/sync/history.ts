import { dotKey } from '../domain/dot.js';
import type { Dot, DotKey, Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import { OPERATIONS_PER_CALL_MAX, SAVE_RETRY_MAX_MS, SAVE_RETRY_MS } from '../limits.js';
import type { PendingOperation, SettledOwn, ViewChange, WholeSnapshot } from '../replica/replica.js';
import type { RejectedRow, SettledRow, SlotContents, SlotId } from '../store/store.js';
import type { SyncParts } from './sync.js';

/** What became of this tab's operations. */
export interface Rebased {
  readonly view: ViewChange;
  /** Of this tab, rebased. */
  readonly operations: readonly PendingOperation[];
  /** Of all slots, how many were rebased. */
  readonly count: number;
  /** Of this tab, pending operations that the new history turned out to have. */
  readonly settled: readonly SettledOwn[];
  /** Of this tab, what could not be rebased: it is among the rejected operations. */
  readonly rejected: readonly RejectedRow[];
}

/** Makes operations again that a rewound history lost, or that another installation's forked replica took the dots of. */
export class History {
  private readonly ended = new AbortController();

  constructor(private readonly parts: SyncParts) {}

  stop(): void {
    this.ended.abort(new Error('stopped'));
  }

  /**
   * The server's history is another one: what it does not know of this device's work is rebased on top of its
   * snapshot, slot by slot, and only then the snapshot replaces what is here (SPEC.md, §7).
   */
  async rewound(snapshot: WholeSnapshot): Promise<Rebased> {
    const { store, saver, replica, term } = this.parts;
    return saver.exclusive(async () => {
      const contents = await this.slots();
      const settled = await store.settled();
      const known = await this.known([
        ...settled.map((row) => row.operation.dot),
        ...contents.flatMap(({ pending }) => pending.map((row) => row.operation.dot)),
        ...replica.pending().map((pending) => pending.operation.dot),
      ]);
      const missing = settled.filter((row) => !isKnown(known, row.operation.dot));
      let count = 0;
      for (const slot of contents) {
        if (slot.slot.slotId !== this.parts.ownSlot()) count += await this.rebaseOther(slot, snapshot, missing, known);
      }
      const own = await this.rebaseOwn(snapshot, missing, known);
      await store.finishSnapshot(term, snapshot.meta);
      saver.restart(snapshot.meta.cursor.seqInclusive);
      return { ...own, count: count + own.operations.length };
    });
  }

  /** Another installation used this tab's replica: a new one takes its queue over (SPEC.md, §8). */
  async forked(slotId: SlotId): Promise<Rebased> {
    const { store, saver, replica, platform } = this.parts;
    return saver.exclusive(async () => {
      const replicaId = platform.random.uuid();
      if (slotId === this.parts.ownSlot()) {
        const made = replica.rebase(replicaId, { type: 'forked' });
        await saver.ensureSlot();
        await this.keep(slotId, replicaId, made.operations, made.rebasedDots, made.rejected);
        this.markSaved(made.operations);
        const { view, operations, rejected } = made;
        return { view, operations, rejected, count: operations.length, settled: [] };
      }
      const other = this.parts.createReplica();
      other.load(await store.load(), await store.loadSlot(slotId));
      const made = other.rebase(replicaId, { type: 'forked' });
      await this.keep(slotId, replicaId, made.operations, made.rebasedDots, made.rejected);
      return { view: nothing(), operations: [], count: made.operations.length, settled: [], rejected: [] };
    });
  }

  /** A slot's replica was exchanged here: it has to be in the store, too, whatever the store says at first. */
  private async keep(...row: Parameters<SyncParts['store']['rebase']>): Promise<void> {
    const { store, platform } = this.parts;
    for (let delayMs = SAVE_RETRY_MS; ; delayMs = Math.min(2 * delayMs, SAVE_RETRY_MAX_MS)) {
      try {
        await store.rebase(...row);
        return;
      } catch (error) {
        if (this.ended.signal.aborted) throw error;
        await new Promise<void>((resolve) => {
          platform.clock.after(delayMs, resolve);
        });
      }
    }
  }

  private async slots(): Promise<readonly SlotContents[]> {
    const out: SlotContents[] = [];
    for (const slot of await this.parts.store.slots()) out.push(await this.parts.store.loadSlot(slot.slotId));
    return out;
  }

  /** What the new history says of these operations. */
  private async known(dots: readonly Dot[]): Promise<ReadonlyMap<DotKey, ServerReceipt>> {
    const asked = [...new Map(dots.map((dot) => [dotKey(dot), dot])).values()];
    const known = new Map<DotKey, ServerReceipt>();
    for (let from = 0; from < asked.length; from += OPERATIONS_PER_CALL_MAX) {
      const page = asked.slice(from, from + OPERATIONS_PER_CALL_MAX);
      for (const receipt of await this.parts.transport.receipts(page, this.ended.signal)) {
        known.set(dotKey(receipt.dot), receipt);
      }
    }
    return known;
  }

  private async rebaseOwn(
    snapshot: WholeSnapshot,
    missing: readonly SettledRow[],
    known: ReadonlyMap<DotKey, ServerReceipt>,
  ): Promise<Omit<Rebased, 'count'>> {
    const { replica, saver, platform } = this.parts;
    const slotId = this.parts.ownSlot();
    const mine = missing.filter((row) => row.slotId === slotId);
    const pending = replica.pending();
    const { epoch } = snapshot.meta.cursor;
    if (mine.length === 0 && pending.every(({ operation }) => operation.context.epoch === epoch)) {
      // All of it belongs to the new history: an interruption came after it was rebased.
      return { view: replica.adopt(snapshot), operations: [], settled: [], rejected: [] };
    }
    const settled: SettledOwn[] = [];
    const rejected: RejectedRow[] = [];
    for (const { operation } of pending) {
      const receipt = settledHere(known, operation.dot, replica.position);
      if (receipt === undefined) continue;
      const taken = replica.applyReceipt(receipt, platform.clock.nowMs());
      if (taken.rejected !== undefined) rejected.push(taken.rejected);
      const own = ownOutcome(receipt);
      if (own !== undefined) settled.push(own);
    }
    const replicaId = platform.random.uuid();
    const made = replica.rebase(replicaId, { type: 'rewound', snapshot, missing: mine });
    await saver.ensureSlot();
    rejected.push(...made.rejected);
    await this.keep(slotId, replicaId, made.operations, made.rebasedDots, rejected);
    this.markSaved(made.operations);
    return { view: made.view, operations: made.operations, settled, rejected };
  }

  private markSaved(operations: readonly PendingOperation[]): void {
    this.parts.replica.markSaved(operations.map(({ operation }) => operation.dot));
  }

  private async rebaseOther(
    slot: SlotContents,
    snapshot: WholeSnapshot,
    missing: readonly SettledRow[],
    known: ReadonlyMap<DotKey, ServerReceipt>,
  ): Promise<number> {
    const { store, platform } = this.parts;
    const { slotId } = slot.slot;
    const theirs = missing.filter((row) => row.slotId === slotId);
    // Operations of the new history were rebased before an interruption: they stay as they are. Of a history that was
    // rewound within its epoch all are made again, since nothing tells them apart.
    const { epoch } = snapshot.meta.cursor;
    const within = epoch === this.parts.replica.epoch;
    const old = slot.pending.filter((row) => within || row.operation.context.epoch !== epoch);
    if (old.length === 0 && theirs.length === 0) return 0;
    const other = this.parts.createReplica();
    other.load(await store.load(), slot);
    const rejected: RejectedRow[] = [];
    for (const { operation } of old) {
      const receipt = settledHere(known, operation.dot, other.position);
      if (receipt === undefined) continue;
      const taken = other.applyReceipt(receipt, platform.clock.nowMs());
      if (taken.rejected !== undefined) rejected.push(taken.rejected);
    }
    const replicaId = platform.random.uuid();
    const made = other.rebase(replicaId, { type: 'rewound', snapshot, missing: theirs });
    await this.keep(slotId, replicaId, made.operations, made.rebasedDots, [...rejected, ...made.rejected]);
    return made.operations.length;
  }
}

/** Settled, with or without effect. */
function isKnown(known: ReadonlyMap<DotKey, ServerReceipt>, dot: Dot): boolean {
  const type = known.get(dotKey(dot))?.outcome.type;
  return type === 'applied' || type === 'merged' || type === 'conflicted' || type === 'rejected';
}

/**
 * The receipt of an operation the new history has, at a position that the old one passed: whatever its place there, it
 * is part of the snapshot, so that it leaves the queue here and now.
 */
function settledHere(known: ReadonlyMap<DotKey, ServerReceipt>, dot: Dot, position: Seq): ServerReceipt | undefined {
  const receipt = isKnown(known, dot) ? known.get(dotKey(dot)) : undefined;
  if (receipt === undefined || !('seq' in receipt.outcome)) return receipt;
  return { ...receipt, outcome: { ...receipt.outcome, seq: Math.min(receipt.outcome.seq, position) } };
}

function ownOutcome({ dot, outcome }: ServerReceipt): SettledOwn | undefined {
  if (!('seq' in outcome)) return undefined;
  const conflictIds = outcome.type === 'conflicted' ? outcome.conflictIds : [];
  return { dot, seq: outcome.seq, outcome: outcome.type, conflictIds };
}

function nothing(): ViewChange {
  return { recordIds: new Set(), conflictIds: new Set(), all: false };
}
