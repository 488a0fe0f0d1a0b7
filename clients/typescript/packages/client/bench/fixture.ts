import type { Transaction } from '../src/api.js';
import type { ConfirmedField, ConfirmedRecord } from '../src/domain/change.js';
import type { Schema } from '../src/domain/schema.js';
import type { FieldState } from '../src/domain/value.js';
import { ReplicaCore } from '../src/replica/core.js';
import type { PendingOperation, ViewChange } from '../src/replica/replica.js';
import { collectMutations } from '../src/replica/transaction.js';
import type { SlotContents, StoreContents } from '../src/store/store.js';
import { encodeOperation } from '../src/wire/operation.js';

export const RECORDS = 10_000;
export const PENDING = 1_000;
export const REPLICA = '01900000-0000-7000-8000-000000000001';

const KINDS = {
  title: 'register',
  column: 'register',
  body: 'text',
  votes: 'counter',
  tags: 'set',
  owner: 'to_one',
} as const;

export const SCHEMA: Schema = {
  version: 1,
  strict: false,
  collections: new Map([
    [
      'cards',
      new Map(
        Object.entries(KINDS).map(([id, kind]) => [
          id,
          { kind, provisional: 'incumbent', onClash: 'open', onDominate: 'keep' } as const,
        ]),
      ),
    ],
  ]),
};

export const idOf = (index: number): string => `card-${String(index).padStart(6, '0')}`;

export function recordAt(index: number): ConfirmedRecord {
  const lastSeq = index + 1;
  const field = (state: FieldState): ConfirmedField => ({ state, lastSeq });
  return {
    recordId: idOf(index),
    collectionId: 'cards',
    deleted: false,
    createdSeq: lastSeq,
    lastSeq,
    asOfSeq: RECORDS,
    fields: new Map<string, ConfirmedField>([
      ['title', field({ kind: 'register', value: { kind: 'string', value: `Card number ${index}` } })],
      ['column', field({ kind: 'register', value: { kind: 'int', value: BigInt(index % 5) } })],
      ['body', field({ kind: 'text', text: `What card ${index} is about, in a sentence or two. `.repeat(3) })],
      ['votes', field({ kind: 'counter', value: BigInt(index % 17) })],
      ['tags', field({ kind: 'set', elements: new Map([[`s1:t`, { kind: 'string', value: 't' }]]) })],
      ['owner', field({ kind: 'to_one', target: idOf(index % 100) })],
    ]),
  };
}

export function contents(): StoreContents {
  const cursor = { workspaceId: 'w', epoch: '7', seqInclusive: RECORDS, chain: new Uint8Array(16) };
  return {
    meta: { layout: 1, cursor, wholeFromSeq: 0, textTailFromSeq: 0, schema: SCHEMA },
    records: Array.from({ length: RECORDS }, (_, index) => recordAt(index)),
    conflicts: [],
    textTail: [],
  };
}

export function emptySlot(): SlotContents {
  const slot = { slotId: 'slot', replicaId: REPLICA, nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 };
  return { slot, pending: [], rejected: [] };
}

export function newReplica(): ReplicaCore {
  return new ReplicaCore('w', encodeOperation, (previous) => previous);
}

let made = 0;

export function mutate(
  replica: ReplicaCore,
  build: (tx: Transaction) => void,
): { readonly pending: PendingOperation; readonly view: ViewChange } {
  return replica.make({
    mutations: collectMutations(replica, build),
    correlationId: `bench-${++made}`,
    pessimistic: false,
    actor: 'bench',
    clientTimeMs: made,
  });
}

/** A thousand operations of every sort, a third of them in one text. */
export function queueUp(replica: ReplicaCore): void {
  for (let index = replica.pending().length; index < PENDING; index++) {
    const id = idOf((index * 37) % RECORDS);
    mutate(replica, (tx) => {
      if (index % 3 === 0) tx.editText(idOf(0), 'body', [{ position: index % 50, deleteCount: 1, insert: 'xy' }]);
      else if (index % 3 === 1) tx.set(id, 'title', `changed ${index}`);
      else tx.increment(id, 'votes');
    });
  }
}

export interface Figures {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

export function figures(samples: readonly number[]): Figures {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { median: at(0.5), p95: at(0.95), max: at(1) };
}

export function print(name: string, samples: readonly number[]): Figures {
  const result = figures(samples);
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  console.log(
    `${name.padEnd(66)} median ${ms(result.median).padStart(10)}  p95 ${ms(result.p95).padStart(10)}  max ${ms(result.max).padStart(10)}`,
  );
  return result;
}
