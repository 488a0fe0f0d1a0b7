import { connectionServiceSendHeartbeat, connectionServiceDisconnect } from '../gen/tables.js';
import { HEARTBEAT_INTERVAL_MS, CALL_TIMEOUT_MS } from '../limits.js';
import { reportOf, startOf, type HeartbeatParts } from './heartbeats.js';
import { failureOfCall } from './failures.js';
import { Pushed } from './pushed.js';
import type { HeartbeatReport, HeartbeatSession } from './transport.js';
import { failureOf, TransportError } from './transport-error.js';

/** Presence by one call for each heartbeat, for clients that cannot send on a stream. */
export class UnaryHeartbeats implements HeartbeatSession {
  readonly reports = new Pushed<HeartbeatReport | 'lost'>();
  connectionId = '';
  private heartbeatId = 0n;
  private roundTripMs = 0;
  private intervalMs = HEARTBEAT_INTERVAL_MS;
  private beating = false;
  private over = false;
  private cancelTimer: () => void = () => undefined;

  constructor(
    private readonly parts: HeartbeatParts,
    private readonly signal: AbortSignal,
  ) {}

  /** Opens the connection with the first heartbeat. */
  async open(): Promise<void> {
    this.reports.push(await this.call());
    this.schedule();
  }

  heartbeat(): void {
    this.cancelTimer();
    void this.once();
  }

  async close(): Promise<void> {
    if (this.over) return;
    this.end();
    if (this.connectionId === '') return;
    const request = { workspaceId: this.parts.workspaceId, connectionId: this.connectionId };
    // Nobody waits for it: the lease ends by itself.
    const options = { signal: new AbortController().signal, timeoutMs: CALL_TIMEOUT_MS };
    await this.parts.caller.unary(connectionServiceDisconnect, request, options).catch(() => undefined);
  }

  private async once(): Promise<void> {
    if (this.over || this.beating) return;
    this.beating = true;
    try {
      this.reports.push(await this.call());
    } catch (error) {
      this.failed(error);
    } finally {
      this.beating = false;
      this.schedule();
    }
  }

  /** A heartbeat that was not answered is lost; the next one may be. Whatever the server refused ends the session. */
  private failed(error: unknown): void {
    if (this.over) return;
    if (this.signal.aborted) {
      this.end();
      return;
    }
    const failure = failureOf(error);
    switch (failure.kind) {
      case 'unreachable':
      case 'deadline':
      case 'unavailable':
      case 'overloaded':
        this.reports.push('lost');
        return;
      case 'not_found':
      case 'unauthenticated':
      case 'forbidden':
      case 'refused':
      case 'outdated':
      case 'fault':
        this.over = true;
        this.reports.fail(failure);
    }
  }

  private schedule(): void {
    this.cancelTimer();
    if (this.over) return;
    this.cancelTimer = this.parts.clock.after(this.intervalMs, () => {
      void this.once();
    });
  }

  private async call(): Promise<HeartbeatReport> {
    this.heartbeatId += 1n;
    const sentAtMs = this.parts.clock.monotonicMs();
    const heartbeat = { heartbeatId: this.heartbeatId, seq: BigInt(this.parts.position()) };
    const { connectionId } = this;
    try {
      const response = await this.parts.caller.unary(
        connectionServiceSendHeartbeat,
        {
          workspaceId: this.parts.workspaceId,
          connection:
            connectionId === ''
              ? { case: 'start', value: startOf(this.parts) }
              : { case: 'connectionId', value: connectionId },
          heartbeat,
          measuredRoundTripUs: BigInt(Math.round(this.roundTripMs * 1000)),
        },
        { signal: this.signal, timeoutMs: CALL_TIMEOUT_MS },
      );
      this.connectionId = response.connectionId;
      this.roundTripMs = this.parts.clock.monotonicMs() - sentAtMs;
      const report = reportOf(response.server, this.roundTripMs);
      this.intervalMs = report.heartbeatIntervalMs;
      return report;
    } catch (error) {
      throw failureOfCall(error, this.signal);
    }
  }

  private end(): void {
    this.over = true;
    this.cancelTimer();
    this.reports.end();
  }
}

/** The reason of an abort that we asked for. */
export function closedByUs(): TransportError {
  return new TransportError('unreachable', 'closed');
}
