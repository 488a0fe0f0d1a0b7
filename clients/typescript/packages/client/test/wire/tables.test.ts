import { create, ScalarType, toBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import * as causality from '../../src/gen/syncline/v1/causality_pb.js';
import * as change from '../../src/gen/syncline/v1/change_pb.js';
import * as changeService from '../../src/gen/syncline/v1/change_service_pb.js';
import * as conflict from '../../src/gen/syncline/v1/conflict_pb.js';
import * as conflictService from '../../src/gen/syncline/v1/conflict_service_pb.js';
import * as connection from '../../src/gen/syncline/v1/connection_pb.js';
import * as connectionService from '../../src/gen/syncline/v1/connection_service_pb.js';
import { ErrorReason } from '../../src/gen/syncline/v1/error_pb.js';
import * as operation from '../../src/gen/syncline/v1/operation_pb.js';
import * as operationService from '../../src/gen/syncline/v1/operation_service_pb.js';
import * as record from '../../src/gen/syncline/v1/record_pb.js';
import * as value from '../../src/gen/syncline/v1/value_pb.js';
import * as workspace from '../../src/gen/syncline/v1/workspace_pb.js';
import * as workspaceService from '../../src/gen/syncline/v1/workspace_service_pb.js';
import { decode, encode, Table, type Field } from '../../src/wire/codec.js';
import { reasonName } from '../../src/wire/operation.js';
import * as tables from '../../src/wire/tables.js';

const SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.UINT64]: 'u64',
  [ScalarType.SINT64]: 's64',
  [ScalarType.INT64]: 'i64',
  [ScalarType.FIXED64]: 'f64',
  [ScalarType.UINT32]: 'u32',
  [ScalarType.INT32]: 'i32',
  [ScalarType.BOOL]: 'bool',
  [ScalarType.DOUBLE]: 'double',
  [ScalarType.STRING]: 'string',
  [ScalarType.BYTES]: 'bytes',
};

const generated = new Map<string, DescMessage>();
for (const module of [
  causality,
  change,
  changeService,
  conflict,
  conflictService,
  connection,
  connectionService,
  operation,
  operationService,
  record,
  value,
  workspace,
  workspaceService,
]) {
  for (const each of Object.values(module) as readonly unknown[]) {
    if (typeof each === 'object' && each !== null && 'kind' in each && each.kind === 'message') {
      const desc = each as DescMessage;
      generated.set(desc.name, desc);
    }
  }
}

function descOf(table: string): DescMessage | undefined {
  if (table === 'nullMessage') return generated.get('Null');
  return generated.get(table.charAt(0).toUpperCase() + table.slice(1));
}

function nameOf(table: Table): string {
  return Object.entries(tables).find(([, each]) => each === table)?.[0] ?? 'unknown';
}

/** A field as the generated code describes it. */
function described(field: DescField): unknown {
  const held = field as unknown as { message?: DescMessage; enum?: unknown; scalar?: ScalarType };
  let kind = held.scalar === undefined ? undefined : SCALARS[held.scalar];
  if (held.message !== undefined) kind = held.message.typeName;
  if (held.enum !== undefined) kind = 'enum';
  let holding: string | undefined;
  if (field.fieldKind === 'list' || field.fieldKind === 'map') holding = field.fieldKind;
  else if (field.oneof === undefined && field.fieldKind !== 'message' && field.presence === 1) holding = 'optional';
  return { no: field.number, name: field.localName, kind, holding, oneof: field.oneof?.localName };
}

/** The same of a table. */
function tabled({ no, name, kind, holding, oneof }: Field): unknown {
  const table = typeof kind === 'function' ? kind() : kind;
  const told = typeof table === 'string' ? table : descOf(nameOf(table))?.typeName;
  const wkt = table instanceof Table && nameOf(table) === 'timestamp' ? 'google.protobuf.Timestamp' : told;
  return { no, name, kind: wkt, holding, oneof };
}

describe('the tables', () => {
  it.each(Object.keys(tables).filter((name) => name !== 'timestamp'))(
    '%s says what the generated code says',
    (name) => {
      const table = tables[name as keyof typeof tables];
      const desc = descOf(name);
      expect(desc, 'is generated').toBeDefined();
      const fields = [...(desc?.fields ?? [])].sort((a, b) => a.number - b.number);
      expect(table.fields.map(tabled)).toEqual(fields.map(described));
    },
  );

  it('names every reason', () => {
    for (const each of Object.values(ErrorReason).filter((reason) => typeof reason === 'number')) {
      expect(reasonName(each)).toBe(ErrorReason[each]);
    }
    expect(reasonName(4_711 as ErrorReason)).toBe('REASON_4711');
  });

  it('encodes and decodes as the generated code does', () => {
    const message = create(operation.OperationSchema, {
      identity: { case: 'dot', value: { replicaId: 'r', counter: 2n ** 60n } },
      knowledge: {
        case: 'context',
        value: { epoch: 2n ** 63n + 5n, baseSeq: 7n, extras: [{ replicaId: 'x', counter: 1n }] },
      },
      mutations: [
        {
          collectionId: 'cards',
          recordId: 'r',
          observedSeq: 0n,
          action: {
            case: 'create',
            value: {
              fields: {
                a: { kind: { case: 'intValue', value: -(2n ** 63n) } },
                b: { kind: { case: 'doubleValue', value: -0 } },
                c: {
                  kind: { case: 'mapValue', value: { entries: { x: { kind: { case: 'nullValue', value: {} } } } } },
                },
                d: { kind: { case: 'listValue', value: { values: [{ kind: { case: 'boolValue', value: false } }] } } },
                e: { kind: { case: 'bytesValue', value: Uint8Array.of(0, 255) } },
                f: { kind: { case: 'stringValue', value: 'né🙂' } },
              },
            },
          },
        },
        { action: { case: 'editText', value: { fieldId: 't', hunks: [{ position: 0, deleteCount: 3, insert: '' }] } } },
      ],
      clientTime: { seconds: -1n, nanos: 5 },
    });
    const bytes = toBinary(operation.OperationSchema, message);
    expect(encode(tables.operation, message)).toEqual(bytes);
    expect(encode(tables.operation, decode(tables.operation, bytes))).toEqual(bytes);

    const receipt = create(operation.ReceiptSchema, { remaining: [{ conflictId: 'c', unseenSeqs: [1n, 300n] }] });
    const receiptBytes = toBinary(operation.ReceiptSchema, receipt);
    expect(encode(tables.receipt, decode(tables.receipt, receiptBytes))).toEqual(receiptBytes);
  });

  it('leaves out what it does not know', () => {
    const newer = new Table({ replicaId: [1, 'string'], counter: [2, 'u64'], more: [99, 'string'] });
    const bytes = encode(newer, { replicaId: 'r', counter: 3n, more: 'later' });
    expect(decode(tables.dot, bytes)).toEqual({ replicaId: 'r', counter: 3n });
  });
});
