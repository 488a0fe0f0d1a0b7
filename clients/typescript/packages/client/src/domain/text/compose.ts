import type { Hunk } from '../operation.js';
import { checkBounds } from './hunk.js';
import { ScalarText } from './scalars.js';

/** A stretch of an edited text: kept from the text before all edits, or new. */
type Piece = { readonly from: number; readonly count: number } | { readonly text: ScalarText };

/** Edits of one text that become one list of hunks; hunks that come to touch become one. */
export class Composition {
  private pieces: Piece[];
  private length: number;

  /** `length`: characters of the text before all edits. */
  constructor(private readonly original: number) {
    this.length = original;
    this.pieces = original === 0 ? [] : [{ from: 0, count: original }];
  }

  /** Adds sorted hunks in the text as edited so far. */
  add(hunks: readonly Hunk[]): void {
    checkBounds(hunks, this.length);
    const result: Piece[] = [];
    const source = this.pieces;
    let index = 0;
    let used = 0;
    const take = (count: number, keep: boolean): void => {
      for (let left = count; left > 0;) {
        const piece = source[index];
        if (piece === undefined) return;
        const part = Math.min(left, lengthOf(piece) - used);
        if (keep && part > 0) result.push(cut(piece, used, part));
        used += part;
        left -= part;
        if (used === lengthOf(piece)) {
          index++;
          used = 0;
        }
      }
    };
    let at = 0;
    let length = this.length;
    for (const { position, deleteCount, insert } of hunks) {
      take(position - at, true);
      take(deleteCount, false);
      const text = new ScalarText(insert);
      if (text.length > 0) result.push({ text });
      length += text.length - deleteCount;
      at = position + deleteCount;
    }
    take(this.length - at, true);
    this.pieces = result;
    this.length = length;
  }

  /** All edits as hunks in the text before them. */
  hunks(): readonly Hunk[] {
    const hunks: Hunk[] = [];
    let at = 0;
    let insert = '';
    const close = (from: number): void => {
      if (from > at || insert !== '') hunks.push({ position: at, deleteCount: from - at, insert });
      insert = '';
    };
    for (const piece of this.pieces) {
      if ('text' in piece) {
        insert += piece.text.text;
        continue;
      }
      if (piece.from > at || insert !== '') close(piece.from);
      at = piece.from + piece.count;
    }
    close(this.original);
    return hunks;
  }
}

function lengthOf(piece: Piece): number {
  return 'text' in piece ? piece.text.length : piece.count;
}

function cut(piece: Piece, from: number, count: number): Piece {
  if ('text' in piece) return { text: new ScalarText(piece.text.slice(from, from + count)) };
  return { from: piece.from + from, count };
}
