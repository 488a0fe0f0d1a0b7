import { describe, expect, it } from 'vitest';
import type { Condition, RecordView } from '../../src/api.js';
import { Timestamp } from '../../src/domain/timestamp.js';
import type { Value } from '../../src/domain/value.js';
import { comparatorOf, predicateOf, queryKey } from '../../src/query/compile.js';

function card(id: string, due: Value): RecordView {
  const marks = { opaque: [], sync: 'synced', fieldSync: {}, conflictIds: [] } as const;
  return { id, collection: 'cards', deleted: false, fields: { due }, seq: 1, ...marks };
}

const [early, late] = [new Timestamp(5, 1), new Timestamp(5, 2)];

describe('conditions on times', () => {
  it('compare times with times and with nothing else', () => {
    const holds = (op: 'lt' | 'gte' | 'eq', value: Value, due: Value) =>
      predicateOf({ field: 'due', op, value } as Condition)(card('a', due));
    expect([holds('lt', late, early), holds('lt', early, early), holds('gte', early, late)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([holds('lt', late, 1), holds('lt', late, 'a'), holds('lt', late, null)]).toEqual([false, false, false]);
    expect([
      holds('eq', new Timestamp(5, 1), early),
      predicateOf({ due: early })(card('a', new Timestamp(5, 1))),
    ]).toEqual([true, true]);
  });

  it('order by what they are, and two queries are one only when they ask for the same', () => {
    const cards = [card('b', late), card('a', early), card('c', 'text')];
    expect(cards.sort(comparatorOf([{ field: 'due' }])).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    const key = (value: Value) => queryKey({ collection: 'cards', where: { field: 'due', op: 'eq', value } });
    expect(key(early)).toBe(key(new Timestamp(5, 1)));
    expect(new Set([key(early), key(late), key(`${early}`)]).size).toBe(3);
  });
});
