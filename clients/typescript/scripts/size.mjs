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

const chunks = [result].flat().flatMap(({ output }) => output.filter((each) => each.type === 'chunk'));
const sizes = new Map(chunks.map((chunk) => [chunk.fileName, gzipSync(chunk.code, { level: 9 }).length]));

/** What an application loads before it can show and edit: the entry and whatever it imports at once. */
const first = new Set();
const visit = (name) => {
  if (first.has(name)) return;
  first.add(name);
  for (const next of chunks.find((chunk) => chunk.fileName === name)?.imports ?? []) visit(next);
};
for (const chunk of chunks) if (chunk.isEntry) visit(chunk.fileName);

const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;
const sum = (names) => [...names].reduce((bytes, name) => bytes + (sizes.get(name) ?? 0), 0);
for (const chunk of chunks) {
  const when = first.has(chunk.fileName) ? 'first' : 'later';
  console.log(
    `${when}  ${kilobytes(sizes.get(chunk.fileName))}  ${chunk.fileName} (${kilobytes(chunk.code.length)} plain)`,
  );
}
console.log(
  `first: ${kilobytes(sum(first))} of ${kilobytes(LIMIT_BYTES)}; with what is loaded later: ${kilobytes(sum(sizes.keys()))}`,
);
if (sum(first) > LIMIT_BYTES) {
  console.error('size: the client for browsers is too large');
  process.exit(1);
}
