import { diffParts } from '@syncline/client';

/** A stretch of two texts that were compared. */
export interface WordPart {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
}

/** Words, spaces between them, and every other character by itself. */
const WORDS = /[\p{L}\p{N}\p{M}_]+|\s+|[^]/gu;

/** Two texts compared by words: what was removed stands before what was added in its place. */
export function wordDiff(before: string, after: string): readonly WordPart[] {
  const words = before.match(WORDS) ?? [];
  const parts: WordPart[] = [];
  const add = (kind: WordPart['kind'], text: string): void => {
    if (text !== '') parts.push({ kind, text });
  };
  let at = 0;
  for (const { position, deleteCount, insert } of diffParts(words, after.match(WORDS) ?? [])) {
    add('same', words.slice(at, position).join(''));
    at = position + deleteCount;
    add('removed', words.slice(position, at).join(''));
    add('added', insert);
  }
  add('same', words.slice(at).join(''));
  return parts;
}
