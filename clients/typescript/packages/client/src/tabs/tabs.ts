import type { ConnectionSnapshot, Presence, QueueSnapshot } from '../api.js';
import type { ChangesFrame } from '../domain/change.js';
import type { Dot, Seq } from '../domain/ids.js';
import type { Refusal } from '../domain/operation.js';
import type { SlotContents, SlotId } from '../store/store.js';

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
        readonly queue: QueueSnapshot;
        readonly presence: readonly Presence[];
      }
    /** Leader: a frame that is kept. */
    | { readonly type: 'frame'; readonly term: number; readonly frame: ChangesFrame }
    /** Leader: outcomes for whichever tab they concern; they are kept. */
    | {
        readonly type: 'accepted';
        readonly term: number;
        readonly accepted: readonly { readonly dot: Dot; readonly seq: Seq; readonly remaining: readonly string[] }[];
      }
    | {
        readonly type: 'rejected';
        readonly term: number;
        readonly rejected: readonly { readonly dot: Dot; readonly refusal: Refusal; readonly mutationIndex?: number }[];
      }
    /** Leader: confirmed state or slots were replaced; load them from the store. */
    | {
        readonly type: 'reload';
        readonly term: number;
        readonly cause: 'snapshot' | 'history_rewound' | 'replica_changed';
      }
    /** Follower: it missed frames. Answered by `frame`s when the leader still has them, else by `reload`. */
    | { readonly type: 'need'; readonly fromSeqExclusive: Seq }
    /** Any tab: its queue has new operations, all saved. */
    | { readonly type: 'queued'; readonly slotId: SlotId }
    /** Any tab: operations were taken back. */
    | { readonly type: 'cancelled'; readonly slotId: SlotId }
    /** Any tab, for the one that leads. */
    | { readonly type: 'ask'; readonly what: 'online' | 'offline' | 'pause' | 'resume' }
    /** Any tab opened: the leader answers with `leader`. */
    | { readonly type: 'hello' }
  );

/** Election, slots and the channel of one tab. In Node: always leader. Owner: engineer B. */
export interface Tabs {
  readonly role: 'leader' | 'follower';
  readonly term: number;
  /**
   * A slot for this tab, held by a lock until `close`: the one it had before a reload (remembered by the session), else
   * a free one with a queue (oldest operation first), else a free one, else a new one; only one with
   * `lastBaseSeq <= position`.
   */
  leaseSlot(position: Seq): Promise<SlotContents>;
  /** Slots no tab holds: their queues are the leader's. */
  closedSlots(): Promise<readonly SlotId[]>;
  post(message: TabMessage): void;
  subscribe(listener: (message: TabMessage) => void): () => void;
  onRole(listener: (role: 'leader' | 'follower', term: number) => void): () => void;
  close(): Promise<void>;
}
