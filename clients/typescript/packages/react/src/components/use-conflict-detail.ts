import type { ConflictDetail, ConflictId } from '@syncline/client';
import { SynclineError } from '@syncline/client';
import { useCallback, useEffect, useState } from 'react';
import { useConnection } from '../hooks/use-connection.js';
import { useSyncline } from '../provider.js';

export interface DetailState {
  /** The newest picture that could be read, possibly of an earlier revision. */
  readonly detail?: ConflictDetail;
  readonly loading: boolean;
  /** Why the present revision could not be read. */
  readonly problem?: string;
  readonly retry: () => void;
}

/** Everything about one conflict, read again when its revision changes or the connection comes back. */
export function useConflictDetail(id: ConflictId, revision: number): DetailState {
  const client = useSyncline();
  const connected = useConnection().transport === 'up';
  const [attempt, setAttempt] = useState(0);
  const [detail, setDetail] = useState<ConflictDetail>();
  const [problem, setProblem] = useState<{ readonly text: string; readonly of: string }>();
  const wanted = `${id}/${String(revision)}/${String(attempt)}/${String(connected)}`;
  useEffect(() => {
    let current = true;
    client.conflicts.get(id).then(
      (read) => {
        if (current) setDetail(read);
      },
      (error: unknown) => {
        if (current) setProblem({ text: problemWords(error), of: wanted });
      },
    );
    return () => {
      current = false;
    };
  }, [client, id, wanted]);
  const fresh = detail !== undefined && detail.summary.revision >= revision;
  const failed = !fresh && problem?.of === wanted;
  const retry = useCallback(() => {
    setAttempt((before) => before + 1);
  }, []);
  return {
    ...(detail === undefined ? {} : { detail }),
    loading: !fresh && !failed,
    ...(failed ? { problem: problem.text } : {}),
    retry,
  };
}

/** An error of the client for people. */
export function problemWords(error: unknown): string {
  if (error instanceof SynclineError) {
    if (error.code === 'OFFLINE') return 'Both sides are on the server, which cannot be reached now.';
    if (error.code === 'CHANGED') return 'Somebody added to this conflict meanwhile. Look at it again.';
  }
  return error instanceof Error ? error.message : String(error);
}
