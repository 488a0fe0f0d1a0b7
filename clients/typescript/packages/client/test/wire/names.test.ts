import { describe, expect, it } from 'vitest';
import { ChangeOutcome } from '../../src/gen/syncline/v1/change_pb.js';
import { GoAwayReason, ResetReason } from '../../src/gen/syncline/v1/change_service_pb.js';
import * as conflict from '../../src/gen/syncline/v1/conflict_pb.js';
import * as workspace from '../../src/gen/syncline/v1/workspace_pb.js';
import { frameFromWire } from '../../src/wire/change.js';
import { conflictEventKind, conflictStatus, summaryFromWire } from '../../src/wire/conflict-summary.js';
import { conflictDetailFromWire, mutationKind } from '../../src/wire/conflict.js';
import { schemaFromWire } from '../../src/wire/schema.js';
import * as tables from '../../src/gen/tables.js';
import { decode, encode } from '../../src/wire/codec.js';

/** The names of an enum of the protocol by their numbers, without the one that is never meant. */
function members(of: object): (readonly [name: string, number: number])[] {
  return Object.entries(of).flatMap(([name, number]) =>
    typeof number === 'number' && number !== 0 ? [[name.toLowerCase(), number] as const] : [],
  );
}

const CONFLICT = { conflictId: 'k', revision: 1n };
const detailWith = (more: object) => {
  const response = { conflict: CONFLICT, record: { recordId: 'x' }, ...more };
  const bytes = encode(tables.getConflictResponseTable, response as never);
  return conflictDetailFromWire(decode(tables.getConflictResponseTable, bytes));
};
const summaryWith = (more: object) =>
  summaryFromWire(decode(tables.conflictTable, encode(tables.conflictTable, { ...CONFLICT, ...more } as never)));

describe('names that are kept by their numbers', () => {
  const reads: readonly (readonly [string, object, (number: number) => string | undefined])[] = [
    ['ConflictKind', conflict.ConflictKind, (kind) => summaryWith({ kind }).kind],
    ['ConflictStatus', conflict.ConflictStatus, (status) => conflictStatus(status)],
    ['ConflictEventKind', conflict.ConflictEventKind, (kind) => conflictEventKind(kind)],
    ['CloseReason', conflict.CloseReason, (closeReason) => summaryWith({ closeReason }).closeReason],
    ['MutationKind', conflict.MutationKind, (kind) => mutationKind(kind)],
    [
      'AlternativeState',
      conflict.AlternativeState,
      (state) => {
        const dot = { replicaId: 'r', counter: 1n };
        const side = { seq: 1n, dot, context: { cursor: { workspaceId: 'w' } }, state };
        return detailWith({ alternatives: [side] }).alternatives[0]?.state;
      },
    ],
    ['FieldKind', workspace.FieldKind, (kind) => fieldWith({ kind })?.kind],
    ['ProvisionalRule', workspace.ProvisionalRule, (provisional) => fieldWith({ provisional })?.provisional],
    ['ClashRule', workspace.ClashRule, (onClash) => fieldWith({ onClash })?.onClash],
    ['DominateRule', workspace.DominateRule, (onDominate) => fieldWith({ onDominate })?.onDominate],
    ['ResetReason', ResetReason, (reason) => reasonIn({ case: 'historyReset', value: { reason } })],
    ['GoAwayReason', GoAwayReason, (reason) => reasonIn({ case: 'goAway', value: { reason } })],
    ['ChangeOutcome', ChangeOutcome, outcomeOf],
  ];
  it.each(reads)('of %s are those of the protocol', (_enum, of, nameOf) => {
    expect(members(of).map(([, number]) => nameOf(number))).toEqual(members(of).map(([name]) => name));
  });
});

function fieldWith(field: object) {
  const schema = { collections: { c: { fields: { f: field } } } };
  return schemaFromWire({ schema, schemaVersion: 1n } as never)
    .collections.get('c')
    ?.get('f');
}

const CURSOR = { workspaceId: 'w', epoch: 1n, seqInclusive: 1n, chain: new Uint8Array(16) };
const frameWith = (content: object) =>
  frameFromWire(decode(tables.frameTable, encode(tables.frameTable, { cursor: CURSOR, content } as never)));

function reasonIn(frame: object): string | undefined {
  const read = frameWith(frame);
  return read !== undefined && 'reason' in read ? read.reason : undefined;
}

function outcomeOf(outcome: number): string | undefined {
  const dot = { replicaId: 'r', counter: 1n };
  const read = frameWith({ case: 'changes', value: { changes: [{ seq: 1n, dot, outcome }] } });
  return read?.type === 'changes' ? read.changes[0]?.outcome : undefined;
}

describe('a conflict of a text', () => {
  it('says where it stands, and only then', () => {
    const region = { position: 4, length: 2, shown: 'hi', before: 'Oh, ', after: '!' };
    expect(detailWith({ region }).region).toEqual(region);
    expect(detailWith({ region: { ...region, wholeShownBytes: 70_000n } }).region).toEqual({
      ...region,
      wholeShownBytes: 70_000,
    });
    expect(detailWith({}).region).toBeUndefined();
  });
});
