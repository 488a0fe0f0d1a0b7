import type { CausalContext, Cursor, Dot, DotKey, FieldId, RecordId, ReplicaId } from './ids.js';

/** The server's own replica, under which it writes for callers without one: it implies no order of its operations. */
export const SERVER_REPLICA: ReplicaId = '00000000-0000-0000-0000-000000000000';

export function dotKey(dot: Dot): DotKey {
  return `${dot.replicaId}:${dot.counter}`;
}

/** What somebody knows who has everything up to a cursor. */
export function contextAt({ epoch, seqInclusive, chain }: Cursor): CausalContext {
  return { epoch, baseSeq: seqInclusive, extras: [], ...(chain.length > 0 && { baseChain: chain }) };
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.counter === b.counter && a.replicaId === b.replicaId;
}

/** `recordId/fieldId`: ids have no slash. */
export type FieldKey = `${RecordId}/${FieldId}`;

export function fieldKey(recordId: RecordId, fieldId: FieldId): FieldKey {
  return `${recordId}/${fieldId}`;
}

const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether this can be the id of a record, collection or field. */
export function isId(id: string): boolean {
  return ID.test(id);
}

/** A UUID (version 7) from the time and 16 random bytes: a good id for a record. */
export function uuidV7(nowMs: number, random: Uint8Array): string {
  const bytes = random.slice(0, 16);
  let time = Math.max(0, Math.floor(nowMs));
  for (let index = 5; index >= 0; index--) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
