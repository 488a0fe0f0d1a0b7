/**
 * BLAKE3 of at most one block, which is all the chain needs: a library for inputs of any length would be a tenth of the
 * client in a browser. `test/wire/chain.test.ts` holds it against one.
 */
const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19] as const;
/** How the words of a message move from round to round. */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;
/** Words mixed with each other in a round: columns, then diagonals. */
const MIXED = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;
const ROUNDS = 7;
const BLOCK_BYTES = 64;
/** The only block is the first, the last and the root. */
const FLAGS = 1 | 2 | 8;
/** Bytes of a hash of the chain. */
const HASH_BYTES = 16;

/** chain(n) = BLAKE3-128(chain(n-1) ‖ operation_hash(n)). */
export function nextChain(previous: Uint8Array, operationHash: Uint8Array): Uint8Array {
  const length = previous.length + operationHash.length;
  if (length > BLOCK_BYTES) throw new RangeError(`hashes of ${length} bytes do not fit one block`);
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(previous);
  block.set(operationHash, previous.length);
  return hashOfBlock(block, length);
}

function hashOfBlock(block: Uint8Array, length: number): Uint8Array {
  const view = new DataView(block.buffer);
  let words = Uint32Array.from({ length: 16 }, (_, index) => view.getUint32(4 * index, true));
  const state = Uint32Array.of(...IV, IV[0], IV[1], IV[2], IV[3], 0, 0, length, FLAGS);
  for (let round = 0; round < ROUNDS; round++) {
    MIXED.forEach(([a, b, c, d], index) => {
      mix(state, [a, b, c, d], at(words, 2 * index), at(words, 2 * index + 1));
    });
    words = Uint32Array.from(PERMUTATION, (from) => at(words, from));
  }
  const out = new DataView(new ArrayBuffer(HASH_BYTES));
  for (let index = 0; index < HASH_BYTES / 4; index++) {
    out.setUint32(4 * index, at(state, index) ^ at(state, index + 8), true);
  }
  return new Uint8Array(out.buffer);
}

function mix(state: Uint32Array, [a, b, c, d]: readonly [number, number, number, number], x: number, y: number): void {
  for (const [word, first, second] of [
    [x, 16, 12],
    [y, 8, 7],
  ] as const) {
    state[a] = at(state, a) + at(state, b) + word;
    state[d] = rotated(at(state, d) ^ at(state, a), first);
    state[c] = at(state, c) + at(state, d);
    state[b] = rotated(at(state, b) ^ at(state, c), second);
  }
}

function rotated(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function at(words: Uint32Array, index: number): number {
  return words[index] ?? 0;
}
