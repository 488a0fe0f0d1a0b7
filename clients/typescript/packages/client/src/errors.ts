import type { Refusal } from './domain/operation.js';

/** Why a call of the client failed. Stable: applications may switch on it. */
export type SynclineErrorCode =
  /** The client was closed. */
  | 'CLOSED'
  /** An argument breaks its documented form; nothing happened. */
  | 'INVALID_ARGUMENT'
  /** The mutation does not fit what the client shows (no such record, wrong kind, outside of a text); nothing happened. */
  | 'INVALID_MUTATION'
  /** The field or conflict holds something that only a newer version of this program knows; nothing happened. */
  | 'NEEDS_NEWER_VERSION'
  /** The transaction function threw or returned a promise; nothing happened. */
  | 'TRANSACTION_FAILED'
  /** Too much waits already. */
  | 'QUEUE_FULL'
  /** The operation would exceed the server's limits. */
  | 'OPERATION_TOO_LARGE'
  /** The device could not keep the operation. It is still shown, and saving is tried again. */
  | 'NOT_SAVED'
  /** The server refused the operation for good; its content is kept with the rejected operations. */
  | 'REJECTED'
  /** The user took the operation out of the queue before it was sent. */
  | 'CANCELLED'
  /** This needs the server, and it cannot be reached. */
  | 'OFFLINE'
  /** The server failed the call; `refusal` says why. */
  | 'CALL_FAILED'
  /** Somebody else changed it meanwhile (a conflict's revision). */
  | 'CHANGED';

/** Every error the client makes. */
export class SynclineError extends Error {
  override readonly name = 'SynclineError';

  constructor(
    readonly code: SynclineErrorCode,
    message: string,
    /** What the server said, when it did. */
    readonly refusal?: Refusal,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
