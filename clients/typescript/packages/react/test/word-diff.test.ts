import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wordDiff } from '../src/text/word-diff.js';

const said = (before: string, after: string): string =>
  wordDiff(before, after)
    .map(({ kind, text }) => (kind === 'same' ? text : kind === 'added' ? `[+${text}]` : `[-${text}]`))
    .join('');

describe('texts compared by words', () => {
  it.each([
    ['the quick fox', 'the slow fox', 'the [-quick][+slow] fox'],
    ['a b', 'a b', 'a b'],
    ['', 'new words', '[+new words]'],
    ['old words', '', '[-old words]'],
    ['one, two', 'one; two', 'one[-,][+;] two'],
    ['naïve 🙂 end', 'naïve 🙃 end', 'naïve [-🙂][+🙃] end'],
  ])('%j → %j', (before, after, parts) => {
    expect(said(before, after)).toBe(parts);
  });

  it('give both texts again', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', ',', '\n', 'ß', '🙂') });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const parts = wordDiff(before, after);
        const without = (kind: string) => parts.filter((part) => part.kind !== kind).map((part) => part.text);
        expect(without('added').join('')).toBe(before);
        expect(without('removed').join('')).toBe(after);
      }),
    );
  });
});
