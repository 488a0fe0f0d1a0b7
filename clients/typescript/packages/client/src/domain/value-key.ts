import type { ExactValue, Value, ValueKey } from './value.js';

/** The key of a value: equal for equal values only. */
export function valueKey(value: ExactValue): ValueKey {
  switch (value.kind) {
    case 'null':
      return 'n';
    case 'bool':
      return value.value ? 't' : 'f';
    case 'int':
      return `i${value.value}`;
    case 'double':
      return `d${bitsOf(value.value)}`;
    case 'string':
      return `s${value.value}`;
    case 'bytes':
      return `b${[...value.value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    case 'list':
      return `l${JSON.stringify(value.values.map(valueKey))}`;
    case 'map': {
      const entries = [...value.entries].sort(([a], [b]) => (a < b ? -1 : 1));
      return `m${JSON.stringify(entries.map(([name, entry]) => [name, valueKey(entry)]))}`;
    }
  }
}

/** Doubles are equal by their bits: 0 and -0 are not. */
function bitsOf(value: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16);
}

/** A value as an application reads it. Whole numbers beyond 2^53 - 1 stay `bigint`s. */
export function plainValue(value: ExactValue): Value {
  switch (value.kind) {
    case 'null':
      return null;
    case 'int': {
      const number = Number(value.value);
      return Number.isSafeInteger(number) ? number : value.value;
    }
    case 'list':
      return value.values.map(plainValue);
    case 'map': {
      const out = Object.create(null) as Record<string, Value>;
      for (const [name, entry] of value.entries) out[name] = plainValue(entry);
      return out;
    }
    case 'bool':
    case 'double':
    case 'string':
    case 'bytes':
      return value.value;
  }
}
