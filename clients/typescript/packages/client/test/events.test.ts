import { describe, expect, expectTypeOf, it } from 'vitest';
import { Emitter } from '../src/events.js';

interface Told {
  said(what: string, loudly: boolean): void;
  left(): void;
}

describe('an emitter', () => {
  it('calls those who listen, in their order, with what is told', () => {
    const emitter = new Emitter<Told>();
    const heard: unknown[] = [];
    emitter.on('said', (what, loudly) => heard.push(['first', what, loudly]));
    emitter.on('said', (what) => heard.push(['second', what]));
    emitter.emit('said', 'hello', true);
    emitter.emit('left');
    expect(heard).toEqual([
      ['first', 'hello', true],
      ['second', 'hello'],
    ]);
  });

  it('counts the same function once for each time it listens, and forgets each by itself', () => {
    const emitter = new Emitter<Told>();
    let count = 0;
    const listener = () => {
      count += 1;
    };
    const ends = [emitter.on('left', listener), emitter.on('left', listener)];
    emitter.emit('left');
    ends[0]?.();
    ends[0]?.();
    emitter.emit('left');
    expect(count).toBe(3);
    expect([emitter.has('left'), emitter.has('said')]).toEqual([true, false]);
    ends[1]?.();
    expect(emitter.has('left')).toBe(false);
  });

  it('calls those who listened when it happened: who comes or goes meanwhile changes nothing of it', () => {
    const emitter = new Emitter<Told>();
    const heard: string[] = [];
    emitter.on('left', () => {
      heard.push('a');
      end();
      emitter.on('left', () => heard.push('late'));
    });
    const end = emitter.on('left', () => heard.push('b'));
    emitter.emit('left');
    expect(heard).toEqual(['a', 'b']);
    emitter.emit('left');
    expect(heard).toEqual(['a', 'b', 'a', 'late']);
  });

  it('is typed by its events', () => {
    const emitter = new Emitter<Told>();
    const unrun = (check: () => void): void => void check;
    unrun(() => {
      // @ts-expect-error there is no such event
      emitter.emit('sung');
      // @ts-expect-error it tells more
      emitter.emit('said', 'hello');
      // @ts-expect-error one is missing
      emitter.onAll({ left: () => undefined });
    });
    expectTypeOf(emitter.on).parameter(0).toEqualTypeOf<'said' | 'left'>();
  });
});
