import type { RecordView, Transaction } from '../../src/api.js';
import type { Operation } from '../../src/domain/operation.js';
import { ReplicaCore } from '../../src/replica/core.js';
import type { FrameVerdict, PendingOperation, ViewChange } from '../../src/replica/replica.js';
import { collectMutations } from '../../src/replica/transaction.js';
import type { SlotContents } from '../../src/store/store.js';
import { type TestServer, encode, nextChain } from './server.js';

export function emptySlot(replicaId: string): SlotContents {
  const slot = { slotId: `slot-${replicaId}`, replicaId, nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 };
  return { slot, pending: [], rejected: [] };
}

/** A client without storage or network: a replica and what it would send. */
export class TestClient {
  replica: ReplicaCore;
  /** Made and not submitted yet. */
  readonly outbox: Operation[] = [];
  private made = 0;

  constructor(
    readonly name: string,
    readonly server: TestServer,
  ) {
    this.replica = new ReplicaCore('w', encode, nextChain);
    const meta = { layout: 1, cursor: server.cursor(0), wholeFromSeq: 0, textTailFromSeq: 0 };
    this.replica.load({ meta, records: [], conflicts: [], textTail: [] }, emptySlot(name));
    this.replica.setSchema(server.schema);
  }

  mutate(build: (tx: Transaction) => void, pessimistic = false): PendingOperation {
    return this.mutateWithView(build, pessimistic).pending;
  }

  mutateWithView(
    build: (tx: Transaction) => void,
    pessimistic = false,
  ): { readonly pending: PendingOperation; readonly view: ViewChange } {
    const made = this.replica.make({
      mutations: collectMutations(this.replica, build),
      correlationId: `${this.name}-${++this.made}`,
      pessimistic,
      actor: this.name,
      clientTimeMs: this.made,
    });
    this.outbox.push(made.pending.operation);
    return made;
  }

  /** Submits the oldest operation and takes in the receipt. */
  send(refuse = false): void {
    const operation = this.outbox.shift();
    if (operation !== undefined) this.replica.applyReceipt(this.server.submit(operation, refuse), 0);
  }

  sendAll(): void {
    while (this.outbox.length > 0) this.send();
  }

  /** Follows the feed, in one frame. */
  receive(to = this.server.head): FrameVerdict | undefined {
    const from = this.replica.position;
    return to > from ? this.replica.applyFrame(this.server.frame(from, to)) : undefined;
  }

  view(id: string): RecordView | undefined {
    return this.replica.view(id);
  }

  fields(id: string): RecordView['fields'] | undefined {
    return this.replica.view(id)?.fields;
  }
}
