import type {
  Change,
  ConfirmedField,
  ConfirmedRecord,
  Effect,
  Frame,
  FeedOrigin,
  ServerInfo,
  SettledHunk,
  Splice,
} from '../domain/change.js';
import type { Cursor } from '../domain/ids.js';
import type { FieldState } from '../domain/value.js';
import { keyOf } from '../domain/exact.js';
import type {
  Change as WireChange,
  Effect as WireEffect,
  RecordEffect,
  SettledHunk as WireSettledHunk,
  TextSplice,
} from '../gen/syncline/v1/change_pb.js';
import type {
  Frame as WireFrame,
  FeedStart,
  RecordSnapshot,
  ResetReason as WireResetReason,
} from '../gen/syncline/v1/change_service_pb.js';
import type { FieldState as WireFieldState } from '../gen/syncline/v1/record_pb.js';
import type { Feature, ServerInfo as WireServerInfo } from '../gen/syncline/v1/server_info_pb.js';
import { fieldStateTable, recordEffectTable } from '../gen/tables.js';
import { encode } from './codec.js';
import { conflictEventKind, namesOf, summaryFromWire } from './conflict-summary.js';
import {
  contextFromWire,
  cursorFromWire,
  cursorToWire,
  dotFromWire,
  millisecondsOf,
  optionalSeq,
  present,
  safeNumber,
} from './numbers.js';
import { hunkFromWire } from './operation.js';
import { valueFromWire } from './value.js';
import { UnknownContent, unlessUnknown, WireError } from './wire-error.js';

/** Names of the features by their numbers; as text, since an enum would name each of them twice. */
const FEATURES = 'UNSPECIFIED SUBSCRIPTIONS FEED_SNAPSHOT ALL_OR_NOTHING VIEWS RULES TEXT_REGIONS REVERT'.split(' ');

/** What this client can take in beyond the first version of the protocol. */
export const UNDERSTANDS: readonly Feature[] = [FEATURES.indexOf('FEED_SNAPSHOT')];

/** Where a feed starts. */
export function originToWire(origin: FeedOrigin): FeedStart['origin'] {
  return origin === 'snapshot'
    ? { case: 'snapshot', value: {} as never }
    : { case: 'cursor', value: cursorToWire(origin) };
}

/** Of a frame that says no place. */
const NOWHERE: Cursor = { workspaceId: '', epoch: '0', seqInclusive: 0, chain: new Uint8Array() };

/** One frame; undefined for content that this client does not know and may go on without. */
export function frameFromWire(frame: WireFrame): Frame | undefined {
  const { ignorable } = frame;
  const known = unlessUnknown(() => knownFrame(frame, ignorable));
  if (known !== undefined || ignorable) return known;
  return { type: 'unknown', cursor: frame.cursor === undefined ? NOWHERE : cursorFromWire(frame.cursor) };
}

function knownFrame({ content, cursor: at }: WireFrame, ignorable: boolean): Frame {
  if (content.case === undefined) throw new UnknownContent('a frame of content this client does not know');
  const cursor = cursorFromWire(at);
  switch (content.case) {
    case 'opened': {
      const { headSeq, schemaVersion, server } = content.value;
      return {
        cursor,
        type: 'opened',
        headSeq: safeNumber(headSeq),
        schemaVersion: safeNumber(schemaVersion),
        ...(server && { server: serverInfoFromWire(server) }),
      };
    }
    case 'changes':
      return {
        cursor,
        type: 'changes',
        fromSeqExclusive: safeNumber(content.value.fromSeqExclusive),
        toSeqInclusive: safeNumber(content.value.toSeqInclusive),
        changes: content.value.changes.map((change) => changeFromWire(change, ignorable)),
        headSeq: safeNumber(content.value.headSeq),
        schemaVersion: safeNumber(content.value.schemaVersion),
      };
    case 'checkpoint':
      return { cursor, type: 'checkpoint', headSeq: safeNumber(content.value.headSeq) };
    case 'historyReset':
      return { cursor, type: 'reset', reason: resetReason(content.value.reason) };
    case 'goAway':
      return { cursor, type: 'go_away', reason: GO_AWAYS[content.value.reason] ?? 'draining' };
    case 'loadingBegun': {
      const { fromScratch, estimatedCount } = content.value;
      return { cursor, type: 'loading_begun', fromScratch, estimatedCount: safeNumber(estimatedCount) };
    }
    case 'recordsEntered': {
      const { records, conflicts, loadedCount } = content.value;
      return {
        cursor,
        type: 'records_entered',
        records: records.map(recordFromWire),
        conflicts: conflicts.map(summaryFromWire),
        loadedCount: safeNumber(loadedCount),
      };
    }
    case 'recordsLeft':
      // Whatever the reason: it is not part of the feed any more.
      return { cursor, type: 'records_left', recordIds: content.value.records.map(({ recordId }) => recordId) };
    case 'loadingFinished':
      return { cursor, type: 'loading_finished', completeFromSeq: safeNumber(content.value.completeFromSeq) };
    case 'feedFailed':
      // Said of one feed among several of a stream; here it is the only one.
      throw new WireError(content.value.message);
  }
}

/** What a server says of itself; features this client does not know keep their numbers. */
export function serverInfoFromWire({ version, features, limits }: WireServerInfo): ServerInfo {
  return {
    version,
    features: features.map((feature) => FEATURES[feature] ?? `FEATURE_${feature}`),
    limits: Object.fromEntries(limits.map(({ name, value }) => [name, Number(value)])),
  };
}

const RESETS = namesOf<Extract<Frame, { type: 'reset' }>['reason']>('compacted wrong_epoch future_cursor forbidden');

function resetReason(reason: WireResetReason): Extract<Frame, { type: 'reset' }>['reason'] {
  const known = RESETS[reason];
  if (known !== undefined) return known;
  throw new UnknownContent(`a reset for a reason this client does not know: ${reason}`);
}

/** A newer reason is still a reason to go on elsewhere. */
const GO_AWAYS = namesOf<Extract<Frame, { type: 'go_away' }>['reason']>(
  'draining max_age slow_consumer credentials_expired moved',
);

/** `ignorable`: an effect that this client does not know may be left out. */
function changeFromWire(change: WireChange, ignorable: boolean): Change {
  return {
    seq: safeNumber(change.seq),
    dot: dotFromWire(change.dot),
    context: contextFromWire(change.context),
    correlationId: change.correlationId,
    actor: change.actor,
    commitTimeMs: millisecondsOf(change.commitTime) ?? 0,
    effects: change.effects.flatMap((effect) =>
      ignorable ? (unlessUnknown(() => effectFromWire(effect)) ?? []) : [effectFromWire(effect)],
    ),
    outcome: OUTCOMES[change.outcome] ?? 'merged',
    operationHash: change.operationHash,
    chain: change.chain,
  };
}

/** What is newer is not simply applied. */
const OUTCOMES = namesOf<Change['outcome']>('applied merged conflicted');

function effectFromWire({ effect }: WireEffect): Effect {
  switch (effect.case) {
    case 'record':
      return recordEffectFromWire(effect.value);
    case 'conflictChanged': {
      const conflict = summaryFromWire(present(effect.value.conflict, 'a conflict'));
      const { collectionId, recordId, fieldIds } = conflict;
      const at = { collectionId, recordId, fieldId: fieldIds[0] ?? '' };
      return { ...at, type: 'conflict_changed', event: conflictEventKind(effect.value.event), conflict };
    }
    case undefined:
      // An effect that is left out would make this state nobody's.
      throw new UnknownContent('an effect this client does not know');
  }
}

function recordEffectFromWire(message: RecordEffect): Effect {
  const known = unlessUnknown(() => knownRecordEffect(message));
  if (known !== undefined) return known;
  const { collectionId, recordId, fieldId } = message;
  // Of a whole record nothing would be left that could be shown.
  if (fieldId === undefined) throw new UnknownContent('an effect on a record this client does not know');
  return { collectionId, recordId, fieldId, type: 'opaque', bytes: encode(recordEffectTable, message) };
}

function knownRecordEffect({ collectionId, recordId, fieldId = '', effect: what }: RecordEffect): Effect {
  const at = { collectionId, recordId, fieldId };
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
    case 'linkChanged':
      return { ...at, type: 'link_changed', target: what.value.targetRecordId ?? null };
    case 'linksChanged':
      return { ...at, type: 'links_changed', added: what.value.addedRecordIds, removed: what.value.removedRecordIds };
    case undefined:
      throw new UnknownContent('an effect on a field this client does not know');
  }
}

function spliceFromWire({ step }: TextSplice): Splice {
  switch (step.case) {
    case 'retainCount':
      return { type: 'retain', count: step.value };
    case 'insertedText':
      return { type: 'insert', text: step.value };
    case 'deletedText':
      return { type: 'delete', text: step.value };
    case undefined:
      throw new UnknownContent('a splice this client does not know');
  }
}

function settledHunkFromWire(settled: WireSettledHunk): SettledHunk {
  const suppressedBySeq = optionalSeq(settled.suppressedBySeq);
  return {
    hunk: hunkFromWire(present(settled.hunk, 'a hunk')),
    ...(suppressedBySeq === undefined ? {} : { suppressedBySeq }),
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
export function fieldStateFromWire(message: WireFieldState): FieldState {
  const known = unlessUnknown(() => knownFieldState(message));
  return known ?? { kind: 'opaque', parts: [encode(fieldStateTable, message)] };
}

function knownFieldState({ state }: WireFieldState): FieldState {
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
    case 'link':
      return { kind: 'to_one', target: state.value.targetRecordId ?? null };
    case 'links':
      return { kind: 'to_many', targets: new Set(state.value.recordIds) };
    case undefined:
      throw new UnknownContent('a field of a kind this client does not know');
  }
}
