import { act, cleanup, fireEvent, screen } from '@testing-library/react';
import type { ReactElement } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { SynclineError } from '@syncline/client';
import { useTextField } from '../src/index.js';
import { Fake, recordOf } from './fake.js';
import { show } from './setup.js';

afterEach(cleanup);

function Body(): ReactElement {
  const { props, problem } = useTextField('card-1', 'body');
  return (
    <>
      <textarea aria-label="Body" {...props} />
      {problem ? <p role="alert">{problem.message}</p> : null}
    </>
  );
}

function setup(text: string) {
  const fake = new Fake();
  fake.put(recordOf('card-1', { body: text }));
  show(fake, <Body />);
  const area = screen.getByLabelText<HTMLTextAreaElement>('Body');
  area.focus();
  const shown = () => fake.cell('card-1').getSnapshot()?.fields['body'];
  /** What the browser does: the element changes first, then it tells. */
  const type = (value: string, caret: number) => {
    const descriptor = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
    descriptor?.set?.call(area, value);
    area.setSelectionRange(caret, caret);
    fireEvent.input(area);
  };
  return { fake, area, shown, type };
}

describe('typing', () => {
  it('is one hunk at its place, and shows at once', () => {
    const { fake, area, shown, type } = setup('aaa');
    type('aaaa', 2);
    expect(fake.edits.map((edit) => edit.hunks)).toEqual([[{ position: 1, deleteCount: 0, insert: 'a' }]]);
    expect(shown()).toBe('aaaa');
    expect(area.value).toBe('aaaa');
    expect(area.selectionStart).toBe(2);
  });

  it('counts characters as operations do', () => {
    const { fake, type } = setup('😀b');
    type('😀xb', 3);
    expect(fake.edits[0]?.hunks).toEqual([{ position: 1, deleteCount: 0, insert: 'x' }]);
  });

  it('without a pause is one step of undo; a new line begins another', () => {
    const { fake, type } = setup('');
    type('a', 1);
    type('ab', 2);
    type('ab\n', 3);
    const groups = fake.edits.map((edit) => edit.undoGroup);
    expect(groups[0]).toBe(groups[1]);
    expect(groups[2]).not.toBe(groups[1]);
  });

  it('of more than an operation takes is several operations, whole characters each', () => {
    const { fake, area, shown, type } = setup('ab');
    const paste = `${'x'.repeat(63_999)}${'😀'.repeat(50_000)}`;
    type(`a${paste}b`, 1 + paste.length);
    expect(shown()).toBe(`a${paste}b`);
    expect(area.value).toBe(`a${paste}b`);
    expect(fake.edits.length).toBe(3);
    expect(new Set(fake.edits.map((edit) => edit.undoGroup)).size).toBe(1);
    for (const { hunks } of fake.edits) {
      expect(new TextEncoder().encode(hunks[0]?.insert).length).toBeLessThan(256 * 1024);
      expect(hunks[0]?.insert).not.toMatch(/\p{Surrogate}/u);
    }
  });

  it('that cannot be kept stays in the element, says why, and is kept once it can be', () => {
    const { fake, area, shown, type } = setup('ab');
    fake.refusal = new SynclineError('OPERATION_TOO_LARGE', 'a text has more than a megabyte');
    type('aLONGb', 5);
    expect(area.value).toBe('aLONGb');
    expect(shown()).toBe('ab');
    expect(screen.getByRole('alert').textContent).toBe('a text has more than a megabyte');
    act(() => {
      fake.remote('card-1', { body: 'zab' });
    });
    expect(area.value).toBe('aLONGb');
    fake.refusal = undefined;
    type('aLb', 2);
    expect(shown()).toBe('zaLb');
    expect(area.value).toBe('zaLb');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('that cannot be kept is given up by taking it out again', () => {
    const { fake, area, type } = setup('ab');
    fake.refusal = new SynclineError('OPERATION_TOO_LARGE', 'too large');
    type('aXb', 2);
    type('ab', 1);
    expect(area.value).toBe('ab');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('into a record that is gone stays in the element', () => {
    const { fake, area, type } = setup('text');
    act(() => {
      fake.cell('card-1').set(undefined);
    });
    type('x', 1);
    expect(area.value).toBe('x');
    expect(screen.getByRole('alert').textContent).not.toBe('');
  });
});

describe('edits of others', () => {
  it('leave the caret between the same characters', () => {
    const { fake, area } = setup('Hello world');
    area.setSelectionRange(6, 11);
    act(() => {
      fake.remote('card-1', { body: 'Oh: Hello world' });
    });
    expect(area.value).toBe('Oh: Hello world');
    expect([area.selectionStart, area.selectionEnd]).toEqual([10, 15]);
    act(() => {
      fake.remote('card-1', { body: 'Oh: Hello world!' });
    });
    expect([area.selectionStart, area.selectionEnd]).toEqual([10, 15]);
  });

  it('in the same place come after what is being typed', () => {
    const { fake, area, type, shown } = setup('ab');
    type('aXb', 2);
    act(() => {
      fake.remote('card-1', { body: 'aXYb' });
    });
    expect(area.selectionStart).toBe(2);
    type('aXZYb', 3);
    expect(shown()).toBe('aXZYb');
  });
});

describe('an input method', () => {
  it('is left alone until it is done, and then merged', () => {
    const { fake, area, type, shown } = setup('one two');
    area.setSelectionRange(3, 3);
    fireEvent.compositionStart(area);
    type('oneに two', 4);
    act(() => {
      fake.remote('card-1', { body: 'zero one two' });
    });
    expect(area.value).toBe('oneに two');
    expect(fake.edits).toEqual([]);
    type('one日本 two', 5);
    fireEvent.compositionEnd(area);
    expect(shown()).toBe('zero one日本 two');
    expect(area.value).toBe('zero one日本 two');
    expect(area.selectionStart).toBe('zero one日本'.length);
    expect(fake.edits).toHaveLength(1);
  });

  it('that gives up changes nothing', () => {
    const { fake, area, type } = setup('one');
    fireEvent.compositionStart(area);
    type('onex', 4);
    type('one', 3);
    fireEvent.compositionEnd(area);
    expect(fake.edits).toEqual([]);
    expect(area.value).toBe('one');
  });
});

it('undo and redo are those of the client', () => {
  const { fake, area } = setup('one');
  fireEvent.keyDown(area, { key: 'z', ctrlKey: true });
  fireEvent.keyDown(area, { key: 'Z', metaKey: true, shiftKey: true });
  fireEvent.keyDown(area, { key: 'z' });
  expect(fake.calls.undo).toHaveBeenCalledOnce();
  expect(fake.calls.redo).toHaveBeenCalledOnce();
});

it('a text that needs a newer version says so and takes nothing', () => {
  const { fake, area } = setup('');
  act(() => {
    fake.put(recordOf('card-1', { body: null }, { opaque: ['body'] }));
  });
  expect([area.readOnly, area.placeholder, area.value]).toEqual([true, 'Needs a newer version', '']);
  expect(fake.edits).toEqual([]);
});
