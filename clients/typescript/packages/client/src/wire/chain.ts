import { blake3 } from '@noble/hashes/blake3.js';

/** Bytes of a hash of the chain. */
const HASH_BYTES = 16;

/** chain(n) = BLAKE3-128(chain(n-1) ‖ operation_hash(n)). */
export function nextChain(previous: Uint8Array, operationHash: Uint8Array): Uint8Array {
  const input = new Uint8Array(previous.length + operationHash.length);
  input.set(previous);
  input.set(operationHash, previous.length);
  return blake3(input, { dkLen: HASH_BYTES });
}
