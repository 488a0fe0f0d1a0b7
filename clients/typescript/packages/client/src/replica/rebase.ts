import { contextAt, dotKey, fieldKey, sameDot } from '../domain/dot.js';
import { declaredKind } from '../domain/fold.js';
import type { CausalContext, Dot, ReplicaId } from '../domain/ids.js';
import type { Hunk, Mutation, Operation, Refusal } from '../domain/operation.js';
import { applyClamped, transform, clamp } from '../domain/text/transform.js';
import { diff, diffCharacters } from '../domain/text/diff.js';
import { scalarCount } from '../domain/text/scalars.js';
import type { RejectedRow, SettledRow, SlotId } from '../store/store.js';
import { rebaseMutations } from './rebase-mutations.js';
import { shownTexts } from './rejected.js';
import type { EncodeOperation, PendingOperation, Replica, WholeSnapshot } from './replica.js';
import type { ReplicaState } from './state.js';
import { textSteps } from './text-steps.js';

export type RebaseCause = Parameters<Replica['rebase']>[1];
export type Rebased = ReturnType<Replica['rebase']>;

/** What was rebased, before it is on top of anything. */
export interface RebasedOperations {
  readonly operations: readonly PendingOperation[];
  readonly rebasedDots: readonly Dot[];
  readonly rejected: readonly RejectedRow[];
  /** After a fork: what the new operations know of the old replica. */
  readonly extra: Dot | undefined;
}

/** Rebases operations: makes them again under another replica. Does not change the state. */
export function rebaseOperations(
  replicaId: ReplicaId,
  cause: RebaseCause,
  state: ReplicaState,
  encode: EncodeOperation,
  slotId: SlotId,
  lastSettled: number,
): RebasedOperations {
  return cause.type === 'forked'
    ? forked(replicaId, state, encode, slotId, lastSettled)
    : rewound(replicaId, cause.snapshot, cause.missing, state, encode, slotId);
}

function refusal(reason: string, message: string): Refusal {
  return { reason, message, metadata: {} };
}

function pendingOf(operation: Operation, encode: EncodeOperation, pessimistic: boolean): PendingOperation {
  const bytes = encode(operation);
  return { operation, bytes, saved: false, pessimistic, cancelled: false, doomed: false };
}

/** Numbers operations from 1 and points their dependencies to where those went. */
class Numbering {
  private readonly now = new Map<string, Dot>();
  private counter = 0;

  constructor(private readonly replicaId: ReplicaId) {}

  next(old: Dot): Dot {
    const dot = { replicaId: this.replicaId, counter: ++this.counter };
    this.now.set(dotKey(old), dot);
    return dot;
  }

  dependencies(of: readonly Dot[], otherwise: (dot: Dot) => Dot | undefined): readonly Dot[] {
    return of.flatMap((dot) => this.now.get(dotKey(dot)) ?? otherwise(dot) ?? []);
  }
}

/** The same mutations and bases under another identity; what is accepted stays with the old one. */
function forked(
  replicaId: ReplicaId,
  state: ReplicaState,
  encode: EncodeOperation,
  slotId: SlotId,
  lastSettled: number,
): RebasedOperations {
  const accepted = state.queue.all().filter((pending) => pending.acceptedSeq !== undefined);
  const oldReplica = state.queue.all()[0]?.operation.dot.replicaId;
  const greatest = Math.max(lastSettled, ...accepted.map((pending) => pending.operation.dot.counter));
  const extra = oldReplica !== undefined && greatest > 0 ? { replicaId: oldReplica, counter: greatest } : undefined;
  const numbering = new Numbering(replicaId);
  const operations: PendingOperation[] = [];
  const rejected: RejectedRow[] = [];
  for (const pending of state.queue.all()) {
    const { operation } = pending;
    if (pending.acceptedSeq !== undefined || pending.cancelled) continue;
    if (pending.doomed) {
      const why = refusal('DEPENDENCY_REJECTED', 'what it depends on was rejected');
      rejected.push({ slotId, operation, refusal: why, rejectedAtMs: operation.clientTimeMs, texts: {} });
      continue;
    }
    const stays = (dot: Dot): Dot | undefined =>
      accepted.some((other) => sameDot(other.operation.dot, dot)) ? dot : undefined;
    const dependsOn = numbering.dependencies(operation.dependsOn, stays);
    const extras = [...operation.context.extras, ...(extra ? [extra] : [])];
    const context: CausalContext = { ...operation.context, extras };
    const again = { ...operation, dot: numbering.next(operation.dot), context, dependsOn };
    operations.push(pendingOf(again, encode, pending.pessimistic));
  }
  return { operations, rebasedDots: [], rejected, extra };
}

/** An operation of the old history that the new one does not have. */
interface Lost {
  readonly operation: Operation;
  readonly pessimistic: boolean;
  readonly settled: boolean;
}

/** Rebases onto the new history, in the old order, with fresh contexts and mapped positions. */
function rewound(
  replicaId: ReplicaId,
  snapshot: WholeSnapshot,
  missing: readonly SettledRow[],
  state: ReplicaState,
  encode: EncodeOperation,
  slotId: SlotId,
): RebasedOperations {
  const lost: Lost[] = [...missing]
    .sort((a, b) => a.seq - b.seq)
    .map(({ operation }) => ({ operation, pessimistic: false, settled: true }));
  const rejected: RejectedRow[] = [];
  const { cursor } = snapshot.meta;
  for (const pending of state.queue.all()) {
    if (pending.cancelled) continue;
    const { operation, pessimistic } = pending;
    lost.push({ operation, pessimistic, settled: false });
  }
  const texts = new RebasedTexts(state, snapshot, lost);
  const target = new Map(snapshot.records);
  const kindOf = (collection: string, field: string): ReturnType<typeof state.kindOf> =>
    declaredKind(snapshot.meta.schema, collection, field) ?? state.kindOf(collection, field);
  const context = contextAt(cursor);
  const numbering = new Numbering(replicaId);
  const operations: PendingOperation[] = [];
  const rebasedDots: Dot[] = [];
  for (const { operation, pessimistic, settled } of lost) {
    const { mutations, missingRecord } = rebaseMutations(operation, target, snapshot.conflicts, kindOf);
    if (missingRecord !== undefined) {
      const why = refusal('RECORD_NOT_FOUND', `record ${missingRecord} is not in the server's history any more`);
      const rejectedAtMs = operation.clientTimeMs;
      rejected.push({ slotId, operation, refusal: why, rejectedAtMs, texts: shownTexts(operation, state) });
      if (settled) rebasedDots.push(operation.dot);
      continue;
    }
    const rebased = mutations.flatMap((mutation) => texts.rebase(operation.dot, mutation));
    if (settled) rebasedDots.push(operation.dot);
    if (rebased.length === 0) continue;
    const dependsOn = numbering.dependencies(operation.dependsOn, () => undefined);
    const again: Operation = {
      ...operation,
      dot: numbering.next(operation.dot),
      context,
      mutations: rebased,
      dependsOn,
    };
    operations.push(pendingOf(again, encode, pessimistic));
  }
  return { operations, rebasedDots, rejected, extra: undefined };
}

/** The texts of the new history while edits of the old one are put into them. */
class RebasedTexts {
  private readonly now = new Map<string, string>();
  /** For each lost edit: the text before it and its hunks in that text, as one line of history. */
  private readonly steps: ReturnType<typeof textSteps>;

  constructor(
    state: ReplicaState,
    private readonly snapshot: WholeSnapshot,
    lost: readonly Lost[],
  ) {
    this.steps = textSteps(
      state,
      lost.map(({ operation }) => operation),
    );
  }

  rebase(dot: Dot, mutation: Mutation): readonly Mutation[] {
    const { action, recordId } = mutation;
    if (action.type !== 'edit_text' && action.type !== 'replace_text') return [mutation];
    const key = fieldKey(recordId, action.fieldId);
    const now = this.now.get(key) ?? this.confirmed(recordId, action.fieldId);
    const step = this.steps.get(`${dotKey(dot)} ${key}`);
    let hunks: readonly Hunk[];
    if (step !== undefined) hunks = transform(step.hunks, diffCharacters(step.before, now));
    else if (action.type === 'edit_text') hunks = action.hunks;
    else hunks = diff(now, action.text);
    const fitting = clamp(hunks, scalarCount(now));
    this.now.set(key, applyClamped(now, fitting));
    if (fitting.length === 0) return [];
    return [{ ...mutation, action: { type: 'edit_text', fieldId: action.fieldId, hunks: fitting } }];
  }

  private confirmed(recordId: string, fieldId: string): string {
    const state = this.snapshot.records.get(recordId)?.fields.get(fieldId)?.state;
    return state?.kind === 'text' ? state.text : '';
  }
}
