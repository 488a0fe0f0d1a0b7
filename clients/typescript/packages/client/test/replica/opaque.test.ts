import { beforeEach, describe, expect, it } from 'vitest';
import { double } from '../../src/domain/exact.js';
import { Timestamp } from '../../src/domain/timestamp.js';
import type { ChangesFrame, Effect } from '../../src/domain/change.js';
import { SynclineError } from '../../src/errors.js';
import { rowOf, rowText } from '../../src/store/row-text.js';
import { TestClient } from './client.js';
import { TestServer, schemaOf } from './server.js';

const SCHEMA = schemaOf({ cards: { title: 'register', body: 'text', tags: 'set', votes: 'counter', due: 'register' } });

let server: TestServer;
let a: TestClient;

beforeEach(() => {
  server = new TestServer(SCHEMA);
  a = new TestClient('a', server);
  a.mutate((tx) => {
    tx.create('cards', 'c', { title: 'x', body: 'hello', tags: ['t'], votes: 1 });
  });
  a.sendAll();
  a.receive();
});

/** The next frame of the server with one more effect in its last change. */
function frameWith(effect: Effect): ChangesFrame {
  const frame = server.frame(a.replica.position, server.head);
  const changes = frame.changes.map((change, index) =>
    index === frame.changes.length - 1 ? { ...change, effects: [...change.effects, effect] } : change,
  );
  return { ...frame, changes };
}

function newerOn(fieldId: string, byte: number): Effect {
  return { collectionId: 'cards', recordId: 'c', fieldId, type: 'opaque', bytes: Uint8Array.of(byte) };
}

function somebody(build: Parameters<TestClient['mutate']>[0]): void {
  const b = new TestClient(`b${server.head}`, server);
  b.receive();
  b.mutate(build);
  b.sendAll();
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    return error instanceof SynclineError ? error.code : `other: ${String(error)}`;
  }
  return undefined;
}

describe('a field that needs a newer version', () => {
  beforeEach(() => {
    somebody((tx) => {
      tx.set('c', 'title', 'y');
    });
    expect(a.replica.applyFrame(frameWith(newerOn('body', 1)))).toMatchObject({ type: 'applied' });
  });

  it('is kept, said in its record, and nothing else of the record is touched', () => {
    expect(a.replica.confirmed('c')?.fields.get('body')?.state).toEqual({ kind: 'opaque', parts: [Uint8Array.of(1)] });
    expect(a.view('c')).toMatchObject({
      fields: { title: 'y', body: null, tags: ['t'], votes: 1 },
      opaque: ['body'],
      sync: 'opaque',
      fieldSync: { body: 'opaque' },
    });
    const text = rowText(a.replica.confirmed('c'));
    expect(rowOf(text)).toEqual(a.replica.confirmed('c'));
    expect(structuredClone(a.replica.confirmed('c'))).toEqual(a.replica.confirmed('c'));
  });

  it('refuses edits with an error of its own, and the other fields do not', () => {
    for (const write of [
      () =>
        a.mutate((tx) => {
          tx.replaceText('c', 'body', 'z');
        }),
      () =>
        a.mutate((tx) => {
          tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: 'z' }]);
        }),
    ]) {
      expect(codeOf(write)).toBe('NEEDS_NEWER_VERSION');
    }
    expect(a.replica.pending()).toHaveLength(0);
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('c', 'title', 'mine');
        }),
      ),
    ).toBeUndefined();
    expect(a.view('c')?.fields).toMatchObject({ title: 'mine', body: null });
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.delete('c');
        }),
      ),
    ).toBeUndefined();
  });

  it('goes on with the feed: more of it is kept, edits to it change nothing, a whole new value is known again', () => {
    somebody((tx) => {
      tx.editText('c', 'body', [{ position: 0, deleteCount: 0, insert: '>' }]);
    });
    expect(a.replica.applyFrame(frameWith(newerOn('body', 2)))).toMatchObject({ type: 'applied' });
    expect(a.replica.confirmed('c')?.fields.get('body')?.state).toEqual({
      kind: 'opaque',
      parts: [Uint8Array.of(1), Uint8Array.of(2)],
    });
    somebody((tx) => {
      tx.set('c', 'due', 1);
    });
    expect(a.replica.applyFrame(frameWith(newerOn('due', 3)))).toMatchObject({ type: 'applied' });
    expect(a.view('c')?.opaque).toEqual(['body', 'due']);
    somebody((tx) => {
      tx.set('c', 'due', 2);
    });
    a.receive();
    expect(a.view('c')).toMatchObject({ fields: { due: 2 }, opaque: ['body'] });
  });

  it('an own edit that was made before waits without being shown, and undo leaves the field alone', () => {
    const made = a.mutate((tx) => {
      tx.add('c', 'tags', 'mine');
    });
    somebody((tx) => {
      tx.set('c', 'title', 'z');
    });
    a.replica.applyFrame(frameWith(newerOn('tags', 4)));
    expect(a.view('c')?.fields['tags']).toBeNull();
    expect(a.replica.pending()).toHaveLength(1);
    const { mutations, skipped } = a.replica.inverse(made.operation.dot);
    expect([mutations, skipped]).toEqual([[], ['c/tags']]);
  });
});

describe('a field of a kind that only the server knows', () => {
  it('is opaque, whatever is in it', () => {
    const cards = new Map(SCHEMA.collections.get('cards'));
    const due = cards.get('due');
    if (due === undefined) throw new Error('no such field');
    cards.set('due', { ...due, kind: 'opaque' });
    a.mutate((tx) => {
      tx.set('c', 'due', 1);
    });
    a.sendAll();
    a.receive();
    a.replica.setSchema({ ...SCHEMA, version: 2, collections: new Map([['cards', cards]]) });
    expect(a.view('c')).toMatchObject({ fields: { due: null }, opaque: ['due'] });
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('c', 'due', 2);
        }),
      ),
    ).toBe('NEEDS_NEWER_VERSION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.create('cards', 'd', { due: 2 });
        }),
      ),
    ).toBe('NEEDS_NEWER_VERSION');
  });
});

describe('values', () => {
  it('times are read with their nanoseconds and written as they are, or as dates', () => {
    const at = Timestamp.from('2026-03-01T12:00:00.000000001Z');
    a.mutate((tx) => {
      tx.set('c', 'due', at);
    });
    expect(a.fields('c')?.['due']).toEqual(at);
    a.mutate((tx) => {
      tx.set('c', 'due', new Date(1_500));
    });
    expect(`${a.fields('c')?.['due'] as Timestamp}`).toBe('1970-01-01T00:00:01.5Z');
  });

  it('the same number of another kind is the same element, and is what an own write still has', () => {
    a.mutate((tx) => {
      tx.add('c', 'tags', 1, double(1), 0, -0);
    });
    expect(a.fields('c')?.['tags']).toHaveLength(3);
    const made = a.mutate((tx) => {
      tx.set('c', 'title', double(5));
    });
    a.sendAll();
    a.receive();
    somebody((tx) => {
      tx.set('c', 'title', 5);
    });
    a.receive();
    // Nobody else's value stands there: it is equal to this operation's.
    expect(a.replica.inverse(made.operation.dot).skipped).toEqual([]);
  });
});
