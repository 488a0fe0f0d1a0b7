import { nextChain } from './chain.js';
import { frameFromWire } from './change.js';
import { conflictDetailFromWire } from './conflict.js';
import { decodeOperation, encodeOperation, receiptFromWire } from './operation.js';
import { schemaFromWire } from './schema.js';
import type { Wire } from './wire.js';

/** The conversions, together. Modules that need a few of them import those by name. */
export const wire: Wire = {
  encodeOperation,
  decodeOperation,
  frame: frameFromWire,
  receipt: receiptFromWire,
  conflictDetail: conflictDetailFromWire,
  schema: schemaFromWire,
  nextChain,
};
