import { Reader } from './bytes.js';

/** What the details of a failed call say; read by hand, since google.rpc is not part of the protocol's files. */
export interface CallDetails {
  /** Name of an ErrorReason. */
  readonly reason?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}

/** One detail of a status, as transports give it. */
export interface StatusDetail {
  /** Full name of the message, without a prefix. */
  readonly type: string;
  readonly value: Uint8Array;
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

function errorInfo(bytes: Uint8Array): { reason?: string; metadata: Record<string, string> } {
  const out: { reason?: string; metadata: Record<string, string> } = { metadata: {} };
  eachField(bytes, (field, reader) => {
    if (field === 1) out.reason = reader.string();
    else if (field === 3) {
      let key = '';
      let text = '';
      eachField(reader.bytes(), (part, entry) => {
        if (part === 1) key = entry.string();
        else if (part === 2) text = entry.string();
        else return false;
        return true;
      });
      out.metadata[key] = text;
    } else return false;
    return true;
  });
  return out;
}

function retryDelayMs(bytes: Uint8Array): number {
  let ms = 0;
  eachField(bytes, (field, reader) => {
    if (field !== 1) return false;
    eachField(reader.bytes(), (part, duration) => {
      if (part === 1) ms += Number(duration.int64()) * 1000;
      else if (part === 2) ms += duration.int32() / 1e6;
      else return false;
      return true;
    });
    return true;
  });
  return ms;
}

/** Calls for each field of a message; `read` returns false for what it did not read. */
function eachField(bytes: Uint8Array, read: (field: number, reader: Reader) => boolean): void {
  const reader = new Reader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (!read(field, reader)) reader.skip(type);
  }
}
