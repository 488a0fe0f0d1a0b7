/** What came breaks the protocol's word. */
export class WireError extends Error {
  override readonly name: string = 'WireError';
}

/** What came is of a newer version of the protocol. */
export class UnknownContent extends WireError {
  override readonly name = 'UnknownContent';
}

/** What `read` makes of a message, or undefined when there is something in it that this client does not know. */
export function unlessUnknown<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnknownContent) return undefined;
    throw error;
  }
}
