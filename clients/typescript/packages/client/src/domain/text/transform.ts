import type { Hunk } from '../operation.js';
import { applyHunks } from './hunk.js';
import { scalarCount } from './scalars.js';

/**
 * Hunks that were meant for one text, moved to where they belong after other hunks changed that same text. What both
 * delete is deleted once, and of two insertions at one place the other stands first. This is what is left when the
 * order tree cannot be rebuilt; it loses no inserted text.
 */
export function transform(hunks: readonly Hunk[], over: readonly Hunk[]): readonly Hunk[] {
  if (over.length === 0) return hunks;
  const moved = hunks.map(({ position, deleteCount, insert }) => {
    const from = mapPosition(position, over, 'after');
    const to = deleteCount === 0 ? from : mapPosition(position + deleteCount, over, 'before');
    return { position: from, deleteCount: Math.max(0, to - from), insert };
  });
  return normalize(moved);
}

/** Where a place in the text before is after; `behind` or `before` what was inserted exactly there. */
export function mapPosition(position: number, over: readonly Hunk[], side: 'after' | 'before'): number {
  let shift = 0;
  for (const hunk of over) {
    if (hunk.position > position || (hunk.position === position && side === 'before')) break;
    const end = hunk.position + hunk.deleteCount;
    const inserted = scalarCount(hunk.insert);
    if (end > position) {
      // Within what was replaced: at either end of what stands there now.
      return hunk.position + shift + (side === 'after' ? inserted : 0);
    }
    shift += inserted - hunk.deleteCount;
  }
  return position + shift;
}

/** Hunks in ascending order without empty ones; those that touch or overlap become one. */
export function normalize(hunks: readonly Hunk[]): readonly Hunk[] {
  const result: Hunk[] = [];
  for (const hunk of hunks) {
    const last = result.at(-1);
    const end = last === undefined ? -1 : last.position + last.deleteCount;
    if (last !== undefined && hunk.position <= end) {
      result[result.length - 1] = {
        position: last.position,
        deleteCount: Math.max(end, hunk.position + hunk.deleteCount) - last.position,
        insert: last.insert + hunk.insert,
      };
    } else if (hunk.deleteCount > 0 || hunk.insert !== '') {
      result.push(hunk);
    }
  }
  return result.filter((hunk) => hunk.deleteCount > 0 || hunk.insert !== '');
}

/** Hunks cut to a text of so many characters. */
export function clamp(hunks: readonly Hunk[], length: number): readonly Hunk[] {
  const cut = hunks.map(({ position, deleteCount, insert }) => {
    const from = Math.min(position, length);
    return { position: from, deleteCount: Math.min(deleteCount, length - from), insert };
  });
  return normalize(cut);
}

/** Applies hunks as far as they fit. */
export function applyClamped(text: string, hunks: readonly Hunk[]): string {
  return applyHunks(text, clamp(hunks, scalarCount(text)));
}
