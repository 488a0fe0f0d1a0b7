import type { Change, ChangesFrame, ConfirmedRecord, Effect } from '../domain/change.js';
import type { ConflictSummary } from '../domain/conflict.js';
import { foldEffect } from '../domain/fold.js';
import type { ConflictId, Cursor, RecordId } from '../domain/ids.js';
import { Problem } from '../domain/problem.js';
import type { TextTailRow } from '../store/store.js';
import type { NextChain } from './replica.js';

const CHAIN_BYTES = 16;

/** What a frame is folded into. */
export interface FoldBase {
  /** Undefined before anything is known: a frame from position 0 fits then, of whatever epoch. */
  readonly cursor: Cursor | undefined;
  readonly record: (id: RecordId) => ConfirmedRecord | undefined;
  readonly conflict: (id: ConflictId) => ConflictSummary | undefined;
  readonly nextChain: NextChain;
}

/** What a frame does; nothing is done yet. */
export interface Folded {
  readonly type: 'folded';
  readonly cursor: Cursor;
  readonly records: ReadonlyMap<RecordId, ConfirmedRecord>;
  readonly conflicts: ReadonlyMap<ConflictId, ConflictSummary>;
  readonly tail: readonly TextTailRow[];
}

/** Why a frame is not taken in. */
export type Unfolded =
  | { readonly type: 'repeat' }
  | { readonly type: 'gap'; readonly expectedSeq: number; readonly gotSeq: number }
  | { readonly type: 'broken'; readonly detail: string };

/** Checks that a frame continues exactly here and folds it. */
export function foldFrame(base: FoldBase, frame: ChangesFrame): Folded | Unfolded {
  const position = base.cursor?.seqInclusive ?? 0;
  const epoch = base.cursor?.epoch;
  if (epoch !== undefined && epoch !== frame.cursor.epoch) {
    return { type: 'broken', detail: `epoch ${frame.cursor.epoch} does not continue epoch ${epoch}` };
  }
  if (frame.toSeqInclusive <= position) return { type: 'repeat' };
  if (frame.fromSeqExclusive !== position) {
    return { type: 'gap', expectedSeq: position, gotSeq: frame.fromSeqExclusive };
  }
  const folding = new Folding(base);
  try {
    return folding.fold(frame, position);
  } catch (error) {
    if (error instanceof Problem) return { type: 'broken', detail: error.message };
    throw error;
  }
}

class Folding {
  private readonly records = new Map<RecordId, ConfirmedRecord>();
  private readonly conflicts = new Map<ConflictId, ConflictSummary>();
  private readonly tail: TextTailRow[] = [];

  constructor(private readonly base: FoldBase) {}

  fold(frame: ChangesFrame, position: number): Folded {
    // Before the first change the chain is zero; a snapshot's cursor may have none, and then there is nothing to compare.
    let chain: Uint8Array = this.base.cursor?.chain ?? new Uint8Array(CHAIN_BYTES);
    let seq = position;
    for (const change of frame.changes) {
      if (change.seq !== seq + 1) throw new Problem('effect', `change ${change.seq} follows change ${seq}`);
      seq = change.seq;
      this.checkChain(chain, change);
      chain = change.chain;
      for (const effect of change.effects) this.effect(change, effect);
    }
    if (seq !== frame.toSeqInclusive) {
      throw new Problem('effect', `a frame to ${frame.toSeqInclusive} ends with change ${seq}`);
    }
    const cursor: Cursor = { ...frame.cursor, seqInclusive: seq, chain };
    const { records, conflicts, tail } = this;
    return { type: 'folded', cursor, records, conflicts, tail };
  }

  private checkChain(before: Uint8Array, change: Change): void {
    if (before.length === 0) return;
    const expected = this.base.nextChain(before, change.operationHash);
    if (!sameBytes(expected, change.chain)) throw new Problem('effect', `the chain breaks at change ${change.seq}`);
  }

  private effect(change: Change, effect: Effect): void {
    if (effect.type === 'conflict_changed') {
      this.conflict(effect.conflict);
      return;
    }
    const before = this.records.get(effect.recordId) ?? this.base.record(effect.recordId);
    if (before !== undefined && change.seq <= before.asOfSeq) return;
    const after = foldEffect(before, effect, change.seq);
    this.records.set(effect.recordId, after);
    if (effect.type === 'text_changed') this.tail.push(tailRow(change, effect));
  }

  private conflict(conflict: ConflictSummary): void {
    const before = this.conflicts.get(conflict.conflictId) ?? this.base.conflict(conflict.conflictId);
    if (before !== undefined && before.revision > conflict.revision) return;
    this.conflicts.set(conflict.conflictId, conflict);
  }
}

function tailRow(change: Change, effect: Extract<Effect, { readonly type: 'text_changed' }>): TextTailRow {
  return {
    recordId: effect.recordId,
    fieldId: effect.fieldId,
    seq: change.seq,
    dot: change.dot,
    baseSeq: change.context.baseSeq,
    extras: change.context.extras,
    hunks: effect.hunks,
    splices: effect.splices,
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Open and deferred conflicts are live; only they are kept. */
export function isLive(conflict: ConflictSummary): boolean {
  return conflict.status === 'open' || conflict.status === 'deferred';
}
