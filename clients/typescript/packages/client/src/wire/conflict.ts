import type {
  Alternative,
  ConflictDetail,
  ConflictEvent,
  MutationKind,
  RecordPicture,
  TextRegion,
} from '../domain/conflict.js';
import type { ExactValue, FieldState, Value } from '../domain/value.js';
import type {
  Alternative as WireAlternative,
  ConflictEvent as WireEvent,
  MutationKind as WireKind,
  TextRegion as WireRegion,
} from '../gen/syncline/v1/conflict_pb.js';
import type { GetConflictResponse } from '../gen/syncline/v1/conflict_service_pb.js';
import type { Record as WireRecord } from '../gen/syncline/v1/record_pb.js';
import type { Value as WireValue } from '../gen/syncline/v1/value_pb.js';
import { fieldStateFromWire } from './change.js';
import { conflictEventKind, conflictStatus, namesOf, summaryFromWire } from './conflict-summary.js';
import { contextFromWire, dotFromWire, millisecondsOf, present, safeNumber } from './numbers.js';
import { valueFromWire } from './value.js';
import { unlessUnknown } from './wire-error.js';
import { valueOf } from '../domain/exact.js';

/** Everything about a conflict. */
export function conflictDetailFromWire(response: GetConflictResponse): ConflictDetail {
  return {
    summary: summaryFromWire(present(response.conflict, 'a conflict')),
    rule: response.rule,
    reason: response.reason,
    baseValue: shownValue(response.baseValue) ?? null,
    baseExact: response.baseExact,
    alternatives: response.alternatives.map(alternativeFromWire),
    ...(response.region && { region: regionFromWire(response.region) }),
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

/** A side of which the whole was read. */
export function wholeAlternative(beginning: Alternative, whole: WireValue | undefined): Alternative {
  const side: { -readonly [P in keyof Alternative]: Alternative[P] } = { ...beginning };
  delete side.wholeBytes;
  const value = shownValue(whole);
  return { ...side, ...(value === undefined ? { opaque: true } : { value }) };
}

/** A value for people; undefined when there is none, or only a newer version could show it. */
function shownValue(value: WireValue | undefined): Value | undefined {
  const exact = value && unlessUnknown(() => valueFromWire(value));
  return exact && valueOf(exact);
}

const KINDS = namesOf<MutationKind>(
  'create_record delete_record restore_record set_field edit_text replace_text increment_counter ' +
    'assign_counter add_elements remove_elements clear_elements link_record unlink_record defer_conflict ' +
    'assign_conflict reopen_conflict decide_text',
);
const STATES = namesOf<Alternative['state']>('head shadow suppressed');

export function mutationKind(kind: WireKind): MutationKind {
  return KINDS[kind] ?? 'unknown';
}

function alternativeFromWire(alternative: WireAlternative): Alternative {
  const clientTimeMs = millisecondsOf(alternative.clientTime);
  const commitTimeMs = millisecondsOf(alternative.commitTime);
  const value = shownValue(alternative.value);
  const values = Object.entries(alternative.values).map(([id, one]) => [id, shownValue(one) ?? null] as const);
  return {
    seq: safeNumber(alternative.seq),
    dot: dotFromWire(alternative.dot),
    actor: alternative.actor,
    ...(clientTimeMs === undefined ? {} : { clientTimeMs }),
    ...(commitTimeMs === undefined ? {} : { commitTimeMs }),
    context: contextFromWire(alternative.context),
    ...(value !== undefined && { value }),
    ...(alternative.wholeValueBytes !== undefined && { wholeBytes: safeNumber(alternative.wholeValueBytes) }),
    ...(alternative.value !== undefined && value === undefined && { opaque: true }),
    ...(values.length > 0 && { values: Object.fromEntries(values) }),
    // Something newer is offered all the same.
    state: STATES[alternative.state] ?? 'head',
    action: mutationKind(alternative.action),
    siblings: alternative.siblings,
    provisional: alternative.provisional,
    correlationId: alternative.correlationId,
  };
}

function regionFromWire({ position, length, shown, wholeShownBytes, before, after }: WireRegion): TextRegion {
  const whole = wholeShownBytes === undefined ? {} : { wholeShownBytes: safeNumber(wholeShownBytes) };
  return { position, length, shown, ...whole, before, after };
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
  if (record === undefined) return { collectionId: '', recordId: '', deleted: false, fields: {}, opaque: [] };
  const fields: Record<string, Value> = {};
  const opaque: string[] = [];
  for (const [fieldId, field] of Object.entries(record.fields)) {
    const state = fieldStateFromWire(field);
    if (state.kind === 'opaque') opaque.push(fieldId);
    fields[fieldId] = plainField(state);
  }
  return { collectionId: record.collectionId, recordId: record.recordId, deleted: record.deleted, fields, opaque };
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
    case 'opaque':
      return null;
  }
}
