import type { Hunk } from '../domain/operation.js';
import { move, normalize } from '../domain/text/carry.js';
import { applyHunks, inverseHunks } from '../domain/text/hunk.js';
import { scalarCount } from '../domain/text/scalars.js';

/** A stretch of a text that an operation inserted, or a place where it deleted something. */
interface Piece {
  /** What is still there of the inserted characters, as ascending disjoint ranges. */
  readonly ranges: readonly { readonly from: number; readonly to: number }[];
  /** Where the deleted text would go. */
  readonly place: number;
  readonly deleted: string;
}

/** What one edit inserted and deleted, followed through later changes of the text. */
export class TextTrace {
  private pieces: readonly Piece[];
  private after: string | undefined;

  /** `before`: the text the hunks were made on. */
  constructor(before: string, hunks: readonly Hunk[]) {
    this.after = applyHunks(before, hunks);
    this.pieces = inverseHunks(before, hunks).map(({ position, deleteCount, insert }) => ({
      ranges: deleteCount > 0 ? [{ from: position, to: position + deleteCount }] : [],
      place: position,
      deleted: insert,
    }));
  }

  /** Whether this change of the text is the edit itself, which is told once. */
  isBorn(text: string): boolean {
    const born = this.after === text;
    this.after = undefined;
    return born;
  }

  /** The text was changed by these hunks. */
  follow(hunks: readonly Hunk[]): void {
    this.pieces = this.pieces.map((piece) => ({
      ...piece,
      ranges: piece.ranges.flatMap(({ from, to }) => remaining(from, to, hunks)),
      place: move(piece.place, hunks, 'before'),
    }));
  }

  /** The hunks that take back these edits of one text, the latest first. */
  static inverse(traces: readonly TextTrace[]): readonly Hunk[] {
    const all: Hunk[] = [];
    for (const trace of traces) {
      for (const { ranges, place, deleted } of trace.pieces) {
        if (deleted !== '') all.push({ position: place, deleteCount: 0, insert: deleted });
        for (const { from, to } of ranges) all.push({ position: from, deleteCount: to - from, insert: '' });
      }
    }
    all.sort((a, b) => a.position - b.position);
    return normalize(all);
  }

  static apply(text: string, hunks: readonly Hunk[]): string {
    return applyHunks(text, hunks);
  }
}

/** What is left of a stretch after hunks; text inserted within splits it. */
function remaining(from: number, to: number, hunks: readonly Hunk[]): { readonly from: number; readonly to: number }[] {
  const left: { from: number; to: number }[] = [];
  let shift = 0;
  let start = from;
  for (const { position, deleteCount, insert } of hunks) {
    const end = position + deleteCount;
    if (end <= start && position < start) {
      shift += scalarCount(insert) - deleteCount;
      continue;
    }
    if (position >= to) break;
    if (position > start) left.push({ from: start + shift, to: position + shift });
    shift += scalarCount(insert) - deleteCount;
    start = Math.max(start, end);
  }
  if (start < to) left.push({ from: start + shift, to: to + shift });
  return left;
}
