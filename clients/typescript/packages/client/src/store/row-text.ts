import { StoreError } from './store-error.js';

/**
 * Rows as JSON. What JSON has no word for is an object with one name that begins with `$`; plain objects with such names
 * are written as lists of entries.
 */
export function rowText(row: unknown): string {
  return JSON.stringify(encode(row));
}

export function rowOf(text: string): unknown {
  return decode(JSON.parse(text) as unknown);
}

function encode(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return { $int: value.toString() };
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $double: Object.is(value, -0) ? '-0' : String(value) };
    case 'object':
      return value === null ? null : encodeObject(value);
    default:
      return value;
  }
}

function encodeObject(value: object): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(encode);
  if (value instanceof Map)
    return { $map: [...value].map(([key, item]: [unknown, unknown]) => [encode(key), encode(item)]) };
  if (value instanceof Set) return { $set: [...value].map(encode) };
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const encoded = entries.map(([name, item]): [string, unknown] => [name, encode(item)]);
  return entries.some(([name]) => name.startsWith('$')) ? { $object: encoded } : Object.fromEntries(encoded);
}

/** In place: what was just parsed belongs to nobody else. */
function decode(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = decode(value[index]);
    return value;
  }
  const object = value as Record<string, unknown>;
  for (const name in object) {
    // A tag is the only name of its object.
    if (name.startsWith('$')) return decodeTagged(name, object[name]);
    object[name] = decode(object[name]);
  }
  return object;
}

function decodeTagged(tag: string, content: unknown): unknown {
  if (typeof content === 'string') {
    if (tag === '$int') return BigInt(content);
    if (tag === '$double') return Number(content);
    if (tag === '$bytes') return new Uint8Array(Buffer.from(content, 'base64'));
  }
  if (Array.isArray(content)) {
    if (tag === '$set') return new Set(content.map(decode));
    if (tag === '$map')
      return new Map(content.map((entry: [unknown, unknown]) => [decode(entry[0]), decode(entry[1])]));
    if (tag === '$object')
      return Object.fromEntries(content.map((entry: [string, unknown]) => [entry[0], decode(entry[1])]));
  }
  throw new StoreError('corrupt', `a row has an unknown form (${tag})`);
}
