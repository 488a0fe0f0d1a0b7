import { diffWordsWithSpace } from 'diff';
import type { ReactElement, ReactNode } from 'react';
import { useId, useMemo } from 'react';
import type { DiffViewProps } from '../api.js';

/** Two texts compared by words. */
export function DiffView({ before, after, layout = 'side-by-side', labels }: DiffViewProps): ReactElement {
  const parts = useMemo(() => diffWordsWithSpace(before, after), [before, after]);
  const [beforeLabel, afterLabel] = labels ?? ['Before', 'After'];
  if (layout === 'inline') {
    return (
      <div className="syncline-diff" data-layout="inline">
        <Side label={`${beforeLabel} → ${afterLabel}`}>
          {parts.map((part, index) => (
            <Part key={index} added={part.added} removed={part.removed} text={part.value} />
          ))}
        </Side>
      </div>
    );
  }
  return (
    <div className="syncline-diff" data-layout="side-by-side">
      <Side label={beforeLabel}>
        {parts.map((part, index) =>
          part.added ? null : <Part key={index} added={false} removed={part.removed} text={part.value} />,
        )}
      </Side>
      <Side label={afterLabel}>
        {parts.map((part, index) =>
          part.removed ? null : <Part key={index} added={part.added} removed={false} text={part.value} />,
        )}
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

function Part(props: { readonly added: boolean; readonly removed: boolean; readonly text: string }): ReactElement {
  if (props.added) return <ins>{props.text}</ins>;
  if (props.removed) return <del>{props.text}</del>;
  return <span>{props.text}</span>;
}
