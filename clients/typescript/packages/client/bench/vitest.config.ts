import { defineConfig } from 'vitest/config';

/** `npm run bench -w @syncline/client`: prints figures and fails where one is beyond what is promised. */
export default defineConfig({
  test: { include: ['bench/**/*.bench.ts'], environment: 'node', testTimeout: 120_000, fileParallelism: false },
});
