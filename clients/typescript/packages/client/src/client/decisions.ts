import type { Decision } from '../api.js';
import type { Alternative, ConflictDetail, ConflictSummary } from '../domain/conflict.js';
import { exactOf } from '../domain/exact.js';
import type { FieldId } from '../domain/ids.js';
import type { Mutation } from '../domain/operation.js';
import { diff } from '../domain/text/diff.js';
import type { ExactValue, Value, WritableValue } from '../domain/value.js';
import { SynclineError } from '../errors.js';
import type { Replica } from '../replica/replica.js';
import { tooNew } from '../replica/stage.js';

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
  { summary, record }: ConflictDetail,
  decision: Decision,
  chosen: Alternative | undefined,
): Mutation['action'] {
  const { recordId } = summary;
  const fieldId = fieldOf(summary);
  const shown = replica.view(recordId)?.fields[fieldId] ?? null;
  let value: WritableValue;
  if (chosen?.wholeBytes !== undefined) throw unfit('only the beginning of this alternative is here; give a value');
  if (chosen !== undefined) value = chosen.value ?? null;
  else if (decision.type === 'value') value = decision.value;
  else if (decision.type === 'keep') value = shown;
  else throw unfit('choose an alternative, give a value, or keep what is shown');
  const exact = exactOf(value);
  const kind = replica.stage().kindOf(summary.collectionId, fieldId);
  switch (kind) {
    case 'counter':
      // A side offers what it came to when the detail was read; what was added since then is kept.
      return {
        type: 'assign_counter',
        fieldId,
        value: wholeOf(exact) + (chosen ? addedSince(record.fields[fieldId], shown) : 0n),
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
  const { recordId } = detail.summary;
  const fieldId = fieldOf(detail.summary);
  const shown = replica.view(recordId)?.fields[fieldId];
  const now = typeof shown === 'string' ? shown : '';
  let text = now;
  if (decision.type === 'text') text = decision.text;
  else if (decision.type === 'value' && typeof decision.value === 'string') text = decision.value;
  else if (chosen !== undefined) text = withAlternative(now, detail, chosen);
  else if (decision.type !== 'keep') throw unfit('choose an alternative, give a text, or keep what is shown');
  if (text === now || replica.isTextExact(recordId, fieldId)) {
    return { type: 'edit_text', fieldId, hunks: diff(now, text) };
  }
  return { type: 'replace_text', fieldId, text };
}

/**
 * The text with a suppressed alternative in the place of what stands there instead. Nearest to where its author put it:
 * a detail does not say where that is now.
 */
function withAlternative(now: string, detail: ConflictDetail, chosen: Alternative): string {
  if (chosen.state !== 'suppressed' || chosen.hunk === undefined) return now;
  const { position, insert } = chosen.hunk;
  const characters = Array.from(now);
  const around = Math.min(position, characters.length);
  const rivals = detail.alternatives.filter((other) => other.state === 'head' && other.seq !== chosen.seq);
  for (const wanted of rivals.map((rival) => rival.hunk?.insert ?? '')) {
    const at = nearest(characters, Array.from(wanted), around);
    if (at !== undefined) return spliced(characters, at, Array.from(wanted).length, insert);
  }
  return spliced(characters, around, 0, insert);
}

function nearest(text: readonly string[], wanted: readonly string[], around: number): number | undefined {
  if (wanted.length === 0) return undefined;
  let best: number | undefined;
  for (let at = 0; at + wanted.length <= text.length; at++) {
    if (!wanted.every((character, index) => text[at + index] === character)) continue;
    if (best === undefined || Math.abs(at - around) < Math.abs(best - around)) best = at;
  }
  return best;
}

function spliced(text: readonly string[], at: number, count: number, insert: string): string {
  return [...text.slice(0, at), insert, ...text.slice(at + count)].join('');
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
