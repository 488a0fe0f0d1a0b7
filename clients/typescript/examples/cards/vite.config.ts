import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Built from the packages' sources into the folder that the server embeds. Paths are relative, so that any server can
// serve the pages from any folder. Nothing is inlined: the server's content security policy forbids it.
export default defineConfig({
  base: './',
  plugins: [react()],
  resolve: {
    alias: {
      '@syncline/client/browser': source('../../packages/client/src/browser.ts'),
      '@syncline/client': source('../../packages/client/src/index.ts'),
      '@syncline/react/themes.css': source('../../packages/react/src/themes.css'),
      '@syncline/react': source('../../packages/react/src/index.ts'),
    },
  },
  build: {
    outDir: source('../../../../console/dist'),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // React alone is a third of it.
    chunkSizeWarningLimit: 800,
  },
  server: { proxy: { '/syncline.v1.': 'http://127.0.0.1:7447' } },
});
