import { readdirSync } from 'node:fs';
import { create, fromBinary, ScalarType, toBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { AnySchema, DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as causality from '../../src/gen/syncline/v1/causality_pb.js';
import { ErrorReason } from '../../src/gen/syncline/v1/error_pb.js';
import type { RecordEffectSchema } from '../../src/gen/syncline/v1/change_pb.js';
import * as tables from '../../src/gen/tables.js';
import { decode, encode, encoded, hasUnknown, Table } from '../../src/wire/codec.js';
import { callDetails, statusDetails } from '../../src/wire/errors.js';
import { reasonName } from '../../src/wire/operation.js';

/** All messages of the protocol, by the names of their tables. */
const messages = new Map<string, DescMessage>();
const GEN = new URL('../../src/gen/', import.meta.url);
for (const file of readdirSync(GEN, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('_pb.ts'))) {
  const module = (await import(new URL(file, GEN).href)) as Record<string, unknown>;
  for (const each of Object.values(module)) {
    if (typeof each === 'object' && each !== null && 'kind' in each && each.kind === 'message') {
      const desc = each as DescMessage;
      messages.set(`${desc.name.charAt(0).toLowerCase()}${desc.name.slice(1)}Table`, desc);
    }
  }
}

const SCALARS: Readonly<Partial<Record<ScalarType, fc.Arbitrary<unknown>>>> = {
  [ScalarType.UINT64]: fc.bigInt(0n, 2n ** 64n - 1n),
  [ScalarType.FIXED64]: fc.bigInt(0n, 2n ** 64n - 1n),
  [ScalarType.SINT64]: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  [ScalarType.INT64]: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  [ScalarType.UINT32]: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  [ScalarType.INT32]: fc.integer(),
  [ScalarType.BOOL]: fc.boolean(),
  [ScalarType.DOUBLE]: fc.double({ noNaN: true }),
  [ScalarType.STRING]: fc.string({ unit: 'grapheme' }),
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 20 }),
};

const DEEPEST = 3;

/** Messages of a kind, with as many of their fields as chance gives them. */
function messageOf(desc: DescMessage, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const own = desc.fields.filter(({ oneof }) => oneof === undefined);
  const fields = Object.fromEntries(own.map((field) => [field.localName, fieldOf(field, depth)]));
  const oneofs = desc.oneofs.map((oneof) => {
    const members = oneof.fields.map((field) =>
      valueOf(field, depth)?.map((value) => ({ case: field.localName, value })),
    );
    const possible = members.filter((member) => member !== undefined);
    return [oneof.localName, possible.length === 0 ? undefined : fc.oneof(...possible)] as const;
  });
  const all = { ...fields, ...Object.fromEntries(oneofs) };
  const present = Object.entries(all).filter(
    (entry): entry is [string, fc.Arbitrary<unknown>] => entry[1] !== undefined,
  );
  return fc.record(Object.fromEntries(present), { requiredKeys: [] });
}

function fieldOf(field: DescField, depth: number): fc.Arbitrary<unknown> | undefined {
  const one = valueOf(field, depth);
  if (one === undefined) return undefined;
  if (field.fieldKind === 'list') return fc.array(one, { maxLength: 3 });
  if (field.fieldKind === 'map') {
    // The library loses an entry of this name when a message is made; the tables keep it.
    const name = fc.string().filter((text) => text !== '__proto__');
    return fc.dictionary(name, one, { maxKeys: 3, noNullPrototype: true });
  }
  return one;
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<unknown> | undefined {
  const {
    message,
    enum: values,
    scalar,
  } = field as unknown as { message?: DescMessage; enum?: unknown; scalar?: ScalarType };
  if (message !== undefined) return depth < DEEPEST ? messageOf(message, depth + 1) : undefined;
  if (values !== undefined) return fc.nat(20);
  return scalar === undefined ? undefined : SCALARS[scalar];
}

/** Without what only the library keeps. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, each]) => name !== '$typeName' && each !== undefined)
      .map(([name, each]) => [name, plain(each)]),
  );
}

describe('the generated tables', () => {
  it('are there for every message', () => {
    expect(messages.size).toBeGreaterThan(50);
    const named = Object.entries(tables).filter(([, each]) => each instanceof Table);
    expect(named.map(([name]) => name).sort()).toEqual([...messages.keys(), 'timestampTable', 'durationTable'].sort());
  });

  it.each([...messages])('%s reads and writes what the library does', (name, desc) => {
    const table = tables[name as keyof typeof tables] as unknown as Table;
    fc.assert(
      fc.property(messageOf(desc), (init) => {
        const message = create(desc, init as never);
        const bytes = toBinary(desc, message);
        expect(encode(table, init as never)).toEqual(bytes);
        expect(encode(table, decode(table, bytes) as never)).toEqual(bytes);
        expect(plain(decode(table, bytes))).toEqual(plain(fromBinary(desc, bytes)));
      }),
      { numRuns: 25 },
    );
  });
});

describe('messages', () => {
  it('names every reason', () => {
    for (const each of Object.values(ErrorReason).filter((reason) => typeof reason === 'number')) {
      expect(reasonName(each)).toBe(ErrorReason[each]);
    }
    expect(reasonName(4_711 as ErrorReason)).toBe('REASON_4711');
  });

  it('keeps what it does not know, and writes it again', () => {
    const newer = new Table<typeof causality.DotSchema>({
      replicaId: [1, 'string'],
      counter: [2, 'uint64'],
      more: [99, 'string'],
    });
    const bytes = encode(newer, { replicaId: 'r', counter: 3n, more: 'later' } as never);
    const dot = decode(tables.dotTable, bytes);
    expect(dot).toMatchObject({ replicaId: 'r', counter: 3n });
    expect(hasUnknown(dot)).toBe(true);
    expect(encode(tables.dotTable, dot)).toEqual(bytes);
    expect(dot.$unknown).toEqual(fromBinary(causality.DotSchema, bytes).$unknown);
  });

  it('tells an unset oneof from one with a member it does not know', () => {
    const unset = decode(tables.recordEffectTable, encode(tables.recordEffectTable, { recordId: 'r' }));
    expect(unset.effect.case).toBeUndefined();
    expect(hasUnknown(unset)).toBe(false);

    const newer = new Table<typeof RecordEffectSchema>({
      recordId: [2, 'string'],
      'effect.listChanged': [99, 'string'],
    });
    const later = decode(
      tables.recordEffectTable,
      encode(newer, { recordId: 'r', effect: { case: 'listChanged', value: 'x' } } as never),
    );
    expect(later.effect.case).toBeUndefined();
    expect(hasUnknown(later)).toBe(true);
  });

  it('writes a message that is encoded already as it is', () => {
    const dot = { replicaId: 'r', counter: 7n };
    const bytes = encode(tables.dotTable, dot);
    const request = { workspaceId: 'w', dots: [dot] };
    const same = { workspaceId: 'w', dots: [encoded(tables.dotTable, bytes)] };
    expect(encode(tables.getReceiptsRequestTable, same)).toEqual(encode(tables.getReceiptsRequestTable, request));
  });

  it('refuses bytes that end early or go beyond their message', () => {
    const bytes = encode(tables.cursorTable, { workspaceId: 'workspace', epoch: 1n });
    expect(() => decode(tables.cursorTable, bytes.subarray(0, bytes.length - 1))).toThrow(RangeError);
    // The dot says that it has 3 bytes; the string in it says that it has more.
    expect(() => decode(tables.abandonCounterRequestTable, Uint8Array.of(18, 3, 10, 3, 97, 97, 97))).toThrow(
      RangeError,
    );
  });
});

describe('the details of a status', () => {
  const any = (typeUrl: string, value: Uint8Array) => toBinary(AnySchema, create(AnySchema, { typeUrl, value }));
  const field = (no: number, bytes: Uint8Array) => Uint8Array.of(no * 8 + 2, bytes.length, ...bytes);
  const text = (no: number, value: string) => field(no, new TextEncoder().encode(value));
  const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

  it('give reason, metadata and the time to wait', () => {
    const info = Uint8Array.of(
      ...text(1, 'OVERLOADED'),
      ...text(2, 'syncline'),
      ...field(3, Uint8Array.of(...text(1, 'k'), ...text(2, 'v'))),
    );
    const retry = field(1, toBinary(DurationSchema, create(DurationSchema, { seconds: 2n, nanos: 500_000_000 })));
    const status = Uint8Array.of(
      ...field(3, any('type.googleapis.com/google.rpc.ErrorInfo', info)),
      ...field(3, any('type.googleapis.com/google.rpc.RetryInfo', retry)),
      ...field(
        3,
        any('type.googleapis.com/google.protobuf.Timestamp', toBinary(TimestampSchema, create(TimestampSchema))),
      ),
    );
    expect(callDetails(statusDetails(base64(status)))).toEqual({
      reason: 'OVERLOADED',
      metadata: { k: 'v' },
      retryAfterMs: 2_500,
    });
  });

  it('are nothing when they cannot be read', () => {
    expect(callDetails(statusDetails(null))).toEqual({ metadata: {} });
    expect(callDetails(statusDetails('***'))).toEqual({ metadata: {} });
    expect(callDetails([{ type: 'google.rpc.ErrorInfo', value: Uint8Array.of(10, 200) }])).toEqual({ metadata: {} });
  });
});
