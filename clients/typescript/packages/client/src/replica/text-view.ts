import { fieldKey } from '../domain/dot.js';
import type { Seq } from '../domain/ids.js';
import type { Hunk } from '../domain/operation.js';
import { Problem } from '../domain/problem.js';
import { type TextAuthor, knows } from '../domain/text/author.js';
import { applyClamped, transform, clamp } from '../domain/text/transform.js';
import { diff, diffCharacters } from '../domain/text/diff.js';
import { hunksOfSplices, splicesOfHunks } from '../domain/text/hunk.js';
import { scalarCount } from '../domain/text/scalars.js';
import { undoSplices } from '../domain/text/splice.js';
import { TextWindow, criticalBase } from '../domain/text/window.js';
import { TEXT_TREE_OPERATIONS_MAX } from '../limits.js';
import type { TextTailRow } from '../store/store.js';

export type { TextAuthor } from '../domain/text/author.js';

/** A pending edit of one text, in the order of counters. */
export interface PendingEdit {
  readonly author: TextAuthor;
  /** What to change: hunks, or a whole new text, which is compared with the author's view. */
  readonly wanted: readonly Hunk[] | string;
}

/** The settled past of one text. */
export interface TextPast {
  /** The confirmed text at `position`. */
  readonly trunk: string;
  readonly position: Seq;
  /** Its settled edits in ascending order, known from `tailFromSeq` on. */
  readonly tail: readonly TextTailRow[];
  readonly tailFromSeq: Seq;
}

/** What is shown of a text, and whether that is exactly what the server will rebuild. */
export interface TextShown {
  readonly text: string;
  /** False: a new edit must be a `replace_text`. */
  readonly exact: boolean;
}

/** Pending operations are beyond every settled one. */
const PENDING_SEQ = 2 ** 52;

/**
 * The order tree of the settled edits that pending ones may be concurrent with, from the critical base on; undefined
 * when the tail does not reach back to it or the tree would be too large.
 */
export function settledWindow(past: TextPast, oldestBaseSeq: Seq): TextWindow | undefined {
  const base = criticalBase(oldestBaseSeq, past.tail);
  const rows = past.tail.filter((row) => row.seq > base);
  if (base < past.tailFromSeq || rows.length > TEXT_TREE_OPERATIONS_MAX) return undefined;
  try {
    let text = past.trunk;
    for (let index = rows.length - 1; index >= 0; index--) text = undoSplices(text, rows[index]?.splices ?? []);
    const window = TextWindow.over(text, base);
    for (const row of rows) window.replay(rowAuthor(row), row.seq, row.hunks);
    return window;
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Who made a settled edit, and what they knew. */
export function rowAuthor(row: TextTailRow): TextAuthor {
  return { dot: row.dot, baseSeq: row.baseSeq, extras: row.extras };
}

/** What an author at this position with these pending edits sees. The window is not changed. */
export function textOver(settled: TextWindow, position: Seq, pending: readonly PendingEdit[]): TextShown | undefined {
  const last = pending.at(-1);
  if (last === undefined) return { text: settled.text(), exact: true };
  const window = settled.copy();
  let exact = true;
  try {
    for (const [index, { author, wanted }] of pending.entries()) {
      const hunks = typeof wanted === 'string' ? diff(window.view(author), wanted) : wanted;
      // The server may compare two texts in another way; until it has, positions in the outcome are not certain.
      if (typeof wanted === 'string') exact = false;
      window.add(author, PENDING_SEQ + index, hunks);
    }
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
  const { dot, extras } = last.author;
  const next = { dot: { replicaId: dot.replicaId, counter: dot.counter + 1 }, baseSeq: position, extras };
  return { text: window.view(next), exact };
}

/**
 * The best that can be shown without an order tree: pending hunks, transformed by what was settled since and as far as it
 * is known. `bridges` are changes without authors, such as from one snapshot to the next.
 */
export function approximateText(past: TextPast, pending: readonly PendingEdit[]): string {
  let text = past.trunk;
  let rows = past.tail.map((row) => ({ row, hunks: hunksOfSplices(row.splices) }));
  for (const { author, wanted } of pending) {
    if (typeof wanted === 'string') {
      text = wanted;
      rows = [];
      continue;
    }
    let hunks = wanted;
    rows = rows.map(({ row, hunks: over }) => {
      if (knows(author, row)) return { row, hunks: over };
      const transformed = transform(over, hunks);
      hunks = transform(hunks, over);
      return { row, hunks: transformed };
    });
    text = applyClamped(text, clamp(hunks, scalarCount(text)));
  }
  return text;
}

/** A change of a text that nobody authored, for {@link approximateText}. */
export function bridge(recordId: string, fieldId: string, seq: Seq, before: string, after: string): TextTailRow {
  const hunks = diffCharacters(before, after);
  const splices = splicesOfHunks(before, hunks);
  // A dot that nobody has, so that no author knows it by its own chain.
  const dot = { replicaId: `bridge:${fieldKey(recordId, fieldId)}`, counter: 0 };
  return { recordId, fieldId, seq, dot, baseSeq: seq, extras: [], hunks: hunks.map((hunk) => ({ hunk })), splices };
}
