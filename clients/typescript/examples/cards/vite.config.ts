import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Built from the packages' sources. Paths are relative, so that any server can serve the pages from any folder.
export default defineConfig({
  base: './',
  plugins: [react()],
  resolve: {
    alias: {
      '@syncline/client/browser': source('../../packages/client/src/browser.ts'),
      '@syncline/client': source('../../packages/client/src/index.ts'),
      '@syncline/react': source('../../packages/react/src/index.ts'),
    },
  },
});
