import type { Alternative, ConflictDetail, ConflictEvent, RecordPicture } from '../domain/conflict.js';
import type { ExactValue, FieldState, Value } from '../domain/value.js';
import {
  AlternativeState,
  type Alternative as WireAlternative,
  type ConflictEvent as WireEvent,
} from '../gen/syncline/v1/conflict_pb.js';
import type { GetConflictResponse } from '../gen/syncline/v1/conflict_service_pb.js';
import type { Record as WireRecord } from '../gen/syncline/v1/record_pb.js';
import { fieldStateFromWire } from './change.js';
import { conflictEventKind, conflictStatus, summaryFromWire } from './conflict-summary.js';
import { contextFromWire, dotFromWire, millisecondsOf, present, safeNumber } from './numbers.js';
import { hunkFromWire } from './operation.js';
import { valueFromWire } from './value.js';
import { WireError } from './wire-error.js';
import { valueOf } from '../domain/exact.js';

/** Everything about a conflict. */
export function conflictDetailFromWire(response: GetConflictResponse): ConflictDetail {
  return {
    summary: summaryFromWire(present(response.conflict, 'a conflict')),
    rule: response.rule,
    reason: response.reason,
    baseValue: response.baseValue === undefined ? null : valueOf(valueFromWire(response.baseValue)),
    baseExact: response.baseExact,
    alternatives: response.alternatives.map(alternativeFromWire),
    record: pictureOf(response.record),
    recordAtOpening: pictureOf(response.recordAtOpening),
    linkedRecords: response.linkedRecords.map((linked) => ({
      record: pictureOf(linked.record),
      fieldId: linked.fieldId,
      incoming: linked.incoming,
    })),
    events: response.events.map(eventFromWire),
  };
}

function alternativeFromWire(alternative: WireAlternative): Alternative {
  const clientTimeMs = millisecondsOf(alternative.clientTime);
  const commitTimeMs = millisecondsOf(alternative.commitTime);
  return {
    seq: safeNumber(alternative.seq),
    dot: dotFromWire(alternative.dot),
    actor: alternative.actor,
    ...(clientTimeMs === undefined ? {} : { clientTimeMs }),
    ...(commitTimeMs === undefined ? {} : { commitTimeMs }),
    context: contextFromWire(alternative.context),
    ...(alternative.value === undefined ? {} : { value: valueOf(valueFromWire(alternative.value)) }),
    state: alternativeState(alternative.state),
    ...(alternative.hunk === undefined ? {} : { hunk: hunkFromWire(alternative.hunk) }),
    replacedText: alternative.replacedText,
    action: alternative.action,
    siblings: alternative.siblings,
    provisional: alternative.provisional,
    correlationId: alternative.correlationId,
  };
}

function alternativeState(state: AlternativeState): Alternative['state'] {
  switch (state) {
    case AlternativeState.HEAD:
      return 'head';
    case AlternativeState.SHADOW:
      return 'shadow';
    case AlternativeState.SUPPRESSED:
      return 'suppressed';
    default:
      throw new WireError(`a state of an alternative this client does not know: ${state}`);
  }
}

function eventFromWire(event: WireEvent): ConflictEvent {
  const commitTimeMs = millisecondsOf(event.commitTime);
  return {
    kind: conflictEventKind(event.kind),
    seq: safeNumber(event.seq),
    ...(commitTimeMs === undefined ? {} : { commitTimeMs }),
    actor: event.actor,
    revision: safeNumber(event.revision),
    status: conflictStatus(event.status),
    detail: event.detail,
  };
}

/** A record as the server read it; an absent one has no id. */
function pictureOf(record: WireRecord | undefined): RecordPicture {
  if (record === undefined) return { collectionId: '', recordId: '', deleted: false, fields: {} };
  const fields: Record<string, Value> = {};
  for (const [fieldId, field] of Object.entries(record.fields)) fields[fieldId] = plainField(fieldStateFromWire(field));
  return { collectionId: record.collectionId, recordId: record.recordId, deleted: record.deleted, fields };
}

function plainField(state: FieldState): Value {
  switch (state.kind) {
    case 'register':
      return valueOf(state.value);
    case 'text':
      return state.text;
    case 'counter':
      return valueOf({ kind: 'int', value: state.value } satisfies ExactValue);
    case 'set':
      return [...state.elements.values()].map(valueOf);
    case 'to_one':
      return state.target;
    case 'to_many':
      return [...state.targets];
  }
}
