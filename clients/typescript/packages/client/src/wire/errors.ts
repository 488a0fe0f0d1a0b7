import type { AnySchema } from '@bufbuild/protobuf/wkt';
import { durationTable } from '../gen/tables.js';
import { decode, Table } from './codec.js';

/** What the details of a failed call say. */
export interface CallDetails {
  /** Name of an ErrorReason. */
  readonly reason?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}

/** One detail of a status. */
export interface StatusDetail {
  /** Full name of the message, without a prefix. */
  readonly type: string;
  readonly value: Uint8Array;
}

// The messages of google.rpc that a status is made of, as far as they are read: they are not part of the protocol's files.
const anyTable: Table<typeof AnySchema> = /* @__PURE__ */ new Table({ typeUrl: [1, 'string'], value: [2, 'bytes'] });
const statusTable = /* @__PURE__ */ new Table({ details: [3, () => anyTable, 'list'] });
const errorInfoTable = /* @__PURE__ */ new Table({ reason: [1, 'string'], metadata: [3, 'string', 'map'] });
const retryInfoTable = /* @__PURE__ */ new Table({ retryDelay: [1, () => durationTable] });

/** The details of a google.rpc.Status in base64, as `grpc-status-details-bin` has it. */
export function statusDetails(header: string | null): readonly StatusDetail[] {
  if (header === null) return [];
  try {
    const bytes = Uint8Array.from(atob(header.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
    const { details } = decode(statusTable, bytes) as unknown as { details: { typeUrl: string; value: Uint8Array }[] };
    return details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/^.*\//, ''), value }));
  } catch {
    // Details are help, not content: the status itself decides.
    return [];
  }
}

/** Reads google.rpc.ErrorInfo and google.rpc.RetryInfo out of the details; whatever cannot be read is left out. */
export function callDetails(details: readonly StatusDetail[]): CallDetails {
  let out: CallDetails = { metadata: {} };
  for (const { type, value } of details) {
    try {
      if (type === 'google.rpc.ErrorInfo') out = { ...out, ...errorInfo(value) };
      if (type === 'google.rpc.RetryInfo') out = { ...out, retryAfterMs: retryDelayMs(value) };
    } catch {
      // A detail is help, not content: the status itself decides.
    }
  }
  return out;
}

function errorInfo(bytes: Uint8Array): Pick<CallDetails, 'reason' | 'metadata'> {
  const { reason, metadata } = decode(errorInfoTable, bytes) as unknown as {
    reason: string;
    metadata: Record<string, string>;
  };
  return { ...(reason !== '' && { reason }), metadata };
}

function retryDelayMs(bytes: Uint8Array): number {
  const { retryDelay } = decode(retryInfoTable, bytes) as unknown as {
    retryDelay?: { seconds: bigint; nanos: number };
  };
  return retryDelay === undefined ? 0 : Number(retryDelay.seconds) * 1000 + retryDelay.nanos / 1e6;
}
