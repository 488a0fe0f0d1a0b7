import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  ConnectionEnd,
  type KeepAliveRequestSchema,
  type KeepAliveResponse,
} from '../gen/syncline/v1/connection_service_pb.js';
import type { HeartbeatSchema } from '../gen/syncline/v1/connection_pb.js';
import { connectionServiceKeepAlive } from '../gen/tables.js';
import { HEARTBEAT_INTERVAL_MS } from '../limits.js';
import { reportOf, startOf, type HeartbeatParts } from './heartbeats.js';
import { failureOfCall } from './failures.js';
import { Pushed } from './pushed.js';
import type { HeartbeatReport, HeartbeatSession } from './transport.js';
import { TransportError } from './transport-error.js';
import { closedByUs } from './unary-heartbeats.js';

/** Presence by heartbeats both ways on one stream. */
export class StreamHeartbeats implements HeartbeatSession {
  readonly reports = new Pushed<HeartbeatReport | 'lost'>();
  connectionId = '';
  private readonly said = new Pushed<MessageInitShape<typeof KeepAliveRequestSchema>>();
  private readonly ended = new AbortController();
  private readonly signal: AbortSignal;
  private heartbeatId = 0n;
  private intervalMs = HEARTBEAT_INTERVAL_MS;
  private asked: { readonly id: bigint; readonly atMs: number } | undefined;
  private echoed = 0n;
  private over = false;
  private cancelTimer: () => void = () => undefined;

  constructor(
    private readonly parts: HeartbeatParts,
    signal: AbortSignal,
  ) {
    this.signal = AbortSignal.any([signal, this.ended.signal]);
  }

  /** Opens the stream; resolves with the server's first heartbeat. */
  async open(): Promise<void> {
    this.said.push({ message: { case: 'start', value: startOf(this.parts) } });
    this.ask();
    const stream = this.parts.caller.stream(connectionServiceKeepAlive, this.said, this.signal);
    const answers = stream[Symbol.asyncIterator]();
    try {
      const first = await answers.next();
      if (first.done === true) throw new TransportError('unreachable', 'the stream of heartbeats ended');
      this.hear(first.value);
    } catch (error) {
      throw failureOfCall(error, this.signal);
    }
    void this.listen(answers);
    this.schedule();
  }

  heartbeat(): void {
    if (this.over) return;
    this.ask();
    this.schedule();
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  private async listen(answers: AsyncIterator<KeepAliveResponse, unknown>): Promise<void> {
    try {
      for (;;) {
        const answer = await answers.next();
        if (answer.done === true) throw new TransportError('unreachable', 'the stream of heartbeats ended');
        this.hear(answer.value);
        if (answer.value.end !== ConnectionEnd.UNSPECIFIED) {
          this.end();
          return;
        }
      }
    } catch (error) {
      if (this.over) return;
      this.reports.fail(failureOfCall(error, this.signal));
      this.end();
    }
  }

  private hear(message: KeepAliveResponse): void {
    this.connectionId = message.connectionId;
    const nowMs = this.parts.clock.monotonicMs();
    const { heartbeat, end } = message;
    let roundTripMs: number | undefined;
    if (heartbeat !== undefined && this.asked !== undefined && heartbeat.echoHeartbeatId === this.asked.id) {
      roundTripMs = Math.max(0, nowMs - this.asked.atMs - Number(heartbeat.echoDelayUs) / 1000);
      this.asked = undefined;
    }
    const report = reportOf(message.server, roundTripMs);
    this.intervalMs = report.heartbeatIntervalMs;
    this.reports.push(report);
    // One echo for each heartbeat of the server, for its own measurement. It answers none of those.
    const ends = end !== ConnectionEnd.UNSPECIFIED;
    if (heartbeat !== undefined && heartbeat.heartbeatId > this.echoed && !ends) {
      this.echoed = heartbeat.heartbeatId;
      this.say({ heartbeatId: this.nextId(), echoHeartbeatId: heartbeat.heartbeatId, seq: this.seq() });
    }
  }

  /** A heartbeat that the server answers at once, since it echoes nothing. */
  private ask(): void {
    if (this.asked !== undefined) this.reports.push('lost');
    const id = this.nextId();
    this.asked = { id, atMs: this.parts.clock.monotonicMs() };
    this.say({ heartbeatId: id, seq: this.seq() });
  }

  private say(heartbeat: MessageInitShape<typeof HeartbeatSchema>): void {
    this.said.push({ message: { case: 'heartbeat', value: heartbeat } });
  }

  private nextId(): bigint {
    this.heartbeatId += 1n;
    return this.heartbeatId;
  }

  private seq(): bigint {
    return BigInt(this.parts.position());
  }

  private schedule(): void {
    this.cancelTimer();
    if (this.over) return;
    this.cancelTimer = this.parts.clock.after(this.intervalMs, () => {
      this.heartbeat();
    });
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.cancelTimer();
    this.reports.end();
    this.said.end();
    this.ended.abort(closedByUs());
  }
}
