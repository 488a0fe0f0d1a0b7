import { BATCH_GATHER_MAX_MS, BATCH_OPERATIONS_MAX, BATCH_OPERATIONS_MIN } from '../limits.js';
import type { PlanBatch } from './connection.js';

/** SPEC.md, §9: a worse link gathers longer and sends more at a time. */
export const planBatch: PlanBatch = (quality) => {
  switch (quality.rating) {
    case 'good':
    case 'unknown':
      return { operationsMax: BATCH_OPERATIONS_MIN, gatherMs: 0 };
    case 'fair':
      return { operationsMax: 4 * BATCH_OPERATIONS_MIN, gatherMs: BATCH_GATHER_MAX_MS / 5 };
    case 'poor':
      return { operationsMax: BATCH_OPERATIONS_MAX, gatherMs: BATCH_GATHER_MAX_MS };
  }
};
