import fc from 'fast-check';
import type { Transaction } from '../../src/api.js';
import type { ConfirmedRecord } from '../../src/domain/change.js';
import type { Operation } from '../../src/domain/operation.js';
import { authorOf } from '../../src/domain/text/author.js';
import { SynclineError } from '../../src/errors.js';
import { ReplicaCore } from '../../src/replica/core.js';
import type { ViewChange } from '../../src/replica/replica.js';
import type { PendingRow, SlotContents, StoreContents } from '../../src/store/store.js';
import { TestClient } from './client.js';
import { TestServer, encode, nextChain, schemaOf } from './server.js';

export const SCHEMA = schemaOf({
  cards: { title: 'register', body: 'text', votes: 'counter', tags: 'set', owner: 'to_one', links: 'to_many' },
});

export const RECORDS = ['r0', 'r1', 'r2', 'r3'] as const;

/** One step of a random run: who, what, and three numbers it may use. */
export type Step = readonly [client: number, action: number, a: number, b: number, c: number];

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.tuple(fc.nat(2), fc.nat(99), fc.nat(1000), fc.nat(1000), fc.nat(1000)),
  { minLength: 1, maxLength: 60 },
);

/** Several clients and a server, driven by steps. `onChange` hears of every change of a client's view. */
export class Run {
  readonly server = new TestServer(SCHEMA);
  readonly clients: readonly TestClient[];
  /** What the author of an operation saw of the texts it edits, where that was exact. */
  private readonly seen = new Map<string, ReadonlyMap<string, string>>();

  constructor(private readonly onChange: (client: TestClient, change: ViewChange) => void = () => undefined) {
    this.clients = ['a', 'b', 'c'].map((name) => new TestClient(name, this.server));
  }

  step([who, action, a, b, c]: Step): void {
    const client = this.clients[who % this.clients.length];
    if (client === undefined) return;
    if (action < 55) this.edit(client, action, a, b, c);
    else if (action < 75) this.send(client, false);
    else if (action < 78) this.send(client, true);
    else if (action < 97) this.receive(client, a);
    else this.reload(client);
  }

  /** A mutation that does not fit throws and is nothing. */
  private edit(client: TestClient, action: number, a: number, b: number, c: number): void {
    const id = RECORDS[a % RECORDS.length] ?? 'r0';
    const other = RECORDS[b % RECORDS.length] ?? 'r0';
    const { replica } = client;
    const body = (client.view(id)?.fields.body ?? '') as string;
    const text = replica.isTextExact(id, 'body') ? new Map([[`${id}/body`, body]]) : new Map<string, string>();
    const length = Array.from(body).length;
    const position = length === 0 ? 0 : b % (length + 1);
    const build = (tx: Transaction): void => {
      if (action < 6) tx.create('cards', id, { title: b, body: 'one two', votes: c % 5, tags: [b % 3], links: [] });
      else if (action < 9) tx.delete(id);
      else if (action < 11) tx.restore(id);
      else if (action < 15) tx.set(id, 'title', c % 4);
      else if (action < 40) {
        const deleteCount = Math.min(c % 4, length - position);
        const insert = c % 5 === 0 && deleteCount > 0 ? '' : 'xyz🎈'.slice(0, 1 + (c % 3));
        tx.editText(id, 'body', [{ position, deleteCount, insert }]);
        if (c % 7 === 0) tx.set(id, 'title', 'with text');
      } else if (action < 42) tx.replaceText(id, 'body', `${body.slice(0, position)} new`);
      else if (action < 45) tx.increment(id, 'votes', (c % 7) - 3);
      else if (action < 46) tx.assignCounter(id, 'votes', c % 10);
      else if (action < 48) tx.add(id, 'tags', c % 3, `t${b % 2}`);
      else if (action < 49) tx.remove(id, 'tags', c % 3);
      else if (action < 51) tx.link(id, 'owner', other);
      else if (action < 52) tx.unlink(id, 'owner');
      else if (action < 54) tx.link(id, 'links', other);
      else tx.unlink(id, 'links', other);
    };
    try {
      // Now and then one that is not shown before it is accepted.
      const { pending, view } = client.mutateWithView(build, action < 52 && action >= 40 && c % 5 === 0);
      this.seen.set(`${pending.operation.dot.replicaId}:${pending.operation.dot.counter}`, text);
      this.onChange(client, view);
    } catch (error) {
      if (!(error instanceof SynclineError)) throw error;
    }
  }

  private send(client: TestClient, refuse: boolean): void {
    const operation = client.outbox.shift();
    if (operation === undefined) return;
    const misfit = this.misfit(operation);
    const receipt = this.server.submit(operation, refuse);
    if (misfit !== undefined && receipt.outcome.type !== 'rejected') throw new Error(misfit);
    const { view, rejected } = client.replica.applyReceipt(receipt, 0);
    this.onChange(client, view);
    const isRejected = receipt.outcome.type === 'rejected';
    if (isRejected !== (rejected !== undefined)) throw new Error('a rejection and the rejected operations do not fit');
  }

  /** T1: what an author saw is what the server rebuilds. */
  private misfit(operation: Operation): string | undefined {
    const { dot } = operation;
    for (const { recordId, action } of operation.mutations) {
      if (action.type !== 'edit_text') continue;
      const seen = this.seen.get(`${dot.replicaId}:${dot.counter}`)?.get(`${recordId}/${action.fieldId}`);
      if (seen === undefined) continue;
      const view = this.server.textFor(recordId, action.fieldId, authorOf(dot, operation.context));
      if (view !== seen) return `the author saw ${JSON.stringify(seen)}, the server rebuilds ${JSON.stringify(view)}`;
    }
    return undefined;
  }

  private receive(client: TestClient, a: number): void {
    const { position } = client.replica;
    const ahead = this.server.head - position;
    if (ahead === 0) return;
    const verdict = client.receive(position + 1 + (a % ahead));
    if (verdict?.type !== 'applied') throw new Error(`a frame was not applied: ${JSON.stringify(verdict)}`);
    this.onChange(client, verdict.view);
  }

  private reload(client: TestClient): void {
    client.replica = reloaded(client.replica);
    client.replica.setSchema(SCHEMA);
    this.onChange(client, { recordIds: new Set(), conflictIds: new Set(), all: true });
  }

  /** Everything is sent and received. */
  settle(): void {
    for (const client of this.clients) while (client.outbox.length > 0) this.send(client, false);
    for (const client of this.clients) this.receiveAll(client);
  }

  private receiveAll(client: TestClient): void {
    const verdict = client.receive();
    if (verdict?.type === 'applied') this.onChange(client, verdict.view);
  }
}

/** What a store would have of a replica. */
export function contentsOf(replica: ReplicaCore): { readonly contents: StoreContents; readonly slot: SlotContents } {
  const { state } = replica;
  const meta = state.meta();
  const records: readonly ConfirmedRecord[] = [...state.records.values()];
  const contents = { records, conflicts: [...state.conflicts.values()], textTail: state.texts.rows() };
  const slotId = `slot-${replica.replicaId}`;
  const pending = replica.pending().map((entry): PendingRow => {
    const { operation, bytes, pessimistic, acceptedSeq } = entry;
    return { slotId, operation, bytes, pessimistic, ...(acceptedSeq !== undefined && { acceptedSeq }) };
  });
  const slot = {
    slotId,
    replicaId: replica.replicaId,
    nextCounter: replica.nextCounter,
    lastBaseSeq: 0,
    lastSettledCounter: 0,
  };
  return { contents: meta ? { meta, ...contents } : contents, slot: { slot, pending, rejected: [] } };
}

/** A replica made anew from what a store would have. What a receipt doomed is doomed by the next receipt again. */
export function reloaded(replica: ReplicaCore): ReplicaCore {
  const { contents, slot } = contentsOf(replica);
  const next = new ReplicaCore('w', encode, nextChain);
  next.load(contents, slot);
  return next;
}
