import type { ConflictSummary } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';
import { timeWords } from './words.js';

const HOUR_MS = 3_600_000;

/** When to be reminded: names, and the moment each means. */
const TIMES: readonly (readonly [name: string, of: (now: Date) => Date])[] = [
  ['In a minute', (now) => new Date(now.getTime() + 60_000)],
  ['In an hour', (now) => new Date(now.getTime() + HOUR_MS)],
  ['Tomorrow at nine', (now) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, 9)],
  ['In a week', (now) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + 7, 9)],
];

/** Not now, or not I. */
export function LaterControls(props: {
  readonly summary: ConflictSummary;
  readonly assignees: readonly string[];
  readonly disabled: boolean;
  readonly defer: (at: Date) => void;
  readonly assign: (to: string) => void;
  readonly reopen: () => void;
}): ReactElement {
  const { summary, assignees, disabled, defer, assign, reopen } = props;
  const [moment, setMoment] = useState('');
  const [choice, setChoice] = useState('1');
  const whenId = useId();
  const momentId = useId();
  const whoId = useId();
  const at = choice === 'own' ? new Date(moment) : TIMES[Number(choice)]?.[1](new Date());
  const { assignee } = summary;
  const people = assignee === undefined || assignees.includes(assignee) ? assignees : [assignee, ...assignees];
  return (
    <div className="syncline-later">
      {summary.status === 'deferred' ? (
        <p>
          Put aside until {timeWords(summary.remindAtMs)}.{' '}
          <button type="button" className="syncline-button" disabled={disabled} onClick={reopen}>
            Decide now
          </button>
        </p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (at && !Number.isNaN(at.getTime())) defer(at);
          }}
        >
          <label htmlFor={whenId}>Put aside, and remind</label>
          <select
            id={whenId}
            value={choice}
            onChange={(event) => {
              setChoice(event.target.value);
            }}
          >
            {TIMES.map(([name], index) => (
              <option key={name} value={index}>
                {name}
              </option>
            ))}
            <option value="own">At…</option>
          </select>
          {choice === 'own' ? (
            <>
              <label htmlFor={momentId} className="syncline-hidden">
                Moment of the reminder
              </label>
              <input
                id={momentId}
                type="datetime-local"
                required
                value={moment}
                onChange={(event) => {
                  setMoment(event.target.value);
                }}
              />
            </>
          ) : null}
          <button type="submit" className="syncline-button" disabled={disabled}>
            Put aside
          </button>
        </form>
      )}
      {people.length === 0 ? null : (
        <div>
          <label htmlFor={whoId}>Should decide</label>
          <select
            id={whoId}
            value={assignee ?? ''}
            disabled={disabled}
            onChange={(event) => {
              assign(event.target.value);
            }}
          >
            <option value="">anybody</option>
            {people.map((person) => (
              <option key={person} value={person}>
                {person}
              </option>
            ))}
          </select>
        </div>
      )}
    </div>
  );
}
