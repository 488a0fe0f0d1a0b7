import { SERVER_REPLICA } from '../dot.js';
import type { CausalContext, Dot, Seq } from '../ids.js';

/** Who wrote an operation, and what they knew. A pending one of this replica is beyond every settled one. */
export interface TextAuthor {
  readonly dot: Dot;
  readonly baseSeq: Seq;
  readonly extras: readonly Dot[];
}

/** An operation that has its place in the order. */
export interface Stamp {
  readonly seq: Seq;
  readonly dot: Dot;
}

export function authorOf(dot: Dot, context: CausalContext): TextAuthor {
  return { dot, baseSeq: context.baseSeq, extras: context.extras };
}

/** Whether the author of one operation knew another: exact, see the server's `causality.rs`. */
export function knows(author: TextAuthor, stamp: Stamp): boolean {
  if (stamp.seq <= author.baseSeq) return true;
  const { replicaId, counter } = stamp.dot;
  // Many independent authors share the server's own replica: it implies no program order.
  if (replicaId === author.dot.replicaId && replicaId !== SERVER_REPLICA && counter < author.dot.counter) return true;
  return author.extras.some((extra) => extra.replicaId === replicaId && extra.counter >= counter);
}
