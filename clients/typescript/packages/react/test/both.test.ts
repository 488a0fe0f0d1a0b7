import { describe, expect, it } from 'vitest';
import { bothVersions, joined } from '../src/text/both.js';
import { textClash } from './fake.js';

describe('two versions of a text', () => {
  it.each([
    ['one', 'two', 'one two'],
    ['one ', 'two', 'one two'],
    ['one', '\ntwo', 'one\ntwo'],
    ['', 'two', 'two'],
    ['one', '', 'one'],
  ])('%j and %j are %j', (first, second, both) => {
    expect(joined(first, second)).toBe(both);
  });

  it('that several wrote are one', () => {
    const { alternatives } = textClash();
    const [ada] = alternatives;
    if (ada === undefined) throw new Error('no side');
    const [first, second] = bothVersions(
      textClash({ alternatives: [...alternatives, { ...ada, seq: 5, actor: 'Eve' }] }),
    );
    expect(first).toEqual({ actors: [['Ada', 'Eve'], ['Grace']], text: 'Hi there Good day' });
    expect(second).toEqual({ actors: [['Grace'], ['Ada', 'Eve']], text: 'Good day Hi there' });
  });

  it('are not three', () => {
    const { alternatives } = textClash();
    const [ada] = alternatives;
    if (ada === undefined) throw new Error('no side');
    expect(bothVersions(textClash({ alternatives: [...alternatives, { ...ada, value: 'Hoy' }] }))).toEqual([]);
  });
});
