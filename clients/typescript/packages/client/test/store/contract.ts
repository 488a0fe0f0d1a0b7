import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConfirmedRecord } from '../../src/domain/change.js';
import type { ConflictSummary } from '../../src/domain/conflict.js';
import type { Operation } from '../../src/domain/operation.js';
import type {
  FrameWrites,
  NewOperation,
  RejectedRow,
  SlotRow,
  Store,
  StoreMeta,
  TextTailRow,
} from '../../src/store/store.js';

/** A place for stores that can be opened again, and be torn away from under an open one. */
export interface Place {
  open(): Promise<Store>;
  /** What is kept survives this; undefined where nothing does. */
  readonly reopens: boolean;
  remove(): Promise<void>;
}

export const NOW_MS = 1_000;

export function slotRow(slotId = 's', replicaId = 'r'): SlotRow {
  return { slotId, replicaId, nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 };
}

export function operation(counter: number, baseSeq = 0, replicaId = 'r'): NewOperation {
  const content: Operation = {
    dot: { replicaId, counter },
    context: { epoch: '7', baseSeq, extras: [] },
    mutations: [
      { collectionId: 'c', recordId: 'x', action: { type: 'increment', fieldId: 'n', by: 2n ** 60n } },
      {
        collectionId: 'c',
        recordId: 'y',
        action: { type: 'create', fields: new Map([['f', { kind: 'double', value: -0 }]]) },
      },
    ],
    correlationId: `c-${counter}`,
    dependsOn: [],
    actor: 'me',
    clientTimeMs: counter,
  };
  return { operation: content, bytes: new Uint8Array([counter, 255, 0]), pessimistic: counter % 2 === 0 };
}

export function record(recordId: string, lastSeq: number): ConfirmedRecord {
  return {
    recordId,
    collectionId: 'c',
    deleted: false,
    createdSeq: 1,
    lastSeq,
    asOfSeq: 0,
    fields: new Map([
      ['v', { lastSeq, state: { kind: 'register', value: { kind: 'bytes', value: new Uint8Array([1, 2]) } } }],
      ['n', { lastSeq, state: { kind: 'counter', value: -5n } }],
      ['s', { lastSeq, state: { kind: 'set', elements: new Map([['i1', { kind: 'int', value: 1n }]]) } }],
      ['l', { lastSeq, state: { kind: 'to_many', targets: new Set(['x']) } }],
      ['t', { lastSeq, state: { kind: 'register', value: { kind: 'timestamp', seconds: -1, nanos: 5 } } }],
      ['o', { lastSeq, state: { kind: 'opaque', parts: [Uint8Array.of(1, 2), Uint8Array.of(3)] } }],
    ]),
  };
}

export function conflict(conflictId: string, status: ConflictSummary['status'], revision = 1): ConflictSummary {
  return {
    conflictId,
    kind: 'register',
    status,
    revision,
    collectionId: 'c',
    recordId: 'x',
    fieldIds: ['v'],
    openedSeq: 1,
    deferCount: 0,
    alternativeCount: 2,
  };
}

export function metaAt(seq: number, epoch = '7'): StoreMeta {
  const cursor = { workspaceId: 'w', epoch, seqInclusive: seq, chain: new Uint8Array([seq]) };
  return { layout: 1, cursor, wholeFromSeq: 0, textTailFromSeq: 0 };
}

export function tailRow(seq: number): TextTailRow {
  return {
    recordId: 'x',
    fieldId: 't',
    seq,
    dot: { replicaId: 'other', counter: seq },
    baseSeq: seq - 1,
    extras: [],
    hunks: [{ hunk: { position: 0, deleteCount: 0, insert: 'é🎈' }, suppressedBySeq: 3 }],
    splices: [{ type: 'insert', text: 'a' }],
  };
}

export function frame(from: number, to: number, more: Partial<FrameWrites> = {}): FrameWrites {
  return {
    fromSeqExclusive: from,
    meta: metaAt(to),
    records: [],
    conflicts: [],
    textTail: [],
    textTailPruned: [],
    ownDots: [],
    ...more,
  };
}

function rejected(counter: number, replicaId = 'r'): RejectedRow {
  const refusal = { reason: 'REFUSED', message: 'no', metadata: { $odd: 'name' } };
  return {
    slotId: 's',
    operation: operation(counter, 0, replicaId).operation,
    refusal,
    rejectedAtMs: counter,
    texts: { 'x/t': 'text' },
  };
}

/** The laws of a store, on every implementation. */
export function storeContract(name: string, place: () => Place): void {
  describe(`store: ${name}`, () => {
    let here: Place;
    let store: Store;

    beforeEach(async () => {
      here = place();
      store = await here.open();
    });

    afterEach(async () => {
      await store.close();
      await here.remove();
    });

    /** What a restart finds; where nothing survives, what is there. */
    async function restarted(): Promise<Store> {
      if (!here.reopens) return store;
      await store.close();
      store = await here.open();
      return store;
    }

    async function codeOf(call: Promise<unknown>): Promise<unknown> {
      return call.then(
        () => undefined,
        (error: unknown) => (error as { readonly code?: unknown }).code,
      );
    }

    it('a fresh store is empty', async () => {
      expect(await store.load()).toEqual({ records: [], conflicts: [], textTail: [] });
      expect(await store.slots()).toEqual([]);
    });

    it('O1: what was saved is there after a restart, bytes and all', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1), operation(2, 4)], []);
      const { slot, pending } = await (await restarted()).loadSlot('s');
      expect(slot).toEqual({ ...slotRow(), nextCounter: 3, lastBaseSeq: 4 });
      expect(pending).toEqual([operation(1), operation(2, 4)].map((row) => ({ slotId: 's', ...row })));
    });

    it('O2: a counter is taken once, and none is left out', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1)], []);
      expect(await codeOf(store.saveOperations('s', [operation(1)], []))).toBe('corrupt');
      expect(await codeOf(store.saveOperations('s', [operation(2), operation(4)], []))).toBe('corrupt');
      expect((await store.loadSlot('s')).pending).toHaveLength(1);
      expect((await store.loadSlot('s')).slot.nextCounter).toBe(2);
    });

    it('queues are in the order of counters, and of one slot each', async () => {
      await store.createSlot(slotRow());
      await store.createSlot(slotRow('s2', 'r2'));
      await store.saveOperations(
        's',
        Array.from({ length: 12 }, (_, index) => operation(index + 1)),
        [],
      );
      await store.saveOperations('s2', [operation(1, 0, 'r2')], []);
      const { pending } = await store.loadSlot('s');
      expect(pending.map((row) => row.operation.dot.counter)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    });

    it('C2: frames keep state and position together, also over a restart', async () => {
      const term = await store.nextTerm();
      const writes = { records: [record('x', 2)], conflicts: [conflict('k', 'open')], textTail: [tailRow(2)] };
      await store.saveFrames(term, [frame(0, 2, writes), frame(2, 3, { records: [record('y', 3)] })]);
      const contents = await (await restarted()).load();
      expect(contents.meta).toEqual(metaAt(3));
      expect(contents.records).toEqual([record('x', 2), record('y', 3)]);
      expect(contents.conflicts).toEqual([conflict('k', 'open')]);
      expect(contents.textTail).toEqual([tailRow(2)]);
    });

    it('a frame that does not go on from what is kept is fenced, with all that came with it', async () => {
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 2)]);
      expect(await codeOf(store.saveFrames(term, [frame(0, 2)]))).toBe('fenced');
      expect(await codeOf(store.saveFrames(term, [frame(2, 3), frame(4, 5)]))).toBe('fenced');
      expect((await store.load()).meta?.cursor.seqInclusive).toBe(2);
    });

    it('a leader of an older term is fenced', async () => {
      const old = await store.nextTerm();
      const term = await (await restarted()).nextTerm();
      expect(term).toBe(old + 1);
      expect(await codeOf(store.saveFrames(old, [frame(0, 1)]))).toBe('fenced');
      expect(await codeOf(store.beginSnapshot(old))).toBe('fenced');
      expect(await codeOf(store.finishSnapshot(old, metaAt(1)))).toBe('fenced');
      await store.saveFrames(term, [frame(0, 1)]);
    });

    it('O4: an operation takes the frames along that it was made on', async () => {
      await store.createSlot(slotRow());
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 2)]);
      await store.saveOperations('s', [operation(1, 4)], [frame(0, 2), frame(2, 4, { records: [record('x', 4)] })]);
      expect((await store.load()).meta?.cursor.seqInclusive).toBe(4);
      expect(await codeOf(store.saveOperations('s', [operation(2, 9)], [frame(8, 9)]))).toBe('fenced');
      expect((await store.loadSlot('s')).pending).toHaveLength(1);
    });

    it('an own dot in a frame settles its operation in whatever slot', async () => {
      await store.createSlot(slotRow());
      await store.createSlot(slotRow('s2', 'r2'));
      await store.saveOperations('s2', [operation(1, 0, 'r2')], []);
      const dot = { replicaId: 'r2', counter: 1 };
      await store.saveFrames(await store.nextTerm(), [
        frame(0, 5, {
          ownDots: [
            { dot: { replicaId: '?', counter: 1 }, seq: 4 },
            { dot, seq: 5 },
          ],
        }),
      ]);
      await restarted();
      expect((await store.loadSlot('s2')).pending).toEqual([]);
      expect((await store.loadSlot('s2')).slot.lastSettledCounter).toBe(1);
      expect(await store.settled()).toMatchObject([{ slotId: 's2', seq: 5, settledAtMs: NOW_MS, operation: { dot } }]);
      await store.pruneSettled(NOW_MS);
      expect(await store.settled()).toHaveLength(1);
      await store.pruneSettled(NOW_MS + 1);
      expect(await store.settled()).toEqual([]);
    });

    it('tails are pruned up to a position', async () => {
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 12, { textTail: [2, 9, 10, 12].map(tailRow) })]);
      await store.saveFrames(term, [
        frame(12, 13, { textTailPruned: [{ recordId: 'x', fieldId: 't', toSeqInclusive: 9 }] }),
      ]);
      expect((await store.load()).textTail.map((row) => row.seq)).toEqual([10, 12]);
    });

    it('closed conflicts are not kept', async () => {
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 1, { conflicts: [conflict('a', 'open'), conflict('b', 'deferred')] })]);
      await store.saveFrames(term, [frame(1, 2, { conflicts: [conflict('a', 'resolved', 2)] })]);
      expect((await store.load()).conflicts.map((row) => row.conflictId)).toEqual(['b']);
    });

    it('C6: a snapshot replaces confirmed state at once, and nothing else', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1)], []);
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 2, { records: [record('old', 1)], textTail: [tailRow(2)] })]);
      await store.beginSnapshot(term);
      await store.addToSnapshot(term, [record('new', 8)], [conflict('k', 'open')]);
      expect((await store.load()).records.map((row) => row.recordId)).toEqual(['old']);
      await restarted();
      expect((await store.load()).records.map((row) => row.recordId)).toEqual(['old']);
      // A half filled copy is dropped by the next one.
      await store.beginSnapshot(term);
      await store.addToSnapshot(term, [record('newer', 9)], []);
      await store.finishSnapshot(term, metaAt(9));
      const contents = await (await restarted()).load();
      expect(contents).toEqual({ meta: metaAt(9), records: [record('newer', 9)], conflicts: [], textTail: [] });
      expect((await store.loadSlot('s')).pending).toHaveLength(1);
      await store.saveFrames(term, [frame(9, 10, { records: [record('x', 10)] })]);
      expect((await store.load()).records.map((row) => row.recordId)).toEqual(['newer', 'x']);
    });

    it('the latest of a record counts, whether its snapshot came in large chunks or small ones', async () => {
      const idOf = (index: number) => `r${String(index).padStart(4, '0')}`;
      const chunk = (from: number, count: number, seq: number) =>
        Array.from({ length: count }, (_, index) => record(idOf(from + index), seq));
      const term = await store.nextTerm();
      await store.beginSnapshot(term);
      await store.addToSnapshot(term, chunk(0, 600, 1), []);
      await store.addToSnapshot(term, chunk(5, 2, 2), []);
      await store.addToSnapshot(term, chunk(700, 2, 2), []);
      await store.addToSnapshot(term, chunk(590, 120, 3), []);
      await store.finishSnapshot(term, metaAt(9));
      await store.saveFrames(term, [frame(9, 10, { records: [record(idOf(20), 10), record('x', 10)] })]);
      const seqs = new Map((await (await restarted()).load()).records.map((row) => [row.recordId, row.lastSeq]));
      const expected = new Map<string, number>();
      for (let index = 0; index < 710; index++) {
        expected.set(idOf(index), index === 20 ? 10 : index >= 590 ? 3 : index === 5 || index === 6 ? 2 : 1);
      }
      expect(seqs).toEqual(expected.set('x', 10));
      // Another snapshot begins with nothing of this one.
      await store.beginSnapshot(term);
      await store.addToSnapshot(term, chunk(0, 20, 11), []);
      await store.finishSnapshot(term, metaAt(11));
      expect((await store.load()).records).toEqual(chunk(0, 20, 11));
    });

    it('an accepted operation stays until its position is passed, by a frame or a snapshot', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1), operation(2), operation(3)], []);
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 2)]);
      const dot = (counter: number) => ({ replicaId: 'r', counter });
      await store.saveAccepted([
        { dot: dot(1), seq: 2 },
        { dot: dot(2), seq: 5 },
        { dot: { replicaId: '?', counter: 7 }, seq: 1 },
      ]);
      expect((await store.loadSlot('s')).pending.map((row) => row.acceptedSeq)).toEqual([5, undefined]);
      expect((await store.loadSlot('s')).slot.lastSettledCounter).toBe(2);
      await store.beginSnapshot(term);
      await store.finishSnapshot(term, metaAt(6));
      expect((await store.loadSlot('s')).pending.map((row) => row.operation.dot)).toEqual([dot(3)]);
      expect((await store.settled()).map((row) => row.seq)).toEqual([2, 5]);
    });

    it('a snapshot of another history settles nothing: its positions are others', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1)], []);
      await store.saveAccepted([{ dot: { replicaId: 'r', counter: 1 }, seq: 5 }]);
      const term = await store.nextTerm();
      await store.beginSnapshot(term);
      await store.finishSnapshot(term, metaAt(9, '8'));
      expect((await store.loadSlot('s')).pending).toHaveLength(1);
    });

    it('O9: a refused operation moves to the rejected ones until it is dismissed', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1), operation(2)], []);
      await store.saveRejected([rejected(1), rejected(9)]);
      await restarted();
      const slot = await store.loadSlot('s');
      expect(slot.pending.map((row) => row.operation.dot.counter)).toEqual([2]);
      expect(slot.rejected).toEqual([rejected(1)]);
      await store.dismissRejected([{ replicaId: 'r', counter: 1 }]);
      expect((await store.loadSlot('s')).rejected).toEqual([]);
    });

    it('cancelled operations stay in the queue, marked, until their counters are settled', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1), operation(2), operation(3)], []);
      await store.cancelFrom('s', 2, [rejected(2), rejected(3)]);
      await restarted();
      expect((await store.loadSlot('s')).pending.map((row) => row.cancelled)).toEqual([undefined, true, true]);
      await store.dropCancelled([1, 2].map((counter) => ({ replicaId: 'r', counter })));
      const slot = await store.loadSlot('s');
      expect(slot.pending.map((row) => row.operation.dot.counter)).toEqual([1, 3]);
      expect(slot.rejected).toHaveLength(2);
    });

    it('making operations again replaces replica and queue at once', async () => {
      await store.createSlot(slotRow());
      await store.saveOperations('s', [operation(1), operation(2)], []);
      await store.saveFrames(await store.nextTerm(), [
        frame(0, 1, { ownDots: [{ dot: { replicaId: 'r', counter: 1 }, seq: 1 }] }),
      ]);
      await store.rebase('s', 'r9', [operation(1, 7, 'r9')], [{ replicaId: 'r', counter: 1 }], [rejected(2)]);
      await restarted();
      const { slot, pending, rejected: kept } = await store.loadSlot('s');
      expect(slot).toEqual({ slotId: 's', replicaId: 'r9', nextCounter: 2, lastBaseSeq: 7, lastSettledCounter: 0 });
      expect(pending.map((row) => row.operation.dot)).toEqual([{ replicaId: 'r9', counter: 1 }]);
      expect(kept).toHaveLength(1);
      expect(await store.settled()).toEqual([]);
    });

    it('a slot goes only when it is empty', async () => {
      await store.createSlot(slotRow());
      expect(await codeOf(store.createSlot(slotRow()))).toBe('failed');
      await store.saveOperations('s', [operation(1)], []);
      expect(await codeOf(store.removeSlot('s'))).toBe('failed');
      await store.saveRejected([rejected(1)]);
      expect(await codeOf(store.removeSlot('s'))).toBe('failed');
      await store.dismissRejected([{ replicaId: 'r', counter: 1 }]);
      await store.removeSlot('s');
      expect(await store.slots()).toEqual([]);
      expect(await codeOf(store.loadSlot('s'))).toBe('failed');
    });

    it('what a newer version wrote is refused and left alone', async () => {
      const term = await store.nextTerm();
      await store.saveFrames(term, [frame(0, 1, { meta: { ...metaAt(1), layout: 99 } })]);
      expect(await codeOf(store.load())).toBe('newer_layout');
      expect(await codeOf(store.saveFrames(term, [frame(1, 2)]))).toBe('newer_layout');
    });

    it('calls are carried out in the order they are made', async () => {
      await store.createSlot(slotRow());
      const saves = Array.from({ length: 20 }, (_, index) => store.saveOperations('s', [operation(index + 1)], []));
      await Promise.all(saves);
      expect((await store.loadSlot('s')).pending).toHaveLength(20);
    });
  });
}
