import { describe, expect, it } from 'vitest';
import { CallFailure } from '../../src/transport/caller.js';
import { CODE, failureOfCall } from '../../src/transport/failures.js';
import { Table, encode } from '../../src/wire/codec.js';

const infoTable = new Table({ reason: [1, 'string'], metadata: [3, 'string', 'map'] });
const retryTable = new Table({ retryDelay: [1, () => new Table({ seconds: [1, 'int64'] })] });
const { signal } = new AbortController();

function kindOf(code: number, reason?: string, retryAfterSeconds?: number): unknown {
  const info = { type: 'google.rpc.ErrorInfo', value: encode(infoTable, { reason, metadata: {} } as never) };
  const delay = { retryDelay: { seconds: BigInt(retryAfterSeconds ?? 0) } };
  const retry = { type: 'google.rpc.RetryInfo', value: encode(retryTable, delay as never) };
  const details = [...(reason === undefined ? [] : [info]), ...(retryAfterSeconds === undefined ? [] : [retry])];
  return failureOfCall(new CallFailure(code, 'no', details), signal);
}

describe('what a failed call means', () => {
  it('load is unavailable with a reason, and says how long to wait', () => {
    expect(kindOf(CODE.unavailable, 'OVERLOADED', 3)).toMatchObject({ kind: 'overloaded', retryAfterMs: 3_000 });
    expect(kindOf(CODE.unavailable, 'SHUTTING_DOWN')).toMatchObject({ kind: 'unavailable' });
    expect(kindOf(CODE.unavailable, 'NOT_CAUGHT_UP', 1)).toMatchObject({ kind: 'unavailable', retryAfterMs: 1_000 });
    expect(kindOf(CODE.unavailable)).toMatchObject({ kind: 'unreachable' });
  });

  it('exhausted resources are sizes, which waiting does not help, and quotas, which it does', () => {
    expect(kindOf(CODE.resourceExhausted, 'MESSAGE_TOO_LARGE')).toMatchObject({ kind: 'refused' });
    expect(kindOf(CODE.resourceExhausted, 'VIEW_TOO_LARGE')).toMatchObject({ kind: 'refused' });
    expect(kindOf(CODE.resourceExhausted, 'QUOTA_EXCEEDED', 9)).toMatchObject({
      kind: 'overloaded',
      retryAfterMs: 9_000,
    });
    // Of a proxy.
    expect(kindOf(CODE.resourceExhausted)).toMatchObject({ kind: 'overloaded' });
  });

  it('what a server refuses because it is older is refused for good', () => {
    expect(kindOf(CODE.invalidArgument, 'UNKNOWN_FIELD')).toMatchObject({
      kind: 'refused',
      refusal: { reason: 'UNKNOWN_FIELD' },
    });
    expect(kindOf(CODE.failedPrecondition, 'HISTORY_REWOUND')).toMatchObject({ kind: 'refused' });
  });
});
