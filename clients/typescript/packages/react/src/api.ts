/** The public contract of `@syncline/react`. Implementations: provider.tsx, hooks/, components/. */
import type {
  Conflicts,
  ConflictFilter,
  ConflictItem,
  Connection,
  ConnectionSnapshot,
  IncludeSpec,
  MutateOptions,
  Notice,
  PendingMutation,
  Presence,
  Query,
  Queue,
  QueueSnapshot,
  QueryResult,
  RecordView,
  RejectedItem,
  RejectedOperations,
  SyncMark,
  Syncline,
  Transaction,
  UndoResult,
} from '@syncline/client';
import type { ChangeEventHandler, CompositionEventHandler, KeyboardEventHandler, ReactNode, RefCallback } from 'react';

/** `children` see this client. Does not close it. */
export interface SynclineProviderProps {
  readonly client: Syncline;
  readonly theme?: 'modern' | 'nextstep' | (string & {});
  /** Default: as the system says. */
  readonly scheme?: 'light' | 'dark' | 'system';
  readonly children?: ReactNode;
}

/** The client; throws outside of a provider. */
export type UseSyncline = () => Syncline;
export type UseLiveQuery = <I extends IncludeSpec = Record<never, never>>(query: Query<I>) => QueryResult<I>;
export type UseRecord = (id: string) => RecordView | undefined;

/** Writes and what became of them. Functions keep their identity. */
export interface OptimisticUpdates {
  readonly mutate: (build: (tx: Transaction) => void, options?: MutateOptions) => PendingMutation;
  readonly undo: () => UndoResult | undefined;
  readonly redo: () => UndoResult | undefined;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly queue: QueueSnapshot;
  readonly rejected: readonly RejectedItem[];
  readonly rejectedOperations: RejectedOperations;
}
export type UseOptimisticUpdates = () => OptimisticUpdates;

/** Binds a text field to an input or textarea: keeps the caret where it belongs when others edit, waits for IME. */
export interface TextFieldBinding {
  readonly props: {
    readonly ref: RefCallback<HTMLTextAreaElement | HTMLInputElement>;
    readonly value: string;
    readonly onChange: ChangeEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onKeyDown: KeyboardEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onCompositionStart: CompositionEventHandler<HTMLTextAreaElement | HTMLInputElement>;
    readonly onCompositionEnd: CompositionEventHandler<HTMLTextAreaElement | HTMLInputElement>;
  };
  readonly mark: SyncMark;
  readonly conflictIds: readonly string[];
}
export type UseTextField = (id: string, field: string) => TextFieldBinding;

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
