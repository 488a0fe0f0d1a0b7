import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Clock } from '../platform.js';
import { decode, encode, type Method } from '../wire/codec.js';
import { statusDetails } from '../wire/errors.js';
import { CallFailure, type Caller, type CallOptions } from './caller.js';
import type { Credentials } from './credentials.js';
import { joined, type Exchange } from './exchange.js';
import { CODE } from './failures.js';

/** Bytes before each message: a flag and a length. */
const PREFIX_BYTES = 5;
const COMPRESSED_FLAG = 1;
const TRAILER_FLAG = 0x80;

/** What a caller is made of. */
export interface GrpcParts {
  readonly url: string;
  /** gRPC-Web has its status in the last frame of the body, for networks that lose trailers. */
  readonly protocol: 'grpc' | 'grpc-web';
  readonly exchange: Exchange;
  readonly credentials: Credentials;
  readonly clock: Clock;
}

/** gRPC and gRPC-Web, in their binary forms, over whatever exchanges bytes by HTTP. */
export class GrpcCaller implements Caller {
  constructor(private readonly parts: GrpcParts) {}

  async unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    { signal, timeoutMs }: CallOptions,
  ): Promise<MessageShape<O>> {
    const late = new AbortController();
    const cancel = this.parts.clock.after(timeoutMs, () => {
      late.abort(new CallFailure(CODE.deadlineExceeded, 'no answer in time', []));
    });
    try {
      const answers: MessageShape<O>[] = [];
      const either = AbortSignal.any([signal, late.signal]);
      for await (const answer of this.answers(method, once(request), either, timeoutMs)) answers.push(answer);
      const [answer] = answers;
      if (answer === undefined || answers.length > 1) {
        throw new CallFailure(CODE.internal, `${answers.length} answers to a call`, []);
      }
      return answer;
    } catch (error) {
      throw late.signal.aborted && !signal.aborted ? late.signal.reason : error;
    } finally {
      cancel();
    }
  }

  stream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal: AbortSignal,
  ): AsyncIterable<MessageShape<O>> {
    return this.answers(method, requests, signal);
  }

  private async *answers<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal: AbortSignal,
    timeoutMs?: number,
  ): AsyncGenerator<MessageShape<O>, void> {
    const answer = await this.parts.exchange({
      url: `${this.parts.url.replace(/\/+$/, '')}/${method.path}`,
      method: 'POST',
      header: await this.header(timeoutMs),
      body: framed(method, requests),
      signal,
    });
    if (answer.status !== 200) {
      throw new CallFailure(codeOfHttp(answer.status), `HTTP status ${answer.status}`, []);
    }
    // A call that failed at once has its status among the headers and no body.
    if (answer.header.has('grpc-status')) check(answer.header);
    for await (const { flag, bytes } of frames(answer.body)) {
      if ((flag & COMPRESSED_FLAG) !== 0) throw new CallFailure(CODE.internal, 'an answer that is compressed', []);
      if ((flag & TRAILER_FLAG) === 0) {
        yield decode(method.response, bytes);
        continue;
      }
      check(trailerOf(bytes));
      return;
    }
    if (answer.trailer.has('grpc-status')) check(answer.trailer);
    else if (!answer.header.has('grpc-status')) throw new CallFailure(CODE.unavailable, 'the answer broke off', []);
  }

  private async header(timeoutMs: number | undefined): Promise<Headers> {
    const { protocol, credentials } = this.parts;
    const authorization = await credentials.get();
    return new Headers({
      'content-type': `application/${protocol}+proto`,
      ...(protocol === 'grpc-web' ? { 'x-grpc-web': '1' } : { te: 'trailers' }),
      ...(timeoutMs !== undefined && { 'grpc-timeout': `${timeoutMs}m` }),
      ...(authorization !== undefined && { authorization }),
    });
  }
}

/** A sequence of one. */

export async function* once<T>(item: T): AsyncGenerator<T, void> {
  yield item;
}

/** Messages as they go into a body, each with its flag and length. */
async function* framed<I extends DescMessage>(
  method: Method<I>,
  requests: AsyncIterable<MessageInitShape<I>>,
): AsyncGenerator<Uint8Array, void> {
  for await (const request of requests) {
    const message = encode(method.request, request);
    const bytes = new Uint8Array(PREFIX_BYTES + message.length);
    new DataView(bytes.buffer).setUint32(1, message.length);
    bytes.set(message, PREFIX_BYTES);
    yield bytes;
  }
}

/** Cuts a body into frames. */
async function* frames(body: AsyncIterable<Uint8Array>): AsyncGenerator<{ flag: number; bytes: Uint8Array }, void> {
  // Chunks that are not a whole frame yet; put together once they are.
  let chunks: Uint8Array[] = [];
  let length = 0;
  let wanted = PREFIX_BYTES;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    while (length >= wanted) {
      const buffer = joined(chunks);
      chunks = [buffer];
      wanted = PREFIX_BYTES + new DataView(buffer.buffer, buffer.byteOffset).getUint32(1);
      if (length < wanted) break;
      yield { flag: buffer[0] ?? 0, bytes: buffer.subarray(PREFIX_BYTES, wanted) };
      const rest = buffer.subarray(wanted);
      chunks = [rest];
      length = rest.length;
      wanted = PREFIX_BYTES;
    }
  }
}

/** The trailer that gRPC-Web has in the body. */
function trailerOf(bytes: Uint8Array): Headers {
  const trailer = new Headers();
  for (const line of new TextDecoder().decode(bytes).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) trailer.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return trailer;
}

/** Throws unless the status is OK. */
function check(header: Headers): void {
  const code = Number(header.get('grpc-status') ?? CODE.unknown);
  if (code === 0) return;
  const message = decodeURIComponent((header.get('grpc-message') ?? '').replace(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  throw new CallFailure(code, message, statusDetails(header.get('grpc-status-details-bin')));
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
