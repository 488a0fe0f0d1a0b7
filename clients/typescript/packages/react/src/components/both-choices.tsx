import type { ConflictDetail, Decision } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId } from 'react';
import { bothVersions } from '../text/both.js';
import { namesWords } from './words.js';
import { VersionView } from './version-view.js';

/** Both versions of a text, one after the other, each with what it would give. Nothing where that makes no sense. */
export function BothChoices(props: {
  readonly detail: ConflictDetail;
  readonly busy: boolean;
  readonly decide: (decision: Decision) => void;
}): ReactElement | null {
  const { detail, busy, decide } = props;
  const { baseValue, region } = detail;
  const id = useId();
  const choices = bothVersions(detail);
  if (region === undefined || choices.length === 0) return null;
  return (
    <ul className="syncline-both" aria-label="Both versions">
      {choices.map(({ actors: [first, second], text }, index) => (
        <li key={text} className="syncline-side">
          <div id={`${id}${String(index)}`}>
            <VersionView label="What it would say" base={baseValue} version={text} region={region} />
          </div>
          <button
            type="button"
            className="syncline-button"
            disabled={busy}
            aria-describedby={`${id}${String(index)}`}
            onClick={() => {
              decide({ type: 'text', text });
            }}
          >
            Both: {namesWords(first)}, then {namesWords(second)}
          </button>
        </li>
      ))}
    </ul>
  );
}
