import { cleanup, render, screen } from '@testing-library/react';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { SynclineProvider } from '../src/index.js';
import type { Fake } from './fake.js';
import { recordOf } from './fake.js';
import { App } from './readme-sample.js';
import { Body } from './text-sample.js';
import { TypedApp } from './typed-sample.js';

const made = vi.hoisted(() => ({ fakes: [] as Fake[] }));
vi.mock('@syncline/client/browser', async () => {
  const { Fake } = await import('./fake.js');
  return {
    createSyncline: () => {
      const fake = new Fake();
      made.fakes.push(fake);
      return fake.client;
    },
  };
});
afterEach(cleanup);

it.each(['readme-sample.tsx', 'typed-sample.tsx', 'text-sample.tsx'])('the README shows %s as it is tested', (name) => {
  const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');
  expect(read('../README.md')).toContain('```tsx\n' + read(name) + '```');
});

it('the samples work', () => {
  const [fake, typed] = made.fakes;
  if (!fake || !typed) throw new Error('the samples make a client each');
  typed.put(recordOf('a', { title: 'Plan', votes: 2, tags: ['x', 'y'] }));
  render(<TypedApp />);
  expect(screen.getByRole('button', { name: /Plan .*2 x, y/ })).toBeTruthy();
  cleanup();
  fake.put(recordOf('a', { title: 'Plan', votes: 2, body: 'Some text' }));
  render(<App />);
  expect(screen.getByRole('button', { name: 'Plan 2' })).toBeTruthy();
  cleanup();
  render(
    <SynclineProvider client={fake.client}>
      <Body id="a" />
    </SynclineProvider>,
  );
  expect(screen.getByLabelText<HTMLTextAreaElement>('Body').value).toBe('Some text');
});
