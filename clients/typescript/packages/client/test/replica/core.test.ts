import { beforeEach, describe, expect, it } from 'vitest';
import { SynclineError } from '../../src/errors.js';
import { TestClient } from './client.js';
import { contentsOf } from './model.js';
import { TestServer, schemaOf } from './server.js';

const SCHEMA = schemaOf({
  cards: { title: 'register', body: 'text', votes: 'counter', tags: 'set', owner: 'to_one', links: 'to_many' },
  people: { name: 'register' },
});

let server: TestServer;
let a: TestClient;
let b: TestClient;

beforeEach(() => {
  server = new TestServer(SCHEMA);
  a = new TestClient('a', server);
  b = new TestClient('b', server);
});

function settleAll(): void {
  a.sendAll();
  b.sendAll();
  a.receive();
  b.receive();
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    return error instanceof SynclineError ? error.code : `other: ${String(error)}`;
  }
  return undefined;
}

describe('own operations', () => {
  it('O5 S1: an operation shows at once, stays until its change came by, and then its effect shows', () => {
    a.mutate((tx) => {
      tx.create('people', 'p', { name: 'Ada' });
      tx.create('cards', 'c', { title: 'x', body: 'hello', votes: 3, tags: ['t', 's'], owner: 'p', links: ['p'] });
    });
    const shown = { title: 'x', body: 'hello', votes: 3, tags: ['s', 't'], owner: 'p', links: ['p'] };
    expect(a.fields('c')).toEqual(shown);
    expect(a.view('c')?.sync).toBe('unsaved');
    a.send();
    expect(a.replica.pending()).toHaveLength(1);
    expect(a.fields('c')).toEqual(shown);
    expect(a.receive()).toMatchObject({ type: 'applied', settled: [{ dot: { counter: 1 }, outcome: 'applied' }] });
    expect(a.replica.pending()).toHaveLength(0);
    expect(a.fields('c')).toEqual(shown);
    expect(a.view('c')?.sync).toBe('synced');
    b.receive();
    expect(b.fields('c')).toEqual(shown);
  });

  it('O3: the context is the position of what was shown', () => {
    a.mutate((tx) => {
      tx.create('people', 'p');
    });
    settleAll();
    const pending = a.mutate((tx) => {
      tx.set('p', 'name', 'Ada');
    });
    expect(pending.operation.context).toEqual({
      epoch: '7',
      baseSeq: 1,
      extras: [],
      baseChain: server.cursor(1).chain,
    });
    expect(pending.operation.dot).toEqual({ replicaId: 'a', counter: 2 });
  });

  it('depends on the creation of what it touches and links to, and on the latest edit of the same text', () => {
    const create = a.mutate((tx) => {
      tx.create('cards', 'c', { body: 'x' });
    });
    const person = a.mutate((tx) => {
      tx.create('people', 'p');
    });
    const link = a.mutate((tx) => {
      tx.link('c', 'owner', 'p');
    });
    const edit = a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 1, deleteCount: 0, insert: 'y' }]);
    });
    const again = a.mutate((tx) => {
      tx.editText('c', 'body', [{ position: 2, deleteCount: 0, insert: 'z' }]);
    });
    expect(link.operation.dependsOn).toEqual([create.operation.dot, person.operation.dot]);
    expect(edit.operation.dependsOn).toEqual([create.operation.dot]);
    expect(again.operation.dependsOn).toEqual([create.operation.dot, edit.operation.dot]);
  });

  it('a mutation that does not fit throws and changes nothing', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { body: 'abc' });
    });
    const before = a.view('c');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('nobody', 'title', 1);
        }),
      ),
    ).toBe('INVALID_MUTATION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('c', 'body', 'x');
        }),
      ),
    ).toBe('INVALID_MUTATION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.create('cards', 'c');
        }),
      ),
    ).toBe('INVALID_MUTATION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.link('c', 'owner', 'nobody');
        }),
      ),
    ).toBe('INVALID_MUTATION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('c', 'title', Number.NaN);
        }),
      ),
    ).toBe('INVALID_ARGUMENT');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.increment('c', 'votes', 1.5);
        }),
      ),
    ).toBe('INVALID_ARGUMENT');
    const beyond = [{ position: 2, deleteCount: 2, insert: '' }];
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.editText('c', 'body', beyond);
        }),
      ),
    ).toBe('INVALID_MUTATION');
    expect(
      codeOf(() =>
        a.mutate((tx) => {
          tx.set('c', 'title', 'kept?');
          throw new Error('no');
        }),
      ),
    ).toBe('TRANSACTION_FAILED');
    const asynchronous = (() => Promise.resolve()) as unknown as () => void;
    expect(codeOf(() => a.mutate(asynchronous))).toBe('TRANSACTION_FAILED');
    expect(a.view('c')).toBe(before);
    expect(a.replica.nextCounter).toBe(2);
  });

  it('several edits of a text in one transaction are one mutation', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { body: 'hello' });
      tx.editText('c', 'body', [{ position: 5, deleteCount: 0, insert: ' world' }]);
      tx.set('c', 'title', 't');
      tx.editText('c', 'body', [{ position: 0, deleteCount: 5, insert: 'bye' }]);
    });
    expect(a.fields('c')).toEqual({ body: 'bye world', title: 't' });
    const edits = a.outbox[0]?.mutations.filter(({ action }) => action.type === 'edit_text');
    expect(edits).toHaveLength(1);
    settleAll();
    expect(b.fields('c')).toEqual({ body: 'bye world', title: 't' });
  });

  it('a rejection takes the operation and its dependents out of what is shown; others stay', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { title: 'x' });
    });
    a.mutate((tx) => {
      tx.set('c', 'title', 'y');
    });
    a.mutate((tx) => {
      tx.create('people', 'p', { name: 'Ada' });
    });
    const create = a.outbox.shift();
    if (create === undefined) throw new Error('no operation');
    const { rejected, view } = a.replica.applyReceipt(server.submit(create, true), 5);
    expect(rejected).toMatchObject({ slotId: 'slot-a', refusal: { reason: 'REFUSED' }, rejectedAtMs: 5 });
    expect(view.recordIds.has('c')).toBe(true);
    expect(a.view('c')).toBeUndefined();
    expect(a.replica.pending().map((p) => p.doomed)).toEqual([true, false]);
    a.sendAll();
    a.receive();
    expect(a.replica.pending()).toHaveLength(0);
    expect(a.fields('p')).toEqual({ name: 'Ada' });
    expect(server.head).toBe(1);
  });

  it('what a rejection doomed is doomed after a restart, too', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { title: 'x' });
    });
    a.mutate((tx) => {
      tx.set('c', 'title', 'y');
    });
    const create = a.outbox.shift();
    if (create === undefined) throw new Error('no operation');
    const { rejected } = a.replica.applyReceipt(server.submit(create, true), 5);
    const { contents, slot } = contentsOf(a.replica);
    const again = new TestClient('a', server).replica;
    again.load(contents, { ...slot, rejected: rejected ? [rejected] : [] });
    expect(again.pending().map((pending) => pending.doomed)).toEqual([true]);
    expect(again.view('c')).toBeUndefined();
  });

  it('a rejected text edit keeps what its author saw, and so does each that followed it', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { body: 'one' });
    });
    settleAll();
    a.mutate((tx) => {
      tx.replaceText('c', 'body', 'one two');
    });
    a.mutate((tx) => {
      tx.replaceText('c', 'body', 'one two three');
    });
    const [first, second] = a.outbox;
    if (first === undefined || second === undefined) throw new Error('no operations');
    const one = a.replica.applyReceipt(server.submit(first, true), 0);
    const two = a.replica.applyReceipt(server.submit(second), 0);
    expect(one.rejected?.texts).toEqual({ 'c/body': 'one two three' });
    expect(two.rejected?.texts).toEqual({ 'c/body': 'one two three' });
    expect(a.fields('c')?.body).toBe('one');
  });

  it('however many edits of a text fall together, each keeps what its author saw with all of them', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { body: 'one' });
    });
    settleAll();
    const words = Array.from({ length: 20 }, (_, index) => ` w${index}`);
    for (const word of words) {
      a.mutate((tx) => {
        tx.editText('c', 'body', [{ position: String(a.fields('c')?.body).length, deleteCount: 0, insert: word }]);
      });
    }
    const saw = `one${words.join('')}`;
    expect(a.fields('c')?.body).toBe(saw);
    const sent = [...a.outbox];
    const texts = sent.map(
      (operation, index) => a.replica.applyReceipt(server.submit(operation, index === 0), 0).rejected?.texts,
    );
    expect(texts).toEqual(words.map(() => ({ 'c/body': saw })));
  });

  it('a pessimistic operation shows when it is accepted', () => {
    a.mutate((tx) => {
      tx.create('people', 'p', { name: 'Ada' });
    });
    settleAll();
    a.mutate((tx) => {
      tx.delete('p');
    }, true);
    expect(a.view('p')?.deleted).toBe(false);
    expect(a.view('p')?.sync).toBe('unsaved');
    a.send();
    expect(a.view('p')?.deleted).toBe(true);
    a.receive();
    expect(a.view('p')?.deleted).toBe(true);
  });

  it('cancelling takes a suffix back', () => {
    a.mutate((tx) => {
      tx.create('people', 'p', { name: 'Ada' });
    });
    a.mutate((tx) => {
      tx.set('p', 'name', 'Bob');
    });
    const { rejected } = a.replica.cancelFrom(2, 9);
    expect(rejected).toMatchObject([{ refusal: { reason: 'CANCELLED' } }]);
    expect(a.fields('p')).toEqual({ name: 'Ada' });
    expect(a.replica.pending().map((p) => p.cancelled)).toEqual([false, true]);
  });
});

describe('the feed', () => {
  it('C1: a repeat is ignored, a gap and a broken chain are told, and nothing changes', () => {
    for (const id of ['p', 'q', 'r'])
      a.mutate((tx) => {
        tx.create('people', id, { name: id });
      });
    a.sendAll();
    b.receive(2);
    expect(b.replica.applyFrame(server.frame(0, 1))).toEqual({ type: 'repeat' });
    expect(b.replica.applyFrame(server.frame(0, 3))).toMatchObject({ type: 'gap', expectedSeq: 2, gotSeq: 0 });
    const frame = server.frame(2, 3);
    const forged = {
      ...frame,
      changes: frame.changes.map((change) => ({ ...change, operationHash: new Uint8Array([9]) })),
    };
    expect(b.replica.applyFrame(forged)).toMatchObject({ type: 'broken' });
    const misfit = { ...frame, cursor: { ...frame.cursor, epoch: '8' } };
    expect(b.replica.applyFrame(misfit)).toMatchObject({ type: 'broken' });
    expect(b.replica.position).toBe(2);
    expect(b.view('r')).toBeUndefined();
    expect(b.replica.applyFrame(frame)).toMatchObject({ type: 'applied' });
  });

  it('S2: what did not change stays the same object', () => {
    a.mutate((tx) => {
      tx.create('cards', 'c', { title: { deep: [1] }, tags: ['x'] });
    });
    a.mutate((tx) => {
      tx.create('people', 'p');
    });
    settleAll();
    const before = b.view('c');
    a.mutate((tx) => {
      tx.set('p', 'name', 'Ada');
    });
    settleAll();
    expect(b.view('c')).toBe(before);
    a.mutate((tx) => {
      tx.increment('c', 'votes');
    });
    settleAll();
    expect(b.view('c')).not.toBe(before);
    expect(b.fields('c')?.title).toBe(before?.fields.title);
    expect(b.fields('c')?.tags).toBe(before?.fields.tags);
  });

  it('links to deleted records are left out, and come back with them', () => {
    a.mutate((tx) => {
      tx.create('people', 'p');
      tx.create('people', 'q');
      tx.create('cards', 'c', { owner: 'p', links: ['p', 'q'] });
    });
    settleAll();
    const shown = a.view('c');
    a.mutate((tx) => {
      tx.delete('p');
    });
    expect(a.fields('c')).toMatchObject({ owner: null, links: ['q'] });
    expect([...a.replica.linkedFrom('p', 'cards', 'owner')]).toEqual(['c']);
    expect([...a.replica.idsOf('people')]).toEqual(['q']);
    settleAll();
    expect(b.fields('c')).toMatchObject({ owner: null, links: ['q'] });
    b.mutate((tx) => {
      tx.restore('p');
    });
    expect(b.fields('c')).toMatchObject({ owner: 'p', links: ['p', 'q'] });
    expect(shown?.fields).toMatchObject({ owner: 'p', links: ['p', 'q'] });
  });

  it('a record created in the place of a deleted one has nothing of what was there', () => {
    a.mutate((tx) => {
      tx.create('people', 'p');
      tx.create('cards', 'c', { title: 'old', body: 'text', votes: 3, tags: ['x'], owner: 'p', links: ['p'] });
    });
    settleAll();
    a.mutate((tx) => {
      tx.delete('c');
    });
    expect(() => {
      a.mutate((tx) => {
        tx.create('cards', 'c');
      });
    }).toThrow('restore it, or create it with replaceDeleted');
    a.mutate((tx) => {
      tx.create('cards', 'c', { title: 'new', votes: 1 }, { replaceDeleted: true });
    });
    const emptied = { title: 'new', body: '', votes: 1, tags: [], owner: null, links: [] };
    expect(a.view('c')).toMatchObject({ deleted: false, fields: emptied });
    settleAll();
    expect(b.view('c')).toMatchObject({ deleted: false, fields: emptied });
    expect(() => {
      a.mutate((tx) => {
        tx.create('cards', 'c', {}, { replaceDeleted: true });
      });
    }).toThrow('exists already');
  });

  it('an own pending edit shows a record alive that somebody deleted', () => {
    a.mutate((tx) => {
      tx.create('people', 'p', { name: 'Ada' });
    });
    settleAll();
    a.mutate((tx) => {
      tx.set('p', 'name', 'Bob');
    });
    b.mutate((tx) => {
      tx.delete('p');
    });
    b.sendAll();
    a.receive();
    expect(a.view('p')?.deleted).toBe(false);
    settleAll();
    expect(a.view('p')).toMatchObject({ deleted: false, fields: { name: 'Bob' } });
    expect(b.view('p')).toMatchObject({ deleted: false, fields: { name: 'Bob' } });
  });

  it('links are links before any schema was read', () => {
    const late = new TestClient('late', new TestServer(SCHEMA));
    a.mutate((tx) => {
      tx.create('people', 'p');
      tx.create('cards', 'c', { owner: 'p', links: ['p'] });
    });
    a.sendAll();
    late.replica.setSchema(schemaOf({}));
    late.replica.applyFrame(server.frame(0, server.head));
    expect(late.fields('c')).toMatchObject({ owner: 'p', links: ['p'] });
    expect([...late.replica.linkedFrom('p', 'cards', 'owner')]).toEqual(['c']);
    expect(late.replica.confirmed('c')?.fields.get('owner')?.state.kind).toBe('to_one');
    expect([...late.replica.linkedFrom('p', 'cards', 'links')]).toEqual(['c']);
  });
});
