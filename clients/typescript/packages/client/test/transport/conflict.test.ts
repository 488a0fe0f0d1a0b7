import { expect, it } from 'vitest';
import * as tables from '../../src/gen/tables.js';
import { BaseTransport, type TransportParts } from '../../src/transport/base.js';
import { decode, encode } from '../../src/wire/codec.js';

class CallsOnly extends BaseTransport {
  openFeed = () => Promise.reject(new Error('no feed here'));
  startHeartbeats = () => Promise.reject(new Error('no heartbeats here'));
}

it.each([
  ['a register', 1],
  ['a text', 2],
])('sides of %s of which only the beginning came are read whole', async (_what, kind) => {
  const dot = { replicaId: 'r', counter: 1n };
  const cursor = { workspaceId: 'w', epoch: 1n, seqInclusive: 1n, chain: new Uint8Array(16) };
  const value = (stringValue: string) => ({ kind: { case: 'stringValue', value: stringValue } });
  const side = (seq: bigint, wholeValueBytes?: bigint) => ({
    seq,
    dot,
    context: { epoch: 1n, baseCursor: cursor },
    value: value('begin'),
    ...(wholeValueBytes !== undefined && { wholeValueBytes }),
  });
  const conflict = { conflictId: 'k', kind, revision: 1n };
  const response = { conflict, record: { recordId: 'x' }, alternatives: [side(3n), side(4n, 70_000n)] };
  const asked: unknown[] = [];
  const unary = (_call: unknown, request: { readonly alternativeSeq?: bigint }): Promise<unknown> => {
    if (request.alternativeSeq === undefined) {
      const bytes = encode(tables.getConflictResponseTable, response as never);
      return Promise.resolve(decode(tables.getConflictResponseTable, bytes));
    }
    asked.push(request);
    const bytes = encode(tables.getAlternativeResponseTable, { value: value('begin and end') } as never);
    return Promise.resolve(decode(tables.getAlternativeResponseTable, bytes));
  };
  const transport = new CallsOnly({ workspace: 'w', caller: { unary } } as unknown as TransportParts);
  const { alternatives } = await transport.conflict('k', new AbortController().signal);
  expect(alternatives.map((one) => [one.value, one.wholeBytes])).toEqual([
    ['begin', undefined],
    ['begin and end', undefined],
  ]);
  expect(asked).toEqual([{ workspaceId: 'w', conflictId: 'k', alternativeSeq: 4n }]);
});
