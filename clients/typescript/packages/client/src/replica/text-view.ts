import type { Dot, Seq } from '../domain/ids.js';
import type { Hunk } from '../domain/operation.js';
import type { TextTailRow } from '../store/store.js';

/** An operation's author as an order tree needs it. A pending one of this replica has a seq beyond every settled one. */
export interface TextAuthor {
  readonly dot: Dot;
  readonly baseSeq: Seq;
  readonly extras: readonly Dot[];
}

/** A pending edit of one text, in the order of counters. */
export interface PendingEdit {
  readonly author: TextAuthor;
  readonly hunks: readonly Hunk[];
}

/**
 * What an author at `position` with these pending edits sees of one text, and whether that is exactly what the server
 * will rebuild. Not exact when the tail does not reach back far enough: then a new edit must be a `replace_text`.
 *
 * `trunk` is the confirmed text at `position`; `tail` its settled edits in ascending order, known from `tailFromSeq` on.
 */
export type TextView = (input: {
  readonly trunk: string;
  readonly tail: readonly TextTailRow[];
  readonly tailFromSeq: Seq;
  readonly position: Seq;
  readonly pending: readonly PendingEdit[];
}) => { readonly text: string; readonly exact: boolean };
