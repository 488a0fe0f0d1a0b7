import type { ConflictEventKind, ConflictKind, ConflictStatus, ConflictSummary } from '../domain/conflict.js';
import {
  ConflictEventKind as WireEventKind,
  ConflictKind as WireKind,
  ConflictStatus as WireStatus,
  type ConflictSummary as WireSummary,
} from '../gen/syncline/v1/conflict_pb.js';
import { millisecondsOf, optionalSeq, safeNumber } from './numbers.js';
import { WireError } from './wire-error.js';

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

function known<T>(value: T | undefined, what: string, wire: number): T {
  if (value === undefined) throw new WireError(`${what} this client does not know: ${wire}`);
  return value;
}

export function conflictStatus(status: WireStatus): ConflictStatus {
  return known(STATUSES[status], 'a status of a conflict', status);
}

export function conflictEventKind(kind: WireEventKind): ConflictEventKind {
  return known(EVENTS[kind], 'an event of a conflict', kind);
}

/** A conflict as feed and snapshot give it. */
export function summaryFromWire(summary: WireSummary): ConflictSummary {
  const closedSeq = optionalSeq(summary.closedSeq);
  const remindAtMs = millisecondsOf(summary.remindTime);
  return {
    conflictId: summary.conflictId,
    kind: known(KINDS[summary.kind], 'a kind of conflict', summary.kind),
    status: conflictStatus(summary.status),
    revision: safeNumber(summary.revision),
    collectionId: summary.collectionId,
    recordId: summary.recordId,
    fieldId: summary.fieldId,
    targetRecordId: summary.targetRecordId,
    openedSeq: safeNumber(summary.openedSeq),
    ...(closedSeq === undefined ? {} : { closedSeq }),
    assignee: summary.assignee,
    ...(remindAtMs === undefined ? {} : { remindAtMs }),
    deferCount: summary.deferCount,
    parentConflictId: summary.parentConflictId,
    alternativeCount: summary.alternativeCount,
    closeReason: summary.closeReason,
  };
}
