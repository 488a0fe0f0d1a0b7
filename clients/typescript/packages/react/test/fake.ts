/** A `Syncline` of one page without server, store or network: enough for hooks and components. */
import type {
  ConflictDetail,
  ConflictItem,
  ConnectionSnapshot,
  Hunk,
  Notice,
  Observable,
  Query,
  QueryResult,
  QueueSnapshot,
  RecordView,
  RejectedItem,
  Row,
  Syncline,
  Transaction,
  Value,
} from '@syncline/client';
import { SynclineError } from '@syncline/client';
import { vi } from 'vitest';

export class Cell<T> implements Observable<T> {
  private readonly listeners = new Set<() => void>();
  constructor(private value: T) {}
  readonly getSnapshot = () => this.value;
  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };
  set(value: T) {
    this.value = value;
    for (const listener of [...this.listeners]) listener();
  }
  get listening() {
    return this.listeners.size;
  }
}

export const ONLINE: ConnectionSnapshot = {
  state: 'online',
  transport: 'up',
  feed: { position: 5, head: 5, caughtUp: true },
  queue: { pending: 0, paused: false },
  quality: { loss: 0, stability: 1, rating: 'good' },
  failures: 0,
  breaker: 'closed',
  role: 'leader',
  storage: 'durable',
};

const IDLE: QueueSnapshot = {
  items: [],
  pending: 0,
  bytes: 0,
  paused: false,
  progress: { settled: 0, total: 0 },
};

export function recordOf(id: string, fields: Record<string, Value>, more: Partial<RecordView> = {}): RecordView {
  return {
    id,
    collection: 'cards',
    deleted: false,
    fields,
    opaque: [],
    seq: 1,
    sync: 'synced',
    fieldSync: {},
    conflictIds: [],
    ...more,
  };
}

/** Applies hunks as operations mean them: in Unicode scalar values, all in the text as it was. */
export function applyHunks(text: string, hunks: readonly Hunk[]): string {
  const scalars = [...text];
  for (const hunk of [...hunks].reverse()) scalars.splice(hunk.position, hunk.deleteCount, ...hunk.insert);
  return scalars.join('');
}

export class Fake {
  readonly records = new Map<string, Cell<RecordView | undefined>>();
  readonly connection = new Cell<ConnectionSnapshot>(ONLINE);
  readonly queue = new Cell<QueueSnapshot>(IDLE);
  readonly rejected = new Cell<readonly RejectedItem[]>([]);
  readonly conflicts = new Cell<readonly ConflictItem[]>([]);
  readonly undoable = new Cell({ undo: false, redo: false });
  readonly details = new Map<string, ConflictDetail>();
  /** What edits of texts fail with. */
  refusal: SynclineError | undefined;
  readonly edits: { readonly hunks: readonly Hunk[]; readonly undoGroup: string | undefined }[] = [];
  readonly calls = {
    resolve: vi.fn(),
    defer: vi.fn(),
    assign: vi.fn(),
    reopen: vi.fn(),
    retry: vi.fn(),
    dismiss: vi.fn(() => Promise.resolve()),
    goOnline: vi.fn(),
    goOffline: vi.fn(),
    pause: vi.fn(),
    resume: vi.fn(),
    undo: vi.fn(),
    redo: vi.fn(),
    query: vi.fn(),
  };
  private readonly noticeListeners = new Set<(notice: Notice) => void>();

  cell(id: string): Cell<RecordView | undefined> {
    let cell = this.records.get(id);
    if (cell === undefined) this.records.set(id, (cell = new Cell<RecordView | undefined>(undefined)));
    return cell;
  }

  put(record: RecordView) {
    this.cell(record.id).set(record);
  }

  /** A change of somebody else. */
  remote(id: string, fields: Record<string, Value>) {
    const cell = this.cell(id);
    const before = cell.getSnapshot() ?? recordOf(id, {});
    cell.set({ ...before, fields: { ...before.fields, ...fields }, seq: before.seq + 1 });
  }

  notify(notice: Notice) {
    for (const listener of [...this.noticeListeners]) listener(notice);
  }

  readonly client = this.build();

  private query(query: Query): Observable<QueryResult> {
    this.calls.query(query);
    let result: QueryResult = { rows: [], status: 'ready' };
    const read = () => {
      const records = [...this.records.values()].map((cell) => cell.getSnapshot());
      const rows = records
        .filter((record) => record?.collection === query.collection)
        .map((record) => {
          const known = result.rows.find((row) => row.record === record);
          const include = Object.fromEntries(Object.keys(query.include ?? {}).map((name) => [name, []]));
          return known ?? ({ record, id: record?.id, fields: record?.fields, include } as Row);
        });
      if (rows.length !== result.rows.length || rows.some((row, index) => row !== result.rows[index])) {
        result = { rows, status: 'ready' };
      }
      return result;
    };
    const subscribe = (listener: () => void) => {
      const ends = [...this.records.values()].map((cell) => cell.subscribe(listener));
      return () => {
        for (const end of ends) end();
      };
    };
    return { getSnapshot: read, subscribe };
  }

  private build(): Syncline {
    const pending = { dot: { replicaId: 'me', counter: 1 }, correlationId: 'c' };
    const partial = {
      ready: Promise.resolve(),
      workspace: 'demo',
      replicaId: 'me',
      mutate: (build: (tx: Transaction) => void, options?: { undoGroup?: string }) => {
        build({
          editText: (id: string, field: string, hunks: readonly Hunk[]) => {
            const cell = this.cell(id);
            const record = cell.getSnapshot();
            if (record === undefined) throw new SynclineError('INVALID_MUTATION', 'no such record');
            if (this.refusal !== undefined) throw this.refusal;
            this.edits.push({ hunks, undoGroup: options?.undoGroup });
            const text = applyHunks(String(record.fields[field] ?? ''), hunks);
            cell.set({ ...record, fields: { ...record.fields, [field]: text } });
          },
        } as unknown as Transaction);
        return { ...pending, saved: new Promise(() => undefined), settled: new Promise(() => undefined) };
      },
      query: (query: Query) => this.query(query),
      record: (id: string) => this.cell(id),
      connection: Object.assign(this.connection, {
        goOnline: this.calls.goOnline,
        goOffline: this.calls.goOffline,
        onState: () => () => undefined,
      }),
      queue: Object.assign(this.queue, { pause: this.calls.pause, resume: this.calls.resume }),
      rejected: Object.assign(this.rejected, { retry: this.calls.retry, dismiss: this.calls.dismiss }),
      conflicts: {
        getSnapshot: this.conflicts.getSnapshot,
        subscribe: this.conflicts.subscribe,
        list: () => this.conflicts,
        get: (id: string) => {
          const detail = this.details.get(id);
          return detail
            ? Promise.resolve(detail)
            : Promise.reject(new SynclineError('OFFLINE', 'the server cannot be reached'));
        },
        resolve: this.calls.resolve,
        defer: this.calls.defer,
        assign: this.calls.assign,
        reopen: this.calls.reopen,
      },
      presence: new Cell([]),
      schema: new Cell(undefined),
      onNotice: (listener: (notice: Notice) => void) => {
        this.noticeListeners.add(listener);
        return () => {
          this.noticeListeners.delete(listener);
        };
      },
      undo: this.calls.undo,
      redo: this.calls.redo,
      undoable: this.undoable,
      close: () => Promise.resolve(),
    };
    return partial as unknown as Syncline;
  }
}

export const SUMMARY: ConflictItem['summary'] = {
  conflictId: 'k1',
  kind: 'register',
  status: 'open',
  revision: 1,
  collectionId: 'cards',
  recordId: 'card-1',
  fieldIds: ['title'],
  openedSeq: 4,
  deferCount: 0,
  alternativeCount: 2,
};

const side = (seq: number, actor: string, value: string): ConflictDetail['alternatives'][number] => ({
  seq,
  dot: { replicaId: actor, counter: seq },
  actor,
  clientTimeMs: 1_700_000_000_000,
  context: { epoch: '1', baseSeq: 2, extras: [] },
  value,
  state: 'head',
  action: 'set_field',
  siblings: [],
  provisional: actor === 'Ada',
  correlationId: '',
});

/** A clash of two titles, with a linked person. */
export function titleClash(more: Partial<ConflictDetail> = {}): ConflictDetail {
  const picture = {
    collectionId: 'cards',
    recordId: 'card-1',
    deleted: false,
    fields: { title: 'Big launch', votes: 3, assignees: ['ada'], tags: ['plan'] },
    opaque: [],
  };
  const ada = { collectionId: 'people', recordId: 'ada', deleted: false, fields: { name: 'Ada Lovelace' }, opaque: [] };
  return {
    summary: SUMMARY,
    rule: 'register',
    reason: 'two people set it without knowing of each other',
    baseValue: 'Plan the launch',
    baseExact: true,
    alternatives: [side(3, 'Ada', 'Big launch'), side(4, 'Grace', 'Quiet launch')],
    record: picture,
    recordAtOpening: picture,
    linkedRecords: [{ record: ada, fieldId: 'assignees', incoming: false }],
    events: [{ kind: 'opened', seq: 4, actor: 'Grace', revision: 1, status: 'open', detail: '' }],
    ...more,
  };
}

/** Two versions of a part of a text: Ada's is shown, Grace's is not applied. */
export function textClash(more: Partial<ConflictDetail> = {}, versions = ['Hi there', 'Good day']): ConflictDetail {
  const [ada = '', grace = ''] = versions;
  return titleClash({
    summary: { ...SUMMARY, kind: 'text_overlap', fieldIds: ['body'] },
    baseValue: 'Hello',
    alternatives: [side(3, 'Ada', ada), { ...side(4, 'Grace', grace), state: 'suppressed' }],
    region: { position: 4, length: ada.length, shown: ada, before: 'Oh. ', after: ' world' },
    ...more,
  });
}
