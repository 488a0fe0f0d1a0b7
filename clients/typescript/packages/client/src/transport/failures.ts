import { Code, ConnectError } from '@connectrpc/connect';
import { callDetails } from '../wire/errors.js';
import { WireError } from '../wire/wire-error.js';
import type { FailureKind } from './transport.js';
import { TransportError } from './transport-error.js';

/** Reasons that say more than the canonical code they travel with. */
const KIND_OF_REASON: Readonly<Record<string, FailureKind>> = {
  OVERLOADED: 'overloaded',
  SHUTTING_DOWN: 'unavailable',
  STORE_UNAVAILABLE: 'unavailable',
  DEADLINE: 'deadline',
  MESSAGE_TOO_LARGE: 'refused',
  TOO_MANY_OPERATIONS: 'refused',
};

/**
 * What a failed call means. The server names a reason in everything it refuses; what comes without one was said by the
 * network between, or by nobody.
 */
export function failureOfCall(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof TransportError) return error;
  if (error instanceof WireError) return new TransportError('fault', error.message, { cause: error });
  const failed = ConnectError.from(error);
  const details = callDetails(
    failed.details.flatMap((detail) => ('type' in detail ? [{ type: detail.type, value: detail.value }] : [])),
  );
  const said = details.reason !== undefined;
  return new TransportError(kindOf(failed.code, details.reason), failed.rawMessage, {
    cause: error,
    ...(said && {
      refusal: { reason: details.reason ?? '', message: failed.rawMessage, metadata: details.metadata },
    }),
    ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: details.retryAfterMs }),
  });
}

function kindOf(code: Code, reason: string | undefined): FailureKind {
  const byReason = reason === undefined ? undefined : KIND_OF_REASON[reason];
  if (byReason !== undefined) return byReason;
  switch (code) {
    case Code.DeadlineExceeded:
      return 'deadline';
    case Code.Unauthenticated:
      return 'unauthenticated';
    case Code.PermissionDenied:
      return 'forbidden';
    case Code.NotFound:
      return reason === undefined ? 'unreachable' : 'not_found';
    case Code.ResourceExhausted:
      return 'overloaded';
    case Code.Unavailable:
      return reason === undefined ? 'unreachable' : 'unavailable';
    case Code.InvalidArgument:
    case Code.FailedPrecondition:
    case Code.AlreadyExists:
    case Code.OutOfRange:
    case Code.Unimplemented:
      return 'refused';
    case Code.Canceled:
    case Code.Unknown:
    case Code.Aborted:
    case Code.Internal:
    case Code.DataLoss:
      return reason === undefined ? 'unreachable' : 'fault';
  }
}
