/** Every limit and period of the client, with its unit last. SPEC.md lists them; those the server enforces say so. */

/** Operations in one Submit (server). */
export const OPERATIONS_PER_CALL_MAX = 1_000;
/** Mutations in one operation (server). */
export const MUTATIONS_PER_OPERATION_MAX = 100;
/** Encoded size of an operation (server). */
export const OPERATION_BYTES_MAX = 256 * 1024;
/** Encoded size of a message to the server (server); calls are filled to CALL_BYTES_MAX. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;
/** Encoded operations in one call: leaves room for the message around them. */
export const CALL_BYTES_MAX = MESSAGE_BYTES_MAX - 16 * 1024;
/** Hunks in one text edit (server). */
export const TEXT_HUNKS_MAX = 1_000;
/** A text field's size (server). */
export const TEXT_BYTES_MAX = 1024 * 1024;
/** Elements in one add or remove (server). */
export const ELEMENTS_PER_MUTATION_MAX = 100;
/** Bytes of an element that is added to a set (server). */
export const ELEMENT_BYTES_MAX = 1024;
/** Nesting of a value (server). */
export { VALUE_DEPTH_MAX } from './domain/exact.js';
/** Ids (server). */
export const ID_BYTES_MAX = 64;
/** Correlation ids, actors, client names, assignees (server). */
export const LABEL_BYTES_MAX = 128;
/** Extras of a context (server). */
export const EXTRAS_MAX = 32;

/** Ceilings of the wait before the first, second, third attempt; the last one stays. The wait is uniform in [0, ceiling]. */
export const BACKOFF_CEILINGS_MS = [2_000, 4_000, 8_000] as const;
/** Health after which the back-off begins anew. */
export const HEALTHY_AFTER_MS = 30_000;
/** Failures in a row after which the breaker opens. */
export const BREAKER_FAILURES = 8;
/** How long an open breaker lets nothing through but one probe. */
export const BREAKER_OPEN_MS = 60_000;
/** A unary call. */
export const CALL_TIMEOUT_MS = 10_000;
/** From opening a stream to its first frame. */
export const STREAM_OPEN_TIMEOUT_MS = 10_000;
/** When a stream has not begun for so long, a call tells whether the server can be reached at all. */
export const STREAM_DOUBT_MS = 5_000;
/** Used until the server says an interval. */
export const HEARTBEAT_INTERVAL_MS = 15_000;
/** Silence, in heartbeat intervals, after which the other side counts as gone. */
export const SILENCE_INTERVALS = 2.5;
/** A doubted link that says nothing this long counts as gone; so long before it is due an attempt is made early. */
export const SILENCE_CHECK_MS = 2_000;
/** How long something must be wrong before the summary leaves `online`. */
export const TROUBLE_SHOWN_AFTER_MS = 400;

/** A queue of which nothing settles for so long is shown as waiting. */
export const QUEUE_STILL_AFTER_MS = 1_000;
/** A part of the client that could not be loaded is asked for again after this. */
export const LOAD_RETRY_MS = 2_000;
/** How often presence is asked for while somebody looks at it. */
export const PRESENCE_EVERY_MS = 5_000;

/** Operations of one queue in flight. One call at a time per queue, so that order is kept. */
export const IN_FLIGHT_CALLS_PER_QUEUE = 1;
/** Operations in a call on a good link, and at most. */
export const BATCH_OPERATIONS_MIN = 64;
export const BATCH_OPERATIONS_MAX = OPERATIONS_PER_CALL_MAX;
/** How long a batch gathers: nothing on a good link, this much on a bad one. */
export const BATCH_GATHER_MAX_MS = 500;
/** Wait before a held operation is sent again; doubles up to the maximum. */
export const HELD_RETRY_MS = 1_000;
export const HELD_RETRY_MAX_MS = 60_000;
/** Operations that may be queued in one replica; beyond it `mutate` throws `QUEUE_FULL`. */
export const QUEUE_OPERATIONS_MAX = 10_000;

/** Own settled operations are kept this long for a history that is rewound. */
export const SETTLED_KEPT_MS = 24 * 60 * 60 * 1000;
export const SETTLED_KEPT_MAX = 10_000;
/**
 * Whole texts, in characters, that a client keeps with operations that fall together. For further operations it
 * keeps only what they inserted. Rejected operations themselves are limited by the device's storage alone, because a
 * client must not drop what its user wrote.
 */
export const FALLEN_TEXTS_MAX = 4 * 1024 * 1024;
/** Settled edits of a text kept beyond what pending ones need. */
export const TEXT_TAIL_EDITS_KEPT = 512;
/** Operations of one text's order tree; beyond it the view is approximate. */
export const TEXT_TREE_OPERATIONS_MAX = 20_000;
/** Product of the numbers of words in the differing middles of two texts beyond which a diff is one hunk. */
export { DIFF_WORK_MAX } from './domain/text/diff.js';
/** Undo steps kept in a tab. */
export const UNDO_STEPS_MAX = 200;

/** The leader says so this often. */
export const LEADER_BEAT_MS = 1_000;
/** The leader tells what changed at most this often. */
export const LEADER_TELLS_EVERY_MS = 100;
/** A visible follower that hears nothing this long takes the lead from a frozen leader. */
export const LEADER_SILENT_MS = 5_000;
/** Frames a leader keeps for followers that missed one. */
export const FRAMES_KEPT_MAX = 256;
/** How often a leader looks for queues of closed tabs. */
export const CLOSED_SLOTS_EVERY_MS = 5_000;
/** Replica slots of one browser. */
export const SLOTS_MAX = 256;
/** A failed save is tried again after this; doubles up to the maximum. */
export const SAVE_RETRY_MS = 500;
export const SAVE_RETRY_MAX_MS = 30_000;
