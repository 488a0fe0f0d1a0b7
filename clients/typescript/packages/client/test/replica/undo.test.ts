import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Transaction } from '../../src/api.js';
import type { Dot } from '../../src/domain/ids.js';
import { TestClient } from './client.js';
import { RECORDS, SCHEMA } from './model.js';
import { TestServer } from './server.js';

let server: TestServer;
let a: TestClient;
let b: TestClient;

beforeEach(() => {
  server = new TestServer(SCHEMA);
  a = new TestClient('a', server);
  b = new TestClient('b', server);
  a.mutate((tx) => {
    tx.create('cards', 'c', { title: 'old', body: 'hello world', votes: 3, tags: ['x'] });
  });
  a.mutate((tx) => {
    tx.create('cards', 'd');
  });
  settle();
});

function settle(): void {
  a.sendAll();
  b.sendAll();
  a.receive();
  b.receive();
}

function undo(client: TestClient, ...dots: readonly Dot[]): readonly string[] {
  const { mutations, skipped } = client.replica.inverse(dots);
  if (mutations.length > 0) {
    const draft = { mutations, correlationId: 'undo', pessimistic: false, actor: '', clientTimeMs: 0 };
    client.outbox.push(client.replica.make(draft).pending.operation);
  }
  return skipped;
}

function make(client: TestClient, build: (tx: Transaction) => void): Dot {
  return client.mutate(build).operation.dot;
}

describe('undo', () => {
  it('takes letters back out of a word of which others changed other letters', () => {
    const dot = make(a, (tx) => {
      tx.editText('c', 'body', [{ position: 3, deleteCount: 0, insert: 'X' }]);
    });
    make(b, (tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 1, insert: 'j' }]);
    });
    settle();
    settle();
    expect(a.fields('c')).toMatchObject({ body: 'jelXlo world' });
    expect(undo(a, dot)).toEqual([]);
    expect(a.fields('c')).toMatchObject({ body: 'jello world' });
  });

  it('puts back what one operation did, whatever it was', () => {
    const before = a.fields('c');
    const dot = make(a, (tx) => {
      tx.set('c', 'title', 'new');
      tx.editText('c', 'body', [
        { position: 0, deleteCount: 5, insert: 'bye' },
        { position: 11, deleteCount: 0, insert: '!' },
      ]);
      tx.increment('c', 'votes', 4);
      tx.add('c', 'tags', 'x', 'y');
      tx.link('c', 'owner', 'd');
      tx.link('c', 'links', 'd');
    });
    expect(a.fields('c')).toMatchObject({
      title: 'new',
      body: 'bye world!',
      votes: 7,
      tags: ['x', 'y'],
      owner: 'd',
      links: ['d'],
    });
    expect(undo(a, dot)).toEqual([]);
    expect(a.fields('c')).toEqual({ ...before, owner: null, links: [] });
    settle();
    expect(b.fields('c')).toEqual({ ...before, owner: null, links: [] });
  });

  it('create, delete and restore are undone by each other', () => {
    const created = make(a, (tx) => {
      tx.create('cards', 'e');
    });
    undo(a, created);
    expect(a.view('e')?.deleted).toBe(true);
    const deleted = make(a, (tx) => {
      tx.delete('c');
    });
    undo(a, deleted);
    expect(a.view('c')?.deleted).toBe(false);
  });

  it('what others changed since stays, and is told', () => {
    const dot = make(a, (tx) => {
      tx.set('c', 'title', 'mine');
      tx.increment('c', 'votes', 2);
    });
    settle();
    b.mutate((tx) => {
      tx.set('c', 'title', 'theirs');
      tx.increment('c', 'votes', 10);
    });
    settle();
    expect(undo(a, dot)).toEqual(['c/title']);
    expect(a.fields('c')).toMatchObject({ title: 'theirs', votes: 13 });
  });

  it('of a text goes what the operation inserted and comes back what it deleted, around what others wrote', () => {
    const dot = make(a, (tx) => {
      tx.editText('c', 'body', [{ position: 6, deleteCount: 5, insert: 'moon' }]);
    });
    settle();
    b.mutate((tx) => {
      tx.editText('c', 'body', [
        { position: 0, deleteCount: 0, insert: '>> ' },
        { position: 8, deleteCount: 0, insert: 'OO' },
      ]);
    });
    settle();
    expect(a.fields('c')?.body).toBe('>> hello moOOon');
    undo(a, dot);
    expect(a.fields('c')?.body).toBe('>> hello worldOO');
    settle();
    expect(b.fields('c')?.body).toBe('>> hello worldOO');
  });

  it('a text that a snapshot changed meanwhile is undone where it stands now', () => {
    const dot = make(a, (tx) => {
      tx.editText('c', 'body', [{ position: 6, deleteCount: 5, insert: 'moon' }]);
    });
    settle();
    b.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 6, insert: '' }]);
    });
    b.sendAll();
    b.receive();
    const cursor = server.cursor(server.head);
    const builder = a.replica.beginSnapshot(cursor, 'scratch');
    builder.enter(cursor, { records: [...b.replica.state.records.values()], conflicts: [] });
    builder.finish(cursor, server.head);
    const whole = builder.whole();
    if (whole === undefined) throw new Error('not whole');
    a.replica.adopt(whole);
    expect(a.fields('c')?.body).toBe('moon');
    undo(a, dot);
    expect(a.fields('c')?.body).toBe('world');
  });

  it('a group of typing is one step, and redo brings it back', () => {
    const dots = ['a', 'b', 'c'].map((key, index) =>
      make(a, (tx) => {
        tx.editText('c', 'body', [{ position: 11 + index, deleteCount: 0, insert: key }]);
      }),
    );
    expect(a.fields('c')?.body).toBe('hello worldabc');
    undo(a, ...dots);
    expect(a.fields('c')?.body).toBe('hello world');
    const last = a.replica.pending().at(-1);
    if (last === undefined) throw new Error('no undo');
    undo(a, last.operation.dot);
    expect(a.fields('c')?.body).toBe('hello worldabc');
  });

  it('an operation of another run is no step', () => {
    expect(a.replica.inverse({ replicaId: 'a', counter: 99 })).toEqual({ mutations: [], skipped: [] });
  });

  it('undoing everything at once, alone, leads back to where it began', () => {
    const edits = fc.array(fc.tuple(fc.nat(6), fc.nat(20), fc.nat(20)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(edits, fc.boolean(), (all, oneByOne) => {
        const client = new TestClient('solo', new TestServer(SCHEMA));
        client.mutate((tx) => {
          for (const id of RECORDS) tx.create('cards', id, { title: 't', body: 'one two three', votes: 1, tags: [1] });
        });
        const before = RECORDS.map((id) => client.fields(id));
        const dots = all.map(([kind, x, y]) => {
          const id = RECORDS[x % RECORDS.length] ?? 'r0';
          const length = Array.from((client.fields(id)?.body ?? '') as string).length;
          const position = y % (length + 1);
          return make(client, (tx) => {
            if (kind < 3)
              tx.editText(id, 'body', [{ position, deleteCount: Math.min(x % 4, length - position), insert: '🎈y' }]);
            else if (kind === 3) tx.set(id, 'title', y);
            else if (kind === 4) tx.increment(id, 'votes', y);
            else if (kind === 5) tx.add(id, 'tags', y % 3);
            else tx.remove(id, 'tags', y % 3);
          });
        });
        if (oneByOne) for (const dot of dots.reverse()) undo(client, dot);
        else undo(client, ...dots);
        for (const [index, id] of RECORDS.entries()) {
          const { title, body, votes, tags } = client.fields(id) ?? {};
          expect({ title, body, votes, tags }).toEqual(before[index]);
        }
      }),
      { numRuns: Number(process.env.SYNCLINE_MODEL_RUNS ?? 200) },
    );
  });
});
