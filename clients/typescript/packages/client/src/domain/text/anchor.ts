import type { Sight } from './sight.js';
import { type Place, type Tree, at, descends, first, last, runOf } from './tree.js';

/** The place of an insertion: its parent, and the span it stands before. */
export interface Anchor {
  readonly parent: Place | undefined;
  readonly index: number;
}

/**
 * The anchor of an insertion right of the last character of span `left`, or at the beginning (-1).
 *
 * The next character that the author *knew*, visible or not, decides. If it descends from the left neighbour the
 * insertion becomes its left child, otherwise the right child of the left neighbour. Deleted characters count, since
 * otherwise two authors of whom one knew a deletion would pick different parents in the same gap.
 */
export function anchor(tree: Tree, sight: Sight, left: number): Anchor {
  const spans = tree.spans;
  const parent = left < 0 ? undefined : last(at(spans, left));
  const below = (place: Place): boolean => parent === undefined || descends(tree, place, parent);

  let right = left + 1;
  while (right < spans.length && !sight.knows(runOf(tree, at(spans, right)).op)) right++;
  const known = spans[right];
  if (known !== undefined) {
    const place = first(known);
    // Directly before it: behind all its earlier left children.
    if (below(place)) return { parent: place, index: right };
  }

  // Behind the whole subtree of the left neighbour, which is contiguous, so that it can be bisected.
  let low = left + 1;
  let high = right;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (below(first(at(spans, middle)))) low = middle + 1;
    else high = middle;
  }
  return { parent, index: low };
}
