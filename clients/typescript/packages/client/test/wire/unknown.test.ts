import { WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { dotKey } from '../../src/domain/dot.js';
import { exactOf, keyOf } from '../../src/domain/exact.js';
import type { Operation } from '../../src/domain/operation.js';
import { Timestamp } from '../../src/domain/timestamp.js';
import type { ConflictKind, ConflictStatus } from '../../src/gen/syncline/v1/conflict_pb.js';
import { FieldKind } from '../../src/gen/syncline/v1/workspace_pb.js';
import * as tables from '../../src/gen/tables.js';
import { frameFromWire } from '../../src/wire/change.js';
import { decode, encode } from '../../src/wire/codec.js';
import { conflictDetailFromWire, mutationKind } from '../../src/wire/conflict.js';
import { summaryFromWire } from '../../src/wire/conflict-summary.js';
import { cursorFromWire, cursorToWire } from '../../src/wire/numbers.js';
import { decodeOperation, encodeOperation, receiptFromWire } from '../../src/wire/operation.js';
import { schemaFromWire } from '../../src/wire/schema.js';

/** A field that no version has yet, with one byte in it. */
const newer = { $unknown: [{ no: 1999, wireType: WireType.LengthDelimited, data: Uint8Array.of(1, 42) }] };
const cursor = { workspaceId: 'w', epoch: 7n, seqInclusive: 3n, chain: new Uint8Array(16) };
const replicaId = '11111111-1111-4111-8111-111111111111';

/** A frame as it comes over the wire. */
function received(frame: object): ReturnType<typeof frameFromWire> {
  return frameFromWire(decode(tables.frameTable, encode(tables.frameTable, { cursor, ...frame } as never)));
}

function changesWith(...effects: readonly object[]): object {
  const change = { seq: 3n, dot: { replicaId, counter: 1n }, effects, outcome: 1 };
  const value = { fromSeqExclusive: 2n, toSeqInclusive: 3n, changes: [change], headSeq: 3n, schemaVersion: 1n };
  return { content: { case: 'changes', value } };
}

function onField(more: object): object {
  return { effect: { case: 'record', value: { collectionId: 'c', recordId: 'r', fieldId: 'f', ...more } } };
}

function effectsOf(frame: ReturnType<typeof frameFromWire>): readonly object[] {
  return frame?.type === 'changes' ? frame.changes.flatMap((change) => change.effects) : [];
}

describe('frames of a newer server', () => {
  it('stop the feed unless they may be ignored', () => {
    expect(received(newer)).toMatchObject({ type: 'unknown', cursor: { seqInclusive: 3 } });
    expect(received({ ...newer, ignorable: true })).toBeUndefined();
    const reset = (ignorable: boolean) => ({ content: { case: 'historyReset', value: { reason: 99 } }, ignorable });
    expect(received(reset(false))).toMatchObject({ type: 'unknown' });
  });

  it('with an unknown effect stop it, too; where that may be ignored the rest of the change counts', () => {
    const known = onField({ effect: { case: 'counterChanged', value: { value: 5n } } });
    expect(received(changesWith(known, newer))).toMatchObject({ type: 'unknown' });
    const frame = received({ ...changesWith(known, newer), ignorable: true });
    expect(frame).toMatchObject({ type: 'changes', toSeqInclusive: 3 });
    expect(effectsOf(frame)).toMatchObject([{ type: 'counter_changed', value: 5n }]);
  });

  it('with an unknown effect on a whole record stop it: nothing of the record could be shown', () => {
    const effect = { effect: { case: 'record', value: { collectionId: 'c', recordId: 'r', ...newer } } };
    expect(received(changesWith(effect))).toMatchObject({ type: 'unknown' });
  });

  it('name reasons to go on elsewhere that are as good as any', () => {
    expect(received({ content: { case: 'goAway', value: { reason: 99 } } })).toMatchObject({ reason: 'draining' });
    expect(received({ content: { case: 'goAway', value: { reason: 4 } } })).toMatchObject({
      reason: 'credentials_expired',
    });
  });
});

describe('fields of a newer server', () => {
  it('are opaque by an unknown effect, an unknown value, and an unknown value within another one', () => {
    const unknownEffect = onField(newer);
    const unknownValue = onField({ effect: { case: 'registerChanged', value: { value: newer } } });
    const nested = {
      kind: { case: 'listValue', value: { values: [{ kind: { case: 'intValue', value: 1n } }, newer] } },
    };
    const unknownWithin = onField({ effect: { case: 'registerChanged', value: { value: nested } } });
    const unknownElement = onField({ effect: { case: 'setChanged', value: { added: [newer] } } });
    for (const effect of [unknownEffect, unknownValue, unknownWithin, unknownElement]) {
      const [read] = effectsOf(received(changesWith(effect))) as readonly { bytes?: Uint8Array }[];
      expect(read).toMatchObject({ type: 'opaque', collectionId: 'c', recordId: 'r', fieldId: 'f' });
      // The bytes are the effect's own, all of it.
      const message = (effect as { effect: { value: object } }).effect.value;
      expect(read?.bytes).toEqual(encode(tables.recordEffectTable, message as never));
    }
  });

  it('are opaque when they are loaded, and the rest of the record is not', () => {
    const state = { ...newer, lastSeq: 2n };
    const fields = { f: state, n: { state: { case: 'counter', value: 4n }, lastSeq: 2n } };
    const record = { record: { collectionId: 'c', recordId: 'r', fields, createdSeq: 1n, lastSeq: 2n }, asOfSeq: 3n };
    const frame = received({ content: { case: 'recordsEntered', value: { records: [record], loadedCount: 1n } } });
    expect(frame?.type === 'records_entered' && frame.records[0]?.fields).toEqual(
      new Map<string, unknown>([
        ['f', { state: { kind: 'opaque', parts: [encode(tables.fieldStateTable, state as never)] }, lastSeq: 2 }],
        ['n', { state: { kind: 'counter', value: 4n }, lastSeq: 2 }],
      ]),
    );
  });

  it('are opaque by their kind in the schema', () => {
    const fields = { f: { kind: 99 as FieldKind }, n: { kind: FieldKind.COUNTER } };
    const bytes = encode(tables.getSchemaResponseTable, { schema: { collections: { c: { fields } } } });
    const schema = schemaFromWire(decode(tables.getSchemaResponseTable, bytes));
    expect(schema.collections.get('c')?.get('f')?.kind).toBe('opaque');
    expect(schema.collections.get('c')?.get('n')?.kind).toBe('counter');
  });

  it('a value that says nothing at all breaks the word of the protocol', () => {
    const empty = onField({ effect: { case: 'registerChanged', value: { value: {} } } });
    expect(() => received(changesWith(empty))).toThrow('a value without a kind');
  });
});

describe('conflicts of a newer server', () => {
  const conflict = { conflictId: 'k', kind: 99 as ConflictKind, status: 99 as ConflictStatus, revision: 1n };

  it('are live until they closed, of a kind that a newer version decides', () => {
    const read = (more: object) =>
      summaryFromWire(decode(tables.conflictTable, encode(tables.conflictTable, { ...conflict, ...more } as never)));
    expect(read({})).toMatchObject({ kind: 'unknown', status: 'open', fieldIds: [] });
    expect(read({ closedSeq: 9n })).toMatchObject({ status: 'obsolete', closedSeq: 9 });
    expect(read({ fieldIds: ['a', 'b'], assignee: 'Ada', closeReason: 4 })).toMatchObject({
      fieldIds: ['a', 'b'],
      assignee: 'Ada',
      closeReason: 'superseded',
    });
    expect('assignee' in read({})).toBe(false);
  });

  it('have sides and fields that are said to need a newer version', () => {
    const side = { dot: { replicaId, counter: 1n }, value: newer, action: 4 };
    const record = { collectionId: 'c', recordId: 'r', fields: { f: newer } };
    const bytes = encode(tables.getConflictResponseTable, { conflict, alternatives: [side], record } as never);
    const detail = conflictDetailFromWire(decode(tables.getConflictResponseTable, bytes));
    expect(detail.alternatives[0]).toMatchObject({ opaque: true, action: 'set_field' });
    expect(detail.alternatives[0]?.value).toBeUndefined();
    expect(detail.record).toMatchObject({ fields: { f: null }, opaque: ['f'] });
    expect([mutationKind(16), mutationKind(99 as never)]).toEqual(['reopen_conflict', 'unknown']);
  });
});

describe('receipts of a newer server', () => {
  const read = (outcome: object) =>
    receiptFromWire(
      decode(
        tables.receiptTable,
        encode(tables.receiptTable, { dot: { replicaId, counter: 1n }, ...outcome } as never),
      ),
    );

  it('leave the outcome open, also when it had been settled before', () => {
    expect(read(newer).outcome).toEqual({ type: 'unknown' });
    const stored = { dot: { replicaId, counter: 1n }, ...newer };
    expect(read({ outcome: { case: 'duplicate', value: { stored } } }).outcome).toEqual({ type: 'unknown' });
  });

  it('say which mutation was not settled', () => {
    const value = { reason: 51, message: 'gone', expectedCounter: 4n, mutationIndex: 0 };
    expect(read({ outcome: { case: 'notSettled', value } }).outcome).toEqual({
      type: 'not_settled',
      refusal: { reason: 'HISTORY_REWOUND', message: 'gone', metadata: {} },
      expectedCounter: 4,
      mutationIndex: 0,
    });
  });
});

describe('what goes to the server', () => {
  it('a cursor comes back as it was given, with what this client does not know of it', () => {
    const given = { ...cursor, selection: Uint8Array.of(1), loading: Uint8Array.of(2, 3), ...newer };
    const bytes = encode(tables.cursorTable, given);
    const kept = cursorFromWire(decode(tables.cursorTable, bytes));
    expect(kept).toMatchObject({ workspaceId: 'w', epoch: '7', seqInclusive: 3 });
    expect(encode(tables.cursorTable, cursorToWire(structuredClone(kept)))).toEqual(bytes);
    expect(cursorFromWire(decode(tables.cursorTable, encode(tables.cursorTable, cursor))).more).toBeUndefined();
  });

  it('an operation reads as it was written: contexts with their chain, records, conflicts, links, times', () => {
    const dot = { replicaId, counter: 3 };
    const on = { collectionId: 'c', recordId: 'r' };
    const onConflict = { collectionId: '', recordId: '' };
    const at = Timestamp.from('2026-03-01T12:00:00.000000001Z');
    const operation: Operation = {
      dot,
      context: { epoch: '7', baseSeq: 3, extras: [], baseChain: new Uint8Array(16).fill(9) },
      mutations: [
        { ...on, action: { type: 'create', fields: new Map([['at', exactOf(at)]]) } },
        { ...on, action: { type: 'set', fieldId: 'at', value: exactOf(new Date(5)) }, observedSeq: 2 },
        { ...on, action: { type: 'link', fieldId: 'one', targetRecordId: 't' }, resolvesConflictId: 'k' },
        { ...on, action: { type: 'unlink', fieldId: 'one', targetRecordId: null } },
        { ...on, action: { type: 'unlink', fieldId: 'many', targetRecordId: 't' } },
        { ...on, action: { type: 'delete' } },
        { ...onConflict, action: { type: 'defer_conflict', conflictId: 'k', revision: 2, remindAtMs: 5 } },
        { ...onConflict, action: { type: 'assign_conflict', conflictId: 'k', assignee: '' } },
        { ...onConflict, action: { type: 'assign_conflict', conflictId: 'k', assignee: 'Ada' } },
        { ...onConflict, action: { type: 'reopen_conflict', conflictId: 'k' } },
      ],
      correlationId: 'x',
      dependsOn: [],
      actor: 'ann',
      clientTimeMs: 1,
    };
    const bytes = encodeOperation(operation);
    expect(decodeOperation(bytes)).toEqual(operation);
    const message = decode(tables.operationTable, bytes);
    expect(message.mutations.map(({ mutation }) => mutation.case)).toEqual([
      ...Array.from({ length: 6 }, () => 'record'),
      ...Array.from({ length: 4 }, () => 'conflict'),
    ]);
    const assigns = message.mutations.flatMap(({ mutation }) =>
      mutation.case === 'conflict' && mutation.value.action.case === 'assign' ? [mutation.value.action.value] : [],
    );
    expect(assigns.map(({ assignee }) => assignee)).toEqual([undefined, 'Ada']);
    expect(keyOf(exactOf(at))).toBe('t1772366400.1');
    expect(dotKey(dot)).toBe(`${replicaId}:3`);
  });
});
