import type { IncludeSpec, LiveQuery, Query, QueryEvent, QueryResult } from '../api.js';
import type { ViewChange } from '../replica/replica.js';
import { checkQuery } from './check.js';
import { queryKey } from './compile.js';
import { Evaluation } from './evaluation.js';
import { eventsBetween } from './events.js';
import type { CreateLiveQueries, LiveQueries } from './query.js';
import type { ViewReader } from './rows.js';

/** Queries nobody follows that are kept, so that asking again gives the same object. */
const IDLE_QUERIES_MAX = 64;

export const createLiveQueries: CreateLiveQueries = (replica) => new Queries(replica);

class Queries implements LiveQueries {
  private readonly known = new Map<string, SharedQuery>();
  private readonly followed = new Set<SharedQuery>();
  /** Counts changes, so that a query nobody follows knows whether it is out of date. */
  private version = 0;
  private closed = false;

  constructor(private readonly reader: ViewReader) {}

  query<I extends IncludeSpec>(query: Query<I>): LiveQuery<I> {
    checkQuery(query as Query);
    const key = queryKey(query as Query);
    let shared = this.known.get(key);
    if (shared === undefined) {
      shared = this.create(query);
    } else {
      // The latest used stands last.
      this.known.delete(key);
    }
    this.known.set(key, shared);
    this.forgetIdle();
    // Rows of this query have what its `include` names.
    return shared as unknown as LiveQuery<I>;
  }

  private create(query: Query<IncludeSpec>): SharedQuery {
    const shared: SharedQuery = new SharedQuery(
      new Evaluation(query, this.reader),
      () => this.version,
      (isFollowed) => {
        if (isFollowed && !this.closed) this.followed.add(shared);
        else this.followed.delete(shared);
      },
    );
    return shared;
  }

  private forgetIdle(): void {
    let idle = this.known.size - this.followed.size;
    for (const [key, shared] of this.known) {
      if (idle <= IDLE_QUERIES_MAX) return;
      if (this.followed.has(shared)) continue;
      this.known.delete(key);
      idle--;
    }
  }

  changed(change: ViewChange): void {
    if (!change.all && change.recordIds.size === 0) return;
    this.version++;
    const queries = [...this.followed];
    // All are up to date before anybody is told, so that what one listener reads fits what another was told.
    const news = queries.flatMap((query) => query.update(change) ?? []);
    for (const tell of news) tell();
  }

  close(): void {
    this.closed = true;
    this.followed.clear();
    this.known.clear();
  }
}

type Listener = () => void;
type EventListener = (events: readonly QueryEvent<IncludeSpec>[]) => void;

/** A query as everybody who asked for it has it. */
class SharedQuery implements LiveQuery<IncludeSpec> {
  private readonly listeners = new Set<{ readonly call: Listener }>();
  private readonly eventListeners = new Set<{ readonly call: EventListener }>();
  private seenVersion = -1;

  constructor(
    private readonly evaluation: Evaluation,
    private readonly version: () => number,
    private readonly onFollowed: (isFollowed: boolean) => void,
  ) {}

  readonly getSnapshot = (): QueryResult<IncludeSpec> => {
    if (this.seenVersion !== this.version()) {
      this.evaluation.evaluate();
      this.seenVersion = this.version();
    }
    return this.evaluation.result;
  };

  readonly subscribe = (listener: Listener): (() => void) => this.follow(this.listeners, { call: listener });

  readonly events = (listener: EventListener): (() => void) => this.follow(this.eventListeners, { call: listener });

  private follow<L>(listeners: Set<L>, entry: L): () => void {
    this.getSnapshot();
    listeners.add(entry);
    this.onFollowed(true);
    return () => {
      listeners.delete(entry);
      if (this.listeners.size === 0 && this.eventListeners.size === 0) this.onFollowed(false);
    };
  }

  /** Takes in a change; what is to be told, when something is. */
  update(change: ViewChange): Listener | undefined {
    const before = this.evaluation.result;
    this.evaluation.update(change);
    this.seenVersion = this.version();
    const after = this.evaluation.result;
    if (after === before) return undefined;
    return () => {
      this.tell(before, after);
    };
  }

  private tell(before: QueryResult<IncludeSpec>, after: QueryResult<IncludeSpec>): void {
    if (this.eventListeners.size > 0) {
      const events = eventsBetween(before.rows, after.rows);
      if (events.length > 0) for (const { call } of [...this.eventListeners]) guard(() => call(events));
    }
    for (const { call } of [...this.listeners]) guard(call);
  }
}

/** One listener that throws keeps no other from being told. */
function guard(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
