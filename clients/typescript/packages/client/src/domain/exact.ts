import { Problem } from './problem.js';
import { Timestamp } from './timestamp.js';
import type { Double, ExactValue, Value, ValueKey, WritableValue } from './value.js';

/** Nesting of a value that the server accepts. */
export const VALUE_DEPTH_MAX = 30;
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Writes a number as a double even if it is whole. */
export function double(value: number): Double {
  return { kind: 'double', value };
}

/** Text as the protocol can carry it: halves of characters become U+FFFD, as encoding would make them anyway. */
export function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATE, '\ufffd');
}

/** Whether a whole number fits the protocol's 64 bits. */
export function isInt64(value: bigint): boolean {
  return value >= INT_MIN && value <= INT_MAX;
}

/** The exact form of what an application writes. Throws a {@link Problem} when it cannot be written. */
export function exactOf(value: WritableValue): ExactValue {
  return isDouble(value) ? exactDouble(value.value) : exact(value, 1);
}

function isDouble(value: WritableValue): value is Double {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    value.kind === 'double' &&
    'value' in value &&
    typeof value.value === 'number' &&
    Object.keys(value).length === 2
  );
}

function exactDouble(value: number): ExactValue {
  if (Number.isNaN(value)) throw new Problem('value', 'NaN cannot be written');
  return { kind: 'double', value };
}

function exact(value: Value | Date, depth: number): ExactValue {
  if (depth > VALUE_DEPTH_MAX) throw new Problem('value', `a value is nested more than ${VALUE_DEPTH_MAX} levels deep`);
  switch (typeof value) {
    case 'boolean':
      return { kind: 'bool', value };
    case 'number':
      return Number.isSafeInteger(value) && !Object.is(value, -0)
        ? { kind: 'int', value: BigInt(value) }
        : exactDouble(value);
    case 'bigint':
      if (!isInt64(value)) throw new Problem('value', 'a whole number has more than 64 bits');
      return { kind: 'int', value };
    case 'string':
      return { kind: 'string', value: wellFormed(value) };
    case 'object':
      return value === null ? { kind: 'null' } : exactObject(value, depth);
    default:
      throw new Problem('value', `a ${typeof value} cannot be written`);
  }
}

function exactObject(value: (NonNullable<Value> & object) | Date, depth: number): ExactValue {
  if (value instanceof Uint8Array) return { kind: 'bytes', value: value.slice() };
  if (value instanceof Timestamp || value instanceof Date) return exactTime(value);
  if (Array.isArray(value)) return { kind: 'list', values: value.map((item: Value) => exact(item, depth + 1)) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new Problem('value', 'only plain objects, arrays, byte arrays and times can be written');
  }
  const entries = Object.entries(value as { readonly [name: string]: Value });
  return { kind: 'map', entries: new Map(entries.map(([name, item]) => [nameOf(name), exact(item, depth + 1)])) };
}

function nameOf(name: string): string {
  const formed = wellFormed(name);
  if (new TextEncoder().encode(formed).length > 256) {
    throw new Problem('value', 'the name of an entry has more than 256 bytes');
  }
  return formed;
}

function exactTime(value: Timestamp | Date): ExactValue {
  try {
    const { seconds, nanos } = value instanceof Date ? Timestamp.from(value) : value;
    return { kind: 'timestamp', seconds, nanos };
  } catch {
    throw new Problem('value', 'a time is not between the years 1 and 9999');
  }
}

/** What an application reads. */
export function valueOf(value: ExactValue): Value {
  switch (value.kind) {
    case 'null':
      return null;
    case 'int':
      return numberOf(value.value);
    case 'timestamp':
      return new Timestamp(value.seconds, value.nanos);
    case 'list':
      return value.values.map(valueOf);
    case 'map':
      return Object.fromEntries([...value.entries].map(([name, item]) => [name, valueOf(item)]));
    default:
      return value.value;
  }
}

/** A whole number as an application reads it. */
export function numberOf(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The key under which equal values, and only they, meet. */
export function keyOf(value: ExactValue): ValueKey {
  switch (value.kind) {
    case 'null':
      return 'n';
    case 'bool':
      return value.value ? 'b1' : 'b0';
    case 'int':
      return `i${value.value}`;
    case 'double':
      // A double that is whole is the same number as the whole number.
      return Number.isInteger(value.value) ? `i${BigInt(value.value)}` : `d${value.value}`;
    case 'timestamp':
      return `t${value.seconds}.${value.nanos}`;
    case 'string':
      return `s${value.value.length}:${value.value}`;
    case 'bytes':
      return `x${Array.from(value.value, (byte) => byte.toString(16).padStart(2, '0')).join('')}.`;
    case 'list':
      return `l${value.values.length}[${value.values.map(keyOf).join(',')}]`;
    case 'map': {
      const names = [...value.entries.keys()].sort();
      const entries = names.map((name) => {
        const entry = value.entries.get(name);
        return `${name.length}:${name}=${entry === undefined ? '' : keyOf(entry)}`;
      });
      return `m${names.length}{${entries.join(',')}}`;
    }
  }
}

/** Whether two exact values are equal: same kind and content, or the same number of whatever kind. */
export function sameExact(a: ExactValue, b: ExactValue): boolean {
  return a === b || keyOf(a) === keyOf(b);
}

/** The exact form of a string. */
export function exactString(value: string): ExactValue {
  return { kind: 'string', value };
}

export const EXACT_NULL: ExactValue = { kind: 'null' };
