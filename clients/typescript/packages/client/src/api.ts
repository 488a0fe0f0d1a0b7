/**
 * The public API of `@syncline/client`. Everything a snapshot function returns is immutable and the same object until
 * it changes, so that it fits `useSyncExternalStore` and memoization as it is. Nothing here is global: two clients in
 * one page do not know each other.
 */

import type { ServerInfo } from './domain/change.js';
import type { ConflictDetail, ConflictKind, ConflictStatus, ConflictSummary } from './domain/conflict.js';
import type { CollectionId, ConflictId, Dot, FieldId, RecordId, ReplicaId, Seq } from './domain/ids.js';
import type { Hunk, Refusal } from './domain/operation.js';
import type { Schema } from './domain/schema.js';
import type { Timestamp } from './domain/timestamp.js';
import type { Value, WritableValue } from './domain/value.js';
import type { SynclineError } from './errors.js';
import type { SchemaDefinition } from './schema.js';
import type {
  CollectionOf,
  ElementOf,
  FieldOf,
  FieldOfKind,
  FieldsOf,
  Id,
  IdOf,
  InitialFields,
  RegisterValue,
  ShownOf,
  TargetOf,
  Untyped,
} from './typed.js';

/** Something that changes and can be looked at. */
export interface Observable<T> {
  /** The present state: the same object until it changes. Bound: can be passed on as it is. */
  readonly getSnapshot: () => T;
  /** Calls after each change; the result ends it. Bound. */
  readonly subscribe: (listener: () => void) => () => void;
}

/** How to make a client. Entries `./browser` and `./node` export `createSyncline`; they differ in their defaults only. */
export interface SynclineOptions {
  /** The server's address, such as `http://127.0.0.1:7447`. */
  readonly url: string;
  /** The workspace, by id. */
  readonly workspace: string;
  /** Who the person is, for display: at most 128 bytes. */
  readonly actor: string;
  /** A name for this client in lists and logs. Default: `browser` or `node`. */
  readonly clientName?: string;
  /**
   * What goes into `authorization`. Called before the first call and again after the server refused what it gave; a
   * failure counts as a failed attempt to connect.
   */
  readonly credentials?: () => string | Promise<string>;
  /**
   * Where state is kept. Browser: `indexeddb` (default) or `memory`; when IndexedDB is denied the client falls back to
   * memory and says so in `connection` (`storage: 'memory'`). Node: `{ folder }` or `memory` (default).
   */
  readonly storage?: 'indexeddb' | 'memory' | { readonly folder: string };
  /** Separates stores on one device, for instance two simulated people in one page. Default: `default`. */
  readonly profile?: string;
  /** Which mutations wait for the server before they show. Default: none. */
  readonly pessimistic?: PessimisticPolicy;
  /**
   * What records look like, by `defineSchema`: gives the client its types, and kinds of fields before the server's schema
   * is known.
   */
  readonly schema?: SchemaDefinition;
  /** Starts without connecting; `connection.goOnline()` connects. */
  readonly startOffline?: boolean;
}

/** Mutations that are not shown before the server accepted them. `mutate` can ask for it per call. */
export interface PessimisticPolicy {
  readonly deletes?: boolean;
  readonly links?: boolean;
  /** By `collection.field`. */
  readonly fields?: readonly string[];
}

/** A client of one workspace; `S` is the schema of the program. */
export interface Syncline<S extends SchemaDefinition = Untyped> {
  /** The state kept on this device is readable and can be written to. Does not wait for the network. */
  readonly ready: Promise<void>;
  readonly workspace: string;
  /** This client's replica; may change (SPEC.md, Forks). Empty before `ready`. */
  readonly replicaId: ReplicaId;

  /**
   * Makes one operation: all its mutations settle together or not at all. `build` runs at once and synchronously; when
   * this returns, queries and records already show the result. Throws a {@link SynclineError} and does nothing when a
   * mutation does not fit what is shown. Before `ready` it throws `INVALID_MUTATION`.
   */
  mutate(build: (tx: Transaction<S>) => void, options?: MutateOptions): PendingMutation;

  /** A live query. Equal queries share their evaluation. */
  query<C extends CollectionOf<S>, const I extends IncludeSpec<S, C> = Record<never, never>>(
    query: Query<I, S, C>,
  ): LiveQuery<I, S, C>;
  /** One record, live. */
  record<C extends CollectionOf<S> = CollectionOf<S>>(id: Id<C>): Observable<RecordOf<S, C> | undefined>;

  readonly connection: Connection;
  readonly queue: Queue;
  readonly rejected: RejectedOperations;
  readonly conflicts: Conflicts;
  readonly presence: Observable<readonly Presence[]>;
  readonly schema: Observable<Schema | undefined>;
  /** Things to tell the user once, such as a rollback. Also kept where they belong (rejected operations, inbox, connection). */
  onNotice(listener: (notice: Notice) => void): () => void;

  /**
   * Takes back this tab's last undoable operation by a new one. What others changed since stays: a register is put back
   * only while it still has this operation's value, text inserted by others stays, counters and sets are undone by
   * their difference. Undefined when there is nothing to undo.
   */
  undo(): UndoResult | undefined;
  /** Undoes the last undo. */
  redo(): UndoResult | undefined;
  readonly undoable: Observable<{ readonly undo: boolean; readonly redo: boolean }>;

  /** Ends everything. What is queued stays on the device and is sent next time, or by another tab. */
  close(): Promise<void>;
}

// --- Writing -----------------------------------------------------------------------------------------------------------

export interface MutateOptions {
  /** Do not show the result before the server accepted it. */
  readonly pessimistic?: boolean;
  /** At most 128 bytes; default: a random UUID. */
  readonly correlationId?: string;
  /** Not to be undone by `undo`. */
  readonly undoable?: boolean;
  /** Operations with equal keys that follow each other at once are one step of undo (typing). */
  readonly undoGroup?: string;
}

/** Options of a mutation of a register, an assigned counter or a to-one link. */
export interface WriteOptions {
  /** `RecordView.seq` of what the author was looking at when deciding (a form opened earlier). */
  readonly observed?: Seq;
}

/** Options of a creation. */
export interface CreateOptions {
  /**
   * If the record is shown as deleted, it is there again with these fields and nothing else: what it had is emptied, its
   * history stays. Without it, a record that is there or deleted cannot be created.
   */
  readonly replaceDeleted?: boolean;
}

/** Options of a mutation that decides a conflict. */
export interface ResolveOptions {
  readonly resolves?: ConflictId;
}

/** Collects the mutations of one operation. Reads inside see what was written before in the same transaction. */
export interface Transaction<S extends SchemaDefinition = Untyped> {
  /** As shown, with this transaction's own mutations. */
  get<C extends CollectionOf<S>>(id: Id<C>): RecordOf<S, C> | undefined;
  /**
   * Creates a record with initial values: a value for a register, a string for a text, a whole number for a counter,
   * an array for a set or to-many field, an id for a to-one field. A field that no schema knows becomes a register.
   */
  create<C extends CollectionOf<S>>(
    collection: C,
    id: Id<NoInfer<C>>,
    fields?: InitialFields<S, NoInfer<C>>,
    options?: CreateOptions,
  ): void;
  delete(id: RecordId, options?: ResolveOptions): void;
  restore(id: RecordId, options?: ResolveOptions): void;
  /** Sets a register. */
  set<C extends CollectionOf<S>, F extends FieldOfKind<S, C, 'register'>>(
    id: Id<C>,
    field: F,
    value: RegisterValue<S, C, F>,
    options?: WriteOptions & ResolveOptions,
  ): void;
  /** Edits a text by hunks in the text as shown: ascending, disjoint, not touching; Unicode scalar values. */
  editText<C extends CollectionOf<S>>(
    id: Id<C>,
    field: FieldOfKind<S, C, 'text'>,
    hunks: readonly Hunk[],
    options?: ResolveOptions,
  ): void;
  /** Replaces a text; the hunks are computed against the text as shown, by words. */
  replaceText<C extends CollectionOf<S>>(
    id: Id<C>,
    field: FieldOfKind<S, C, 'text'>,
    text: string,
    options?: ResolveOptions,
  ): void;
  increment<C extends CollectionOf<S>>(id: Id<C>, field: FieldOfKind<S, C, 'counter'>, by?: number | bigint): void;
  assignCounter<C extends CollectionOf<S>>(
    id: Id<C>,
    field: FieldOfKind<S, C, 'counter'>,
    value: number | bigint,
    options?: WriteOptions & ResolveOptions,
  ): void;
  /** Adds elements to a set. */
  add<C extends CollectionOf<S>, F extends FieldOfKind<S, C, 'set'>>(
    id: Id<C>,
    field: F,
    ...elements: readonly ElementOf<S, C, F>[]
  ): void;
  /** Removes elements from a set, as shown. */
  remove<C extends CollectionOf<S>, F extends FieldOfKind<S, C, 'set'>>(
    id: Id<C>,
    field: F,
    ...elements: readonly ElementOf<S, C, F>[]
  ): void;
  /** Removes all elements of a set or to-many field, as shown. */
  clear<C extends CollectionOf<S>>(id: Id<C>, field: FieldOfKind<S, C, 'set' | 'to_many'>): void;
  /** Links through a to-one field (replacing its target) or a to-many field. */
  link<C extends CollectionOf<S>, F extends FieldOfKind<S, C, 'to_one' | 'to_many'>>(
    id: Id<C>,
    field: F,
    target: Id<TargetOf<S, C, F>>,
    options?: WriteOptions & ResolveOptions,
  ): void;
  /** Removes a link; without a target whatever a to-one field has. */
  unlink<C extends CollectionOf<S>, F extends FieldOfKind<S, C, 'to_one' | 'to_many'>>(
    id: Id<C>,
    field: F,
    target?: Id<TargetOf<S, C, F>>,
    options?: WriteOptions & ResolveOptions,
  ): void;
}

/** An operation on its way. */
export interface PendingMutation {
  readonly dot: Dot;
  readonly correlationId: string;
  /**
   * Kept on this device: survives a crash when `durability` is `durable`. Rejects with `NOT_SAVED` after the first
   * failed attempt; the operation is still shown, and saving goes on being tried. Unobserved rejections are not errors.
   */
  readonly saved: Promise<{ readonly durability: 'durable' | 'memory' }>;
  /**
   * Its final outcome. Resolves also when it conflicted; rejects with `REJECTED` or `CANCELLED` when it has no effect.
   * Never while offline; another tab may settle it after this one closed. Unobserved rejections are not errors.
   */
  readonly settled: Promise<Receipt>;
}

/** What became of an operation that took effect. */
export interface Receipt {
  readonly dot: Dot;
  readonly correlationId: string;
  readonly outcome: 'applied' | 'merged' | 'conflicted';
  readonly seq: Seq;
  /** Conflicts it opened or added to. */
  readonly conflictIds: readonly ConflictId[];
  /** Conflicts a resolution of this operation did not close because there was more than it had seen. */
  readonly remaining: readonly ConflictId[];
}

export interface UndoResult {
  readonly mutation: PendingMutation;
  /** Fields left as they are because somebody changed them since, by `recordId/fieldId`. */
  readonly skipped: readonly string[];
}

// --- Reading -----------------------------------------------------------------------------------------------------------

/** A record as shown: confirmed state with pending operations on top. Immutable; the same object until it changes. */
export interface RecordView<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> {
  readonly id: IdOf<S, C>;
  readonly collection: C;
  /** Deleted records are shown by `record()` only. */
  readonly deleted: boolean;
  /**
   * By field id: a register's value; a text's string; a counter's number (bigint beyond 2^53 - 1); a set's elements in
   * a fixed order; a to-one link's target or null; a to-many link's targets in ascending order. Links to deleted or
   * unknown records are left out. A field that was never set is absent, unless the schema of the program has it: then it
   * shows null, an empty text, 0 or nothing, as its kind has it.
   */
  readonly fields: FieldsOf<S, C>;
  /**
   * Fields that hold something of a newer version of this program. What they hold is kept; in `fields` they show null, or
   * nothing as their kind in the schema of the program has it. Show "needs a newer version" in their place: writing to
   * them throws `NEEDS_NEWER_VERSION`.
   */
  readonly opaque: readonly FieldId[];
  /** The position this picture shows, for {@link WriteOptions.observed}. */
  readonly seq: Seq;
  readonly sync: SyncMark;
  /** The same, for fields that are not simply synced. */
  readonly fieldSync: Readonly<Record<FieldId, SyncMark>>;
  /** Live conflicts of the record and its fields. */
  readonly conflictIds: readonly ConflictId[];
}

/** A record of one of the collections; its `collection` says which. */
export type RecordOf<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> =
  C extends CollectionOf<S> ? RecordView<S, C> : never;

/**
 * Where a record or field stands, the first that applies: `unsaved` (on no disk yet), `pending` (waits to be sent or
 * for an answer), `conflict` (has a live conflict), `opaque` (needs a newer version of this program), `synced`.
 */
export type SyncMark = 'unsaved' | 'pending' | 'conflict' | 'opaque' | 'synced';

/** A condition on a record. A missing field equals null. */
export type Condition<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> =
  | { readonly [F in FieldOf<S, C>]: FieldCondition<F, ShownOf<S, C, F>> }[FieldOf<S, C>]
  | { readonly all: readonly Condition<S, C>[] }
  | { readonly any: readonly Condition<S, C>[] }
  | { readonly not: Condition<S, C> };

/** A condition on a field that shows values of a type. */
export type FieldCondition<F extends FieldId, V> =
  | { readonly field: F; readonly op: 'eq' | 'ne'; readonly value: V | null }
  /** Numbers with numbers, strings with strings (by code point), times with times; anything else does not hold. */
  | {
      readonly field: F;
      readonly op: 'lt' | 'lte' | 'gt' | 'gte';
      readonly value: Extract<V, number | bigint | string | Timestamp>;
    }
  | { readonly field: F; readonly op: 'in'; readonly values: readonly (V | null)[] }
  /** A set or to-many field has the element; a text or string contains the string, character by character. */
  | {
      readonly field: F;
      readonly op: 'contains';
      readonly value: V extends readonly (infer E)[] ? E : V extends string ? string : never;
    };

/** Short form: all of these fields equal these values. */
export type Where<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> =
  | Condition<S, C>
  | {
      readonly [F in FieldOf<S, C>]?: Extract<ShownOf<S, C, F>, boolean | number | bigint | string | Timestamp> | null;
    };

/** An order; ties are broken by id, ascending. null < booleans < numbers < strings (by code point) < times < everything else. */
export interface OrderBy<F extends FieldId = FieldId> {
  readonly field: F;
  readonly direction?: 'asc' | 'desc';
}

/** What to join to each row, by name. */
export type IncludeSpec<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> = Readonly<
  Record<string, Include<S, C>>
>;

/** A join along links: outgoing ones of the row, or, with `from`, those of other records that lead to the row. */
export type Include<S extends SchemaDefinition = Untyped, C extends CollectionOf<S> = CollectionOf<S>> =
  OutgoingInclude<S, C>[FieldOfKind<S, C, 'to_one' | 'to_many'>] | IncomingInclude<S>[CollectionOf<S>];

/** Joins along a collection's own links, by field. */
export type OutgoingInclude<S extends SchemaDefinition, C extends CollectionOf<S>> = {
  readonly [F in FieldOfKind<S, C, 'to_one' | 'to_many'>]: {
    /** A to-one or to-many field of the row. */
    readonly via: F;
    readonly from?: never;
  } & JoinOptions<S, TargetOf<S, C, F> & CollectionOf<S>>;
};

/** Joins along the links of records of another collection, by that collection. */
export type IncomingInclude<S extends SchemaDefinition> = {
  readonly [C in CollectionOf<S>]: {
    /** A field of the records that link to the row. */
    readonly via: FieldOfKind<S, C, 'to_one' | 'to_many'>;
    /** The collection whose records link to the row. */
    readonly from: C;
  } & JoinOptions<S, C>;
};

/** What can be said about the records that are joined. */
export interface JoinOptions<S extends SchemaDefinition, C extends CollectionOf<S>> {
  readonly where?: Where<S, C>;
  readonly orderBy?: readonly OrderBy<FieldOf<S, C>>[];
  readonly include?: IncludeSpec<S, C>;
}

/** What a client of any schema accepts as joins; for constraints only. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- joins of every schema fit
export type AnyInclude = IncludeSpec<any, any>;

/** The collection of the records that a join gives. */
export type JoinedCollection<S extends SchemaDefinition, C extends CollectionOf<S>, J> = J extends {
  readonly from: infer From extends CollectionOf<S>;
}
  ? From
  : J extends { readonly via: infer F }
    ? TargetOf<S, C, F> & CollectionOf<S>
    : CollectionOf<S>;

/** The joins within a join. */
export type NestedInclude<J> = J extends { readonly include?: infer N }
  ? unknown extends N
    ? Record<never, never>
    : Exclude<N, undefined> & AnyInclude
  : Record<never, never>;

export interface Query<
  I extends AnyInclude = Record<never, never>,
  S extends SchemaDefinition = Untyped,
  C extends CollectionOf<S> = CollectionOf<S>,
> {
  readonly collection: C;
  readonly where?: Where<S, C>;
  readonly orderBy?: readonly OrderBy<FieldOf<S, C>>[];
  /** The first so many in the order. */
  readonly limit?: number;
  readonly include?: I;
}

/** A row of a query. The same object until the record or something included changes. */
export interface Row<
  I extends AnyInclude = Record<never, never>,
  S extends SchemaDefinition = Untyped,
  C extends CollectionOf<S> = CollectionOf<S>,
> {
  readonly record: RecordOf<S, C>;
  /** The id of the record. */
  readonly id: IdOf<S, C>;
  /** The fields of the record. */
  readonly fields: FieldsOf<S, C>;
  /** The records joined; to-one joins are arrays of at most one. */
  readonly include: {
    readonly [K in keyof I]: readonly Row<NestedInclude<I[K]>, S, JoinedCollection<S, C, I[K]>>[];
  };
}

/** What a query shows. */
export interface QueryResult<
  I extends AnyInclude = Record<never, never>,
  S extends SchemaDefinition = Untyped,
  C extends CollectionOf<S> = CollectionOf<S>,
> {
  readonly rows: readonly Row<I, S, C>[];
  /** `loading` before `ready`, `partial` while the first snapshot has not come, then `ready`, offline too. */
  readonly status: 'loading' | 'partial' | 'ready';
}

/** How a result changed, in the order that turns the old rows into the new ones. */
export type QueryEvent<
  I extends AnyInclude = Record<never, never>,
  S extends SchemaDefinition = Untyped,
  C extends CollectionOf<S> = CollectionOf<S>,
> =
  | { readonly type: 'enter'; readonly row: Row<I, S, C>; readonly index: number }
  | {
      readonly type: 'update';
      readonly row: Row<I, S, C>;
      readonly previous: Row<I, S, C>;
      readonly index: number;
      readonly previousIndex: number;
    }
  | { readonly type: 'leave'; readonly row: Row<I, S, C>; readonly previousIndex: number };

export interface LiveQuery<
  I extends AnyInclude = Record<never, never>,
  S extends SchemaDefinition = Untyped,
  C extends CollectionOf<S> = CollectionOf<S>,
> extends Observable<QueryResult<I, S, C>> {
  /** Events of one change come in one call. */
  readonly events: (listener: (events: readonly QueryEvent<I, S, C>[]) => void) => () => void;
}

// --- Connection --------------------------------------------------------------------------------------------------------

/** In one word; SPEC.md says which one when. */
export type ConnectionState = 'online' | 'offline' | 'reconnecting' | 'syncing' | 'degraded';

export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  /** Why, when `degraded` or `offline`. */
  readonly reason?: ConnectionReason;
  /** The wire alone. */
  readonly transport: 'up' | 'connecting' | 'waiting' | 'down';
  /** The feed: how far this client is. `head` is what the server last said. */
  readonly feed: { readonly position: Seq; readonly head: Seq; readonly caughtUp: boolean };
  /** While a snapshot is being taken. */
  readonly snapshot?: { readonly received: number; readonly estimated: number };
  /** The queue, in short. */
  readonly queue: { readonly pending: number; readonly paused: boolean };
  readonly quality: LinkQuality;
  /** When the next attempt is due, by the wall clock, while `waiting`. */
  readonly nextAttemptAtMs?: number;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly breaker: 'closed' | 'open' | 'probing';
  /** Whether this tab holds the connection for all tabs of the browser. */
  readonly role: 'leader' | 'follower';
  readonly storage: 'durable' | 'memory' | 'full';
  /** What the server said of itself when the feed opened last. */
  readonly server?: ServerInfo;
}

export type ConnectionReason =
  /** The application or the user asked for it (`goOffline`). */
  | 'asked'
  /** The device has no network. */
  | 'no_network'
  /** The server cannot be reached. */
  | 'unreachable'
  /** The server answers, but its feed does not arrive: something between holds streams back, such as a proxy. */
  | 'stream_blocked'
  | 'slow_link'
  | 'lossy_link'
  | 'unstable_link'
  /** The server sheds load. */
  | 'overloaded'
  | 'credentials'
  | 'forbidden'
  | 'unknown_workspace'
  /** What the server sends cannot be true; the client keeps what it has and starts over. */
  | 'protocol'
  /** The server's history was rewound; the client is putting its own work back. */
  | 'history_rewound'
  /** The server sent something this version of the program does not know. Nothing is lost; an update is needed. */
  | 'update_needed'
  | 'storage_full'
  | 'storage_memory'
  /** The queue was paused. */
  | 'paused';

export interface LinkQuality {
  /** Smoothed; absent before the first measurement. */
  readonly roundTripMs?: number;
  /** Smoothed variation of the round trip. */
  readonly jitterMs?: number;
  /** Heartbeats lost among the last 20, 0 to 1. */
  readonly loss: number;
  /** Share of the last 10 minutes with a connection, 0 to 1. */
  readonly stability: number;
  readonly rating: 'good' | 'fair' | 'poor' | 'unknown';
}

export interface Connection extends Observable<ConnectionSnapshot> {
  /** Each change of `state`, with what it was. */
  onState(listener: (now: ConnectionSnapshot, before: ConnectionSnapshot) => void): () => void;
  /** Stops connecting until `goOnline`. All tabs of the browser. */
  goOffline(): void;
  /** Connects, at once, whatever the back-off or the breaker say. */
  goOnline(): void;
}

/** An operation without a final outcome. */
export interface QueueItem {
  readonly dot: Dot;
  readonly correlationId: string;
  readonly actor: string;
  readonly madeAtMs: number;
  readonly status: PendingStatus;
  /** Of this tab; other tabs' queues are counted and listed too. */
  readonly own: boolean;
  /** In words, such as `set title of cards/card-1`. */
  readonly summary: string;
  readonly bytes: number;
}

/** See SPEC.md, Life of a pending operation. */
export type PendingStatus = 'unsaved' | 'queued' | 'sent' | 'unknown' | 'held' | 'accepted' | 'doomed' | 'cancelled';

export interface QueueSnapshot {
  readonly items: readonly QueueItem[];
  readonly pending: number;
  readonly bytes: number;
  readonly paused: boolean;
  /** Since the queue was last empty: settled of total. */
  readonly progress: { readonly settled: number; readonly total: number };
}

export interface Queue extends Observable<QueueSnapshot> {
  /** Sends nothing until `resume`; editing goes on. */
  pause(): void;
  resume(): void;
  /**
   * Takes back this tab's operations that were never sent, with all that follow them, and puts them to the rejected ones.
   * Returns how many.
   */
  clear(): Promise<number>;
  /** Resolves when nothing is pending. */
  drained(): Promise<void>;
}

/** An operation that has no effect, with what its author wrote. */
export interface RejectedItem {
  readonly dot: Dot;
  readonly correlationId: string;
  readonly why: 'rejected' | 'cancelled';
  readonly refusal: Refusal;
  readonly rejectedAtMs: number;
  readonly madeAtMs: number;
  readonly mutations: readonly {
    readonly collection: CollectionId;
    readonly id: RecordId;
    readonly field?: FieldId;
    readonly summary: string;
    /** What was to be written, where that is a value or a text as its author saw it. */
    readonly content?: Value;
    /** It is the one at fault. */
    readonly atFault: boolean;
  }[];
}

export interface RejectedOperations extends Observable<readonly RejectedItem[]> {
  /** Makes a new operation with the same mutations against what is shown now; dismisses the item when it could. */
  retry(dot: Dot): PendingMutation;
  dismiss(dot: Dot): Promise<void>;
  dismissAll(): Promise<void>;
}

// --- Conflicts, presence, notices -----------------------------------------------------------------------------------------

/** A live conflict with this client's pending decision on it. */
export interface ConflictItem {
  readonly summary: ConflictSummary;
  /** The record as shown. */
  readonly record: RecordView | undefined;
  /** A decision of this client is on its way. */
  readonly deciding?: 'resolve' | 'defer' | 'assign' | 'reopen';
}

export interface ConflictFilter {
  readonly statuses?: readonly ConflictStatus[];
  readonly kind?: ConflictKind;
  readonly collection?: CollectionId;
  readonly record?: RecordId;
  readonly assignee?: string;
}

/**
 * A decision. Which fit: register: alternative, value, base (when it is exact), keep. Text: alternative, text, base, keep.
 * Edit-delete: keep (the record lives), delete. Relationship: keep, unlink, delete (the target).
 */
export type Decision =
  /** Any side; of a text: its version in the place of the region. */
  | { readonly type: 'alternative'; readonly seq: Seq }
  | { readonly type: 'value'; readonly value: WritableValue }
  /** The new text of the region of a conflict of a text. The rest of the text stays as it is. */
  | { readonly type: 'text'; readonly text: string }
  /** Goes back to what the sides started from. */
  | { readonly type: 'base' }
  | { readonly type: 'keep' }
  | { readonly type: 'delete' }
  | { readonly type: 'unlink' };

export interface Conflicts extends Observable<readonly ConflictItem[]> {
  /** Live conflicts that fit, newest first; kept up to date, offline too. */
  list(filter?: ConflictFilter): Observable<readonly ConflictItem[]>;
  /** Everything about one conflict. Asks the server; `OFFLINE` unless it was read before at this revision. */
  get(id: ConflictId): Promise<ConflictDetail>;
  /**
   * Decides, by an operation of this replica. `detail` is what the decision was made on: when the conflict changed
   * since, this throws `CHANGED` and does nothing. Works offline on what was read before.
   */
  resolve(detail: ConflictDetail, decision: Decision): PendingMutation;
  /** Puts aside until a time, at most 366 days ahead; then it opens again, with a notice. */
  defer(id: ConflictId, remindAt: Date): PendingMutation;
  /** An empty assignee takes the assignment back. */
  assign(id: ConflictId, assignee: string): PendingMutation;
  reopen(id: ConflictId): PendingMutation;
}

/** Somebody who is connected. */
export interface Presence {
  readonly connectionId: string;
  readonly replicaId: ReplicaId;
  readonly actor: string;
  readonly clientName: string;
  readonly connectedAtMs?: number;
  readonly self: boolean;
  readonly quality: LinkQuality;
}

/** Something to tell the user once. */
export type Notice =
  | { readonly type: 'rejected'; readonly item: RejectedItem }
  | { readonly type: 'conflict'; readonly conflict: ConflictSummary; readonly own: boolean }
  | { readonly type: 'reminder'; readonly conflict: ConflictSummary }
  /** The server sent something this version of the program does not know: it has to be updated. Nothing is lost. */
  | { readonly type: 'update_needed' }
  | { readonly type: 'history_rewound'; readonly rebased: number }
  | { readonly type: 'replica_changed'; readonly rebased: number }
  | { readonly type: 'not_saved'; readonly dot: Dot; readonly error: SynclineError }
  | { readonly type: 'schema_changed'; readonly version: number }
  /** For developers: the server's schema is not what the program says. Apply the program's, or change the program. */
  | { readonly type: 'schema_differs'; readonly differences: readonly string[] };
