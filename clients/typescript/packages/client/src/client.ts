import type {
  ConnectionSnapshot,
  Connection,
  IncludeSpec,
  LiveQuery,
  MutateOptions,
  Notice,
  Observable,
  PendingMutation,
  Presence,
  Query,
  Queue,
  QueueSnapshot,
  RecordOf,
  Syncline,
  SynclineOptions,
  Transaction,
  UndoResult,
} from './api.js';
import { Cell, sameData } from './client/cell.js';
import { ConflictInbox } from './client/conflicts.js';
import type { ClientParts } from './client/parts.js';
import { MutationPromises } from './client/promises.js';
import { QueueView } from './client/queue.js';
import { RecordWatch } from './client/records.js';
import { isPessimistic } from './client/pessimistic.js';
import { Runtime } from './client/runtime.js';
import type { RuntimeEvents } from './client/runtime-events.js';
import { Emitter } from './events.js';
import { RejectedList } from './client/rejected.js';
import { UndoStack } from './client/undo.js';
import { shownLabel } from './domain/label.js';
import type { CollectionId, Dot, ReplicaId } from './domain/ids.js';
import type { Mutation } from './domain/operation.js';
import type { Schema } from './domain/schema.js';
import { SynclineError } from './errors.js';
import type { LiveQueries } from './query/query.js';
import type { Replica, ViewChange } from './replica/replica.js';
import { collectMutations } from './replica/transaction.js';
import { schemaDifferences, type SchemaDefinition } from './schema.js';
import type { Id, Untyped } from './typed.js';

/** What `./browser` and `./node` export. */
export interface CreateSyncline {
  /** A client whose records are what the schema says. */
  <S extends SchemaDefinition>(options: SynclineOptions & { readonly schema: S }): Syncline<S>;
  /** A client whose records may have any fields. */
  (options: SynclineOptions): Syncline;
}

/** Makes `createSyncline` for an entry, out of what a client is made of there. */
export function creator(parts: () => ClientParts): CreateSyncline {
  // One implementation for all schemas: what a schema says to the type checker is not there at run time.
  return ((options: SynclineOptions) => assemble(options, parts())) as CreateSyncline;
}

/** Puts a client together. */
export function assemble(options: SynclineOptions, parts: ClientParts): Syncline {
  // Programs in plain JavaScript have no types to tell them.
  for (const name of ['url', 'workspace', 'actor'] as const) {
    if (typeof options[name] !== 'string') throw new SynclineError('INVALID_ARGUMENT', `${name} is a text`);
  }
  return new Client({ ...options, actor: shownLabel(options.actor) }, parts);
}

interface MakeOptions extends MutateOptions {
  /** Undo and redo keep their own steps. */
  readonly step?: 'none';
}

/** What applications listen to besides snapshots. */
interface ClientEvents {
  state(now: ConnectionSnapshot, before: ConnectionSnapshot): void;
  notice(notice: Notice): void;
}

class Client implements Syncline {
  readonly ready: Promise<void>;
  readonly workspace: string;
  readonly connection: Connection;
  readonly queue: Queue;
  readonly rejected: RejectedList;
  readonly conflicts: ConflictInbox;
  readonly presence: Observable<readonly Presence[]>;
  readonly undoable: UndoStack['undoable'];
  readonly schema = new Cell<Schema | undefined>(undefined);
  private readonly replica: Replica;
  private readonly queries: LiveQueries;
  private readonly runtime: Runtime;
  private readonly records: RecordWatch;
  private readonly promises = new MutationPromises();
  private readonly undoStack: UndoStack;
  private readonly queueView = new QueueView();
  private readonly queueCell: Cell<QueueSnapshot>;
  private readonly connectionCell: Cell<ConnectionSnapshot>;
  private readonly presenceCell = new Cell<readonly Presence[]>([]);
  private readonly events = new Emitter<ClientEvents>();
  private readonly ended = new AbortController();
  private open = false;
  /** It is told once. */
  private outdated = false;

  constructor(
    private readonly options: SynclineOptions,
    private readonly parts: ClientParts,
  ) {
    this.workspace = options.workspace;
    this.replica = parts.createReplica(options.workspace, options.schema);
    this.queries = parts.createLiveQueries(this.replica);
    this.records = new RecordWatch(this.replica);
    const transport = parts.createTransport(options);
    const events = new Emitter<RuntimeEvents>();
    events.onAll(this.runtimeEvents());
    this.runtime = new Runtime(options, parts, this.replica, transport, events);
    const make = (mutations: readonly Mutation[]) => this.make(mutations, { step: 'none' });
    this.undoStack = new UndoStack(this.replica, make);
    this.undoable = this.undoStack.undoable;
    this.conflicts = new ConflictInbox(
      this.replica,
      transport,
      (mutations) => this.make(mutations, {}),
      this.ended.signal,
    );
    this.rejected = new RejectedList(
      (mutations) => this.make(mutations, {}),
      (dots) => this.runtime.dismiss(dots),
    );
    this.queueCell = new Cell(this.queueView.snapshot([], false));
    this.connectionCell = new Cell(this.runtime.connection());
    this.connection = this.connectionFace();
    this.queue = this.queueFace();
    this.presence = {
      getSnapshot: this.presenceCell.getSnapshot,
      subscribe: (listener) => {
        const [cell, watch] = [this.presenceCell.subscribe(listener), this.runtime.presence.watch()];
        return () => {
          cell();
          watch();
        };
      },
    };
    this.ready = this.start();
    this.ready.catch(() => undefined);
  }

  get replicaId(): ReplicaId {
    return this.replica.replicaId;
  }

  mutate(build: (tx: Transaction) => void, options: MutateOptions = {}): PendingMutation {
    this.check();
    return this.make(collectMutations(this.replica, build), options);
  }

  // The schema of a program says more about rows and records than anybody can check here.
  query<C extends CollectionId, const I extends IncludeSpec<Untyped, C> = Record<never, never>>(
    query: Query<I, Untyped, C>,
  ): LiveQuery<I, Untyped, C> {
    return this.queries.query(query as unknown as Query) as unknown as LiveQuery<I, Untyped, C>;
  }

  record<C extends CollectionId = CollectionId>(id: Id<C>): Observable<RecordOf<Untyped, C> | undefined> {
    return this.records.record(id) as Observable<RecordOf<Untyped, C> | undefined>;
  }

  onNotice(listener: (notice: Notice) => void): () => void {
    return this.events.on('notice', listener);
  }

  undo(): UndoResult | undefined {
    this.check();
    return this.undoStack.undo();
  }

  redo(): UndoResult | undefined {
    this.check();
    return this.undoStack.redo();
  }

  async close(): Promise<void> {
    if (this.ended.signal.aborted) return;
    this.open = false;
    this.ended.abort(new SynclineError('CLOSED', 'the client was closed'));
    await this.ready.catch(() => undefined);
    await this.runtime.close();
    this.queries.close();
    this.promises.close();
  }

  private async start(): Promise<void> {
    await this.runtime.start();
    if (this.ended.signal.aborted) throw new SynclineError('CLOSED', 'the client was closed');
    this.open = true;
  }

  private check(): void {
    if (this.open) return;
    if (this.ended.signal.aborted) throw new SynclineError('CLOSED', 'the client was closed');
    throw new SynclineError('INVALID_MUTATION', 'the client is not ready');
  }

  private make(mutations: readonly Mutation[], options: MakeOptions): PendingMutation {
    this.check();
    const { platform } = this.parts;
    const correlationId = options.correlationId ?? platform.random.uuid();
    const { pending, view } = this.replica.make({
      mutations,
      correlationId,
      pessimistic: options.pessimistic ?? isPessimistic(mutations, this.options.pessimistic),
      actor: this.options.actor,
      clientTimeMs: platform.clock.nowMs(),
    });
    const mutation = this.promises.add(pending);
    if (options.step !== 'none' && options.undoable !== false) this.undoStack.did(mutation.dot, options.undoGroup);
    this.runtime.made(pending);
    this.show(view);
    return mutation;
  }

  /** Everything that shows something, within the task of the change. */
  private show(change: ViewChange): void {
    this.queries.changed(change);
    this.records.changed(change);
    this.conflicts.refresh(change);
    const { schema } = this.replica;
    const before = this.schema.getSnapshot();
    if (schema === before) return;
    this.schema.set(schema);
    this.compareSchemas(schema);
    if (before !== undefined && schema !== undefined && schema.version !== before.version) {
      this.notify({ type: 'schema_changed', version: schema.version });
    }
  }

  private compareSchemas(server: Schema | undefined): void {
    const { schema } = this.options;
    if (schema === undefined || server === undefined) return;
    const differences = schemaDifferences(schema, server);
    if (differences.length > 0) this.notify({ type: 'schema_differs', differences });
  }

  private notify(notice: Notice): void {
    this.events.emit('notice', notice);
  }

  /** What this does about each event of the runtime. */
  private runtimeEvents(): RuntimeEvents {
    return {
      viewChanged: (change) => {
        this.show(change);
      },
      settled: ({ dot, seq, outcome, conflictIds }) => {
        this.promises.settled({ dot, seq, outcome, conflictIds });
      },
      accepted: (accepted) => {
        for (const { dot, remaining } of accepted) this.promises.answered(dot, remaining);
      },
      rejected: (rows) => {
        for (const item of this.rejected.add(rows)) {
          this.lost(item.dot, new SynclineError('REJECTED', item.refusal.message, item.refusal));
          // One that fell with another was told with that one.
          if (item.refusal.reason !== 'DEPENDENCY_REJECTED') this.notify({ type: 'rejected', item });
        }
      },
      saved: (dots, durability) => {
        this.promises.saved(dots, durability);
      },
      notSaved: (dots, error) => {
        this.promises.notSaved(dots, error);
        for (const dot of dots) this.notify({ type: 'not_saved', dot, error });
      },
      conflictEvent: ({ event, conflict }, own) => {
        if (event === 'opened') this.notify({ type: 'conflict', conflict, own });
        if (event === 'reminded') this.notify({ type: 'reminder', conflict });
      },
      updateNeeded: () => {
        if (!this.outdated) this.notify({ type: 'update_needed' });
        this.outdated = true;
      },
      restarted: (cause, rebased, count) => {
        if (cause === 'snapshot') return;
        this.promises.rebased(rebased);
        this.undoStack.clear();
        if (cause === 'history_rewound' || count > 0) this.notify({ type: cause, rebased: count });
      },
      rejectedLoaded: (rows) => {
        this.rejected.load(rows);
      },
      connectionChanged: (snapshot) => {
        this.connectionIs(snapshot);
      },
      queueChanged: (items, paused) => {
        this.queueCell.set(this.queueView.snapshot(items, paused));
        this.conflicts.refresh();
      },
      presenceChanged: (presence) => {
        const now = presence.map((each) => ({ ...each, self: each.replicaId === this.replicaId }));
        if (!sameData(now, this.presenceCell.getSnapshot())) this.presenceCell.set(now);
      },
    };
  }

  private lost(dot: Dot, error: SynclineError): void {
    this.promises.failed(dot, error);
    this.undoStack.forget(dot);
  }

  private connectionIs(snapshot: ConnectionSnapshot): void {
    const before = this.connectionCell.getSnapshot();
    if (sameData(before, snapshot)) return;
    this.connectionCell.set(snapshot);
    if (before.state === snapshot.state) return;
    this.events.emit('state', snapshot, before);
  }

  private connectionFace(): Connection {
    const { getSnapshot, subscribe } = this.connectionCell;
    return {
      getSnapshot,
      subscribe,
      onState: (listener) => this.events.on('state', listener),
      goOffline: () => {
        this.runtime.goOffline();
      },
      goOnline: () => {
        this.runtime.goOnline();
      },
    };
  }

  private queueFace(): Queue {
    const { getSnapshot, subscribe } = this.queueCell;
    return {
      getSnapshot,
      subscribe,
      pause: () => {
        this.runtime.pause();
      },
      resume: () => {
        this.runtime.resume();
      },
      clear: () => Promise.resolve(this.clear()),
      drained: () => this.drained(),
    };
  }

  private clear(): number {
    this.check();
    const taken = this.runtime.cancelUnsent();
    if (taken === undefined) return 0;
    this.rejected.add(taken.rows);
    for (const { operation } of taken.rows) {
      this.lost(operation.dot, new SynclineError('CANCELLED', 'it was taken back before it was sent'));
    }
    this.show(taken.view);
    return taken.rows.length;
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): boolean => {
        // The queue's snapshot follows what was made in this task a moment later.
        if (this.queueCell.getSnapshot().pending > 0 || this.replica.pending().length > 0) return false;
        resolve();
        return true;
      };
      if (look()) return;
      const end = this.queueCell.subscribe(() => {
        if (look()) end();
      });
    });
  }
}
