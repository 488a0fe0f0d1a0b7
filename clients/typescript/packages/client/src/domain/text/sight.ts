import type { Seq } from '../ids.js';
import { type Stamp, type TextAuthor, knows } from './author.js';
import type { Span, Tree } from './tree.js';

/** What one author knows and sees of a window, worked out once per operation, insertion and deletion. */
export class Sight {
  private readonly knownOps: readonly boolean[];
  /** Per run: its insertion is in effect for the author. */
  private readonly inserted: readonly boolean[];
  /** Per deletion: it is in effect for the author. */
  private readonly deleted: readonly boolean[];

  constructor(author: TextAuthor, ops: readonly Stamp[], tree: Tree) {
    const known = ops.map((op) => knows(author, op));
    // An author goes on seeing a suppressed hunk until the operation that suppressed it is in its base: its screen
    // cannot know of the suppression before.
    const inEffect = (op: number, suppressedBy: Seq | undefined): boolean =>
      op < 0 || (known[op] === true && (suppressedBy === undefined || suppressedBy > author.baseSeq));
    this.knownOps = known;
    this.inserted = tree.runs.map((run) => inEffect(run.op, run.suppressedBy));
    this.deleted = tree.deletions.map((deletion) => inEffect(deletion.op, deletion.suppressedBy));
  }

  /** Whether the author knew this operation of the window; everybody knows the base text (-1). */
  knows(op: number): boolean {
    return op < 0 || this.knownOps[op] === true;
  }

  /** The deletions of a span that are in effect for the author. */
  deletionsInEffect(span: Span, each: (index: number) => void): void {
    for (const index of span.deletions) if (this.deleted[index] === true) each(index);
  }

  /** Whether the author saw the characters of this span. */
  sees(span: Span): boolean {
    if (this.inserted[span.run] !== true) return false;
    for (const index of span.deletions) if (this.deleted[index] === true) return false;
    return true;
  }
}
