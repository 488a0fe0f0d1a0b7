import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverAvailable, TestServer } from '../harness/server.js';
import { openFileStore } from '../../src/store/file.js';
import { run, withFileStores } from './world.js';

/** Replays one run: `SYNCLINE_SEED=7 npm run test:model`. More runs: `SYNCLINE_RUNS=2000`. */
const SEED = process.env['SYNCLINE_SEED'];
const RUNS = Number(process.env['SYNCLINE_RUNS'] ?? 200);
/** Runs at a time: most of a run is waiting. */
const AT_A_TIME = 8;

describe.skipIf(!serverAvailable())('the model: clients, faults, and the real server', () => {
  let server: TestServer;
  beforeAll(async () => {
    withFileStores(openFileStore);
    server = await TestServer.start('--log-level', 'error');
  });
  afterAll(async () => {
    await server.stop();
  });

  it('ends with every client equal to the server, and nothing saved lost', { timeout: 600_000 }, async () => {
    const first = Number(SEED ?? process.env['SYNCLINE_FIRST_SEED'] ?? 1);
    const seeds = SEED === undefined ? Array.from({ length: RUNS }, (_, index) => first + index) : [first];
    console.log(`model: seeds ${first} to ${first + seeds.length - 1}`);
    const failures: string[] = [];
    let operations = 0;
    const next = async (): Promise<void> => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
        try {
          const outcome = await run(seed, server);
          operations += outcome.operations;
        } catch (error) {
          const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
          failures.push(`seed ${seed}: ${told}\n  replay: SYNCLINE_SEED=${seed} npm run test:model`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, next));
    console.log(`model: ${operations} saved operations checked`);
    expect(failures.slice(0, 5).join('\n\n')).toBe('');
  });
});
