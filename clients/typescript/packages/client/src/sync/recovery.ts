import type { ConnectionReason } from '../api.js';
import type { Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import type { SettledOwn, WholeSnapshot } from '../replica/replica.js';
import type { SlotId } from '../store/store.js';
import type { History } from './history.js';
import type { OtherQueues } from './others.js';
import type { Settlement } from './settlement.js';
import type { SyncParts } from './sync.js';

/** Of operations made before this device heard of any history. */
const NO_EPOCH = '0';

/** What recovery needs of the rest of the loop. */
export interface RecoveryDriver {
  readonly others: OtherQueues;
  readonly settlement: Settlement;
  /** Nothing before this is known of the head any more. */
  headIs(seq: Seq): void;
  /** Connects again, to take the snapshot of another history. */
  takeNewHistory(): void;
  restartHeartbeats(): void;
  reconnected(): void;
  wakeQueues(): void;
}

/** Replaces what is here: by a snapshot, by another history, or by another replica (SPEC.md, §6 to §8). */
export class Recovery {
  /** What keeps work from going on although the wire is up. */
  trouble: ConnectionReason | undefined;
  /** Operations are being rebased: nothing is sent. */
  healing = false;
  private readonly doubts = new Set<string>();
  /** Loaded when it is needed, which is almost never. */
  private history: Promise<History> | undefined;
  private readonly ended = new AbortController();

  constructor(
    private readonly parts: SyncParts,
    private readonly driver: RecoveryDriver,
  ) {}

  stop(): void {
    this.ended.abort(new Error('stopped'));
    void this.history
      ?.then((history) => {
        history.stop();
      })
      .catch(() => undefined);
  }

  async adopt(snapshot: WholeSnapshot, rewound: boolean): Promise<void> {
    const { replica, saver, store, term, events } = this.parts;
    const { epoch, seqInclusive } = snapshot.meta.cursor;
    // A position is this history's own: a queue made before there was any is rebased without a notice.
    const first = replica.epoch === NO_EPOCH;
    let settled: readonly SettledOwn[] = [];
    const adopted =
      !rewound &&
      (await saver.exclusive(async () => {
        if (replica.pending().some(({ operation }) => operation.context.epoch !== epoch)) return false;
        settled = this.driver.settlement.acceptedUpTo(seqInclusive);
        // At once, so that nothing is made in between; what is made from here on is kept after the snapshot.
        events.emit('viewChanged', replica.adopt(snapshot));
        await store.finishSnapshot(term, snapshot.meta);
        saver.restart(seqInclusive);
        return true;
      }));
    if (!adopted) {
      await this.replaceHistory(snapshot, !first);
      return;
    }
    this.driver.settlement.adopted(snapshot.meta, settled);
    this.trouble = undefined;
    events.emit('restarted', 'snapshot', [], 0);
    events.emit('queueChanged');
    events.emit('connectionChanged');
  }

  private async replaceHistory(snapshot: WholeSnapshot, announced: boolean): Promise<void> {
    const { events } = this.parts;
    this.healing = true;
    try {
      const made = await (await this.loadHistory()).rewound(snapshot);
      this.driver.headIs(snapshot.meta.cursor.seqInclusive);
      this.driver.settlement.adopted(snapshot.meta, []);
      events.emit('viewChanged', made.view);
      for (const settled of made.settled) events.emit('settled', settled);
      events.emit(
        'restarted',
        announced ? 'history_rewound' : 'replica_changed',
        made.operations,
        announced ? made.count : 0,
      );
      this.trouble = undefined;
    } finally {
      this.healing = false;
    }
    await this.driver.others.refresh();
    this.driver.restartHeartbeats();
    events.emit('queueChanged');
    events.emit('connectionChanged');
  }

  private async loadHistory(): Promise<History> {
    this.history ??= import('./history.js').then(({ History }) => new History(this.parts));
    try {
      const history = await this.history;
      if (this.ended.signal.aborted) history.stop();
      return history;
    } catch (error) {
      // The next attempt loads it again.
      this.history = undefined;
      throw error;
    }
  }

  /** The server has another history: its snapshot is taken with the next attempt. */
  rewound(): void {
    if (this.trouble === 'history_rewound') return;
    this.trouble = 'history_rewound';
    this.driver.takeNewHistory();
  }

  /** A single word that a context is ahead is checked before it is believed. */
  async doubted(receipt: ServerReceipt): Promise<void> {
    const key = `${receipt.dot.replicaId}:${receipt.dot.counter}`;
    try {
      const head = await this.parts.transport.head(this.ended.signal);
      const { epoch, position } = this.parts.replica;
      const fits = head.epoch === epoch && head.seqInclusive >= position;
      if (fits && !this.doubts.has(key)) {
        this.doubts.add(key);
        this.driver.wakeQueues();
        return;
      }
      this.doubts.clear();
      this.rewound();
    } catch {
      // The wire is down or about to be; the operation is sent again when it is up.
    }
  }

  /** Another installation uses the replica of a slot. */
  async forked(slotId: SlotId): Promise<void> {
    if (this.healing || this.ended.signal.aborted) return;
    this.healing = true;
    try {
      const made = await (await this.loadHistory()).forked(slotId);
      if (slotId === this.parts.ownSlot()) this.parts.events.emit('viewChanged', made.view);
      if (made.rejected.length > 0) this.parts.events.emit('rejected', made.rejected, true);
      this.parts.events.emit('restarted', 'replica_changed', made.operations, made.count);
    } finally {
      this.healing = false;
    }
    await this.driver.others.refresh();
    this.driver.restartHeartbeats();
    this.driver.reconnected();
    this.parts.events.emit('queueChanged');
  }
}
