import type { ConflictFilter, ConflictItem, Conflicts, Decision, Observable, PendingMutation } from '../api.js';
import type { ConflictDetail, ConflictSummary } from '../domain/conflict.js';
import type { ConflictId } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { SynclineError } from '../errors.js';
import type { Replica, ViewChange } from '../replica/replica.js';
import { failureOf } from '../transport/transport-error.js';
import type { Transport } from '../transport/transport.js';
import { Cell } from './cell.js';
import type * as Decisions from './decisions.js';

/** Details kept in memory. */
const DETAILS_KEPT_MAX = 200;

/** The inbox: live conflicts from the feed, with what this client is deciding. */
export class ConflictInbox implements Conflicts {
  private readonly all: FilteredConflicts;
  private readonly lists = new Map<string, FilteredConflicts>();
  private readonly details = new Map<ConflictId, ConflictDetail>();
  private items = new Map<ConflictId, ConflictItem>();
  /** Loaded with the first detail: nothing is decided without one. */
  private decisions: typeof Decisions | undefined;

  constructor(
    private readonly replica: Replica,
    private readonly transport: Transport,
    private readonly make: (mutations: readonly Mutation[]) => PendingMutation,
    private readonly signal: AbortSignal,
  ) {
    this.all = new FilteredConflicts({});
  }

  readonly getSnapshot = (): readonly ConflictItem[] => this.all.getSnapshot();
  readonly subscribe = (listener: () => void): (() => void) => this.all.subscribe(listener);

  list(filter: ConflictFilter = {}): Observable<readonly ConflictItem[]> {
    const key = JSON.stringify([filter.statuses, filter.kind, filter.collection, filter.record, filter.assignee]);
    let list = this.lists.get(key);
    if (list === undefined) {
      list = new FilteredConflicts(filter);
      list.show([...this.items.values()]);
      this.lists.set(key, list);
    }
    return list;
  }

  async get(id: ConflictId): Promise<ConflictDetail> {
    const known = this.details.get(id);
    if (known !== undefined && known.summary.revision === this.replica.conflicts().get(id)?.revision) return known;
    try {
      const detail = await this.transport.conflict(id, this.signal);
      this.decisions ??= await import('./decisions.js');
      this.keep(detail);
      return detail;
    } catch (error) {
      if (this.signal.aborted) throw new SynclineError('CLOSED', 'the client was closed');
      const failure = failureOf(error);
      const code = ['unreachable', 'deadline', 'unavailable'].includes(failure.kind) ? 'OFFLINE' : 'CALL_FAILED';
      throw new SynclineError(code, failure.message, failure.refusal, { cause: error });
    }
  }

  resolve(detail: ConflictDetail, decision: Decision): PendingMutation {
    const now = this.live(detail.summary.conflictId);
    if (now.revision !== detail.summary.revision) {
      throw new SynclineError('CHANGED', 'the conflict changed since it was read; read it again');
    }
    if (this.decisions === undefined) {
      throw new SynclineError('INVALID_ARGUMENT', 'a decision needs a detail that this client read');
    }
    return this.make([this.decisions.decisionMutation(this.replica, detail, decision)]);
  }

  defer(id: ConflictId, remindAt: Date): PendingMutation {
    const { revision } = this.live(id);
    const remindAtMs = remindAt.getTime();
    if (!Number.isFinite(remindAtMs)) throw new SynclineError('INVALID_ARGUMENT', 'the time to remind is no time');
    return this.make([onConflict({ type: 'defer_conflict', conflictId: id, revision, remindAtMs })]);
  }

  assign(id: ConflictId, assignee: string): PendingMutation {
    this.live(id);
    return this.make([onConflict({ type: 'assign_conflict', conflictId: id, assignee })]);
  }

  reopen(id: ConflictId): PendingMutation {
    return this.make([onConflict({ type: 'reopen_conflict', conflictId: id })]);
  }

  /** Something changed that may show here. */
  refresh(change?: ViewChange): void {
    const conflicts = this.replica.conflicts();
    const untouched = change !== undefined && !change.all && change.conflictIds.size === 0;
    if (untouched && this.items.size === 0) return;
    const deciding = this.deciding();
    const items = new Map<ConflictId, ConflictItem>();
    const live = [...conflicts.values()].filter(({ status }) => status === 'open' || status === 'deferred');
    live.sort((a, b) => b.openedSeq - a.openedSeq || (a.conflictId < b.conflictId ? -1 : 1));
    for (const summary of live) items.set(summary.conflictId, this.item(summary, deciding.get(summary.conflictId)));
    this.items = items;
    const list = [...items.values()];
    this.all.show(list);
    for (const filtered of this.lists.values()) filtered.show(list);
  }

  private item(summary: ConflictSummary, deciding: ConflictItem['deciding']): ConflictItem {
    const record = this.replica.view(summary.recordId);
    const before = this.items.get(summary.conflictId);
    if (before?.summary === summary && before.record === record && before.deciding === deciding) return before;
    return { summary, record, ...(deciding && { deciding }) };
  }

  private deciding(): ReadonlyMap<ConflictId, NonNullable<ConflictItem['deciding']>> {
    const out = new Map<ConflictId, NonNullable<ConflictItem['deciding']>>();
    for (const { operation, cancelled, doomed } of this.replica.pending()) {
      if (cancelled || doomed) continue;
      for (const { action, resolvesConflictId } of operation.mutations) {
        if (resolvesConflictId !== undefined) out.set(resolvesConflictId, 'resolve');
        else if (action.type === 'defer_conflict') out.set(action.conflictId, 'defer');
        else if (action.type === 'assign_conflict') out.set(action.conflictId, 'assign');
        else if (action.type === 'reopen_conflict') out.set(action.conflictId, 'reopen');
      }
    }
    return out;
  }

  private live(id: ConflictId): ConflictSummary {
    const summary = this.replica.conflicts().get(id);
    if (summary === undefined) throw new SynclineError('CHANGED', 'the conflict is not live any more');
    return summary;
  }

  private keep(detail: ConflictDetail): void {
    const id = detail.summary.conflictId;
    this.details.delete(id);
    this.details.set(id, detail);
    const oldest = this.details.keys().next();
    if (this.details.size > DETAILS_KEPT_MAX && oldest.done !== true) this.details.delete(oldest.value);
  }
}

function onConflict(action: Mutation['action']): Mutation {
  return { collectionId: '', recordId: '', action };
}

/** One filter's conflicts; the same list while it holds the same items. */
class FilteredConflicts extends Cell<readonly ConflictItem[]> {
  constructor(private readonly filter: ConflictFilter) {
    super([]);
  }

  show(items: readonly ConflictItem[]): void {
    const fitting = items.filter(({ summary }) => this.fits(summary));
    const before = this.getSnapshot();
    if (fitting.length === before.length && fitting.every((item, index) => item === before[index])) return;
    this.set(fitting);
  }

  private fits(summary: ConflictSummary): boolean {
    const { statuses, kind, collection, record, assignee } = this.filter;
    return (
      (statuses === undefined || statuses.length === 0 || statuses.includes(summary.status)) &&
      (kind === undefined || kind === summary.kind) &&
      (collection === undefined || collection === summary.collectionId) &&
      (record === undefined || record === summary.recordId) &&
      (assignee === undefined || assignee === summary.assignee)
    );
  }
}
