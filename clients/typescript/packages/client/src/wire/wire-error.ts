/** What came breaks the protocol's word. */
export class WireError extends Error {
  override readonly name = 'WireError';
}
