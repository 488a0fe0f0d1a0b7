/** Identities and positions. Plain strings and numbers: they travel through structured clone and JSON unchanged. */

/** 1 to 64 of [A-Za-z0-9_-]. */
export type RecordId = string;
/** 1 to 64 of [A-Za-z0-9_-]. */
export type CollectionId = string;
/** 1 to 64 of [A-Za-z0-9_-]. */
export type FieldId = string;
/** 1 to 64 of [a-z0-9-]. */
export type ConflictId = string;
/** A UUID in canonical text form, lower case. */
export type ReplicaId = string;

/**
 * A position in a workspace's order. The protocol has 64 bits; `wire/` refuses what is beyond 2^53 - 1, which no
 * history reaches.
 */
export type Seq = number;

/** A history of a workspace: a random 64-bit number in decimal. */
export type Epoch = string;

/** The identity of an operation: the `counter`-th one of a replica. */
export interface Dot {
  readonly replicaId: ReplicaId;
  /** From 1, without gaps. */
  readonly counter: number;
}

/** `replicaId:counter`, for maps. */
export type DotKey = `${ReplicaId}:${number}`;

/** What the author of an operation knew. Never changed after the operation was made. */
export interface CausalContext {
  readonly epoch: Epoch;
  /** Every change up to here was known. */
  readonly baseSeq: Seq;
  /** Known before they were seen in the order. Empty except after a replica change (SPEC.md, Forks). */
  readonly extras: readonly Dot[];
  /** The hash chain at the base: by it the server tells a history that is gone. Absent when it is not known. */
  readonly baseChain?: Uint8Array;
}

/** Where a feed resumes. Only what is named here may be looked at. */
export interface Cursor {
  readonly workspaceId: string;
  readonly epoch: Epoch;
  readonly seqInclusive: Seq;
  /** Hash chain at that position; empty when not known. */
  readonly chain: Uint8Array;
  /** Whatever else the server put into it, encoded: it is sent back as it came. */
  readonly more?: Uint8Array;
}
