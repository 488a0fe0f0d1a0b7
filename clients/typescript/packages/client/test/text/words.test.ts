import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { words } from '../../src/domain/text/words.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('words', () => {
  // The same as on the server (crates/core/src/merge/text/words.rs).
  it.each([
    ['', []],
    ['ship on Monday', ['ship', ' ', 'on', ' ', 'Monday']],
    ["don't, 3.14!", ["don't", ',', ' ', '3.14', '!']],
    ["a'", ['a', "'"]],
    ['end. Next', ['end', '.', ' ', 'Next']],
    ['a  \n b', ['a', '  ', '\n', ' ', 'b']],
    ['naïve cafe\u0301 x_1', ['naïve', ' ', 'cafe\u0301', ' ', 'x_1']],
    ['漢字とカナ', ['漢', '字', 'と', 'カナ']],
    ['👩\u200D👩\u200D👧🇩🇪!', ['👩\u200D👩\u200D👧', '🇩🇪', '!']],
    ['привет мир', ['привет', ' ', 'мир']],
  ])('of %j', (text, wanted) => {
    expect(words(text)).toEqual(wanted);
  });

  it.each([
    ["1'a a1'b", ['1', "'", 'a', ' ', 'a1', "'", 'b']],
    ['1.a 1,2,3 .5', ['1', '.', 'a', ' ', '1,2,3', ' ', '.', '5']],
    ['rock’n’roll', ['rock’n’roll']],
    ['a\r\nb\tc', ['a', '\r\n', 'b', '\t', 'c']],
    ['สวัส ខ 𠀀', ['ส', 'วั', 'ส', ' ', 'ខ', ' ', '𠀀']],
    ['² ① Ⅷ', ['²', ' ', '①', ' ', 'Ⅷ']],
    ['a\u00a0\u2003b', ['a', '\u00a0\u2003', 'b']],
  ])('at edges of %j', (text, wanted) => {
    expect(words(text)).toEqual(wanted);
  });

  it('together are the text, with and without graphemes, also in long ones', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 600 });
    const check = (): void => {
      fc.assert(
        fc.property(text, (whole) => {
          expect(words(whole).join('')).toBe(whole);
        }),
      );
      expect(words('é'.repeat(100_000))).toHaveLength(1);
    };
    check();
    vi.stubGlobal('Intl', { ...Intl, Segmenter: undefined });
    check();
    expect(words('e\u0301 👩\u200D👧')).toEqual(['e', '\u0301', ' ', '👩', '\u200D', '👧']);
  });
});
