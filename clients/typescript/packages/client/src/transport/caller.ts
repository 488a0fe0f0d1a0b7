import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Method } from '../wire/codec.js';
import type { StatusDetail } from '../wire/errors.js';

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Calls methods of the server. Rejects with a {@link CallFailure}, or whatever broke. */
export interface Caller {
  /** A call with one request and one answer. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>>;
  /** A call with any number of answers. Where the transport allows it, requests may follow while answers come. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    signal: AbortSignal,
  ): AsyncIterable<MessageShape<O>>;
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
