// mdBook's preprocessor for the docs site (docs/book.toml). mdBook runs it in docs/ and gives it the book as JSON.
//
// - A page that consists of one include shows a document that lies elsewhere in the repository.
// - The page that consists of {{#protocol}} becomes the reference of the protocol, with a page below it for each file.
// - Links between documents are written as they work in the repository. They become links between pages; a link to a file
//   that is no page shows the file's path instead. A link to nothing fails the build.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { protocolPages } from './protocol.mjs';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const docs = resolve(repository, 'docs');

// mdBook asks first whether this works for an output format. It does for all of them.
if (process.argv[2] === 'supports') process.exit(0);

const [, book] = JSON.parse(readFileSync(0, 'utf8'));
const items = book.items ?? book.sections;

/** Every chapter of the book, those below others included. */
function* chapters(list) {
  for (const item of list) {
    if (item.Chapter) {
      yield item.Chapter;
      yield* chapters(item.Chapter.sub_items);
    }
  }
}

/** The repository's document that each page shows, and the page that shows each document. */
const documentOf = new Map();
const pageOf = new Map();
for (const chapter of chapters(items)) {
  if (!chapter.path) continue;
  const include = /^\{\{#include ([^}]+)\}\}$/.exec(chapter.content.trim());
  const document = include ? resolve(docs, dirname(chapter.path), include[1]) : resolve(docs, chapter.path);
  if (include) chapter.content = readFileSync(document, 'utf8');
  documentOf.set(chapter, document);
  pageOf.set(document, chapter.path);
}

const broken = [];

/** What stands for `[text](target)` of a document on its page. */
function linkOnPage(whole, mark, text, target, chapter) {
  if (/^([a-z]+:|#)/.test(target)) return whole;
  const [path, anchor] = target.split('#');
  const file = resolve(dirname(documentOf.get(chapter)), path);
  if (!existsSync(file)) {
    broken.push(`${relative(repository, documentOf.get(chapter))}: ${target}`);
    return whole;
  }
  const page = pageOf.get(file) ?? (file.startsWith(docs + sep) && relative(docs, file));
  if (page) {
    const from = posix.dirname(chapter.path);
    return `${mark}[${text}](${posix.relative(from, page)}${anchor ? `#${anchor}` : ''})`;
  }
  const shown = relative(repository, file) || '.';
  return text.includes(posix.basename(shown)) ? `\`${shown}\`` : `${text} (\`${shown}\`)`;
}

/** Rewrites the links of a chapter and leaves its code alone. */
function rewriteLinks(chapter) {
  const link = /(!?)\[((?:[^\]`]|`[^`]*`)*)\]\(([^()\s]+)\)/g;
  // Fenced blocks and code spans stand at the odd places.
  const pieces = chapter.content.split(/(^```[\s\S]*?^```|(?<!\[)`[^`\n]+`(?!\]))/m);
  chapter.content = pieces
    .map((piece, at) =>
      at % 2 === 1 ? piece : piece.replace(link, (whole, mark, text, target) => linkOnPage(whole, mark, text, target, chapter)),
    )
    .join('');
}

for (const chapter of chapters(items)) {
  if (!chapter.path) continue;
  if (chapter.content.trim() === '{{#protocol}}') {
    const { overview, pages } = protocolPages(repository);
    chapter.content = overview;
    chapter.sub_items = pages.map(({ name, path, content }, at) => ({
      Chapter: {
        name,
        content,
        // The sidebar indents a page by its number.
        number: [...chapter.number, at + 1],
        sub_items: [],
        path,
        source_path: null,
        parent_names: [...chapter.parent_names, chapter.name],
      },
    }));
  } else if (documentOf.has(chapter)) {
    rewriteLinks(chapter);
  }
}

// A page that no list names is found by nobody.
const listed = new Set([...chapters(items)].map((chapter) => chapter.path).filter(Boolean));
const unlisted = readdirSync(docs).filter((name) => name.endsWith('.md') && name !== 'SUMMARY.md' && !listed.has(name));
if (unlisted.length > 0) {
  console.error(`docs: docs/SUMMARY.md does not name ${unlisted.join(', ')}`);
  process.exit(1);
}

if (broken.length > 0) {
  console.error(`docs: links that lead nowhere:\n${broken.map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}
process.stdout.write(JSON.stringify(book));
