import type {
  Change,
  ConfirmedField,
  ConfirmedRecord,
  Effect,
  Frame,
  SettledHunk,
  SnapshotChunk,
  Splice,
} from '../domain/change.js';
import type { FieldState } from '../domain/value.js';
import { keyOf } from '../domain/exact.js';
import {
  ChangeOutcome,
  type Change as WireChange,
  type Effect as WireEffect,
  type SettledHunk as WireSettledHunk,
  type TextSplice,
} from '../gen/syncline/v1/change_pb.js';
import {
  GoAwayReason,
  ResetReason,
  type Frame as WireFrame,
  type RecordSnapshot,
  type SnapshotResponse,
} from '../gen/syncline/v1/change_service_pb.js';
import type { FieldState as WireFieldState } from '../gen/syncline/v1/record_pb.js';
import { conflictEventKind, summaryFromWire } from './conflict-summary.js';
import {
  contextFromWire,
  cursorFromWire,
  dotFromWire,
  millisecondsOf,
  optionalSeq,
  present,
  safeNumber,
} from './numbers.js';
import { hunkFromWire } from './operation.js';
import { valueFromWire } from './value.js';
import { WireError } from './wire-error.js';

/** One frame; undefined for content this client does not know. */
export function frameFromWire(frame: WireFrame): Frame | undefined {
  const { content } = frame;
  if (content.case === undefined) return undefined;
  const cursor = cursorFromWire(frame.cursor);
  switch (content.case) {
    case 'opened':
      return {
        cursor,
        type: 'opened',
        headSeq: safeNumber(content.value.headSeq),
        schemaVersion: safeNumber(content.value.schemaVersion),
      };
    case 'changes':
      return {
        cursor,
        type: 'changes',
        fromSeqExclusive: safeNumber(content.value.fromSeqExclusive),
        toSeqInclusive: safeNumber(content.value.toSeqInclusive),
        changes: content.value.changes.map(changeFromWire),
        headSeq: safeNumber(content.value.headSeq),
        schemaVersion: safeNumber(content.value.schemaVersion),
      };
    case 'checkpoint':
      return { cursor, type: 'checkpoint', headSeq: safeNumber(content.value.headSeq) };
    case 'reset':
      return { cursor, type: 'reset', reason: resetReason(content.value.reason) };
    case 'goAway':
      return { cursor, type: 'go_away', reason: goAwayReason(content.value.reason) };
  }
}

function resetReason(reason: ResetReason): Extract<Frame, { type: 'reset' }>['reason'] {
  switch (reason) {
    case ResetReason.COMPACTED:
      return 'compacted';
    case ResetReason.WRONG_EPOCH:
      return 'wrong_epoch';
    case ResetReason.FUTURE_CURSOR:
      return 'future_cursor';
    case ResetReason.FORBIDDEN:
      return 'forbidden';
    default:
      throw new WireError(`a reset for a reason this client does not know: ${reason}`);
  }
}

function goAwayReason(reason: GoAwayReason): Extract<Frame, { type: 'go_away' }>['reason'] {
  switch (reason) {
    case GoAwayReason.MAX_AGE:
      return 'max_age';
    case GoAwayReason.SLOW_CONSUMER:
      return 'slow_consumer';
    default:
      // A newer reason is still a reason to go on elsewhere.
      return 'draining';
  }
}

function changeFromWire(change: WireChange): Change {
  return {
    seq: safeNumber(change.seq),
    dot: dotFromWire(change.dot),
    context: contextFromWire(change.context),
    correlationId: change.correlationId,
    actor: change.actor,
    commitTimeMs: millisecondsOf(change.commitTime) ?? 0,
    effects: change.effects.map(effectFromWire),
    outcome: outcomeOf(change.outcome),
    operationHash: change.operationHash,
    chain: change.chain,
  };
}

function outcomeOf(outcome: ChangeOutcome): Change['outcome'] {
  switch (outcome) {
    case ChangeOutcome.APPLIED:
      return 'applied';
    case ChangeOutcome.MERGED:
      return 'merged';
    case ChangeOutcome.CONFLICTED:
      return 'conflicted';
    default:
      throw new WireError(`an outcome this client does not know: ${outcome}`);
  }
}

function effectFromWire(effect: WireEffect): Effect {
  const at = { collectionId: effect.collectionId, recordId: effect.recordId, fieldId: effect.fieldId };
  const what = effect.effect;
  switch (what.case) {
    case 'recordCreated':
      return { ...at, type: 'record_created' };
    case 'recordDeleted':
      return { ...at, type: 'record_deleted' };
    case 'recordRestored':
      return { ...at, type: 'record_restored' };
    case 'registerChanged':
      return { ...at, type: 'register_changed', value: valueFromWire(what.value.value) };
    case 'textChanged':
      return {
        ...at,
        type: 'text_changed',
        splices: what.value.splices.map(spliceFromWire),
        hunks: what.value.hunks.map(settledHunkFromWire),
      };
    case 'counterChanged':
      return { ...at, type: 'counter_changed', value: what.value.value };
    case 'setChanged':
      return {
        ...at,
        type: 'set_changed',
        added: what.value.added.map(valueFromWire),
        removed: what.value.removed.map(valueFromWire),
      };
    case 'conflictChanged':
      return {
        ...at,
        type: 'conflict_changed',
        event: conflictEventKind(what.value.event),
        conflict: summaryFromWire(present(what.value.conflict, 'a conflict')),
      };
    case undefined:
      // An effect that is left out would make this state nobody's.
      throw new WireError('an effect this client does not know');
  }
}

function spliceFromWire({ step }: TextSplice): Splice {
  switch (step.case) {
    case 'retainCount':
      return { type: 'retain', count: step.value };
    case 'insert':
      return { type: 'insert', text: step.value };
    case 'delete':
      return { type: 'delete', text: step.value };
    case undefined:
      throw new WireError('a splice this client does not know');
  }
}

function settledHunkFromWire(settled: WireSettledHunk): SettledHunk {
  const suppressedBySeq = optionalSeq(settled.suppressedBySeq);
  return {
    hunk: hunkFromWire(present(settled.hunk, 'a hunk')),
    ...(suppressedBySeq === undefined ? {} : { suppressedBySeq }),
  };
}

/** A part of a snapshot. */
export function snapshotChunkFromWire(chunk: SnapshotResponse): SnapshotChunk {
  return {
    cursor: cursorFromWire(chunk.cursor),
    records: chunk.records.map(recordFromWire),
    conflicts: chunk.conflicts.map(summaryFromWire),
    complete: chunk.complete,
    sentCount: safeNumber(chunk.sentCount),
    estimatedCount: safeNumber(chunk.estimatedCount),
  };
}

function recordFromWire(snapshot: RecordSnapshot): ConfirmedRecord {
  const record = present(snapshot.record, 'a record');
  const fields = new Map<string, ConfirmedField>();
  for (const [fieldId, field] of Object.entries(record.fields)) {
    fields.set(fieldId, { state: fieldStateFromWire(field), lastSeq: safeNumber(field.lastSeq) });
  }
  return {
    recordId: record.recordId,
    collectionId: record.collectionId,
    deleted: record.deleted,
    createdSeq: safeNumber(record.createdSeq),
    lastSeq: safeNumber(record.lastSeq),
    asOfSeq: safeNumber(snapshot.asOfSeq),
    fields,
  };
}

/** A field's state as it stands. */
export function fieldStateFromWire({ state }: WireFieldState): FieldState {
  switch (state.case) {
    case 'registerValue':
      return { kind: 'register', value: valueFromWire(state.value) };
    case 'text':
      return { kind: 'text', text: state.value };
    case 'counter':
      return { kind: 'counter', value: state.value };
    case 'elements': {
      const elements = state.value.values.map(valueFromWire);
      return { kind: 'set', elements: new Map(elements.map((element) => [keyOf(element), element])) };
    }
    case 'targetRecordId':
      return { kind: 'to_one', target: state.value === '' ? null : state.value };
    case 'targetRecordIds':
      return { kind: 'to_many', targets: new Set(state.value.recordIds) };
    case undefined:
      throw new WireError('a field of a kind this client does not know');
  }
}
