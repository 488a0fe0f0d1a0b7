import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/api.js';
import { decisionMutation } from '../../src/client/decisions.js';
import type { Alternative, ConflictDetail, ConflictKind } from '../../src/domain/conflict.js';
import type { Mutation } from '../../src/domain/operation.js';
import { applyHunks } from '../../src/domain/text/hunk.js';
import { scalarCount } from '../../src/domain/text/scalars.js';
import type { FieldKind, Value } from '../../src/domain/value.js';
import type { Replica } from '../../src/replica/replica.js';

/** As much of a replica as a decision asks: one field as shown. */
function replicaWith(shown: Value, kind: FieldKind = 'text', exact = true): Replica {
  const partial = {
    view: () => ({ fields: { f: shown } }),
    isTextExact: () => exact,
    stage: () => ({ kindOf: () => kind }),
  };
  return partial as unknown as Replica;
}

const side = (seq: number, value: Value | undefined, more: Partial<Alternative> = {}): Alternative => ({
  seq,
  dot: { replicaId: `r${seq}`, counter: 1 },
  actor: 'ann',
  context: { epoch: '1', baseSeq: 1, extras: [] },
  ...(value !== undefined && { value }),
  state: 'head',
  action: 'edit_text',
  siblings: [],
  provisional: false,
  correlationId: '',
  ...more,
});

function detailOf(kind: ConflictKind, field: Value, more: Partial<ConflictDetail> = {}): ConflictDetail {
  const picture = { collectionId: 'c', recordId: 'x', deleted: false, fields: { f: field }, opaque: [] };
  return {
    summary: {
      conflictId: 'k',
      kind,
      status: 'open',
      revision: 1,
      collectionId: 'c',
      recordId: 'x',
      fieldIds: ['f'],
      openedSeq: 2,
      deferCount: 0,
      alternativeCount: 2,
    },
    rule: '',
    reason: '',
    baseValue: null,
    baseExact: true,
    alternatives: [],
    record: picture,
    recordAtOpening: picture,
    linkedRecords: [],
    events: [],
    ...more,
  };
}

/** A conflict of a text; the region is marked in it. */
function textDetail(marked: string, more: Partial<ConflictDetail> = {}): ConflictDetail {
  const [before = '', shown = '', after = ''] = marked.split(/[[\]]/);
  return detailOf('text_overlap', before + shown + after, {
    baseValue: 'Monday',
    alternatives: [side(3, shown, { provisional: true }), side(4, 'Friday', { state: 'suppressed' })],
    region: { position: scalarCount(before), length: scalarCount(shown), shown, before, after },
    ...more,
  });
}

function decided(detail: ConflictDetail, shown: string, decision: Decision, exact = true): Mutation['action'] {
  const { action, ...about } = decisionMutation(replicaWith(shown, 'text', exact), detail, decision);
  expect(about).toEqual({ collectionId: 'c', recordId: 'x', resolvesConflictId: 'k' });
  return action;
}

const edit = (...hunks: readonly (readonly [number, number, string])[]): Mutation['action'] => ({
  type: 'edit_text',
  fieldId: 'f',
  hunks: hunks.map(([position, deleteCount, insert]) => ({ position, deleteCount, insert })),
});
const FRIDAY: Decision = { type: 'alternative', seq: 4 };

describe('a decision on a text', () => {
  const detail = textDetail('ship on [Tuesday] or so');

  it.each<[string, Decision, Mutation['action']]>([
    ['the version that is not applied', FRIDAY, edit([8, 7, 'Friday'])],
    ['the version that is shown', { type: 'alternative', seq: 3 }, edit()],
    ['a text', { type: 'text', text: 'some day' }, edit([8, 7, 'some day'])],
    ['a text as a value', { type: 'value', value: '' }, edit([8, 7, ''])],
    ['the text that is shown', { type: 'text', text: 'Tuesday' }, edit()],
    ['a text with half a character', { type: 'text', text: 'x\ud800' }, edit([8, 7, 'x\ufffd'])],
    ['the base', { type: 'base' }, edit([8, 7, 'Monday'])],
    ['what is there', { type: 'keep' }, edit()],
  ])('takes %s for the region alone, in one hunk', (_what, decision, action) => {
    expect(decided(detail, 'ship on Tuesday or so', decision)).toEqual(action);
  });

  it('takes a side that is shown but was edited since', () => {
    const action = decided(detail, 'ship on Tuesday night or so', { type: 'alternative', seq: 3 });
    expect(action).toEqual(edit());
    expect(decided(detail, 'ship on Tunesday or so', { type: 'alternative', seq: 3 })).toEqual(edit([8, 8, 'Tuesday']));
  });

  it.each([
    ['before', 'we ship on Tuesday or so', edit([11, 7, 'Friday'])],
    ['after', 'ship on Tuesday or later', edit([8, 7, 'Friday'])],
    ['on both sides', 'we must ship on Tuesday', edit([16, 7, 'Friday'])],
    ['inside', 'ship on Tunesday or so', edit([8, 8, 'Friday'])],
    ['at its start', 'ship on a Tuesday or so', edit([10, 7, 'Friday'])],
    ['at its end', 'ship on Tuesday, well, or so', edit([8, 7, 'Friday'])],
    ['over its start', 'ship [#] or so', edit([5, 3, 'Friday'])],
    ['over its end', 'ship on [#] so', edit([8, 3, 'Friday'])],
    ['so that it is gone', 'ship on  or so', edit([8, 0, 'Friday'])],
  ])('finds the region when the text was edited %s', (_where, shown, action) => {
    expect(decided(detail, shown, FRIDAY)).toEqual(action);
  });

  it('counts characters', () => {
    expect(decided(textDetail('🦊🦊 [🎈🎈] 🦊'), '🦊🎈🦊 🎈🎈 🦊', FRIDAY)).toEqual(edit([4, 2, 'Friday']));
  });

  it('puts a version where nothing is shown', () => {
    const gone = textDetail('ship on [] or so');
    expect(decided(gone, 'ship on  or so', FRIDAY)).toEqual(edit([8, 0, 'Friday']));
    expect(decided(gone, 'ship on  or so', { type: 'text', text: '' })).toEqual(edit());
  });

  it('replaces the whole text where its positions are not certain', () => {
    const whole = { type: 'replace_text', fieldId: 'f', text: 'we ship on Friday or so' };
    expect(decided(detail, 'we ship on Tuesday or so', FRIDAY, false)).toEqual(whole);
    expect(decided(detail, 'we ship on Tuesday or so', { type: 'alternative', seq: 3 }, false)).toEqual(edit());
  });

  it('changes exactly the region, whatever others edited around it', () => {
    const of = (...units: string[]) => fc.string({ unit: fc.constantFrom(...units), maxLength: 12 });
    const front = of('a', 'b', 'é', '🎈');
    const back = of('p', 'q', '漢', '🦊');
    const region = fc.string({ unit: fc.constantFrom('x', 'y', '🙂'), minLength: 1, maxLength: 12 });
    const around = fc.tuple(front, front, back, back);
    fc.assert(
      fc.property(around, region, fc.string({ unit: 'grapheme' }), fc.boolean(), (sides, inside, text, exact) => {
        const [before, newBefore, after, newAfter] = sides;
        const shown = `${newBefore} ${inside} ${newAfter}`;
        const marked = textDetail(`${before} [${inside}] ${after}`);
        const action = decided(marked, shown, { type: 'text', text }, exact);
        if (action.type === 'edit_text') expect(action.hunks.length).toBe(text === inside ? 0 : 1);
        const now =
          action.type === 'replace_text'
            ? action.text
            : action.type === 'edit_text'
              ? applyHunks(shown, action.hunks)
              : '';
        expect(now).toBe(`${newBefore} ${text} ${newAfter}`);
      }),
    );
  });

  it('never writes a version of which only the beginning is here', () => {
    const cut = textDetail('ship on [Tuesday]', { alternatives: [side(4, 'Fri', { wholeBytes: 100_000 })] });
    expect(() => decided(cut, 'ship on Tuesday', FRIDAY)).toThrow('only the beginning of this alternative is here');
    for (const [count, taken] of [
      [64 * 1024 - 4, true],
      [64 * 1024 - 3, false],
    ] as const) {
      const base = textDetail('ship on [Tuesday]', { baseValue: 'é'.repeat(count / 2) + 'x'.repeat(count % 2) });
      const attempt = (): unknown => decided(base, 'ship on Tuesday', { type: 'base' });
      if (taken) attempt();
      else expect(attempt).toThrow('only the beginning of the base may be here');
    }
  });

  it('is refused where its place, or what it says, is not known', () => {
    const { alternatives, baseValue } = detail;
    const placeless = detailOf('text_overlap', 'ship on Tuesday', { alternatives, baseValue });
    expect(() => decided(placeless, 'ship on Tuesday', FRIDAY)).toThrow(
      'where in the text the conflict stands is not known',
    );
    expect(decided(placeless, 'ship on Tuesday', { type: 'keep' })).toEqual(edit());
    const wrong: readonly (readonly [ConflictDetail, Decision])[] = [
      [textDetail('[a]', { baseValue: null }), { type: 'base' }],
      [detail, { type: 'value', value: 3 }],
      [detail, { type: 'unlink' }],
    ];
    for (const [conflict, decision] of wrong) {
      expect(() => decided(conflict, 'a', decision)).toThrow('give a text for the place in conflict');
    }
    expect(() => decided(detail, 'a', { type: 'alternative', seq: 9 })).toThrow('no such alternative');
  });
});

describe('going back to the base', () => {
  const base = (detail: ConflictDetail, shown: Value, kind: FieldKind): Mutation['action'] =>
    decisionMutation(replicaWith(shown, kind), detail, { type: 'base' }).action;

  it('sets a register to what it was', () => {
    expect(base(detailOf('register', 'b', { baseValue: 'a' }), 'b', 'register')).toEqual({
      type: 'set',
      fieldId: 'f',
      value: { kind: 'string', value: 'a' },
    });
    expect(base(detailOf('register', 'b', { baseValue: null }), 'b', 'to_one')).toMatchObject({ type: 'unlink' });
    // What was added since the sides were read is kept.
    expect(base(detailOf('register', 7, { baseValue: 1 }), 10, 'counter')).toMatchObject({ value: 4n });
  });

  it('is refused where the base is not known, and for other kinds', () => {
    const inexact = detailOf('register', 'b', { baseValue: 'a', baseExact: false });
    expect(() => base(inexact, 'b', 'register')).toThrow('what the sides started from is not known any more');
    expect(() => base(detailOf('edit_delete', 'b'), 'b', 'register')).toThrow('delete the record, or keep it');
    expect(() => base(detailOf('relationship', 'b'), 'b', 'to_one')).toThrow('remove the link, or keep both');
  });
});
