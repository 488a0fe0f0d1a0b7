import type {
  CloseReason,
  ConflictEventKind,
  ConflictKind,
  ConflictStatus,
  ConflictSummary,
} from '../domain/conflict.js';
import {
  CloseReason as WireCloseReason,
  ConflictEventKind as WireEventKind,
  ConflictKind as WireKind,
  ConflictStatus as WireStatus,
  type Conflict as WireConflict,
} from '../gen/syncline/v1/conflict_pb.js';
import { millisecondsOf, optionalSeq, safeNumber } from './numbers.js';

const KINDS: Readonly<Partial<Record<WireKind, ConflictKind>>> = {
  [WireKind.REGISTER]: 'register',
  [WireKind.TEXT_OVERLAP]: 'text_overlap',
  [WireKind.EDIT_DELETE]: 'edit_delete',
  [WireKind.RELATIONSHIP]: 'relationship',
};

const STATUSES: Readonly<Partial<Record<WireStatus, ConflictStatus>>> = {
  [WireStatus.OPEN]: 'open',
  [WireStatus.DEFERRED]: 'deferred',
  [WireStatus.RESOLVED]: 'resolved',
  [WireStatus.OBSOLETE]: 'obsolete',
  [WireStatus.SUPERSEDED]: 'superseded',
};

const EVENTS: Readonly<Partial<Record<WireEventKind, ConflictEventKind>>> = {
  [WireEventKind.OPENED]: 'opened',
  [WireEventKind.CHANGED]: 'changed',
  [WireEventKind.DEFERRED]: 'deferred',
  [WireEventKind.REMINDED]: 'reminded',
  [WireEventKind.ASSIGNED]: 'assigned',
  [WireEventKind.CLOSED]: 'closed',
  [WireEventKind.REOPENED]: 'reopened',
};

const CLOSE_REASONS: Readonly<Partial<Record<WireCloseReason, CloseReason>>> = {
  [WireCloseReason.RESOLVED]: 'resolved',
  [WireCloseReason.CONVERGED]: 'converged',
  [WireCloseReason.DELETED]: 'deleted',
  [WireCloseReason.SUPERSEDED]: 'superseded',
  [WireCloseReason.POLICY]: 'policy',
};

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
