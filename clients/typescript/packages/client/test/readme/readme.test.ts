import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { serverAvailable, TestServer } from '../harness/server.js';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

it.each(['sample.ts', 'schema-sample.ts'])('the README shows %s as it is tested', (name) => {
  expect(read('../../README.md')).toContain('```ts\n' + read(name) + '```');
});

it('the sample with a schema works without a server', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  try {
    await import('./schema-sample.js');
    expect(log.mock.calls).toEqual([['WATER THE PLANTS', 2, 'nobody']]);
  } finally {
    log.mockRestore();
  }
});

describe.skipIf(!serverAvailable())('the sample of the README', { timeout: 30_000 }, () => {
  it('shows its card at once and hears that it was applied', async () => {
    const server = await TestServer.start();
    const said: unknown[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line: unknown) => void said.push(line));
    vi.stubEnv('SYNCLINE_URL', server.url);
    const before = process.cwd();
    try {
      await server.createWorkspace('demo');
      process.chdir(mkdtempSync(join(tmpdir(), 'syncline-readme-')));
      await import('./sample.js');
    } finally {
      process.chdir(before);
      vi.unstubAllEnvs();
      log.mockRestore();
      await server.stop();
    }
    expect(said[0]).toEqual(['Water the plants (unsaved)']);
    expect(said).toContainEqual('applied');
  });
});
