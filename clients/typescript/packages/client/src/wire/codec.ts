import { Reader, WIRE, Writer } from './bytes.js';

/**
 * Protocol Buffers by small tables instead of reflection, which would be the greater part of a client in a browser.
 * What is decoded has the form that the generated code describes, and its types; `test/wire/tables.test.ts` holds the
 * tables against the generated code.
 */
export type Scalar = 'u64' | 's64' | 'i64' | 'f64' | 'u32' | 'i32' | 'bool' | 'double' | 'string' | 'bytes' | 'enum';

/** What a field holds. */
export type Kind = Scalar | Table | (() => Table);

/** How a field holds it; by default once, its zero value left out. Keys of maps are strings. */
export type Holding = 'list' | 'map' | 'optional';

export interface Field {
  readonly no: number;
  readonly name: string;
  readonly kind: Kind;
  readonly holding: Holding | undefined;
  /** The name of the oneof it belongs to. */
  readonly oneof: string | undefined;
}

/** A message: its fields in the order of their numbers. */
export class Table {
  readonly fields: readonly Field[];
  readonly byNo: ReadonlyMap<number, Field>;

  /** By name; a member of a oneof is named `oneof.member`. */
  constructor(fields: Readonly<Record<string, readonly [no: number, kind: Kind, holding?: Holding]>>) {
    this.fields = Object.entries(fields)
      .map(([path, [no, kind, holding]]) => {
        const [first = '', second] = path.split('.');
        return { no, kind, holding, name: second ?? first, oneof: second === undefined ? undefined : first };
      })
      .sort((a, b) => a.no - b.no);
    this.byNo = new Map(this.fields.map((field) => [field.no, field]));
  }
}

type Message = Record<string, unknown>;
type OneOf = { readonly case: string | undefined; readonly value?: unknown };

/** A message out of its bytes. Fields that are not in the table are left out. */
export function decode(table: Table, bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  return readMessage(table, reader, reader.len);
}

/** The bytes of a message; the same message gives the same bytes. */
export function encode(table: Table, message: unknown): Uint8Array {
  const writer = new Writer();
  writeMessage(table, writer, message as Message);
  return writer.finish();
}

function tableOf(kind: Table | (() => Table)): Table {
  return typeof kind === 'function' ? kind() : kind;
}

function isScalar(kind: Kind): kind is Scalar {
  return typeof kind === 'string';
}

function zero(kind: Kind): unknown {
  switch (kind) {
    case 'u64':
    case 's64':
    case 'i64':
    case 'f64':
      return 0n;
    case 'u32':
    case 'i32':
    case 'double':
    case 'enum':
      return 0;
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array();
    default:
      return undefined;
  }
}

function emptyMessage(table: Table): Message {
  const message: Message = {};
  for (const { name, kind, holding, oneof } of table.fields) {
    if (oneof !== undefined) message[oneof] = { case: undefined };
    else if (holding === 'list') message[name] = [];
    else if (holding === 'map') message[name] = {};
    else if (holding === undefined) message[name] = zero(kind);
  }
  return message;
}

function readMessage(table: Table, reader: Reader, end: number): Message {
  const message = emptyMessage(table);
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    const field = table.byNo.get(no);
    if (field === undefined) reader.skip(wireType);
    else readField(message, field, reader, wireType);
  }
  return message;
}

function readField(message: Message, field: Field, reader: Reader, wireType: number): void {
  const { name, kind, holding, oneof } = field;
  if (oneof !== undefined) message[oneof] = { case: name, value: readValue(kind, reader) } satisfies OneOf;
  else if (holding === 'map') readEntry(message[name] as Message, kind, reader);
  else if (holding === 'list') {
    const list = message[name] as unknown[];
    const packed = wireType === WIRE.length && isScalar(kind) && kind !== 'string' && kind !== 'bytes';
    if (!packed) list.push(readValue(kind, reader));
    else for (const end = reader.uint32() + reader.pos; reader.pos < end;) list.push(readValue(kind, reader));
  } else message[name] = readValue(kind, reader);
}

function readEntry(entries: Message, kind: Kind, reader: Reader): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: unknown = isScalar(kind) ? zero(kind) : emptyMessage(tableOf(kind));
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    if (no === 1) key = reader.string();
    else if (no === 2) value = readValue(kind, reader);
    else reader.skip(wireType);
  }
  // A name such as __proto__ is a name like any other.
  Object.defineProperty(entries, key, { value, enumerable: true, configurable: true, writable: true });
}

function readValue(kind: Kind, reader: Reader): unknown {
  switch (kind) {
    case 'u64':
      return reader.uint64();
    case 's64':
      return reader.sint64();
    case 'i64':
      return reader.int64();
    case 'f64':
      return reader.fixed64();
    case 'u32':
      return reader.uint32();
    case 'i32':
    case 'enum':
      return reader.int32();
    case 'bool':
      return reader.bool();
    case 'double':
      return reader.double();
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.bytes();
    default: {
      const length = reader.uint32();
      return readMessage(tableOf(kind), reader, reader.pos + length);
    }
  }
}

function writeMessage(table: Table, writer: Writer, message: Message): void {
  for (const { no, name, kind, holding, oneof } of table.fields) {
    if (oneof !== undefined) {
      const chosen = message[oneof] as OneOf | undefined;
      if (chosen?.case === name) writeField(no, kind, writer, chosen.value);
      continue;
    }
    const value = message[name];
    if (value === undefined) continue;
    if (holding === 'list') writeList(no, kind, writer, value as readonly unknown[]);
    else if (holding === 'map') {
      for (const [key, entry] of Object.entries(value as Message)) {
        writer.tag(no, WIRE.length);
        writer.fork();
        writer.tag(1, WIRE.length);
        writer.string(key);
        writeField(2, kind, writer, entry);
        writer.join();
      }
    } else if (holding === 'optional' || !isZero(value)) writeField(no, kind, writer, value);
  }
}

/** A scalar's zero value says nothing; -0 is another double. */
function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === false || value === 0n || Object.is(value, 0);
}

function writeList(no: number, kind: Kind, writer: Writer, list: readonly unknown[]): void {
  if (!isScalar(kind) || kind === 'string' || kind === 'bytes') {
    for (const value of list) writeField(no, kind, writer, value);
  } else if (list.length > 0) {
    writer.tag(no, WIRE.length);
    writer.fork();
    for (const value of list) writeScalar(kind, writer, value);
    writer.join();
  }
}

const WIRE_TYPES: Readonly<Partial<Record<Scalar, number>>> = {
  f64: WIRE.bits64,
  double: WIRE.bits64,
  string: WIRE.length,
  bytes: WIRE.length,
};

function writeField(no: number, kind: Kind, writer: Writer, value: unknown): void {
  if (isScalar(kind)) {
    writer.tag(no, WIRE_TYPES[kind] ?? WIRE.varint);
    writeScalar(kind, writer, value);
  } else {
    writer.tag(no, WIRE.length);
    writer.fork();
    writeMessage(tableOf(kind), writer, value as Message);
    writer.join();
  }
}

function writeScalar(kind: Scalar, writer: Writer, value: unknown): void {
  switch (kind) {
    case 'u64':
      writer.uint64(value as bigint);
      break;
    case 's64':
      writer.sint64(value as bigint);
      break;
    case 'i64':
      writer.int64(value as bigint);
      break;
    case 'f64':
      writer.fixed64(value as bigint);
      break;
    case 'u32':
      writer.uint32(value as number);
      break;
    case 'i32':
    case 'enum':
      writer.int32(value as number);
      break;
    case 'bool':
      writer.bool(value as boolean);
      break;
    case 'double':
      writer.double(value as number);
      break;
    case 'string':
      writer.string(value as string);
      break;
    case 'bytes':
      writer.bytes(value as Uint8Array);
      break;
  }
}
