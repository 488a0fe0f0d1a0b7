import type { Refusal } from '../domain/operation.js';
import type { FailureKind, TransportFailure } from './transport.js';

/** What transport calls reject with. */
export class TransportError extends Error implements TransportFailure {
  override readonly name = 'TransportError';
  declare readonly refusal?: Refusal;
  declare readonly retryAfterMs?: number;

  constructor(
    readonly kind: FailureKind,
    message: string,
    more: { readonly refusal?: Refusal; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    if (more.refusal !== undefined) this.refusal = more.refusal;
    if (more.retryAfterMs !== undefined) this.retryAfterMs = more.retryAfterMs;
  }
}

/** Any error of a call as a failure; one that is not a transport's is a fault. */
export function failureOf(error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  return new TransportError('fault', error instanceof Error ? error.message : String(error), { cause: error });
}
