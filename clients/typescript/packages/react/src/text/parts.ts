import type { Hunk } from '@syncline/client';

/** How much of a text goes into one operation. In UTF-8 it is three times as many bytes at most, which fits. */
const PART_UNITS_MAX = 64_000;

/** A hunk in parts that each fit an operation, one behind the other. Nearly always there is one. */
export function partsOf(hunk: Hunk): readonly Hunk[] {
  if (hunk.insert.length <= PART_UNITS_MAX) return [hunk];
  const parts: Hunk[] = [];
  let { position, deleteCount } = hunk;
  for (let from = 0; from < hunk.insert.length;) {
    let to = Math.min(from + PART_UNITS_MAX, hunk.insert.length);
    // Never between the halves of a character.
    if (to < hunk.insert.length && /[\uDC00-\uDFFF]/.test(hunk.insert.charAt(to))) to -= 1;
    const insert = hunk.insert.slice(from, to);
    parts.push({ position, deleteCount, insert });
    position += Array.from(insert).length;
    deleteCount = 0;
    from = to;
  }
  return parts;
}
