import { beforeEach, describe, expect, it } from 'vitest';
import type { WholeSnapshot } from '../../src/replica/replica.js';
import { textOver } from '../../src/replica/text-view.js';
import { Texts } from '../../src/replica/texts.js';
import { TextWindow } from '../../src/domain/text/window.js';
import type { SettledRow, TextTailRow } from '../../src/store/store.js';
import { TestClient } from './client.js';
import { SCHEMA, contentsOf, reloaded } from './model.js';
import { TestServer } from './server.js';

let server: TestServer;
let a: TestClient;
let b: TestClient;

beforeEach(() => {
  server = new TestServer(SCHEMA);
  a = new TestClient('a', server);
  b = new TestClient('b', server);
  a.mutate((tx) => {
    tx.create('cards', 'c', { title: 'old', body: 'hello world' });
  });
  settle();
});

function settle(): void {
  a.sendAll();
  b.sendAll();
  a.receive();
  b.receive();
}

/** The server's state as a snapshot. */
function snapshotOf(from: TestServer): WholeSnapshot {
  const client = new TestClient('reader', from);
  client.receive();
  const cursor = from.cursor(from.head);
  const builder = client.replica.beginSnapshot(cursor, 'scratch');
  const records = [...client.replica.state.records.values()].map((record) => ({ ...record, asOfSeq: from.head }));
  builder.enter(cursor, { records, conflicts: [] });
  builder.finish(cursor, from.head);
  const whole = builder.whole();
  if (whole === undefined) throw new Error('not whole');
  return whole;
}

describe('a snapshot under pending edits', () => {
  it('keeps them on top, transformed, and sends no positions until they settle (T2)', () => {
    a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 11, deleteCount: 0, insert: '!' }]);
    });
    b.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: '>> ' }]);
    });
    b.sendAll();
    a.replica.adopt(snapshotOf(server));
    expect(a.fields('c')?.body).toBe('>> hello world!');
    expect(a.replica.isTextExact('c', 'body')).toBe(false);
    const blind = a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 3, insert: '' }]);
    });
    expect(blind.operation.mutations[0]?.action).toEqual({
      type: 'replace_text',
      fieldId: 'body',
      text: 'hello world!',
    });
    expect(a.fields('c')?.body).toBe('hello world!');
    settle();
    expect(a.fields('c')?.body).toBe('hello world!');
    expect(b.fields('c')?.body).toBe('hello world!');
    expect(a.replica.isTextExact('c', 'body')).toBe(true);
  });

  it('what a restart does not know of the way there is still shown, cut to what fits', () => {
    a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 11, deleteCount: 0, insert: '!' }]);
    });
    b.mutate((tx) => {
      tx.replaceText('c', 'body', 'hi');
    });
    b.sendAll();
    a.replica.adopt(snapshotOf(server));
    const again = reloaded(a.replica);
    expect(again.view('c')?.fields.body).toBe('hi!');
  });

  it('an accepted operation that the snapshot has leaves the queue', () => {
    a.mutate((tx) => {
      tx.increment('c', 'votes', 2);
    });
    a.send();
    expect(a.replica.pending()).toHaveLength(1);
    a.replica.adopt(snapshotOf(server));
    expect(a.replica.pending()).toHaveLength(0);
    expect(a.fields('c')?.votes).toBe(2);
  });

  it('an operation that was accepted at a position the stored state has is not put on top again', () => {
    a.mutate((tx) => {
      tx.increment('c', 'votes', 2);
    });
    const { slot } = contentsOf(a.replica);
    a.send();
    a.receive();
    const { contents } = contentsOf(a.replica);
    const pending = slot.pending.map((row) => ({ ...row, acceptedSeq: 2 }));
    a.replica.load(contents, { ...slot, pending });
    expect(a.fields('c')?.votes).toBe(2);
    expect(a.replica.pending()).toEqual([]);
    expect(a.replica.nextCounter).toBe(3);
  });

  it('T2: while a text is being replaced as a whole, positions in it are not certain', () => {
    const dot = { replicaId: 'a', counter: 1 };
    const wanted = { author: { dot, baseSeq: 1, extras: [] }, wanted: 'hello there' };
    const window = TextWindow.over('hello world', 1);
    expect(textOver(window, 1, [wanted])).toEqual({ text: 'hello there', exact: false });
  });

  it('T2: a tail that was pruned does not reach back to the beginning', () => {
    const row = (seq: number): TextTailRow => ({
      recordId: 'c',
      fieldId: 'body',
      seq,
      dot: { replicaId: 'other', counter: seq },
      baseSeq: seq - 1,
      extras: [],
      hunks: [{ hunk: { position: 0, deleteCount: 0, insert: 'x' } }],
      splices: [{ type: 'insert', text: 'x' }, ...(seq > 1 ? [{ type: 'retain' as const, count: seq - 1 }] : [])],
    });
    const texts = new Texts();
    texts.reset(
      Array.from({ length: 550 }, (_, index) => row(index + 51)),
      0,
    );
    const edit = (baseSeq: number) => ({
      author: { dot: { replicaId: 'me', counter: 1 }, baseSeq, extras: [] },
      wanted: [{ position: 0, deleteCount: 0, insert: 'm' }],
    });
    texts.add('c', 'body', edit(20), undefined);
    expect(texts.shown('c', 'body', 'x'.repeat(600), 600).exact).toBe(false);
    texts.add('c', 'body', edit(50), undefined);
    expect(texts.shown('c', 'body', 'x'.repeat(600), 600)).toEqual({
      text: `${'x'.repeat(550)}m${'x'.repeat(50)}`,
      exact: true,
    });
  });

  it('a receipt for a position that was passed settles', () => {
    a.mutate((tx) => {
      tx.increment('c', 'votes', 2);
    });
    const operation = a.outbox.shift();
    if (operation === undefined) throw new Error('nothing to send');
    const receipt = server.submit(operation);
    a.replica.adopt(snapshotOf(server));
    expect(a.fields('c')?.votes).toBe(4);
    a.replica.applyReceipt(receipt, 0);
    expect(a.fields('c')?.votes).toBe(2);
    expect(a.replica.pending()).toHaveLength(0);
  });

  it('before the first one is whole only own operations are shown', () => {
    const fresh = new TestClient('fresh', server);
    fresh.replica.load(
      { records: [], conflicts: [], textTail: [] },
      {
        slot: { slotId: 's', replicaId: 'fresh', nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 },
        pending: [],
        rejected: [],
      },
    );
    fresh.mutate((tx) => {
      tx.create('cards', 'mine');
    });
    expect(fresh.view('mine')).toBeDefined();
    expect(fresh.view('c')).toBeUndefined();
    expect(fresh.replica.whole).toBe(false);
    fresh.replica.adopt(snapshotOf(server));
    expect(fresh.view('mine')).toBeDefined();
    expect(fresh.view('c')).toBeDefined();
  });
});

describe('a snapshot that is being collected', () => {
  it('folds what the feed does to a record after it was read, and not what was read of it', () => {
    b.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: '1' }]);
    });
    b.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: '2' }]);
    });
    settle();
    const at = (seq: number) => {
      const client = new TestClient('reader', server);
      client.receive(seq);
      return [...client.replica.state.records.values()].map((record) => ({ ...record, asOfSeq: seq }));
    };
    for (const readSeq of [1, 2, 3]) {
      const cursor = server.cursor(1);
      const builder = a.replica.beginSnapshot(cursor, 'scratch');
      builder.enter(cursor, { records: at(readSeq), conflicts: [] });
      builder.finish(cursor, readSeq);
      expect(builder.whole() === undefined).toBe(readSeq > 1);
      expect(builder.applyFrame(server.frame(1, 3))).toMatchObject({ type: 'applied' });
      const whole = builder.whole();
      expect(whole?.meta.cursor).toEqual(server.cursor(3));
      expect(whole?.records.get('c')?.fields.get('body')?.state).toEqual({ kind: 'text', text: '21hello world' });
    }
  });
});

describe('a history that was rewound', () => {
  it('own lost work is rebased under a new replica, in order, where it belongs now', () => {
    const settledRows: SettledRow[] = [];
    const keep = (seq: number): void => {
      const change = server.changes[seq - 1];
      if (change === undefined) throw new Error('no change');
      const { operation, bytes } = sent[change.dot.counter] ?? {};
      if (operation !== undefined && bytes !== undefined)
        settledRows.push({ slotId: 's', operation, bytes, seq, settledAtMs: 0 });
    };
    const sent: Record<number, ReturnType<TestClient['mutate']>> = {};
    const mutate = (build: Parameters<TestClient['mutate']>[0]): void => {
      const pending = a.mutate(build);
      sent[pending.operation.dot.counter] = pending;
    };
    // Settled after the point the new history was restored from.
    mutate((tx) => {
      tx.editText('c', 'body', [{ position: 5, deleteCount: 0, insert: ' big' }]);
    });
    mutate((tx) => {
      tx.create('cards', 'e', { title: 'e', body: 'new text' });
    });
    settle();
    keep(2);
    keep(3);
    // Never sent.
    mutate((tx) => {
      tx.editText('c', 'body', [{ position: 15, deleteCount: 0, insert: '!' }]);
    });
    mutate((tx) => {
      tx.set('e', 'title', 'E');
    });
    mutate((tx) => {
      tx.increment('c', 'votes', 3);
    });
    expect(a.fields('c')?.body).toBe('hello big world!');

    const restored = new TestServer(SCHEMA, '8');
    const other = new TestClient('other', restored);
    other.mutate((tx) => {
      tx.create('cards', 'c', { title: 'old', body: 'hello world' });
    });
    other.sendAll();
    other.receive();
    other.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: 'Oh ' }]);
    });
    other.sendAll();

    const made = a.replica.rebase('a2', { type: 'rewound', snapshot: snapshotOf(restored), missing: settledRows });
    expect(made.rejected).toEqual([]);
    expect(made.rebasedDots).toEqual(settledRows.map((row) => row.operation.dot));
    expect(made.operations.map(({ operation }) => operation.dot)).toEqual(
      [1, 2, 3, 4, 5].map((counter) => ({ replicaId: 'a2', counter })),
    );
    expect(
      made.operations.every(({ operation }) => operation.context.epoch === '8' && operation.context.baseSeq === 2),
    ).toBe(true);
    expect(a.replica.replicaId).toBe('a2');
    expect(a.fields('c')).toMatchObject({ body: 'Oh hello big world!', votes: 3 });
    expect(a.fields('e')).toMatchObject({ title: 'E', body: 'new text' });

    for (const { operation } of made.operations) {
      const receipt = restored.submit(operation);
      expect(receipt.outcome.type).not.toBe('rejected');
      a.replica.applyReceipt(receipt, 0);
    }
    a.replica.applyFrame(restored.frame(2, restored.head));
    other.receive();
    expect(a.replica.pending()).toEqual([]);
    expect(a.fields('c')).toEqual(other.fields('c'));
    expect(other.fields('c')?.body).toBe('Oh hello big world!');
    expect(other.fields('e')).toEqual({ title: 'E', body: 'new text' });
  });

  it('what has no record any more goes to the rejected operations with its text', () => {
    a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 5, insert: 'bye' }]);
    });
    const { operations, rejected } = a.replica.rebase('a2', {
      type: 'rewound',
      snapshot: snapshotOf(new TestServer(SCHEMA, '8')),
      missing: [],
    });
    expect(operations).toEqual([]);
    expect(rejected).toMatchObject([{ refusal: { reason: 'RECORD_NOT_FOUND' }, texts: { 'c/body': 'bye world' } }]);
    expect(a.view('c')).toBeUndefined();
  });
});

describe('a fork', () => {
  it('makes what is not accepted again, with what the old replica had settled as an extra', () => {
    a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: 'A' }]);
    });
    a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 1, deleteCount: 0, insert: 'B' }]);
    });
    a.mutate((tx) => {
      tx.set('c', 'title', 'T');
    });
    b.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: 'x' }]);
    });
    b.sendAll();
    a.send();
    const made = a.replica.rebase('a2', { type: 'forked' });
    expect(a.fields('c')).toMatchObject({ body: 'ABhello world', title: 'T' });
    expect(made.operations.map(({ operation }) => [operation.dot, operation.context])).toEqual(
      [1, 2].map((counter) => [
        { replicaId: 'a2', counter },
        { epoch: '7', baseSeq: 1, extras: [{ replicaId: 'a', counter: 2 }], baseChain: server.cursor(1).chain },
      ]),
    );
    a.outbox.length = 0;
    const next = a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 2, deleteCount: 0, insert: 'C' }]);
    });
    expect(next.operation.context.extras).toEqual([{ replicaId: 'a', counter: 2 }]);
    for (const { operation } of [...made.operations, next]) a.replica.applyReceipt(server.submit(operation), 0);
    a.outbox.length = 0;
    a.receive();
    b.receive();
    expect(a.replica.pending()).toEqual([]);
    expect(a.fields('c')).toEqual(b.fields('c'));
    expect(a.fields('c')).toMatchObject({ body: 'xABChello world', title: 'T' });
    const after = a.mutate((tx) => {
      tx.increment('c', 'votes');
    });
    expect(after.operation.context.extras).toEqual([]);
  });
});
