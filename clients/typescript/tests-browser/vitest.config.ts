import { defineConfig } from 'vitest/config';

// Real Chromium against the real server: one test at a time, since they measure and there are few cores.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
