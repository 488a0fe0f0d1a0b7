import type { Emitter } from '../events.js';
import type { ConnectionSnapshot, ConnectionState, LinkQuality } from '../api.js';
import { TROUBLE_SHOWN_AFTER_MS } from '../limits.js';
import type { Platform } from '../platform.js';
import type { HeartbeatReport } from '../transport/transport.js';
import type { ConnectionEvent, ConnectionModel, SummaryInput } from './connection.js';
import { initialModel, step, wakeAtMs } from './machine.js';
import { QualityMeter } from './quality.js';
import { summarize } from './summary.js';

/** What the manager has done by others. */
export interface ConnectionEvents {
  connect(): void;
  disconnect(): void;
  heartbeat(): void;
  refreshCredentials(): void;
  /** Something of the snapshot may have changed. */
  changed(): void;
}

/** What the rest of the client contributes to the snapshot. */
export type ConnectionInput = Pick<SummaryInput, 'queueMoving' | 'trouble'> &
  Pick<ConnectionSnapshot, 'feed' | 'queue' | 'storage' | 'snapshot' | 'server'>;

/** Drives the machine with the clock, the life of the page and whatever the feed and the heartbeats report. */
export class ConnectionManager {
  private model: ConnectionModel;
  private readonly meter = new QualityMeter();
  private cancelTimer: () => void = () => undefined;
  private cancelRefresh: () => void = () => undefined;
  private readonly unsubscribe: () => void;
  private visible: boolean;
  private shown: Pick<ConnectionSnapshot, 'state' | 'reason'> = { state: 'online' };
  private troubleSinceMs: number | undefined;
  private behindSinceMs: number | undefined;

  constructor(
    private readonly platform: Platform,
    private readonly events: Emitter<ConnectionEvents>,
  ) {
    const { page } = platform;
    this.model = initialModel(page.online());
    this.visible = page.visible();
    this.unsubscribe = page.subscribe(() => {
      this.look();
    });
  }

  get phase(): ConnectionModel['phase'] {
    return this.model.phase;
  }

  /** Up and told so by a frame. */
  get up(): boolean {
    return this.model.phase.type === 'up';
  }

  /** The server's first frame after this was before anything was made that waits since. */
  get upSinceMs(): number | undefined {
    return this.model.phase.type === 'up' ? this.model.phase.sinceMs : undefined;
  }

  quality(): LinkQuality {
    return this.meter.snapshot(this.platform.clock.monotonicMs());
  }

  heartbeat(report: HeartbeatReport | 'lost'): void {
    if (report === 'lost') {
      this.meter.lost();
      this.events.emit('changed');
      return;
    }
    this.meter.answered(report.roundTripMs);
    this.event({ type: 'heartbeat', report });
  }

  event(event: ConnectionEvent): void {
    const nowMs = this.platform.clock.monotonicMs();
    const { model, commands } = step(this.model, event, nowMs, this.platform.random.unit());
    const before = this.model;
    this.model = model;
    if (model.phase.type === 'up' || model.phase.type === 'down') this.meter.fine(nowMs);
    else if (before.everUp || before.failures > 0) this.meter.broken(nowMs);
    this.schedule(nowMs);
    for (const command of commands) {
      switch (command.type) {
        case 'connect':
          this.events.emit('connect');
          break;
        case 'disconnect':
          this.events.emit('disconnect');
          break;
        case 'heartbeat':
          this.events.emit('heartbeat');
          break;
        case 'refresh_credentials':
          this.events.emit('refreshCredentials');
          break;
      }
    }
    if (event.type !== 'frame' || before.phase.type !== model.phase.type) this.events.emit('changed');
  }

  close(): void {
    this.unsubscribe();
    this.event({ type: 'closed' });
    this.cancelTimer();
    this.cancelRefresh();
  }

  /** The state in a word, with everything behind it. */
  snapshot(input: ConnectionInput, role: ConnectionSnapshot['role']): ConnectionSnapshot {
    const { clock } = this.platform;
    const nowMs = clock.monotonicMs();
    const { phase, failures } = this.model;
    const quality = this.meter.snapshot(nowMs);
    this.behindSinceMs = input.feed.caughtUp ? undefined : (this.behindSinceMs ?? nowMs);
    const behindMs = this.behindSinceMs === undefined ? 0 : nowMs - this.behindSinceMs;
    const word = summarize({
      phase,
      ...(this.model.reason && { reason: this.model.reason }),
      everUp: this.model.everUp,
      caughtUp: behindMs < TROUBLE_SHOWN_AFTER_MS,
      snapshotting: input.snapshot !== undefined,
      queuePending: input.queue.pending,
      queueMoving: input.queueMoving,
      paused: input.queue.paused,
      quality,
      storage: input.storage,
      ...(input.trouble && { trouble: input.trouble }),
    });
    const before = this.shown;
    this.show(word, nowMs);
    this.refreshLater(nowMs, before.state !== this.shown.state || before.reason !== this.shown.reason);
    return {
      ...this.shown,
      transport: phase.type,
      feed: input.feed,
      ...(input.snapshot && { snapshot: input.snapshot }),
      queue: input.queue,
      quality,
      ...(phase.type === 'waiting' && { nextAttemptAtMs: Math.round(clock.nowMs() + phase.untilMs - nowMs) }),
      failures,
      breaker: breakerOf(this.model),
      role,
      storage: input.storage,
      ...(input.server && { server: input.server }),
    };
  }

  /** A word other than `online` is shown only when it lasts. */
  private show(word: { readonly state: ConnectionState } & Pick<ConnectionSnapshot, 'reason'>, nowMs: number): void {
    if (word.state === 'online') {
      this.troubleSinceMs = undefined;
      this.shown = word;
      return;
    }
    this.troubleSinceMs ??= nowMs;
    const lasted = nowMs - this.troubleSinceMs >= TROUBLE_SHOWN_AFTER_MS;
    if (lasted || this.shown.state !== 'online') this.shown = word;
  }

  /** Looks again when what is held back would be shown, or at once when the word has `turned`. */
  private refreshLater(nowMs: number, turned: boolean): void {
    this.cancelRefresh();
    if (turned && !this.closed) {
      // Several look at this, each on occasions of its own: whoever looked first knows it, and the others are told.
      this.cancelRefresh = this.platform.clock.after(0, () => {
        this.events.emit('changed');
      });
      return;
    }
    const heldBack =
      this.troubleSinceMs !== undefined && this.shown.state === 'online' ? this.troubleSinceMs : undefined;
    const behind =
      this.behindSinceMs !== undefined && nowMs - this.behindSinceMs < TROUBLE_SHOWN_AFTER_MS
        ? this.behindSinceMs
        : undefined;
    const from = Math.min(heldBack ?? Infinity, behind ?? Infinity);
    if (from === Infinity || this.closed) return;
    this.cancelRefresh = this.platform.clock.after(Math.max(1, from + TROUBLE_SHOWN_AFTER_MS - nowMs), () => {
      this.events.emit('changed');
    });
  }

  private get closed(): boolean {
    return this.model.phase.type === 'down' && this.model.phase.reason === 'closed';
  }

  private schedule(nowMs: number): void {
    this.cancelTimer();
    const atMs = wakeAtMs(this.model, nowMs);
    if (atMs === undefined) return;
    this.cancelTimer = this.platform.clock.after(Math.max(0, Math.ceil(atMs - nowMs)), () => {
      this.event({ type: 'timer' });
    });
  }

  /** The page or its network changed. */
  private look(): void {
    const { page } = this.platform;
    const online = page.online();
    if (online !== this.model.network) this.event({ type: online ? 'network_online' : 'network_offline' });
    const visible = page.visible();
    // A thaw is told without a change of visibility: a visible page looks after its link then, too.
    if (visible) this.event({ type: 'page_visible' });
    else if (this.visible) this.event({ type: 'page_hidden' });
    this.visible = visible;
  }
}

function breakerOf({ phase }: ConnectionModel): ConnectionSnapshot['breaker'] {
  if (phase.type === 'waiting' && phase.breakerOpen) return 'open';
  return phase.type === 'connecting' && phase.probing ? 'probing' : 'closed';
}
