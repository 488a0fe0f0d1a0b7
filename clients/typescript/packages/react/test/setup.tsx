import { render } from '@testing-library/react';
import type { RenderResult } from '@testing-library/react';
import axe from 'axe-core';
import { StrictMode } from 'react';
import type { ReactNode } from 'react';
import { expect } from 'vitest';
import { SynclineProvider } from '../src/index.js';
import type { Fake } from './fake.js';

/** Renders under a provider, in strict mode, which mounts every effect twice. */
export function show(fake: Fake, children: ReactNode): RenderResult {
  return render(
    <StrictMode>
      <SynclineProvider client={fake.client}>{children}</SynclineProvider>
    </StrictMode>,
  );
}

/** No violation of what axe can see without layout. */
export async function expectAccessible(container: Element): Promise<void> {
  const { violations } = await axe.run(container, { rules: { region: { enabled: false } } });
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual([]);
}
