// Builds the client for browsers (without React) as a library and fails when it is larger than its limit.
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const LIMIT_BYTES = 60 * 1024;

const result = await build({
  configFile: false,
  logLevel: 'warn',
  build: {
    modulePreload: { polyfill: false },
    write: false,
    minify: true,
    target: 'es2022',
    rolldownOptions: {
      input: fileURLToPath(new URL('../packages/client/src/browser.ts', import.meta.url)),
      // What the entry exports is what applications import.
      preserveEntrySignatures: 'exports-only',
      output: { format: 'es', minify: true },
    },
  },
});

let total = 0;
for (const { output } of [result].flat()) {
  for (const chunk of output) {
    const code = chunk.type === 'chunk' ? chunk.code : chunk.source;
    const bytes = gzipSync(code, { level: 9 }).length;
    total += bytes;
    console.log(`${chunk.fileName}: ${bytes} bytes compressed, ${code.length} plain`);
  }
}
console.log(`together: ${(total / 1024).toFixed(1)} KB of ${LIMIT_BYTES / 1024} KB`);
if (total > LIMIT_BYTES) {
  console.error('size: the client for browsers is too large');
  process.exit(1);
}
