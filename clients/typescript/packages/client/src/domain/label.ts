import { LABEL_BYTES_MAX } from '../limits.js';

/** A name that is only shown, as servers keep it: 128 bytes in whole characters, without control characters. */
export function shownLabel(label: string): string {
  let kept = '';
  let bytes = 0;
  for (const character of label) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > LABEL_BYTES_MAX) break;
    kept += code < 0x20 || (code >= 0x7f && code < 0xa0) ? ' ' : character;
  }
  return kept;
}
