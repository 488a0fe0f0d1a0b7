import type { RejectedItem } from '@syncline/client';
import type { ReactElement } from 'react';
import { useState } from 'react';
import { useOptimisticUpdates } from '../hooks/use-optimistic-updates.js';
import { problemWords } from './use-conflict-detail.js';
import { refusalWords, timeWords, valueWords } from './words.js';

/** What the server refused or its author took back, with everything that was written. */
export function RejectedOperations({ className }: { readonly className?: string }): ReactElement {
  const { rejected, rejectedOperations } = useOptimisticUpdates();
  const [failure, setFailure] = useState<string>();
  const attempt = (action: () => unknown) => {
    try {
      action();
      setFailure(undefined);
    } catch (error) {
      setFailure(problemWords(error));
    }
  };
  return (
    <section className={`syncline-rejected ${className ?? ''}`} aria-label="Changes without effect">
      {failure === undefined ? null : (
        <p className="syncline-problem" role="alert">
          {failure}
        </p>
      )}
      {rejected.length === 0 ? (
        <p className="syncline-empty">
          Nothing here. A change that the server refuses is kept here, so that nothing is lost.
        </p>
      ) : (
        <ul>
          {rejected.map((item) => (
            <Entry
              key={`${item.dot.replicaId}:${String(item.dot.counter)}`}
              item={item}
              retry={() => {
                attempt(() => rejectedOperations.retry(item.dot));
              }}
              dismiss={() => {
                rejectedOperations.dismiss(item.dot).catch((error: unknown) => {
                  setFailure(problemWords(error));
                });
              }}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

function Entry(props: {
  readonly item: RejectedItem;
  readonly retry: () => void;
  readonly dismiss: () => void;
}): ReactElement {
  const { item, retry, dismiss } = props;
  return (
    <li className="syncline-rejected-item">
      <header>
        <strong>{item.why === 'cancelled' ? 'Taken back before it was sent' : refusalWords(item.refusal)}</strong>
        <span>{timeWords(item.madeAtMs)}</span>
      </header>
      <ul>
        {item.mutations.map((mutation, index) => (
          <li key={index} data-at-fault={mutation.atFault ? 'true' : undefined}>
            {mutation.summary}
            {mutation.content === undefined ? null : <pre>{valueWords(mutation.content)}</pre>}
          </li>
        ))}
      </ul>
      <div className="syncline-actions">
        <button type="button" className="syncline-button" onClick={retry}>
          Try again
        </button>
        <button type="button" className="syncline-button" onClick={dismiss}>
          Throw away
        </button>
      </div>
    </li>
  );
}
