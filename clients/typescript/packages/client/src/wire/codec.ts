import type { DescMessage, MessageInitShape, MessageShape, UnknownField } from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * Reads and writes messages by the tables that are generated from the protocol (`gen/tables.ts`), with the library's reader
 * and writer for the bytes. The library's own way, reflection over descriptors, would be the greater part of a client in a
 * browser. Messages have the form and the types of the generated code, but for `$typeName`, which is left out.
 *
 * Fields that a table does not name are kept in `$unknown`, as the library keeps them, and written again. A oneof whose
 * member this client does not know is therefore unset in a message that {@link hasUnknown}.
 */

/** Scalars are named as the methods of the library's reader and writer; an enum is an `int32`. */
export type Scalar =
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'float'
  | 'double'
  | 'string'
  | 'bytes';

/** What a field holds: a scalar, or messages of a table, which may be declared later. */
export type Kind = Scalar | (() => Table);

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

/** A message: its fields in the order of their numbers. The type parameter is the message's descriptor, as a type only. */
export class Table<Desc extends DescMessage = DescMessage> {
  readonly fields: readonly Field[];
  readonly byNo: ReadonlyMap<number, Field>;
  /** Nothing at run time: makes tables of different messages different types. */
  declare readonly desc: Desc;

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

/** One call of a service. */
export interface Method<Input extends DescMessage = DescMessage, Output extends DescMessage = DescMessage> {
  /** Full name of the service, a slash, and the name of the method. */
  readonly path: string;
  readonly request: Table<Input>;
  readonly response: Table<Output>;
}

type Message = Record<string, unknown> & { $unknown?: UnknownField[] };
type OneOf = { readonly case: string | undefined; readonly value?: unknown };

/** The message of bytes. */
export function decode<Desc extends DescMessage>(table: Table<Desc>, bytes: Uint8Array): MessageShape<Desc> {
  const reader = new BinaryReader(bytes);
  return readMessage(table, reader, reader.len) as unknown as MessageShape<Desc>;
}

/** The bytes of a message; the same message gives the same bytes. */
export function encode<Desc extends DescMessage>(
  table: Table<Desc>,
  message: MessageInitShape<Desc>,
): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  writeMessage(table, writer, message as Message);
  return writer.finish();
}

/** Bytes that stand for the message they encode when it is part of another one: they are written as they are. */
export function encoded<Desc extends DescMessage>(_table: Table<Desc>, bytes: Uint8Array): MessageInitShape<Desc> {
  return bytes as unknown as MessageInitShape<Desc>;
}

/** Whether a newer version of the protocol put more into the message than this client knows. */
export function hasUnknown(message: { readonly $unknown?: readonly UnknownField[] | undefined }): boolean {
  return message.$unknown !== undefined;
}

function isScalar(kind: Kind): kind is Scalar {
  return typeof kind === 'string';
}

function zero(kind: Kind): unknown {
  switch (kind) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array();
    default:
      if (!isScalar(kind)) return undefined;
      return kind.endsWith('64') ? 0n : 0;
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

function readMessage(table: Table, reader: BinaryReader, end: number): Message {
  const message = emptyMessage(table);
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    const field = table.byNo.get(no);
    if (field === undefined) (message.$unknown ??= []).push({ no, wireType, data: reader.skip(wireType, no) });
    else readField(message, field, reader, wireType);
  }
  if (reader.pos > end) throw new RangeError('a message goes beyond its end');
  return message;
}

function readField(message: Message, field: Field, reader: BinaryReader, wireType: WireType): void {
  const { name, kind, holding, oneof } = field;
  if (oneof !== undefined) message[oneof] = { case: name, value: readValue(kind, reader) } satisfies OneOf;
  else if (holding === 'map') readEntry(message[name] as Message, kind, reader);
  else if (holding === 'list') {
    const list = message[name] as unknown[];
    const packed = isScalar(kind) && wireType === WireType.LengthDelimited && wireTypeOf(kind) !== wireType;
    if (!packed) list.push(readValue(kind, reader));
    else for (const end = reader.uint32() + reader.pos; reader.pos < end;) list.push(readValue(kind, reader));
  } else message[name] = readValue(kind, reader);
}

function readEntry(entries: Message, kind: Kind, reader: BinaryReader): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: unknown = isScalar(kind) ? zero(kind) : emptyMessage(kind());
  while (reader.pos < end) {
    const [no, wireType] = reader.tag();
    if (no === 1) key = reader.string();
    else if (no === 2) value = readValue(kind, reader);
    else reader.skip(wireType, no);
  }
  // A name such as __proto__ is a name like any other.
  Object.defineProperty(entries, key, { value, enumerable: true, configurable: true, writable: true });
}

function readValue(kind: Kind, reader: BinaryReader): unknown {
  if (isScalar(kind)) return reader[kind]();
  const length = reader.uint32();
  return readMessage(kind(), reader, reader.pos + length);
}

function writeMessage(table: Table, writer: BinaryWriter, message: Message): void {
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
        writer.tag(no, WireType.LengthDelimited).fork();
        writer.tag(1, WireType.LengthDelimited).string(key);
        writeField(2, kind, writer, entry);
        writer.join();
      }
    } else if (holding === 'optional' || !isZero(value)) writeField(no, kind, writer, value);
  }
  for (const { no, wireType, data } of message.$unknown ?? []) writer.tag(no, wireType).raw(data);
}

/** A scalar's zero value says nothing; -0 is another double. */
function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === false || value === 0n || Object.is(value, 0);
}

function writeList(no: number, kind: Kind, writer: BinaryWriter, list: readonly unknown[]): void {
  if (!isScalar(kind) || wireTypeOf(kind) === WireType.LengthDelimited) {
    for (const value of list) writeField(no, kind, writer, value);
  } else if (list.length > 0) {
    writer.tag(no, WireType.LengthDelimited).fork();
    for (const value of list) writeScalar(kind, writer, value);
    writer.join();
  }
}

function writeField(no: number, kind: Kind, writer: BinaryWriter, value: unknown): void {
  if (isScalar(kind)) {
    writer.tag(no, wireTypeOf(kind));
    writeScalar(kind, writer, value);
  } else {
    writer.tag(no, WireType.LengthDelimited);
    if (value instanceof Uint8Array) {
      // The message is encoded already: see `encoded`.
      writer.bytes(value);
      return;
    }
    writer.fork();
    writeMessage(kind(), writer, value as Message);
    writer.join();
  }
}

function writeScalar(kind: Scalar, writer: BinaryWriter, value: unknown): void {
  // Each method takes the values of its own kind, which the types of the generated code ensure.
  writer[kind](value as never);
}

function wireTypeOf(kind: Scalar): WireType {
  if (kind === 'string' || kind === 'bytes') return WireType.LengthDelimited;
  if (kind === 'double' || kind.endsWith('fixed64')) return WireType.Bit64;
  return kind === 'float' || kind.endsWith('fixed32') ? WireType.Bit32 : WireType.Varint;
}
