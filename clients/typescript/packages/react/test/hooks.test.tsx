import { act, cleanup, renderHook, screen } from '@testing-library/react';
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import {
  SynclineProvider,
  useConflicts,
  useConnection,
  useLiveQuery,
  useNotices,
  useOptimisticUpdates,
  useRecord,
  useSyncline,
} from '../src/index.js';
import { decodeArgument, encodeArgument } from '../src/hooks/argument.js';
import { Fake, ONLINE, recordOf } from './fake.js';
import { show } from './setup.js';

afterEach(cleanup);

const around = (fake: Fake) => ({
  wrapper: ({ children }: { children: ReactNode }) => (
    <StrictMode>
      <SynclineProvider client={fake.client}>{children}</SynclineProvider>
    </StrictMode>
  ),
});

describe('the provider', () => {
  it('is needed', () => {
    expect(() => renderHook(() => useSyncline())).toThrow('SynclineProvider');
  });

  it('sets theme and scheme', () => {
    const fake = new Fake();
    const { container } = show(fake, <p>inside</p>);
    expect(container.firstElementChild?.getAttribute('data-syncline-theme')).toBe('modern');
    expect(container.firstElementChild?.getAttribute('data-syncline-scheme')).toBe('system');
    expect(screen.getByText('inside')).toBeTruthy();
  });
});

describe('useLiveQuery', () => {
  it('makes one query however often it is written anew, and keeps rows that did not change', () => {
    const fake = new Fake();
    fake.put(recordOf('a', { title: 'A' }));
    fake.put(recordOf('b', { title: 'B' }));
    const { result, rerender } = renderHook(
      () => useLiveQuery({ collection: 'cards', where: { votes: 2n }, orderBy: [{ field: 'title' }] }),
      around(fake),
    );
    rerender();
    rerender();
    const asked = new Set(fake.calls.query.mock.calls.map(([query]) => encodeArgument(query)));
    expect(asked.size).toBe(1);
    expect(fake.calls.query.mock.calls.length).toBeLessThanOrEqual(2);
    expect(fake.calls.query.mock.calls[0]?.[0]).toEqual({
      collection: 'cards',
      where: { votes: 2n },
      orderBy: [{ field: 'title' }],
    });
    const before = result.current;
    act(() => {
      fake.remote('b', { title: 'BB' });
    });
    expect(result.current.rows[0]).toBe(before.rows[0]);
    expect(result.current.rows[1]?.record.fields['title']).toBe('BB');
  });

  it('asks again when the query says something else', () => {
    const fake = new Fake();
    fake.put(recordOf('a', {}));
    fake.put(recordOf('ada', {}, { collection: 'people' }));
    const { result, rerender } = renderHook(({ collection }) => useLiveQuery({ collection }), {
      ...around(fake),
      initialProps: { collection: 'cards' },
    });
    expect(result.current.rows.map((row) => row.record.id)).toEqual(['a']);
    rerender({ collection: 'people' });
    expect(result.current.rows.map((row) => row.record.id)).toEqual(['ada']);
  });
});

it('arguments keep the values JSON lacks', () => {
  const argument = { a: 1n, b: new Uint8Array([1, 2]), c: [null, 'x', { d: Infinity }] };
  expect(decodeArgument(encodeArgument(argument))).toEqual(argument);
});

it('useRecord follows one record, stops when unmounted, and follows another', () => {
  const fake = new Fake();
  fake.put(recordOf('a', { title: 'A' }));
  const { result, rerender, unmount } = renderHook(({ id }) => useRecord(id), {
    ...around(fake),
    initialProps: { id: 'a' },
  });
  expect(result.current?.fields['title']).toBe('A');
  act(() => {
    fake.remote('a', { title: 'AA' });
  });
  expect(result.current?.fields['title']).toBe('AA');
  rerender({ id: 'none' });
  expect(result.current).toBeUndefined();
  expect(fake.cell('a').listening).toBe(0);
  unmount();
  expect(fake.cell('none').listening).toBe(0);
});

it('useOptimisticUpdates keeps its functions', () => {
  const fake = new Fake();
  const { result } = renderHook(() => useOptimisticUpdates(), around(fake));
  const { mutate } = result.current;
  act(() => {
    fake.undoable.set({ undo: true, redo: false });
  });
  expect(result.current.mutate).toBe(mutate);
  expect(result.current.canUndo).toBe(true);
  result.current.undo();
  expect(fake.calls.undo).toHaveBeenCalledOnce();
});

it('useConnection gives the state and what can be asked', () => {
  const fake = new Fake();
  const { result } = renderHook(() => useConnection(), around(fake));
  expect(result.current.state).toBe('online');
  act(() => {
    fake.connection.set({ ...ONLINE, state: 'offline' });
  });
  expect(result.current.state).toBe('offline');
  result.current.goOnline();
  expect(fake.calls.goOnline).toHaveBeenCalledOnce();
});

it('useConflicts is stable while nothing changes', () => {
  const fake = new Fake();
  const { result, rerender } = renderHook(() => useConflicts({ statuses: ['open'] }), around(fake));
  const before = result.current;
  rerender();
  expect(result.current).toBe(before);
});

it('useNotices keeps notices until they are dismissed, also for those who come later', () => {
  const fake = new Fake();
  const { result } = renderHook(() => useNotices(), around(fake));
  act(() => {
    fake.notify({ type: 'schema_changed', version: 2 });
  });
  expect(result.current.notices).toHaveLength(1);
  act(() => {
    const [notice] = result.current.notices;
    if (notice) result.current.dismiss(notice);
  });
  expect(result.current.notices).toEqual([]);
});
