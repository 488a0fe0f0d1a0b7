import { uuidV7 } from './domain/dot.js';

/** A new id for a record: a UUID (version 7), so that ids made later sort later. */
export function newId(): string {
  return uuidV7(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
}
