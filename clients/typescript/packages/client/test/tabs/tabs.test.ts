import { afterEach, describe, expect, it } from 'vitest';
import type { Syncline, SynclineOptions } from '../../src/api.js';
import type { Channel, Platform } from '../../src/platform.js';
import { LocalChannels, LocalLocks } from '../../src/platform/local.js';
import { openMemoryStore } from '../../src/store/memory.js';
import { testClient, until } from '../harness/client.js';
import { FakeClock, settle } from '../harness/fake-clock.js';
import { FakeServer } from '../harness/fake-server.js';
import { keptOpen } from '../harness/kept-open.js';
import { Seeded } from '../harness/random.js';
import '../../src/sync/history.js';

/** One tab: its timers and what it hears can be stopped, as a browser does with a tab it freezes. */
class Tab {
  frozen = false;
  visible = true;
  readonly session = new Map<string, string>();
  private readonly watchers = new Set<() => void>();
  private readonly heldBack: (() => void)[] = [];

  constructor(
    private readonly browser: Browser,
    private readonly random: Seeded,
  ) {}

  platform(): Platform {
    const { browser } = this;
    return {
      clock: {
        nowMs: () => browser.clock.nowMs(),
        monotonicMs: () => browser.clock.monotonicMs(),
        after: (delayMs, run) =>
          browser.clock.after(delayMs, () => {
            this.run(run);
          }),
      },
      random: { unit: () => 0.5, uuid: () => this.random.uuid() },
      page: {
        online: () => true,
        visible: () => this.visible,
        subscribe: (listener) => {
          this.watchers.add(listener);
          return () => this.watchers.delete(listener);
        },
      },
      locks: browser.locks,
      memory: { get: (key) => this.session.get(key), set: (key, value) => this.session.set(key, value) },
      channel: <M>(name: string): Channel<M> => {
        const channel = browser.channels.open<M>(name);
        return {
          ...channel,
          subscribe: (listener: (message: M) => void) =>
            channel.subscribe((message: M) => {
              this.run(() => {
                listener(message);
              });
            }),
        };
      },
    };
  }

  thaw(): void {
    this.frozen = false;
    for (const run of this.heldBack.splice(0)) run();
    for (const watcher of this.watchers) watcher();
  }

  private run(run: () => void): void {
    if (this.frozen) this.heldBack.push(run);
    else run();
  }
}

/** Tabs of one browser over one store. */
class Browser {
  readonly server = new FakeServer();
  readonly clock = new FakeClock();
  readonly locks = new LocalLocks();
  readonly channels = new LocalChannels();
  readonly store = keptOpen(openMemoryStore());
  readonly clients: Syncline[] = [];
  private seed = 1;

  newTab(): Tab {
    return new Tab(this, new Seeded(this.seed++));
  }

  async open(tab: Tab, options: Partial<SynclineOptions> = {}): Promise<Syncline> {
    const client = testClient(
      { url: 'http://fake', workspace: 'fake', actor: 'ann', ...options },
      {
        platform: tab.platform(),
        openStore: () => Promise.resolve(this.store),
        createTransport: () => this.server.transport(),
        tabScope: () => 'browser',
      },
    );
    this.clients.push(client);
    await client.ready;
    if (this.clients.length === 1) await until(() => role(client) === 'leader', 'the first tab leads');
    await settle();
    return client;
  }
}

function role(client: Syncline): string {
  return client.connection.getSnapshot().role;
}

function create(client: Syncline, id: string): ReturnType<Syncline['mutate']> {
  return client.mutate((tx) => {
    tx.create('cards', id, { title: id });
  });
}

const shows = (client: Syncline, id: string): unknown => client.record(id).getSnapshot()?.fields['title'];

let browser = new Browser();
afterEach(async () => {
  for (const client of browser.clients) {
    const closing = client.close();
    await browser.clock.advance(10);
    await closing;
  }
  browser = new Browser();
});

describe('several tabs', () => {
  it('hold one connection; each has a replica of its own, and all see everything', async () => {
    const [first, second] = [await browser.open(browser.newTab()), await browser.open(browser.newTab())];
    expect([role(first), role(second)]).toEqual(['leader', 'follower']);
    expect(first.replicaId).not.toBe(second.replicaId);
    expect(browser.server.opened).toBe(1);
    const made = create(second, 'a');
    expect(shows(second, 'a')).toBe('a');
    expect(shows(first, 'a')).toBeUndefined();
    await settle();
    expect(shows(first, 'a')).toBe('a');
    expect((await made.settled).outcome).toBe('applied');
    create(first, 'b');
    await settle();
    expect([shows(second, 'b'), second.record('b').getSnapshot()?.sync]).toEqual(['b', 'synced']);
    await browser.clock.advance(1_000);
    expect(second.connection.getSnapshot()).toMatchObject({ state: 'online', feed: { position: 2, caughtUp: true } });
  });

  it('a closed leader is followed by another tab, and its queue is uploaded', async () => {
    const [first, second] = [await browser.open(browser.newTab()), await browser.open(browser.newTab())];
    browser.server.beforeSubmit = () => {
      throw new Error('not yet');
    };
    create(first, 'a');
    create(second, 'b');
    await settle();
    browser.server.beforeSubmit = () => undefined;
    const closing = first.close();
    await settle();
    await closing;
    await until(() => role(second) === 'leader', 'the second tab leads');
    await browser.clock.advance(6_000);
    expect(browser.server.head).toBe(2);
    expect(['a', 'b'].map((id) => shows(second, id))).toEqual(['a', 'b']);
    expect(second.queue.getSnapshot().pending).toBe(0);
  });

  it('a frozen leader is replaced, and learns it when it thaws', async () => {
    const [firstTab, secondTab] = [browser.newTab(), browser.newTab()];
    const [first, second] = [await browser.open(firstTab), await browser.open(secondTab)];
    create(first, 'a');
    await settle();
    firstTab.frozen = true;
    create(second, 'b');
    await browser.clock.advance(8_000);
    expect(role(second)).toBe('leader');
    await browser.clock.advance(2_000);
    expect(browser.server.head).toBe(2);
    firstTab.thaw();
    await browser.clock.advance(2_000);
    expect([role(first), role(second)]).toEqual(['follower', 'leader']);
    expect(['a', 'b'].map((id) => shows(first, id))).toEqual(['a', 'b']);
    create(first, 'c');
    await settle();
    expect([shows(first, 'c'), shows(second, 'c'), browser.server.head]).toEqual(['c', 'c', 3]);
  });

  it('a hidden follower does not take the lead from anybody', async () => {
    const [firstTab, secondTab] = [browser.newTab(), browser.newTab()];
    await browser.open(firstTab);
    const second = await browser.open(secondTab);
    secondTab.visible = false;
    firstTab.frozen = true;
    await browser.clock.advance(20_000);
    expect(role(second)).toBe('follower');
    firstTab.thaw();
  });

  it('a reloaded tab has its slot again; a new one takes a free one', async () => {
    const tab = browser.newTab();
    const first = await browser.open(tab, { startOffline: true });
    const other = await browser.open(browser.newTab());
    create(first, 'a');
    create(other, 'b');
    await settle();
    const [mine, theirs] = [first.replicaId, other.replicaId];
    for (const client of [first, other]) await client.close();
    const again = await browser.open(tab, { startOffline: true });
    expect([again.replicaId, shows(again, 'a')]).toEqual([mine, 'a']);
    const next = await browser.open(browser.newTab());
    expect([next.replicaId, shows(next, 'b')]).toEqual([theirs, 'b']);
  });

  it('readers cost no slot', async () => {
    const first = await browser.open(browser.newTab());
    await browser.open(browser.newTab());
    expect(await browser.store.slots()).toEqual([]);
    create(first, 'a');
    await settle();
    expect(await browser.store.slots()).toHaveLength(1);
  });

  it('going offline, pausing and their opposites hold for all tabs', async () => {
    const [first, second] = [await browser.open(browser.newTab()), await browser.open(browser.newTab())];
    second.connection.goOffline();
    await browser.clock.advance(1_000);
    expect([first, second].map((client) => client.connection.getSnapshot().state)).toEqual(['offline', 'offline']);
    second.queue.pause();
    first.connection.goOnline();
    await browser.clock.advance(1_000);
    const made = create(second, 'a');
    await browser.clock.advance(1_000);
    expect(first.queue.getSnapshot()).toMatchObject({ pending: 1, paused: true, items: [{ own: false }] });
    expect(second.queue.getSnapshot()).toMatchObject({ pending: 1, paused: true, items: [{ own: true }] });
    first.queue.resume();
    await browser.clock.advance(1_000);
    expect((await made.settled).outcome).toBe('applied');
    expect(second.connection.getSnapshot().state).toBe('online');
  });

  it('a tab that missed frames asks for them', async () => {
    const [first, lateTab] = [await browser.open(browser.newTab()), browser.newTab()];
    const late = await browser.open(lateTab);
    lateTab.frozen = true;
    for (const id of ['a', 'b', 'c']) create(first, id);
    await settle();
    // What a frozen tab was told meanwhile is gone when the browser drops it.
    lateTab['heldBack'].length = 0;
    lateTab.thaw();
    create(first, 'd');
    await browser.clock.advance(2_000);
    expect(['a', 'b', 'c', 'd'].map((id) => shows(late, id))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('a rejected operation of another tab is told where it was made', async () => {
    const [first, second] = [await browser.open(browser.newTab()), await browser.open(browser.newTab())];
    browser.server.judge = () => ({
      type: 'rejected',
      refusal: { reason: 'RECORD_EXISTS', message: 'no', metadata: {} },
    });
    const made = create(second, 'a');
    await expect(made.settled).rejects.toMatchObject({ code: 'REJECTED' });
    expect(shows(second, 'a')).toBeUndefined();
    expect([first, second].map((client) => client.rejected.getSnapshot().length)).toEqual([0, 1]);
  });

  it('a rewound history puts the work of all tabs back', async () => {
    const [first, second] = [await browser.open(browser.newTab()), await browser.open(browser.newTab())];
    create(first, 'a');
    create(second, 'b');
    await settle();
    expect(browser.server.head).toBe(2);
    browser.server.rewind(0, '9');
    await browser.clock.advance(20_000);
    expect(browser.server.head).toBe(2);
    for (const client of [first, second]) expect(['a', 'b'].map((id) => shows(client, id))).toEqual(['a', 'b']);
    create(second, 'c');
    await browser.clock.advance(1_000);
    expect([browser.server.head, shows(first, 'c')]).toEqual([3, 'c']);
  });
});
