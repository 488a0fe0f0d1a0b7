import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient, type Client, type Transport as ConnectTransport } from '@connectrpc/connect';
import { ChangeService } from '../gen/syncline/v1/change_service_pb.js';
import { ConflictService } from '../gen/syncline/v1/conflict_service_pb.js';
import { ConnectionService } from '../gen/syncline/v1/connection_service_pb.js';
import { OperationService, SubmitRequestSchema } from '../gen/syncline/v1/operation_service_pb.js';
import { WorkspaceService } from '../gen/syncline/v1/workspace_service_pb.js';
import { CallFailure, type Caller, type CallOptions, type StreamCalls, type UnaryCalls } from './caller.js';
import { lengthDelimited } from './raw-field.js';

type UnaryRunners = {
  readonly [N in keyof UnaryCalls]: (request: UnaryCalls[N][0], options: CallOptions) => Promise<UnaryCalls[N][1]>;
};

type StreamRunners = {
  readonly [N in keyof StreamCalls]: (
    request: StreamCalls[N][0],
    signal: AbortSignal,
  ) => AsyncIterable<StreamCalls[N][1]>;
};

/** Calls by a transport of connect, with the generated code. */
export class ConnectCaller implements Caller {
  readonly changes: Client<typeof ChangeService>;
  readonly connections: Client<typeof ConnectionService>;
  private readonly runners: UnaryRunners;
  private readonly streams: StreamRunners;

  constructor(connect: ConnectTransport) {
    const operations = createClient(OperationService, connect);
    const workspaces = createClient(WorkspaceService, connect);
    const conflicts = createClient(ConflictService, connect);
    const connections = createClient(ConnectionService, connect);
    this.connections = connections;
    this.changes = createClient(ChangeService, connect);
    this.streams = {
      watch: (request, signal) => this.changes.watch(request, { signal }),
      snapshot: (request, signal) => this.changes.snapshot(request, { signal }),
    };
    this.runners = {
      submit: ({ workspaceId, operations: bytes }, options) => {
        const request = create(SubmitRequestSchema, { workspaceId });
        // The bytes that were saved are the bytes that are sent: nothing is decoded and encoded again on the way.
        request.$unknown = bytes.map((each) => lengthDelimited(SubmitRequestSchema.field.operations.number, each));
        return operations.submit(request, options);
      },
      getReceipts: (request, options) => operations.getReceipts(request, options),
      abandonCounter: (request, options) => operations.abandonCounter(request, options),
      beat: (request, options) => connections.beat(request, options),
      disconnect: (request, options) => connections.disconnect(request, options),
      listConnections: (request, options) => connections.listConnections(request, options),
      getSchema: (request, options) => workspaces.getSchema(request, options),
      getHead: (request, options) => workspaces.getHead(request, options),
      getConflict: (request, options) => conflicts.getConflict(request, options),
    };
  }

  async unary<N extends keyof UnaryCalls>(
    name: N,
    request: UnaryCalls[N][0],
    options: CallOptions,
  ): Promise<UnaryCalls[N][1]> {
    const run = this.runners[name];
    try {
      return await run(request, options);
    } catch (error) {
      throw callFailure(error);
    }
  }

  stream<N extends keyof StreamCalls>(
    name: N,
    request: StreamCalls[N][0],
    signal: AbortSignal,
  ): AsyncIterable<StreamCalls[N][1]> {
    const run = this.streams[name];
    return withFailures(run(request, signal));
  }
}

/** A stream whose errors are told in our words. */
export async function* withFailures<T>(responses: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* responses;
  } catch (error) {
    throw callFailure(error);
  }
}

/** A ConnectError as a failed call; anything else as it is. */
export function callFailure(error: unknown): unknown {
  if (error instanceof ConnectError && error.cause !== undefined && error.code === Code.Unknown) return error.cause;
  if (!(error instanceof ConnectError)) return error;
  const details = error.details.flatMap((detail) =>
    'type' in detail ? [{ type: detail.type, value: detail.value }] : [],
  );
  return new CallFailure(error.code, error.rawMessage, details, { cause: error });
}
