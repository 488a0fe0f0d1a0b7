import type { RecordId } from './ids.js';
import type { Timestamp } from './timestamp.js';

/**
 * One value as an application reads it. Whole numbers beyond 2^53 - 1 are `bigint`s; points in time are {@link Timestamp}s,
 * which keep their nanoseconds.
 *
 * To the protocol a whole number and a double are different kinds. Written: a `number` that is a safe integer (and not
 * -0) and every `bigint` are whole numbers, any other `number` is a double; {@link Double} writes a double that happens
 * to be whole. NaN is refused.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Timestamp
  | readonly Value[]
  | { readonly [name: string]: Value };

/** Says that a number is to be written as a double even if it is whole. */
export interface Double {
  readonly kind: 'double';
  readonly value: number;
}

/**
 * What can be written: a value, a double that says so, or a `Date`, which is read as a {@link Timestamp}. A {@link Double}
 * within a list or map is not special.
 */
export type WritableValue = Value | Double | Date;

/**
 * A value with its kind, as the protocol has it. Only this form is stored, compared and encoded; {@link Value} is made
 * from it for reading. `number`s beyond the safe range travel as `bigint`.
 */
export type ExactValue =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'timestamp'; readonly seconds: number; readonly nanos: number }
  | { readonly kind: 'list'; readonly values: readonly ExactValue[] }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, ExactValue> };

/** Equal for equal values only (numbers by what they are worth, a map's entries in any order): the key of a set's element. */
export type ValueKey = string;

/** What a field is and how it merges. */
export type FieldKind = 'register' | 'text' | 'counter' | 'set' | 'to_one' | 'to_many';

/** The kind of a field, or that this version of the client does not know it. */
export type KnownKind = FieldKind | 'opaque';

/**
 * A field's confirmed state. Links are as stored, also to deleted records; showing leaves those out. An opaque field has
 * something in it that a newer version wrote: its bytes are kept, a FieldState as it was loaded and the effects since.
 */
export type FieldState =
  | { readonly kind: 'register'; readonly value: ExactValue }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'counter'; readonly value: bigint }
  | { readonly kind: 'set'; readonly elements: ReadonlyMap<ValueKey, ExactValue> }
  | { readonly kind: 'to_one'; readonly target: RecordId | null }
  | { readonly kind: 'to_many'; readonly targets: ReadonlySet<RecordId> }
  | { readonly kind: 'opaque'; readonly parts: readonly Uint8Array[] };
