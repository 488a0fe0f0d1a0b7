import type { ConnectionSnapshot, QueueItem, SynclineOptions } from '../api.js';
import type { ClientParts } from './parts.js';
import type { ChangesFrame } from '../domain/change.js';
import type { Dot } from '../domain/ids.js';
import { SynclineError } from '../errors.js';
import { Emitter } from '../events.js';
import { FRAMES_KEPT_MAX, LOAD_RETRY_MS } from '../limits.js';
import type { PendingOperation, Replica, ViewChange } from '../replica/replica.js';
import type { RejectedRow, SlotId, Store, StoreContents, StoreMeta } from '../store/store.js';
import type * as Network from '../sync/leader.js';
import type { SyncEvents } from '../sync/sync.js';
import { Saver, type SaverEvents } from '../sync/saver.js';
import { BrowserTabs, tabNames } from '../tabs/browser-tabs.js';
import type { LeasedSlot, TabMessage } from '../tabs/tabs.js';
import type { Transport } from '../transport/transport.js';
import { Microtask } from './cell.js';
import { Follower } from './follower.js';
import { relayedSyncEvents } from './sync-events.js';
import type { RuntimeEvents } from './runtime-events.js';
import { PresenceWatch, type PresenceEvents, type PresenceHost } from './presence.js';
import { LeaderBroadcaster } from './leader-broadcaster.js';
import { OwnQueue } from './own-queue.js';
import { mergeQueues, queueItem, statusOf } from './queue.js';
import { unconnected } from './unconnected.js';

/** What lives below the client: store, saver, tabs, and the sync loop while this tab leads. */
export class Runtime {
  private store: Store | undefined;
  private saverOrNone: Saver | undefined;
  private tabs: BrowserTabs | undefined;
  private leader: Network.Leader | undefined;
  private follower: Follower | undefined;
  private slotId: SlotId = '';
  private meta: StoreMeta | undefined;
  private storageState: ConnectionSnapshot['storage'] = 'durable';
  private readonly ownQueue: OwnQueue;
  private keptFrames: ChangesFrame[] = [];
  private paused = false;
  private offline: boolean;
  private closed = false;
  private broadcaster: LeaderBroadcaster | undefined;
  private readonly connectionUpdate = new Microtask(() => {
    this.connectionNow();
  });
  private readonly queueUpdate = new Microtask(() => {
    this.queueNow();
  });
  readonly presence: PresenceWatch;

  constructor(
    private readonly options: SynclineOptions,
    private readonly parts: ClientParts,
    private readonly replica: Replica,
    private readonly transport: Transport,
    private readonly events: Emitter<RuntimeEvents>,
  ) {
    this.offline = options.startOffline ?? false;
    this.ownQueue = new OwnQueue(replica, (counter) => this.leader?.status(counter));
    const presenceEvents = new Emitter<PresenceEvents>();
    presenceEvents.onAll({
      askLeader: () => {
        this.tabs?.post({ type: 'ask', what: 'presence' });
      },
      changed: (presence) => {
        this.events.emit('presenceChanged', presence);
        this.tell();
      },
    });
    const host: PresenceHost = {
      leads: () => this.leader !== undefined && this.leader.connection().transport === 'up',
      replicaId: () => replica.replicaId,
    };
    this.presence = new PresenceWatch(parts.platform, transport, host, presenceEvents);
  }

  /** Opens the store and this tab's slot; afterwards reads and writes work. */
  async start(): Promise<void> {
    const { platform } = this.parts;
    const store = await this.parts.openStore(this.options);
    this.store = store;
    this.storageState = store.durability;
    const contents = await store.load();
    // Tabs share what they can share: a store in memory is this tab's alone.
    const scope = this.parts.tabScope?.(this.options) ?? scopeOf(this.options, store, () => platform.random.uuid());
    const tabs = new BrowserTabs(platform, store, tabNames(scope));
    this.tabs = tabs;
    const leased = await tabs.leaseSlot(contents.meta?.cursor.seqInclusive ?? 0);
    if (this.closed) return;
    this.load(contents, leased);
    tabs.subscribe((message) => {
      this.hear(message);
    });
    tabs.campaign((role, term) => {
      if (role === 'leader') void this.lead(term);
      else this.followAgain();
    });
    tabs.post({ type: 'hello' });
  }

  get durability(): 'durable' | 'memory' {
    return this.store?.durability ?? 'memory';
  }

  get saver(): Saver {
    if (this.saverOrNone === undefined) throw new SynclineError('INVALID_MUTATION', 'the client is not ready');
    return this.saverOrNone;
  }

  /** An operation was made. */
  made(pending: PendingOperation): void {
    this.saver.operation(pending);
    this.queueUpdate.schedule();
    this.connectionUpdate.schedule();
  }

  goOnline(): void {
    this.ask('online');
  }

  goOffline(): void {
    this.ask('offline');
  }

  pause(): void {
    this.ask('pause');
  }

  resume(): void {
    this.ask('resume');
  }

  /** Takes back what was never sent, and all that follows it. */
  cancelUnsent(): { readonly rows: readonly RejectedRow[]; readonly view: ViewChange } | undefined {
    const from = this.ownQueue.firstUnsent();
    if (from === undefined) return undefined;
    const { view, rejected } = this.replica.cancelFrom(from, this.parts.platform.clock.nowMs());
    const { slotId, store } = this;
    this.saver.write(async () => {
      await store?.cancelFrom(slotId, from, rejected);
      if (this.leader === undefined) this.tabs?.post({ type: 'cancelled', slotId });
      else this.leader.queuedHere();
    });
    return { rows: rejected, view };
  }

  dismiss(dots: readonly Dot[]): Promise<void> {
    const { store } = this;
    return new Promise((resolve) => {
      this.saver.write(async () => {
        await store?.dismissRejected(dots);
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    this.broadcaster?.stop();
    this.presence.close();
    this.follower?.close();
    this.leader?.stop();
    await this.saverOrNone?.flushed();
    this.saverOrNone?.close();
    await this.tabs?.close();
    this.transport.close();
    await this.store?.close();
  }

  // --- Roles ---

  private load(contents: StoreContents, leased: LeasedSlot): void {
    const { store } = this;
    if (store === undefined) return;
    const { slot, pending, rejected } = leased.contents;
    this.slotId = slot.slotId;
    this.meta = contents.meta;
    const view = this.replica.load(contents, leased.contents);
    this.ownQueue.loaded(pending);
    this.saverOrNone = new Saver(store, this.parts.platform.clock, this.saverEvents(), slot, leased.stored, () =>
      this.replica.pending().filter((operation) => !operation.saved),
    );
    this.saverOrNone.restart(contents.meta?.cursor.seqInclusive ?? 0);
    this.events.emit('rejectedLoaded', rejected);
    this.events.emit('viewChanged', view);
    this.queueUpdate.schedule();
    this.connectionUpdate.schedule();
  }

  private async lead(term: number): Promise<void> {
    const { store, tabs } = this;
    if (store === undefined || tabs === undefined || this.closed) return;
    const follower = this.follower;
    this.follower = undefined;
    if (follower !== undefined) {
      // Frames may be on their way that are kept already: the store is the truth.
      await follower.reload('snapshot').catch(() => undefined);
      this.meta = follower.meta ?? this.meta;
      follower.close();
      if (this.closed || tabs.term !== term || tabs.role !== 'leader') return;
    }
    const { platform } = this.parts;
    const network = await this.loadNetwork();
    if (network === undefined || tabs.term !== term || tabs.role !== 'leader') return;
    this.leader = new network.Leader({
      platform,
      store,
      transport: this.transport,
      replica: this.replica,
      createReplica: () => this.parts.createReplica(this.options.workspace, this.options.schema),
      saver: this.saver,
      term,
      ownSlot: () => this.slotId,
      storage: () => this.storageState,
      events: this.syncEvents(term, tabs),
      meta: this.meta,
      paused: this.paused,
      offline: this.offline,
    });
    this.leader.start();
    const { leader } = this;
    this.broadcaster?.stop();
    this.broadcaster = new LeaderBroadcaster(platform.clock, () => {
      if (this.leader === leader) this.say(leader, tabs);
    });
    this.connectionUpdate.schedule();
    this.queueUpdate.schedule();
  }

  /** The events of this tab's loop while it leads, passed on and taken in. */
  private syncEvents(term: number, tabs: BrowserTabs): Emitter<SyncEvents> {
    const { events, replica } = this;
    const sync = relayedSyncEvents({ term, tabs, events, replicaId: () => replica.replicaId });
    sync.on('restarted', () => {
      // Frames kept for other tabs belong to what was replaced.
      this.keptFrames = [];
    });
    sync.on('connectionChanged', () => {
      this.connectionUpdate.schedule();
    });
    sync.on('queueChanged', () => {
      this.queueUpdate.schedule();
      this.connectionUpdate.schedule();
    });
    return sync;
  }

  /**
   * What it takes to talk to a server comes after what it takes to show and to edit; undefined when the client was
   * closed before it came.
   */
  private async loadNetwork(): Promise<typeof Network | undefined> {
    for (;;) {
      try {
        const network = await import('../sync/leader.js');
        return this.closed ? undefined : network;
      } catch {
        if (this.closed) return undefined;
        // A page that was loaded just before the network went: the rest of it comes when the network does.
        await new Promise<void>((resolve) => {
          this.parts.platform.clock.after(LOAD_RETRY_MS, resolve);
        });
      }
    }
  }

  private followAgain(): void {
    this.leader?.stop();
    this.leader = undefined;
    this.broadcaster?.stop();
    this.broadcaster = undefined;
    this.saverOrNone?.dropFrames();
    this.keptFrames = [];
    this.follow();
    this.connectionUpdate.schedule();
  }

  /** What a follower does; made when the first word of a leader comes. */
  private follow(): Follower | undefined {
    const { store, tabs } = this;
    if (store === undefined || tabs === undefined || this.closed || this.leader !== undefined) return undefined;
    this.follower ??= new Follower({
      store,
      tabs,
      platform: this.parts.platform,
      replica: this.replica,
      saver: this.saver,
      slotId: this.slotId,
      events: this.events,
      told: () => {
        this.paused = this.follower?.told?.connection.queue.paused ?? this.paused;
        this.connectionUpdate.schedule();
        this.queueUpdate.schedule();
      },
    });
    return this.follower;
  }

  private hear(message: TabMessage): void {
    const { leader } = this;
    if (leader === undefined) {
      if ('term' in message) this.follow()?.hear(message);
      return;
    }
    switch (message.type) {
      case 'need':
        this.send(message.fromSeqExclusive);
        break;
      case 'queued':
      case 'cancelled':
        leader.queuedElsewhere(message.slotId);
        break;
      case 'ask':
        if (message.what === 'presence') this.presence.asked();
        else this.ask(message.what);
        break;
      case 'hello':
        this.broadcaster?.now();
        break;
      case 'leader':
      case 'frame':
      case 'accepted':
      case 'rejected':
      case 'reload':
      case 'conflict':
        break;
    }
  }

  private ask(what: 'online' | 'offline' | 'pause' | 'resume'): void {
    const { leader } = this;
    if (leader === undefined) this.tabs?.post({ type: 'ask', what });
    switch (what) {
      case 'online':
        this.offline = false;
        leader?.goOnline();
        break;
      case 'offline':
        this.offline = true;
        leader?.goOffline();
        break;
      case 'pause':
        this.paused = true;
        leader?.pause();
        break;
      case 'resume':
        this.paused = false;
        leader?.resume();
        break;
    }
    this.connectionUpdate.schedule();
    this.queueUpdate.schedule();
    this.tell();
  }

  /** Frames that another tab misses, or the word that they are gone. */
  private send(fromSeqExclusive: number): void {
    const at = this.keptFrames.findIndex((frame) => frame.fromSeqExclusive === fromSeqExclusive);
    const { tabs } = this;
    if (tabs === undefined) return;
    const frames = at === -1 ? [] : this.keptFrames.slice(at);
    if (frames.length === 0 && this.replica.position > fromSeqExclusive) {
      tabs.post({ type: 'reload', term: tabs.term, cause: 'snapshot' });
    }
    for (const frame of frames) tabs.post({ type: 'frame', term: tabs.term, frame });
  }

  // --- What others tell ---

  private saverEvents(): Emitter<SaverEvents> {
    const saver = new Emitter<SaverEvents>();
    saver.onAll({
      saved: (dots) => {
        this.events.emit('viewChanged', this.replica.markSaved(dots));
        this.events.emit('saved', dots, this.durability);
        if (this.leader === undefined) this.tabs?.post({ type: 'queued', slotId: this.slotId });
        else this.leader.queuedHere();
        this.queueUpdate.schedule();
      },
      notSaved: (dots, cause) => {
        const error = new SynclineError('NOT_SAVED', cause.message, undefined, { cause });
        this.events.emit('notSaved', dots, error);
      },
      framesKept: (frames) => {
        const { tabs } = this;
        if (tabs === undefined || this.leader === undefined) return;
        this.keptFrames = [...this.keptFrames, ...frames].slice(-FRAMES_KEPT_MAX);
        for (const frame of frames) tabs.post({ type: 'frame', term: tabs.term, frame });
      },
      fenced: () => {
        this.tabs?.resign();
      },
      slotReplaced: () => {
        void this.follow()
          ?.reload('replica_changed')
          .catch(() => undefined);
      },
      storage: (state) => {
        const now = state === 'full' ? 'full' : this.durability;
        if (now === this.storageState) return;
        this.storageState = now;
        this.connectionUpdate.schedule();
      },
    });
    return saver;
  }

  // --- What is shown of connection and queue ---

  private connectionNow(): void {
    if (this.closed) return;
    this.events.emit('connectionChanged', this.connection());
    this.tell();
  }

  connection(): ConnectionSnapshot {
    if (this.leader !== undefined) return this.leader.connection();
    const told = this.follower?.told?.connection;
    const { position } = this.replica;
    const pending = this.replica.pending().length;
    if (told === undefined) return unconnected(this.offline, position, pending, this.storageState);
    const head = Math.max(told.feed.head, position);
    return {
      ...told,
      feed: { position, head, caughtUp: told.feed.caughtUp && position >= told.feed.position },
      queue: { ...told.queue, pending: Math.max(pending, told.queue.pending) },
      role: 'follower',
      storage: this.storageState,
    };
  }

  private queueNow(): void {
    if (this.closed) return;
    this.events.emit('queueChanged', this.queueItems(), this.paused);
    this.tell();
  }

  private queueItems(): readonly QueueItem[] {
    const own = this.ownQueue.items();
    if (this.leader === undefined) {
      return mergeQueues(this.follower?.told?.queue ?? [], own, this.replica.replicaId);
    }
    const others = this.leader.others().map(({ pending, status }) => {
      const { operation, bytes } = pending;
      return queueItem(operation, bytes.length, statusOf(pending, status, true), false);
    });
    return [...own, ...others];
  }

  // --- The leader's word ---

  private tell(): void {
    this.broadcaster?.tell();
  }

  private say(leader: Network.Leader, tabs: BrowserTabs): void {
    tabs.post({
      type: 'leader',
      term: tabs.term,
      position: this.saver.position,
      connection: leader.connection(),
      queue: this.queueItems(),
      presence: this.presence.last,
    });
  }
}

function scopeOf(options: SynclineOptions, store: Store, unique: () => string): string {
  const name = `syncline/${options.url}/${options.workspace}/${options.profile ?? 'default'}`;
  return store.durability === 'durable' ? name : `${name}/${unique()}`;
}
