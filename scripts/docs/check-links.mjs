// Checks that every link within the built docs site leads to a page, and to a place on it, that exists.
//
//   node scripts/docs/check-links.mjs FOLDER

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const site = process.argv[2];
if (!site) {
  console.error('usage: check-links.mjs FOLDER');
  process.exit(2);
}

// The page of all pages is for printing and repeats ids; the page for what is not found may be shown at any address.
const SKIPPED = new Set(['print.html', '404.html', 'toc.html']);

const pages = readdirSync(site, { recursive: true }).filter((name) => name.endsWith('.html') && !SKIPPED.has(name));
const textOf = new Map(pages.map((name) => [resolve(site, name), readFileSync(join(site, name), 'utf8')]));
const idsOf = new Map(
  [...textOf].map(([file, text]) => [file, new Set([...text.matchAll(/\sid="([^"]*)"/g)].map((found) => found[1]))]),
);

const broken = [];
let checked = 0;
for (const [file, text] of textOf) {
  for (const [, raw] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    if (raw === '' || /^([a-z]+:|\/\/)/i.test(raw)) continue;
    checked += 1;
    const [path, anchor] = decodeURIComponent(raw.replaceAll('&amp;', '&')).split('#');
    let target = path === '' ? file : resolve(dirname(file), path);
    if (existsSync(target) && statSync(target).isDirectory()) target = join(target, 'index.html');
    if (!existsSync(target)) {
      broken.push(`${relative(site, file)}: there is no ${path}`);
    } else if (anchor && idsOf.has(target) && !idsOf.get(target).has(anchor)) {
      broken.push(`${relative(site, file)}: ${path || 'the page itself'} has no #${anchor}`);
    }
  }
}
if (pages.length === 0 || checked === 0) broken.push(`there are no pages with links in ${site}`);

if (broken.length > 0) {
  console.error(`docs: broken links:\n${[...new Set(broken)].map((line) => `  ${line}`).join('\n')}`);
  process.exit(1);
}
console.log(`    ${pages.length} pages, ${checked} links within the site`);
