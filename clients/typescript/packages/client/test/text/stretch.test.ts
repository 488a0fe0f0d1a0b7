import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scalarCount, ScalarText } from '../../src/domain/text/scalars.js';
import { followStretch } from '../../src/domain/text/stretch.js';

/** What stands in a text where `[…]` stood in another that it came of. */
function followed(marked: string, after: string): string {
  const [before = '', inside = '', behind = ''] = marked.split(/[[\]]/);
  const from = scalarCount(before);
  const { from: start, to: end } = followStretch(
    { from, to: from + scalarCount(inside) },
    before + inside + behind,
    after,
  );
  return new ScalarText(after).slice(start, end);
}

describe('a stretch of a text', () => {
  it.each([
    ['stays', 'ship on [Monday] or so', 'ship on Monday or so', 'Monday'],
    ['moves with what is inserted before it', 'ship on [Monday] or so', 'we ship it on Monday or so', 'Monday'],
    ['stays with what is deleted behind it', 'ship on [Monday] or so', 'ship on Monday', 'Monday'],
    ['has what changed inside', 'ship on [Monday at ten] or so', 'ship on Monday at two or so', 'Monday at two'],
    ['has what it was replaced by', 'ship on [Monday] or so', 'ship on next Tuesday or so', 'next Tuesday'],
    ['is nothing where it was deleted', 'ship on [Monday ]or so', 'ship on or so', ''],
    ['has nothing that was inserted at its start', 'ship on [Monday] or so', 'ship on a Monday or so', 'Monday'],
    ['has nothing that was inserted at its end', 'ship on [Monday] or so', 'ship on Monday, then, or so', 'Monday'],
    ['has no letters of a word that grew before it', 'ship on[ Monday] or so', 'ship only Monday or so', ' Monday'],
    ['has a change that reaches over its start', 'abc [xyz] def', 'abQ def', 'Q'],
    ['has only the letters of such a change that are its own', 'ship on [Monday] or so', 'ship at nine or so', 'nine'],
    ['has a change that reaches over its end', '[Monday] or so', 'Wedne? so', 'Wedne?'],
    [
      'is found among others that are longer',
      'see [me] there',
      'I will await [me] elsewhere'.replace(/[[\]]/g, ''),
      'me',
    ],
    ['counts characters', '🦊 🦊 [🎈🎈] end', '🦊 and 🦊 🎈🎈 end', '🎈🎈'],
    ['has emoji that changed', '🦊 [🎈🎈] 🦊', '🦊 🎈🦊🎈 🦊', '🎈🦊🎈'],
    ['that is empty stands behind what was inserted there', 'a [] b', 'a new  b', ''],
  ])('%s', (_what, marked, after, wanted) => {
    expect(followed(marked, after)).toBe(wanted);
  });

  it('has nothing of what was edited before and behind it', () => {
    const of = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 12 });
    const outside = of('a', 'b', 'é', '🎈');
    const behind = of('p', 'q', '漢', '🦊');
    const inside = fc.string({ unit: fc.constantFrom('x', 'y', '🙂'), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(outside, outside, inside, behind, behind, (before, newBefore, region, after, newAfter) => {
        const marked = `${before} [${region}] ${after}`;
        expect(followed(marked, `${newBefore} ${region} ${newAfter}`)).toBe(region);
      }),
    );
  });
});
