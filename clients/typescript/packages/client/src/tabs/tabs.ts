import type { ConnectionSnapshot, Presence, QueueItem } from '../api.js';
import type { ChangesFrame, Effect } from '../domain/change.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { RejectedRow, SlotContents, SlotId } from '../store/store.js';
import type { Accepted, RestartCause } from '../sync/sync.js';

/** Names of locks and of the channel; `store` is `syncline/<url>/<workspace>/<profile>`. */
export interface TabNames {
  readonly leaderLock: `${string}/leader`;
  readonly slotLock: (slotId: SlotId) => `${string}/slot/${SlotId}`;
  readonly channel: `${string}/tabs`;
}

/** What tabs tell each other. Every message carries the version of this list; others are ignored. */
export type TabMessage = { readonly v: 1; readonly tab: string } &
  /** Leader, every LEADER_BEAT_MS and on every change of what it says. Ignored from an older term than known. */
  (
    | {
        readonly type: 'leader';
        readonly term: number;
        readonly position: Seq;
        readonly connection: ConnectionSnapshot;
        /** Everything that waits, of all slots. `own` is the leader's. */
        readonly queue: readonly QueueItem[];
        readonly presence: readonly Presence[];
      }
    /** Leader: a frame that is kept. */
    | { readonly type: 'frame'; readonly term: number; readonly frame: ChangesFrame }
    /** Leader: outcomes for whichever tab they concern; they are kept. */
    | { readonly type: 'accepted'; readonly term: number; readonly accepted: readonly Accepted[] }
    | { readonly type: 'rejected'; readonly term: number; readonly rejected: readonly RejectedRow[] }
    /** Leader: confirmed state or slots were replaced; load them from the store. */
    | {
        readonly type: 'reload';
        readonly term: number;
        readonly cause: RestartCause;
      }
    /** Follower: it missed frames. Answered by `frame`s when the leader still has them, else by `reload`. */
    | { readonly type: 'need'; readonly fromSeqExclusive: Seq }
    /** Any tab: its queue has new operations, all saved. */
    | { readonly type: 'queued'; readonly slotId: SlotId }
    /** Any tab: operations were taken back. */
    | { readonly type: 'cancelled'; readonly slotId: SlotId }
    /** Any tab, for the one that leads. */
    | { readonly type: 'ask'; readonly what: 'online' | 'offline' | 'pause' | 'resume' | 'presence' }
    /** Leader: a conflict opened, reminded and so on, for notices. */
    | { readonly type: 'conflict'; readonly term: number; readonly effect: ConflictEffect; readonly dot: Dot }
    /** Any tab opened: the leader answers with `leader`. */
    | { readonly type: 'hello' }
  );

/** The effect of a frame that a conflict changed. */
export type ConflictEffect = Extract<Effect, { type: 'conflict_changed' }>;

/** A slot that a tab holds. */
export interface LeasedSlot {
  readonly contents: SlotContents;
  /** It is in the store. A new one is made when it is first used, so that readers cost nothing. */
  readonly stored: boolean;
}

/** Election, slots and the channel of one tab. In Node: always leader. */
export interface Tabs {
  readonly role: 'leader' | 'follower';
  readonly term: number;
  /** Names this tab among others. */
  readonly tab: string;
  /**
   * A slot for this tab, held by a lock until `close`: the one it had before a reload (remembered by the session), else
   * a free one with a queue (oldest operation first), else a free one, else a new one; only one with
   * `lastBaseSeq <= position`.
   */
  leaseSlot(position: Seq): Promise<LeasedSlot>;
  post(message: TabMessageBody): void;
  subscribe(listener: (message: TabMessage) => void): () => void;
  /** Campaigns to lead; calls for every change of the role. The term is the leader's own. */
  campaign(onRole: (role: 'leader' | 'follower', term: number) => void): void;
  /** The leader found out that it was replaced. */
  resign(): void;
  close(): Promise<void>;
}

/** A message without what the channel adds. */
export type TabMessageBody = TabMessage extends infer M ? (M extends TabMessage ? Omit<M, 'v' | 'tab'> : never) : never;
