import type { ReactElement, ReactNode } from 'react';
import { useId, useMemo } from 'react';
import type { DiffViewProps } from '../api.js';
import { wordDiff, type WordPart } from '../text/word-diff.js';

/** Two texts compared by words. */
export function DiffView({ before, after, layout = 'side-by-side', labels }: DiffViewProps): ReactElement {
  const parts = useMemo(() => wordDiff(before, after), [before, after]);
  const [beforeLabel, afterLabel] = labels ?? ['Before', 'After'];
  if (layout === 'inline') {
    return (
      <div className="syncline-diff" data-layout="inline">
        <Side label={`${beforeLabel} → ${afterLabel}`}>
          {parts.map((part, index) => (
            <Part key={index} part={part} />
          ))}
        </Side>
      </div>
    );
  }
  return (
    <div className="syncline-diff" data-layout="side-by-side">
      <Side label={beforeLabel}>
        {parts.map((part, index) => (part.kind === 'added' ? null : <Part key={index} part={part} />))}
      </Side>
      <Side label={afterLabel}>
        {parts.map((part, index) => (part.kind === 'removed' ? null : <Part key={index} part={part} />))}
      </Side>
    </div>
  );
}

function Side({ label, children }: { readonly label: string; readonly children: ReactNode }): ReactElement {
  const id = useId();
  return (
    <div className="syncline-diff-side" role="group" aria-labelledby={id}>
      <div className="syncline-diff-label" id={id}>
        {label}
      </div>
      <div className="syncline-diff-text">{children}</div>
    </div>
  );
}

/** A stretch of a comparison. */
export function Part({ part }: { readonly part: WordPart }): ReactElement {
  if (part.kind === 'added') return <ins>{part.text}</ins>;
  return part.kind === 'removed' ? <del>{part.text}</del> : <span>{part.text}</span>;
}
