// Checks that files and folders that documents name in code spans exist, as `src/engine/feed.rs`. A document that names what
// was moved or deleted is worse than none.
//
//   node scripts/docs/check-paths.mjs            the documents of this repository
//   node scripts/docs/check-paths.mjs FOLDER     the same documents against the files in another folder

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const files = resolve(process.argv[2] ?? repository);

/** Folders at the top of the repository that are in git. */
const TOP = ['.devcontainer', '.github', 'benches', 'clients', 'console', 'crates', 'deploy', 'docs', 'migrations', 'proto', 'scripts', 'src', 'tests', 'tools'];
const PATH = new RegExp(`^(?:${TOP.map((name) => name.replace('.', '\\.')).join('|')})/[\\w./-]*$`);

const markdownIn = (folder) =>
  readdirSync(join(repository, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(repository, folder, name));
const documents = [...markdownIn('.'), ...markdownIn('docs'), join(repository, 'clients/SPEC.md')];

const missing = [];
let checked = 0;
for (const document of documents) {
  // The changelog tells of files as they were.
  if (document.endsWith('CHANGELOG.md')) continue;
  const text = readFileSync(document, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  for (const [, span] of text.matchAll(/`([^`\n]+)`/g)) {
    if (!PATH.test(span)) continue;
    checked += 1;
    if (!existsSync(join(files, span))) missing.push(`${relative(repository, document)}: \`${span}\``);
  }
}

if (checked === 0) missing.push('no document names any file');
if (missing.length > 0) {
  console.error(`docs: these documents name files that do not exist:\n${missing.map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}
console.log(`    ${checked} files that documents name`);
