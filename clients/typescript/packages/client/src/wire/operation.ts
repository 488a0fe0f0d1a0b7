import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ErrorReason } from '../gen/syncline/v1/error_pb.js';
import type {
  ConflictMutation,
  ConflictMutationSchema,
  Mutation as WireMutation,
  MutationSchema,
  OperationSchema,
  Receipt as WireReceipt,
  RecordMutation,
  RecordMutationSchema,
  TextHunk,
} from '../gen/syncline/v1/operation_pb.js';
import type { Action, Hunk, Mutation, Operation, ServerOutcome, ServerReceipt } from '../domain/operation.js';
import {
  contextFromWire,
  contextToWire,
  dotFromWire,
  dotToWire,
  millisecondsOf,
  safeNumber,
  timestampFromMs,
} from './numbers.js';
import { operationTable } from '../gen/tables.js';
import { decode, encode } from './codec.js';
import { entriesToWire, valueFromWire, valueToWire } from './value.js';
import { WireError } from './wire-error.js';

/** The bytes of an operation. Deterministic. */
export function encodeOperation(operation: Operation): Uint8Array {
  const { context } = operation;
  const message: MessageInitShape<typeof OperationSchema> = {
    identity: { case: 'dot', value: dotToWire(operation.dot) },
    knowledge: { case: 'context', value: contextToWire(context) },
    mutations: operation.mutations.map(mutationToWire),
    correlationId: operation.correlationId,
    dependsOn: operation.dependsOn.map(dotToWire),
    actor: operation.actor,
    clientTime: timestampFromMs(operation.clientTimeMs),
  };
  return encode(operationTable, message);
}

/** The operation of bytes that {@link encodeOperation} made. */
export function decodeOperation(bytes: Uint8Array): Operation {
  const message = decode(operationTable, bytes);
  if (message.identity.case !== 'dot' || message.knowledge.case !== 'context') {
    throw new WireError('an operation without dot or context');
  }
  return {
    dot: dotFromWire(message.identity.value),
    context: contextFromWire(message.knowledge.value),
    mutations: message.mutations.map(mutationFromWire),
    correlationId: message.correlationId,
    dependsOn: message.dependsOn.map(dotFromWire),
    actor: message.actor,
    clientTimeMs: millisecondsOf(message.clientTime) ?? 0,
  };
}

type WireMutationInit = MessageInitShape<typeof MutationSchema>;
type RecordAction = NonNullable<MessageInitShape<typeof RecordMutationSchema>['action']>;
type OnConflict = Extract<Action, { readonly conflictId: string }>;

function mutationToWire(mutation: Mutation): WireMutationInit {
  const { collectionId, recordId, action, observedSeq, resolvesConflictId } = mutation;
  if ('conflictId' in action) return { mutation: { case: 'conflict', value: onConflictToWire(action) } };
  const value = {
    collectionId,
    recordId,
    action: actionToWire(action),
    ...(observedSeq === undefined ? {} : { observedSeq: BigInt(observedSeq) }),
    ...(resolvesConflictId === undefined ? {} : { resolvesConflictId }),
  };
  return { mutation: { case: 'record', value } };
}

function onConflictToWire(action: OnConflict): MessageInitShape<typeof ConflictMutationSchema> {
  const { conflictId } = action;
  switch (action.type) {
    case 'defer_conflict': {
      const value = { revision: BigInt(action.revision), remindTime: timestampFromMs(action.remindAtMs) };
      return { conflictId, action: { case: 'defer', value } };
    }
    case 'assign_conflict':
      return {
        conflictId,
        action: { case: 'assign', value: action.assignee === '' ? {} : { assignee: action.assignee } },
      };
    case 'reopen_conflict':
      return { conflictId, action: { case: 'reopen', value: {} } };
  }
}

function actionToWire(action: Exclude<Action, OnConflict>): RecordAction {
  switch (action.type) {
    case 'create':
      return { case: 'createRecord', value: { fields: entriesToWire(action.fields) } };
    case 'delete':
      return { case: 'deleteRecord', value: {} };
    case 'restore':
      return { case: 'restoreRecord', value: {} };
    case 'set':
      return { case: 'setField', value: { fieldId: action.fieldId, value: valueToWire(action.value) } };
    case 'edit_text':
      return { case: 'editText', value: { fieldId: action.fieldId, hunks: action.hunks.map((hunk) => ({ ...hunk })) } };
    case 'replace_text':
      return { case: 'replaceText', value: { fieldId: action.fieldId, text: action.text } };
    case 'increment':
      return { case: 'incrementCounter', value: { fieldId: action.fieldId, by: action.by } };
    case 'assign_counter':
      return { case: 'assignCounter', value: { fieldId: action.fieldId, value: action.value } };
    case 'add_elements':
      return { case: 'addElements', value: { fieldId: action.fieldId, elements: action.elements.map(valueToWire) } };
    case 'remove_elements':
      return { case: 'removeElements', value: { fieldId: action.fieldId, elements: action.elements.map(valueToWire) } };
    case 'clear_elements':
      return { case: 'clearElements', value: { fieldId: action.fieldId } };
    case 'link':
      return { case: 'linkRecord', value: { fieldId: action.fieldId, targetRecordId: action.targetRecordId } };
    case 'unlink': {
      const { fieldId, targetRecordId } = action;
      return { case: 'unlinkRecord', value: { fieldId, ...(targetRecordId !== null && { targetRecordId }) } };
    }
  }
}

function mutationFromWire({ mutation }: WireMutation): Mutation {
  switch (mutation.case) {
    case 'record': {
      const { collectionId, recordId, action, observedSeq, resolvesConflictId } = mutation.value;
      return {
        collectionId,
        recordId,
        action: actionFromWire(action),
        ...(observedSeq === undefined ? {} : { observedSeq: safeNumber(observedSeq) }),
        ...(resolvesConflictId === undefined ? {} : { resolvesConflictId }),
      };
    }
    case 'conflict':
      return { collectionId: '', recordId: '', action: onConflictFromWire(mutation.value) };
    case undefined:
      throw new WireError('a mutation of nothing');
  }
}

function onConflictFromWire({ conflictId, action }: ConflictMutation): OnConflict {
  switch (action.case) {
    case 'defer':
      return {
        type: 'defer_conflict',
        conflictId,
        revision: safeNumber(action.value.revision),
        remindAtMs: millisecondsOf(action.value.remindTime) ?? 0,
      };
    case 'assign':
      return { type: 'assign_conflict', conflictId, assignee: action.value.assignee ?? '' };
    case 'reopen':
      return { type: 'reopen_conflict', conflictId };
    case undefined:
      throw new WireError('a mutation without an action');
  }
}

function actionFromWire(action: RecordMutation['action']): Action {
  switch (action.case) {
    case 'createRecord': {
      const fields = Object.entries(action.value.fields).map(([id, value]) => [id, valueFromWire(value)] as const);
      return { type: 'create', fields: new Map(fields) };
    }
    case 'deleteRecord':
      return { type: 'delete' };
    case 'restoreRecord':
      return { type: 'restore' };
    case 'setField':
      return { type: 'set', fieldId: action.value.fieldId, value: valueFromWire(action.value.value) };
    case 'editText':
      return { type: 'edit_text', fieldId: action.value.fieldId, hunks: action.value.hunks.map(hunkFromWire) };
    case 'replaceText':
      return { type: 'replace_text', fieldId: action.value.fieldId, text: action.value.text };
    case 'incrementCounter':
      return { type: 'increment', fieldId: action.value.fieldId, by: action.value.by };
    case 'assignCounter':
      return { type: 'assign_counter', fieldId: action.value.fieldId, value: action.value.value };
    case 'addElements':
      return {
        type: 'add_elements',
        fieldId: action.value.fieldId,
        elements: action.value.elements.map(valueFromWire),
      };
    case 'removeElements':
      return {
        type: 'remove_elements',
        fieldId: action.value.fieldId,
        elements: action.value.elements.map(valueFromWire),
      };
    case 'clearElements':
      return { type: 'clear_elements', fieldId: action.value.fieldId };
    case 'linkRecord':
      return { type: 'link', fieldId: action.value.fieldId, targetRecordId: action.value.targetRecordId };
    case 'unlinkRecord': {
      const { fieldId, targetRecordId } = action.value;
      return { type: 'unlink', fieldId, targetRecordId: targetRecordId ?? null };
    }
    // This client decides on texts by edits.
    case 'decideText':
    case undefined:
      throw new WireError('a mutation without an action');
  }
}

/** A hunk of an author. */
export function hunkFromWire(hunk: TextHunk): Hunk {
  return { position: hunk.position, deleteCount: hunk.deleteCount, insert: hunk.insert };
}

/** Names of the reasons by their numbers; as text, since an enum would name each of them twice. */
const REASONS = (
  'UNSPECIFIED MALFORMED_MESSAGE MESSAGE_TOO_LARGE INVALID_REQUEST UNKNOWN_WORKSPACE WORKSPACE_EXISTS ' +
  'TOO_MANY_OPERATIONS OPERATION_TOO_LARGE INVALID_VALUE VALUE_TOO_DEEP UNKNOWN_ACTION ' +
  'UNDECLARED_COLLECTION UNDECLARED_FIELD KIND_MISMATCH UNKNOWN_FIELD_KIND SCHEMA_CONFLICT CONTEXT_AHEAD ' +
  'WRONG_EPOCH INVALID_CONTEXT REPLICA_FORKED REQUEST_ID_REUSED HOLD_QUOTA CAUSALITY_CYCLE ABANDONED ' +
  'COUNTER_NOT_NEXT DEPENDENCY_REJECTED RECORD_NOT_FOUND RECORD_EXISTS RECORD_DELETED ' +
  'COLLECTION_MISMATCH INVALID_TEXT_EDIT POSITION_OUT_OF_BOUNDS TEXT_TOO_LARGE COUNTER_OUT_OF_RANGE ' +
  'SET_TOO_LARGE CONFLICT_NOT_FOUND CONFLICT_CHANGED CONFLICT_NOT_LIVE CONFLICT_LIVE CURSOR_MISMATCH ' +
  'INVALID_PAGE_TOKEN UNKNOWN_ENUM_VALUE STREAM_PROTOCOL OVERLOADED SHUTTING_DOWN STORE_UNAVAILABLE ' +
  'UNKNOWN_METHOD INTERNAL DEADLINE UNKNOWN_CONNECTION UNKNOWN_FIELD HISTORY_REWOUND NOT_ALL_SETTLED ' +
  'SCHEMA_CHANGED NOT_CAUGHT_UP UNAUTHENTICATED PERMISSION_DENIED QUOTA_EXCEEDED REPLICA_NOT_YOURS ' +
  'EFFECT_TOO_LARGE VIEW_TOO_LARGE WORKSPACE_READ_ONLY TOO_MANY_SIDES'
).split(' ');

/** A reason's name without its prefix; a number for one this client does not know. */
export function reasonName(reason: ErrorReason): string {
  return REASONS[reason] ?? `REASON_${reason}`;
}

/** A receipt; `duplicate` is unwrapped. */
export function receiptFromWire(receipt: WireReceipt): ServerReceipt {
  return {
    dot: dotFromWire(receipt.dot),
    outcome: outcomeFromWire(receipt.outcome),
    remaining: receipt.remaining.map((left) => ({
      conflictId: left.conflictId,
      unseenSeqs: left.unseenSeqs.map(safeNumber),
    })),
  };
}

function outcomeFromWire(outcome: WireReceipt['outcome'], stored = false): ServerOutcome {
  switch (outcome.case) {
    case 'applied':
    case 'merged':
      return { type: outcome.case, seq: safeNumber(outcome.value.seq) };
    case 'conflicted':
      return { type: 'conflicted', seq: safeNumber(outcome.value.seq), conflictIds: outcome.value.conflictIds };
    case 'held': {
      const { missing, expectedCounter } = outcome.value;
      return {
        type: 'held',
        missing: missing.case === 'operation' ? dotFromWire(missing.value) : (missing.value ?? ''),
        expectedCounter: safeNumber(expectedCounter),
      };
    }
    case 'rejected': {
      const { reason, message, metadata, mutationIndex } = outcome.value;
      return {
        type: 'rejected',
        refusal: { reason: reasonName(reason), message, metadata },
        ...(mutationIndex === undefined ? {} : { mutationIndex }),
      };
    }
    case 'duplicate': {
      const inner = outcome.value.stored;
      if (inner === undefined || stored) throw new WireError('a duplicate without the receipt it stands for');
      return outcomeFromWire(inner.outcome, true);
    }
    case 'notSettled': {
      const { reason, message, metadata, expectedCounter, mutationIndex } = outcome.value;
      return {
        type: 'not_settled',
        refusal: { reason: reasonName(reason), message, metadata },
        expectedCounter: safeNumber(expectedCounter),
        ...(mutationIndex === undefined ? {} : { mutationIndex }),
      };
    }
    case undefined:
      return { type: 'unknown' };
  }
}
