// Builds the client for browsers (without React) as an application's bundler does and fails when it is larger than its
// limits: what is loaded first, all parts together, and all of it as one file, by gzip and, as one file, by brotli.
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

// One file may be 75 KB at most.
const LIMITS_KB = { first: 63.5, parts: 79.3, 'one file': 75, 'one file, brotli': 64.5 };

/** The chunks that come of it. */
async function chunksOf(output) {
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
        output: { format: 'es', minify: true, ...output },
      },
    },
  });
  return [result].flat().flatMap((each) => each.output.filter(({ type }) => type === 'chunk'));
}

const sizeOf = (chunk) => gzipSync(chunk.code, { level: 9 }).length;
const sum = (chunks) => chunks.reduce((bytes, chunk) => bytes + sizeOf(chunk), 0);
const kilobytes = (bytes) => `${(bytes / 1024).toFixed(1)} KB`;

const chunks = await chunksOf({});

/** What an application loads before it can show and edit: the entry and whatever it imports at once. */
const first = new Set();
const visit = (chunk) => {
  if (chunk === undefined || first.has(chunk)) return;
  first.add(chunk);
  for (const name of chunk.imports) visit(chunks.find(({ fileName }) => fileName === name));
};
for (const chunk of chunks) if (chunk.isEntry) visit(chunk);

for (const chunk of chunks) {
  const when = first.has(chunk) ? 'first' : 'later';
  console.log(`${when}  ${kilobytes(sizeOf(chunk))}  ${chunk.fileName} (${kilobytes(chunk.code.length)} plain)`);
}

const whole = await chunksOf({ codeSplitting: false });
const sizes = {
  first: sum([...first]),
  parts: sum(chunks),
  'one file': sum(whole),
  'one file, brotli': whole.reduce((bytes, chunk) => bytes + brotliCompressSync(chunk.code).length, 0),
};
for (const [what, bytes] of Object.entries(sizes)) {
  console.log(`${what}: ${kilobytes(bytes)} of ${LIMITS_KB[what].toFixed(1)} KB`);
  if (bytes <= LIMITS_KB[what] * 1024) continue;
  console.error(`size: the client for browsers is too large (${what})`);
  process.exitCode = 1;
}
