import type { Hunk } from '../operation.js';
import { scalarCount, splitsPair } from './scalars.js';

/**
 * The one hunk an input event made, or undefined when nothing changed. A comparison alone cannot tell where in `aaa` an
 * `a` was typed; the caret can: what was inserted ends at it. `caretUtf16` is where the caret stands after the event, in
 * UTF-16 units as a textarea has it; the hunk counts Unicode scalar values.
 */
export function hunksOfInput(before: string, after: string, caretUtf16: number): Hunk | undefined {
  if (before === after) return undefined;
  const most = Math.min(before.length, after.length);
  // What stands behind the caret was not touched, as far as it is the same.
  const caret = Math.max(0, Math.min(caretUtf16, after.length));
  let suffix = 0;
  const behind = Math.min(after.length - caret, most);
  while (suffix < behind && before[before.length - 1 - suffix] === after[after.length - 1 - suffix]) suffix++;
  let prefix = 0;
  while (prefix < most - suffix && before[prefix] === after[prefix]) prefix++;
  // The caret may stand before the end of what changed (a forward delete, an undo): then the ends decide.
  while (suffix < most - prefix && before[before.length - 1 - suffix] === after[after.length - 1 - suffix]) suffix++;
  while (prefix > 0 && (splitsPair(before, prefix) || splitsPair(after, prefix))) prefix--;
  while (suffix > 0 && (splitsPair(before, before.length - suffix) || splitsPair(after, after.length - suffix)))
    suffix--;
  return {
    position: scalarCount(before.slice(0, prefix)),
    deleteCount: scalarCount(before.slice(prefix, before.length - suffix)),
    insert: after.slice(prefix, after.length - suffix),
  };
}
