import type { ConnectionSnapshot } from '../api.js';
import { planBatch } from '../connection/batch.js';
import { ConnectionManager, type ConnectionEvents } from '../connection/manager.js';
import type { Seq } from '../domain/ids.js';
import { Emitter } from '../events.js';
import type { ChangesFrame } from '../domain/change.js';
import { CLOSED_SLOTS_EVERY_MS, FRAMES_KEPT_MAX, STREAM_DOUBT_MS } from '../limits.js';
import type { FrameVerdict } from '../replica/replica.js';
import type { SlotId } from '../store/store.js';
import type { TransportError } from '../transport/transport-error.js';
import { Heartbeats } from './heartbeats.js';
import { FeedReader, type FeedEvents, type FeedHost } from './feed.js';
import { OtherQueues } from './others.js';
import { SchemaWatch } from './schema-watch.js';
import { Settlement } from './settlement.js';
import { Recovery } from './recovery.js';
import type { QueueEntry, Sync, SyncParts } from './sync.js';
import { Uploader, type UploadEvents, type UploadRules, type UploadItem } from './upload.js';

/** The loop of the tab that holds the connection. */
export class Leader implements Sync {
  private readonly manager: ConnectionManager;
  private readonly feed: FeedReader;
  private readonly own: Uploader;
  private readonly otherQueues: OtherQueues;
  private readonly over: Recovery;
  private readonly heartbeats: Heartbeats;
  private readonly settlement: Settlement;
  private attempt: AbortController | undefined;
  private headSeq: Seq = 0;
  private readonly schema: SchemaWatch;
  private progress: ConnectionSnapshot['snapshot'];
  private server: ConnectionSnapshot['server'];
  private stoppedSending = false;
  private pausedNow: boolean;
  private offlineNow: boolean;
  private stopped = false;
  private cancelRefresh: () => void = () => undefined;
  private cancelDoubt: () => void = () => undefined;
  private readonly ended = new AbortController();

  constructor(private readonly parts: SyncParts) {
    const { platform, transport, replica, store, term } = parts;
    this.pausedNow = parts.paused;
    this.offlineNow = parts.offline;
    const connection = new Emitter<ConnectionEvents>();
    connection.onAll({
      connect: () => {
        this.connect();
      },
      disconnect: () => {
        this.disconnect();
      },
      heartbeat: () => {
        this.heartbeats.heartbeat();
      },
      refreshCredentials: () => {
        transport.refreshCredentials();
      },
      changed: () => {
        if (!this.stopped) parts.events.emit('connectionChanged');
      },
    });
    const manager = new ConnectionManager(platform, connection);
    this.manager = manager;
    this.feed = new FeedReader(replica, store, term, transport, this.feedHost(), this.feedEvents());
    const [rules, events] = [this.uploadRules(), this.uploadEvents()];
    const items = () => this.ownItems();
    this.own = new Uploader(parts.ownSlot(), items, transport, platform, rules, events);
    this.otherQueues = new OtherQueues(store, transport, platform, rules, events, parts.ownSlot);
    this.settlement = new Settlement(parts, this.otherQueues, this.own);
    this.schema = new SchemaWatch(parts, this.ended.signal, (schema) => {
      this.settlement.schema(schema);
    });
    this.over = new Recovery(parts, {
      others: this.otherQueues,
      settlement: this.settlement,
      headIs: (seq) => {
        this.headSeq = seq;
      },
      takeNewHistory: () => {
        this.feed.rewind();
        manager.event({ type: 'went_away' });
      },
      restartHeartbeats: () => {
        this.heartbeats.restart();
      },
      reconnected: () => {
        this.reconnected();
      },
      wakeQueues: () => {
        this.wakeQueues();
      },
    });
    this.heartbeats = new Heartbeats(
      platform,
      transport,
      () => replica.replicaId,
      () => replica.position,
      (report) => {
        if (report !== 'lost') {
          if (this.feed.following && replica.whole && report.epoch !== replica.epoch) this.over.rewound();
          this.headSeq = Math.max(this.headSeq, report.headSeq);
        }
        manager.heartbeat(report);
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
    this.over.stop();
    this.settlement.stop();
    this.manager.close();
  }

  queuedHere(): void {
    this.settlement.queued();
    this.own.wake();
    this.parts.events.emit('queueChanged');
  }

  queuedElsewhere(slotId: SlotId): void {
    void this.otherQueues.load(slotId).catch(() => undefined);
  }

  pause(): void {
    this.pausedNow = true;
    this.parts.events.emit('queueChanged');
  }

  resume(): void {
    this.pausedNow = false;
    this.wakeQueues();
    this.parts.events.emit('queueChanged');
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
        ...(this.server && { server: this.server }),
        ...(this.over.trouble && { trouble: this.over.trouble }),
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
    this.cancelDoubt = this.parts.platform.clock.after(STREAM_DOUBT_MS, () => {
      void this.parts.transport.head(attempt.signal).then(
        () => {
          if (!attempt.signal.aborted) this.manager.event({ type: 'reached' });
        },
        () => undefined,
      );
    });
    void this.schema.readFirst(attempt.signal).then(async () => {
      if (!attempt.signal.aborted) await this.feed.run(attempt.signal);
    });
  }

  private disconnect(): void {
    this.attempt?.abort(new Error('disconnected'));
    this.attempt = undefined;
    this.cancelDoubt();
    this.heartbeats.stop();
    this.progress = undefined;
  }

  private feedEvents(): Emitter<FeedEvents> {
    const feed = new Emitter<FeedEvents>();
    feed.onAll({
      opened: () => {
        this.cancelDoubt();
        if (this.manager.up) return;
        this.manager.event({ type: 'opened' });
        this.stoppedSending = false;
        if (this.over.trouble !== 'history_rewound') this.over.trouble = undefined;
        this.settlement.connected();
        this.heartbeats.start();
        if (this.feed.following) this.reconnected();
        this.parts.events.emit('connectionChanged');
      },
      heard: () => {
        this.manager.event({ type: 'frame' });
      },
      headIs: (seq) => {
        this.headSeq = Math.max(this.headSeq, seq);
      },
      schemaIs: (version) => {
        this.schema.versionIs(version);
      },
      applied: (frame, verdict) => {
        this.applied(frame, verdict);
      },
      following: () => {
        this.reconnected();
      },
      snapshot: (progress) => {
        this.progress = progress;
        this.parts.events.emit('connectionChanged');
      },
      serverIs: (server) => {
        this.server = server;
        this.parts.events.emit('connectionChanged');
      },
      updateNeeded: () => {
        this.parts.events.emit('updateNeeded');
      },
      broken: () => {
        this.over.trouble = 'protocol';
      },
      rewound: () => {
        this.over.trouble = 'history_rewound';
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
    });
    return feed;
  }

  private feedHost(): FeedHost {
    return {
      adopt: (snapshot, rewound) => this.over.adopt(snapshot, rewound),
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
    this.parts.events.emit('viewChanged', verdict.view);
    for (const settled of verdict.settled) this.parts.events.emit('settled', settled);
    for (const change of frame.changes) {
      for (const effect of change.effects) {
        if (effect.type === 'conflict_changed') this.parts.events.emit('conflictEvent', effect, change.dot);
      }
    }
    this.wakeQueues();
    this.parts.events.emit('queueChanged');
    this.parts.events.emit('connectionChanged');
  }

  private wakeQueues(): void {
    this.own.wake();
    this.otherQueues.wake();
  }

  // --- Queues ---

  private uploadRules(): UploadRules {
    const { parts } = this;
    return {
      maySend: () =>
        this.manager.up &&
        this.feed.following &&
        !this.pausedNow &&
        !this.stoppedSending &&
        !this.over.healing &&
        !this.stopped &&
        this.over.trouble !== 'history_rewound',
      plan: () => planBatch(this.manager.quality()),
      epoch: () => parts.replica.epoch,
    };
  }

  private uploadEvents(): Emitter<UploadEvents> {
    const upload = new Emitter<UploadEvents>();
    upload.onAll({
      receipts: (_, receipts) => {
        this.settlement.receipts(receipts);
      },
      abandoned: (_, dot, receipt) => {
        this.settlement.abandoned(dot, receipt);
      },
      historyDoubted: (_, receipt) => {
        void this.over.doubted(receipt);
      },
      forked: (slotId) => {
        void this.over.forked(slotId).catch(() => undefined);
      },
      outdated: () => {
        this.stoppedSending = true;
        this.over.trouble = 'update_needed';
        this.parts.events.emit('updateNeeded');
        this.parts.events.emit('connectionChanged');
      },
      stopped: (failure) => {
        this.sendingRefused(failure);
      },
      changed: () => {
        this.parts.events.emit('queueChanged');
      },
    });
    return upload;
  }

  private sendingRefused(failure: TransportError): void {
    this.stoppedSending = true;
    if (failure.kind === 'unauthenticated') {
      // As for the feed: they are asked for again, once for each connection.
      this.manager.event({ type: 'failed', kind: 'unauthenticated' });
      return;
    }
    const reasons = { forbidden: 'forbidden', not_found: 'unknown_workspace' } as const;
    this.over.trouble =
      failure.kind === 'forbidden' || failure.kind === 'not_found' ? reasons[failure.kind] : 'protocol';
    this.parts.events.emit('connectionChanged');
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
}
