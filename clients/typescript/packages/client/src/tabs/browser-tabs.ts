import { Emitter } from '../events.js';
import type { Seq } from '../domain/ids.js';
import { LEADER_SILENT_MS } from '../limits.js';
import type { Channel, Platform } from '../platform.js';
import type { SlotContents, SlotId, Store } from '../store/store.js';
import { acquire, type HeldLock } from './held-lock.js';
import type { LeasedSlot, TabMessage, TabMessageBody, TabNames, Tabs } from './tabs.js';

/** The names for a store. */
export function tabNames(store: string): TabNames {
  return { leaderLock: `${store}/leader`, slotLock: (slotId) => `${store}/slot/${slotId}`, channel: `${store}/tabs` };
}

/** Tabs of one browser, by locks and a channel (SPEC.md, §10). With a store of its own a tab is alone and leads. */
export class BrowserTabs implements Tabs {
  role: 'leader' | 'follower' = 'follower';
  term = 0;
  readonly tab: string;
  private readonly channel: Channel<TabMessage>;
  private readonly events = new Emitter<{ message(message: TabMessage): void }>();
  private readonly held: HeldLock[] = [];
  private onRole: (role: 'leader' | 'follower', term: number) => void = () => undefined;
  private lead: HeldLock | undefined;
  private waiting: AbortController | undefined;
  private newestTerm = 0;
  private heardLeaderAtMs = 0;
  private cancelWatch: () => void = () => undefined;
  private readonly unwatchPage: () => void;
  private closed = false;

  constructor(
    private readonly platform: Platform,
    private readonly store: Store,
    private readonly names: TabNames,
  ) {
    this.tab = platform.random.uuid();
    this.channel = platform.channel<TabMessage>(names.channel);
    this.channel.subscribe((message) => {
      this.hear(message);
    });
    this.unwatchPage = platform.page.subscribe(() => {
      // A tab that slept heard nothing, whether or not the leader spoke.
      this.heardLeaderAtMs = platform.clock.monotonicMs();
    });
  }

  async leaseSlot(position: Seq): Promise<LeasedSlot> {
    const rows = await this.store.slots();
    const fitting = rows.filter((slot) => slot.lastBaseSeq <= position).map((slot) => slot.slotId);
    const mine = this.platform.memory.get(this.memoryKey);
    if (mine !== undefined && fitting.includes(mine)) {
      const leased = await this.lease(mine);
      if (leased !== undefined) return leased;
    }
    for (const slotId of await this.byQueue(fitting)) {
      const leased = await this.lease(slotId);
      if (leased !== undefined) return leased;
    }
    const slotId = this.platform.random.uuid();
    const lock = await acquire(this.platform.locks, this.names.slotLock(slotId), 'try');
    if (lock !== undefined) this.held.push(lock);
    this.platform.memory.set(this.memoryKey, slotId);
    const replicaId = this.platform.random.uuid();
    const slot = { slotId, replicaId, nextCounter: 1, lastBaseSeq: 0, lastSettledCounter: 0 };
    return { contents: { slot, pending: [], rejected: [] }, stored: false };
  }

  post(message: TabMessageBody): void {
    if (!this.closed) this.channel.post({ ...message, v: 1, tab: this.tab } as TabMessage);
  }

  subscribe(listener: (message: TabMessage) => void): () => void {
    return this.events.on('message', listener);
  }

  campaign(onRole: (role: 'leader' | 'follower', term: number) => void): void {
    this.onRole = onRole;
    this.heardLeaderAtMs = this.platform.clock.monotonicMs();
    void this.wait();
    this.watch();
  }

  resign(): void {
    const lead = this.lead;
    if (lead === undefined) return;
    this.lead = undefined;
    lead.release();
    this.become('follower', this.newestTerm);
    void this.wait();
  }

  close(): Promise<void> {
    this.closed = true;
    this.cancelWatch();
    this.unwatchPage();
    this.waiting?.abort(new Error('closed'));
    this.lead?.release();
    for (const lock of this.held) lock.release();
    this.channel.close();
    return Promise.resolve();
  }

  private get memoryKey(): string {
    return this.names.channel;
  }

  /** Slots with the oldest operation first, then those with rejected operations, then the others. */
  private async byQueue(slotIds: readonly SlotId[]): Promise<readonly SlotId[]> {
    const oldest = new Map<SlotId, number>();
    for (const slotId of slotIds) {
      const { pending, rejected } = await this.store.loadSlot(slotId);
      const withoutQueue = rejected.length > 0 ? Number.MAX_SAFE_INTEGER : Infinity;
      oldest.set(slotId, pending[0]?.operation.clientTimeMs ?? withoutQueue);
    }
    return [...slotIds].sort((a, b) => {
      const [first, second] = [oldest.get(a) ?? Infinity, oldest.get(b) ?? Infinity];
      return first === second ? 0 : first - second;
    });
  }

  private async lease(slotId: SlotId): Promise<LeasedSlot | undefined> {
    const lock = await acquire(this.platform.locks, this.names.slotLock(slotId), 'try');
    if (lock === undefined) return undefined;
    let contents: SlotContents;
    try {
      contents = await this.store.loadSlot(slotId);
    } catch (error) {
      lock.release();
      throw error;
    }
    this.held.push(lock);
    this.platform.memory.set(this.memoryKey, slotId);
    return { contents, stored: true };
  }

  /** Waits for the lead. */
  private async wait(): Promise<void> {
    this.waiting?.abort(new Error('again'));
    const waiting = new AbortController();
    this.waiting = waiting;
    const lock = await acquire(this.platform.locks, this.names.leaderLock, 'wait', waiting.signal);
    if (lock !== undefined) await this.got(lock);
  }

  /** Takes the lead from one that does not answer. */
  private async steal(): Promise<void> {
    this.waiting?.abort(new Error('stealing'));
    const lock = await acquire(this.platform.locks, this.names.leaderLock, 'steal');
    if (lock !== undefined) await this.got(lock);
  }

  private async got(lock: HeldLock): Promise<void> {
    if (this.closed || this.lead !== undefined) {
      lock.release();
      return;
    }
    this.lead = lock;
    lock.lost.addEventListener('abort', () => {
      if (this.lead === lock && !this.closed) this.resign();
    });
    try {
      const term = await this.store.nextTerm();
      if (this.lead === lock && !this.closed) this.become('leader', term);
    } catch {
      if (this.lead !== lock) return;
      // The store is busy or full: nobody can lead yet.
      this.lead = undefined;
      lock.release();
      this.platform.clock.after(LEADER_SILENT_MS, () => {
        if (!this.closed) void this.wait();
      });
    }
  }

  private become(role: 'leader' | 'follower', term: number): void {
    this.role = role;
    this.term = term;
    this.newestTerm = Math.max(this.newestTerm, term);
    this.heardLeaderAtMs = this.platform.clock.monotonicMs();
    this.onRole(role, term);
  }

  private hear(message: TabMessage): void {
    if (this.closed || message.v !== 1) return;
    if ('term' in message) {
      if (message.term < this.newestTerm) return;
      this.newestTerm = message.term;
      this.heardLeaderAtMs = this.platform.clock.monotonicMs();
      if (this.lead !== undefined && this.role === 'leader' && message.term > this.term) this.resign();
    }
    this.events.emit('message', message);
  }

  /** A visible follower looks whether the leader still speaks. */
  private watch(): void {
    if (this.closed) return;
    const { clock, page, random } = this.platform;
    const silentMs = clock.monotonicMs() - this.heardLeaderAtMs;
    if (this.lead === undefined && page.visible() && silentMs >= LEADER_SILENT_MS) {
      this.heardLeaderAtMs = clock.monotonicMs();
      void this.steal();
    }
    // Not all followers at the same moment.
    this.cancelWatch = clock.after((LEADER_SILENT_MS / 5) * (1 + random.unit()), () => {
      this.watch();
    });
  }
}
