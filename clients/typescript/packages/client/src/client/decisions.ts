import type { Decision } from '../api.js';
import type { Alternative, ConflictDetail, ConflictSummary } from '../domain/conflict.js';
import { exactOf, wellFormed } from '../domain/exact.js';
import type { FieldId } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { ScalarText } from '../domain/text/scalars.js';
import { followStretch } from '../domain/text/stretch.js';
import type { ExactValue, Value, WritableValue } from '../domain/value.js';
import { SynclineError } from '../errors.js';
import type { Replica } from '../replica/replica.js';
import { tooNew } from '../replica/stage.js';

/** A longer base may have been cut within its last character (server). */
const BASE_BYTES_MAX = 64 * 1024 - 4;

/** The mutation that carries out a decision on a conflict: the same the server makes for callers without a replica. */
export function decisionMutation(replica: Replica, detail: ConflictDetail, decision: Decision): Mutation {
  const { summary } = detail;
  const chosen = decision.type === 'alternative' ? alternativeAt(detail, decision.seq) : undefined;
  if (summary.fieldIds.length > 1 || chosen?.opaque === true) {
    throw tooNew('only a newer version of this program can decide this: it concerns what this one cannot show');
  }
  const on = { collectionId: summary.collectionId, recordId: summary.recordId };
  const resolves = { resolvesConflictId: summary.conflictId };
  switch (summary.kind) {
    case 'register':
      return { ...on, action: registerAction(replica, detail, decision, chosen), ...resolves };
    case 'text_overlap':
      return { ...on, action: textAction(replica, detail, decision, chosen), ...resolves };
    case 'edit_delete': {
      const deletes = decision.type === 'delete' || chosen?.action === 'delete_record';
      if (!deletes && decision.type !== 'keep' && chosen === undefined) throw unfit('delete the record, or keep it');
      return { ...on, action: { type: deletes ? 'delete' : 'restore' }, ...resolves };
    }
    case 'relationship':
      return { ...relationship(replica, detail, decision, chosen), ...resolves };
    case 'unknown':
      throw tooNew('only a newer version of this program knows how to decide this conflict');
  }
}

/** The field that a conflict is about. */
function fieldOf({ fieldIds }: ConflictSummary): FieldId {
  const [fieldId = ''] = fieldIds;
  return fieldId;
}

function alternativeAt(detail: ConflictDetail, seq: number): Alternative {
  const found = detail.alternatives.find((alternative) => alternative.seq === seq);
  if (found === undefined) throw unfit('the conflict has no such alternative');
  return found;
}

function registerAction(
  replica: Replica,
  detail: ConflictDetail,
  decision: Decision,
  chosen: Alternative | undefined,
): Mutation['action'] {
  const { summary, record } = detail;
  const { recordId } = summary;
  const fieldId = fieldOf(summary);
  const shown = replica.view(recordId)?.fields[fieldId] ?? null;
  let value: WritableValue;
  const fromDetail = chosen !== undefined || decision.type === 'base';
  if (chosen !== undefined) value = offered(chosen);
  else if (decision.type === 'value') value = decision.value;
  else if (decision.type === 'keep') value = shown;
  else if (decision.type !== 'base') {
    throw unfit('choose an alternative, give a value, go back to the base, or keep what is shown');
  } else if (detail.baseExact) value = baseOf(detail);
  else throw unfit('what the sides started from is not known any more; give a value');
  const exact = exactOf(value);
  const kind = replica.stage().kindOf(summary.collectionId, fieldId);
  switch (kind) {
    case 'counter':
      // A side is what it came to when the detail was read; what was added since then is kept.
      return {
        type: 'assign_counter',
        fieldId,
        value: wholeOf(exact) + (fromDetail ? addedSince(record.fields[fieldId], shown) : 0n),
      };
    case 'to_one':
      if (exact.kind === 'null') return { type: 'unlink', fieldId, targetRecordId: null };
      if (exact.kind === 'string') return { type: 'link', fieldId, targetRecordId: exact.value };
      throw unfit('a link takes the id of a record or null');
    default:
      return { type: 'set', fieldId, value: exact };
  }
}

function addedSince(before: Value | undefined, now: Value): bigint {
  const [from, to] = [exactOf(before ?? 0), exactOf(now)];
  return from.kind === 'int' && to.kind === 'int' ? to.value - from.value : 0n;
}

function wholeOf(value: ExactValue): bigint {
  if (value.kind === 'int') return value.value;
  throw unfit('a counter takes a whole number');
}

function textAction(
  replica: Replica,
  detail: ConflictDetail,
  decision: Decision,
  chosen: Alternative | undefined,
): Mutation['action'] {
  const { region, record, summary } = detail;
  const fieldId = fieldOf(summary);
  const same: Mutation['action'] = { type: 'edit_text', fieldId, hunks: [] };
  if (decision.type === 'keep') return same;
  const insert = newText(detail, decision, chosen);
  if (region === undefined) {
    throw unfit('where in the text the conflict stands is not known: it was decided, or the server is older than this');
  }
  const shown = new ScalarText(textIn(replica.view(summary.recordId)?.fields[fieldId]));
  const read = { from: region.position, to: region.position + region.length };
  const { from, to } = followStretch(read, textIn(record.fields[fieldId]), shown.text);
  if (insert === shown.slice(from, to)) return same;
  if (replica.isTextExact(summary.recordId, fieldId)) {
    return { ...same, hunks: [{ position: from, deleteCount: to - from, insert }] };
  }
  const text = shown.slice(0, from) + insert + shown.slice(to, shown.length);
  return { type: 'replace_text', fieldId, text };
}

/** What is to stand in the region of a text. */
function newText(detail: ConflictDetail, decision: Decision, chosen: Alternative | undefined): string {
  let value: unknown;
  if (chosen !== undefined) value = offered(chosen);
  else if (decision.type === 'base') value = baseOf(detail);
  else if (decision.type === 'text') value = decision.text;
  else if (decision.type === 'value') value = decision.value;
  if (typeof value === 'string') return wellFormed(value);
  throw unfit(
    'choose an alternative, give a text for the place in conflict, go back to the base, or keep what is shown',
  );
}

function textIn(value: Value | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** What a side offers, if all of it is here. */
function offered(side: Alternative): Value {
  if (side.wholeBytes === undefined) return side.value ?? null;
  throw unfit('only the beginning of this alternative is here; say what it should be');
}

/** What the sides started from, if all of it is certain to be here: of a longer one the server keeps the beginning. */
function baseOf({ baseValue }: ConflictDetail): Value {
  if (typeof baseValue !== 'string' || new TextEncoder().encode(baseValue).length <= BASE_BYTES_MAX) return baseValue;
  throw unfit('only the beginning of the base may be here; say what it should be');
}

function relationship(
  replica: Replica,
  { summary }: ConflictDetail,
  decision: Decision,
  chosen: Alternative | undefined,
): Omit<Mutation, 'resolvesConflictId'> {
  const { recordId, collectionId, targetRecordId = '' } = summary;
  const fieldId = fieldOf(summary);
  const record = replica.view(recordId);
  const target = replica.view(targetRecordId);
  const onTarget = { recordId: targetRecordId, collectionId: target?.collection ?? '' };
  if (decision.type === 'delete' || chosen?.action === 'delete_record')
    return { ...onTarget, action: { type: 'delete' } };
  const keeps = decision.type === 'keep' || chosen !== undefined;
  if (!keeps && decision.type !== 'unlink') throw unfit('delete the target, remove the link, or keep both');
  // Where one end is gone already, keeping means to keep the other end, or to give up the link.
  if (keeps && (record === undefined || record.deleted)) return { ...onTarget, action: { type: 'restore' } };
  const links = keeps && target !== undefined && !target.deleted;
  return { recordId, collectionId, action: { type: links ? 'link' : 'unlink', fieldId, targetRecordId } };
}

function unfit(message: string): SynclineError {
  return new SynclineError('INVALID_ARGUMENT', message);
}
