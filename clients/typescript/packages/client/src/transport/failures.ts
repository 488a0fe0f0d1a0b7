import { callDetails } from '../wire/errors.js';
import { WireError } from '../wire/wire-error.js';
import { CallFailure } from './caller.js';
import type { FailureKind } from './transport.js';
import { TransportError } from './transport-error.js';

/** Reasons that say more than the canonical code they travel with. */
const KIND_OF_REASON: Readonly<Record<string, FailureKind>> = {
  OVERLOADED: 'overloaded',
  SHUTTING_DOWN: 'unavailable',
  STORE_UNAVAILABLE: 'unavailable',
  DEADLINE: 'deadline',
  NOT_CAUGHT_UP: 'unavailable',
  QUOTA_EXCEEDED: 'overloaded',
};

/** Canonical codes of gRPC. */
export const CODE = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/**
 * What a failed call means. The server names a reason in everything it refuses; what comes without one was said by the
 * network between, or by nobody.
 */
export function failureOfCall(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof TransportError) return error;
  if (error instanceof WireError) return new TransportError('fault', error.message, { cause: error });
  if (!(error instanceof CallFailure)) {
    const message = error instanceof Error ? error.message : String(error);
    return new TransportError('unreachable', message, { cause: error });
  }
  const { reason, metadata, retryAfterMs } = callDetails(error.details);
  return new TransportError(kindOf(error.code, reason), error.message, {
    cause: error,
    ...(reason !== undefined && { refusal: { reason, message: error.message, metadata } }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

function kindOf(code: number, reason: string | undefined): FailureKind {
  const byReason = reason === undefined ? undefined : KIND_OF_REASON[reason];
  if (byReason !== undefined) return byReason;
  switch (code) {
    case CODE.deadlineExceeded:
      return 'deadline';
    case CODE.unauthenticated:
      return 'unauthenticated';
    case CODE.permissionDenied:
      return 'forbidden';
    case CODE.notFound:
      return reason === undefined ? 'unreachable' : 'not_found';
    case CODE.resourceExhausted:
      // Sizes; what comes without a reason was said by the network between, and that is load.
      return reason === undefined ? 'overloaded' : 'refused';
    case CODE.unavailable:
      return reason === undefined ? 'unreachable' : 'unavailable';
    case CODE.invalidArgument:
    case CODE.failedPrecondition:
    case CODE.alreadyExists:
    case CODE.outOfRange:
    case CODE.unimplemented:
      return 'refused';
    default:
      return reason === undefined ? 'unreachable' : 'fault';
  }
}
