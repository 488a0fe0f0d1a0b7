import type { FeedOrigin, Frame } from '../domain/change.js';
import type { Alternative, ConflictDetail } from '../domain/conflict.js';
import type { ConflictId, Cursor, Dot, ReplicaId, Seq } from '../domain/ids.js';
import type { ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import type { FeedStart, Frame as WireFrame } from '../gen/syncline/v1/change_service_pb.js';
import {
  conflictServiceGetAlternative,
  conflictServiceGetConflict,
  connectionServiceListConnections,
  operationServiceAbandonCounter,
  operationServiceGetReceipts,
  operationServiceSubmit,
  operationTable,
  workspaceServiceGetHead,
  workspaceServiceGetSchema,
} from '../gen/tables.js';
import { CALL_TIMEOUT_MS } from '../limits.js';
import { frameFromWire, originToWire, UNDERSTANDS } from '../wire/change.js';
import { encoded } from '../wire/codec.js';
import { cursorFromWire, dotToWire, millisecondsOf, present, safeNumber } from '../wire/numbers.js';
import { receiptFromWire } from '../wire/operation.js';
import { schemaFromWire } from '../wire/schema.js';
import type { Clock } from '../platform.js';
import type { HeartbeatParts } from './heartbeats.js';
import type { Caller, CallOptions } from './caller.js';
import type { Credentials } from './credentials.js';
import { failureOfCall } from './failures.js';
import type { HeartbeatSession, FeedSession, PresenceRow, Transport } from './transport.js';
import { TransportError } from './transport-error.js';

/** What a transport needs to know. */
export interface TransportOptions {
  readonly url: string;
  readonly workspace: string;
  readonly clientName: string;
  readonly actor: string;
  readonly credentials?: () => string | Promise<string>;
  readonly clock: Clock;
}

/** What the transports of browsers and Node are made of. */
export interface TransportParts extends TransportOptions {
  readonly caller: Caller;
  readonly authorization: Credentials;
  /** Ends the connections below, where that is possible. */
  readonly shut: () => void;
}

/** The fields of FeedStart. */
export type FeedStartInit = Pick<FeedStart, 'workspaceId' | 'clientName' | 'origin' | 'understands'>;

/** Sides of a conflict that are read whole, each at most as large as an operation; of the others only the beginning. */
const WHOLE_ALTERNATIVES_MAX = 16;

/** Connections in one page of the list of presence (server). */
const PRESENCE_PAGE = 1_000;

/** What both transports do alike: everything but feeds and heartbeats, which depend on whether a client can send on a stream. */
export abstract class BaseTransport implements Transport {
  constructor(protected readonly parts: TransportParts) {}

  abstract openFeed(origin: FeedOrigin, signal: AbortSignal): Promise<FeedSession>;
  abstract startHeartbeats(
    replicaId: ReplicaId | '',
    position: () => Seq,
    signal: AbortSignal,
  ): Promise<HeartbeatSession>;

  submit(
    operations: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<{ readonly receipts: readonly ServerReceipt[]; readonly headSeq: Seq }> {
    return this.call(signal, async (options) => {
      // The bytes that were saved are the bytes that are sent: nothing is decoded and encoded again on the way.
      const request = {
        workspaceId: this.parts.workspace,
        operations: operations.map((bytes) => encoded(operationTable, bytes)),
        understands: [...UNDERSTANDS],
      };
      const response = await this.parts.caller.unary(operationServiceSubmit, request, options);
      if (response.receipts.length !== operations.length) {
        throw new TransportError('fault', 'not one receipt for each operation');
      }
      return { receipts: response.receipts.map(receiptFromWire), headSeq: safeNumber(response.headSeq) };
    });
  }

  receipts(dots: readonly Dot[], signal: AbortSignal): Promise<readonly ServerReceipt[]> {
    return this.call(signal, async (options) => {
      const request = { workspaceId: this.parts.workspace, dots: dots.map(dotToWire) };
      const response = await this.parts.caller.unary(operationServiceGetReceipts, request, options);
      if (response.receipts.length !== dots.length) throw new TransportError('fault', 'not one receipt for each dot');
      return response.receipts.map(receiptFromWire);
    });
  }

  abandon(dot: Dot, signal: AbortSignal): Promise<ServerReceipt> {
    return this.call(signal, async (options) => {
      const request = { workspaceId: this.parts.workspace, dot: dotToWire(dot) };
      const response = await this.parts.caller.unary(operationServiceAbandonCounter, request, options);
      return receiptFromWire(present(response.receipt, 'a receipt'));
    });
  }

  presence(signal: AbortSignal): Promise<readonly PresenceRow[]> {
    return this.call(signal, async (options) => {
      const rows: PresenceRow[] = [];
      let pageToken = '';
      do {
        const request = { workspaceId: this.parts.workspace, pageSize: PRESENCE_PAGE, pageToken };
        const page = await this.parts.caller.unary(connectionServiceListConnections, request, options);
        for (const connection of page.connections) {
          const { quality } = connection;
          const connectTimeMs = millisecondsOf(connection.connectTime);
          const roundTripUs = quality?.roundTripUs ?? 0n;
          rows.push({
            connectionId: connection.connectionId,
            replicaId: connection.replicaId,
            actor: connection.actor,
            clientName: connection.clientName,
            ...(connectTimeMs === undefined ? {} : { connectTimeMs }),
            ...(roundTripUs > 0n && {
              roundTripMs: Number(roundTripUs) / 1000,
              jitterMs: Number(quality?.jitterUs ?? 0n) / 1000,
            }),
            receivedCount: Number(quality?.receivedCount ?? 0n),
            missedCount: Number(quality?.missedCount ?? 0n),
          });
        }
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return rows;
    });
  }

  schema(signal: AbortSignal): Promise<Schema> {
    return this.call(signal, async (options) => {
      return schemaFromWire(
        await this.parts.caller.unary(workspaceServiceGetSchema, { workspaceId: this.parts.workspace }, options),
      );
    });
  }

  head(signal: AbortSignal): Promise<Cursor> {
    return this.call(signal, async (options) => {
      const response = await this.parts.caller.unary(
        workspaceServiceGetHead,
        { workspaceId: this.parts.workspace },
        options,
      );
      return cursorFromWire(response.cursor);
    });
  }

  conflict(id: ConflictId, signal: AbortSignal): Promise<ConflictDetail> {
    return this.call(signal, async (options) => {
      const request = { workspaceId: this.parts.workspace, conflictId: id };
      const response = await this.parts.caller.unary(conflictServiceGetConflict, request, options);
      // Only who looks into a conflict needs what that takes.
      const { conflictDetailFromWire, wholeAlternative } = await import('../wire/conflict.js');
      const detail = conflictDetailFromWire(response);
      const { kind } = detail.summary;
      if (kind !== 'register' && kind !== 'text_overlap') return detail;
      // Who decides for a side writes all of it.
      let wholes = 0;
      const alternatives: Alternative[] = [];
      for (const side of detail.alternatives) {
        if (side.wholeBytes === undefined || wholes >= WHOLE_ALTERNATIVES_MAX) {
          alternatives.push(side);
          continue;
        }
        wholes += 1;
        const asked = { workspaceId: this.parts.workspace, conflictId: id, alternativeSeq: BigInt(side.seq) };
        const { value } = await this.parts.caller.unary(conflictServiceGetAlternative, asked, options);
        alternatives.push(wholeAlternative(side, value));
      }
      return { ...detail, alternatives };
    });
  }

  refreshCredentials(): void {
    this.parts.authorization.forget();
  }

  close(): void {
    this.parts.shut();
  }

  /** One unary call under the deadline, with its failures told in our words. */
  protected async call<T>(signal: AbortSignal, run: (options: CallOptions) => Promise<T>): Promise<T> {
    try {
      return await run({ signal, timeoutMs: CALL_TIMEOUT_MS });
    } catch (error) {
      throw failureOfCall(error, signal);
    }
  }

  protected heartbeatParts(replicaId: ReplicaId | '', position: () => Seq): HeartbeatParts {
    const { workspace, clientName, actor, clock } = this.parts;
    return { caller: this.parts.caller, clock, workspaceId: workspace, replicaId, clientName, actor, position };
  }

  protected feedStart(origin: FeedOrigin): FeedStartInit {
    const { workspace, clientName } = this.parts;
    return { workspaceId: workspace, clientName, origin: originToWire(origin), understands: [...UNDERSTANDS] };
  }
}

/** Frames of a feed, up to the last one; without those that this client does not know and may go on without. */
export async function* framesOf(
  responses: AsyncIterable<{ readonly frame?: WireFrame | undefined }>,
  signal: AbortSignal,
): AsyncGenerator<Frame, void> {
  try {
    for await (const response of responses) {
      const frame = frameFromWire(present(response.frame, 'a frame'));
      if (frame === undefined) continue;
      yield frame;
      if (frame.type === 'reset' || frame.type === 'go_away') return;
    }
  } catch (error) {
    throw failureOfCall(error, signal);
  }
  throw new TransportError('unreachable', 'the feed ended without a word');
}
