import { randomUUID } from 'node:crypto';
import type { Platform } from '../platform.js';
import { systemClock } from './clock.js';
import { LocalChannels, LocalLocks } from './local.js';

/** A process: always online and visible, alone with its store. */
export function nodePlatform(): Platform {
  const channels = new LocalChannels();
  return {
    clock: systemClock,
    random: { unit: Math.random, uuid: randomUUID },
    page: { online: () => true, visible: () => true, subscribe: () => () => undefined },
    locks: new LocalLocks(),
    memory: { get: () => undefined, set: () => undefined },
    channel: (name) => channels.open(name),
  };
}
