import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nextChain } from '../../src/wire/chain.js';

it('chains as BLAKE3 does', () => {
  const hash = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(fc.tuple(hash(16), fc.nat(48).chain(hash)), ([previous, operation]) => {
      const input = new Uint8Array([...previous, ...operation]);
      expect(nextChain(previous, operation)).toEqual(blake3(input, { dkLen: 16 }));
    }),
  );
});

it('refuses what is longer than a block', () => {
  expect(() => nextChain(new Uint8Array(16), new Uint8Array(49))).toThrow(RangeError);
});
