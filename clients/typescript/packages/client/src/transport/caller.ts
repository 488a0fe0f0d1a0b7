import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  SnapshotRequestSchema,
  SnapshotResponse,
  WatchRequestSchema,
  WatchResponse,
} from '../gen/syncline/v1/change_service_pb.js';
import type { GetConflictRequestSchema, GetConflictResponse } from '../gen/syncline/v1/conflict_service_pb.js';
import type {
  BeatRequestSchema,
  BeatResponse,
  DisconnectRequestSchema,
  DisconnectResponse,
  ListConnectionsRequestSchema,
  ListConnectionsResponse,
} from '../gen/syncline/v1/connection_service_pb.js';
import type {
  AbandonCounterRequestSchema,
  AbandonCounterResponse,
  GetReceiptsRequestSchema,
  GetReceiptsResponse,
  SubmitResponse,
} from '../gen/syncline/v1/operation_service_pb.js';
import type {
  GetHeadRequestSchema,
  GetHeadResponse,
  GetSchemaRequestSchema,
  GetSchemaResponse,
} from '../gen/syncline/v1/workspace_service_pb.js';
import type { StatusDetail } from '../wire/errors.js';

/** Calls with one answer: request and response. */
export interface UnaryCalls {
  /** Operations as the bytes that were saved. */
  readonly submit: [{ readonly workspaceId: string; readonly operations: readonly Uint8Array[] }, SubmitResponse];
  readonly getReceipts: [MessageInitShape<typeof GetReceiptsRequestSchema>, GetReceiptsResponse];
  readonly abandonCounter: [MessageInitShape<typeof AbandonCounterRequestSchema>, AbandonCounterResponse];
  readonly beat: [MessageInitShape<typeof BeatRequestSchema>, BeatResponse];
  readonly disconnect: [MessageInitShape<typeof DisconnectRequestSchema>, DisconnectResponse];
  readonly listConnections: [MessageInitShape<typeof ListConnectionsRequestSchema>, ListConnectionsResponse];
  readonly getSchema: [MessageInitShape<typeof GetSchemaRequestSchema>, GetSchemaResponse];
  readonly getHead: [MessageInitShape<typeof GetHeadRequestSchema>, GetHeadResponse];
  readonly getConflict: [MessageInitShape<typeof GetConflictRequestSchema>, GetConflictResponse];
}

/** Calls with any number of answers. */
export interface StreamCalls {
  readonly watch: [MessageInitShape<typeof WatchRequestSchema>, WatchResponse];
  readonly snapshot: [MessageInitShape<typeof SnapshotRequestSchema>, SnapshotResponse];
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Calls methods of the server. Rejects with a {@link CallFailure}, or whatever broke. */
export interface Caller {
  unary<N extends keyof UnaryCalls>(
    name: N,
    request: UnaryCalls[N][0],
    options: CallOptions,
  ): Promise<UnaryCalls[N][1]>;
  stream<N extends keyof StreamCalls>(
    name: N,
    request: StreamCalls[N][0],
    signal: AbortSignal,
  ): AsyncIterable<StreamCalls[N][1]>;
}

/** A call that ended with a status other than OK. */
export class CallFailure extends Error {
  override readonly name = 'CallFailure';

  constructor(
    /** Canonical code of gRPC. */
    readonly code: number,
    message: string,
    readonly details: readonly StatusDetail[],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
