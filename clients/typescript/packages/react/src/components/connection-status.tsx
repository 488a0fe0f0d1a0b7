import type { ConnectionSnapshot } from '@syncline/client';
import type { ReactElement } from 'react';
import type { ConnectionStatusProps } from '../api.js';
import { useConnection } from '../hooks/use-connection.js';
import { useObservable } from '../hooks/use-observable.js';
import { useSyncline } from '../provider.js';
import { useSecondsUntil } from './use-seconds-until.js';
import { STATE_WORDS } from './words.js';

const TITLES: Readonly<Record<ConnectionSnapshot['state'], string>> = {
  online: '',
  offline: 'Offline',
  reconnecting: 'Reconnecting',
  syncing: 'Syncing',
  degraded: 'Trouble',
};

/**
 * Nothing while all is well. The live regions stay in the document, so that screen readers hear what comes into them:
 * politely, or at once when something degraded.
 */
export function ConnectionStatus({ words, className }: ConnectionStatusProps): ReactElement {
  const connection = useConnection();
  const { state } = connection;
  const say = words?.[state] ?? STATE_WORDS[state];
  const text = say(connection);
  const alarming = state === 'degraded';
  const shown =
    state === 'online' ? null : (
      <>
        <strong className="syncline-status-title">{TITLES[state]}</strong>
        <span>{text}</span>
      </>
    );
  return (
    <div className={`syncline-status ${className ?? ''}`} data-state={state} hidden={state === 'online'}>
      <span className="syncline-status-light" aria-hidden="true" />
      <div className="syncline-status-text" role="status" aria-live="polite">
        {alarming ? null : shown}
      </div>
      <div className="syncline-status-text" role="alert">
        {alarming ? shown : null}
      </div>
      {state === 'syncing' ? <SyncProgress connection={connection} /> : null}
      <Remedy connection={connection} goOnline={connection.goOnline} resume={connection.resume} />
    </div>
  );
}

function SyncProgress({ connection }: { readonly connection: ConnectionSnapshot }): ReactElement | null {
  const { progress } = useObservable(useSyncline().queue);
  const { snapshot } = connection;
  if (snapshot) {
    return snapshot.estimated > 0 ? (
      <progress aria-label="Loading" max={snapshot.estimated} value={Math.min(snapshot.received, snapshot.estimated)} />
    ) : (
      <progress aria-label="Loading" />
    );
  }
  if (progress.total > 0) return <progress aria-label="Sending" max={progress.total} value={progress.settled} />;
  return <progress aria-label="Catching up" />;
}

/** What its user can do about it. */
function Remedy(props: {
  readonly connection: ConnectionSnapshot;
  readonly goOnline: () => void;
  readonly resume: () => void;
}): ReactElement | null {
  const { connection, goOnline, resume } = props;
  const seconds = useSecondsUntil(connection.nextAttemptAtMs);
  if (connection.state === 'degraded' && connection.queue.paused) {
    return (
      <button type="button" className="syncline-button" onClick={resume}>
        Send again
      </button>
    );
  }
  if (connection.state !== 'offline' && connection.state !== 'reconnecting') return null;
  if (connection.transport === 'connecting') return null;
  return (
    <button type="button" className="syncline-button" onClick={goOnline}>
      {connection.reason === 'asked' ? 'Go online' : 'Try now'}
      {seconds === undefined || seconds < 1 ? null : <span aria-hidden="true"> ({seconds} s)</span>}
    </button>
  );
}
