import type { SettledHunk, Splice } from '../change.js';
import type { Seq } from '../ids.js';
import type { Hunk } from '../operation.js';
import { Problem } from '../problem.js';
import { anchor } from './anchor.js';
import type { Stamp, TextAuthor } from './author.js';
import { type Footprint, suppressor } from './clash.js';
import { checkBounds, validateHunks } from './hunk.js';
import { ScalarText } from './scalars.js';
import { Sight } from './sight.js';
import { SpliceBuilder } from './splice.js';
import {
  type Arrival,
  type Cut,
  type Span,
  type Tree,
  addRun,
  at,
  copyTree,
  emptyTree,
  insert,
  split,
  textOf,
} from './tree.js';

/** What became of an operation. */
export interface Integrated {
  /** The effect on the trunk. */
  readonly splices: readonly Splice[];
  /** The operation's hunks with the decision on each: what {@link TextWindow.replay} wants to read back. */
  readonly hunks: readonly SettledHunk[];
}

/**
 * The order of one field's characters from a critical base on, extended operation by operation in settling order. A
 * port of the server's `src/domain/merge/text/window.rs`: the same operations give the same decisions and views.
 *
 * Integrating costs time in the number of spans, that is of edits in the window, not of characters.
 */
export class TextWindow {
  private constructor(
    /** The critical base the window starts from. */
    readonly baseSeq: Seq,
    private readonly ops: Stamp[],
    private readonly tree: Tree,
  ) {}

  /** A window over the trunk text as it was at `baseSeq`, which every later operation must know. */
  static over(textAtBase: string, baseSeq: Seq): TextWindow {
    const tree = emptyTree();
    // One right-child chain from the root.
    const base = addRun(tree, { text: new ScalarText(textAtBase), op: -1, parent: undefined, suppressedBy: undefined });
    if (base.length > 0) tree.spans.push(base);
    return new TextWindow(baseSeq, [], tree);
  }

  /** A copy that can be extended on its own. */
  copy(): TextWindow {
    return new TextWindow(this.baseSeq, [...this.ops], copyTree(this.tree));
  }

  /** The latest operation in the window, or its base while it is empty. */
  get lastSeq(): Seq {
    return this.ops.at(-1)?.seq ?? this.baseSeq;
  }

  get operationCount(): number {
    return this.ops.length;
  }

  /** Adds an operation that was decided before. Throws a {@link Problem} and changes nothing when it does not fit. */
  replay(author: TextAuthor, seq: Seq, hunks: readonly SettledHunk[]): void {
    const plain = hunks.map(({ hunk }) => hunk);
    const { sight, footprints } = this.locate(author, seq, plain);
    const decisions = hunks.map(({ suppressedBySeq }) => suppressedBySeq);
    this.enter({ seq, dot: author.dot }, sight, plain, footprints, decisions);
  }

  /** Decides a new operation and adds it. `hunks` are in the author's view. Throws as {@link replay}. */
  integrate(author: TextAuthor, seq: Seq, hunks: readonly Hunk[]): Integrated {
    const decisions = this.add(author, seq, hunks);
    const settled = hunks.map((hunk, index) => {
      const suppressedBySeq = decisions[index];
      return suppressedBySeq === undefined ? { hunk } : { hunk, suppressedBySeq };
    });
    return { splices: this.effect(), hunks: settled };
  }

  /** As {@link integrate}, for who needs no more than the decision on each hunk. */
  add(author: TextAuthor, seq: Seq, hunks: readonly Hunk[]): readonly (Seq | undefined)[] {
    const { sight, footprints } = this.locate(author, seq, hunks);
    const decisions = hunks.map((hunk, index) => suppressor(this.tree, this.ops, sight, hunk, at(footprints, index)));
    this.enter({ seq, dot: author.dot }, sight, hunks, footprints, decisions);
    return decisions;
  }

  /** The text as this author sees it before its operation. */
  view(author: TextAuthor): string {
    const sight = new Sight(author, this.ops, this.tree);
    let text = '';
    for (const span of this.tree.spans) if (sight.sees(span)) text += textOf(this.tree, span);
    return text;
  }

  /** The trunk: the text everybody agrees on once they received everything. */
  text(): string {
    let text = '';
    for (const span of this.tree.spans) if (span.inTrunk) text += textOf(this.tree, span);
    return text;
  }

  /** Checks an operation, marks what its author sees, and finds its hunks. Cuts spans where hunks begin and end. */
  private locate(
    author: TextAuthor,
    seq: Seq,
    hunks: readonly Hunk[],
  ): { readonly sight: Sight; readonly footprints: readonly Footprint[] } {
    if (seq <= this.lastSeq) throw new Problem('hunks', `operation ${seq} does not follow operation ${this.lastSeq}`);
    if (author.baseSeq < this.baseSeq) {
      throw new Problem('hunks', `base ${author.baseSeq} lies before the window's base ${this.baseSeq}`);
    }
    validateHunks(hunks);
    const sight = new Sight(author, this.ops, this.tree);
    const bounds = hunks.flatMap((hunk) => [hunk.position, hunk.position + hunk.deleteCount]);
    const cuts: Cut[] = [];
    let next = 0;
    let viewLength = 0;
    const { spans } = this.tree;
    for (let index = 0; index < spans.length; index++) {
      const span = at(spans, index);
      span.change = 'none';
      span.seen = sight.sees(span);
      if (!span.seen) continue;
      for (let bound = bounds[next]; bound !== undefined && bound < viewLength + span.length; bound = bounds[++next]) {
        const offset = bound - viewLength;
        const before = cuts.at(-1);
        if (offset > 0 && !(before?.span === index && before.offset === offset)) cuts.push({ span: index, offset });
      }
      viewLength += span.length;
    }
    checkBounds(hunks, viewLength);
    split(this.tree, cuts);
    return { sight, footprints: this.footprints(hunks) };
  }

  /** The hunks' footprints, once every bound of a hunk is the end of a span. */
  private footprints(hunks: readonly Hunk[]): readonly Footprint[] {
    const spans = this.tree.spans;
    let position = 0;
    let left = -1;
    let next = 0;
    const skipUnseen = (): Span | undefined => {
      while (next < spans.length && !at(spans, next).seen) next++;
      return spans[next];
    };
    return hunks.map((hunk) => {
      for (let span = skipUnseen(); span !== undefined && position < hunk.position; span = skipUnseen()) {
        position += span.length;
        left = next++;
      }
      let firstDeleted = -1;
      let lastDeleted = -1;
      const end = hunk.position + hunk.deleteCount;
      for (let span = skipUnseen(); span !== undefined && position < end; span = skipUnseen()) {
        position += span.length;
        if (firstDeleted < 0) firstDeleted = next;
        lastDeleted = next++;
      }
      return { left, firstDeleted, lastDeleted, right: skipUnseen() === undefined ? -1 : next };
    });
  }

  /** Marks deletions and inserts runs. */
  private enter(
    stamp: Stamp,
    sight: Sight,
    hunks: readonly Hunk[],
    footprints: readonly Footprint[],
    decisions: readonly (Seq | undefined)[],
  ): void {
    const op = this.ops.length;
    this.ops.push(stamp);
    const arrivals: Arrival[] = [];
    for (const [index, hunk] of hunks.entries()) {
      const footprint = at(footprints, index);
      const suppressedBy = decisions[index];
      if (footprint.firstDeleted >= 0) this.markDeleted(footprint, op, hunk.insert !== '', suppressedBy);
      if (hunk.insert === '') continue;
      // Runs of this very operation are not in the list yet. They could not matter: between two hunks of an operation
      // stands a character that its author saw.
      const place = anchor(this.tree, sight, footprint.left);
      const text = new ScalarText(hunk.insert);
      arrivals.push({ index: place.index, span: addRun(this.tree, { text, op, parent: place.parent, suppressedBy }) });
    }
    insert(this.tree, arrivals);
  }

  private markDeleted(footprint: Footprint, op: number, replaces: boolean, suppressedBy: Seq | undefined): void {
    const deletion = this.tree.deletions.length;
    this.tree.deletions.push({ op, replaces, suppressedBy });
    for (let index = footprint.firstDeleted; index <= footprint.lastDeleted; index++) {
      const span = at(this.tree.spans, index);
      if (!span.seen) continue;
      span.deletions = [...span.deletions, deletion];
      if (suppressedBy === undefined && span.inTrunk) {
        span.inTrunk = false;
        span.change = 'left';
      }
    }
  }

  /** The effect of the operation that was entered last. */
  private effect(): readonly Splice[] {
    const effect = new SpliceBuilder();
    for (const span of this.tree.spans) {
      if (span.change === 'entered') effect.insert(textOf(this.tree, span));
      else if (span.change === 'left') effect.delete(textOf(this.tree, span));
      else if (span.inTrunk) effect.retain(span.length);
    }
    return effect.finish();
  }
}

/**
 * The latest position such that an operation with this base, and every settled one after that position, knew everything
 * up to it. `settled` in ascending order.
 */
export function criticalBase(baseSeq: Seq, settled: readonly { readonly seq: Seq; readonly baseSeq: Seq }[]): Seq {
  let critical = baseSeq;
  for (let index = settled.length - 1; index >= 0; index--) {
    const edit = settled[index];
    if (edit === undefined || edit.seq <= critical) break;
    critical = Math.min(critical, edit.baseSeq);
  }
  return critical;
}
