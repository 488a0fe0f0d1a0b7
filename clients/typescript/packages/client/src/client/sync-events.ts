import type { ReplicaId } from '../domain/ids.js';
import { Emitter } from '../events.js';
import type { SyncEvents } from '../sync/sync.js';
import type { Tabs } from '../tabs/tabs.js';
import type { RuntimeEvents } from './runtime-events.js';

/** What the events of the leader's loop are passed on to. */
export interface RelayParts {
  readonly term: number;
  readonly tabs: Tabs;
  readonly events: Emitter<RuntimeEvents>;
  readonly replicaId: () => ReplicaId;
}

/** The events of a leader's loop, passed on to this tab and to the others. */
export function relayedSyncEvents({ term, tabs, events, replicaId }: RelayParts): Emitter<SyncEvents> {
  const sync = new Emitter<SyncEvents>();
  // What a leader that was replaced still says concerns nobody else.
  const current = (): boolean => tabs.term === term;
  sync.on('viewChanged', (change) => {
    events.emit('viewChanged', change);
  });
  sync.on('settled', (settled) => {
    events.emit('settled', settled);
  });
  sync.on('accepted', (accepted) => {
    events.emit('accepted', accepted);
    if (current()) tabs.post({ type: 'accepted', term, accepted });
  });
  sync.on('rejected', (rows, own) => {
    if (own) events.emit('rejected', rows);
    else if (current()) tabs.post({ type: 'rejected', term, rejected: rows });
  });
  sync.on('conflictEvent', (effect, dot) => {
    events.emit('conflictEvent', effect, dot.replicaId === replicaId());
    if (current()) tabs.post({ type: 'conflict', term, effect, dot });
  });
  sync.on('restarted', (cause, rebased, count) => {
    events.emit('restarted', cause, rebased, count);
    if (current()) tabs.post({ type: 'reload', term, cause });
  });
  sync.on('updateNeeded', () => {
    events.emit('updateNeeded');
  });
  sync.on('fenced', () => {
    tabs.resign();
  });
  return sync;
}
