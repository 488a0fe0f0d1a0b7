import type { ReplicaId } from '../domain/ids.js';
import type { SyncListener } from '../sync/sync.js';
import type { Tabs } from '../tabs/tabs.js';
import type { RuntimeListener } from './runtime-listener.js';

/** What the leader's loop needs of the tab around it. */
export interface SyncListenerParts {
  readonly term: number;
  readonly tabs: Tabs;
  readonly listener: RuntimeListener;
  readonly replicaId: () => ReplicaId;
  /** Frames kept for other tabs belong to what was replaced. */
  readonly framesGone: () => void;
  readonly connectionChanged: () => void;
  readonly queueChanged: () => void;
}

/** Passes on what the leader's loop tells: to this tab, and to the others. */
export function syncListener(parts: SyncListenerParts): SyncListener {
  const { term, tabs, listener } = parts;
  // What a leader that was replaced still says concerns nobody else.
  const current = (): boolean => tabs.term === term;
  return {
    viewChanged: (change) => {
      listener.viewChanged(change);
    },
    settled: (settled) => {
      listener.settled(settled);
    },
    accepted: (accepted) => {
      listener.accepted(accepted);
      if (current()) tabs.post({ type: 'accepted', term, accepted });
    },
    rejected: (rows, own) => {
      if (own) listener.rejected(rows);
      else if (current()) tabs.post({ type: 'rejected', term, rejected: rows });
    },
    conflictEvent: (effect, dot) => {
      listener.conflictEvent(effect, dot.replicaId === parts.replicaId());
      if (current()) tabs.post({ type: 'conflict', term, effect, dot });
    },
    restarted: (cause, rebased, count) => {
      parts.framesGone();
      listener.restarted(cause, rebased, count);
      if (current()) tabs.post({ type: 'reload', term, cause });
    },
    connectionChanged: parts.connectionChanged,
    queueChanged: parts.queueChanged,
    fenced: () => {
      tabs.resign();
    },
  };
}
