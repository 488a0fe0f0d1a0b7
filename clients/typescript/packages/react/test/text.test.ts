import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mapIndex, transformReplacement, hunkOf, replacementOfInput, replacements } from '../src/text/transform.js';
import { applyHunks } from './fake.js';

const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '😀', 'ä', '\n'), maxLength: 24 });

describe('the replacement an input made', () => {
  it.each([
    ['aaa', 'aaaa', 1, { start: 0, end: 0, insert: 'a' }],
    ['aaa', 'aaaa', 3, { start: 2, end: 2, insert: 'a' }],
    ['aaa', 'aa', 1, { start: 1, end: 2, insert: '' }],
    ['Hello', 'Hallo', 2, { start: 1, end: 2, insert: 'a' }],
    ['', 'x', 1, { start: 0, end: 0, insert: 'x' }],
    ['one two', 'one', 3, { start: 3, end: 7, insert: '' }],
    // Both characters share their first half.
    ['😀', '😁', 2, { start: 0, end: 2, insert: '😁' }],
  ])('%j → %j with the caret at %i', (before, after, caret, expected) => {
    expect(replacementOfInput(before, after, caret)).toEqual(expected);
  });

  it('is the one that was made, wherever in equal characters it was', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), fc.nat(), (before, insert, from, length) => {
        const scalars = [...before];
        const position = from % (scalars.length + 1);
        const deleteCount = length % (scalars.length - position + 1);
        const after = applyHunks(before, [{ position, deleteCount, insert }]);
        const caret = scalars.slice(0, position).join('').length + insert.length;
        const step = replacementOfInput(before, after, caret);
        const made = step ? applyHunks(before, [hunkOf(before, step)]) : before;
        expect(made).toBe(after);
        if (step && deleteCount === 0) expect(step.start).toBe(caret - insert.length);
      }),
    );
  });

  it('leads from one text to any other', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const hunks = replacements(before, after).map((step) => hunkOf(before, step));
        expect(applyHunks(before, hunks)).toBe(after);
      }),
    );
  });
});

describe('a place in a text others edit', () => {
  const steps = replacements('one two three', 'one 2 three and four');
  it.each([
    [0, 0],
    [3, 3],
    [8, 6],
    [13, 11],
  ])('at %i goes to %i', (before, after) => {
    expect(mapIndex(before, steps)).toBe(after);
  });

  it('stays within the text', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (before, after, at) => {
        const index = mapIndex(at % (before.length + 1), replacements(before, after));
        expect(index).toBeGreaterThanOrEqual(0);
        expect(index).toBeLessThanOrEqual(after.length);
      }),
    );
  });

  it('is replaced where it went', () => {
    const own = { start: 8, end: 13, insert: 'THREE' };
    expect(transformReplacement(own, steps)).toEqual({ start: 6, end: 11, insert: 'THREE' });
  });
});
