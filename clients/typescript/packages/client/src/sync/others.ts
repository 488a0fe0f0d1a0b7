import type { Emitter } from '../events.js';
import { sameDot } from '../domain/dot.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { Platform } from '../platform.js';
import type { PendingRow, SlotId, Store } from '../store/store.js';
import type { Transport } from '../transport/transport.js';
import type { QueueEntry } from './sync.js';
import { Uploader, type UploadEvents, type UploadRules, type UploadItem } from './upload.js';

interface Other {
  rows: readonly PendingRow[];
  readonly uploader: Uploader;
}

/** Queues of the slots that are not this tab's: of other tabs, and of closed ones. Read from the store. */
export class OtherQueues {
  private readonly slots = new Map<SlotId, Other>();

  constructor(
    private readonly store: Store,
    private readonly transport: Transport,
    private readonly platform: Platform,
    private readonly rules: UploadRules,
    private readonly events: Emitter<UploadEvents>,
    private readonly ownSlot: () => SlotId,
  ) {}

  /** Looks at all slots. */
  async refresh(): Promise<void> {
    for (const slot of await this.store.slots()) {
      if (slot.slotId !== this.ownSlot()) await this.load(slot.slotId);
    }
  }

  /** Reads a slot's queue again and sends what is new. */
  async load(slotId: SlotId): Promise<void> {
    if (slotId === this.ownSlot()) return;
    const { pending } = await this.store.loadSlot(slotId);
    let other = this.slots.get(slotId);
    if (other === undefined) {
      if (pending.length === 0) return;
      other = { rows: pending, uploader: this.uploader(slotId) };
      this.slots.set(slotId, other);
    } else {
      // An answer may have come while the rows were read.
      const accepted = new Map(other.rows.map((row) => [row.operation.dot.counter, row.acceptedSeq]));
      other.rows = pending.map((row) => {
        const seq = row.acceptedSeq ?? accepted.get(row.operation.dot.counter);
        return seq === undefined ? row : { ...row, acceptedSeq: seq };
      });
    }
    other.uploader.wake();
    this.events.emit('changed');
  }

  row(dot: Dot): PendingRow | undefined {
    for (const { rows } of this.slots.values()) {
      const found = rows.find(({ operation }) => sameDot(operation.dot, dot));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  accepted(dot: Dot, seq: Seq): void {
    this.change(dot, (row) => ({ ...row, acceptedSeq: seq }));
  }

  /** An operation has its final outcome. */
  remove(dot: Dot): void {
    this.change(dot, () => undefined);
  }

  reconnected(): void {
    for (const { uploader } of this.slots.values()) uploader.reconnected();
  }

  wake(): void {
    for (const { uploader } of this.slots.values()) uploader.wake();
  }

  entries(): readonly QueueEntry[] {
    return [...this.slots].flatMap(([slotId, { rows, uploader }]) =>
      rows.map((row) => ({
        slotId,
        pending: {
          operation: row.operation,
          bytes: row.bytes,
          ...(row.acceptedSeq === undefined ? {} : { acceptedSeq: row.acceptedSeq }),
          cancelled: row.cancelled === true,
          doomed: false,
          saved: true,
        },
        status: uploader.status(row.operation.dot.counter),
      })),
    );
  }

  slotIds(): readonly SlotId[] {
    return [...this.slots.keys()];
  }

  stop(): void {
    for (const { uploader } of this.slots.values()) uploader.stop();
    this.slots.clear();
  }

  private change(dot: Dot, to: (row: PendingRow) => PendingRow | undefined): void {
    for (const other of this.slots.values()) {
      const at = other.rows.findIndex(({ operation }) => sameDot(operation.dot, dot));
      const row = other.rows[at];
      if (row === undefined) continue;
      const next = to(row);
      other.rows = next === undefined ? other.rows.filter((_, i) => i !== at) : other.rows.with(at, next);
      if (next === undefined) other.uploader.settled(dot.counter);
      return;
    }
  }

  private uploader(slotId: SlotId): Uploader {
    const items = (): readonly UploadItem[] =>
      (this.slots.get(slotId)?.rows ?? []).map((row) => ({
        operation: row.operation,
        bytes: row.bytes,
        ...(row.acceptedSeq === undefined ? {} : { acceptedSeq: row.acceptedSeq }),
        cancelled: row.cancelled === true,
      }));
    return new Uploader(slotId, items, this.transport, this.platform, this.rules, this.events);
  }
}
