import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type {
  Cursor as WireCursor,
  CausalContext as WireContext,
  Dot as WireDot,
} from '../gen/syncline/v1/causality_pb.js';
import { cursorTable } from '../gen/tables.js';
import type { CausalContext, Cursor, Dot, Epoch, Seq } from '../domain/ids.js';
import { decode, encode } from './codec.js';
import { WireError } from './wire-error.js';

/** A position, count or revision of 64 bits as a number; nothing real is beyond 2^53 - 1. */
export function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WireError(`a number beyond 2^53 - 1: ${value}`);
  return Number(value);
}

/** The same for a position that may be absent. */
export function optionalSeq(value: bigint | undefined): Seq | undefined {
  return value === undefined ? undefined : safeNumber(value);
}

export function epochFromWire(epoch: bigint): Epoch {
  return epoch.toString();
}

export function epochToWire(epoch: Epoch): bigint {
  return BigInt(epoch);
}

/** Milliseconds of a time that may be absent. */
export function millisecondsOf(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : safeNumber(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}

/** A time for the protocol. */
export function timestampFromMs(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** Unwraps what the protocol says is always there. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new WireError(`${what} is missing`);
  return value;
}

export function dotFromWire(dot: WireDot | undefined): Dot {
  const { replicaId, counter } = present(dot, 'a dot');
  return { replicaId, counter: safeNumber(counter) };
}

export function dotToWire(dot: Dot): { replicaId: string; counter: bigint } {
  return { replicaId: dot.replicaId, counter: BigInt(dot.counter) };
}

export function contextFromWire(context: WireContext | undefined): CausalContext {
  // A change that the server made or that knew everything has no context of its own.
  if (context === undefined) return { epoch: '0', baseSeq: 0, extras: [] };
  return {
    epoch: epochFromWire(context.epoch),
    baseSeq: safeNumber(context.baseSeq),
    extras: context.extras.map(dotFromWire),
    ...(context.baseChain.length > 0 && { baseChain: context.baseChain }),
  };
}

export function contextToWire({ epoch, baseSeq, extras, baseChain }: CausalContext): {
  epoch: bigint;
  baseSeq: bigint;
  extras: { replicaId: string; counter: bigint }[];
  baseChain?: Uint8Array;
} {
  return {
    epoch: epochToWire(epoch),
    baseSeq: BigInt(baseSeq),
    extras: extras.map(dotToWire),
    ...(baseChain && { baseChain }),
  };
}

export function cursorFromWire(cursor: WireCursor | undefined): Cursor {
  const { workspaceId, epoch, seqInclusive, chain, selection, loading, $unknown } = present(cursor, 'a cursor');
  const more = encode(cursorTable, { selection, loading, ...($unknown && { $unknown }) });
  return {
    workspaceId,
    epoch: epochFromWire(epoch),
    seqInclusive: safeNumber(seqInclusive),
    chain,
    ...(more.length > 0 && { more }),
  };
}

export function cursorToWire(cursor: Cursor): WireCursor {
  return {
    ...decode(cursorTable, cursor.more ?? new Uint8Array()),
    workspaceId: cursor.workspaceId,
    epoch: epochToWire(cursor.epoch),
    seqInclusive: BigInt(cursor.seqInclusive),
    chain: cursor.chain,
  };
}
