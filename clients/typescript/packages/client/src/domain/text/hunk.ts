import type { Splice } from '../change.js';
import type { Hunk } from '../operation.js';
import { Problem } from '../problem.js';
import { ScalarText, scalarCount } from './scalars.js';

/**
 * Checks what can be checked without the text: every hunk does something, and they are in ascending order with at least
 * one untouched character between any two.
 */
export function validateHunks(hunks: readonly Hunk[]): void {
  let previousEnd = -1;
  for (const [index, { position, deleteCount, insert }] of hunks.entries()) {
    if (!Number.isSafeInteger(position) || !Number.isSafeInteger(deleteCount) || position < 0 || deleteCount < 0) {
      throw new Problem('hunks', `hunk ${index} has no whole positions`);
    }
    if (deleteCount === 0 && insert === '') throw new Problem('hunks', `hunk ${index} does nothing`);
    if (position <= previousEnd)
      throw new Problem('hunks', `hunk ${index} overlaps, touches or precedes the one before`);
    previousEnd = position + deleteCount;
  }
}

/** Checks that sorted hunks lie within a view of so many characters. */
export function checkBounds(hunks: readonly Hunk[], viewLength: number): void {
  const last = hunks.at(-1);
  if (last !== undefined && last.position + last.deleteCount > viewLength) {
    throw new Problem(
      'hunks',
      `a hunk at ${last.position} deleting ${last.deleteCount} exceeds ${viewLength} characters`,
    );
  }
}

/** Applies hunks whose author saw exactly this text. */
export function applyHunks(text: string, hunks: readonly Hunk[]): string {
  validateHunks(hunks);
  const source = new ScalarText(text);
  checkBounds(hunks, source.length);
  let result = '';
  let unit = 0;
  for (const { position, deleteCount, insert } of hunks) {
    result += text.slice(unit, source.unitOf(position)) + insert;
    unit = source.unitOf(position + deleteCount);
  }
  return result + text.slice(unit);
}

/** The effect of hunks on the text their author saw. */
export function splicesOfHunks(text: string, hunks: readonly Hunk[]): readonly Splice[] {
  const source = new ScalarText(text);
  const splices: Splice[] = [];
  let at = 0;
  for (const { position, deleteCount, insert } of hunks) {
    if (position > at) splices.push({ type: 'retain', count: position - at });
    if (insert !== '') splices.push({ type: 'insert', text: insert });
    if (deleteCount > 0) splices.push({ type: 'delete', text: source.slice(position, position + deleteCount) });
    at = position + deleteCount;
  }
  if (source.length > at) splices.push({ type: 'retain', count: source.length - at });
  return splices;
}

/** The hunks of an effect, in the text before it. */
export function hunksOfSplices(splices: readonly Splice[]): readonly Hunk[] {
  const hunks: Hunk[] = [];
  let at = 0;
  let open: { position: number; deleteCount: number; insert: string } | undefined;
  for (const splice of splices) {
    if (splice.type === 'retain') {
      if (open !== undefined) hunks.push(open);
      open = undefined;
      at += splice.count;
      continue;
    }
    open ??= { position: at, deleteCount: 0, insert: '' };
    if (splice.type === 'insert') {
      open.insert += splice.text;
    } else {
      const count = scalarCount(splice.text);
      open.deleteCount += count;
      at += count;
    }
  }
  if (open !== undefined) hunks.push(open);
  return hunks;
}

/** The hunks that take hunks back, in the text after them; `text` is the one before. */
export function inverseHunks(text: string, hunks: readonly Hunk[]): readonly Hunk[] {
  const source = new ScalarText(text);
  let shift = 0;
  return hunks.map(({ position, deleteCount, insert }) => {
    const inserted = scalarCount(insert);
    const inverse = {
      position: position + shift,
      deleteCount: inserted,
      insert: source.slice(position, position + deleteCount),
    };
    shift += inserted - deleteCount;
    return inverse;
  });
}
