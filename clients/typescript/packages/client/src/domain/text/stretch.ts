import type { Hunk } from '../operation.js';
import { diff, diffCharacters } from './diff.js';
import { scalarCount } from './scalars.js';

/** A part of a text, between two of its characters. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/**
 * Where a stretch of one text stands in another that came of it. What was inserted exactly at one of its edges stays
 * outside; a change that reaches over an edge widens it. Words tell best what is what, but where a change by words reaches
 * over an edge, its letters may tell that it did not.
 */
export function followStretch(stretch: Stretch, before: string, after: string): Stretch {
  return over(stretch, diff(before, after)) ?? over(stretch, diffCharacters(before, after), true) ?? stretch;
}

/** Undefined when it would have to be widened and must not be. */
function over({ from, to }: Stretch, hunks: readonly Hunk[], widens = false): Stretch | undefined {
  let [start, end, before, inside] = [from, to, 0, 0];
  for (const { position, deleteCount, insert } of hunks) {
    const behind = position + deleteCount;
    const grows = scalarCount(insert) - deleteCount;
    if (behind <= from) before += grows;
    else if (position < to) {
      if (!widens && (position < from || behind > to)) return undefined;
      start = Math.min(start, position);
      end = Math.max(end, behind);
      inside += grows;
    }
  }
  return { from: start + before, to: end + before + inside };
}
