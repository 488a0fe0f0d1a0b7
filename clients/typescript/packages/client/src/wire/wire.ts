import type { Frame } from '../domain/change.js';
import type { ConflictDetail } from '../domain/conflict.js';
import type { Operation, ServerReceipt } from '../domain/operation.js';
import type { Schema } from '../domain/schema.js';
import type { Frame as WireFrame } from '../gen/syncline/v1/change_service_pb.js';
import type { GetConflictResponse } from '../gen/syncline/v1/conflict_service_pb.js';
import type { Receipt as WireReceipt } from '../gen/syncline/v1/operation_pb.js';
import type { GetSchemaResponse } from '../gen/syncline/v1/workspace_service_pb.js';

/**
 * The only conversions between the protocol and the domain. Decoding throws on what breaks the protocol's word, which
 * the transport turns into a failure of kind `fault`.
 */
export interface Wire {
  /** Deterministic: the same operation gives the same bytes in every version of this package. */
  encodeOperation(operation: Operation): Uint8Array;
  /** The operation of stored bytes. */
  decodeOperation(bytes: Uint8Array): Operation;
  /** Undefined for content this client does not know and may go on without. */
  frame(frame: WireFrame): Frame | undefined;
  receipt(receipt: WireReceipt): ServerReceipt;
  conflictDetail(response: GetConflictResponse): ConflictDetail;
  schema(response: GetSchemaResponse): Schema;
  /** chain(n) = BLAKE3-128(chain(n-1) ‖ operation_hash(n)). */
  nextChain(previous: Uint8Array, operationHash: Uint8Array): Uint8Array;
}
