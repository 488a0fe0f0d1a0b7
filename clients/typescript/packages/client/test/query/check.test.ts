import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Query } from '../../src/api.js';
import { Timestamp } from '../../src/domain/timestamp.js';
import { SynclineError } from '../../src/errors.js';
import { checkQuery } from '../../src/query/check.js';

/** What is wrong with a query, as a program in plain JavaScript would be told. */
function told(query: unknown): string {
  try {
    checkQuery(query as Query);
    return 'nothing';
  } catch (error) {
    if (!(error instanceof SynclineError) || error.code !== 'INVALID_ARGUMENT') throw error;
    return error.message;
  }
}

const where = (where: unknown) => told({ collection: 'cards', where });

describe('a query that means nothing says which part', () => {
  it('takes what the types allow', () => {
    const conditions = [
      { field: 'due', op: 'lt', value: 5 },
      { field: 'due', op: 'gte', value: new Timestamp(5, 1) },
      { field: 'tags', op: 'contains', value: 'a' },
      { field: 'owner', op: 'in', values: ['p1', null] },
      { field: 'data', op: 'eq', value: { a: [1] } },
      { not: { any: [{ field: 'a', op: 'ne', value: null }, { all: [] }] } },
      { done: true, owner: null, count: 5n, at: new Timestamp(1, 0) },
      {},
      // Fields may be called like parts of a condition.
      { all: 'x', field: 'y' },
      { not: new Timestamp(1, 0) },
      undefined,
    ];
    expect(conditions.map(where)).toEqual(conditions.map(() => 'nothing'));
    const include = {
      owner: { via: 'owner' },
      parts: { via: 'card', from: 'parts', where: { done: true }, orderBy: [{ field: 'a' }], include: {} },
    };
    const orderBy = [{ field: 'due', direction: 'desc' }];
    expect(told({ collection: 'cards', limit: 0, orderBy, include })).toBe('nothing');
  });

  it('names the argument', () => {
    expect(told(undefined)).toBe('query is an object');
    expect(told({ collection: 'no id' })).toMatch(/^query.collection is an id/);
    expect(told({ collection: 'cards', limit: -1 })).toBe('query.limit is a whole number from 0 on');
    expect(told({ collection: 'cards', order: [] })).toMatch(/^query.order is not known; there are collection, where/);
    expect(told({ collection: 'cards', orderBy: 'due' })).toBe('query.orderBy is a list');
    expect(told({ collection: 'cards', orderBy: [{ field: 'due', direction: 'down' }] })).toMatch(
      /^query.orderBy\[0\].direction is "asc"/,
    );
    expect(told({ collection: 'cards', include: { owner: { field: 'owner' } } })).toMatch(
      /^query.include.owner.field is not known/,
    );
    expect(told({ collection: 'cards', include: { owner: { via: 'owner', where: { op: 1 } } } })).toBe('nothing');
    expect(where('done')).toBe('query.where is an object');
    expect(where([{ field: 'a', op: 'eq', value: 1 }])).toBe('query.where is an object');
    expect(where({ field: 'due', op: '<', value: 5 })).toMatch(/^query.where.op is one of eq, .* not "<"$/);
    expect(where({ field: 'due', op: 'lt' })).toBe('query.where.value is missing; say null for a missing value');
    expect(where({ field: 'due', op: 'lt', value: true })).toBe('query.where.value is a number, a string or a time');
    expect(where({ field: 'due', op: 'gt', value: NaN })).toBe('query.where.value is a number, a string or a time');
    expect(where({ field: 'due', op: 'in', value: 5 })).toMatch(/^query.where.values is a list/);
    expect(where({ all: [{ field: 'a', op: 'eq', value: 1 }, { done: true }] })).toMatch(
      /^query.where.all\[1\].done is not known; there are field, op, value, values$/,
    );
    expect(where({ due: { lt: 5 } })).toMatch(/^query.where.due is no plain value; write a condition/);
    expect(where({ owner: undefined })).toMatch(/^query.where.owner is undefined; leave it out/);
    expect(where({ 'no id': 1 })).toMatch(/^query.where: the field "no id" is an id/);
  });

  it('never fails in another way, whatever it is given', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (one, two, three) => {
        for (const query of [one, { collection: 'cards', where: one, orderBy: two, include: three }]) told(query);
      }),
    );
    let deep: unknown = { field: 'a', op: 'eq', value: 1 };
    for (let depth = 0; depth < 10_000; depth++) deep = { not: deep };
    expect(where(deep)).toMatch(/is nested too deeply$/);
  });
});
