import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldKey, isId, uuidV7 } from '../src/domain/dot.js';
import { double, exactOf, keyOf, sameExact, valueOf } from '../src/domain/exact.js';
import { compareStrings, compareValues, sameValue } from '../src/domain/order.js';
import { Timestamp } from '../src/domain/timestamp.js';
import type { Value, WritableValue } from '../src/domain/value.js';

const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.string({ unit: 'grapheme', maxLength: 5 }),
    fc.uint8Array({ maxLength: 4 }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.string({ maxLength: 3 }).filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 3, noNullPrototype: true },
    ),
  ),
})).value;

describe('values', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(value, (written) => {
        expect(sameValue(valueOf(exactOf(written)), written)).toBe(true);
      }),
    );
  });

  it('whole numbers and doubles are different kinds', () => {
    expect(exactOf(1)).toEqual({ kind: 'int', value: 1n });
    expect(exactOf(double(1))).toEqual({ kind: 'double', value: 1 });
    expect(exactOf(-0)).toEqual({ kind: 'double', value: -0 });
    expect(exactOf(1.5)).toEqual({ kind: 'double', value: 1.5 });
    expect(exactOf([double(1)] as unknown as Value)).toMatchObject({ kind: 'list', values: [{ kind: 'map' }] });
    expect(valueOf({ kind: 'int', value: 2n ** 60n })).toBe(2n ** 60n);
    expect(valueOf({ kind: 'int', value: 5n })).toBe(5);
  });

  it('what the protocol cannot carry is refused', () => {
    let deep: Value = 1;
    for (let level = 0; level < 30; level++) deep = [deep];
    for (const wrong of [
      Number.NaN,
      double(Number.NaN),
      2n ** 63n,
      deep,
      undefined,
      () => 1,
      new Date(Number.NaN),
      /x/,
      new Map(),
    ]) {
      expect(() => exactOf(wrong as WritableValue)).toThrow();
    }
    expect(exactOf('a\ud800b')).toEqual({ kind: 'string', value: 'a\ufffdb' });
    expect(exactOf('🎈')).toEqual({ kind: 'string', value: '🎈' });
  });

  it('keys meet for equal values only', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [left, right] = [exactOf(a), exactOf(b)];
        expect(keyOf(left)).toBe(keyOf(exactOf(structuredClone(a))));
        if (keyOf(left) === keyOf(right)) {
          const numbers = ['int', 'double'];
          if (!numbers.includes(left.kind)) expect(left.kind).toBe(right.kind);
          expect(sameValue(a, b)).toBe(true);
        }
        expect(sameExact(left, right)).toBe(keyOf(left) === keyOf(right));
      }),
    );
    expect(keyOf(exactOf({ a: 1, b: 2 }))).toBe(keyOf(exactOf({ b: 2, a: 1 })));
    // The same number is equal, whatever its kind; the kinds themselves are kept.
    expect(keyOf(exactOf(1))).toBe(keyOf(exactOf(double(1))));
    expect(keyOf(exactOf(-0))).toBe(keyOf(exactOf(0)));
    expect(sameExact(exactOf({ a: [1, 0] }), exactOf({ a: [1, -0] }))).toBe(true);
    expect(keyOf(exactOf(2n ** 60n))).toBe(keyOf(exactOf(double(2 ** 60))));
    expect(keyOf(exactOf(2n ** 60n + 1n))).not.toBe(keyOf(exactOf(double(2 ** 60))));
    expect([exactOf(1), exactOf(double(1)), exactOf(-0)].map(({ kind }) => kind)).toEqual(['int', 'double', 'double']);
    expect(keyOf(exactOf(['a,s1:b']))).not.toBe(keyOf(exactOf(['a', 'b'])));
  });

  it('are in a total order, strings by code point', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(Math.sign(compareValues(a, b)) + Math.sign(compareValues(b, a))).toBe(0);
        if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0) expect(compareValues(a, c)).toBeLessThanOrEqual(0);
      }),
    );
    // U+FFFD is below U+1F388, though not in UTF-16.
    expect(compareStrings('\ufffd', '🎈')).toBeLessThan(0);
    expect([2, 'a', null, true, [1], 1n, undefined, 'B', false].sort(compareValues)).toEqual([
      null,
      false,
      true,
      1n,
      2,
      'B',
      'a',
      [1],
      undefined,
    ]);
  });
});

describe('points in time', () => {
  it('keep their nanoseconds, and read and write as RFC 3339', () => {
    const time = Timestamp.from('2026-03-01T12:00:00.123456789+01:00');
    expect([time.seconds, time.nanos]).toEqual([Date.UTC(2026, 2, 1, 11) / 1000, 123_456_789]);
    expect([`${time}`, JSON.stringify([time])]).toEqual([
      '2026-03-01T11:00:00.123456789Z',
      '["2026-03-01T11:00:00.123456789Z"]',
    ]);
    expect(valueOf(exactOf(time))).toEqual(time);
    expect(`${Timestamp.from('0001-01-01t00:00:00z')}`).toBe('0001-01-01T00:00:00Z');
    expect(`${Timestamp.from('9999-12-31T23:59:59.999999999Z')}`).toBe('9999-12-31T23:59:59.999999999Z');
    expect(`${Timestamp.from('1969-12-31T23:59:59.5Z')}`).toBe('1969-12-31T23:59:59.5Z');
    for (const wrong of ['', 'yesterday', '2026-03-01', '2026-13-01T00:00:00Z', '0000-12-31T23:59:59Z']) {
      expect(() => Timestamp.from(wrong)).toThrow(RangeError);
    }
    expect(() => new Timestamp(0, 1_000_000_000)).toThrow(RangeError);
    expect(() => new Timestamp(0.5)).toThrow(RangeError);
  });

  it('are written as dates, too, and are equal and in order by what they are', () => {
    const date = new Date(-1);
    expect(exactOf(date)).toEqual({ kind: 'timestamp', seconds: -1, nanos: 999_000_000 });
    expect(Timestamp.from(date).toDate()).toEqual(date);
    expect(exactOf({ at: date } as unknown as Value)).toMatchObject({ kind: 'map' });
    expect(() => exactOf(new Date(Number.NaN))).toThrow('years 1 and 9999');
    const [earlier, later] = [new Timestamp(5, 1), new Timestamp(5, 2)];
    expect(sameExact(exactOf(earlier), exactOf(new Timestamp(5, 1)))).toBe(true);
    expect(sameExact(exactOf(earlier), exactOf(later))).toBe(false);
    expect([sameValue(earlier, new Timestamp(5, 1)), sameValue(earlier, later), sameValue(earlier, '5')]).toEqual([
      true,
      false,
      false,
    ]);
    expect([[1], later, 'z', earlier, 3].sort(compareValues)).toEqual([3, 'z', earlier, later, [1]]);
  });
});

describe('ids', () => {
  it('newer ids sort behind older ones', () => {
    const random = new Uint8Array(16).fill(255);
    const [older, newer] = [uuidV7(1_700_000_000_000, random), uuidV7(1_700_000_000_001, new Uint8Array(16))];
    expect(older < newer).toBe(true);
    expect(newer).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(isId(newer)).toBe(true);
  });

  it('have a grammar', () => {
    for (const wrong of ['', 'a/b', 'ä', 'x'.repeat(65), 'a b']) expect(isId(wrong)).toBe(false);
    expect(fieldKey('r', 'f')).toBe('r/f');
  });
});
