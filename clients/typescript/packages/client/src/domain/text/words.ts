/**
 * Where words begin and end: the grain at which whole texts are compared, as on the server. A text is taken as graphemes, of
 * which ASCII characters always begin new ones.
 * Letters, digits and underscores stand together; so do blanks; everything else stands alone, and so does every character
 * of scripts that are written without blanks. An apostrophe between letters belongs to the word, a point or a comma
 * between digits to the number.
 */

/** How many characters on either side are looked at to tell whether a word goes on. Longer words may be cut. */
export const WORD_REACH = 64;

/** By the first character of a grapheme, the first that fits. What stands alone: line breaks, Thai, Lao, Myanmar, Khmer, Hiragana, Han. */
const CLASSES: readonly (readonly [string, RegExp])[] = [
  [
    '-',
    /^[\n\r\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u,
  ],
  ["'", /^['’]/],
  ['.', /^[.,]/],
  [' ', /^\p{White_Space}/u],
  ['0', /^\p{N}/u],
  ['a', /^[\p{Alphabetic}_]/u],
];

/** A word in classes of its graphemes. */
const WORD = / +|(?:a'(?=a)|0\.(?=0)|[a0])+|[^]/g;

/**
 * A stretch that may have graphemes of several characters, with what stands before it, or one character. Only so much of a
 * text is given to a segmenter at once, because the time it takes grows faster than the text.
 */
const STRETCH = /[ -~\t]?[^ -~\t]{1,256}|[ -~\t]/gu;

let segmenter: Intl.Segmenter | undefined;

/** Cuts a text into words and what stands between them. Together they are the text. */
export function words(text: string): readonly string[] {
  const parts = graphemes(text);
  const classes = parts.map((part) => CLASSES.find(([, pattern]) => pattern.test(part))?.[0] ?? '-').join('');
  let at = 0;
  return (classes.match(WORD) ?? []).map((word) => parts.slice(at, (at += word.length)).join(''));
}

/** A browser that is too old to know graphemes takes characters. */
function graphemes(text: string): readonly string[] {
  const Segmenter: typeof Intl.Segmenter | undefined = Intl.Segmenter;
  if (Segmenter === undefined) return Array.from(text);
  const known = (segmenter ??= new Segmenter());
  return (text.match(STRETCH) ?? []).flatMap((part) =>
    part.length === 1 ? part : Array.from(known.segment(part), ({ segment }) => segment),
  );
}
