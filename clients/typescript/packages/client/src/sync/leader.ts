import type { ConnectionReason, ConnectionSnapshot } from '../api.js';
import { planBatch } from '../connection/batch.js';
import { ConnectionManager } from '../connection/manager.js';
import type { Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import type { ChangesFrame } from '../domain/change.js';
import { CLOSED_SLOTS_EVERY_MS, FRAMES_KEPT_MAX } from '../limits.js';
import type { FrameVerdict, SettledOwn, WholeSnapshot } from '../replica/replica.js';
import type { SlotId } from '../store/store.js';
import type { TransportError } from '../transport/transport-error.js';
import { Beats } from './beats.js';
import { FeedReader, type FeedDriver } from './feed.js';
import type { History } from './history.js';
import { OtherQueues } from './others.js';
import { Settlement } from './settlement.js';
import type { QueueEntry, Sync, SyncParts } from './sync.js';
import { Uploader, type UploadDriver, type UploadItem } from './upload.js';

/** Of operations made before this device heard of any history. */
const NO_EPOCH = '0';

/** The loop of the tab that holds the connection. */
export class Leader implements Sync {
  private readonly manager: ConnectionManager;
  private readonly feed: FeedReader;
  private readonly own: Uploader;
  private readonly otherQueues: OtherQueues;
  /** Loaded when it is needed, which is almost never. */
  private history: Promise<History> | undefined;
  private readonly beats: Beats;
  private readonly settlement: Settlement;
  private attempt: AbortController | undefined;
  private headSeq: Seq = 0;
  private schemaSeen: number | undefined;
  private schemaAsked: number | undefined;
  private progress: ConnectionSnapshot['snapshot'];
  private trouble: ConnectionReason | undefined;
  private doubts = new Set<string>();
  private healing = false;
  private stoppedSending = false;
  private pausedNow: boolean;
  private offlineNow: boolean;
  private stopped = false;
  private cancelRefresh: () => void = () => undefined;
  private readonly ended = new AbortController();

  constructor(private readonly parts: SyncParts) {
    const { platform, transport, replica, store, term } = parts;
    this.pausedNow = parts.paused;
    this.offlineNow = parts.offline;
    const manager = new ConnectionManager(platform, {
      connect: () => {
        this.connect();
      },
      disconnect: () => {
        this.disconnect();
      },
      beat: () => {
        this.beats.beat();
      },
      refreshCredentials: () => {
        transport.refreshCredentials();
      },
      changed: () => {
        if (!this.stopped) parts.listener.connectionChanged();
      },
    });
    this.manager = manager;
    this.feed = new FeedReader(replica, store, term, transport, this.feedDriver());
    const driver = this.uploadDriver();
    const items = () => this.ownItems();
    this.own = new Uploader(parts.ownSlot(), items, transport, platform, driver);
    this.otherQueues = new OtherQueues(store, transport, platform, driver, parts.ownSlot);
    this.settlement = new Settlement(parts, this.otherQueues, this.own);
    this.beats = new Beats(
      platform,
      transport,
      () => replica.replicaId,
      () => replica.position,
      (report) => {
        if (report !== 'lost') {
          if (this.feed.following && replica.whole && report.epoch !== replica.epoch) this.rewound();
          this.headSeq = Math.max(this.headSeq, report.headSeq);
        }
        manager.beat(report);
      },
    );
  }

  get paused(): boolean {
    return this.pausedNow;
  }

  get offline(): boolean {
    return this.offlineNow;
  }

  start(): void {
    if (!this.offlineNow) this.manager.event({ type: 'asked_online' });
    void this.lookAfterOthers();
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.cancelRefresh();
    this.ended.abort(new Error('stopped'));
    this.own.stop();
    this.otherQueues.stop();
    void this.history?.then((history) => {
      history.stop();
    });
    this.settlement.stop();
    this.manager.close();
  }

  queuedHere(): void {
    this.settlement.queued();
    this.own.wake();
    this.parts.listener.queueChanged();
  }

  queuedElsewhere(slotId: SlotId): void {
    void this.otherQueues.load(slotId).catch(() => undefined);
  }

  pause(): void {
    this.pausedNow = true;
    this.parts.listener.queueChanged();
  }

  resume(): void {
    this.pausedNow = false;
    this.wakeQueues();
    this.parts.listener.queueChanged();
  }

  goOnline(): void {
    this.offlineNow = false;
    this.manager.event({ type: 'asked_online' });
  }

  goOffline(): void {
    this.offlineNow = true;
    this.manager.event({ type: 'asked_offline' });
  }

  others(): readonly QueueEntry[] {
    return this.otherQueues.entries();
  }

  status(counter: number): QueueEntry['status'] {
    return this.own.status(counter);
  }

  connection(): ConnectionSnapshot {
    const position = this.parts.replica.position;
    const head = Math.max(this.headSeq, position);
    const pending = this.parts.replica.pending();
    const others = this.otherQueues.entries();
    return this.manager.snapshot(
      {
        feed: { position, head, caughtUp: this.feed.following && position >= head },
        ...(this.progress && { snapshot: this.progress }),
        queue: { pending: pending.length + others.length, paused: this.pausedNow },
        queueMoving: this.settlement.moving,
        storage: this.parts.storage(),
        ...(this.trouble && { trouble: this.trouble }),
      },
      'leader',
    );
  }

  private ownItems(): readonly UploadItem[] {
    const pending = this.parts.replica.pending();
    const unsaved = pending.findIndex((operation) => !operation.saved);
    return unsaved === -1 ? pending : pending.slice(0, unsaved);
  }

  // --- The wire ---

  private connect(): void {
    const attempt = new AbortController();
    this.attempt = attempt;
    void this.readSchemaOnce(attempt.signal).then(async () => {
      if (!attempt.signal.aborted) await this.feed.run(attempt.signal);
    });
  }

  /** Effects on links are told from those on registers by the schema: it comes first. */
  private async readSchemaOnce(signal: AbortSignal): Promise<void> {
    if (this.parts.replica.schema !== undefined) return;
    try {
      this.takeSchema(await this.parts.transport.schema(signal));
    } catch {
      // The feed meets the same failure and says so.
    }
  }

  private disconnect(): void {
    this.attempt?.abort(new Error('disconnected'));
    this.attempt = undefined;
    this.beats.stop();
    this.progress = undefined;
  }

  private feedDriver(): FeedDriver {
    return {
      opened: () => {
        if (this.manager.up) return;
        this.manager.event({ type: 'opened' });
        this.stoppedSending = false;
        if (this.trouble !== 'history_rewound') this.trouble = undefined;
        this.settlement.connected();
        this.beats.start();
        if (this.feed.following) this.reconnected();
        this.parts.listener.connectionChanged();
      },
      heard: () => {
        this.manager.event({ type: 'frame' });
      },
      headIs: (seq) => {
        this.headSeq = Math.max(this.headSeq, seq);
      },
      schemaIs: (version) => {
        this.schemaSeen = version;
        this.readSchema();
      },
      applied: (frame, verdict) => {
        this.applied(frame, verdict);
      },
      adopt: (snapshot, rewound) => this.adopt(snapshot, rewound),
      following: () => {
        this.reconnected();
      },
      snapshot: (chunk) => {
        this.progress = chunk && { received: chunk.sentCount, estimated: chunk.estimatedCount };
        this.parts.listener.connectionChanged();
      },
      broken: () => {
        this.trouble = 'protocol';
      },
      rewound: () => {
        this.trouble = 'history_rewound';
      },
      wentAway: () => {
        this.manager.event({ type: 'went_away' });
      },
      failed: (failure) => {
        this.manager.event({
          type: 'failed',
          kind: failure.kind,
          ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
        });
      },
      room: async () => {
        if (this.parts.saver.unsavedFrames > FRAMES_KEPT_MAX) await this.parts.saver.flushed();
      },
    };
  }

  private reconnected(): void {
    this.own.reconnected();
    this.otherQueues.reconnected();
  }

  private applied(frame: ChangesFrame, verdict: Extract<FrameVerdict, { type: 'applied' }>): void {
    this.parts.saver.frame(this.parts.term, verdict.writes, frame);
    this.settlement.frame(frame, verdict);
    this.parts.listener.viewChanged(verdict.view);
    for (const settled of verdict.settled) this.parts.listener.settled(settled);
    for (const change of frame.changes) {
      for (const effect of change.effects) {
        if (effect.type === 'conflict_changed') this.parts.listener.conflictEvent(effect, change.dot);
      }
    }
    this.wakeQueues();
    this.parts.listener.queueChanged();
    this.parts.listener.connectionChanged();
  }

  private wakeQueues(): void {
    this.own.wake();
    this.otherQueues.wake();
  }

  // --- Starting over ---

  private async adopt(snapshot: WholeSnapshot, rewound: boolean): Promise<void> {
    const { replica, saver, store, term, listener } = this.parts;
    const { epoch, seqInclusive } = snapshot.meta.cursor;
    // A position is this history's own: a queue made before there was any is made again, without a word about it.
    const first = replica.epoch === NO_EPOCH;
    let settled: readonly SettledOwn[] = [];
    const adopted =
      !rewound &&
      (await saver.exclusive(async () => {
        if (replica.pending().some(({ operation }) => operation.context.epoch !== epoch)) return false;
        settled = this.settlement.acceptedUpTo(seqInclusive);
        // At once, so that nothing is made in between; what is made from here on is kept after the snapshot.
        listener.viewChanged(replica.adopt(snapshot));
        await store.finishSnapshot(term, snapshot.meta);
        saver.restart(seqInclusive);
        return true;
      }));
    if (!adopted) {
      await this.replaceHistory(snapshot, !first);
      return;
    }
    this.settlement.adopted(snapshot.meta, settled);
    this.trouble = undefined;
    listener.restarted('snapshot', [], 0);
    listener.queueChanged();
    listener.connectionChanged();
  }

  private async replaceHistory(snapshot: WholeSnapshot, announced: boolean): Promise<void> {
    const { listener } = this.parts;
    this.healing = true;
    try {
      const made = await (await this.loadHistory()).rewound(snapshot);
      this.headSeq = snapshot.meta.cursor.seqInclusive;
      this.settlement.adopted(snapshot.meta, []);
      listener.viewChanged(made.view);
      for (const settled of made.settled) listener.settled(settled);
      listener.restarted(
        announced ? 'history_rewound' : 'replica_changed',
        made.operations,
        announced ? made.count : 0,
      );
      this.trouble = undefined;
    } finally {
      this.healing = false;
    }
    await this.otherQueues.refresh();
    this.beats.restart();
    listener.queueChanged();
    listener.connectionChanged();
  }

  private async loadHistory(): Promise<History> {
    this.history ??= import('./history.js').then(({ History }) => new History(this.parts));
    try {
      const history = await this.history;
      if (this.stopped) history.stop();
      return history;
    } catch (error) {
      // The next attempt loads it again.
      this.history = undefined;
      throw error;
    }
  }

  private rewound(): void {
    if (this.trouble === 'history_rewound') return;
    this.trouble = 'history_rewound';
    this.feed.rewind();
    this.manager.event({ type: 'went_away' });
  }

  /** A single word that a context is ahead is checked before it is believed. */
  private async doubted(receipt: ServerReceipt): Promise<void> {
    const key = `${receipt.dot.replicaId}:${receipt.dot.counter}`;
    try {
      const head = await this.parts.transport.head(this.ended.signal);
      const { epoch, position } = this.parts.replica;
      const fits = head.epoch === epoch && head.seqInclusive >= position;
      if (fits && !this.doubts.has(key)) {
        this.doubts.add(key);
        this.wakeQueues();
        return;
      }
      this.doubts.clear();
      this.rewound();
    } catch {
      // The wire is down or about to be; the operation is sent again when it is up.
    }
  }

  private async forked(slotId: SlotId): Promise<void> {
    if (this.healing || this.stopped) return;
    this.healing = true;
    try {
      const made = await (await this.loadHistory()).forked(slotId);
      if (slotId === this.parts.ownSlot()) this.parts.listener.viewChanged(made.view);
      if (made.rejected.length > 0) this.parts.listener.rejected(made.rejected, true);
      this.parts.listener.restarted('replica_changed', made.operations, made.count);
    } finally {
      this.healing = false;
    }
    await this.otherQueues.refresh();
    this.beats.restart();
    this.reconnected();
    this.parts.listener.queueChanged();
  }

  // --- Queues ---

  private uploadDriver(): UploadDriver {
    const { parts } = this;
    return {
      maySend: () =>
        this.manager.up &&
        this.feed.following &&
        !this.pausedNow &&
        !this.stoppedSending &&
        !this.healing &&
        !this.stopped &&
        this.trouble !== 'history_rewound',
      plan: () => planBatch(this.manager.quality()),
      epoch: () => parts.replica.epoch,
      receipts: (_, receipts) => {
        this.settlement.receipts(receipts);
      },
      abandoned: (_, dot, receipt) => {
        this.settlement.abandoned(dot, receipt);
      },
      historyDoubted: (_, receipt) => {
        void this.doubted(receipt);
      },
      forked: (slotId) => {
        void this.forked(slotId).catch(() => undefined);
      },
      stopped: (failure) => {
        this.sendingRefused(failure);
      },
      changed: () => {
        parts.listener.queueChanged();
      },
    };
  }

  private sendingRefused(failure: TransportError): void {
    this.stoppedSending = true;
    if (failure.kind === 'unauthenticated') {
      // As for the feed: they are asked for again, once for each connection.
      this.manager.event({ type: 'failed', kind: 'unauthenticated' });
      return;
    }
    const reasons = { forbidden: 'forbidden', not_found: 'unknown_workspace' } as const;
    this.trouble = failure.kind === 'forbidden' || failure.kind === 'not_found' ? reasons[failure.kind] : 'protocol';
    this.parts.listener.connectionChanged();
  }

  /** Queues of tabs that closed before they could say that they have something. */
  private async lookAfterOthers(): Promise<void> {
    try {
      await this.otherQueues.refresh();
    } catch {
      // Tried again in a moment.
    }
    if (this.stopped) return;
    this.cancelRefresh = this.parts.platform.clock.after(CLOSED_SLOTS_EVERY_MS, () => {
      void this.lookAfterOthers();
    });
  }

  // --- The schema ---

  private readSchema(): void {
    const { schemaSeen } = this;
    if (schemaSeen === undefined || schemaSeen === this.parts.replica.schema?.version) return;
    if (this.schemaAsked === schemaSeen) return;
    this.schemaAsked = schemaSeen;
    void this.parts.transport
      .schema(this.ended.signal)
      .then((schema) => {
        this.takeSchema(schema);
      })
      .catch(() => undefined)
      .finally(() => {
        this.schemaAsked = undefined;
      });
  }

  private takeSchema(schema: Awaited<ReturnType<SyncParts['transport']['schema']>>): void {
    if (this.stopped) return;
    this.parts.listener.viewChanged(this.parts.replica.setSchema(schema));
    this.settlement.schema(schema);
  }
}
