import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hunk } from '../../src/domain/operation.js';
import { transform, normalize } from '../../src/domain/text/transform.js';
import { Composition } from '../../src/domain/text/compose.js';
import { diff, diffCharacters, diffParts } from '../../src/domain/text/diff.js';
import { applyHunks, hunksOfSplices, inverseHunks, splicesOfHunks, validateHunks } from '../../src/domain/text/hunk.js';
import { hunksOfInput } from '../../src/domain/text/input.js';
import { ScalarText, scalarCount } from '../../src/domain/text/scalars.js';
import { applySplices, undoSplices } from '../../src/domain/text/splice.js';

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', 'é', '漢', '🎈', '🦊'), maxLength: 24 });

/** Sorted hunks with a kept character between any two, in a text of so many characters. */
function hunksIn(length: number): fc.Arbitrary<readonly Hunk[]> {
  const step = fc.tuple(fc.nat(4), fc.nat(3), fc.string({ unit: fc.constantFrom('x', 'y', '🎈'), maxLength: 3 }));
  return fc.array(step, { maxLength: 4 }).map((steps) => {
    const hunks: Hunk[] = [];
    let from = 0;
    for (const [gap, deletes, insert] of steps) {
      const position = from + gap;
      if (position > length) break;
      const deleteCount = Math.min(deletes, length - position);
      if (deleteCount === 0 && insert === '') continue;
      hunks.push({ position, deleteCount, insert });
      from = position + deleteCount + 1;
    }
    return hunks;
  });
}

const edited = text.chain((before) => fc.tuple(fc.constant(before), hunksIn(scalarCount(before))));

describe('scalar values', () => {
  it('are counted and cut as an array of characters is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '🎈'), maxLength: 400 }),
        fc.nat(400),
        fc.nat(400),
        (s, from, to) => {
          const characters = Array.from(s);
          const scalars = new ScalarText(s);
          expect(scalars.length).toBe(characters.length);
          expect(scalarCount(s)).toBe(characters.length);
          if (from <= to) expect(scalars.slice(from, to)).toBe(characters.slice(from, to).join(''));
        },
      ),
    );
  });
});

describe('hunks', () => {
  it('a difference leads from one text to the other, with a kept character between any two hunks', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const hunks = diff(before, after);
        validateHunks(hunks);
        expect(applyHunks(before, hunks)).toBe(after);
      }),
    );
  });

  it('a difference of longer texts does so, too, with words at its edges that reach further than is looked at', () => {
    const word = fc.constantFrom('a', 'b'.repeat(70), 'don’t ', '3.14', ' ', '\n', '\r\n', '🦊', 'é', 'e\u0301', '漢');
    const words = fc.array(word, { maxLength: 40 }).map((all) => all.join(''));
    fc.assert(
      fc.property(words, words, words, words, (start, before, after, end) => {
        const hunks = diff(start + before + end, start + after + end);
        validateHunks(hunks);
        expect(applyHunks(start + before + end, hunks)).toBe(start + after + end);
      }),
    );
  });

  it('words that changed are replaced whole, and what stays between them by chance goes with them', () => {
    expect(diff('ship on Monday', 'ship in March')).toEqual([{ position: 5, deleteCount: 9, insert: 'in March' }]);
    expect(diff('a wrd here', 'a word here')).toEqual([{ position: 3, deleteCount: 0, insert: 'o' }]);
    const long = 'x'.repeat(100);
    expect(diff(`a ${long}b`, `a ${long}c`)).toEqual([
      { position: 102 - 64, deleteCount: 65, insert: `${'x'.repeat(64)}c` },
    ]);
  });

  it('a difference by words has at most so many hunks as an operation takes', () => {
    const many = (word: string) =>
      Array.from({ length: 1_500 }, (_, index) => `${word} a longer sentence ${index}. `).join('');
    const hunks = diff(many('one'), many('two'));
    expect(hunks).toHaveLength(1);
    expect(applyHunks(many('one'), hunks)).toBe(many('two'));
  });

  it('one character in a text of 1 MiB is found without looking at its words', () => {
    const half = 'né🦊 wörd '.repeat(40_000);
    expect(diff(half + half, `${half}x${half}`)).toEqual([
      { position: scalarCount(half), deleteCount: 0, insert: 'x' },
    ]);
    const from = performance.now();
    for (let time = 0; time < 10; time++) diff(half + half, `${half}x${half}`);
    expect((performance.now() - from) / 10).toBeLessThan(200);
  });

  it('a difference by characters is the shortest one', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const hunks = diffCharacters(before, after);
        validateHunks(hunks);
        expect(applyHunks(before, hunks)).toBe(after);
        const changed = hunks.reduce((sum, hunk) => sum + hunk.deleteCount + scalarCount(hunk.insert), 0);
        expect(changed).toBe(editDistance(Array.from(before), Array.from(after)));
      }),
    );
  });

  it('a difference with too many hunks is one', () => {
    const before = 'ab'.repeat(50);
    const after = 'aXb'.repeat(50);
    expect(diffParts(Array.from(before), Array.from(after), 10)).toHaveLength(1);
    expect(applyHunks(before, diffParts(Array.from(before), Array.from(after), 10))).toBe(after);
  });

  it('splices and hunks say the same, and both can be taken back', () => {
    fc.assert(
      fc.property(edited, ([before, hunks]) => {
        const after = applyHunks(before, hunks);
        const splices = splicesOfHunks(before, hunks);
        expect(applySplices(before, splices)).toBe(after);
        expect(undoSplices(after, splices)).toBe(before);
        expect(hunksOfSplices(splices)).toEqual(hunks);
        expect(applyHunks(after, inverseHunks(before, hunks))).toBe(before);
      }),
    );
  });

  it('composed edits do what the single ones do one after the other', () => {
    const twice = edited.chain(([before, first]) => {
      const length = scalarCount(applyHunks(before, first));
      return fc.tuple(fc.constant(before), fc.constant(first), hunksIn(length));
    });
    fc.assert(
      fc.property(twice, ([before, first, second]) => {
        const composition = new Composition(scalarCount(before));
        composition.add(first);
        composition.add(second);
        validateHunks(composition.hunks());
        expect(applyHunks(before, composition.hunks())).toBe(applyHunks(applyHunks(before, first), second));
      }),
    );
  });

  it('transformed hunks fit the other text and keep every inserted character', () => {
    const two = text.chain((before) => {
      const length = scalarCount(before);
      return fc.tuple(fc.constant(before), hunksIn(length), hunksIn(length));
    });
    fc.assert(
      fc.property(two, ([before, mine, theirs]) => {
        const moved = transform(mine, theirs);
        validateHunks(moved);
        applyHunks(applyHunks(before, theirs), moved);
        expect(moved.map((hunk) => hunk.insert).join('')).toBe(mine.map((hunk) => hunk.insert).join(''));
        expect(normalize(moved)).toEqual(moved);
      }),
    );
  });
});

describe('hunksOfInput', () => {
  it('finds where something was typed by the caret', () => {
    expect(hunksOfInput('aa', 'aaa', 1)).toEqual({ position: 0, deleteCount: 0, insert: 'a' });
    expect(hunksOfInput('aa', 'aaa', 2)).toEqual({ position: 1, deleteCount: 0, insert: 'a' });
    expect(hunksOfInput('aa', 'aaa', 3)).toEqual({ position: 2, deleteCount: 0, insert: 'a' });
    expect(hunksOfInput('aaa', 'aa', 1)).toEqual({ position: 1, deleteCount: 1, insert: '' });
    expect(hunksOfInput('🎈🎈', '🎈🦊🎈', 4)).toEqual({ position: 1, deleteCount: 0, insert: '🦊' });
    expect(hunksOfInput('x', 'x', 1)).toBeUndefined();
  });

  it('a character replaced by one that shares half of it is replaced whole', () => {
    // Both have the same first unit.
    expect(hunksOfInput('a🦊b', 'a🦋b', 3)).toEqual({ position: 1, deleteCount: 1, insert: '🦋' });
  });

  it('leads from the old to the new text wherever the caret is', () => {
    fc.assert(
      fc.property(text, text, fc.nat(60), (before, after, caret) => {
        const hunk = hunksOfInput(before, after, caret);
        expect(hunk === undefined ? before : applyHunks(before, [hunk])).toBe(after);
      }),
    );
  });
});

/** Insertions and deletions only. */
function editDistance(a: readonly string[], b: readonly string[]): number {
  let row = b.map((_, index) => index + 1);
  row.unshift(0);
  for (const [i, left] of a.entries()) {
    const next = [i + 1];
    for (const [j, right] of b.entries()) {
      const kept = left === right ? (row[j] ?? 0) : Number.POSITIVE_INFINITY;
      next.push(Math.min(kept, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
