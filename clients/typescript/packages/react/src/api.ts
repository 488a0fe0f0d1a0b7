/** The public contract of `@syncline/react`. Implementations: provider.tsx, hooks/, components/. */
import type {
  Conflicts,
  ConflictFilter,
  ConflictItem,
  Connection,
  ConnectionSnapshot,
  CollectionOf,
  FieldOfKind,
  Id,
  IncludeSpec,
  MutateOptions,
  Notice,
  PendingMutation,
  Presence,
  Query,
  Queue,
  QueueSnapshot,
  QueryResult,
  RecordOf,
  RecordView,
  RejectedItem,
  RejectedOperations,
  SchemaDefinition,
  SyncMark,
  Syncline,
  Transaction,
  UndoResult,
  Untyped,
  SynclineError,
} from '@syncline/client';
import type { ChangeEventHandler, CompositionEventHandler, KeyboardEventHandler, ReactNode, RefCallback } from 'react';

/** A client of whatever schema. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- clients of every schema fit
export type AnySyncline = Syncline<any>;

/** `children` see this client. Does not close it. */
export interface SynclineProviderProps {
  readonly client: AnySyncline;
  readonly theme?: 'modern' | 'nextstep' | (string & {});
  /** Default: as the system says. */
  readonly scheme?: 'light' | 'dark' | 'system';
  readonly children?: ReactNode;
}

/** The client; throws outside of a provider. */
export type UseSyncline = () => Syncline;
export type UseLiveQuery<S extends SchemaDefinition = Untyped> = <
  C extends CollectionOf<S>,
  const I extends IncludeSpec<S, C> = Record<never, never>,
>(
  query: Query<I, S, C>,
) => QueryResult<I, S, C>;
export type UseRecord<S extends SchemaDefinition = Untyped> = <C extends CollectionOf<S> = CollectionOf<S>>(
  id: Id<C>,
) => RecordOf<S, C> | undefined;

/** Writes and what became of them. Functions keep their identity. */
export interface OptimisticUpdates<S extends SchemaDefinition = Untyped> {
  readonly mutate: (build: (tx: Transaction<S>) => void, options?: MutateOptions) => PendingMutation;
  readonly undo: () => UndoResult | undefined;
  readonly redo: () => UndoResult | undefined;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly queue: QueueSnapshot;
  readonly rejected: readonly RejectedItem[];
  readonly rejectedOperations: RejectedOperations;
}
export type UseOptimisticUpdates<S extends SchemaDefinition = Untyped> = () => OptimisticUpdates<S>;

/** Binds a text field to an input or textarea: keeps the caret where it belongs when others edit, waits for IME. */
export interface TextFieldBinding {
  readonly props: {
    readonly ref: RefCallback<HTMLTextAreaElement | HTMLInputElement>;
    readonly value: string;
    /** Of a text that needs a newer version of the program. */
    readonly readOnly?: boolean;
    readonly placeholder?: string;
    readonly onChange: ChangeEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onKeyDown: KeyboardEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onCompositionStart: CompositionEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onCompositionEnd: CompositionEventHandler<HTMLTextAreaElement | HTMLInputElement>;
  };
  /**
   * Why what was typed last is not kept, such as a text that would be too large: it stays in the element, and nowhere else,
   * until its user changes it. Undefined as a rule.
   */
  readonly problem: SynclineError | undefined;
  readonly mark: SyncMark;
  readonly conflictIds: readonly string[];
}
export type UseTextField<S extends SchemaDefinition = Untyped> = <C extends CollectionOf<S> = CollectionOf<S>>(
  id: Id<C>,
  field: FieldOfKind<S, C, 'text'>,
) => TextFieldBinding;

/** The hooks whose types depend on the schema of the program. */
export interface SynclineHooks<S extends SchemaDefinition> {
  readonly useSyncline: () => Syncline<S>;
  readonly useLiveQuery: UseLiveQuery<S>;
  readonly useRecord: UseRecord<S>;
  readonly useOptimisticUpdates: UseOptimisticUpdates<S>;
  readonly useTextField: UseTextField<S>;
}

export type UseConnection = () => ConnectionSnapshot & {
  readonly goOnline: Connection['goOnline'];
  readonly goOffline: Connection['goOffline'];
  readonly pause: Queue['pause'];
  readonly resume: Queue['resume'];
};
export type UseConflicts = (filter?: ConflictFilter) => {
  readonly items: readonly ConflictItem[];
} & Pick<Conflicts, 'get' | 'resolve' | 'defer' | 'assign' | 'reopen'>;
export type UsePresence = () => readonly Presence[];
/** Notices not dismissed yet, oldest first. */
export type UseNotices = () => { readonly notices: readonly Notice[]; readonly dismiss: (notice: Notice) => void };

/** Hidden while `online`. A polite live region; turning `degraded` is an alert. */
export interface ConnectionStatusProps {
  /** Other words; by default English. */
  readonly words?: Partial<Readonly<Record<ConnectionSnapshot['state'], (snapshot: ConnectionSnapshot) => string>>>;
  readonly className?: string;
}

/** The conflict inbox: list, context, alternatives side by side, diff, decide, edit, defer, assign. */
export interface ConflictInboxProps {
  readonly filter?: ConflictFilter;
  /** People a conflict can be given to. */
  readonly assignees?: readonly string[];
  /** How a record is titled; default: its `title` or `name`, else its id. */
  readonly titleOf?: (record: RecordView) => string;
  readonly className?: string;
}

/** A subtle mark beside a record or field; nothing when synced. */
export interface SyncMarkProps {
  readonly recordId: string;
  readonly field?: string;
}

/** Two texts compared, side by side or in line. */
export interface DiffViewProps {
  readonly before: string;
  readonly after: string;
  readonly layout?: 'side-by-side' | 'inline';
  readonly labels?: readonly [string, string];
}
