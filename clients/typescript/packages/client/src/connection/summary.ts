import type { ConnectionReason, LinkQuality } from '../api.js';
import type { Summarize, SummaryInput } from './connection.js';
import { LOSS_POOR, ROUND_TRIP_POOR_MS } from './quality.js';

/** The one word: SPEC.md, §9. The first that applies. */
export const summarize: Summarize = (input) => {
  const { phase } = input;
  // Trying again will not help before the program is updated: the wire is not what is wrong.
  if (input.reason === 'update_needed' && (phase.type === 'waiting' || phase.type === 'connecting')) {
    return { state: 'degraded', reason: input.reason };
  }
  switch (phase.type) {
    case 'down':
      return { state: 'offline', ...(phase.reason === 'closed' ? {} : { reason: phase.reason }) };
    case 'waiting':
      if (!input.everUp || (phase.breakerOpen && (input.reason ?? 'unreachable') === 'unreachable')) {
        return { state: 'offline', reason: input.reason ?? 'unreachable' };
      }
      return { state: 'reconnecting', ...(input.reason && { reason: input.reason }) };
    case 'connecting':
      return { state: 'reconnecting', ...(input.reason && { reason: input.reason }) };
    case 'up': {
      const reason = degradedBy(input);
      if (reason !== undefined) return { state: 'degraded', reason };
      const waits = input.queuePending > 0 && !input.queueMoving;
      return { state: input.snapshotting || !input.caughtUp || waits ? 'syncing' : 'online' };
    }
  }
};

function degradedBy(input: SummaryInput): ConnectionReason | undefined {
  if (input.trouble !== undefined) return input.trouble;
  if (input.storage === 'full') return 'storage_full';
  if (input.quality.rating === 'poor') return poorBecause(input.quality);
  if (input.paused && input.queuePending > 0) return 'paused';
  return undefined;
}

function poorBecause(quality: LinkQuality): ConnectionReason {
  if (quality.loss > LOSS_POOR) return 'lossy_link';
  if ((quality.roundTripMs ?? 0) > ROUND_TRIP_POOR_MS) return 'slow_link';
  return 'unstable_link';
}
