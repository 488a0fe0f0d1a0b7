import type {
  CloseReason,
  ConflictEventKind,
  ConflictKind,
  ConflictStatus,
  ConflictSummary,
} from '../domain/conflict.js';
import type {
  Conflict as WireConflict,
  ConflictEventKind as WireEventKind,
  ConflictStatus as WireStatus,
} from '../gen/syncline/v1/conflict_pb.js';
import { millisecondsOf, optionalSeq, safeNumber } from './numbers.js';

/** Names by the protocol's numbers, from 1 on; as text, since an enum would name each of them twice. */
export function namesOf<Name extends string>(names: string): readonly (Name | undefined)[] {
  return ` ${names}`.split(' ').map((name) => (name === '' ? undefined : (name as Name)));
}

const KINDS = namesOf<ConflictKind>('register text_overlap edit_delete relationship');
const STATUSES = namesOf<ConflictStatus>('open deferred resolved obsolete superseded');
const EVENTS = namesOf<ConflictEventKind>('opened changed deferred reminded assigned closed reopened');
const CLOSE_REASONS = namesOf<CloseReason>('resolved converged deleted superseded policy merged');

/** Where a conflict stands. A status this client does not know is live until it is said to have closed. */
export function conflictStatus(status: WireStatus, closedSeq?: bigint): ConflictStatus {
  return STATUSES[status] ?? (closedSeq === undefined ? 'open' : 'obsolete');
}

/** What happened to a conflict; something newer is a change. */
export function conflictEventKind(kind: WireEventKind): ConflictEventKind {
  return EVENTS[kind] ?? 'changed';
}

/** A conflict as the feed gives it. */
export function summaryFromWire(conflict: WireConflict): ConflictSummary {
  const { conflictId, collectionId, recordId, fieldIds, deferCount, alternativeCount } = conflict;
  const { targetRecordId, assignee, parentConflictId } = conflict;
  const closedSeq = optionalSeq(conflict.closedSeq);
  const remindAtMs = millisecondsOf(conflict.remindTime);
  const closeReason = CLOSE_REASONS[conflict.closeReason];
  return {
    conflictId,
    kind: KINDS[conflict.kind] ?? 'unknown',
    status: conflictStatus(conflict.status, conflict.closedSeq),
    revision: safeNumber(conflict.revision),
    collectionId,
    recordId,
    fieldIds,
    ...(targetRecordId === undefined ? {} : { targetRecordId }),
    openedSeq: safeNumber(conflict.openedSeq),
    ...(closedSeq === undefined ? {} : { closedSeq }),
    ...(assignee === undefined ? {} : { assignee }),
    ...(remindAtMs === undefined ? {} : { remindAtMs }),
    deferCount,
    ...(parentConflictId === undefined ? {} : { parentConflictId }),
    alternativeCount,
    ...(closeReason && { closeReason }),
  };
}
