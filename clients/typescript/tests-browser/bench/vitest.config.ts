import { defineConfig } from 'vitest/config';

/** `npm run bench:browser`: prints figures and fails where one is beyond what is promised. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.bench.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
