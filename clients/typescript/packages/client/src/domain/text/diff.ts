import type { Hunk } from '../operation.js';
import { ScalarText, scalarCount, splitsPair } from './scalars.js';
import { WORD_REACH, words } from './words.js';

/**
 * Bound on the product of the numbers of words, or other parts, in the differing middles; beyond it the middle becomes one
 * hunk. A bound on the size of the problem, unlike a deadline, gives the same hunks on every machine.
 */
export const DIFF_WORK_MAX = 16_000_000;
/** Myers' work grows with the square of the edits; this many are plenty for what people do to a text at once. */
const EDITS_MAX = 2_000;
const HUNKS_MAX = 1_000;

/**
 * The hunks that turn one text into the other: sorted, with a kept character between any two. Texts are compared word by
 * word. Compared letter by letter, "Monday" and "Tuesday" share their last three letters by chance; if two people each
 * replaced the day, the letters they kept would run together into a word that neither wrote. Only a stretch to which letters
 * were merely added, or from which they were merely removed, is narrowed down to those letters, so that two people can still
 * type into the same word.
 */
export function diff(before: string, after: string): readonly Hunk[] {
  if (before === after) return [];
  const [prefix, suffix] = common(before, after);
  // Words at the edges of what differs are compared whole.
  const start = reached(before, prefix, -1);
  const behind = before.length - reached(before, before.length - suffix, 1);
  const old = new ScalarText(before.slice(start, before.length - behind));
  const oldWords = words(old.text);
  let place = 0;
  const places = oldWords.map((word) => (place += scalarCount(word)));
  const changes: Change[] = [];
  const steps = diffParts(oldWords, words(after.slice(start, after.length - behind)), Infinity);
  for (const { position, deleteCount, insert } of steps) {
    const [from = 0, to = 0] = [position, position + deleteCount].map((at) => places[at - 1]);
    let change: Change = { from, to, insert, length: scalarCount(insert) };
    for (let last = changes.at(-1); last !== undefined && isOne(last, change); last = changes.at(-1)) {
      change = joined(old, last, change);
      changes.pop();
    }
    changes.push(change);
  }
  const whole = changes.length > HUNKS_MAX ? [changes.reduce((one, other) => joined(old, one, other))] : changes;
  const offset = scalarCount(before.slice(0, start));
  return whole.map((change) => hunkOf(old, change, offset));
}

/** The same by characters: for following a place through a change, where it does not matter what stayed by chance. */
export function diffCharacters(before: string, after: string): readonly Hunk[] {
  return before === after ? [] : diffParts(Array.from(before), Array.from(after));
}

/** How much of two texts, or of two lists of parts, begins and then ends alike. */
function common(a: ArrayLike<string>, b: ArrayLike<string>): readonly [prefix: number, suffix: number] {
  const most = Math.min(a.length, b.length);
  let prefix = 0;
  while (prefix < most && a[prefix] === b[prefix]) prefix++;
  let suffix = 0;
  while (suffix < most - prefix && a[a.length - 1 - suffix] === b[b.length - 1 - suffix]) suffix++;
  return [prefix, suffix];
}

/** The unit that is as far away as words are looked at; between two characters, also when what differs begins within one. */
function reached(text: string, unit: number, step: -1 | 1): number {
  const end = step < 0 ? 0 : text.length;
  for (let left = WORD_REACH; left > 0 && unit !== end; left--) {
    unit += step;
    if (splitsPair(text, unit)) unit += step;
  }
  return unit;
}

/** A stretch of the old text, in characters, and what stands there in the new one. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
  readonly length: number;
}

/**
 * Whether what stays between two changes is taken for chance, and for a part of one change: when it is not longer than
 * either of them. Between two insertions, or two deletions, it is meant.
 */
function isOne(one: Change, other: Change): boolean {
  const [deletes, otherDeletes] = [one.to - one.from, other.to - other.from];
  if (deletes + otherDeletes === 0 || one.length + other.length === 0) return false;
  const kept = other.from - one.to;
  return kept <= Math.max(deletes, one.length) && kept <= Math.max(otherDeletes, other.length);
}

function joined(old: ScalarText, one: Change, other: Change): Change {
  const insert = one.insert + old.slice(one.to, other.from) + other.insert;
  return { from: one.from, to: other.to, insert, length: one.length + other.from - one.to + other.length };
}

/** What was inserted or deleted if the change is only that, else a replacement of the whole. */
function hunkOf(old: ScalarText, { from, to, insert }: Change, offset: number): Hunk {
  const [a, b] = [Array.from(old.slice(from, to)), Array.from(insert)];
  const [prefix, suffix] = common(a, b);
  const shorter = Math.min(a.length, b.length);
  const position = offset + from;
  if (prefix + suffix < shorter) return { position, deleteCount: a.length, insert };
  const inserted = b.slice(prefix, prefix + b.length - shorter);
  return { position: position + prefix, deleteCount: a.length - shorter, insert: inserted.join('') };
}

/** The shortest hunks between texts that were cut into parts, such as words: positions and counts are those of parts. */
export function diffParts(a: readonly string[], b: readonly string[], hunksMax = HUNKS_MAX): readonly Hunk[] {
  const [prefix, suffix] = common(a, b);
  const [middleA, middleB] = [a.slice(prefix, a.length - suffix), b.slice(prefix, b.length - suffix)];
  const [lengthA, lengthB] = [middleA.length, middleB.length];
  if (lengthA + lengthB === 0) return [];
  const whole = [{ position: prefix, deleteCount: lengthA, insert: middleB.join('') }];
  const work = lengthA * lengthB;
  if (work === 0 || work > DIFF_WORK_MAX) return whole;
  const hunks: Hunk[] = [];
  let [fromA, fromB] = [0, 0];
  // Behind the last stretch that stays comes what is left.
  const kept = [...(myers(middleA, middleB) ?? []), { a: lengthA, b: lengthB, length: 0 }];
  for (const { a: toA, b: toB, length } of kept) {
    if (toA > fromA || toB > fromB) {
      const insert = middleB.slice(fromB, toB).join('');
      hunks.push({ position: prefix + fromA, deleteCount: toA - fromA, insert });
    }
    [fromA, fromB] = [toA + length, toB + length];
  }
  return hunks.length > hunksMax ? whole : hunks;
}

/** A stretch that stays: where it begins in either text, and how long it is. */
interface Kept {
  readonly a: number;
  readonly b: number;
  readonly length: number;
}

/** How far into the first text a diagonal came, and what stayed on the way, the last stretch first. */
interface Way {
  readonly x: number;
  readonly kept: { readonly last: Kept; readonly before: Way['kept'] } | undefined;
}

/** Myers' greedy algorithm; undefined beyond EDITS_MAX edits. */
function myers(a: readonly string[], b: readonly string[]): readonly Kept[] | undefined {
  const limit = Math.min(a.length + b.length, EDITS_MAX);
  /** By diagonal, from -limit - 1 on; those with one edit less stand between those that are being found. */
  const ways: Way[] = [];
  for (let edits = 0; edits <= limit; edits++) {
    for (let k = -edits; k <= edits; k += 2) {
      const at = k + limit + 1;
      const left = ways[at - 1];
      const above = ways[at + 1];
      const inserts = left === undefined || (above !== undefined && left.x < above.x);
      const way = inserts ? above : left;
      const start = (way?.x ?? 0) + (inserts ? 0 : 1);
      let x = start;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      let kept = way?.kept;
      if (x > start) kept = { last: { a: start, b: start - k, length: x - start }, before: kept };
      ways[at] = { x, kept };
      if (k !== a.length - b.length || x < a.length) continue;
      const all: Kept[] = [];
      for (; kept !== undefined; kept = kept.before) all.unshift(kept.last);
      return all;
    }
  }
  return undefined;
}
