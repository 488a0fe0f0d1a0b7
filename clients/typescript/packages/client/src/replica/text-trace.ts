import type { Hunk } from '../domain/operation.js';
import { mapPosition, normalize } from '../domain/text/transform.js';
import { inverseHunks } from '../domain/text/hunk.js';
import { type ScalarText, scalarCount } from '../domain/text/scalars.js';

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Inserted characters that a later edit deleted. When that is taken back they are there again. */
interface Ghost {
  /** The later edit; undefined for one that is not followed, such as somebody else's. */
  readonly by: object | undefined;
  /** Where the deleted text stood. */
  readonly place: number;
  /** All that the later edit deleted there, and which part of it these characters are. */
  readonly text: string;
  readonly from: number;
  readonly length: number;
}

/** A stretch of a text that an operation inserted, and a place where it deleted something. */
interface Piece {
  /** What is still there of the inserted characters, as ascending disjoint ranges. */
  readonly ranges: readonly Range[];
  readonly ghosts: readonly Ghost[];
  /** Where the deleted text would go. */
  readonly place: number;
  /** When what stood around the place was deleted: where it is in that. */
  readonly placeGhost: Ghost | undefined;
  readonly deleted: string;
}

/** A change of a followed text. */
export interface TextChange {
  readonly before: ScalarText;
  readonly hunks: readonly Hunk[];
  /** The edit, when it is followed itself. */
  readonly by: object | undefined;
  /** Edits that it takes back. */
  readonly undone: ReadonlySet<object>;
}

/** What one edit inserted and deleted, followed through later changes of the text. */
export class TextTrace {
  private constructor(
    /** Stands for the edit; copies have the same. */
    readonly identity: object,
    private pieces: readonly Piece[],
  ) {}

  /** `before`: the text the hunks were made on. */
  static of(before: string, hunks: readonly Hunk[]): TextTrace {
    const pieces = inverseHunks(before, hunks).map(({ position, deleteCount, insert }) => ({
      ranges: deleteCount > 0 ? [{ from: position, to: position + deleteCount }] : [],
      ghosts: [],
      place: position,
      placeGhost: undefined,
      deleted: insert,
    }));
    return new TextTrace({}, pieces);
  }

  copy(): TextTrace {
    return new TextTrace(this.identity, this.pieces);
  }

  /** The text was changed. */
  follow(step: TextChange): void {
    this.pieces = this.pieces.map((piece) => followed(piece, step));
  }

  /** The hunks that take the edit back, in the text as it is now. */
  inverse(): readonly Hunk[] {
    const all: Hunk[] = [];
    for (const { ranges, place, deleted } of this.pieces) {
      if (deleted !== '') all.push({ position: place, deleteCount: 0, insert: deleted });
      for (const { from, to } of ranges) all.push({ position: from, deleteCount: to - from, insert: '' });
    }
    all.sort((a, b) => a.position - b.position);
    return normalize(all);
  }
}

function followed(piece: Piece, step: TextChange): Piece {
  const { hunks } = step;
  const ranges: Range[] = [];
  const ghosts: Ghost[] = [];
  for (const ghost of piece.ghosts) {
    const revived = revivedAt(ghost, step);
    if (revived === undefined) ghosts.push({ ...ghost, place: mapPosition(ghost.place, hunks, 'before') });
    else ranges.push({ from: revived, to: revived + ghost.length });
  }
  for (const range of piece.ranges) cutBy(range, step, ranges, ghosts);
  ranges.sort((a, b) => a.from - b.from);
  return { ...piece, ranges, ghosts, ...placeAfter(piece, step) };
}

function placeAfter({ place, placeGhost }: Piece, step: TextChange): Pick<Piece, 'place' | 'placeGhost'> {
  const { before, hunks, by } = step;
  const revived = placeGhost && revivedAt(placeGhost, step);
  if (revived !== undefined) return { place: revived, placeGhost: undefined };
  const after = mapPosition(place, hunks, 'before');
  if (placeGhost !== undefined) return { place: after, placeGhost: { ...placeGhost, place: after } };
  const around = hunks.find(({ position, deleteCount }) => position < place && place < position + deleteCount);
  if (around === undefined) return { place: after, placeGhost: undefined };
  const text = before.slice(around.position, around.position + around.deleteCount);
  return { place: after, placeGhost: { by, place: after, text, from: place - around.position, length: 0 } };
}

/**
 * Where deleted characters come back, when the edit that deleted them is taken back: in the nearest hunk that inserts
 * the very text.
 */
function revivedAt({ by, place, text, from }: Ghost, { hunks, undone }: TextChange): number | undefined {
  if (by === undefined || !undone.has(by)) return undefined;
  let revived: number | undefined;
  let nearest = Number.POSITIVE_INFINITY;
  let shift = 0;
  for (const { position, deleteCount, insert } of hunks) {
    const at = insert.indexOf(text);
    const distance = Math.max(position - place, place - (position + deleteCount), 0);
    if (at >= 0 && distance < nearest) {
      revived = position + shift + scalarCount(insert.slice(0, at)) + from;
      nearest = distance;
    }
    shift += scalarCount(insert) - deleteCount;
  }
  return revived;
}

/** What is left of a range after hunks, and what they deleted of it. Text inserted within splits it. */
function cutBy(range: Range, { before, hunks, by }: TextChange, ranges: Range[], ghosts: Ghost[]): void {
  let shift = 0;
  let start = range.from;
  for (const { position, deleteCount, insert } of hunks) {
    const end = position + deleteCount;
    const inserted = scalarCount(insert);
    if (position >= range.to) break;
    if (end > start || position >= start) {
      if (position > start) ranges.push({ from: start + shift, to: position + shift });
      const from = Math.max(start, position);
      const to = Math.min(range.to, end);
      if (to > from) {
        const text = before.slice(position, end);
        ghosts.push({ by, place: position + shift, text, from: from - position, length: to - from });
      }
      start = Math.max(start, end);
    }
    shift += inserted - deleteCount;
  }
  if (start < range.to) ranges.push({ from: start + shift, to: range.to + shift });
}
