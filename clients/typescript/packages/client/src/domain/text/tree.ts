import type { Seq } from '../ids.js';
import type { ScalarText } from './scalars.js';

/**
 * The order of all characters of a window, deleted and suppressed ones included.
 *
 * The characters form a tree, but only its in-order walk is ever needed, so that is what is kept: a list of spans. A
 * span is a stretch of one insertion that was never divided; it is split when an edit falls into it. Of the tree itself
 * each insertion remembers its parent: the first character hangs off it, and every further one is the right child of
 * the one before. Since operations arrive in settling order, a new insertion is always the last among its siblings.
 */
export interface Tree {
  readonly runs: Run[];
  readonly deletions: Deletion[];
  spans: Span[];
}

/** One character: its insertion and its place in it. */
export interface Place {
  readonly run: number;
  readonly offset: number;
}

/** The characters one hunk inserted, or the text at the window's base. */
export interface Run {
  readonly text: ScalarText;
  /** Index of the operation in the window; -1 for the base text, which everybody knows. */
  readonly op: number;
  /** What the first character hangs off; undefined for the root. */
  readonly parent: Place | undefined;
  readonly suppressedBy: Seq | undefined;
}

/** The characters one hunk deleted, seen from the hunk. */
export interface Deletion {
  readonly op: number;
  /** The hunk also inserts. Two hunks that only delete agree with each other; others clash. */
  readonly replaces: boolean;
  readonly suppressedBy: Seq | undefined;
}

/** A stretch of one run whose characters share their fate. */
export interface Span {
  readonly run: number;
  start: number;
  length: number;
  /** Indices into `deletions`, suppressed ones included. Never changed in place: copies of a window share it. */
  deletions: readonly number[];
  /** Neither suppressed nor deleted by an unsuppressed hunk. */
  inTrunk: boolean;
  /** Visible to the author whose operation is being integrated. Scratch. */
  seen: boolean;
  /** What the operation being integrated did to the span's place in the trunk. Scratch. */
  change: 'none' | 'entered' | 'left';
}

/** A place inside a span: before its character `offset`, which is neither its first nor past its last. */
export interface Cut {
  readonly span: number;
  readonly offset: number;
}

const NO_DELETIONS: readonly number[] = [];

export function emptyTree(): Tree {
  return { runs: [], deletions: [], spans: [] };
}

/** Registers an insertion and returns its span, which has no place yet. */
export function addRun(tree: Tree, run: Run): Span {
  const inTrunk = run.suppressedBy === undefined;
  tree.runs.push(run);
  return {
    run: tree.runs.length - 1,
    start: 0,
    length: run.text.length,
    deletions: NO_DELETIONS,
    inTrunk,
    seen: false,
    change: inTrunk ? 'entered' : 'none',
  };
}

export function runOf(tree: Tree, span: Span): Run {
  return at(tree.runs, span.run);
}

export function textOf(tree: Tree, span: Span): string {
  return runOf(tree, span).text.slice(span.start, span.start + span.length);
}

export function first(span: Span): Place {
  return { run: span.run, offset: span.start };
}

export function last(span: Span): Place {
  return { run: span.run, offset: span.start + span.length - 1 };
}

/** Whether `place` lies in the subtree of `ancestor`, which includes `ancestor` itself. */
export function descends(tree: Tree, place: Place, ancestor: Place): boolean {
  for (let here: Place | undefined = place; here !== undefined; here = at(tree.runs, here.run).parent) {
    if (here.run === ancestor.run) return here.offset >= ancestor.offset;
    // What an insertion hangs off existed before it, so numbers only fall on the way to the root.
    if (here.run < ancestor.run) return false;
  }
  return false;
}

/** Cuts spans in two; `cuts` are in ascending order and refer to the spans as they are now. */
export function split(tree: Tree, cuts: readonly Cut[]): void {
  const from = cuts[0]?.span;
  if (from === undefined) return;
  const tail = tree.spans.splice(from);
  let next = 0;
  for (const [index, span] of tail.entries()) {
    let taken = 0;
    for (let cut = cuts[next]; cut?.span === from + index; cut = cuts[++next]) {
      const length = cut.offset - taken;
      tree.spans.push({ ...span, length });
      span.start += length;
      span.length -= length;
      taken = cut.offset;
    }
    tree.spans.push(span);
  }
}

/** A span and the index of the one it is put before. */
export interface Arrival {
  readonly index: number;
  readonly span: Span;
}

/** Puts spans into the list; `arrivals` are in ascending order and refer to the spans as they are now. */
export function insert(tree: Tree, arrivals: readonly Arrival[]): void {
  const from = arrivals[0]?.index;
  if (from === undefined) return;
  const only = arrivals.length === 1 ? arrivals[0] : undefined;
  if (only !== undefined) {
    tree.spans.splice(only.index, 0, only.span);
    return;
  }
  const tail = tree.spans.splice(from);
  let next = 0;
  for (const [index, span] of tail.entries()) {
    for (
      let arrival = arrivals[next];
      arrival !== undefined && arrival.index <= from + index;
      arrival = arrivals[++next]
    ) {
      tree.spans.push(arrival.span);
    }
    tree.spans.push(span);
  }
  for (const arrival of arrivals.slice(next)) tree.spans.push(arrival.span);
}

/** A copy that can be extended on its own. */
export function copyTree(tree: Tree): Tree {
  return { runs: [...tree.runs], deletions: [...tree.deletions], spans: tree.spans.map((span) => ({ ...span })) };
}

/** An element that is known to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no element ${index} of ${list.length}`);
  return item;
}
