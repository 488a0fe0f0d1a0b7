import { backoffMs } from '../connection/machine.js';
import type { ReplicaId, Seq } from '../domain/ids.js';
import type { Platform } from '../platform.js';
import type { HeartbeatReport, HeartbeatSession, Transport } from '../transport/transport.js';

/** Keeps a presence lease while the wire is up. A lease that is lost is taken again; the feed decides about the wire. */
export class Heartbeats {
  private attempt: AbortController | undefined;
  private session: HeartbeatSession | undefined;

  constructor(
    private readonly platform: Platform,
    private readonly transport: Transport,
    private readonly replicaId: () => ReplicaId,
    private readonly position: () => Seq,
    private readonly on: (report: HeartbeatReport | 'lost') => void,
  ) {}

  start(): void {
    this.stop();
    const attempt = new AbortController();
    this.attempt = attempt;
    void this.run(attempt.signal);
  }

  /** Under another replica, if it runs. */
  restart(): void {
    if (this.attempt !== undefined) this.start();
  }

  /** Heartbeats now, when there is a lease. */
  heartbeat(): void {
    this.session?.heartbeat();
  }

  stop(): void {
    this.attempt?.abort(new Error('stopped'));
    this.attempt = undefined;
    void this.session?.close();
    this.session = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const session = await this.transport.startHeartbeats(this.replicaId(), this.position, signal);
        if (signal.aborted) {
          void session.close();
          return;
        }
        this.session = session;
        for await (const report of session.reports) {
          if (signal.aborted) return;
          failures = 0;
          this.on(report);
        }
        // The server is stopping: the feed says so, too, and both begin anew elsewhere.
        return;
      } catch {
        if (signal.aborted) return;
        this.on('lost');
      }
      failures += 1;
      await this.wait(backoffMs(failures, this.platform.random.unit()), signal);
    }
  }

  private wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.platform.clock.after(delayMs, resolve);
      signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
  }
}
