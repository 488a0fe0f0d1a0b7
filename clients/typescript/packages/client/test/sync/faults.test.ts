import { afterEach, describe, expect, it } from 'vitest';
import type { Notice, Syncline, SynclineOptions } from '../../src/api.js';
import type { Frame } from '../../src/domain/change.js';
import type { Operation } from '../../src/domain/operation.js';
import { nodePlatform } from '../../src/platform/node.js';
import { openMemoryStore } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { TransportError } from '../../src/transport/transport-error.js';
import { testClient, until } from '../harness/client.js';
// Loaded before it is asked for, so that it comes without waiting.
import '../../src/sync/history.js';
import { FakeClock, settle } from '../harness/fake-clock.js';
import { keptOpen } from '../harness/kept-open.js';
import { FakeServer } from '../harness/fake-server.js';
import { Seeded } from '../harness/random.js';

const ELSE = '11111111-1111-4111-8111-111111111111';

/** A client of a fake server, with a clock that stands still. */
class Bench {
  readonly server = new FakeServer();
  readonly clock = new FakeClock();
  readonly notices: Notice[] = [];
  store: Store = keptOpen(openMemoryStore());
  client!: Syncline;
  private random = new Seeded(5);

  async open(options: Partial<SynclineOptions> = {}): Promise<Syncline> {
    const { clock, random, server } = this;
    // Waits are as long as they can be: tests say how far the clock goes.
    const longest = { unit: () => 0.999, uuid: () => random.uuid() };
    const platform = { ...nodePlatform(), clock, random: longest };
    const store = this.store;
    this.client = testClient(
      { url: 'http://fake', workspace: 'fake', actor: 'ann', ...options },
      { platform, openStore: () => Promise.resolve(store), createTransport: () => server.transport() },
    );
    this.client.onNotice((notice) => this.notices.push(notice));
    await this.client.ready;
    // Its parts are loaded in real time.
    await until(() => this.client.connection.getSnapshot().role === 'leader', 'the client leads');
    await settle();
    return this.client;
  }

  create(id: string): ReturnType<Syncline['mutate']> {
    return this.client.mutate((tx) => {
      tx.create('cards', id, { title: id });
    });
  }

  count(): ReturnType<Syncline['mutate']> {
    return this.client.mutate((tx) => {
      tx.increment('a', 'likes');
    });
  }

  get likes(): unknown {
    return this.client.record('a').getSnapshot()?.fields['likes'];
  }

  get state(): string {
    const { state, reason } = this.client.connection.getSnapshot();
    return reason === undefined ? state : `${state} ${reason}`;
  }
}

let bench = new Bench();
afterEach(async () => {
  const closing = bench.client.close();
  await bench.clock.advance(100);
  await closing;
  bench = new Bench();
});

describe('queues', () => {
  it('O8: an operation without an answer is sent again with the same bytes, and counts once', async () => {
    await bench.open();
    bench.create('a');
    await settle();
    let lost = 0;
    bench.server.deliver = () => [];
    bench.server.afterSubmit = () => {
      if (lost++ === 0) throw new TransportError('unreachable', 'the answer was lost');
    };
    const made = bench.count();
    await settle();
    expect(bench.client.queue.getSnapshot().items.map((item) => item.status)).toEqual(['unknown']);
    expect(bench.likes).toBe(1);
    await bench.clock.advance(2_000);
    const [first, second] = bench.server.submitted.slice(-2);
    expect(second).toEqual(first);
    // O7: accepted, and shown by the overlay until the feed passes it.
    expect(bench.client.queue.getSnapshot().items.map((item) => item.status)).toEqual(['accepted']);
    expect(bench.likes).toBe(1);
    bench.server.deliver = (frame) => [frame];
    bench.server.cut();
    await bench.clock.advance(2_000);
    expect((await made.settled).outcome).toBe('applied');
    expect([bench.likes, bench.client.queue.getSnapshot().pending]).toEqual([1, 0]);
  });

  it('O9, O10: a rejected operation is taken back, told once, kept, and stops nobody', async () => {
    await bench.open();
    bench.server.judge = ({ mutations }) =>
      mutations[0]?.recordId === 'bad'
        ? { type: 'rejected', refusal: { reason: 'RECORD_EXISTS', message: 'no', metadata: {} }, mutationIndex: 0 }
        : undefined;
    const bad = bench.create('bad');
    const good = bench.create('good');
    expect(bench.client.record('bad').getSnapshot()).toBeDefined();
    await expect(bad.settled).rejects.toMatchObject({ code: 'REJECTED', refusal: { reason: 'RECORD_EXISTS' } });
    await good.settled;
    expect(bench.client.record('bad').getSnapshot()).toBeUndefined();
    expect(bench.client.rejected.getSnapshot()).toMatchObject([{ why: 'rejected', mutations: [{ atFault: true }] }]);
    expect(bench.notices.map((notice) => notice.type)).toEqual(['rejected']);
    // It is still there after a reload, and gone when it was dismissed.
    await bench.client.close();
    await bench.open();
    const [item] = bench.client.rejected.getSnapshot();
    expect(item?.mutations[0]?.content).toEqual({ title: 'bad' });
    await bench.client.rejected.dismissAll();
    expect(bench.client.rejected.getSnapshot()).toEqual([]);
  });

  it('an operation for which the server refuses whole calls is found, put to the rejected ones, and stops nobody', async () => {
    await bench.open({ startOffline: true });
    const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
    const made = ids.map((id) => bench.create(id));
    const bad = [3, 11, 12];
    const names = (operation: Operation) => bad.some((index) => operation.mutations[0]?.recordId === `c${index}`);
    const refusal = { reason: 'INVALID_REQUEST', message: 'something in it', metadata: {} };
    bench.server.beforeSubmit = (operations) => {
      if (operations.some(names)) throw new TransportError('refused', refusal.message, { refusal });
    };
    const outcomes = Promise.allSettled(made.map((one) => one.settled));
    bench.client.connection.goOnline();
    await bench.clock.advance(2_000);
    const fates = (await outcomes).map((outcome) => outcome.status);
    expect(fates).toEqual(ids.map((_, index) => (bad.includes(index) ? 'rejected' : 'fulfilled')));
    expect(bench.client.queue.getSnapshot().pending).toBe(0);
    expect(bench.client.rejected.getSnapshot().map((item) => item.refusal.reason)).toEqual(
      bad.map(() => refusal.reason),
    );
    expect([bench.state, bench.server.head]).toEqual(['online', ids.length - bad.length]);
    // Calls are as large as ever afterwards.
    bench.server.beforeSubmit = () => undefined;
    bench.client.connection.goOffline();
    const later = ids.map((id) => bench.create(`later-${id}`));
    bench.client.connection.goOnline();
    await bench.clock.advance(2_000);
    await Promise.all(later.map((one) => one.settled));
    expect(bench.server.submitted.at(-1)).toHaveLength(ids.length);
  });

  it('a refusal of whole calls that lies in no operation takes none of them', async () => {
    await bench.open({ startOffline: true });
    for (const id of ['a', 'b', 'c']) bench.create(id);
    await settle();
    const refusal = { reason: 'INVALID_REQUEST', message: 'workspace_id', metadata: {} };
    const refuse = () => {
      throw new TransportError('refused', refusal.message, { refusal });
    };
    [bench.server.beforeSubmit, bench.server.beforeAbandon] = [refuse, refuse];
    bench.client.connection.goOnline();
    await bench.clock.advance(5_000);
    expect([bench.client.queue.getSnapshot().pending, bench.client.rejected.getSnapshot()]).toEqual([3, []]);
    expect(bench.state).toBe('degraded protocol');
    [bench.server.beforeSubmit, bench.server.beforeAbandon] = [() => undefined, () => undefined];
    bench.server.cut();
    await bench.clock.advance(2_500);
    expect([bench.client.queue.getSnapshot().pending, bench.server.head]).toEqual([0, 3]);
  });

  it('O10: nothing that was rejected goes without its author, however much it is', async () => {
    await bench.open({ startOffline: true });
    const count = 2_500;
    for (let index = 0; index < count; index++) bench.create(`c${index}`).settled.catch(() => undefined);
    await settle();
    bench.server.judge = () => ({
      type: 'rejected',
      refusal: { reason: 'RECORD_EXISTS', message: 'no', metadata: {} },
    });
    bench.client.connection.goOnline();
    await until(() => bench.client.rejected.getSnapshot().length === count, 'all of them are kept');
    await bench.client.close();
    await bench.open({ startOffline: true });
    const kept = bench.client.rejected.getSnapshot();
    expect(new Set(kept.map((item) => item.mutations[0]?.id)).size).toBe(count);
    await bench.client.rejected.dismissAll();
    expect(bench.client.rejected.getSnapshot()).toEqual([]);
  });

  it('abandons a counter the server waits for and nobody has', async () => {
    await bench.open();
    const lost = 41;
    let missing = true;
    bench.server.judge = ({ dot }) => {
      if (!missing) return undefined;
      return { type: 'held', missing: { ...dot, counter: lost }, expectedCounter: 0 };
    };
    const made = bench.create('a');
    await settle();
    expect(bench.server.abandoned).toHaveLength(1);
    missing = false;
    await bench.clock.advance(2_000);
    await made.settled;
  });

  it('sends a held operation again, later and later', async () => {
    await bench.open();
    let held = true;
    const missing = { replicaId: ELSE, counter: 9 };
    bench.server.judge = () => (held ? { type: 'held', missing, expectedCounter: 1 } : undefined);
    const made = bench.create('a');
    await settle();
    expect(bench.client.queue.getSnapshot().items.map((item) => item.status)).toEqual(['held']);
    const tries = () => bench.server.submitted.length;
    expect(tries()).toBe(1);
    await bench.clock.advance(1_000);
    expect(tries()).toBe(2);
    await bench.clock.advance(1_900);
    expect(tries()).toBe(2);
    await bench.clock.advance(100);
    expect(tries()).toBe(3);
    held = false;
    await bench.clock.advance(4_000);
    await made.settled;
  });

  it('halves a call that is too large', async () => {
    await bench.open({ startOffline: true });
    bench.client.connection.goOnline();
    await settle();
    bench.client.queue.pause();
    for (let index = 0; index < 8; index++) bench.create(`r${index}`);
    await settle();
    let calls = 0;
    bench.server.beforeSubmit = () => {
      if (calls++ === 0) {
        const refusal = { reason: 'MESSAGE_TOO_LARGE', message: '', metadata: {} };
        throw new TransportError('refused', 'too large', { refusal });
      }
    };
    bench.client.queue.resume();
    await settle();
    expect(bench.server.submitted.map((call) => call.length)).toEqual([4, 4]);
    await bench.client.queue.drained();
  });

  it('O6: operations made offline, and over a reload, are sent in order, and clear takes back what was not sent', async () => {
    await bench.open();
    bench.client.connection.goOffline();
    await bench.clock.advance(500);
    expect(bench.state).toBe('offline asked');
    bench.create('a');
    bench.count();
    await settle();
    await bench.client.close();
    await bench.open({ startOffline: true });
    expect(bench.likes).toBe(1);
    bench.create('b');
    const taken = bench.create('c');
    await settle();
    // What is from before is not known to be unsent.
    expect(await bench.client.queue.clear()).toBe(2);
    await expect(taken.settled).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(bench.client.rejected.getSnapshot().map((item) => item.why)).toEqual(['cancelled', 'cancelled']);
    bench.client.connection.goOnline();
    await bench.clock.advance(3_000);
    await bench.client.queue.drained();
    expect(bench.server.log.map(({ dot }) => dot.counter)).toEqual([1, 2]);
    expect(bench.server.abandoned.map(({ counter }) => counter)).toEqual([3, 4]);
  });

  it('says what a queue is doing, and how far it is', async () => {
    await bench.open();
    bench.client.queue.pause();
    bench.create('a');
    bench.count();
    await bench.clock.advance(500);
    expect(bench.client.queue.getSnapshot()).toMatchObject({
      pending: 2,
      paused: true,
      progress: { settled: 0, total: 2 },
    });
    expect(bench.state).toBe('degraded paused');
    bench.client.queue.resume();
    await settle();
    expect(bench.client.queue.getSnapshot()).toMatchObject({ pending: 0, progress: { settled: 2, total: 2 } });
    await bench.clock.advance(500);
    expect(bench.state).toBe('online');
  });
});

describe('the feed', () => {
  it('C1: a feed that repeats and skips is healed', async () => {
    await bench.open();
    bench.server.write({ replicaId: ELSE, counter: 1 }, [create('a')]);
    await settle();
    const opened = bench.server.opened;
    let skipped: boolean = false;
    bench.server.deliver = (frame) => {
      if (skipped) return [frame, frame];
      skipped = true;
      return [];
    };
    bench.server.write({ replicaId: ELSE, counter: 2 }, [create('b')]);
    bench.server.write({ replicaId: ELSE, counter: 3 }, [create('c')]);
    await settle();
    expect(bench.server.opened).toBe(opened + 1);
    expect(['a', 'b', 'c'].map((id) => bench.client.record(id).getSnapshot()?.fields)).toEqual(
      ['a', 'b', 'c'].map((id) => ({ title: id })),
    );
    expect(bench.client.connection.getSnapshot()).toMatchObject({ feed: { position: 3, caughtUp: true }, failures: 0 });
  });

  it('a chain that does not continue is answered by a snapshot of the same history', async () => {
    await bench.open();
    bench.server.write({ replicaId: ELSE, counter: 1 }, [create('a')]);
    await settle();
    const before = bench.server.snapshots;
    bench.server.deliver = (frame) =>
      frame.type === 'changes'
        ? [{ ...frame, changes: frame.changes.map((change) => ({ ...change, chain: new Uint8Array(16) })) }]
        : [frame];
    bench.create('mine');
    await settle();
    bench.server.deliver = (frame) => [frame];
    await bench.clock.advance(10_000);
    expect(bench.server.snapshots).toBe(before + 1);
    expect(bench.client.record('mine').getSnapshot()?.sync).toBe('synced');
    expect([bench.client.queue.getSnapshot().pending, bench.state]).toEqual([0, 'online']);
  });

  it('goes away and comes back at once; cut off it waits and says so', async () => {
    await bench.open();
    const opened = bench.server.opened;
    bench.server.say({ type: 'go_away', cursor: bench.server.cursorAt(0), reason: 'draining' });
    await settle();
    expect([bench.server.opened, bench.client.connection.getSnapshot().failures]).toEqual([opened + 1, 0]);
    bench.server.cut();
    await settle();
    expect(bench.client.connection.getSnapshot()).toMatchObject({ state: 'online', transport: 'waiting', failures: 1 });
    await bench.clock.advance(400);
    expect(bench.state).toBe('reconnecting unreachable');
    await bench.clock.advance(1_600);
    expect([bench.client.connection.getSnapshot().transport, bench.state]).toEqual(['up', 'online']);
  });

  it('S1 before anything: what is made before the first contact is rebased and gets a context', async () => {
    await bench.open({ startOffline: true });
    bench.create('a');
    bench.count();
    await settle();
    bench.client.connection.goOnline();
    await bench.clock.advance(3_000);
    await bench.client.queue.drained();
    expect(bench.server.log.map(({ context }) => context.epoch)).toEqual(['7', '7']);
    expect([bench.likes, bench.notices]).toEqual([1, []]);
  });
});

describe('bad days', () => {
  it('§7: a rewound history gets back what it lost, once', async () => {
    await bench.open();
    bench.create('a');
    bench.count();
    await settle();
    bench.create('b');
    await settle();
    expect(bench.server.head).toBe(3);
    bench.server.rewind(1, '8');
    bench.count();
    await bench.clock.advance(20_000);
    await bench.client.queue.drained();
    expect(bench.server.log.map(({ effects }) => effects[0]?.type)).toEqual([
      'record_created',
      'counter_changed',
      'record_created',
      'counter_changed',
    ]);
    expect(bench.notices).toEqual([{ type: 'history_rewound', rebased: 3 }]);
    expect([bench.likes, bench.state]).toEqual([2, 'online']);
    await bench.client.close();
    await bench.open();
    await bench.clock.advance(5_000);
    expect([bench.server.head, bench.likes]).toEqual([4, 2]);
  });

  it('§7: a single word that a context is ahead is checked first', async () => {
    await bench.open();
    bench.create('a');
    await settle();
    let said = false;
    bench.server.judge = () => {
      if (said) return undefined;
      said = true;
      const refusal = { reason: 'CONTEXT_AHEAD', message: '', metadata: {} };
      return { type: 'not_settled', refusal, expectedCounter: 2 };
    };
    await bench.count().settled;
    expect([bench.notices, bench.server.snapshots]).toEqual([[], 1]);
  });

  it('§8: a forked replica goes on under another name', async () => {
    await bench.open();
    bench.create('a');
    await settle();
    const before = bench.client.replicaId;
    bench.server.judge = ({ dot }) =>
      dot.replicaId === before
        ? { type: 'not_settled', refusal: { reason: 'REPLICA_FORKED', message: '', metadata: {} }, expectedCounter: 2 }
        : undefined;
    const made = bench.count();
    expect((await made.settled).dot.replicaId).not.toBe(before);
    expect(bench.client.replicaId).not.toBe(before);
    expect(bench.server.log.at(-1)).toMatchObject({
      dot: { counter: 1 },
      context: { extras: [{ replicaId: before, counter: 1 }] },
    });
    expect([bench.likes, bench.notices]).toEqual([1, [{ type: 'replica_changed', rebased: 1 }]]);
  });

  it('a wall clock a day off changes nothing', async () => {
    await bench.open();
    bench.clock.setWallBy(-86_400_000);
    await bench.create('a').settled;
    bench.server.cut();
    await settle();
    bench.clock.setWallBy(2 * 86_400_000);
    await bench.clock.advance(2_500);
    expect([bench.client.connection.getSnapshot().transport, bench.state]).toEqual(['up', 'online']);
    await bench.count().settled;
  });

  it('credentials are refused: asked for again once, then the state says it', async () => {
    let refused = 0;
    bench.server.beforeOpen = () => {
      refused += 1;
      throw new TransportError('unauthenticated', 'who are you');
    };
    await bench.open();
    await bench.clock.advance(500);
    expect([refused, bench.state]).toEqual([2, 'offline credentials']);
    bench.server.beforeOpen = () => undefined;
    await bench.clock.advance(8_000);
    expect(bench.state).toBe('online');
  });

  it('storage that takes nothing: shown, told, not sent, and kept when there is room again', async () => {
    const full = { on: false };
    const inner = bench.store;
    bench.store = new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const saves = name === 'saveOperations' || name === 'saveFrames';
        return (...args: unknown[]): unknown => {
          if (full.on && saves) return Promise.reject(Object.assign(new Error('no room'), { code: 'full' }));
          return (value as (...given: unknown[]) => unknown).apply(target, args);
        };
      },
    });
    await bench.open();
    full.on = true;
    const made = bench.create('a');
    await expect(made.saved).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await bench.clock.advance(500);
    expect(bench.client.record('a').getSnapshot()?.sync).toBe('unsaved');
    expect([bench.state, bench.client.connection.getSnapshot().storage]).toEqual(['degraded storage_full', 'full']);
    expect(bench.server.submitted).toEqual([]);
    full.on = false;
    await bench.clock.advance(30_000);
    await made.settled;
    await bench.clock.advance(500);
    expect([bench.state, bench.notices.map((notice) => notice.type)]).toEqual(['online', ['not_saved']]);
  });
});

describe('a server that is newer', () => {
  it('§5: a frame of unknown content stops the feed, says that an update is needed, and loses nothing', async () => {
    await bench.open();
    await bench.create('a').settled;
    bench.server.say({ type: 'unknown', cursor: bench.server.cursorAt(1) });
    await bench.clock.advance(500);
    expect(bench.state).toBe('degraded update_needed');
    expect(bench.notices).toEqual([{ type: 'update_needed' }]);
    const made = bench.create('b');
    await settle();
    expect(bench.client.queue.getSnapshot().pending).toBe(1);
    expect(bench.client.record('b').getSnapshot()).toBeDefined();
    const { opened } = bench.server;
    await bench.clock.advance(59_000);
    // It is looked at again now and then, and told once.
    expect(bench.server.opened).toBe(opened);
    await bench.clock.advance(2_000);
    expect(bench.server.opened).toBe(opened + 1);
    await made.settled;
    await bench.clock.advance(500);
    expect([bench.state, bench.notices.length]).toEqual(['online', 1]);
  });

  it('§4: an unknown outcome keeps the operation, sends nothing more, and tells', async () => {
    await bench.open();
    await bench.create('a').settled;
    let newer = true;
    bench.server.judge = () => (newer ? { type: 'unknown' } : undefined);
    const made = bench.count();
    bench.create('b');
    await settle();
    const calls = bench.server.submitted.length;
    await bench.clock.advance(5_000);
    expect(bench.server.submitted.length).toBe(calls);
    expect(bench.state).toBe('degraded update_needed');
    expect(bench.notices).toEqual([{ type: 'update_needed' }]);
    expect([bench.client.queue.getSnapshot().pending, bench.client.rejected.getSnapshot(), bench.likes]).toEqual([
      2,
      [],
      1,
    ]);
    newer = false;
    bench.server.cut();
    await bench.clock.advance(3_000);
    await made.settled;
    await bench.client.queue.drained();
    expect([bench.state, bench.likes]).toEqual(['online', 1]);
  });

  it('a server that is older refuses what it does not know: kept, and said in words', async () => {
    await bench.open();
    bench.server.judge = () => ({
      type: 'rejected',
      refusal: { reason: 'UNKNOWN_FIELD', message: 'it has a field 77', metadata: { field: '77' } },
    });
    await expect(bench.create('a').settled).rejects.toMatchObject({ refusal: { reason: 'UNKNOWN_FIELD' } });
    const [item] = bench.client.rejected.getSnapshot();
    expect(item?.refusal.message).toMatch(/^the server is older than this program/);
    expect(item?.mutations[0]?.content).toEqual({ title: 'a' });
  });

  it('a proxy that holds streams back is told from a server that cannot be reached', async () => {
    bench.server.holdsStreamsBack = true;
    await bench.open();
    await bench.clock.advance(9_000);
    expect(bench.state).toBe('reconnecting');
    await bench.clock.advance(1_500);
    expect(bench.state).toBe('offline stream_blocked');
    bench.create('a');
    bench.server.holdsStreamsBack = false;
    await bench.clock.advance(10_000);
    expect([bench.state, bench.client.queue.getSnapshot().pending]).toEqual(['online', 0]);
  });

  it('says what the server is', async () => {
    await bench.open();
    expect(bench.client.connection.getSnapshot().server).toEqual(bench.server.info);
  });
});

describe('loading', () => {
  const rows = () => ['a', 'b', 'c'].map((id) => bench.client.record(id).getSnapshot()?.fields['title']);

  /** Parts of what there is, each resumable where it ends. */
  function parts(upTo: number): readonly Frame[] {
    const at = (loaded: number) => ({ ...bench.server.cursorAt(3), more: Uint8Array.of(loaded) });
    const records = bench.server.fold();
    return [
      { type: 'loading_begun', cursor: at(0), fromScratch: true, estimatedCount: 3 } as const,
      ...records.slice(0, upTo).map((record, index): Frame => ({
        type: 'records_entered',
        cursor: at(index + 1),
        records: [record],
        conflicts: [],
        loadedCount: index + 1,
      })),
    ];
  }

  function three(): void {
    for (const [index, id] of ['a', 'b', 'c'].entries()) {
      bench.server.write({ replicaId: ELSE, counter: index + 1 }, [create(id)]);
    }
  }

  it('§6: shows how far it is, shows nothing before it is whole, and goes on where it was cut', async () => {
    three();
    bench.server.loading = () => parts(2);
    await bench.open();
    await bench.clock.advance(500);
    expect(bench.client.connection.getSnapshot().snapshot).toEqual({ received: 2, estimated: 3 });
    expect([rows(), bench.client.connection.getSnapshot().feed.caughtUp]).toEqual([
      [undefined, undefined, undefined],
      false,
    ]);
    // Somebody goes on writing: the feed says so when it has loaded.
    bench.server.deliver = () => [];
    bench.server.write({ replicaId: ELSE, counter: 4 }, [set('a', 'newer')]);
    bench.server.deliver = (frame) => [frame];
    const last = bench.server.fold()[2];
    bench.server.loading = (origin) => {
      expect(origin).toMatchObject({ seqInclusive: 3, more: Uint8Array.of(2) });
      const cursor = bench.server.cursorAt(3);
      return [
        { type: 'loading_begun', cursor, fromScratch: false, estimatedCount: 3 },
        { type: 'records_entered', cursor, records: last ? [last] : [], conflicts: [], loadedCount: 3 },
        { type: 'loading_finished', cursor, completeFromSeq: 4 },
      ];
    };
    bench.server.cut();
    await bench.clock.advance(2_500);
    expect(bench.server.origins.length).toBe(2);
    expect(rows()).toEqual(['newer', 'b', 'c']);
    const { feed, snapshot } = bench.client.connection.getSnapshot();
    expect([feed.position, snapshot, bench.state]).toEqual([4, undefined, 'online']);
    // What was loaded is kept.
    await bench.client.close();
    await bench.open({ startOffline: true });
    expect(rows()).toEqual(['newer', 'b', 'c']);
  });

  it('what was loaded whole before the wire broke is adopted by the next feed, though nothing comes on it', async () => {
    three();
    await bench.open({ startOffline: true });
    const made = bench.create('mine');
    await settle();
    let cuts = 0;
    // What was made before the first contact is asked about before the snapshot is adopted.
    bench.server.beforeReceipts = () => {
      if (cuts++ > 0) return;
      bench.server.cut();
      throw new TransportError('unreachable', 'cut');
    };
    bench.client.connection.goOnline();
    await bench.clock.advance(3_000);
    expect(cuts).toBeGreaterThan(1);
    expect([rows(), bench.client.queue.getSnapshot().pending]).toEqual([['a', 'b', 'c'], 0]);
    expect((await made.settled).outcome).toBe('applied');
    expect([bench.server.origins.length, bench.server.snapshots]).toEqual([2, 1]);
  });

  it('a part that fits nothing begins it again', async () => {
    three();
    let first = true;
    bench.server.loading = () => {
      const frames = first ? parts(3).slice(1) : bench.server.loadingFrames();
      first = false;
      return frames;
    };
    await bench.open();
    await bench.clock.advance(500);
    expect(bench.server.origins).toEqual(['snapshot', 'snapshot']);
    expect([rows(), bench.state]).toEqual([['a', 'b', 'c'], 'online']);
  });

  it('changes while it loads do not fit: the position does not move until it is over', async () => {
    three();
    let first = true;
    bench.server.loading = () => {
      const frames = first ? [...parts(1), bench.server.frame(2, 3)] : bench.server.loadingFrames();
      first = false;
      return frames;
    };
    await bench.open();
    await bench.clock.advance(3_000);
    expect(bench.server.origins).toEqual(['snapshot', 'snapshot']);
    expect(rows()).toEqual(['a', 'b', 'c']);
  });

  it('records that enter and leave a feed that is followed come and go at once, and stay so', async () => {
    three();
    await bench.open();
    await bench.create('mine').settled;
    const cursor = bench.server.cursorAt(4);
    const [a] = bench.server.fold();
    if (a === undefined) throw new Error('no record');
    const title = { state: { kind: 'register', value: { kind: 'string', value: 'entered' } }, lastSeq: 4 } as const;
    const entered = { ...a, fields: new Map([['title', title]]), asOfSeq: 5 };
    bench.server.say({ type: 'loading_begun', cursor, fromScratch: false, estimatedCount: 1 });
    bench.server.say({ type: 'records_entered', cursor, records: [entered], conflicts: [], loadedCount: 1 });
    bench.server.say({ type: 'records_left', cursor, recordIds: ['b'] });
    bench.server.say({ type: 'loading_finished', cursor, completeFromSeq: 5 });
    await settle();
    expect(rows()).toEqual(['a', 'b', 'c']);
    // Up to there what was loaded contains it.
    bench.server.write({ replicaId: ELSE, counter: 4 }, [set('a', 'older')]);
    await settle();
    expect(rows()).toEqual(['entered', undefined, 'c']);
    bench.server.write({ replicaId: ELSE, counter: 5 }, [set('a', 'later')]);
    await settle();
    expect(rows()).toEqual(['later', undefined, 'c']);
    expect(bench.client.record('mine').getSnapshot()?.sync).toBe('synced');
    await bench.client.close();
    await bench.open({ startOffline: true });
    expect(rows()).toEqual(['later', undefined, 'c']);
  });
});

describe('contexts', () => {
  it('O3: say the chain at their base; §7: a history that was rewound within its epoch is told by it', async () => {
    await bench.open();
    await bench.create('a').settled;
    await bench.count().settled;
    expect(bench.server.log.at(-1)?.context).toEqual({
      epoch: '7',
      baseSeq: 1,
      extras: [],
      baseChain: bench.server.cursorAt(1).chain,
    });
    // Another change took the place of the last one, and nobody noticed but the server.
    bench.server.deliver = () => [];
    const [lost] = bench.server.log.splice(1);
    if (lost !== undefined) bench.server.receipts.delete(`${lost.dot.replicaId}:${lost.dot.counter}`);
    bench.server.write({ replicaId: ELSE, counter: 1 }, [create('b')]);
    bench.server.deliver = (frame) => [frame];
    const refusal = { reason: 'HISTORY_REWOUND', message: '', metadata: { base_seq: '2' } };
    const gone = ({ context }: Operation) =>
      context.baseSeq === 2 &&
      context.baseChain?.some((byte, i) => byte !== bench.server.cursorAt(2).chain[i]) === true;
    bench.server.judge = (operation) =>
      gone(operation) ? { type: 'not_settled', refusal, expectedCounter: 3, mutationIndex: 0 } : undefined;
    bench.create('c');
    await bench.clock.advance(20_000);
    await bench.client.queue.drained();
    const titles = ['a', 'b', 'c'].map((id) => bench.client.record(id).getSnapshot()?.fields['title']);
    expect([titles, bench.likes, bench.state]).toEqual([['a', 'b', 'c'], 1, 'online']);
    expect(bench.notices).toEqual([{ type: 'history_rewound', rebased: 2 }]);
  });

  it('credentials that expired on a stream are asked for again, and the feed goes on', async () => {
    let asked = 0;
    const inner = bench.server.transport.bind(bench.server);
    bench.server.transport = () => ({ ...inner(), refreshCredentials: () => void asked++ });
    await bench.open();
    const { opened } = bench.server;
    bench.server.say({ type: 'go_away', cursor: bench.server.cursorAt(0), reason: 'credentials_expired' });
    await settle();
    expect([asked, bench.server.opened, bench.state]).toEqual([1, opened + 1, 'online']);
  });
});

function create(recordId: string): Parameters<FakeServer['write']>[1][number] {
  const fields = new Map([['title', { kind: 'string', value: recordId } as const]]);
  return { collectionId: 'cards', recordId, action: { type: 'create', fields } };
}

function set(recordId: string, title: string): Parameters<FakeServer['write']>[1][number] {
  const value = { kind: 'string', value: title } as const;
  return { collectionId: 'cards', recordId, action: { type: 'set', fieldId: 'title', value } };
}
