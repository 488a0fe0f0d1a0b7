import { uuidV7 } from './domain/dot.js';
import type { CollectionId } from './domain/ids.js';
import type { Id } from './typed.js';

/**
 * A new id for a record: a UUID (version 7), so that ids made later sort later. With a schema in the program
 * `newId<'cards'>()` remembers the collection for the type checker.
 */
export function newId(): string;
export function newId<C extends CollectionId>(): Id<C>;
export function newId(): string {
  return uuidV7(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
}
