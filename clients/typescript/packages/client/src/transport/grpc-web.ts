import type { Clock } from '../platform.js';
import { Reader } from '../wire/bytes.js';
import { decode, encode, Table } from '../wire/codec.js';
import type { StatusDetail } from '../wire/errors.js';
import * as tables from '../wire/tables.js';
import { CallFailure, type Caller, type CallOptions, type StreamCalls, type UnaryCalls } from './caller.js';
import type { Credentials } from './credentials.js';
import { CODE } from './failures.js';

interface Method {
  readonly path: string;
  readonly request: Table;
  readonly response: Table;
}

/** Operations as bytes: on the wire the same as messages. */
const submitOfBytes = new Table({ workspaceId: [1, 'string'], operations: [2, 'bytes', 'list'] });

const METHODS: Readonly<Record<keyof UnaryCalls | keyof StreamCalls, Method>> = {
  submit: { path: 'OperationService/Submit', request: submitOfBytes, response: tables.submitResponse },
  getReceipts: {
    path: 'OperationService/GetReceipts',
    request: tables.getReceiptsRequest,
    response: tables.getReceiptsResponse,
  },
  abandonCounter: {
    path: 'OperationService/AbandonCounter',
    request: tables.abandonCounterRequest,
    response: tables.abandonCounterResponse,
  },
  beat: { path: 'ConnectionService/Beat', request: tables.beatRequest, response: tables.beatResponse },
  disconnect: {
    path: 'ConnectionService/Disconnect',
    request: tables.disconnectRequest,
    response: tables.disconnectResponse,
  },
  listConnections: {
    path: 'ConnectionService/ListConnections',
    request: tables.listConnectionsRequest,
    response: tables.listConnectionsResponse,
  },
  getSchema: {
    path: 'WorkspaceService/GetSchema',
    request: tables.getSchemaRequest,
    response: tables.getSchemaResponse,
  },
  getHead: { path: 'WorkspaceService/GetHead', request: tables.getHeadRequest, response: tables.getHeadResponse },
  getConflict: {
    path: 'ConflictService/GetConflict',
    request: tables.getConflictRequest,
    response: tables.getConflictResponse,
  },
  watch: { path: 'ChangeService/Watch', request: tables.watchRequest, response: tables.watchResponse },
  snapshot: { path: 'ChangeService/Snapshot', request: tables.snapshotRequest, response: tables.snapshotResponse },
};

/** Bytes before each message: a flag and a length. */
const PREFIX_BYTES = 5;
const TRAILER_FLAG = 0x80;

/** gRPC-Web over `fetch`, in its binary form. */
export class GrpcWebCaller implements Caller {
  constructor(
    private readonly url: string,
    private readonly credentials: Credentials,
    private readonly clock: Clock,
  ) {}

  async unary<N extends keyof UnaryCalls>(
    name: N,
    request: UnaryCalls[N][0],
    { signal, timeoutMs }: CallOptions,
  ): Promise<UnaryCalls[N][1]> {
    const late = new AbortController();
    const cancel = this.clock.after(timeoutMs, () => {
      late.abort(new CallFailure(CODE.deadlineExceeded, 'no answer in time', []));
    });
    try {
      let answer: unknown;
      let answers = 0;
      for await (const message of this.messages(
        METHODS[name],
        request,
        AbortSignal.any([signal, late.signal]),
        timeoutMs,
      )) {
        answer = message;
        answers += 1;
      }
      if (answers !== 1) throw new CallFailure(CODE.internal, `${answers} answers to a call`, []);
      return answer as UnaryCalls[N][1];
    } catch (error) {
      throw late.signal.aborted && !signal.aborted ? late.signal.reason : error;
    } finally {
      cancel();
    }
  }

  stream<N extends keyof StreamCalls>(
    name: N,
    request: StreamCalls[N][0],
    signal: AbortSignal,
  ): AsyncIterable<StreamCalls[N][1]> {
    return this.messages(METHODS[name], request, signal) as AsyncIterable<StreamCalls[N][1]>;
  }

  private async *messages(
    method: Method,
    request: unknown,
    signal: AbortSignal,
    timeoutMs?: number,
  ): AsyncGenerator<unknown, void> {
    const authorization = await this.credentials.get();
    const response = await fetch(`${this.url.replace(/\/+$/, '')}/syncline.v1.${method.path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/grpc-web+proto',
        'x-grpc-web': '1',
        ...(timeoutMs !== undefined && { 'grpc-timeout': `${timeoutMs}m` }),
        ...(authorization !== undefined && { authorization }),
      },
      body: framed(encode(method.request, request)),
      signal,
    });
    if (!response.ok) throw new CallFailure(codeOfHttp(response.status), `HTTP status ${response.status}`, []);
    // A call that failed at once has its status among the headers and no body.
    if (response.headers.has('grpc-status')) check((name) => response.headers.get(name));
    if (response.body === null) throw new CallFailure(CODE.unknown, 'an answer without a body', []);
    for await (const { flag, bytes } of frames(response.body)) {
      if ((flag & TRAILER_FLAG) === 0) {
        yield decode(method.response, bytes);
        continue;
      }
      const trailers = new Map(
        new TextDecoder()
          .decode(bytes)
          .split('\r\n')
          .map((line): [string, string] => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
          }),
      );
      check((name) => trailers.get(name) ?? null);
      return;
    }
    throw new CallFailure(CODE.unavailable, 'the answer broke off', []);
  }
}

function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

/** Cuts a body into frames. */
async function* frames(body: ReadableStream<Uint8Array>): AsyncGenerator<{ flag: number; bytes: Uint8Array }, void> {
  const reader = body.getReader();
  // Chunks that are not a whole frame yet; put together once it is.
  let chunks: Uint8Array[] = [];
  let length = 0;
  let wanted = PREFIX_BYTES;
  try {
    for (;;) {
      while (length >= wanted) {
        const buffer = together(chunks, length);
        const size = PREFIX_BYTES + new DataView(buffer.buffer, buffer.byteOffset).getUint32(1);
        chunks = [buffer];
        wanted = size;
        if (length < size) break;
        yield { flag: buffer[0] ?? 0, bytes: buffer.subarray(PREFIX_BYTES, size) };
        const rest = buffer.subarray(size);
        chunks = [rest];
        length = rest.length;
        wanted = PREFIX_BYTES;
      }
      const { done, value } = await reader.read();
      if (done) return;
      chunks.push(value);
      length += value.length;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function together(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Throws unless the status is OK. */
function check(header: (name: string) => string | null): void {
  const code = Number(header('grpc-status') ?? CODE.unknown);
  if (code === 0) return;
  const message = decodeURIComponent((header('grpc-message') ?? '').replace(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  throw new CallFailure(code, message, detailsOf(header('grpc-status-details-bin')));
}

/** The details of a google.rpc.Status in base64. */
function detailsOf(header: string | null): readonly StatusDetail[] {
  if (header === null) return [];
  try {
    const bytes = Uint8Array.from(atob(header.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
    const details: StatusDetail[] = [];
    const reader = new Reader(bytes);
    while (reader.pos < reader.len) {
      const [no, wireType] = reader.tag();
      if (no === 3) details.push(anyOf(reader.bytes()));
      else reader.skip(wireType);
    }
    return details;
  } catch {
    return [];
  }
}

function anyOf(bytes: Uint8Array): StatusDetail {
  const reader = new Reader(bytes);
  let type = '';
  let value: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    if (no === 1) type = reader.string().replace(/^.*\//, '');
    else if (no === 2) value = reader.bytes();
    else reader.skip(wireType);
  }
  return { type, value };
}

/** What a proxy on the way means by its status. */
function codeOfHttp(status: number): number {
  switch (status) {
    case 401:
      return CODE.unauthenticated;
    case 403:
      return CODE.permissionDenied;
    case 404:
      return CODE.unimplemented;
    case 413:
      return CODE.resourceExhausted;
    default:
      return CODE.unavailable;
  }
}
