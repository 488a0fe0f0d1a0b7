import type { Hunk } from '../operation.js';

/**
 * Bound on the product of the lengths of the differing middles; beyond it the middle becomes one hunk. A bound on the
 * size of the problem, unlike a deadline, gives the same hunks on every machine.
 */
export const DIFF_WORK_MAX = 16_000_000;
/** Myers keeps one row for each edit; this many are plenty for what people do to a text at once. */
const EDITS_MAX = 2_000;

/** The hunks that turn one text into the other, by characters: sorted, with a kept character between any two. */
export function diff(before: string, after: string): readonly Hunk[] {
  return before === after ? [] : diffParts(Array.from(before), Array.from(after));
}

/** The same for texts that were cut into parts, such as words: positions and counts are those of parts. */
export function diffParts(a: readonly string[], b: readonly string[], hunksMax = 1_000): readonly Hunk[] {
  let prefix = 0;
  while (prefix < a.length && prefix < b.length && a[prefix] === b[prefix]) prefix++;
  let suffix = 0;
  const most = Math.min(a.length, b.length) - prefix;
  while (suffix < most && a[a.length - 1 - suffix] === b[b.length - 1 - suffix]) suffix++;
  if (prefix + suffix === a.length && a.length === b.length) return [];
  const middleA = a.slice(prefix, a.length - suffix);
  const middleB = b.slice(prefix, b.length - suffix);
  const whole = (): readonly Hunk[] => [{ position: prefix, deleteCount: middleA.length, insert: middleB.join('') }];
  if (middleA.length === 0 || middleB.length === 0 || middleA.length * middleB.length > DIFF_WORK_MAX) return whole();
  const kept = myers(middleA, middleB);
  if (kept === undefined) return whole();
  const hunks = between(kept, middleA, middleB, prefix);
  return hunks.length > hunksMax ? whole() : hunks;
}

/** A stretch that stays: where it begins in either text, and how long it is. */
interface Kept {
  readonly a: number;
  readonly b: number;
  readonly length: number;
}

/** How far into the first text each diagonal came with so many edits: `k` stands at `k + edits + 2`. */
type Row = Int32Array;

function reach(row: Row | undefined, edits: number, k: number): number {
  return row?.[k + edits + 2] ?? 0;
}

/** Whether the best way to diagonal k with one edit more comes from above, that is by an insertion. */
function comesFromAbove(row: Row | undefined, edits: number, k: number): boolean {
  if (k === -edits - 1) return true;
  return k !== edits + 1 && reach(row, edits, k - 1) < reach(row, edits, k + 1);
}

/** Myers' greedy algorithm; undefined beyond EDITS_MAX edits. */
function myers(a: readonly string[], b: readonly string[]): readonly Kept[] | undefined {
  const limit = Math.min(a.length + b.length, EDITS_MAX);
  const trace: Row[] = [];
  for (let edits = 0; edits <= limit; edits++) {
    const before = trace[edits - 1];
    const row = new Int32Array(2 * edits + 5);
    trace.push(row);
    for (let k = -edits; k <= edits; k += 2) {
      let x = 0;
      if (edits > 0) {
        const above = comesFromAbove(before, edits - 1, k);
        x = above ? reach(before, edits - 1, k + 1) : reach(before, edits - 1, k - 1) + 1;
      }
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      row[k + edits + 2] = x;
      if (k === a.length - b.length && x >= a.length) return backtrack(trace, a.length, b.length);
    }
  }
  return undefined;
}

/** Follows the trace back from the end. */
function backtrack(trace: readonly Row[], lengthA: number, lengthB: number): readonly Kept[] {
  const kept: Kept[] = [];
  let x = lengthA;
  let y = lengthB;
  for (let edits = trace.length - 1; edits > 0; edits--) {
    const row = trace[edits - 1];
    const k = x - y;
    const above = comesFromAbove(row, edits - 1, k);
    const fromX = reach(row, edits - 1, above ? k + 1 : k - 1);
    const fromY = fromX - (above ? k + 1 : k - 1);
    const start = above ? fromX : fromX + 1;
    if (x > start) kept.push({ a: start, b: start - k, length: x - start });
    x = fromX;
    y = fromY;
  }
  if (x > 0) kept.push({ a: 0, b: 0, length: x });
  return kept.reverse();
}

/** One hunk for each stretch between characters that stay. */
function between(kept: readonly Kept[], a: readonly string[], b: readonly string[], offset: number): readonly Hunk[] {
  const hunks: Hunk[] = [];
  let fromA = 0;
  let fromB = 0;
  const gap = (toA: number, toB: number): void => {
    if (toA === fromA && toB === fromB) return;
    hunks.push({ position: offset + fromA, deleteCount: toA - fromA, insert: b.slice(fromB, toB).join('') });
  };
  for (const { a: keptA, b: keptB, length } of kept) {
    gap(keptA, keptB);
    fromA = keptA + length;
    fromB = keptB + length;
  }
  gap(a.length, b.length);
  return hunks;
}
