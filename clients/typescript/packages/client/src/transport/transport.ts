import type { FeedOrigin, Frame } from '../domain/change.js';
import type { ConflictDetail } from '../domain/conflict.js';
import type { ConflictId, Cursor, Dot, Epoch, ReplicaId, Seq } from '../domain/ids.js';
import type { Refusal, ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';

/** What kind of failure a call met; decides what the connection does. SPEC.md has the table. */
export type FailureKind =
  /** No answer, or the connection broke: the outcome is unknown. */
  | 'unreachable'
  /** The call ran out of time: the outcome is unknown. */
  | 'deadline'
  /** The server cannot at the moment (stopping, store down). */
  | 'unavailable'
  /** The server sheds load, or a quota is used up; `retryAfterMs` when it says. */
  | 'overloaded'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  /** The server refused the call for what it says; sending it again will not help. */
  | 'refused'
  /** What came is of a newer version than this program: it has to be updated. */
  | 'outdated'
  /** What came cannot be understood, or a fault of the server. */
  | 'fault';

/** The error every transport call rejects with, except for an abort, which rejects with the signal's reason. */
export interface TransportFailure extends Error {
  readonly kind: FailureKind;
  /** What the server said, when it said anything. */
  readonly refusal?: Refusal;
  readonly retryAfterMs?: number;
}

/** How heartbeats go: both ways on a stream, or one call each. */
export interface HeartbeatReport {
  /** Round trip of this heartbeat; absent when it only came from the server. */
  readonly roundTripMs?: number;
  readonly headSeq: Seq;
  readonly epoch: Epoch;
  readonly heartbeatIntervalMs: number;
  readonly leaseMs: number;
}

export interface PresenceRow {
  readonly connectionId: string;
  readonly replicaId: ReplicaId;
  readonly actor: string;
  readonly clientName: string;
  readonly connectTimeMs?: number;
  readonly roundTripMs?: number;
  readonly jitterMs?: number;
  readonly receivedCount: number;
  readonly missedCount: number;
}

/** A presence lease that heartbeats until it is closed. */
export interface HeartbeatSession {
  readonly connectionId: string;
  /**
   * What each heartbeat told; `lost` for one that was not answered in time. Ends (normally) when the server is draining;
   * throws when the lease is lost or the link broke.
   */
  readonly reports: AsyncIterable<HeartbeatReport | 'lost'>;
  /** Heartbeats now (after a thaw, or to measure). */
  heartbeat(): void;
  close(): Promise<void>;
}

/** An open feed. */
export interface FeedSession {
  /** Ends after `reset` and `go_away`; throws when the link broke. */
  readonly frames: AsyncIterable<Frame>;
  /** Everything up to here is durable here. Does nothing where a feed cannot be steered. */
  acknowledge(seq: Seq): void;
  close(): void;
}

/**
 * The server, as the client calls it: in domain words, with every protocol detail behind it. The only users of `gen/`
 * are transport/ and wire/. Implementations: connect gRPC-Web (Watch, Heartbeat), connect gRPC (Subscribe, KeepAlive), and
 * a scripted one for tests.
 */
export interface Transport {
  openFeed(origin: FeedOrigin, signal: AbortSignal): Promise<FeedSession>;
  /** One receipt per operation, in order. `operations` are encoded Operation messages. */
  submit(
    operations: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<{ readonly receipts: readonly ServerReceipt[]; readonly headSeq: Seq }>;
  receipts(dots: readonly Dot[], signal: AbortSignal): Promise<readonly ServerReceipt[]>;
  abandon(dot: Dot, signal: AbortSignal): Promise<ServerReceipt>;
  startHeartbeats(replicaId: ReplicaId | '', position: () => Seq, signal: AbortSignal): Promise<HeartbeatSession>;
  /** Forgets the credentials: the next call asks for them again. */
  refreshCredentials(): void;
  presence(signal: AbortSignal): Promise<readonly PresenceRow[]>;
  schema(signal: AbortSignal): Promise<Schema>;
  head(signal: AbortSignal): Promise<Cursor>;
  conflict(id: ConflictId, signal: AbortSignal): Promise<ConflictDetail>;
  close(): void;
}
