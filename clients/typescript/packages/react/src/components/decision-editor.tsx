import type { ConflictKind, Decision, Value } from '@syncline/client';
import type { ReactElement } from 'react';
import { useId, useState } from 'react';

/** Whether a person can write such a value into a field of a form. */
export function canWrite(value: Value): boolean {
  return value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}

/** Another value than those that clashed. */
export function DecisionEditor(props: {
  readonly kind: ConflictKind;
  readonly initial: Value;
  readonly busy: boolean;
  readonly decide: (decision: Decision) => void;
}): ReactElement {
  const { kind, initial, busy, decide } = props;
  const [text, setText] = useState(initial === null ? '' : String(initial as string | number | bigint | boolean));
  const id = useId();
  const value = read(text, initial);
  const save = () => {
    if (value === undefined) return;
    decide(kind === 'text_overlap' ? { type: 'text', text } : { type: 'value', value });
  };
  return (
    <form
      className="syncline-editor"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <label htmlFor={id}>What it should say</label>
      {typeof initial === 'boolean' ? (
        <select
          id={id}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
          }}
        >
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      ) : (
        <textarea
          id={id}
          value={text}
          rows={kind === 'text_overlap' ? 4 : 2}
          aria-invalid={value === undefined}
          onChange={(event) => {
            setText(event.target.value);
          }}
        />
      )}
      <button type="submit" className="syncline-button syncline-button-primary" disabled={busy || value === undefined}>
        Use this
      </button>
    </form>
  );
}

/** What was written, as the kind of value that was there; undefined when it is none. */
function read(text: string, initial: Value): string | number | bigint | boolean | undefined {
  if (typeof initial === 'boolean') return text === 'true';
  if (typeof initial === 'number') {
    const number = Number(text);
    return text.trim() === '' || !Number.isFinite(number) ? undefined : number;
  }
  if (typeof initial === 'bigint') return /^\s*-?\d+\s*$/.test(text) ? BigInt(text.trim()) : undefined;
  return text;
}
