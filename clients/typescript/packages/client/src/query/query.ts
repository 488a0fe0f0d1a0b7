import type { IncludeSpec, LiveQuery, Query } from '../api.js';
import type { Replica, ViewChange } from '../replica/replica.js';

/**
 * Live queries over a replica's view. Fed with what changed; re-evaluates only the rows that a change can touch, and
 * publishes once per change.
 */
export interface LiveQueries {
  query<I extends IncludeSpec>(query: Query<I>): LiveQuery<I>;
  /** Called after every change of the replica, within the same task. */
  changed(change: ViewChange): void;
  close(): void;
}

export type CreateLiveQueries = (replica: Replica) => LiveQueries;
