import type { TextRegion, Value } from '@syncline/client';
import type { ReactElement } from 'react';
import { useMemo } from 'react';
import { wordDiff } from '../text/word-diff.js';
import { Part } from './diff-view.js';

/** So many characters of a text's surroundings the server sends; where there are fewer the text begins or ends. */
const AROUND_MAX = 80;
/** Longer versions may scroll, and then by keyboard, too. */
const LONG = 300;
const LINES = 8;

/** A version of a part of a text in its sentence, compared by words with what stood there before; a base that is no text is not known. */
export function VersionView(props: {
  readonly label: string;
  readonly base: Value;
  readonly version: string;
  readonly region: TextRegion;
}): ReactElement {
  const { label, base, version, region } = props;
  const parts = useMemo(() => wordDiff(typeof base === 'string' ? base : version, version), [base, version]);
  const all = parts.map((part) => part.text).join('');
  const isLong = all.length > LONG || all.split('\n').length > LINES;
  return (
    <div className="syncline-diff">
      <div
        className="syncline-diff-text syncline-version"
        role="group"
        aria-label={label}
        {...(isLong && { tabIndex: 0 })}
      >
        <span className="syncline-around">{around(region.before, 'before')}</span>
        {parts.map((part, index) => (
          <Part key={index} part={part} />
        ))}
        {version === '' ? <em className="syncline-nothing">nothing (deleted)</em> : null}
        <span className="syncline-around">{around(region.after, 'after')}</span>
      </div>
    </div>
  );
}

function around(text: string, where: 'before' | 'after'): string {
  if (Array.from(text).length < AROUND_MAX) return text;
  return where === 'before' ? `…${text}` : `${text}…`;
}
