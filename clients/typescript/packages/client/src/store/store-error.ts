import type { StoreErrorCode, StoreFailure } from './store.js';

/** What store calls reject with. */
export class StoreError extends Error implements StoreFailure {
  override readonly name = 'StoreError';

  constructor(
    readonly code: StoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
