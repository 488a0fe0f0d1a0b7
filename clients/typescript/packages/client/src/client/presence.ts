import type { LinkQuality, Presence } from '../api.js';
import type { ReplicaId } from '../domain/ids.js';
import type { Emitter } from '../events.js';
import { PRESENCE_EVERY_MS } from '../limits.js';
import type { Platform } from '../platform.js';
import type { PresenceRow, Transport } from '../transport/transport.js';
import { sameData } from './cell.js';

/** What presence needs to know of the rest. */
export interface PresenceHost {
  /** This tab holds a connection that is up. */
  leads(): boolean;
  replicaId(): ReplicaId;
}

/** What presence tells. */
export interface PresenceEvents {
  /** The tab that leads has to ask the server. */
  askLeader(): void;
  changed(presence: readonly Presence[]): void;
}

/** Asks who is there while somebody looks, here or in another tab. */
export class PresenceWatch {
  last: readonly Presence[] = [];
  private watchers = 0;
  private askedUntilMs = -Infinity;
  private running = false;
  private cancelTimer: () => void = () => undefined;
  private readonly ended = new AbortController();

  constructor(
    private readonly platform: Platform,
    private readonly transport: Transport,
    private readonly host: PresenceHost,
    private readonly events: Emitter<PresenceEvents>,
  ) {}

  /** Somebody looks, until the result is called. */
  watch(): () => void {
    this.watchers += 1;
    this.run();
    let over = false;
    return () => {
      if (!over) this.watchers -= 1;
      over = true;
    };
  }

  /** Another tab looks, for a while. */
  asked(): void {
    this.askedUntilMs = this.platform.clock.monotonicMs() + 2 * PRESENCE_EVERY_MS;
    this.run();
  }

  close(): void {
    this.cancelTimer();
    this.ended.abort(new Error('closed'));
  }

  private run(): void {
    if (this.running) return;
    this.running = true;
    void this.next();
  }

  private async next(): Promise<void> {
    const wanted = this.watchers > 0 || this.platform.clock.monotonicMs() < this.askedUntilMs;
    if (this.ended.signal.aborted || !wanted) {
      this.running = false;
      return;
    }
    let delayMs = PRESENCE_EVERY_MS;
    if (this.host.leads()) await this.ask();
    else {
      if (this.watchers > 0) this.events.emit('askLeader');
      // The wire may come up any moment.
      delayMs = PRESENCE_EVERY_MS / 10;
    }
    this.cancelTimer = this.platform.clock.after(delayMs, () => {
      void this.next();
    });
  }

  private async ask(): Promise<void> {
    try {
      const rows = await this.transport.presence(this.ended.signal);
      const own = this.host.replicaId();
      const now = rows.map((row) => presenceOf(row, own));
      if (sameData(now, this.last)) return;
      this.last = now;
      this.events.emit('changed', now);
    } catch {
      // Asked again in a moment.
    }
  }
}

function presenceOf(row: PresenceRow, own: ReplicaId): Presence {
  return {
    connectionId: row.connectionId,
    replicaId: row.replicaId,
    actor: row.actor,
    clientName: row.clientName,
    ...(row.connectTimeMs === undefined ? {} : { connectedAtMs: row.connectTimeMs }),
    self: row.replicaId === own,
    quality: qualityOf(row),
  };
}

/** As the server measures it. */
function qualityOf({ roundTripMs, jitterMs, receivedCount, missedCount }: PresenceRow): LinkQuality {
  const loss = missedCount / Math.max(1, receivedCount + missedCount);
  const measured = roundTripMs === undefined ? {} : { roundTripMs, jitterMs: jitterMs ?? 0 };
  let rating: LinkQuality['rating'] = 'unknown';
  if (roundTripMs !== undefined) {
    if (roundTripMs > 800 || loss > 0.2) rating = 'poor';
    else rating = roundTripMs < 150 && loss < 0.05 ? 'good' : 'fair';
  }
  return { ...measured, loss, stability: 1, rating };
}
