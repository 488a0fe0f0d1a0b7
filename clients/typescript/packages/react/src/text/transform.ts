import { diffCharacters, type Hunk } from '@syncline/client';

/** One replacement, in UTF-16 units as textareas count. */
export interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

const isLowSurrogate = (text: string, index: number) => {
  const unit = text.charCodeAt(index);
  return unit >= 0xdc00 && unit <= 0xdfff;
};

/**
 * The replacement that an input made, by the caret after it: what was typed ends there. A comparison alone could not
 * tell where an `a` was typed into `aaa`.
 */
export function replacementOfInput(before: string, after: string, caret: number): Replacement | undefined {
  if (before === after) return undefined;
  const longest = Math.min(before.length, after.length);
  // What follows the caret was there before.
  let suffix = 0;
  const suffixMax = Math.min(longest, after.length - caret);
  while (suffix < suffixMax && before[before.length - 1 - suffix] === after[after.length - 1 - suffix]) suffix += 1;
  let prefix = 0;
  while (prefix < longest - suffix && before[prefix] === after[prefix]) prefix += 1;
  // Beside the caret nothing changed: it was a replacement from elsewhere, such as a drop or a correction.
  while (suffix < longest - prefix && before[before.length - 1 - suffix] === after[after.length - 1 - suffix])
    suffix += 1;
  // Never between the halves of a character.
  if (prefix > 0 && (isLowSurrogate(before, prefix) || isLowSurrogate(after, prefix))) prefix -= 1;
  if (suffix > 0 && (isLowSurrogate(before, before.length - suffix) || isLowSurrogate(after, after.length - suffix)))
    suffix -= 1;
  return { start: prefix, end: before.length - suffix, insert: after.slice(prefix, after.length - suffix) };
}

/** The replacements that turn one text into another, ascending; by characters, so that a caret within a word keeps its place. */
export function replacements(before: string, after: string): readonly Replacement[] {
  let [scalars, units] = [0, 0];
  /** Where so many characters of `before` end. Asked in ascending order. */
  const unitsAt = (position: number): number => {
    for (; scalars < position; scalars += 1) units += isLowSurrogate(before, units + 1) ? 2 : 1;
    return units;
  };
  return diffCharacters(before, after).map(({ position, deleteCount, insert }) => {
    const start = unitsAt(position);
    return { start, end: unitsAt(position + deleteCount), insert };
  });
}

/** Where a place in a text is after others' replacements. What was inserted right at the place comes after it. */
export function mapIndex(index: number, steps: readonly Replacement[]): number {
  let moved = 0;
  for (const step of steps) {
    if (step.start >= index) break;
    if (step.end <= index) moved += step.insert.length - (step.end - step.start);
    else return step.start + moved + Math.min(index - step.start, step.insert.length);
  }
  return index + moved;
}

/** A replacement in the text that others' replacements led to; what they deleted is not deleted again. */
export function transformReplacement(own: Replacement, steps: readonly Replacement[]): Replacement {
  const start = mapIndex(own.start, steps);
  return { start, end: Math.max(start, mapIndex(own.end, steps)), insert: own.insert };
}

/** The same in Unicode scalar values, as operations count. */
export function hunkOf(text: string, step: Replacement): Hunk {
  const count = (from: number, to: number) => {
    let scalars = 0;
    for (let i = from; i < to; i += 1) if (!isLowSurrogate(text, i)) scalars += 1;
    return scalars;
  };
  return { position: count(0, step.start), deleteCount: count(step.start, step.end), insert: step.insert };
}
