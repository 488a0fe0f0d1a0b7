import type { Seq } from '../ids.js';
import type { Hunk } from '../operation.js';
import type { Stamp } from './author.js';
import type { Sight } from './sight.js';
import { type Span, type Tree, at, runOf } from './tree.js';

/** Where a hunk lies in the tree, as indices of spans; every end is the end of a span. -1: there is none. */
export interface Footprint {
  /** The visible span that ends where the hunk begins. */
  readonly left: number;
  /** The first and the last visible span the hunk deletes. */
  readonly firstDeleted: number;
  readonly lastDeleted: number;
  /** The visible span that begins where the hunk ends. */
  readonly right: number;
}

/**
 * The earliest settled operation a hunk clashes with, by rules c1 to c4; undefined when there is none. It suppresses
 * the hunk.
 */
export function suppressor(
  tree: Tree,
  ops: readonly Stamp[],
  sight: Sight,
  hunk: Hunk,
  footprint: Footprint,
): Seq | undefined {
  const { left, right, firstDeleted, lastDeleted } = footprint;
  const inserts = hunk.insert !== '';
  let earliest: Seq | undefined;
  const found = (seq: Seq | undefined): void => {
    if (seq !== undefined && (earliest === undefined || seq < earliest)) earliest = seq;
  };
  const seqOf = (op: number): Seq => at(ops, op).seq;
  /** In force, and the author did not know of it. */
  const unknownDeletions = (span: Span): readonly number[] =>
    span.deletions.filter((index) => {
      const deletion = at(tree.deletions, index);
      return deletion.suppressedBy === undefined && !sight.knows(deletion.op);
    });
  // c4: the hunk builds on text that is suppressed, and shares its fate.
  const ground = (index: number): void => {
    if (index >= 0) found(runOf(tree, at(tree.spans, index)).suppressedBy);
  };

  if (firstDeleted >= 0) {
    for (let index = firstDeleted; index <= lastDeleted; index++) {
      const span = at(tree.spans, index);
      if (span.seen) {
        // c1: somebody else deleted this too. Two plain deletions agree.
        for (const deletion of unknownDeletions(span)) {
          const { op, replaces } = at(tree.deletions, deletion);
          if (inserts || replaces) found(seqOf(op));
        }
        ground(index);
      } else {
        // c2: the range encloses an insertion its author did not see. Whether that was deleted since must not matter:
        // a client that has not received the deletion decides the same way.
        const { op, suppressedBy } = runOf(tree, span);
        if (op >= 0 && !sight.knows(op) && suppressedBy === undefined) found(seqOf(op));
      }
    }
  } else if (inserts) {
    // c3: one hunk deleted both neighbours of the insertion, and hence the place it was meant for.
    if (left >= 0 && right >= 0) {
      const onRight = at(tree.spans, right).deletions;
      for (const deletion of unknownDeletions(at(tree.spans, left))) {
        if (onRight.includes(deletion)) found(seqOf(at(tree.deletions, deletion).op));
      }
    }
    ground(right);
  }
  if (inserts) ground(left);
  // c4 as well: it stands where a suppressed deletion took text out of its author's view.
  for (const span of tree.spans.slice(left + 1, right < 0 ? undefined : right)) {
    if (!span.seen)
      sight.deletionsInEffect(span, (index) => {
        found(at(tree.deletions, index).suppressedBy);
      });
  }
  return earliest;
}
