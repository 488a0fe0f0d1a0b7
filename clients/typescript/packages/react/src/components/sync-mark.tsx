import type { SyncMark as Mark } from '@syncline/client';
import type { ReactElement } from 'react';
import type { SyncMarkProps } from '../api.js';
import { useRecord } from '../hooks/use-record.js';
import { NEWER_WORDS } from './words.js';

const WORDS: Readonly<Record<Exclude<Mark, 'synced'>, string>> = {
  unsaved: 'Not saved yet',
  pending: 'Waits to be sent',
  conflict: 'Has a conflict to decide',
  opaque: NEWER_WORDS,
};

/** A subtle mark beside a record or one of its fields; nothing when it is synced. */
export function SyncMark({ recordId, field }: SyncMarkProps): ReactElement | null {
  const record = useRecord(recordId);
  if (record === undefined) return null;
  const mark = field === undefined ? record.sync : (record.fieldSync[field] ?? 'synced');
  if (mark === 'synced') return null;
  return <span className="syncline-mark" data-mark={mark} role="img" aria-label={WORDS[mark]} title={WORDS[mark]} />;
}
