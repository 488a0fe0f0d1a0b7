import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      '@syncline/client/browser': source('./packages/client/src/browser.ts'),
      '@syncline/client/node': source('./packages/client/src/node.ts'),
      '@syncline/client': source('./packages/client/src/index.ts'),
      '@syncline/react/themes.css': source('./packages/react/src/themes.css'),
      '@syncline/react': source('./packages/react/src/index.ts'),
    },
  },
  test: {
    passWithNoTests: true,
    projects: [
      { extends: true, test: { name: 'client', environment: 'node', include: ['packages/client/test/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'react', environment: 'jsdom', include: ['packages/react/test/**/*.test.{ts,tsx}'] },
      },
    ],
  },
});
