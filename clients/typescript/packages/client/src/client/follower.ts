import type { Dot } from '../domain/ids.js';
import { dotKey, sameDot } from '../domain/dot.js';
import type { ChangesFrame } from '../domain/change.js';
import type { Platform } from '../platform.js';
import type { PendingOperation, Replica, WholeSnapshot } from '../replica/replica.js';
import type { RejectedRow, SlotContents, SlotId, Store, StoreContents, StoreMeta } from '../store/store.js';
import type { Saver } from '../sync/saver.js';
import type { Accepted, RestartCause } from '../sync/sync.js';
import type { TabMessage, Tabs } from '../tabs/tabs.js';
import type { Emitter } from '../events.js';
import type { RuntimeEvents } from './runtime-events.js';

type LeaderMessage = Extract<TabMessage, { type: 'leader' }>;

/** How long frames may be on their way before they are asked for. */
const MISSING_FRAMES_AFTER_MS = 100;

/** What a follower works with. */
export interface FollowerParts {
  readonly store: Store;
  readonly tabs: Tabs;
  readonly platform: Platform;
  readonly replica: Replica;
  readonly saver: Saver;
  readonly slotId: SlotId;
  readonly events: Emitter<RuntimeEvents>;
  /** The leader said how things are. */
  readonly told: () => void;
}

/** A tab that does not hold the connection: folds the frames the leader kept, and loads what it missed. */
export class Follower {
  /** The leader's last word. */
  told: LeaderMessage | undefined;
  /** As of the replica's position. */
  meta: StoreMeta | undefined;
  private loading: Promise<void> | undefined;
  private cancelAsk: () => void = () => undefined;
  private closed = false;

  constructor(private readonly parts: FollowerParts) {}

  hear(message: TabMessage): void {
    const { events, replica, saver } = this.parts;
    switch (message.type) {
      case 'leader':
        this.told = message;
        saver.kept(message.position);
        if (message.position > replica.position) this.askLater();
        events.emit('presenceChanged', message.presence);
        this.parts.told();
        break;
      case 'frame':
        this.frame(message.frame);
        break;
      case 'accepted':
        this.accepted(message.accepted);
        break;
      case 'rejected':
        this.rejected(message.rejected);
        break;
      case 'reload':
        void this.reload(message.cause).catch(() => undefined);
        break;
      case 'conflict':
        events.emit('conflictEvent', message.effect, message.dot.replicaId === replica.replicaId);
        break;
      case 'need':
      case 'queued':
      case 'cancelled':
      case 'ask':
      case 'hello':
        break;
    }
  }

  /** Takes what the store has in place of what is here. */
  async reload(cause: RestartCause): Promise<void> {
    // One after the other: the second sees what the first could not.
    const before = this.loading ?? Promise.resolve();
    const next = before.catch(() => undefined).then(() => this.load(cause));
    this.loading = next;
    await next;
  }

  close(): void {
    this.closed = true;
    this.cancelAsk();
  }

  private frame(frame: ChangesFrame): void {
    const { replica, saver, events } = this.parts;
    const verdict = replica.applyFrame(frame);
    switch (verdict.type) {
      case 'applied':
        this.cancelAsk();
        this.meta = verdict.writes.meta;
        saver.kept(frame.toSeqInclusive);
        events.emit('viewChanged', verdict.view);
        for (const settled of verdict.settled) events.emit('settled', settled);
        this.parts.told();
        break;
      case 'repeat':
        break;
      case 'gap':
        this.askLater();
        break;
      case 'broken':
        void this.reload('snapshot').catch(() => undefined);
    }
  }

  private askLater(): void {
    this.cancelAsk();
    this.cancelAsk = this.parts.platform.clock.after(MISSING_FRAMES_AFTER_MS, () => {
      if (!this.closed) this.parts.tabs.post({ type: 'need', fromSeqExclusive: this.parts.replica.position });
    });
  }

  private accepted(accepted: readonly Accepted[]): void {
    const { replica, events, platform } = this.parts;
    for (const answer of accepted) {
      if (answer.dot.replicaId !== replica.replicaId) continue;
      const { dot, seq, outcome, conflictIds } = answer;
      const waits = replica.pending().some(({ operation }) => sameDot(operation.dot, dot));
      if (!waits) continue;
      const said = outcome === 'conflicted' ? { type: outcome, seq, conflictIds } : { type: outcome, seq };
      events.emit(
        'viewChanged',
        replica.applyReceipt({ dot, outcome: said, remaining: [] }, platform.clock.nowMs()).view,
      );
      if (seq <= replica.position) events.emit('settled', { dot, seq, outcome, conflictIds });
    }
    events.emit('accepted', accepted);
    this.parts.told();
  }

  private rejected(rows: readonly RejectedRow[]): void {
    const mine = rows.filter((row) => row.operation.dot.replicaId === this.parts.replica.replicaId);
    if (mine.length === 0) return;
    for (const row of mine) this.refuse(row);
    this.parts.events.emit('rejected', mine);
    this.parts.told();
  }

  private refuse(row: RejectedRow): void {
    const { replica, events, platform } = this.parts;
    const { refusal, mutationIndex } = row;
    const outcome = { type: 'rejected', refusal, ...(mutationIndex === undefined ? {} : { mutationIndex }) } as const;
    const receipt = { dot: row.operation.dot, outcome, remaining: [] };
    events.emit('viewChanged', replica.applyReceipt(receipt, platform.clock.nowMs()).view);
  }

  private async load(cause: RestartCause): Promise<void> {
    const { store, replica, saver, slotId, events } = this.parts;
    const contents = await store.load();
    const slot = (await store.slots()).some((row) => row.slotId === slotId) ? await store.loadSlot(slotId) : undefined;
    const settled = slot === undefined ? [] : await store.settled();
    if (this.closed || contents.meta === undefined) return;
    if (slot !== undefined && slot.slot.replicaId !== replica.replicaId) {
      this.useSlot(contents, slot, cause);
      return;
    }
    // The store may be behind frames that came meanwhile: what was shown stays.
    const sameHistory = contents.meta.cursor.epoch === replica.epoch;
    if (sameHistory && contents.meta.cursor.seqInclusive < replica.position) return;
    if (slot !== undefined) this.settle(slot, new Map(settled.map((row) => [dotKey(row.operation.dot), row.seq])));
    this.meta = contents.meta;
    const view = replica.adopt(snapshotOf(contents, contents.meta));
    saver.restart(contents.meta.cursor.seqInclusive);
    events.emit('viewChanged', view);
    if (cause !== 'snapshot') events.emit('restarted', cause, [], 0);
    this.parts.told();
  }

  /** Own operations that are not in the queue any more settled while this tab did not look. */
  private settle(slot: SlotContents, settled: ReadonlyMap<string, number>): void {
    const { replica, events, platform } = this.parts;
    const kept = new Set(slot.pending.map((row) => dotKey(row.operation.dot)));
    const refused = new Map(slot.rejected.map((row) => [dotKey(row.operation.dot), row]));
    const gone = replica.pending().filter(({ operation, saved }) => saved && !kept.has(dotKey(operation.dot)));
    for (const { operation } of gone) {
      const { dot } = operation;
      const row = refused.get(dotKey(dot));
      if (row !== undefined) {
        this.refuse(row);
        events.emit('rejected', [row]);
        continue;
      }
      const seq = settled.get(dotKey(dot)) ?? replica.position;
      const receipt = {
        dot,
        outcome: { type: 'applied', seq: Math.min(seq, replica.position) },
        remaining: [],
      } as const;
      events.emit('viewChanged', replica.applyReceipt(receipt, platform.clock.nowMs()).view);
      events.emit('settled', { dot, seq, outcome: 'applied', conflictIds: [] });
    }
  }

  /** The leader gave this tab's slot another replica. */
  private useSlot(contents: StoreContents, slot: SlotContents, cause: RestartCause): void {
    const { replica, saver, events, platform } = this.parts;
    const unsaved = saver.takeOperations();
    const view = replica.load(contents, slot);
    this.meta = contents.meta;
    saver.restart(contents.meta?.cursor.seqInclusive ?? 0);
    saver.useSlot(slot.slot, true);
    events.emit('rejectedLoaded', slot.rejected);
    events.emit('viewChanged', view);
    const again: PendingOperation[] = [];
    const lost: Dot[] = [];
    for (const { operation, pessimistic } of unsaved) {
      try {
        const { mutations, correlationId, actor, clientTimeMs } = operation;
        const made = replica.make({ mutations, correlationId, actor, clientTimeMs, pessimistic });
        events.emit('viewChanged', made.view);
        saver.operation(made.pending);
        again.push(made.pending);
      } catch {
        lost.push(operation.dot);
      }
    }
    const rebased = [...replica.pending()];
    events.emit('restarted', cause === 'snapshot' ? 'replica_changed' : cause, rebased, rebased.length);
    for (const { operation } of unsaved.filter(({ operation }) => lost.some((dot) => sameDot(dot, operation.dot)))) {
      // It fits nothing any more; what was written is told once more and not lost without a word.
      const refusal = { reason: 'NOT_MADE_AGAIN', message: 'it does not fit the new history', metadata: {} };
      events.emit('rejected', [
        { slotId: slot.slot.slotId, operation, refusal, rejectedAtMs: platform.clock.nowMs(), texts: {} },
      ]);
    }
    this.parts.told();
  }
}

function snapshotOf(contents: StoreContents, meta: StoreMeta): WholeSnapshot {
  return {
    meta,
    records: new Map(contents.records.map((record) => [record.recordId, record])),
    conflicts: new Map(contents.conflicts.map((conflict) => [conflict.conflictId, conflict])),
    textTail: contents.textTail,
  };
}
